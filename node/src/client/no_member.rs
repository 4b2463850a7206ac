//! Why a node names no leader: it may be no member of the cluster. It need not know that itself, for nobody tells one that was removed.

use super::status::ask_status;
use std::time::Duration;
use tokio::time::Instant;
use wire::client::{NodeRole, Status};

/// How long to look for the reason, when the time for the request itself is up.
const LOOK_TIME_MAX: Duration = Duration::from_millis(500);

/// What is so, in words, if the node at `address` is found to be no member.
pub(super) async fn no_member(address: &str) -> Option<String> {
    let deadline = Instant::now() + LOOK_TIME_MAX;
    let status = ask_status(address, deadline).await.ok()?;
    if status.members.is_empty() {
        return Some(format!(
            "{address} is node {}, which waits to be a member: `node add` names it, and takes the endpoint of a member",
            status.node
        ));
    }
    let (leader, at) = leader_of_others(&status, deadline).await?;
    let is_member = leader.members.iter().any(|member| member.node == status.node);
    (!is_member).then(|| {
        format!(
            "{address} is node {}, which was removed from the cluster; node {} leads it, at {at}",
            status.node, leader.node
        )
    })
}

/// The leader among those whom the node takes for the other members, and where it is reached.
async fn leader_of_others(status: &Status, deadline: Instant) -> Option<(Status, String)> {
    let others = status.members.iter().filter(|member| member.node != status.node);
    let asked: Vec<_> = others
        .map(|member| {
            let address = member.address.clone();
            tokio::task::spawn_local(async move { (ask_status(&address, deadline).await, address) })
        })
        .collect();
    let mut found = None;
    for answer in asked {
        if let Ok((Ok(other), address)) = answer.await
            && other.role == NodeRole::Leader
            && other.cluster_id == status.cluster_id
            && other.term >= status.term
        {
            found = Some((other, address));
        }
    }
    found
}
