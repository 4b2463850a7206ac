//! `node members`, `node add`, `node snapshot`.

use super::ask::{Attempt, Outcome, ask, attempt};
use super::json;
use super::status::{aligned, misanswered};
use super::{done, done_at};
use crate::cli::{Address, Reach, ReachEach};
use crate::{exit, output};
use raft::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use wire::client::{Member, MemberChange, MemberRole, Reply, Request, RequestBody};

/// Prints who takes part, and returns the exit code.
pub(crate) async fn list(reach: &Reach, as_json: bool) -> u8 {
    let members = match members(reach).await {
        Ok(members) => members,
        Err(code) => return code,
    };
    let text = if as_json {
        json::members(&members)
    } else {
        let mut rows = vec![
            ["NODE", "PART", "ADDRESS", "DATA FOLDER"]
                .map(str::to_string)
                .to_vec(),
        ];
        rows.extend(members.iter().map(row));
        aligned(&rows)
    };
    output::print(text.as_bytes())
}

fn row(member: &Member) -> Vec<String> {
    let folder = member
        .incarnation
        .map(|incarnation| format!("{incarnation:032x}"));
    let or_dash = |text: String| if text.is_empty() { "-".to_string() } else { text };
    vec![
        member.node.to_string(),
        member.role.name().to_string(),
        or_dash(member.address.clone()),
        or_dash(folder.unwrap_or_default()),
    ]
}

async fn members(reach: &Reach) -> Result<Vec<Member>, u8> {
    let reply = done(ask(RequestBody::Members, reach).await)?;
    if let Reply::Members(members) = reply {
        return Ok(members);
    }
    output::complain(&format!("not done: {}", misanswered(&reply)));
    Err(exit::NOT_DONE)
}

/// Adds nodes: as learners first, and, unless that is all that is wanted, as voters once they keep up, for `wait` at most; then those in
/// `replaced` leave at the same time. What is done already is not done again. Returns the exit code.
pub(crate) async fn add(
    nodes: &BTreeMap<NodeId, Address>,
    replaced: &[u64],
    learners: bool,
    wait: Duration,
    reach: &Reach,
) -> u8 {
    match add_all(nodes, replaced, learners, wait, reach).await {
        Ok(()) => exit::DONE,
        Err(code) => code,
    }
}

async fn add_all(
    nodes: &BTreeMap<NodeId, Address>,
    replaced: &[u64],
    learners: bool,
    wait: Duration,
    reach: &Reach,
) -> Result<(), u8> {
    let known = members(reach).await?;
    let mut adding = Vec::new();
    for (node, address) in nodes {
        match known.iter().find(|member| member.node == node.0) {
            Some(Member {
                role: MemberRole::Learner,
                address: known,
                ..
            }) if known == address.as_str() => {}
            Some(member) => {
                let (part, known) = (member.role.name(), &member.address);
                output::complain(&format!("not done: {node} is a {part} already, at {known}"));
                return Err(exit::NOT_DONE);
            }
            None => adding.push(MemberChange::AddLearner {
                node: node.0,
                address: address.to_string(),
            }),
        }
    }
    for (node, address) in nodes {
        // One that takes the place of another may have its address, too.
        let there = |member: &&Member| {
            member.node != node.0 && !replaced.contains(&member.node) && member.address == address.as_str()
        };
        let known = known.iter().find(there).map(|member| NodeId(member.node));
        let named = nodes.iter().find(|(other, of)| *other != node && *of == address);
        if let Some(other) = known.or(named.map(|(other, _)| *other)) {
            output::complain(&format!(
                "not done: {address} is where {other} is reached, not {node}"
            ));
            return Err(exit::NOT_DONE);
        }
    }
    // Before anything is changed: a mistake in the second step would leave the first done.
    if let Some(stranger) = replaced
        .iter()
        .find(|node| !known.iter().any(|member| member.node == **node))
    {
        output::complain(&format!("not done: {} is no member", NodeId(*stranger)));
        return Err(exit::NOT_DONE);
    }
    if !adding.is_empty() {
        done(ask(RequestBody::Reconfigure { changes: adding }, reach).await)?;
    }
    if learners {
        return Ok(());
    }
    let names: Vec<String> = nodes.keys().map(ToString::to_string).collect();
    let names = names.join(", ");
    output::tell(&format!(
        "{names} will vote as soon as everything before has arrived there"
    ));
    let promoted = nodes.keys().map(|node| MemberChange::Promote { node: node.0 });
    let removed = replaced.iter().map(|node| MemberChange::Remove { node: *node });
    let body = RequestBody::Reconfigure {
        changes: promoted.chain(removed).collect(),
    };
    let patient = Reach {
        timeout: wait,
        ..reach.clone()
    };
    let outcome = match ask(body, &patient).await {
        Outcome::NotDone(reason) => Outcome::NotDone(format!(
            "{reason}; {names} is left as a learner: `node add` goes on from there, `node remove` takes it back"
        )),
        Outcome::Unknown(reason) => Outcome::Unknown(format!(
            "{reason}; {names} may still be a learner, which `node members` shows: `node add` goes on from there, `node remove` takes it back"
        )),
        outcome @ Outcome::Done(_) => outcome,
    };
    done(outcome).map(|_| ())
}

/// Has each endpoint take a snapshot, and tells what it covers. Returns the exit code.
pub(crate) async fn snapshot(reach: &ReachEach) -> u8 {
    let mut code = exit::DONE;
    let request = Request {
        id: 1,
        body: RequestBody::Snapshot,
    };
    for endpoint in &reach.endpoints {
        let deadline = Instant::now() + reach.timeout;
        let outcome = match attempt(endpoint.as_str(), &request, deadline, true).await {
            Attempt::Answered(Ok(Reply::Snapshotted { index })) => {
                let line = format!("{endpoint}  a snapshot covers everything up to entry {index}\n");
                code = code.max(output::print(line.as_bytes()));
                continue;
            }
            Attempt::Answered(Ok(other)) => Outcome::NotDone(misanswered(&other)),
            Attempt::Answered(Err(error)) if error.is_definite() => Outcome::NotDone(error.to_string()),
            Attempt::Answered(Err(error)) => Outcome::Unknown(error.to_string()),
            Attempt::NotSent(reason) => Outcome::NotDone(reason),
            Attempt::NoAnswer(reason) => Outcome::Unknown(reason),
        };
        if let Err(failed) = done_at(endpoint, outcome) {
            code = code.max(failed);
        }
    }
    code
}
