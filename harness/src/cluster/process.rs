//! One node's process.

use super::clock::Clock;
use super::folders::LOG;
use super::links::Links;
use super::machine::{End, Machine, Printed, Reins, Started};
use super::spawner::Spawner;
use super::{ClusterError, ClusterSpec, Deaths, Folders, Member, NodeExit, lock, system};
use crate::node_number::NodeNumber;
use crate::systems::{Site, listens};
use rustix::process::Signal;
use serde::Deserialize;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long it may take to reach a node on another machine that is ready.
const REACH_TIME_MAX: Duration = Duration::from_secs(5);
/// How many last lines are quoted.
const LAST_LINES_MAX: usize = 12;
/// What a Rust program says when it finds itself broken.
const PANIC: &str = "panicked at";

/// The exit code of a node that does not trust its data.
const REFUSED: i32 = 255;

/// The log's settings, where the caller has none: a quarter of a server's, so that a run of seconds, too, sees segments that are used again, snapshots
/// and compaction.
const LOG_SETTINGS: [(&str, u64); 2] = [("--segment-bytes", 8 << 20), ("--snapshot-log-bytes", 8 << 20)];

/// What it takes to start a node.
pub(super) struct NodeSpec {
    pub(super) node: NodeNumber,
    machine: Machine,
    /// Where it is on its machine.
    program: PathBuf,
    command_line: CommandLine,
    /// Those on its machine.
    folders: Folders,
    /// Its folder here, where its data and its log are in the end.
    kept: PathBuf,
}

/// What a node is started by.
enum CommandLine {
    /// One of the project's own.
    Own {
        args: Vec<String>,
        /// The argument that names the cluster's founders.
        founders: String,
    },
    /// One of another system, which knows its command.
    Other(Site),
}

impl NodeSpec {
    pub(super) fn new(
        cluster: &ClusterSpec,
        node: NodeNumber,
        links: &Links,
        site: Option<&Site>,
    ) -> NodeSpec {
        let machine = Machine::of(cluster, node);
        let folders = machine.folders(cluster, node);
        NodeSpec {
            node,
            program: machine.program(cluster.system.program()),
            command_line: match site {
                None => CommandLine::own(cluster, node, links, &machine, &folders.data),
                Some(site) => CommandLine::Other(site.clone()),
            },
            machine,
            folders,
            kept: Folders::of(cluster, node).own,
        }
    }

    /// What starts it, founding its cluster with others or joining it.
    fn command(&self, joins: bool) -> Command {
        match &self.command_line {
            CommandLine::Own { args, founders } => {
                let mut command = Command::new(&self.program);
                command.args(args).arg(if joins { "--join" } else { founders });
                command
            }
            CommandLine::Other(site) => site.command(self.node),
        }
    }

    /// Where it will listen, of another system's node. The project's own says so when it does.
    fn address(&self) -> Option<SocketAddr> {
        match &self.command_line {
            CommandLine::Own { .. } => None,
            CommandLine::Other(site) => site.client_address(self.node),
        }
    }

    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Where its log is here; that of one on another machine when it has been fetched.
    pub(super) fn log(&self) -> PathBuf {
        self.kept.join(LOG)
    }

    /// Where its data is on its machine.
    pub(super) fn data(&self) -> PathBuf {
        self.folders.data.clone()
    }
}

impl CommandLine {
    fn own(
        cluster: &ClusterSpec,
        node: NodeNumber,
        links: &Links,
        machine: &Machine,
        data: &Path,
    ) -> CommandLine {
        // A node reaches its peers through the links, and itself nowhere: its own entry only completes the list.
        let peer = |to| {
            links
                .address(node, to)
                .map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string())
        };
        let peers = |last| {
            let peers: Vec<String> = (1..=last).map(|to| format!("{to}={}", peer(to))).collect();
            peers.join(",")
        };
        let (least, most) = cluster.timing.election_ticks;
        let mut args = vec![
            "serve".to_owned(),
            format!("--id={node}"),
            format!("--cluster-id={}", cluster.cluster_id),
            format!("--listen={}", SocketAddr::new(machine.address(), 0)),
            // Addresses in the configuration are the same for everybody; links are not.
            format!("--peers={}", peers(cluster.nodes + cluster.spares)),
            format!("--data={}", data.display()),
            format!("--tick={}us", cluster.timing.tick.as_micros()),
            format!("--election-ticks={least}..{most}"),
            format!("--heartbeat-ticks={}", cluster.timing.heartbeat_ticks),
            format!("--seed={}", cluster.seed.wrapping_mul(31).wrapping_add(node)),
        ];
        if !machine.address().is_loopback() {
            // The user has named hosts, and was told what that means.
            args.push("--insecure".to_owned());
        }
        for (flag, bytes) in LOG_SETTINGS {
            let is_given = |arg: &String| arg.split('=').next() == Some(flag);
            if !cluster.extra_args.iter().any(is_given) {
                args.push(format!("{flag}={bytes}"));
            }
        }
        args.extend(cluster.extra_args.iter().cloned());
        CommandLine::Own {
            args,
            founders: format!("--cluster={}", peers(cluster.nodes)),
        }
    }
}

