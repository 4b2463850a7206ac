//! `node status`: how each endpoint is.

use super::ask::{client_hello, exchange};
use super::json;
use crate::cli::{Address, ReachEach};
use crate::connection::dial;
use crate::{exit, output};
use tokio::time::{Instant, timeout_at};
use wire::client::{NodeRole, Reply, Request, RequestBody, StageTimes, Status};

const HEADINGS: [&str; 10] = [
    "ENDPOINT",
    "NODE",
    "ROLE",
    "TERM",
    "LEADER",
    "LAST",
    "COMMITTED",
    "APPLIED",
    "SNAPSHOT",
    "STATE",
];

const PROGRESS_HEADINGS: [&str; 7] = ["NODE", "PART", "MATCHED", "BEHIND", "STATE", "IN FLIGHT", "HEARD"];

/// What an endpoint answered.
pub(super) struct Line {
    pub(super) endpoint: Address,
    pub(super) answer: Result<Status, String>,
    /// Where its time went; asked for only where it is shown, and `None` if it does not know.
    pub(super) stages: Option<Vec<StageTimes>>,
}

/// Asks all endpoints at once, prints what they say, and returns the exit code.
pub(crate) async fn status(reach: &ReachEach, as_json: bool) -> u8 {
    let deadline = Instant::now() + reach.timeout;
    let asked: Vec<_> = reach
        .endpoints
        .iter()
        .map(|endpoint| {
            let endpoint = endpoint.clone();
            tokio::task::spawn_local(async move {
                let answer = ask_status(endpoint.as_str(), deadline).await;
                let stages = if as_json && answer.is_ok() {
                    ask_stages(endpoint.as_str(), deadline).await
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
    let text = if as_json {
        json::statuses(&lines)
    } else {
        table(&lines)
    };
    match output::print(text.as_bytes()) {
        exit::DONE if lines.iter().any(|line| line.answer.is_err()) => exit::NOT_DONE,
        code => code,
    }
}

pub(super) async fn ask_status(endpoint: &str, deadline: Instant) -> Result<Status, String> {
    let reply = ask(endpoint, RequestBody::Status, deadline).await?;
    if let Reply::Status(status) = reply {
        return Ok(status);
    }
    Err(misanswered(&reply))
}

/// A node that is older than the question closes the connection.
async fn ask_stages(endpoint: &str, deadline: Instant) -> Option<Vec<StageTimes>> {
    match ask(endpoint, RequestBody::Stages, deadline).await {
        Ok(Reply::Stages(stages)) => Some(stages),
        Ok(_) | Err(_) => None,
    }
}

/// What is said of an answer to another question.
pub(super) fn misanswered(reply: &Reply) -> String {
    format!("it answered something else than was asked: {reply:?}")
}

async fn ask(endpoint: &str, body: RequestBody, deadline: Instant) -> Result<Reply, String> {
    let time_left = deadline.saturating_duration_since(Instant::now());
    let dialled = dial(endpoint, &client_hello(), time_left)
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

pub(super) fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Follower => "follower",
        NodeRole::PreCandidate => "pre-candidate",
        NodeRole::Candidate => "candidate",
        NodeRole::Leader => "leader",
    }
}

fn table(lines: &[Line]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_string).to_vec()];
    for Line { endpoint, answer, .. } in lines {
        if let Ok(status) = answer {
            rows.push(row(endpoint, status).to_vec());
        }
    }
    let mut text = aligned(&rows);
    for Line { endpoint, answer, .. } in lines {
        if let Err(reason) = answer {
            text.push_str(&format!("{endpoint}  {reason}\n"));
        }
    }
    let answers = lines.iter().filter_map(|line| line.answer.as_ref().ok());
    let leaders = answers.filter(|status| status.role == NodeRole::Leader);
    if let Some(leader) = leaders.max_by_key(|status| status.term) {
        text.push_str(&format!("\nAs node {}, which leads, has it:\n\n", leader.node));
        text.push_str(&aligned(&progress_rows(leader)));
    }
    text
}

/// How far each member is.
fn progress_rows(leader: &Status) -> Vec<Vec<String>> {
    let mut rows = vec![PROGRESS_HEADINGS.map(str::to_string).to_vec()];
    for member in &leader.members {
        let peer = leader.progress.iter().find(|peer| peer.node == member.node);
        let of_peer = match peer {
            Some(peer) => [
                peer.matched.to_string(),
                leader.last_index.saturating_sub(peer.matched).to_string(),
                peer.state.clone(),
                peer.in_flight.to_string(),
                if peer.active { "yes" } else { "no" }.to_string(),
            ],
            None => [
                leader.last_index.to_string(),
                "0".to_string(),
                "-".to_string(),
                "-".to_string(),
                "-".to_string(),
            ],
        };
        let mut row = vec![member.node.to_string(), member.role.name().to_string()];
        row.extend(of_peer);
        rows.push(row);
    }
    rows
}

/// Rows whose columns stand below each other.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
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
        status.snapshot_index.to_string(),
        format!("{:016x}", status.state_hash),
    ]
}
