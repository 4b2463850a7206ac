//! Damage to the data of a node that is down, as disks do it.
//!
//! The node itself says what lies where: `node wal inspect` lists the batches of its log and its snapshots. Zeros at their ends are left
//! alone, since they may be padding.

use super::machine::Machine;
use super::said::last_words;
use super::{Cluster, ClusterError};
use crate::client::Connection;
use crate::node_number::NodeNumber;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Duration;
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
            let data = Data {
                machine: spec.machine(),
                folder: &spec.data(),
            };
            let lines = data.inspect(spec.program()).await?;
            let mut random = ChaCha8Rng::seed_from_u64(draw);
            match damage {
                Damage::Torn => tear(&data, &lines, &mut random).await.map(|()| None),
                Damage::Log => flip(&data, &durable_batches(&lines), node, &mut random)
                    .await
                    .map(Some),
                Damage::Snapshot => flip(&data, &parts(&lines), node, &mut random).await.map(Some),
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

/// A node's data, on its machine.
struct Data<'a> {
    machine: &'a Machine,
    folder: &'a Path,
}

impl Data<'_> {
    /// What lies there, as the node has it.
    async fn inspect(&self, program: &Path) -> Result<Vec<Line>, String> {
        let folder = self.folder.to_str().ok_or("its path is no UTF-8")?;
        let args = ["wal", "inspect", "--json", folder];
        let inspecting = self.machine.run(program, &args);
        let output = tokio::time::timeout(INSPECT_TIME_MAX, inspecting)
            .await
            .map_err(|_| String::from("`wal inspect` does not end"))?
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let words = last_words(&output.stderr[..]);
            return Err(format!(
                "`wal inspect` ended with {}: {}",
                output.status,
                words.as_deref().unwrap_or("without a word")
            ));
        }
        let lines = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let lines: Result<Vec<Line>, _> = lines.map(serde_json::from_slice).collect();
        lines.map_err(|error| format!("`wal inspect --json` prints something else: {error}"))
    }

    async fn read(&self, batch: &Line) -> Result<Vec<u8>, String> {
        let bytes = usize::try_from(batch.bytes).map_err(|error| error.to_string())?;
        let file = self.folder.join(&batch.file);
        let read = self.machine.read_at(&file, batch.offset, bytes).await;
        read.map_err(|error| format!("{}: {error}", batch.file))
    }

    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let written = self
            .machine
            .write_at(&self.folder.join(file), offset, bytes)
            .await;
        written.map_err(|error| format!("{file}: {error}"))
    }

    /// How long a file is.
    async fn length(&self, file: &str) -> Result<u64, String> {
        let length = self.machine.length(&self.folder.join(file)).await;
        length.map_err(|error| format!("{file}: {error}"))
    }
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
async fn flip(
    data: &Data<'_>,
    batches: &[&Line],
    node: NodeNumber,
    random: &mut ChaCha8Rng,
) -> Result<Wound, String> {
    let batch = batches
        .choose(random)
        .ok_or("nothing lies there that is known to be durable")?;
    let mut bytes = data.read(batch).await?;
    let places: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let place = *places.choose(random).ok_or("its batch is empty")?;
    let bit = random.random_range(0..8);
    bytes[place] ^= 1 << bit;
    let byte = batch.offset.saturating_add(place as u64);
    data.write(&batch.file, byte, &bytes[place..=place]).await?;
    Ok(Wound {
        node,
        file: batch.file.clone(),
        batch: batch.offset,
        byte,
        bit,
    })
}

/// Puts a part of a batch behind the last one, as if it had been about to be written.
async fn tear(data: &Data<'_>, lines: &[Line], random: &mut ChaCha8Rng) -> Result<(), String> {
    let last = batches(lines, "wal-").last().ok_or("its log is empty")?;
    let bytes = data.read(last).await?;
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .ok_or("its last batch is empty")?;
    let end = last.offset.saturating_add(last.bytes);
    let length = data.length(&last.file).await?;
    let room = usize::try_from(length.saturating_sub(end)).unwrap_or(usize::MAX);
    // Less than all of it, so that it is none.
    let torn = random.random_range(1..=used.max(1)).min(room);
    data.write(&last.file, end, &bytes[..torn]).await
}
