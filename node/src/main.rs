//! A node of a small replicated key-value store, and the client for people.
//!
//! `node serve` is a thin shell around [`replica::Replica`]: sockets, a timer and a disk. Everything that decides anything is in
//! the crates below it, which know of none of these.
//!
//! # The loop
//!
//! One thread runs it all. Beside it one writes a leader's batches to the write-ahead log, and one prints what is logged. Tasks read from
//! sockets and put what they read into the inbox; the loop takes all of it at once, unless that is very much.
//!
//! ```text
//!   clients ──▶ one task each ──┐                                       ┌──▶ peers    (one connection to each)
//!   peers   ──▶ one task each ──┼──▶ inbox ──▶ loop ──▶ outgoing queues ┤
//!   timer   ────────────────────┘     ▲          │                      └──▶ clients
//!                                     │          ▼
//!                          (bounded: readers wait)
//!
//!   one turn:   1  take in      everything in the inbox, into the replica
//!               2  send         what may leave before the disk is touched; one write a peer
//!               3  apply        what is committed; answer; one write a client
//!               4  carry out    one write and one sync for all that came in
//!               5  again from 2 while there is work, then wait for the inbox, the timer or the disk
//! ```
//!
//! While the disk syncs, more arrives, and shares the next batch: so requests are grouped as naturally as they come. Those that come
//! while others are on their way wait a moment for more (`server::gathering`); one that is alone waits for nothing. Appends are on their
//! way to the followers while this node's own disk works. A follower has nothing else to do meanwhile, and waits for it; a leader goes on
//! with its turns, and writes its next batch when the one before is durable. A batch of a single block is written at once by either: that
//! takes less than to wake a thread.
//!
//! A socket that takes less than it is given gets a task that waits until it takes more; nobody else waits for it.
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | a frame | `wire::limits` | the connection is closed |
//! | connections that wait to be accepted | `BACKLOG` | the other side tries again after a second |
//! | connections that have not said hello | `Capacity::greetings`, `GREETING_TIME_MAX` | the oldest is closed |
//! | clients | `Capacity::clients` | one that is idle for `IDLE_MIN` makes room; where none is, refused with the reason |
//! | descriptors of clients and beginners | `Capacity`: the system's limit, less what the rest of the node needs | as above; where next to nothing is left, the node does not start |
//! | requests in flight of one client | `IN_FLIGHT_MAX` | nothing more is read from it |
//! | answers that one client has not taken | `ANSWERS_BYTES_MAX`; less, the more all have | nothing more is read from it |
//! | those to what was read before | `TOO_MUCH` times as much | reads are refused as busy; where something was changed, the connection is closed |
//! | answers to one who has said all | `STALL_MAX` | the connection is closed |
//! | long frames that come, of all clients | `FRAMES_BYTES_MAX` | they wait; the oldest's connection is closed after `FRAME_TIME_MIN` |
//! | long frames that come, of all other nodes | the same once more | the same |
//! | a frame that has begun to come | `FRAME_STALL_MAX`, `FRAME_TIME_MAX` | the connection is closed |
//! | what waits in the inbox | `INBOX_BYTES_MAX` | a frame that came waits, and nothing more is read after it |
//! | what is taken in at once | `TAKEN_IN_MAX` | left for the next turn |
//! | messages to one peer | `QUEUED_MAX` | lost, as the protocol allows |
//! | a socket that takes nothing | `STALL_MAX` | the connection is closed |
//! | lines of the log that wait for their reader | `LINES_MAX` | lost, and counted |
//! | what is uncommitted | the core's `uncommitted_bytes_max` | refused as busy |
//!
//! # What is absent
//!
//! Encryption and authentication: it listens on loopback unless told `--insecure`. Forwarding: a node that does not lead says
//! who does, and where.

mod cli;
mod client;
mod connection;
mod disk;
mod exit;
mod folder;
mod logging;
mod output;
mod probe;
mod scheduling;
mod serve;
mod server;
#[cfg(test)]
mod testing;

use clap::CommandFactory;
use cli::{Address, Cli, Command, Members, Reach, ServeArgs, WalCommand};
use client::Shown;
use exit::Failure;
use raft::NodeId;
use serde::Serialize;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::process::ExitCode;
use usage::NoCommand;
use wire::client::{MemberChange, RequestBody};

/// Commits come in bursts: what a batch of commands takes in memory is given back at once. The C library's allocator merges and splits
/// its blocks then, which takes a third of what a follower does with a command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(NoCommand::Shown(text)) => return ExitCode::from(output::print(text.as_bytes())),
        Err(NoCommand::Wrong(line)) => {
            output::complain(&format!("error: {line}"));
            return ExitCode::from(exit::USAGE);
        }
    };
    let code = dispatch(cli.command).unwrap_or_else(|failure| {
        output::complain(&format!("error: {failure}"));
        failure.code()
    });
    ExitCode::from(code)
}

