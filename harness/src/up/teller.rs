//! Who tells what happens in a cluster: a line on stdout for each event, and the present state on stderr, as one line that stays up
//! to date on a terminal and elsewhere as a line now and then.

use super::log::{Event, NodeLog};
use crate::cluster::{Cluster, ClusterError, ClusterSpec, NodeNumber, Observation};
use crate::report::Paint;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use wire::client::Status;

/// How long a node that died stays down.
pub(super) const DOWN_TIME: Duration = Duration::from_secs(3);
/// How long nobody may lead before that is worth a remark.
const LEADERLESS_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a node may say nothing before that is worth a remark.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a heartbeat's answer counts. The leader itself forgets who answered at each of its quorum checks, several times a second.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// Between two lines on the present state where there is no terminal.
const STATE_INTERVAL: Duration = Duration::from_secs(2);

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

/// The present state, as it is shown.
struct State {
    /// On a terminal.
    line: Option<ProgressBar>,
    /// On stderr.
    paint: Paint,
    shown: Option<(Instant, String)>,
    /// When the leader of that time last said that this node answers it.
    answered: BTreeMap<NodeNumber, Instant>,
}

impl State {
    fn new() -> State {
        let stderr = io::stderr();
        let line = stderr.is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_msg}").expect("the template is well-formed");
            ProgressBar::no_length().with_style(style)
        });
        State {
            line,
            paint: Paint::for_stream(&stderr),
            shown: None,
            answered: BTreeMap::new(),
        }
    }

    /// Does something on the terminal while the line is out of the way.
    fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.line {
            Some(line) => line.suspend(act),
            None => act(),
        }
    }

    fn show(&mut self, seen: &Observation) {
        let peers = led(seen).map_or(&[][..], |status| &status.progress);
        for peer in peers.iter().filter(|peer| peer.active) {
            self.answered.insert(peer.node, Instant::now());
        }
        self.answered.retain(|node, at| {
            at.elapsed() < ANSWER_TIME_MAX && seen.nodes.get(node).is_some_and(|view| view.up)
        });
        let text = summary(seen, |node| self.answered.contains_key(&node), self.paint);
        match (&self.line, &self.shown) {
            (Some(line), _) => line.set_message(text),
            (None, Some((at, shown))) if at.elapsed() < STATE_INTERVAL || *shown == text => {}
            (None, _) => {
                // Where stderr is closed there is nobody to show it to.
                let _ = writeln!(io::stderr(), "{text}");
                self.shown = Some((Instant::now(), text));
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// What the leader says of itself.
fn led(seen: &Observation) -> Option<&Status> {
    seen.nodes.get(&seen.leader?)?.status.as_ref()
}

/// Who leads, who answers its heartbeats, and what is committed, in one line.
fn summary(seen: &Observation, answers: impl Fn(NodeNumber) -> bool, paint: Paint) -> String {
    let Some(status) = led(seen) else {
        return format!("term {}: {}", seen.term, paint.doubtful("no leader"));
    };
    let leader = status.node;
    let mut text = format!("term {}: n{leader} leads", status.term);
    let peers = status.progress.iter().map(|peer| peer.node);
    let (answering, silent): (Vec<_>, Vec<_>) = peers
        .filter(|node| *node != leader)
        .partition(|node| answers(*node));
    for (nodes, what) in [
        (answering, paint.good("♥")),
        (silent, paint.bad("no heartbeat answered by")),
    ] {
        if !nodes.is_empty() {
            let names: Vec<String> = nodes.iter().map(|node| format!("n{node}")).collect();
            text.push_str(&format!(" · {what} {}", names.join(" ")));
        }
    }
    text.push_str(&format!(" · committed {}", status.commit_index));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::NodeView;
    use wire::client::{NodeRole, PeerStatus};

    /// Node 2 leads these peers in term 4.
    fn leads(progress: Vec<PeerStatus>) -> Observation {
        let status = Status {
            node: 2,
            cluster_id: String::new(),
            role: NodeRole::Leader,
            term: 4,
            leader: Some(2),
            last_index: 19,
            commit_index: 17,
            applied_index: 17,
            state_hash: 0,
            voters: vec![1, 2, 3],
            progress,
        };
        let view = |status| NodeView {
            up: true,
            paused: false,
            status,
        };
        Observation {
            nodes: BTreeMap::from([(1, view(None)), (2, view(Some(status))), (3, view(None))]),
            leader: Some(2),
            term: 4,
            elections: 1,
        }
    }

    fn peer(node: u64, active: bool) -> PeerStatus {
        PeerStatus {
            node,
            matched: 17,
            next: 18,
            state: String::from("replicate"),
            in_flight: 0,
            active,
        }
    }

    /// Keeps what is shown, and shows it to nobody.
    fn state() -> State {
        State {
            line: Some(ProgressBar::hidden()),
            paint: Paint::PLAIN,
            shown: None,
            answered: BTreeMap::new(),
        }
    }

    fn shown(state: &State) -> String {
        state.line.as_ref().expect("it has a line").message()
    }

    #[test]
    fn the_state_says_who_leads_who_answers_and_what_is_committed() {
        let mut state = state();
        state.show(&leads(vec![peer(1, true), peer(3, false)]));
        assert_eq!(
            shown(&state),
            "term 4: n2 leads · ♥ n1 · no heartbeat answered by n3 · committed 17"
        );
        state.show(&Observation {
            leader: None,
            ..leads(Vec::new())
        });
        assert_eq!(shown(&state), "term 4: no leader");
    }

    #[test]
    fn who_answered_a_moment_ago_still_does_unless_it_died() {
        let mut state = state();
        state.show(&leads(vec![peer(1, true), peer(3, true)]));
        // As it is just after a quorum check.
        let mut seen = leads(vec![peer(1, false), peer(3, false)]);
        state.show(&seen);
        assert_eq!(shown(&state), "term 4: n2 leads · ♥ n1 n3 · committed 17");
        seen.nodes.get_mut(&3).unwrap().up = false;
        state.show(&seen);
        assert_eq!(
            shown(&state),
            "term 4: n2 leads · ♥ n1 · no heartbeat answered by n3 · committed 17"
        );
    }
}
