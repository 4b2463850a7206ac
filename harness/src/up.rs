//! `harness up`: a cluster to play with.
//!
//! It tells what happens as it happens: what the nodes log of terms, votes and leaders, a line that is kept up to date with who
//! leads, which followers answer its heartbeats and what is committed, and processes that die. One that dies is started again a
//! little later, so that killing nodes by hand is part of the game.

use crate::cli::exit::Exit;
use crate::cluster::{Binary, Cluster, ClusterSpec, NodeNumber, Observation, Timing};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};

/// How often is looked for news.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long a node that died stays down.
const DOWN_TIME: Duration = Duration::from_secs(3);
/// How long the first election may take before that is worth a remark.
const FIRST_ELECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// How much of a node's log is shown at one look.
const LOG_BYTES_MAX: u64 = 16 << 10;

/// A cluster to play with.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// How many nodes.
    pub nodes: u64,
    /// Where data and logs lie; `None`: a fresh folder below `store/up/`.
    pub dir: Option<PathBuf>,
    /// The program; `None`: the one that belongs to this harness.
    pub node_binary: Option<PathBuf>,
    /// Further arguments for each node.
    pub node_args: Vec<String>,
}

/// Starts a cluster and tells what happens in it, until Ctrl-C.
pub async fn up(options: UpOptions) -> Exit {
    let binary = match Binary::locate(options.node_binary.as_deref()) {
        Ok(binary) => binary,
        Err(error) => return refused(&error),
    };
    let dir = options.dir.unwrap_or_else(fresh_dir);
    let spec = ClusterSpec {
        binary: binary.clone(),
        nodes: options.nodes,
        cluster_id: "up".to_owned(),
        dir: dir.clone(),
        seed: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| u64::from(now.subsec_nanos())),
        timing: Timing::default(),
        extra_args: options.node_args,
    };
    // Signals first: Ctrl-C during the start must stop what was started.
    let heard = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = heard else {
        eprintln!("harness: signals can't be heard");
        return Exit::Internal;
    };
    let cluster = tokio::select! {
        started = Cluster::start(spec) => match started {
            Ok(cluster) => cluster,
            Err(error) => return refused(&error),
        },
        _ = interrupt.recv() => return Exit::Valid,
        _ = terminate.recv() => return Exit::Valid,
    };
    introduce(&cluster, &binary, &dir);
    tokio::select! {
        () = tell(&cluster) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("\nStopping. Data and logs stay in {}.", dir.display());
    cluster.stop().await;
    Exit::Valid
}

fn refused(error: &dyn std::error::Error) -> Exit {
    eprintln!("harness: {error}");
    Exit::Usage
}

fn fresh_dir() -> PathBuf {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_millis());
    PathBuf::from("store").join("up").join(now.to_string())
}

fn introduce(cluster: &Cluster, binary: &Binary, dir: &std::path::Path) {
    println!("{} ({})", binary.path().display(), binary.version());
    println!("data and logs: {}\n", dir.display());
    let mut endpoints = Vec::new();
    for node in cluster.nodes() {
        if let (Some(address), Some(process)) = (cluster.client_address(node), cluster.process(node)) {
            println!("  n{node}  {address}  process {process}");
            endpoints.push(address.to_string());
        }
    }
    let (node, endpoints) = (binary.path().display(), endpoints.join(","));
    println!("\nTry, in another terminal:\n");
    println!("  {node} put color blue --endpoints {endpoints}");
    println!("  {node} get color --endpoints {endpoints}");
    println!("  {node} status --endpoints {endpoints}");
    println!(
        "  kill -9 PROCESS      (it is started again {} s later, at another address)",
        DOWN_TIME.as_secs()
    );
    println!("\nCtrl-C stops the cluster.\n");
}

