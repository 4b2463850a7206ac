//! Nodes on a host: child processes of a shell there, which is told over the host's connection what to do.
//!
//! For as long as a node lives, one session of the connection belongs to it. There a shell, the *watcher*, starts the node, sends it the signals
//! that it reads on its stdin, says after each how the node is, and in the end how it ended. When its stdin ends, as it does when the harness
//! or the connection dies, the node is killed.

use super::{End, LOG_END_BYTES, Started, stands_still};
use crate::cluster::folders::LOG;
use crate::cluster::hosts::Host;
use crate::cluster::said::{line, pass_first_line, told};
use crate::cluster::spawner::Spawner;
use crate::cluster::{ClusterError, system};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a watcher may take to say how its node is.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// What a shell says of a program that a signal has ended: this, and the signal's number.
const ENDED_BY_SIGNAL: i32 = 128;
/// The highest number of a signal.
const SIGNAL_MAX: i32 = 64;

/// The watcher. Its arguments are the host's private folder, the node's folder in there, its log's name, how much of what the node adds to that
/// is told in the end, and the node's command.
///
/// It works in the private folder before it makes another one: if that is removed meanwhile, nothing is made where it was.
const WATCHER: &str = r#"umask 077
cd -- "$1" && mkdir -p -- "$2" && cd -- "$2" && : >>"$3" || exit
log=$3 end=$4
shift 4
exec 3<&0 4>&2 2>/dev/null
before=$(wc -c <"$log")
exec "$@" </dev/null 2>>"$log" 3<&- 4>&- &
node=$!
{
    while read -r signal; do
        kill -s "$signal" "$node"
        stat=
        read -r stat <"/proc/$node/stat"
        echo "stat $stat" >&4
    done
    kill -s KILL "$node"
} <&3 &
reader=$!
exec 3<&-
wait "$node"
status=$?
kill -s KILL "$reader"
echo "exit $status" >&4
tail -c "+$((before + 1))" -- "$log" | tail -c "$end" >&4"#;

/// Moves `$1` to `$2`, and not into that if it is there.
const MOVE: &str = r#"if test -e "$2"; then echo "$2 is there already" >&2; exit 1; fi; mv -- "$1" "$2""#;

/// Tells a watcher what to do.
pub(in crate::cluster) struct Reins {
    orders: Mutex<Orders>,
    answers: watch::Receiver<Answers>,
}

struct Orders {
    stdin: ChildStdin,
    given: u64,
}

/// What a watcher has said of its node.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    /// To how many orders.
    given: u64,
    /// The last one: whether it stands still.
    is_stopped: Option<bool>,
}

impl Reins {
    /// Has the watcher send a signal; returns the order's number. One whose connection is gone has killed its node.
    fn order(&self, signal: &str) -> Option<u64> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(orders.stdin, "{signal}").ok()?;
        orders.given += 1;
        Some(orders.given)
    }

    pub(super) fn signal(&self, signal: Signal) {
        // See there.
        let _ = self.order(name(signal));
    }

    pub(super) async fn is_stopped(&self) -> Option<bool> {
        // A signal that is none.
        let order = self.order("0")?;
        let mut answers = self.answers.clone();
        let answered = answers.wait_for(|answers| answers.given >= order);
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, answered).await.ok()?.ok()?;
        answer.is_stopped
    }
}

/// Names are the same everywhere; numbers are not.
fn name(signal: Signal) -> &'static str {
    let names = [
        (Signal::KILL, "KILL"),
        (Signal::TERM, "TERM"),
        (Signal::STOP, "STOP"),
        (Signal::CONT, "CONT"),
    ];
    let known = names.into_iter().find(|(known, _)| *known == signal);
    known.map_or_else(|| panic!("nobody sends {signal:?} to a node"), |(_, name)| name)
}

pub(super) async fn start(
    spawner: &Spawner,
    host: &Host,
    command: &Command,
    dir: &Path,
) -> Result<Started, ClusterError> {
    let end = LOG_END_BYTES.to_string();
    let folder = host.folder();
    let dir = dir.strip_prefix(folder).unwrap_or(dir);
    let mut words: Vec<&OsStr> = vec![folder.as_os_str(), dir.as_os_str()];
    words.extend([OsStr::new(LOG), OsStr::new(&end), command.get_program()]);
    words.extend(command.get_args());
    let failed = |error| system(&format!("start a node on host {}", host.name()), error);
    if let Some(lost) = host.lost() {
        return Err(failed(io::Error::other(lost)));
    }
    let mut ssh = host.script(WATCHER, &words).map_err(failed)?;
    ssh.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // See `here`.
        .process_group(0);
    let mut child = spawner.spawn(ssh).await.map_err(failed)?;
    let stdin = child.stdin.take().expect("it is piped");
    let (sender, ready) = oneshot::channel();
    let (tell, answers) = watch::channel(Answers::default());
    Ok(Started {
        reins: super::Reins::There(Reins {
            orders: Mutex::new(Orders { stdin, given: 0 }),
            answers,
        }),
        ready,
        watch: Box::new(move || Some(listen(child, sender, &tell))),
    })
}

