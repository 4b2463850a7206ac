//! `harness up`: a cluster to play with.
//!
//! It tells what happens as it happens: what the nodes log of terms, votes and leaders, who leads, which followers answer the
//! leader's heartbeats, what is committed, nodes that fall silent, and processes that die. One that dies is started again
//! a little later, so that killing nodes by hand is part of the game.

mod log;
mod state;
mod teller;

use crate::cluster::{Binary, Cluster, ClusterSpec, Timing};
use crate::exit::Exit;
use crate::interrupts::Interrupts;
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use teller::Teller;

/// How often is looked for news.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

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
        system: binary.clone().into(),
        nodes: options.nodes,
        spares: 0,
        cluster_id: "up".to_owned(),
        dir: dir.clone(),
        seed: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| u64::from(now.subsec_nanos())),
        timing: Timing::default(),
        extra_args: options.node_args,
        clocks: false,
        disks: false,
        hosts: None,
    };
    // Signals first: Ctrl-C during the start must stop what was started.
    let mut interrupts = match Interrupts::hear() {
        Ok(interrupts) => interrupts,
        Err(error) => {
            eprintln!("harness: signals can't be heard: {error}");
            return Exit::Internal;
        }
    };
    let begun = Instant::now();
    let mut teller = Teller::new(&spec, begun);
    let cluster = tokio::select! {
        started = Cluster::start(spec) => match started {
            Ok(cluster) => cluster,
            Err(error) => return refused(&error),
        },
        () = interrupts.next() => return Exit::Valid,
    };
    let told = tokio::select! {
        told = tell(&cluster, &mut teller, &binary, &dir) => told,
        () = interrupts.next() => Ok(()),
    };
    drop(teller);
    // Who no longer listens has ended the game too, and hears of nothing.
    let _ = told.and_then(|()| {
        writeln!(
            io::stdout(),
            "\nStopping. Data and logs stay in {}.",
            dir.display()
        )
    });
    tokio::select! {
        _ = cluster.stop() => {}
        // Whoever asks a second time does not want to wait: the nodes die with the harness.
        () = interrupts.next() => {}
    }
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

/// Tells what happens, until nobody listens any more.
async fn tell(cluster: &Cluster, teller: &mut Teller, binary: &Binary, dir: &Path) -> io::Result<()> {
    io::stdout().write_all(introduction(cluster, binary, dir).as_bytes())?;
    loop {
        teller.look(cluster)?;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Where everything is, and what can be done with it.
fn introduction(cluster: &Cluster, binary: &Binary, dir: &Path) -> String {
    let node = binary.path().display();
    let mut nodes = String::new();
    let mut endpoints = Vec::new();
    for number in cluster.nodes() {
        if let (Some(address), Some(process)) = (cluster.client_address(number), cluster.process(number)) {
            nodes.push_str(&format!("  n{number}  {address}  process {process}\n"));
            endpoints.push(address.to_string());
        }
    }
    let endpoints = endpoints.join(",");
    format!(
        "{node} ({version})
data and logs: {dir}

{nodes}
Try, in another terminal:

  {node} put color blue --endpoints {endpoints}
  {node} get color --endpoints {endpoints}
  {node} status --endpoints {endpoints}
  kill -9 PROCESS      (it is started again {down} s later, at another address)
  kill -STOP PROCESS   (it stands still until kill -CONT PROCESS)

Ctrl-C stops the cluster.

",
        version = binary.version(),
        dir = dir.display(),
        down = teller::DOWN_TIME.as_secs(),
    )
}