/// How a node is started.
pub(super) struct Start<'a> {
    /// Whether it joins its cluster, instead of founding it.
    pub(super) joins: bool,
    /// What it has to say when it refuses to start on its data; then that is no news. `None` where it has no reason to.
    pub(super) complaint: Option<String>,
    /// What it is told the time by, if that is not the machine's.
    pub(super) clock: Option<&'a Clock>,
}

/// What a node says when it serves.
#[derive(Deserialize)]
struct ReadyLine {
    listen: SocketAddr,
}

/// How a node shows that it serves.
enum Ready {
    /// The project's own says so.
    Line(String),
    /// Any other listens there.
    At(SocketAddr),
}

/// A node's process.
pub(super) struct NodeProcess {
    leash: Arc<Leash>,
    address: SocketAddr,
    exit: watch::Receiver<Option<End>>,
}

/// Holds a process, which is killed when nobody holds it any more.
pub(super) struct Leash {
    reins: Reins,
    exit_is_expected: Arc<AtomicBool>,
    /// What it has to say when it ends by itself; then that is no news.
    excuse: Arc<Mutex<Option<&'static str>>>,
}

/// Whom a disk kills: the process that a node has, or is about to have.
#[derive(Clone, Default)]
pub(super) struct Victim(Arc<Mutex<Lot>>);

/// What is to become of a process.
#[derive(Default)]
enum Lot {
    /// There is none.
    #[default]
    Nobody,
    /// There is none known yet; when it is, it dies.
    Doomed,
    Here(Weak<Leash>),
}

impl Victim {
    /// Kills it, at once or when it is known; whether it was at once.
    pub(super) fn kill(&self) -> bool {
        let mut lot = lock(&self.0);
        match &*lot {
            Lot::Here(leash) => {
                // One that nobody holds any more was killed for that.
                if let Some(leash) = leash.upgrade() {
                    leash.kill();
                }
                true
            }
            Lot::Nobody | Lot::Doomed => {
                *lot = Lot::Doomed;
                false
            }
        }
    }

    /// There is none any more.
    pub(super) fn clear(&self) {
        *lock(&self.0) = Lot::Nobody;
    }

    /// This is it. Whether it dies of that.
    fn arrive(&self, leash: &Arc<Leash>) -> bool {
        let here = Lot::Here(Arc::downgrade(leash));
        let is_doomed = matches!(std::mem::replace(&mut *lock(&self.0), here), Lot::Doomed);
        if is_doomed {
            leash.kill();
        }
        is_doomed
    }
}

impl NodeProcess {
    /// Starts a node, which founds its cluster with others or joins it, and waits for its ready line.
    pub(super) async fn spawn(
        spawner: &Spawner,
        member: &Member,
        start: Start<'_>,
        deaths: Arc<Deaths>,
        limit: Duration,
    ) -> Result<NodeProcess, ClusterError> {
        let spec = &member.spec;
        let node = spec.node;
        let printed = match spec.address() {
            Some(_) => Printed::ToLog,
            None => Printed::FirstLine,
        };
        let mut command = spec.command(start.joins);
        if let Some(clock) = start.clock {
            clock.lend(&mut command);
        }
        let complaint = start.complaint;
        let Started {
            reins,
            ready: ready_line,
            watch: watch_end,
        } = spec
            .machine
            .start(spawner, command, &spec.folders.own, printed)
            .await?;
        let (exit_sender, mut exit) = watch::channel(None);
        // A node that ends while it starts ends by itself too: what it finds on its disk may be what breaks it.
        let leash = Arc::new(Leash {
            reins,
            exit_is_expected: Arc::new(AtomicBool::new(false)),
            excuse: Arc::default(),
        });
        if member.victim.arrive(&leash) {
            member.abandon_disk();
        }
        let expected = Arc::clone(&leash.exit_is_expected);
        let excuse = Arc::clone(&leash.excuse);
        std::thread::Builder::new()
            .name(format!("node {node}"))
            .spawn(move || {
                let Some(end) = watch_end() else {
                    return;
                };
                // Whom death was meant for may have found another one an instant before.
                let was_told = expected.load(Ordering::SeqCst);
                match &end {
                    End::Exited { status, said } => {
                        let (status, last_lines) = (*status, last_lines(said));
                        let has_refused =
                            complaint.is_some_and(|complaint| is_refusal(status, &last_lines, &complaint));
                        // One that has found itself broken may be killed before that ends it.
                        let is_broken = says(&last_lines, PANIC);
                        let is_excused =
                            !is_broken && lock(&excuse).is_some_and(|words| is_excuse(said, words));
                        if !has_refused && !is_excused && (is_broken || !was_told || !is_obedient(status)) {
                            let exit = NodeExit {
                                node,
                                status,
                                was_told,
                                last_lines,
                            };
                            lock(&deaths.unexpected).push(exit);
                        }
                    }
                    End::Lost(words) => lock(&deaths.lost).push(format!("node {node} was lost: {words}")),
                }
                exit_sender.send_replace(Some(end));
            })
            .map_err(|error| system("start a watching thread", error))?;

        let is_ready = async {
            match spec.address() {
                None => ready_line.await.ok().map(Ready::Line),
                Some(address) => tokio::select! {
                    () = listens(address) => Some(Ready::At(address)),
                    _ = exit.wait_for(Option::is_some) => None,
                },
            }
        };
        let ready = tokio::time::timeout(limit, is_ready).await;
        let failed = |reason: String| ClusterError::Start { node, reason };
        let address = match ready {
            Ok(Some(Ready::At(address))) => address,
            Ok(Some(Ready::Line(line))) => {
                match line.strip_prefix("ready ").map(serde_json::from_str::<ReadyLine>) {
                    Some(Ok(ready)) => ready.listen,
                    _ => {
                        return Err(failed(format!(
                            "its first line is no ready line: {:?}",
                            line.trim_end()
                        )));
                    }
                }
            }
            Ok(None) => {
                let end = exit.wait_for(Option::is_some).await.ok();
                return Err(failed(match end.and_then(|end| end.clone()) {
                    Some(End::Exited { status, said }) => {
                        let words = last_lines(&said).pop();
                        format!("{status}: {}", words.as_deref().unwrap_or("without a word"))
                    }
                    Some(End::Lost(words)) => words,
                    None => String::from("exited: without a word"),
                }));
            }
            Err(_) => {
                let limit = humantime::format_duration(limit);
                return Err(failed(format!(
                    "it was not ready within {limit}; its log is {}",
                    spec.log().display()
                )));
            }
        };
        if let Machine::There { host, .. } = &spec.machine {
            reach(address).await.map_err(|reason| {
                let host = host.name();
                failed(format!(
                    "it listens at {address} on host {host}, and is not reached there: {reason}"
                ))
            })?;
        }
        Ok(NodeProcess { leash, address, exit })
    }

