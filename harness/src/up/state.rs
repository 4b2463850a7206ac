//! The present state of a cluster, on stderr: on a terminal one line that stays up to date, elsewhere a line now and then.

use crate::cluster::Observation;
use crate::node_number::NodeNumber;
use crate::report::Paint;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};
use wire::client::Status;

/// How long a heartbeat's answer counts. The leader itself forgets who answered at each of its quorum checks, several times a second.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// Between two lines on the present state where there is no terminal.
const STATE_INTERVAL: Duration = Duration::from_secs(2);

/// See the module's documentation.
pub(super) struct State {
    /// On a terminal.
    line: Option<ProgressBar>,
    /// On stderr.
    paint: Paint,
    shown: Option<(Instant, String)>,
    /// When the leader of that time last said that this node answers it.
    answered: BTreeMap<NodeNumber, Instant>,
}

impl State {
    /// Begins to show it.
    pub(super) fn new() -> State {
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
    pub(super) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.line {
            Some(line) => line.suspend(act),
            None => act(),
        }
    }

    /// Shows it.
    pub(super) fn show(&mut self, seen: &Observation) {
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
            first_index: 1,
            snapshot_index: 0,
            members: Vec::new(),
        };
        let view = |status| NodeView {
            up: true,
            paused: false,
            status,
            asked: None,
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
            caught_up: false,
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
