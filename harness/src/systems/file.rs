//! Any other system: a file says how its nodes are started, and which program speaks to them.
//!
//! The file is explained by the example beside this one, which `harness help systems` prints.

mod protocol;
mod speaker;

use super::profile::all_workloads;
use super::template::Template;
use super::{Adapter, Later, Place, Profile, Session, SystemError, Tells, UNUSED_KEY, installed};
use crate::cluster::{Reach, Spawner};
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use serde::Deserialize;
use speaker::Speaker;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use workloads::{Op, Step};

/// How long a client program may take until it says that it is connected.
const CLIENT_START_MAX: Duration = Duration::from_secs(10);
/// The longest file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The workload of a file that names none.
const WORKLOAD: &str = "register";
/// The placeholder without which nothing comes between nodes.
const LINKS: &str = "links";

/// What befalls processes.
const OF_PROCESSES: [Kind; 2] = [Kind::Kill, Kind::Pause];
/// What befalls links.
const OF_LINKS: [Kind; 3] = [Kind::Partition, Kind::Slow, Kind::Flaky];
/// What befalls clocks and disks. Not every program takes it, and so it has to be named.
const OF_SOME: [Kind; 6] = [
    Kind::Clock,
    Kind::Power,
    Kind::CrashPoint,
    Kind::Full,
    Kind::IoError,
    Kind::Stall,
];

/// What stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    start: toml::Spanned<Vec<String>>,
    client: toml::Spanned<Vec<String>>,
    workloads: Option<toml::Spanned<Vec<String>>>,
    nemeses: Option<toml::Spanned<Vec<String>>>,
    #[serde(default)]
    leader: bool,
}

/// A system that a file describes.
pub(super) struct Described {
    file: PathBuf,
    profile: Profile,
    start: Template,
    client: Template,
    client_program: PathBuf,
    spawner: Spawner,
}

impl std::fmt::Debug for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the system of {}", self.file.display())
    }
}

impl Described {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It can't be read, is not as it must be, or names a program that is not there.
    pub(super) fn read(path: &Path) -> Result<Described, SystemError> {
        let text = read(path).map_err(|error| SystemError::File {
            path: path.to_owned(),
            line: None,
            reason: error.to_string(),
        })?;
        let refused = |at: usize, reason: String| SystemError::File {
            path: path.to_owned(),
            line: Some(1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()),
            reason,
        };
        let description: Description = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            refused(at, error.message().replace('\n', " "))
        })?;
        let command = |words: &toml::Spanned<Vec<String>>| {
            let at = words.span().start;
            let template = Template::new(words.get_ref()).map_err(|reason| refused(at, reason))?;
            let program = program(&words.get_ref()[0], path).map_err(|reason| refused(at, reason))?;
            Ok::<_, SystemError>((template, program))
        };
        let (start, program) = command(&description.start)?;
        let (client, client_program) = command(&description.client)?;
        let named = |field: &toml::Spanned<Vec<String>>, reason: String| refused(field.span().start, reason);
        let workloads = match &description.workloads {
            None => vec![WORKLOAD],
            Some(field) => workloads(field.get_ref()).map_err(|reason| named(field, reason))?,
        };
        let is_linked = start.mentions(LINKS);
        let nemeses = match &description.nemeses {
            None => usual_nemeses(is_linked),
            Some(field) => nemeses(field.get_ref(), is_linked).map_err(|reason| named(field, reason))?,
        };
        let spawner =
            Spawner::start().map_err(|error| SystemError::System("start the spawning thread", error))?;
        Ok(Described {
            file: path.to_owned(),
            profile: Profile {
                program,
                version: String::from("unknown"),
                workloads,
                nemeses,
                reach: if is_linked {
                    Reach::BothWays
                } else {
                    Reach::Directly
                },
                tells: if description.leader {
                    Tells::Leader
                } else {
                    Tells::Nothing
                },
                elects: description.leader,
            },
            start,
            client,
            client_program,
            spawner,
        })
    }
}