/// Tells what happens, for ever.
async fn tell(cluster: &Cluster) {
    let begun = Instant::now();
    let line = if std::io::stderr().is_terminal() {
        ProgressBar::no_length()
    } else {
        ProgressBar::hidden()
    };
    line.set_style(ProgressStyle::with_template("{msg}").expect("the template is well-formed"));
    let say = |text: &str| {
        let text = format!("{:>9.3} s  {text}", begun.elapsed().as_secs_f64());
        line.suspend(|| println!("{text}"));
    };
    let mut logs: BTreeMap<NodeNumber, u64> = BTreeMap::new();
    let mut exits_told = 0;
    let mut down_since: BTreeMap<NodeNumber, Instant> = BTreeMap::new();
    let mut leader_told = None;
    let mut waiting_told = false;
    loop {
        for node in cluster.nodes() {
            for event in news(cluster, node, logs.entry(node).or_default()) {
                say(&event);
            }
        }
        let exits = cluster.unexpected_exits();
        for exit in &exits[exits_told..] {
            say(&format!("n{} died: {}", exit.node, exit.status));
            down_since.insert(exit.node, Instant::now());
        }
        exits_told = exits.len();
        let due: Vec<NodeNumber> = down_since
            .iter()
            .filter(|(_, since)| since.elapsed() >= DOWN_TIME)
            .map(|(node, _)| *node)
            .collect();
        for node in due {
            down_since.remove(&node);
            match cluster.restart(node).await {
                Ok(()) => {
                    let address = cluster
                        .client_address(node)
                        .map_or_else(String::new, |at| at.to_string());
                    let process = cluster.process(node).unwrap_or_default();
                    say(&format!(
                        "n{node} was started again: {address}, process {process}"
                    ));
                }
                Err(error) => say(&format!("n{node} is still down: {error}")),
            }
        }
        let seen = cluster.observe();
        match seen.leader.map(|leader| (seen.term, leader)) {
            Some((term, leader)) if leader_told != Some((term, leader)) => {
                leader_told = Some((term, leader));
                say(&format!("n{leader} leads term {term}"));
            }
            None if leader_told.is_none() && !waiting_told && begun.elapsed() > FIRST_ELECTION_TIME_MAX => {
                waiting_told = true;
                say("there is no leader yet");
            }
            Some(_) | None => {}
        }
        line.set_message(summary(&seen));
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What a node has logged since the last look, in its own words.
fn news(cluster: &Cluster, node: NodeNumber, read_to: &mut u64) -> Vec<String> {
    let read = || -> std::io::Result<(u64, String)> {
        let mut log = File::open(cluster.log(node))?;
        let from = (*read_to).max(log.metadata()?.len().saturating_sub(LOG_BYTES_MAX));
        log.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        // What follows the last end of a line is still being written.
        bytes.truncate(
            bytes
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1),
        );
        Ok((
            from + bytes.len() as u64,
            String::from_utf8_lossy(&bytes).into_owned(),
        ))
    };
    // A log that can't be read now can be read at the next look.
    let Ok((end, text)) = read() else {
        return Vec::new();
    };
    *read_to = end;
    let own = format!("n{node} ");
    text.lines()
        .filter_map(|line| {
            // Time and level come first; how the nodes reach each other is not told here.
            let words = line
                .split_once("INFO ")
                .or_else(|| line.split_once("WARN "))?
                .1
                .trim();
            words.starts_with(&own).then(|| words.to_owned())
        })
        .collect()
}

/// Who leads, who answers, and what is committed, in one line.
fn summary(seen: &Observation) -> String {
    let Some(leader) = seen.leader else {
        return format!("term {}: no leader", seen.term);
    };
    let status = seen.nodes.get(&leader).and_then(|view| view.status.as_ref());
    let Some(status) = status else {
        return format!("term {}: n{leader} leads", seen.term);
    };
    let followers: Vec<String> = status
        .progress
        .iter()
        .map(|peer| format!("n{} {}", peer.node, if peer.active { "♥" } else { "·" }))
        .collect();
    format!(
        "term {}: n{leader} leads   heartbeats answered: {}   committed: {}",
        status.term,
        followers.join("  "),
        status.commit_index
    )
}