/// Listens to a watcher until its session ends.
fn listen(mut child: Child, ready: oneshot::Sender<String>, tell: &watch::Sender<Answers>) -> End {
    let stdout = child.stdout.take().expect("it is piped");
    let stderr = child.stderr.take().expect("it is piped");
    let (end, _) = std::thread::scope(|scope| {
        let printed = scope.spawn(move || pass_first_line(stdout, ready));
        (hear(BufReader::new(stderr), tell), printed.join())
    });
    // What it says is known; how the connection's end of it ends is no news.
    let _ = child.wait();
    end
}

fn hear(mut words: impl io::BufRead, tell: &watch::Sender<Answers>) -> End {
    let mut last = String::from("its session ended without a word");
    while let Some(said) = line(&mut words) {
        let said = told(&said);
        if let Some(stat) = said.strip_prefix("stat") {
            tell.send_modify(|answers| {
                answers.given += 1;
                answers.is_stopped = stands_still(stat);
            });
        } else if let Some(status) = said.strip_prefix("exit ").and_then(status) {
            let mut log = Vec::new();
            // What is missing of it is not quoted.
            let _ = words.take(LOG_END_BYTES).read_to_end(&mut log);
            let said = String::from_utf8_lossy(&log).into_owned();
            return End::Exited { status, said };
        } else if !said.is_empty() {
            last = said;
        }
    }
    End::Lost(last)
}

/// What a shell's `$?` says of how a program ended.
fn status(said: &str) -> Option<ExitStatus> {
    let code: i32 = said.parse().ok()?;
    let signal = code - ENDED_BY_SIGNAL;
    Some(ExitStatus::from_raw(if (1..=SIGNAL_MAX).contains(&signal) {
        signal
    } else {
        (code & 0xff) << 8
    }))
}

pub(super) async fn run(host: &Host, program: &Path, args: &[&str]) -> io::Result<Output> {
    let mut words = vec![program.as_os_str()];
    words.extend(args.iter().map(OsStr::new));
    host.run(host.command(&words)?, Vec::new()).await
}

pub(super) async fn remove(host: &Host, path: &Path) -> io::Result<()> {
    ask(host, r#"rm -rf -- "$1""#, &[path.as_os_str()], Vec::new()).await?;
    Ok(())
}

pub(super) async fn rename(host: &Host, from: &Path, to: &Path) -> io::Result<()> {
    let words = [from.as_os_str(), to.as_os_str()];
    ask(host, MOVE, &words, Vec::new()).await?;
    Ok(())
}

pub(super) async fn length(host: &Host, file: &Path) -> io::Result<u64> {
    let said = ask(host, r#"wc -c < "$1""#, &[file.as_os_str()], Vec::new()).await?;
    let said = String::from_utf8_lossy(&said);
    said.trim().parse().map_err(io::Error::other)
}

pub(super) async fn read_at(host: &Host, file: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    // Its bytes are counted from 1.
    let (first, count) = (offset.saturating_add(1).to_string(), bytes.to_string());
    let words = [file.as_os_str(), OsStr::new(&first), OsStr::new(&count)];
    let read = ask(
        host,
        r#"tail -c "+$2" -- "$1" | head -c "$3""#,
        &words,
        Vec::new(),
    )
    .await?;
    if read.len() == bytes {
        Ok(read)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

pub(super) async fn write_at(host: &Host, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let offset = offset.to_string();
    let words = [file.as_os_str(), OsStr::new(&offset)];
    let script = r#"test -f "$1" && dd of="$1" bs=1 seek="$2" conv=notrunc"#;
    ask(host, script, &words, bytes.to_vec()).await?;
    Ok(())
}

/// What a script prints that succeeds.
async fn ask(host: &Host, script: &str, words: &[&OsStr], stdin: Vec<u8>) -> io::Result<Vec<u8>> {
    host.succeed(host.script(script, words)?, stdin).await
}

#[cfg(test)]
mod tests;
