//! `node status`: how each endpoint is.

use super::ask::{client_hello, exchange};
use crate::cli::{Address, Reach};
use crate::connection::dial;
use crate::{exit, output};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use wire::client::{NodeRole, Reply, Request, RequestBody, StageTimes, Status};

const HEADINGS: [&str; 9] = [
    "ENDPOINT",
    "NODE",
    "ROLE",
    "TERM",
    "LEADER",
    "LAST",
    "COMMITTED",
    "APPLIED",
    "STATE",
];

/// What an endpoint answered.
struct Line {
    endpoint: Address,
    answer: Result<Status, String>,
    /// Where its time went; asked for only where it is shown, and `None` if it does not know.
    stages: Option<Vec<StageTimes>>,
}

/// Asks all endpoints at once, prints what they say, and returns the exit code.
pub(crate) async fn status(reach: &Reach, as_json: bool) -> u8 {
    let asked: Vec<_> = reach
        .endpoints
        .iter()
        .map(|endpoint| {
            let (endpoint, timeout) = (endpoint.clone(), reach.timeout);
            tokio::task::spawn_local(async move {
                let answer = ask_status(&endpoint, timeout).await;
                let stages = if as_json && answer.is_ok() {
                    ask_stages(&endpoint, timeout).await
                } else {
                    None
                };
                Line {
                    endpoint,
                    answer,
                    stages,
                }
            })
        })
        .collect();
    let mut lines = Vec::new();
    for line in asked {
        lines.push(line.await.expect("asking for a status does not panic"));
    }
    let text = if as_json { json_text(&lines) } else { table(&lines) };
    match output::print(text.as_bytes()) {
        exit::DONE if lines.iter().any(|line| line.answer.is_err()) => exit::NOT_DONE,
        code => code,
    }
}

async fn ask_status(endpoint: &Address, timeout: Duration) -> Result<Status, String> {
    match ask(endpoint, RequestBody::Status, timeout).await? {
        Reply::Status(status) => Ok(status),
        Reply::Value(_) | Reply::Written | Reply::Swapped(_) | Reply::Deleted(_) | Reply::Stages(_) => {
            Err("it answered something else than was asked".to_string())
        }
    }
}

/// A node that is older than the question closes the connection.
async fn ask_stages(endpoint: &Address, timeout: Duration) -> Option<Vec<StageTimes>> {
    match ask(endpoint, RequestBody::Stages, timeout).await.ok()? {
        Reply::Stages(stages) => Some(stages),
        Reply::Value(_) | Reply::Written | Reply::Swapped(_) | Reply::Deleted(_) | Reply::Status(_) => None,
    }
}

async fn ask(endpoint: &Address, body: RequestBody, timeout: Duration) -> Result<Reply, String> {
    let deadline = Instant::now() + timeout;
    let dialled = dial(endpoint.as_str(), &client_hello(), timeout)
        .await
        .map_err(|error| error.to_string())?;
    let request = Request { id: 1, body };
    match timeout_at(deadline, exchange(dialled, &request)).await {
        Ok(Ok(Ok(reply))) => Ok(reply),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err("no answer in time".to_string()),
    }
}

fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Follower => "follower",
        NodeRole::PreCandidate => "pre-candidate",
        NodeRole::Candidate => "candidate",
        NodeRole::Leader => "leader",
    }
}

fn table(lines: &[Line]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_string)];
    for Line { endpoint, answer, .. } in lines {
        if let Ok(status) = answer {
            rows.push(row(endpoint, status));
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    for Line { endpoint, answer, .. } in lines {
        if let Err(reason) = answer {
            text.push_str(&format!("{endpoint}  {reason}\n"));
        }
    }
    text
}

fn row(endpoint: &Address, status: &Status) -> [String; HEADINGS.len()] {
    [
        endpoint.to_string(),
        status.node.to_string(),
        role(status.role).to_string(),
        status.term.to_string(),
        status
            .leader
            .map_or_else(|| "-".to_string(), |leader| leader.to_string()),
        status.last_index.to_string(),
        status.commit_index.to_string(),
        status.applied_index.to_string(),
        format!("{:016x}", status.state_hash),
    ]
}

fn json_text(lines: &[Line]) -> String {
    let lines: Vec<Value> = lines.iter().map(json_line).collect();
    let mut text = serde_json::to_string_pretty(&lines).expect("numbers and texts are always JSON");
    text.push('\n');
    text
}

fn json_line(
    Line {
        endpoint,
        answer,
        stages,
    }: &Line,
) -> Value {
    let status = match answer {
        Ok(status) => status,
        Err(reason) => return json!({ "endpoint": endpoint.as_str(), "error": reason }),
    };
    let progress = |peer: &wire::client::PeerStatus| {
        json!({
            "node": peer.node,
            "matched": peer.matched,
            "next": peer.next,
            "state": peer.state,
            "in_flight": peer.in_flight,
            "active": peer.active,
        })
    };
    json!({
        "endpoint": endpoint.as_str(),
        "node": status.node,
        "cluster_id": status.cluster_id,
        "role": role(status.role),
        "term": status.term,
        "leader": status.leader,
        "last_index": status.last_index,
        "commit_index": status.commit_index,
        "applied_index": status.applied_index,
        // A text: not every reader of JSON keeps 64 bits.
        "state_hash": format!("{:016x}", status.state_hash),
        "voters": status.voters,
        "progress": status.progress.iter().map(progress).collect::<Vec<Value>>(),
        "stages": stages.as_deref().map(json_stages),
    })
}

/// Each stage's times in microseconds: how many, some quantiles, and all of them as pairs of a time and how often.
fn json_stages(stages: &[StageTimes]) -> Value {
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let stage = |times: &StageTimes| {
        let quantile = |per_mille| times.quantile(per_mille).map(microseconds);
        let counted = times
            .times
            .iter()
            .map(|time| json!([microseconds(time.nanoseconds), time.count]));
        let value = json!({
            "count": times.count(),
            "p50_us": quantile(500),
            "p99_us": quantile(990),
            "max_us": quantile(1000),
            "times": counted.collect::<Vec<Value>>(),
        });
        (times.stage.name().to_string(), value)
    };
    Value::Object(stages.iter().map(stage).collect())
}
