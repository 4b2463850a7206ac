//! Makes a data folder with a long past: a node that is its own majority puts values, one entry each, again and again to the same keys, and
//! takes snapshots as it does in service. Every entry goes through the replica's own log, state machine and compaction; only the disk is
//! in memory until the end, when what is left on it is written to DIR.
//!
//! ```console
//! $ cargo run --release -p rustyraft-replica --example long_past -- 100000000 10000 DIR
//! ```

#![allow(clippy::unwrap_used, reason = "an example ends where something is unexpected")]

use bytes::Bytes;
use raft::{NodeId, Silent};
use replica::{Answer, Options, Outbox, Replica, Ticket};
use sim::SimDisk;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wire::record::{Command, Member};

/// How many entries are written at once.
const BATCH: u64 = 512;
const VALUE_BYTES: usize = 100;
const CLUSTER_ID: &str = "past";
const ADDRESS: &str = "127.0.0.1:7101";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [entries, keys, dir] = &arguments[..] else {
        eprintln!("usage: long_past ENTRIES KEYS DIR");
        return ExitCode::from(254);
    };
    let (Ok(entries), Ok(keys)) = (entries.parse::<u64>(), number_of_keys(keys)) else {
        eprintln!("ENTRIES and KEYS are whole numbers, and KEYS at least 1");
        return ExitCode::from(254);
    };
    let dir = PathBuf::from(dir);
    if dir.exists() {
        eprintln!("{} is there already", dir.display());
        return ExitCode::from(254);
    }
    let (disk, options) = (SimDisk::new(), options());
    let began = Instant::now();
    let last = write_past(&disk, &options, entries, keys);
    println!("{last} entries in {:.1} s", began.elapsed().as_secs_f64());
    std::fs::create_dir_all(&dir).unwrap();
    for (name, bytes) in disk.files() {
        std::fs::write(dir.join(&name), disk.peek(&name).unwrap()).unwrap();
        println!("{bytes:>12}  {name}");
    }
    let began = Instant::now();
    let node = Replica::open(disk, &options, Silent).unwrap();
    println!(
        "opened in memory in {:.3} s: applied up to {}, the log goes on to {}",
        began.elapsed().as_secs_f64(),
        node.status().applied_index,
        node.status().last_index
    );
    println!(
        "start it with: node serve --id 1 --cluster-id {CLUSTER_ID} --listen {ADDRESS} --cluster 1={ADDRESS} --data {}",
        dir.display()
    );
    ExitCode::SUCCESS
}

fn number_of_keys(keys: &str) -> Result<u64, ()> {
    keys.parse().ok().filter(|keys| *keys >= 1).ok_or(())
}

fn options() -> Options {
    let mut options = Options::new(NodeId(1), CLUSTER_ID.to_owned(), vec![NodeId(1)]);
    let member = Member {
        address: ADDRESS.to_owned(),
        incarnation: None,
    };
    options.contexts = vec![(NodeId(1), member.to_context())];
    options.incarnation = 1;
    options
}

/// Puts `entries` values, and stops as a process does that is killed. Returns the last index.
fn write_past(disk: &SimDisk, options: &Options, entries: u64, keys: u64) -> u64 {
    let mut node = Replica::open(disk.clone(), options, Silent).unwrap();
    let mut out = Outbox::default();
    let mut turn = |node: &mut Replica<SimDisk, Silent>| {
        while node.has_work() {
            node.send(&mut out);
            node.carry_out(&mut out).unwrap();
        }
        let written = out
            .replies
            .drain(..)
            .filter(|(_, result)| *result == Ok(Answer::Written));
        written.count() as u64
    };
    node.campaign();
    turn(&mut node);
    let mut done = 0;
    while done < entries {
        let batch = BATCH.min(entries - done);
        for number in done..done + batch {
            let key = Bytes::from(format!("key-{}", number % keys));
            let mut value = format!("{number:020}").into_bytes();
            value.resize(VALUE_BYTES, b'.');
            let value = Bytes::from(value);
            node.command(Ticket(number), Command::Put { key, value });
        }
        assert_eq!(turn(&mut node), batch, "every one is acknowledged");
        done += batch;
        if done.is_multiple_of(10_000_000) {
            eprintln!("{done} of {entries}");
        }
    }
    node.status().last_index.0
}