/// The workloads of these names.
///
/// # Errors
/// There are none, or there is none of one of the names; in words.
fn workloads(names: &[String]) -> Result<Vec<&'static str>, String> {
    let all = all_workloads();
    if names.is_empty() {
        return Err(format!("workloads: one at least, of {}", all.join(", ")));
    }
    let known = names.iter().map(|name| {
        let known = all.iter().copied().find(|known| known == name);
        known.ok_or_else(|| format!("workloads: allowed are {}, and not {name:?}", all.join(", ")))
    });
    known.collect()
}

/// The faults of a file that names none, for a system whose nodes reach each other by links, or don't.
fn usual_nemeses(is_linked: bool) -> Vec<Kind> {
    let of_links = OF_LINKS.into_iter().filter(|_| is_linked);
    OF_PROCESSES.into_iter().chain(of_links).collect()
}

/// The faults of these names.
///
/// # Errors
/// One means nothing to such a system; in words.
fn nemeses(names: &[String], is_linked: bool) -> Result<Vec<Kind>, String> {
    let known = [usual_nemeses(is_linked), OF_SOME.to_vec()].concat();
    let found = names.iter().map(|name| {
        if let Some(kind) = known.iter().find(|kind| kind.name() == name) {
            return Ok(*kind);
        }
        if OF_LINKS.iter().any(|kind| kind.name() == name) {
            return Err(format!(
                "nemeses: {name} takes links between nodes, and start does not mention {{{LINKS}}}"
            ));
        }
        let known: Vec<&str> = known.iter().map(|kind| kind.name()).collect();
        Err(format!(
            "nemeses: allowed are {}, and not {name:?}",
            known.join(", ")
        ))
    });
    found.collect()
}

