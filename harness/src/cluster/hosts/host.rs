//! One host, and the connection to it.
//!
//! The connection's first session belongs to the [`keeper`]; others share the connection: the nodes' watchers, and one command at a time.

use super::unpack::{Bounds, unpack};
use super::{HostsError, HostsSpec, keeper, ssh};
use crate::cluster::Spawner;
use crate::cluster::said::{last_words, told};
use crate::node_number::NodeNumber;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};

/// How long connecting may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the node program may take to get there.
const COPY_TIME_MAX: Duration = Duration::from_secs(300);
/// How long data and logs may take to get here, and to be removed there.
const FETCH_TIME_MAX: Duration = Duration::from_secs(300);
/// How long a command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a host may take to be as it was.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the way back is tried.
const WAY_BACK_TIME_MAX: Duration = Duration::from_secs(10);
/// How much a command may print: what is in a node's log fits, one line for each batch.
const OUTPUT_BYTES_MAX: u64 = 128 << 20;
/// How much of what a command says besides is kept.
const WORDS_BYTES_MAX: u64 = 64 << 10;

/// Takes the node program from stdin, and says its hash.
const COPY: &str = r#"umask 077; cat >"$1" && chmod 700 "$1" && sha256sum <"$1""#;

/// Writes what there should always be room for.
const PROBE: &str = r#"head -c 65536 /dev/zero >"$1/room"; status=$?; rm -f -- "$1/room"; exit "$status""#;

/// Prints all that is in a folder.
const PACK: &str = r#"cd -- "$1" && tar -czf - -- "$2""#;

/// The node program, as it is copied.
pub(super) struct Program {
    path: PathBuf,
    bytes: Vec<u8>,
    hash: String,
}

impl Program {
    pub(super) fn read(path: &Path) -> io::Result<Program> {
        let bytes = std::fs::read(path)?;
        let hash = Sha256::digest(&bytes);
        Ok(Program {
            path: path.to_owned(),
            hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes,
        })
    }
}

/// A host that is connected.
#[derive(Debug)]
pub(in crate::cluster) struct Host {
    name: String,
    /// The socket by which the connection is shared.
    control: PathBuf,
    /// The private folder there.
    folder: PathBuf,
    /// Where it was reached.
    address: IpAddr,
    /// Where it reaches this machine.
    address_of_harness: IpAddr,
    /// Servers allow few sessions at once; nodes have most of them.
    one_command: Semaphore,
    /// What the keeper listens to.
    beats: Arc<Mutex<Option<ChildStdin>>>,
    /// Why there is no connection any more, once there is none.
    ended: watch::Receiver<Option<String>>,
    /// Why it was given up, though there may be one.
    given_up: OnceLock<String>,
}

