//! What a run came to.

use crate::exit::Exit;
use crate::record::{Counts, Latency, Outcome, Tally};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A verdict's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// What clients saw is right.
    True,
    /// It is wrong, or a node found itself broken.
    False,
    /// It could not be told.
    Unknown,
}

impl Valid {
    /// The exit code that says so.
    pub fn exit(self) -> Exit {
        match self {
            Valid::True => Exit::Valid,
            Valid::False => Exit::Violation,
            Valid::Unknown => Exit::Unknown,
        }
    }
}

impl Serialize for Valid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Valid::True => serializer.serialize_bool(true),
            Valid::False => serializer.serialize_bool(false),
            Valid::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

impl<'de> Deserialize<'de> for Valid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Valid, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Known(bool),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Known(true) => Ok(Valid::True),
            Written::Known(false) => Ok(Valid::False),
            Written::Word(word) if word == "unknown" => Ok(Valid::Unknown),
            Written::Word(word) => Err(D::Error::custom(format!("{word:?} is no verdict"))),
        }
    }
}

/// The line that `harness run --json` prints. Fields are only ever added, and `harness help json` says what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The verdict.
    pub valid: Valid,
    /// Why it is not true.
    pub reason: Option<String>,
    /// The workload's name.
    pub workload: String,
    /// What was tested.
    pub system: Cow<'static, str>,
    /// How many nodes.
    pub nodes: u64,
    /// How long the cluster was loaded: for how long operations were begun, the final reads left out.
    pub seconds: f64,
    /// Completed operations by outcome, the final reads among them.
    pub ops: Counts,
    /// How many terms with a leader were seen; `None` of a run that was interrupted before that was recorded.
    pub elections: Option<u64>,
    /// How many faults took effect, by kind; `None` of such a run.
    pub faults: Option<BTreeMap<String, u32>>,
    /// The seed.
    pub seed: u64,
    /// The run's folder.
    pub run_dir: PathBuf,
}

impl Summary {
    /// The faults in words: `kill 2 · pause 3`.
    pub fn faults(&self) -> String {
        let Some(faults) = &self.faults else {
            return String::from("not recorded");
        };
        if faults.is_empty() {
            return String::from("none");
        }
        let faults: Vec<String> = faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        faults.join(" · ")
    }

    /// It as one line of JSON, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("its fields have string keys")
    }
}

/// `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// What `--json` prints.
    #[serde(flatten)]
    pub summary: Summary,
    /// How many clients there were.
    pub concurrency: usize,
    /// How many operations of the load were completed a second, the final reads left out; `None` where it was not recorded.
    #[serde(default)]
    pub per_second: Option<f64>,
    /// How long after its start the cluster served.
    pub start_seconds: Option<f64>,
    /// From the end of the last fault to the end of the first operation that began after it and was ok; `None` if there was no fault, or
    /// no such operation.
    pub recovery_seconds: Option<f64>,
    /// By operation and outcome.
    pub latencies: Vec<LatencyOf>,
    /// Why operations were not ok.
    pub reasons: Vec<ReasonOf>,
    /// What was checked; absent if it could not be.
    pub checked: Option<Checked>,
    /// The violation in words.
    pub explanation: Option<String>,
    /// What the verdict would be if the history had an order.
    pub apart: Standing,
    /// The violation that was seen while the run went on, if that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<EarlyEnd>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

impl Results {
    /// How the run ended, as an exit code.
    pub fn exit(&self) -> Exit {
        let disputed = self.dispute().map(|_| Exit::Internal);
        disputed
            .max(Some(self.summary.valid.exit()))
            .expect("one is there")
    }

    /// That the two checks differ, if they do: one of them is wrong, and nobody can tell which.
    pub fn dispute(&self) -> Option<String> {
        let early = self.ended_early.as_ref()?;
        (early.confirmed == Some(false)).then(|| {
            format!(
                "the check beside the run saw a violation of {}, and the check of {} finds none: one of them is wrong",
                early.object,
                self.summary.run_dir.display()
            )
        })
    }
}

/// A violation that was seen while a run went on, and ended it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyEnd {
    /// When, in seconds since the load began.
    pub seconds: f64,
    /// How many operations were completed by then.
    pub operations: u64,
    /// The object.
    pub object: String,
    /// Whether faults were over by then, nodes healed, and final reads begun.
    #[serde(default)]
    pub healed: bool,
    /// Whether the check of the whole history found a violation, too; `None` where it could not tell.
    pub confirmed: Option<bool>,
}

/// How a run stands apart from its history: by what its nodes did, and by how hard it was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The verdict.
    pub valid: Valid,
    /// Why it is not true.
    pub reason: Option<String>,
    /// The last words of a node, where they tell more.
    pub explanation: Option<String>,
}

/// Latencies of one kind of operation that ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyOf {
    /// The operation.
    pub op: Cow<'static, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    #[serde(flatten)]
    pub latency: Latency,
}

/// A reason for which operations were not ok.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonOf {
    /// How they ended.
    pub outcome: Outcome,
    /// The reason, without particulars.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// What was checked, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The model that judged.
    pub model: Cow<'static, str>,
    /// The engine that did.
    pub engine: Cow<'static, str>,
    /// How many operations.
    pub ops: usize,
    /// On how many objects.
    pub partitions: usize,
    /// How long reading took.
    pub parse_seconds: f64,
    /// How long judging took.
    pub check_seconds: f64,
}

impl LatencyOf {
    /// Those of a tally, in its order.
    pub fn all(tally: &Tally) -> Vec<LatencyOf> {
        tally
            .latencies()
            .into_iter()
            .map(|((op, outcome), latency)| LatencyOf { op, outcome, latency })
            .collect()
    }
}

impl ReasonOf {
    /// Those of a tally, the most frequent first.
    pub fn all(tally: &Tally) -> Vec<ReasonOf> {
        let mut reasons: Vec<ReasonOf> = tally
            .reasons()
            .map(|(outcome, reason, count)| ReasonOf {
                outcome,
                reason: reason.to_owned(),
                count,
            })
            .collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons
    }
}