/// What a client is asked to see whether its node serves, by a workload that it knows: nobody else uses that key.
fn probe(workload: &str) -> Op {
    let key = UNUSED_KEY;
    match workload {
        "counter" => Op::Count { key },
        "queue" => Op::Dequeue { key },
        "set" => Op::Elements { key },
        "session" => Op::Text { key },
        "append" => Op::Transaction {
            key,
            steps: vec![Step::ReadList { cell: 0, found: None }],
        },
        "multi-register" => Op::Transaction {
            key,
            steps: vec![Step::Read { cell: 0, found: None }],
        },
        "bank" => Op::Balances { key },
        "lock" => Op::Release { key, owner: 1 },
        "unique-ids" => Op::Generate { key },
        _ => Op::Read { key },
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Where a program is that the file at `path` names.
fn program(name: &str, path: &Path) -> Result<PathBuf, String> {
    if !name.contains('/') {
        return installed(name, "name it with a slash if it is not in PATH")
            .map_err(|error| error.to_string());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let program = folder.join(name);
    let program = program.canonicalize().unwrap_or(program);
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("there is no program at {}", program.display()))
    }
}

impl Adapter for Described {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let words = self.start.words(node, places);
        let mut command = Command::new(&self.profile.program);
        command.args(&words[1..]);
        command
    }

    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>> {
        Box::pin(async move {
            let words = self.client.words(node, places);
            let mut command = Command::new(&self.client_program);
            command.args(&words[1..]);
            let log = places[super::place::index(node, places)].client_log();
            let probe = probe(self.profile.workloads[0]);
            let speaker = Speaker::start(&self.spawner, node, probe, command, &log).await?;
            Ok(Box::new(speaker) as Box<dyn Session>)
        })
    }

    fn dial_time_max(&self, timeout: Duration) -> Duration {
        // It is a process that has to start, and no operation waits for it.
        timeout.max(CLIENT_START_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.toml");
        std::fs::write(&path, text).unwrap();
        let error = Described::read(&path).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        let prefix = format!("{}:", path.display());
        error
            .strip_prefix(&prefix)
            .unwrap_or_else(|| panic!("{error}"))
            .to_owned()
    }

    #[test]
    fn a_file_that_is_not_as_it_must_be_is_refused_with_the_line() {
        let good = "start = [\"/bin/sh\"]\nclient = [\"/bin/sh\"]\n";
        assert!(refusal("start = [\n").starts_with("1: ") || refusal("start = [\n").starts_with("2: "));
        assert!(refusal("start = [\"/bin/sh\"]\n").contains("missing field `client`"));
        assert!(refusal(&format!("{good}strat = 1\n")).starts_with("3: unknown field `strat`"));
        assert!(refusal(&good.replace("[\"/bin/sh\"]\nclient", "\"/bin/sh\"\nclient")).starts_with("1: "));
        assert!(
            refusal("# A comment.\nstart = [\"/bin/sh\", \"{port}\"]\nclient = [\"/bin/sh\"]\n")
                .starts_with("2: {port} is no placeholder")
        );
        assert!(
            refusal("start = [\"/bin/sh\"]\nclient = [\"./nothing\"]\n")
                .starts_with("2: there is no program at ")
        );
        assert!(
            refusal("start = [\"no-such-program-anywhere\"]\nclient = [\"/bin/sh\"]\n")
                .starts_with("1: no-such-program-anywhere is not installed")
        );
        assert_eq!(
            refusal(&format!("{good}nemeses = [\"partition\"]\n")),
            "3: nemeses: partition takes links between nodes, and start does not mention {links}"
        );
        assert!(
            refusal(&format!("{good}nemeses = [\"flood\"]\n"))
                .starts_with("3: nemeses: allowed are kill, pause, clock, power, crash-point, full, io-error, stall, and not \"flood\"")
        );
        assert!(
            refusal(&format!("{good}workloads = [\"register\", \"stack\"]\n"))
                .starts_with("3: workloads: allowed are register, counter, ")
        );
        assert!(refusal(&format!("{good}workloads = []\n")).starts_with("3: workloads: one at least"));
    }

    #[test]
    fn a_program_with_a_slash_is_looked_for_from_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server"), "").unwrap();
        let path = folder.path().join("store.toml");
        std::fs::write(&path, "start = [\"./server\"]\nclient = [\"/bin/sh\"]\n").unwrap();
        let system = Described::read(&path).unwrap();
        assert_eq!(
            system.profile.program,
            folder.path().canonicalize().unwrap().join("server")
        );
        assert_eq!(system.profile.nemeses, OF_PROCESSES);
        assert_eq!(system.profile.workloads, ["register"]);
        assert_eq!(system.profile.reach, Reach::Directly);
    }

    #[test]
    fn clocks_are_wrong_only_where_the_file_says_that_they_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.toml");
        let text = "start = [\"/bin/sh\"]\nclient = [\"/bin/sh\"]\nnemeses = [\"kill\", \"clock\"]\n";
        std::fs::write(&path, text).unwrap();
        let system = Described::read(&path).unwrap();
        assert_eq!(system.profile.nemeses, [Kind::Kill, Kind::Clock]);
    }

    #[test]
    fn links_can_be_broken_where_nodes_are_told_of_them_and_leaders_hit_where_clients_tell_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.toml");
        let text = "start = [\"/bin/sh\", \"{links}\"]\nclient = [\"/bin/sh\"]\nleader = true\nworkloads = [\"queue\", \"lock\"]\n";
        std::fs::write(&path, text).unwrap();
        let system = Described::read(&path).unwrap();
        assert_eq!(
            system.profile.nemeses,
            [OF_PROCESSES.to_vec(), OF_LINKS.to_vec()].concat()
        );
        assert_eq!(system.profile.reach, Reach::BothWays);
        assert_eq!(system.profile.workloads, ["queue", "lock"]);
        assert_eq!(
            (system.profile.tells, system.profile.elects),
            (Tells::Leader, true)
        );
    }

    #[test]
    fn a_client_is_asked_for_what_its_workload_knows_and_nobody_else_uses() {
        for workload in workloads::all() {
            let op = probe(workload.name());
            assert_eq!(op.key(), UNUSED_KEY);
            assert!(
                workload.needed_kinds().contains(&op.kind()),
                "{}: {op:?}",
                workload.name()
            );
        }
    }
}