    /// The process's number, if it is one of this machine.
    pub(super) fn pid(&self) -> Option<u32> {
        self.leash.reins.pid()
    }

    /// What holds it, to be asked whether it stands still.
    pub(super) fn leash(&self) -> Arc<Leash> {
        Arc::clone(&self.leash)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// From now on it may end without that being news.
    pub(super) fn expect_exit(&mut self) {
        self.leash.expect_exit();
    }

    /// From now on it may end by itself, if it says that.
    pub(super) fn excuse(&self, words: &'static str) {
        *lock(&self.leash.excuse) = Some(words);
    }

    /// Sends a signal; a process that is gone is past hearing it.
    pub(super) fn signal(&self, signal: Signal) {
        self.leash.reins.signal(signal);
    }

    /// Waits until it is gone; `false` if it isn't within `limit`.
    pub(super) async fn wait_exit(&mut self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.exit.wait_for(Option::is_some))
            .await
            .is_ok()
    }
}

impl Leash {
    /// Whether the process stands still; `None` if it is gone, or its machine does not say.
    pub(super) async fn is_stopped(&self) -> Option<bool> {
        self.reins.is_stopped().await
    }

    fn expect_exit(&self) {
        self.exit_is_expected.store(true, Ordering::SeqCst);
    }

    fn kill(&self) {
        self.expect_exit();
        self.reins.signal(Signal::KILL);
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tries whether there is a way to a node that listens.
async fn reach(address: SocketAddr) -> Result<(), String> {
    match tokio::time::timeout(REACH_TIME_MAX, TcpStream::connect(address)).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => {
            let limit = humantime::format_duration(REACH_TIME_MAX);
            Err(format!("no answer for {limit}"))
        }
    }
}

/// Whether that is how a process ends that was told to.
fn is_obedient(status: ExitStatus) -> bool {
    let told = [Signal::KILL, Signal::TERM].map(Signal::as_raw);
    status.success() || status.signal().is_some_and(|signal| told.contains(&signal))
}

/// Whether a node ended by that complaint, and not by finding itself broken.
fn is_refusal(status: ExitStatus, last_lines: &[String], complaint: &str) -> bool {
    status.code() == Some(REFUSED) && says(last_lines, complaint) && !says(last_lines, PANIC)
}

fn says(lines: &[String], words: &str) -> bool {
    lines.iter().any(|line| line.contains(words))
}

/// Whether a node said these words, as its operating system's or its language's library has them.
fn is_excuse(said: &str, words: &str) -> bool {
    said.to_lowercase().contains(&words.to_lowercase())
}

/// The last lines of what a node said; where a panic is among them, those from there on, since a backtrace may follow it.
fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    let last = lines.len().saturating_sub(LAST_LINES_MAX);
    let from = lines
        .iter()
        .rposition(|line| line.contains(PANIC))
        .unwrap_or(last)
        .min(last);
    lines.into_iter().skip(from).take(LAST_LINES_MAX).collect()
}
