//! Telling what happens while a run goes on: who leads, and how far it is.

use crate::cluster::Cluster;
use crate::record::Recorder;
use crate::report::Moment;
use crate::run::online::Progress;
use crate::run::test::Surroundings;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Starts to tell, until the task is aborted.
pub(super) fn start(
    surroundings: &Surroundings<'_>,
    cluster: &Cluster,
    recorder: &Arc<Recorder>,
    fault: &Arc<Mutex<Option<String>>>,
    check: Option<Progress>,
) -> JoinHandle<()> {
    let (live, label) = (Arc::clone(surroundings.live), surroundings.label.clone());
    let (cluster, recorder, fault) = (cluster.clone(), Arc::clone(recorder), Arc::clone(fault));
    tokio::spawn(async move {
        let mut look = tokio::time::interval(INTERVAL);
        let mut told = (None, 0);
        let (mut counted, mut counted_at, mut rate) = (0, Instant::now(), 0);
        loop {
            look.tick().await;
            let seen = cluster.observe();
            let led = (seen.leader, seen.term);
            if let Some(leader) = seen.leader
                && led != told
            {
                live.event(
                    recorder.elapsed(),
                    &format!("n{leader} leads in term {}", seen.term),
                );
                told = led;
            }
            let counts = recorder.counts();
            let since = counted_at.elapsed();
            if since >= Duration::from_secs(1) {
                rate = ((counts.total() - counted) as f64 / since.as_secs_f64()).round() as u64;
                (counted, counted_at) = (counts.total(), Instant::now());
            }
            live.status(&Moment {
                test: label.clone(),
                elapsed: recorder.elapsed(),
                rate,
                counts,
                leader: seen.leader,
                term: seen.term,
                fault: fault
                    .lock()
                    .expect("nothing panics while it holds the lock")
                    .clone(),
                behind: check
                    .as_ref()
                    .map_or(0, |check| check.behind(recorder.invocations())),
            });
        }
    })
}