impl Host {
    /// Connects, and has a keeper make the private folder.
    pub(super) async fn connect(
        name: &str,
        spec: &HostsSpec,
        control: PathBuf,
        spawner: &Spawner,
    ) -> Result<Host, HostsError> {
        let unreachable = |reason: String| HostsError::Unreachable {
            host: name.to_owned(),
            reason,
        };
        let line = keeper::line().map_err(|error| unreachable(error.to_string()))?;
        let mut command = ssh::connect(name, &spec.ssh_args, &control, &line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C ends the load, and not the connection.
            .process_group(0);
        let spawned = spawner.spawn(command).await;
        let mut child = spawned.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                unreachable(String::from("ssh is not installed"))
            } else {
                HostsError::System("start ssh", error)
            }
        })?;
        let beats = Arc::new(Mutex::new(child.stdin.take()));
        let (sender, first) = oneshot::channel();
        let (end, mut ended) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("host {name}"))
            .spawn(move || {
                let words = keeper::listen(child, sender);
                end.send_replace(Some(words));
            })
            .map_err(|error| HostsError::System("start a listening thread", error))?;
        let greeting = match tokio::time::timeout(CONNECT_TIME_MAX, first).await {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(_)) => {
                let words = ended.wait_for(Option::is_some).await.ok();
                let words = words.and_then(|words| words.clone());
                return Err(unreachable(words.unwrap_or_default()));
            }
            Err(_) => {
                let limit = humantime::format_duration(CONNECT_TIME_MAX);
                return Err(unreachable(format!("it said nothing for {limit}")));
            }
        };
        let (harness, address, folder) = keeper::understood(&greeting).ok_or_else(|| {
            unreachable(format!(
                "its shell was to name both ends of the connection, and said {greeting:?}"
            ))
        })?;
        tokio::spawn(keeper::beat(Arc::downgrade(&beats)));
        Ok(Host {
            name: name.to_owned(),
            control,
            folder,
            address,
            address_of_harness: spec.address.unwrap_or(harness),
            one_command: Semaphore::new(1),
            beats,
            ended,
            given_up: OnceLock::new(),
        })
    }

    /// Puts the node program there, and sees that it runs and reaches this machine.
    pub(super) async fn prepare(&self, program: &Program) -> Result<(), HostsError> {
        let unfit = |reason: String| HostsError::Unfit {
            host: self.name.clone(),
            reason,
        };
        let there = self.program();
        let copying = async {
            let ssh = self.script(COPY, &[there.as_os_str()])?;
            let copied = self.run_within(ssh, program.bytes.clone(), COPY_TIME_MAX).await?;
            succeeded(copied?)
        };
        let copied = copying.await;
        let said = copied.map_err(|error| unfit(format!("the node program can't be copied: {error}")))?;
        let said = told(&said);
        if said.split(' ').next() != Some(&program.hash) {
            return Err(unfit(format!(
                "the node program was to arrive with the SHA-256 {}, and it says {said:?}",
                program.hash
            )));
        }
        let version = async {
            let words = ["version", "--json"].map(OsStr::new);
            self.succeed(
                self.command(&[there.as_os_str(), words[0], words[1]])?,
                Vec::new(),
            )
            .await
        };
        if let Err(error) = version.await {
            let kind = self.kind().await;
            let path = program.path.display();
            return Err(unfit(format!("{path} does not run there, on {kind}: {error}")));
        }
        self.try_way_back(&there).await
    }

    /// What kind of system it is, in its own words.
    async fn kind(&self) -> String {
        let asking = async {
            let words = ["uname", "-sm"].map(OsStr::new);
            self.succeed(self.command(&words)?, Vec::new()).await
        };
        let said = asking
            .await
            .unwrap_or_else(|error| error.to_string().into_bytes());
        told(&said)
    }

    /// Has the node program, as a client, reach a listener here.
    async fn try_way_back(&self, program: &Path) -> Result<(), HostsError> {
        let no_way_back = |reason: String| HostsError::NoWayBack {
            host: self.name.clone(),
            address: self.address_of_harness,
            reason,
        };
        let trying = async {
            let listener = TcpListener::bind((self.address_of_harness, 0)).await?;
            let at = listener.local_addr()?.to_string();
            let words = ["get", "reached", "--timeout", "3s", "--endpoints", &at].map(OsStr::new);
            let mut all = vec![program.as_os_str()];
            all.extend(words);
            let asking = self.run(self.command(&all)?, Vec::new());
            // What the client makes of it is no matter.
            tokio::select! {
                accepted = listener.accept() => accepted.map(drop),
                asked = asking => Err(match asked {
                    Ok(output) => io::Error::other(last_of(&output)),
                    Err(error) => error,
                }),
            }
        };
        match tokio::time::timeout(WAY_BACK_TIME_MAX, trying).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(no_way_back(error.to_string())),
            Err(_) => {
                let limit = humantime::format_duration(WAY_BACK_TIME_MAX);
                Err(no_way_back(format!("nothing arrived for {limit}")))
            }
        }
    }

    pub(in crate::cluster) fn name(&self) -> &str {
        &self.name
    }

    /// The private folder there.
    pub(in crate::cluster) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The node program there.
    pub(in crate::cluster) fn program(&self) -> PathBuf {
        self.folder.join("node")
    }

    pub(in crate::cluster) fn address(&self) -> IpAddr {
        self.address
    }

    pub(in crate::cluster) fn address_of_harness(&self) -> IpAddr {
        self.address_of_harness
    }

    /// In words, that it was lost, and what ssh says of that; `None` if it is there.
    pub(in crate::cluster) fn lost(&self) -> Option<String> {
        let ended = self.ended.borrow();
        let words = self.given_up.get().or(ended.as_ref())?;
        Some(format!("host {} was lost: {words}", self.name))
    }

    /// What carries out `script` there, in which `$1` is the first of `words`.
    pub(in crate::cluster) fn script(&self, script: &str, words: &[&OsStr]) -> io::Result<Command> {
        let line = ssh::script_line(script, words)?;
        Ok(ssh::share(&self.name, &self.control, &line))
    }

    /// What runs a program there.
    pub(in crate::cluster) fn command(&self, words: &[&OsStr]) -> io::Result<Command> {
        let line = ssh::line(words)?;
        Ok(ssh::share(&self.name, &self.control, &line))
    }

    /// Carries out a command to its end. A host that does not come to that is given up: nobody knows what it has done there, and whether a node
    /// still has the data that it is to be started on.
    pub(in crate::cluster) async fn run(&self, ssh: Command, stdin: Vec<u8>) -> io::Result<Output> {
        self.run_or_give_up(ssh, stdin, COMMAND_TIME_MAX).await
    }

    async fn run_or_give_up(&self, ssh: Command, stdin: Vec<u8>, limit: Duration) -> io::Result<Output> {
        let ran = self.run_within(ssh, stdin, limit).await?;
        if let Err(error) = &ran
            && error.kind() == io::ErrorKind::TimedOut
        {
            // The first reason is the one that counts.
            let _ = self.given_up.set(error.to_string());
            self.end();
        }
        ran
    }

    /// What a command prints that succeeds; else its last words are the error.
    pub(in crate::cluster) async fn succeed(&self, ssh: Command, stdin: Vec<u8>) -> io::Result<Vec<u8>> {
        succeeded(self.run(ssh, stdin).await?)
    }

    /// Carries out a command, unless the host is lost, or all before have not been carried out for `limit`; what came of it.
    async fn run_within(
        &self,
        ssh: Command,
        stdin: Vec<u8>,
        limit: Duration,
    ) -> io::Result<io::Result<Output>> {
        if let Some(lost) = self.lost() {
            return Err(io::Error::other(lost));
        }
        let turn = self.turn(limit).await?;
        let running = async {
            let _turn = turn;
            let mut child = piped(ssh).stdin(Stdio::piped()).spawn()?;
            let mut writer = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            let writing = async move {
                // One that ends before it has read all of it says why.
                let _ = writer.write_all(&stdin).await;
            };
            let printed = all_of(child.stdout.take(), OUTPUT_BYTES_MAX);
            let said = beginning_of(child.stderr.take(), WORDS_BYTES_MAX);
            let (stdout, stderr, ()) = tokio::join!(printed, said, writing);
            let (stdout, stderr) = (stdout?, stderr?);
            let status = child.wait().await?;
            Ok(Output {
                status,
                stdout,
                stderr,
            })
        };
        let limited = tokio::time::timeout(limit, running).await;
        Ok(limited.unwrap_or_else(|_| Err(no_answer(limit))))
    }

    /// Waits until no command is carried out.
    async fn turn(&self, limit: Duration) -> io::Result<tokio::sync::SemaphorePermit<'_>> {
        match tokio::time::timeout(limit, self.one_command.acquire()).await {
            Ok(turn) => turn.map_err(io::Error::other),
            Err(_) => Err(no_answer(limit)),
        }
    }

    /// Copies the folder `name` in `from` there, as far as it is of these `nodes`, into the folder `to` here, and removes all of `from` there.
    pub(super) async fn fetch(
        &self,
        from: &Path,
        name: &str,
        nodes: &[NodeNumber],
        to: &Path,
    ) -> io::Result<()> {
        if let Some(lost) = self.lost() {
            return Err(io::Error::other(lost));
        }
        let turn = self.turn(FETCH_TIME_MAX).await?;
        let fetching = async {
            let _turn = turn;
            let packing = self.script(PACK, &[from.as_os_str(), OsStr::new(name)])?;
            let mut packing = piped(packing).spawn()?;
            let packed = packing.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            let packed = File::from(packed.into_owned_fd()?);
            let said = beginning_of(packing.stderr.take(), WORDS_BYTES_MAX);
            let folder_of = |node: &NodeNumber| Path::new(name).join(node.to_string());
            let (folders, to): (Vec<PathBuf>, _) = (nodes.iter().map(folder_of).collect(), to.to_owned());
            let unpacking =
                tokio::task::spawn_blocking(move || unpack(packed, &folders, &to, &Bounds::default()));
            let (unpacked, stderr) = tokio::join!(unpacking, said);
            let output = Output {
                status: packing.wait().await?,
                stdout: Vec::new(),
                stderr: stderr?,
            };
            // Of what did not arrive as it was sent, whoever sent it may say why.
            unpacked.map_err(io::Error::other)?.map_err(|error| {
                if output.status.success() {
                    error
                } else {
                    io::Error::other(format!("{error}; {}", last_of(&output)))
                }
            })?;
            succeeded(output)
        };
        let limited = tokio::time::timeout(FETCH_TIME_MAX, fetching).await;
        limited.unwrap_or_else(|_| Err(no_answer(FETCH_TIME_MAX)))?;
        let removing = self.script(r#"rm -rf -- "$1""#, &[from.as_os_str()])?;
        let removed = self.run_within(removing, Vec::new(), FETCH_TIME_MAX).await?;
        succeeded(removed?)?;
        Ok(())
    }

    /// Whether there is room for a few words.
    pub(super) async fn probe(&self) -> io::Result<()> {
        let probing = self.script(PROBE, &[self.folder.as_os_str()])?;
        self.succeed(probing, Vec::new()).await?;
        Ok(())
    }

    /// Has the keeper end everything.
    pub(super) fn end(&self) {
        drop(self.beats.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Waits until the host is as it was.
    pub(super) async fn has_ended(&self) {
        let mut ended = self.ended.clone();
        // One that does not end is killed with the harness.
        let _ = tokio::time::timeout(CLOSE_TIME_MAX, ended.wait_for(Option::is_some)).await;
    }
}

/// A command of which all is heard, and which ends with whoever hears it.
fn piped(command: Command) -> tokio::process::Command {
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // See there.
        .process_group(0)
        .kill_on_drop(true);
    command
}

fn no_answer(limit: Duration) -> io::Error {
    let limit = humantime::format_duration(limit);
    io::Error::new(io::ErrorKind::TimedOut, format!("it did not answer for {limit}"))
}

/// All that there is to be read.
///
/// # Errors
/// It is more than that.
async fn all_of(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(from) = from else { return Ok(bytes) };
    from.take(bytes_max + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!(
            "it printed more than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}

/// So much of all that there is to be read.
async fn beginning_of(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else { return Ok(bytes) };
    (&mut from).take(bytes_max).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

fn succeeded(output: Output) -> io::Result<Vec<u8>> {
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(io::Error::other(last_of(&output)))
    }
}

/// The last line that a command has said.
fn last_of(output: &Output) -> String {
    let last = last_words(&output.stderr[..]);
    last.unwrap_or_else(|| format!("it ended with {}", output.status))
}

#[cfg(test)]
mod tests;
