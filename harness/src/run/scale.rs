//! What recording and the check beside it take at a rate that no real system asks of them: clients of one that answers at once.
//!
//! ```console
//! $ cargo test --release -p rustyraft-harness --lib scale -- --ignored --nocapture
//! ```
//!
//! makes ten million operations, or as many as `OPERATIONS` says, and tells how long they took and how much memory. Of a few nobody learns
//! the outcome, as under faults: they may take effect for as long as the run goes on.

use crate::cluster::{Folders, Links, Reach};
use crate::node_number::NodeNumber;
use crate::record::Recorder;
use crate::run::judge::{Request, judge};
use crate::run::load::{self, Load, MakeClient};
use crate::run::online::Online;
use crate::systems::{Adapter, Clients, Later, Place, Profile, Refusal, Session, Site, Tells};
use checker::Verdict;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wire::client::Status;
use workloads::{Op, Ret, Setting};

/// How many clients there are.
const CLIENTS: usize = 64;
/// Of one operation in so many the answer is lost.
const LOST_EVERY: u64 = 5000;
/// Between two looks at how far the load is.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A system that needs no processes: registers that answer whoever asks, in the turn in which he does.
#[derive(Debug)]
struct AtOnce {
    profile: Profile,
    registers: Arc<Mutex<Registers>>,
}

#[derive(Debug, Default)]
struct Registers {
    held: HashMap<u64, u64>,
    /// How many operations there were.
    asked: u64,
}

impl Registers {
    fn carry_out(&mut self, op: &Op) -> Result<Ret, Refusal> {
        let Registers { held, asked } = self;
        let ret = if let Op::Read { key } = op {
            Ret::Value(held.get(key).copied())
        } else if let Op::Write { key, value } = op {
            held.insert(*key, *value);
            Ret::Written
        } else if let Op::Cas { key, expected, new } = op {
            let matches = held.get(key) == expected.as_ref();
            if matches {
                held.insert(*key, *new);
            }
            Ret::Swapped(matches)
        } else {
            unreachable!("registers are asked for nothing else")
        };
        *asked += 1;
        if asked.is_multiple_of(LOST_EVERY) {
            return Err(Refusal::Indefinite(String::from("the answer was lost")));
        }
        Ok(ret)
    }
}

impl AtOnce {
    fn new() -> AtOnce {
        let profile = Profile {
            program: PathBuf::from("none"),
            version: String::from("0"),
            workloads: vec!["register"],
            nemeses: Vec::new(),
            reach: Reach::Directly,
            tells: Tells::Nothing,
            elects: false,
        };
        AtOnce {
            profile,
            registers: Arc::default(),
        }
    }
}

impl Adapter for AtOnce {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn command(&self, _: NodeNumber, _: &[Place]) -> Command {
        unreachable!("nobody starts it")
    }

    fn dial<'a>(&'a self, _: NodeNumber, _: &'a [Place]) -> Later<'a, Result<Box<dyn Session>, String>> {
        let session: Box<dyn Session> = Box::new(Asked {
            registers: Arc::clone(&self.registers),
        });
        Box::pin(async { Ok(session) })
    }
}

/// A session with it.
struct Asked {
    registers: Arc<Mutex<Registers>>,
}

impl Session for Asked {
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        Box::pin(async move {
            // As a socket does, it lets others have their turn.
            tokio::task::yield_now().await;
            self.registers.lock().unwrap().carry_out(op)
        })
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async { true })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async { None })
    }
}

/// The most memory that the process has taken so far, in MiB.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() >> 10
}

/// What a load came to.
struct Came {
    operations: u64,
    took: Duration,
    /// How many the check was behind at most, and when the load ended.
    behind_max: u64,
    behind: u64,
    /// From the end of the load to that of the check.
    caught_up: Duration,
    given_up: Option<String>,
    /// Operations that were never judged, since those around them never ended.
    unjudged: u64,
    peak_mebibytes: u64,
}