fn dispatch(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Serve(args) => serve(*args),
        Command::Data(command) => {
            let shown = client::shown(&command);
            let (body, reach) = client::request_of(command)?;
            block_on(client::run(body, &reach, shown))
        }
        Command::Status { json, reach } => block_on(client::status(&reach, json)),
        Command::Members { json, reach } => block_on(client::list(&reach, json)),
        Command::Add {
            nodes,
            learner,
            replacing,
            wait,
            reach,
        } => {
            each_once(&replacing)?;
            block_on(client::add(&together(nodes)?, &replacing, learner, wait, &reach))
        }
        Command::Remove { nodes, reach } => change(nodes, |node| MemberChange::Remove { node }, &reach),
        Command::Promote { nodes, reach } => change(nodes, |node| MemberChange::Promote { node }, &reach),
        Command::Demote { nodes, reach } => change(nodes, |node| MemberChange::Demote { node }, &reach),
        Command::Transfer { to, reach } => request(RequestBody::Transfer { to }, &reach),
        Command::Snapshot { reach } => block_on(client::snapshot(&reach)),
        Command::Wal {
            command: WalCommand::Inspect { folder, json },
        } => folder::inspect(&folder, json),
        Command::Recover {
            data,
            cluster_id,
            force_new_cluster,
        } => folder::recover(&data, &cluster_id, force_new_cluster),
        Command::Probe {
            data,
            value_size,
            samples,
            json,
        } => probe::probe(
            &probe::Plan {
                data,
                value_bytes: value_size,
                samples,
            },
            json,
        ),
        Command::Version { json } => Ok(output::print(version(json).as_bytes())),
        Command::Help { topic } => help(&topic).map(|text| output::print(text.as_bytes())),
    }
}

fn serve(args: ServeArgs) -> Result<u8, Failure> {
    let settings = args.settings()?;
    // A broken invariant means that the data is no longer safe with this process; nothing in it may go on.
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            output::complain(&format!("error: {panic}\n{backtrace}"));
        } else {
            output::complain(&format!("error: {panic}"));
        }
        std::process::exit(i32::from(exit::INTERNAL));
    }));
    serve::serve(settings)?;
    // Its last lines are worth a moment, and no more than that.
    logging::finish("");
    Ok(exit::DONE)
}

fn change(nodes: Vec<u64>, change: impl Fn(u64) -> MemberChange, reach: &Reach) -> Result<u8, Failure> {
    each_once(&nodes)?;
    let changes = nodes.into_iter().map(change).collect();
    request(RequestBody::Reconfigure { changes }, reach)
}

/// All the nodes that were named, each once.
fn together(named: Vec<Members>) -> Result<BTreeMap<NodeId, Address>, Failure> {
    let mut nodes = BTreeMap::new();
    for (node, address) in named.into_iter().flat_map(|Members(nodes)| nodes) {
        if nodes.insert(node, address).is_some() {
            return Err(Failure::Usage(format!("node {} is named twice", node.0)));
        }
    }
    Ok(nodes)
}

fn each_once(nodes: &[u64]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    match nodes.iter().find(|node| !seen.insert(**node)) {
        Some(node) => Err(Failure::Usage(format!("node {node} is named twice"))),
        None => Ok(()),
    }
}

fn request(body: RequestBody, reach: &Reach) -> Result<u8, Failure> {
    block_on(client::run(body, reach, Shown::Bytes))
}

fn block_on(task: impl Future<Output = u8>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| Failure::Internal(format!("the runtime can't be started: {error}")))?;
    let code = runtime.block_on(task);
    // A name look-up may still hang in a thread of its own; the answer is known, so nobody waits for it.
    runtime.shutdown_background();
    Ok(code)
}

fn version(json: bool) -> String {
    #[derive(Serialize)]
    struct Version {
        version: &'static str,
        wire_min: u16,
        wire_max: u16,
        mutants: bool,
    }
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        wire_min: wire::VERSION_MIN,
        wire_max: wire::VERSION_MAX,
        mutants: cfg!(feature = "mutants"),
    };
    if json {
        let json = serde_json::to_string(&version).expect("numbers and texts are always JSON");
        format!("{json}\n")
    } else {
        let seeded = if version.mutants { ", with seeded bugs" } else { "" };
        format!(
            "node {}, protocol {} to {}{seeded}\n",
            version.version, version.wire_min, version.wire_max
        )
    }
}

fn help(topic: &[String]) -> Result<String, Failure> {
    let mut root = Cli::command();
    root.build();
    let words: Vec<&str> = topic.iter().map(String::as_str).collect();
    Ok(match words[..] {
        [] => format!(
            "{}\nTopics: `node help exit-codes`, `node help json`, `node help members`, `node help transactions`\n",
            root.render_long_help()
        ),
        ["exit-codes"] => exit::HELP.to_string(),
        ["json"] => cli::JSON_HELP.to_string(),
        ["members"] => cli::MEMBERS_HELP.to_string(),
        ["transactions"] => cli::TRANSACTIONS_HELP.to_string(),
        _ => {
            let explained = words
                .iter()
                .try_fold(&mut root, |command, word| command.find_subcommand_mut(word));
            let explained = explained.ok_or_else(|| {
                let topic = topic.join(" ");
                Failure::Usage(format!("there is no command or topic {topic:?}; see `node help`"))
            })?;
            explained.render_long_help().to_string()
        }
    })
}
