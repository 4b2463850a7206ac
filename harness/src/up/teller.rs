//! Who tells what happens in a cluster: a line on stdout for each event.

use super::log::{Event, NodeLog};
use super::state::State;
use crate::cluster::{Cluster, ClusterError, ClusterSpec, Observation};
use crate::node_number::NodeNumber;
use crate::report::Paint;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a node that died stays down.
pub(super) const DOWN_TIME: Duration = Duration::from_secs(3);
/// How long nobody may lead before that is worth a remark.
const LEADERLESS_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a node may say nothing before that is worth a remark.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(super) struct Teller {
    begun: Instant,
    /// On stdout.
    paint: Paint,
    logs: BTreeMap<NodeNumber, NodeLog>,
    state: State,
    exits_told: usize,
    down_since: BTreeMap<NodeNumber, Instant>,
    starts: JoinSet<(NodeNumber, Result<(), ClusterError>)>,
    leader_told: Option<(u64, NodeNumber)>,
    leaderless_since: Option<Instant>,
    leaderless_told: bool,
    silent_since: BTreeMap<NodeNumber, Instant>,
    silence_told: BTreeSet<NodeNumber>,
}

impl Teller {
    /// Tells of the cluster that `spec` is about to become; times count from `begun` on.
    pub(super) fn new(spec: &ClusterSpec, begun: Instant) -> Teller {
        // Where it will lie is known before there is a cluster, and what lies there already is not news.
        let log = |node: NodeNumber| {
            let path = spec.dir.join("nodes").join(node.to_string()).join("log");
            (node, NodeLog::from_end(node, &path))
        };
        Teller {
            begun,
            paint: Paint::for_stream(&io::stdout()),
            logs: (1..=spec.nodes).map(log).collect(),
            state: State::new(),
            exits_told: 0,
            down_since: BTreeMap::new(),
            starts: JoinSet::new(),
            leader_told: None,
            leaderless_since: None,
            leaderless_told: false,
            silent_since: BTreeMap::new(),
            silence_told: BTreeSet::new(),
        }
    }

    /// Tells what happened since the last look, and starts again who has been down for long enough.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub(super) fn look(&mut self, cluster: &Cluster) -> io::Result<()> {
        self.tell_logs(cluster)?;
        self.tell_deaths(cluster)?;
        self.start_again(cluster)?;
        let seen = cluster.observe();
        self.tell_leader(&seen)?;
        self.tell_silence(&seen)?;
        self.state.show(&seen);
        Ok(())
    }

    fn say(&self, text: &str) -> io::Result<()> {
        let time = format!("{:>9.3} s", self.begun.elapsed().as_secs_f64());
        self.state
            .aside(|| writeln!(io::stdout(), "{}  {text}", self.paint.dim(&time)))
    }

    fn tell_logs(&mut self, cluster: &Cluster) -> io::Result<()> {
        let logs = self.logs.iter_mut();
        let mut events: Vec<Event> = logs
            .flat_map(|(node, log)| log.news(&cluster.log(*node)))
            .collect();
        // In the order in which it happened. What a node did within one instant stays in the order of its log.
        events.sort_by(|one, other| one.time.cmp(&other.time));
        events.iter().try_for_each(|event| self.say(&event.words))
    }

    fn tell_deaths(&mut self, cluster: &Cluster) -> io::Result<()> {
        let exits = cluster.unexpected_exits();
        for exit in &exits[self.exits_told..] {
            self.say(&self.paint.bad(&format!("n{} died: {}", exit.node, exit.status)))?;
            // Whom a signal struck had no time for last words.
            if exit.status.signal().is_none() {
                for line in &exit.last_lines {
                    self.say(&self.paint.dim(&format!("  {line}")))?;
                }
            }
            self.down_since.insert(exit.node, Instant::now());
        }
        self.exits_told = exits.len();
        Ok(())
    }

    fn start_again(&mut self, cluster: &Cluster) -> io::Result<()> {
        let due = self
            .down_since
            .extract_if(.., |_, since| since.elapsed() >= DOWN_TIME);
        for (node, _) in due {
            let cluster = cluster.clone();
            self.starts
                .spawn(async move { (node, cluster.restart(node).await) });
        }
        while let Some(start) = self.starts.try_join_next() {
            let (node, outcome) = start.expect("starting a node does not panic");
            match outcome {
                Ok(()) => {
                    // One that has died since then is told of at the next look.
                    if let (Some(address), Some(process)) =
                        (cluster.client_address(node), cluster.process(node))
                    {
                        self.say(&format!(
                            "n{node} was started again: {address}, process {process}"
                        ))?;
                    }
                }
                Err(error) => {
                    self.say(&self.paint.bad(&error.to_string()))?;
                    self.down_since.insert(node, Instant::now());
                }
            }
        }
        Ok(())
    }

    fn tell_leader(&mut self, seen: &Observation) -> io::Result<()> {
        if let Some(leader) = seen.leader {
            (self.leaderless_since, self.leaderless_told) = (None, false);
            if self.leader_told != Some((seen.term, leader)) {
                self.leader_told = Some((seen.term, leader));
                self.say(&self.paint.good(&format!("n{leader} leads term {}", seen.term)))?;
            }
            return Ok(());
        }
        let since = *self.leaderless_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= LEADERLESS_TIME_MAX && !self.leaderless_told {
            self.leaderless_told = true;
            // Whoever leads next is news, even if it is the same as before.
            self.leader_told = None;
            self.say(&self.paint.doubtful("nobody leads"))?;
        }
        Ok(())
    }

    /// Tells of nodes that are there and say nothing, as one does that was stopped by hand.
    fn tell_silence(&mut self, seen: &Observation) -> io::Result<()> {
        for (node, view) in &seen.nodes {
            if view.status.is_none() && view.up {
                let since = *self.silent_since.entry(*node).or_insert_with(Instant::now);
                if since.elapsed() >= SILENCE_TIME_MAX && self.silence_told.insert(*node) {
                    self.say(&self.paint.doubtful(&format!("n{node} says nothing")))?;
                }
                continue;
            }
            self.silent_since.remove(node);
            if self.silence_told.remove(node) && view.up {
                self.say(&format!("n{node} speaks again"))?;
            }
        }
        Ok(())
    }
}
