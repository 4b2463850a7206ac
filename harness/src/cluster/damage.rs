//! Damage to the data of a node that is down, as disks do it.
//!
//! The node itself says what lies where: `node wal inspect` lists the batches of its log and its snapshots. Zeros at their ends are left
//! alone, since they may be padding.

use super::{Cluster, ClusterError};
use crate::client::Connection;
use crate::node_number::NodeNumber;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use wire::client::RequestBody;

/// How long a node may take to make a snapshot.
const SNAPSHOT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a node may take to list what its data holds.
const INSPECT_TIME_MAX: Duration = Duration::from_secs(10);

/// What is done to the data of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damage {
    /// Behind the log's end lies what a write leaves that a loss of power has interrupted. Nothing is lost by it, so the node has to go on.
    Torn,
    /// A bit of the log is flipped, in a batch that the one behind it proves to have been durable. Rot in the last one can't be told from an
    /// interrupted write.
    Log,
    /// A bit of the latest snapshot is flipped.
    Snapshot,
}

/// A bit that was flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wound {
    /// Whose data it is.
    pub node: NodeNumber,
    /// The file.
    pub file: String,
    /// Where the batch begins that is damaged by it.
    pub batch: u64,
    /// Which byte of the file.
    pub byte: u64,
    /// Which bit of that.
    pub bit: u8,
}

impl Wound {
    /// What a node has to say of it.
    pub(super) fn complaint(&self) -> String {
        format!("{} is corrupt at offset {}", self.file, self.batch)
    }
}

impl fmt::Display for Wound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bit {} of byte {} of {} was flipped",
            self.bit, self.byte, self.file
        )
    }
}

/// A line of `node wal inspect --json`.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    file: String,
    offset: u64,
    #[serde(default)]
    bytes: u64,
    found: String,
}

impl Cluster {
    /// Damages the data of a node that is down, at a place that `draw` decides. Where that takes durable bytes from it, it must not start on them
    /// any more.
    ///
    /// # Errors
    /// There is nothing to be damaged, or it can't be.
    ///
    /// # Panics
    /// It is up.
    pub async fn damage(&self, node: NodeNumber, damage: Damage, draw: u64) -> Result<(), ClusterError> {
        assert!(
            !self.is_up(node),
            "node {node} is up: its data is not to be damaged"
        );
        let spec = &self.0.member(node).spec;
        let damaging = async {
            let data = spec.data();
            let lines = inspect(spec.program(), &data).await?;
            let mut random = ChaCha8Rng::seed_from_u64(draw);
            match damage {
                Damage::Torn => tear(&data, &lines, &mut random).map(|()| None),
                Damage::Log => flip(&data, &durable_batches(&lines), node, &mut random).map(Some),
                Damage::Snapshot => flip(&data, &parts(&lines), node, &mut random).map(Some),
            }
        };
        let wound = damaging
            .await
            .map_err(|reason| ClusterError::Damage { node, reason })?;
        let member = self.0.member(node);
        *member.wound() = wound;
        member.keep_data()
    }

    /// Whether a node's data is damaged, so that it must not start on them.
    pub fn is_damaged(&self, node: NodeNumber) -> bool {
        self.0.member(node).wound().is_some()
    }

    /// Has a node take a snapshot.
    ///
    /// # Errors
    /// It does not within some seconds.
    pub async fn take_snapshot(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let asking = async {
            let address = self.client_address(node).ok_or("it is down")?;
            let mut connection = Connection::dial(address, "", Some(node))
                .await
                .map_err(|error| error.to_string())?;
            let answer = connection.call(RequestBody::Snapshot).await;
            let answer = answer.map_err(|error| error.to_string())?;
            answer.map(|_| ()).map_err(|error| error.to_string())
        };
        let answer = tokio::time::timeout(SNAPSHOT_TIME_MAX, asking).await;
        let answer = answer.unwrap_or_else(|_| Err(String::from("no answer in time")));
        answer.map_err(|reason| ClusterError::Operator {
            what: "take a snapshot",
            reason: format!("node {node}: {reason}"),
        })
    }
}

/// What lies in the folder, as the node has it.
async fn inspect(program: &Path, data: &Path) -> Result<Vec<Line>, String> {
    let inspecting = Command::new(program)
        .args(["wal", "inspect", "--json"])
        .arg(data)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(INSPECT_TIME_MAX, inspecting)
        .await
        .map_err(|_| String::from("`wal inspect` does not end"))?
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "`wal inspect` ended with {}: {}",
            output.status,
            words.trim()
        ));
    }
    let lines = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let lines: Result<Vec<Line>, _> = lines.map(serde_json::from_slice).collect();
    lines.map_err(|error| format!("`wal inspect --json` prints something else: {error}"))
}

fn batches<'a>(lines: &'a [Line], prefix: &'a str) -> impl Iterator<Item = &'a Line> {
    let is_one = move |line: &&Line| line.found == "batch" && line.file.starts_with(prefix);
    lines.iter().filter(is_one)
}

/// The batches of the log that later ones prove to have been durable.
fn durable_batches(lines: &[Line]) -> Vec<&Line> {
    let mut durable: Vec<&Line> = batches(lines, "wal-").collect();
    durable.pop();
    durable
}

/// The parts of the latest snapshot. Names sort by age.
fn parts(lines: &[Line]) -> Vec<&Line> {
    let latest = batches(lines, "snapshot-").map(|line| &line.file).max();
    batches(lines, "snapshot-")
        .filter(|line| Some(&line.file) == latest)
        .collect()
}

/// Flips a bit in one of the batches.
fn flip(data: &Path, batches: &[&Line], node: NodeNumber, random: &mut ChaCha8Rng) -> Result<Wound, String> {
    let batch = batches
        .choose(random)
        .ok_or("nothing lies there that is known to be durable")?;
    let (file, mut bytes) = read(data, batch)?;
    let places: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let place = *places.choose(random).ok_or("its batch is empty")?;
    let bit = random.random_range(0..8);
    bytes[place] ^= 1 << bit;
    let byte = batch.offset + place as u64;
    file.write_all_at(&bytes[place..=place], byte)
        .map_err(|error| format!("{}: {error}", batch.file))?;
    Ok(Wound {
        node,
        file: batch.file.clone(),
        batch: batch.offset,
        byte,
        bit,
    })
}

/// Puts a part of a batch behind the last one, as if it had been about to be written.
fn tear(data: &Path, lines: &[Line], random: &mut ChaCha8Rng) -> Result<(), String> {
    let last = batches(lines, "wal-").last().ok_or("its log is empty")?;
    let (file, bytes) = read(data, last)?;
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .ok_or("its last batch is empty")?;
    let end = last.offset + last.bytes;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let room = usize::try_from(length.saturating_sub(end)).unwrap_or(usize::MAX);
    // Less than all of it, so that it is none.
    let torn = random.random_range(1..=used.max(1)).min(room);
    file.write_all_at(&bytes[..torn], end)
        .map_err(|error| format!("{}: {error}", last.file))
}

fn read(data: &Path, batch: &Line) -> Result<(File, Vec<u8>), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", batch.file);
    let file = File::options()
        .read(true)
        .write(true)
        .open(data.join(&batch.file))
        .map_err(failed)?;
    let bytes = usize::try_from(batch.bytes).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; bytes];
    file.read_exact_at(&mut bytes, batch.offset).map_err(failed)?;
    Ok((file, bytes))
}
