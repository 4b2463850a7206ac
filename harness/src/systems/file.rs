//! Any other system: a file says how its nodes are started, and which program speaks to them.
//!
//! The file is explained by the example beside this one, which `harness help systems` prints.

mod speaker;

use super::template::Template;
use super::{Adapter, Later, Place, Session, SystemError, installed};
use crate::cluster::Spawner;
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use serde::Deserialize;
use speaker::Speaker;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a client program may take until it says that it is connected.
const CLIENT_START_MAX: Duration = Duration::from_secs(10);
/// The longest file.
const FILE_BYTES_MAX: u64 = 1 << 20;

const NEMESES: [Kind; 2] = [Kind::Kill, Kind::Pause];

/// What stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    start: toml::Spanned<Vec<String>>,
    client: toml::Spanned<Vec<String>>,
    nemeses: Option<toml::Spanned<Vec<String>>>,
}

/// A system that a file describes.
pub(super) struct Described {
    file: PathBuf,
    start: Template,
    program: PathBuf,
    client: Template,
    client_program: PathBuf,
    nemeses: Vec<Kind>,
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
        let nemeses = match &description.nemeses {
            None => NEMESES.to_vec(),
            Some(names) => {
                let known = names.get_ref().iter().map(|name| {
                    let known = NEMESES.into_iter().find(|kind| kind.name() == name);
                    known.ok_or_else(|| {
                        let reason = format!("nemeses: allowed are kill and pause, and not {name:?}");
                        refused(names.span().start, reason)
                    })
                });
                known.collect::<Result<Vec<Kind>, SystemError>>()?
            }
        };
        let spawner =
            Spawner::start().map_err(|error| SystemError::System("start the spawning thread", error))?;
        Ok(Described {
            file: path.to_owned(),
            start,
            program,
            client,
            client_program,
            nemeses,
            spawner,
        })
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
    fn program(&self) -> &Path {
        &self.program
    }

    fn version(&self) -> &str {
        "unknown"
    }

    fn nemeses(&self) -> &[Kind] {
        &self.nemeses
    }

    fn tells_how_it_is(&self) -> bool {
        false
    }

    fn elects(&self) -> bool {
        false
    }

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let words = self.start.words(node, places);
        let mut command = Command::new(&self.program);
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
            let speaker = Speaker::start(&self.spawner, command, &log).await?;
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
        assert!(
            refusal(&format!("{good}nemeses = [\"partition\"]\n"))
                .starts_with("3: nemeses: allowed are kill and pause")
        );
    }

    #[test]
    fn a_program_with_a_slash_is_looked_for_from_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server"), "").unwrap();
        let path = folder.path().join("store.toml");
        std::fs::write(&path, "start = [\"./server\"]\nclient = [\"/bin/sh\"]\n").unwrap();
        let system = Described::read(&path).unwrap();
        assert_eq!(
            system.program,
            folder.path().canonicalize().unwrap().join("server")
        );
        assert_eq!(system.nemeses, NEMESES);
    }
}
