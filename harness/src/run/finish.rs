//! The end of a run: faults off, and every node has to answer.

use crate::cluster::{Cluster, ClusterError, Observation};
use crate::nemesis;
use crate::run::load::{Load, Process};
use crate::systems::AnyClient;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workloads::Completion;

/// How long the cluster may take to serve again once the faults are off.
pub const RECOVERY_MAX: Duration = Duration::from_secs(10);
/// How long the nodes may take to agree with each other then, before the final reads; if they don't, those show what clients make of it.
const READY_TO_READ_MAX: Duration = Duration::from_secs(2);
/// How long they may take to be where all the others are when nobody asks anything of them any more.
pub const SETTLING_MAX: Duration = Duration::from_secs(10);
/// How long the final reads at one node may take all in all.
pub const FINAL_READS_MAX: Duration = Duration::from_secs(10);

/// Heals the cluster, and waits until it serves; how long that took.
pub(super) async fn recover(cluster: &Cluster) -> Result<Duration, ClusterError> {
    let begun = Instant::now();
    nemesis::heal_everything(cluster).await?;
    cluster.wait_serving(RECOVERY_MAX).await?;
    let took = begun.elapsed();
    if cluster.tells_how_it_is() {
        // Whether they settle or not, the final reads follow.
        settled(cluster, READY_TO_READ_MAX).await;
    }
    Ok(took)
}

/// Waits until all nodes are in the same state, or two of them have proved to differ, or `limit` has passed; how they are then.
pub(super) async fn settled(cluster: &Cluster, limit: Duration) -> Observation {
    let (mut observations, begun) = (cluster.subscribe(), Instant::now());
    let is_decided = |seen: &Observation| {
        // One that is down by now has died, and nobody starts it again.
        let somebody_died = seen.nodes.values().any(|view| !view.up);
        seen.divergence().is_some() || seen.is_since(begun) && (somebody_died || seen.is_settled())
    };
    match tokio::time::timeout(limit, observations.wait_for(is_decided)).await {
        Ok(Ok(decided)) => decided.clone(),
        // Time is up, or nobody watches any more.
        Ok(Err(_)) | Err(_) => cluster.observe(),
    }
}

/// Has each client make the final reads until they are ok, or `leave` says that nobody needs more of them; why they are not, if so.
pub(super) async fn read_everywhere(
    load: &Arc<Load>,
    clients: Vec<AnyClient>,
    leave: &CancellationToken,
) -> Result<(), String> {
    let mut readers = JoinSet::new();
    for client in clients {
        let (load, leave) = (Arc::clone(load), leave.clone());
        readers.spawn(async move {
            let node = client.home();
            let read = read_all(load, client, &leave).await;
            read.map_err(|reason| format!("the final reads at node {node} did not succeed: {reason}"))
        });
    }
    let mut failed: Vec<String> = readers
        .join_all()
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    failed.sort();
    failed.into_iter().next().map_or(Ok(()), Err)
}

async fn read_all(load: Arc<Load>, client: AnyClient, leave: &CancellationToken) -> Result<(), String> {
    let reads = load.final_reads();
    let mut process = Process::new(load, client);
    let begun = Instant::now();
    for op in reads {
        loop {
            if leave.is_cancelled() {
                return Ok(());
            }
            let completion = process.invoke(&op, None).await;
            match (&completion, process.pause_after(&completion)) {
                (Completion::Ok(_), _) | (_, None) => break,
                (Completion::Fail(reason) | Completion::Info(reason), Some(pause)) => {
                    if begun.elapsed() > FINAL_READS_MAX {
                        return Err(reason.clone());
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
    Ok(())
}