/// Clients make at least so many operations, recorded into `history`, and held against the model meanwhile.
async fn load(history: &Path, operations: u64) -> Came {
    let workload = workloads::by_name("register").unwrap();
    let (online, listener) = Online::start(workload).unwrap().unwrap();
    let recorder = Arc::new(Recorder::create_heard(history, workload.name(), listener).unwrap());
    let stop = CancellationToken::new();
    let setting = Setting {
        seed: 1,
        nodes: 5,
        concurrency: CLIENTS,
    };
    let generator = workload.generator(setting);
    let load = Arc::new(Load::new(Arc::clone(&recorder), generator, stop.clone()));
    let folder = tempfile::tempdir().unwrap();
    let nodes: Vec<NodeNumber> = (1..=5).collect();
    let links = Links::open(&nodes, Reach::Directly).await.unwrap();
    let folders = nodes
        .iter()
        .map(|node| (*node, Folders::below(folder.path(), *node)));
    let site = Site::new(Arc::new(AtOnce::new()), folders.collect(), &links).unwrap();
    let clients = Clients {
        site: Some(site),
        // Somewhere: a node without an address would be down.
        address_of: Arc::new(|_| Some(SocketAddr::from(([127, 0, 0, 1], 1)))),
        nodes,
        cluster_id: String::new(),
        timeout: Duration::from_secs(60),
        reads_at_home: false,
    };
    let make_client: MakeClient =
        Arc::new(move |thread| clients.pinned_to(clients.nodes[thread % clients.nodes.len()]));
    let (begun, progress) = (Instant::now(), online.progress());
    let working = load::start(&load, CLIENTS, &make_client, None, begun);
    let mut behind_max = 0;
    let behind = loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let invoked = recorder.invocations();
        let behind = progress.behind(invoked);
        behind_max = behind_max.max(behind);
        if invoked >= operations {
            break behind;
        }
    };
    stop.cancel();
    working.join_all().await;
    let took = begun.elapsed();
    drop((load, make_client));
    // What ended last is judged when time has gone on.
    recorder.remark("load stop", "clients");
    let recorder = Arc::into_inner(recorder).unwrap();
    let tally = recorder.finish().unwrap();
    let given_up = online.finish();
    Came {
        operations: tally.invocations(),
        took,
        behind_max,
        behind,
        caught_up: begun.elapsed() - took,
        given_up,
        unjudged: progress.behind(tally.invocations()),
        peak_mebibytes: peak_mebibytes(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_clients_of_a_system_that_answers_at_once_do_is_checked_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let came = load(&history, 50_000).await;
    assert_eq!(came.given_up, None);
    assert_eq!(came.unjudged, 0);
    let judged = judge(&history, &Request::default()).unwrap();
    assert_eq!(judged.report.verdict, Verdict::Valid);
    // A read whose answer is lost says nothing.
    let lost_max = came.operations / LOST_EVERY + 1;
    let judged = judged.report.operations as u64;
    assert!(
        judged <= came.operations && judged >= came.operations - lost_max,
        "{judged}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute and 3 GB of disk, and is a measurement"]
async fn ten_million_operations() {
    let operations = std::env::var("OPERATIONS").map_or(10_000_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let came = load(&history, operations).await;
    let per_second = came.operations as f64 / came.took.as_secs_f64();
    println!(
        "{} operations in {:.1} s, {per_second:.0} a second; history of {} MB",
        came.operations,
        came.took.as_secs_f64(),
        std::fs::metadata(&history).unwrap().len() / 1_000_000
    );
    println!(
        "the check was {} operations behind at most, {} at the end, and caught up {:.0} ms later; not judged: {}",
        came.behind_max,
        came.behind,
        came.caught_up.as_secs_f64() * 1e3,
        came.unjudged
    );
    println!("the process took {} MiB at most", came.peak_mebibytes);
    assert_eq!(came.given_up, None);
    let begun = Instant::now();
    let judged = judge(&history, &Request::default()).unwrap();
    println!(
        "the check of the whole: {:?} in {:.1} s, {} MiB at most",
        judged.report.verdict,
        begun.elapsed().as_secs_f64(),
        peak_mebibytes()
    );
}
