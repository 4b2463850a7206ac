//! Whether a node that was told to found a cluster may begin to.
//!
//! A node with an empty data folder cannot know whether it founds a cluster or has forgotten one. Others know: whoever was in the cluster with
//! it has its lost folder in the configuration, and refuses it. So a founder takes no part, that is, neither stands nor votes, before every
//! other founder has met it, which is when a connection is welcomed in either direction. If one of them knows it with another folder, it
//! founds nothing, and waits until it is added anew.
//!
//! A majority that lost its data and is told to found the cluster again thus founds nothing as long as one survivor has its data, whether
//! that is up or not.
//!
//! # What is absent
//!
//! Where all have lost their data there is nobody who could know; nor is there in the moment before a new cluster's first leader has put the
//! founders' folders into the configuration. Nor is it noticed when founders are told of other founders than the first time, of whom none
//! survives.

use super::inbox::Input;
use raft::NodeId;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;
use wire::peer::Packet;

/// How long the other founders are waited for without a word.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// How far a founder is.
#[derive(Debug)]
enum State {
    /// It takes part.
    Over,
    /// These have yet to meet it.
    Waits(BTreeSet<NodeId>),
    /// Somebody knew it before.
    Refused,
}

/// Whether a node takes part.
#[derive(Debug)]
pub(super) struct Founding {
    node: NodeId,
    state: RefCell<State>,
}

impl Founding {
    /// The node `node`, which founds a cluster with `others`; nobody, if it doesn't.
    pub(super) fn with(node: NodeId, others: BTreeSet<NodeId>) -> Founding {
        let state = if others.is_empty() {
            State::Over
        } else {
            State::Waits(others)
        };
        Founding {
            node,
            state: RefCell::new(state),
        }
    }

    /// `other` has met this node, and does not know it with another folder.
    pub(super) fn met(&self, other: NodeId) {
        let mut state = self.state.borrow_mut();
        if let State::Waits(others) = &mut *state
            && others.remove(&other)
            && others.is_empty()
        {
            tracing::info!("all founders have met: the cluster is founded");
            *state = State::Over;
        }
    }

    /// `other` knows this node with another folder.
    pub(super) fn known_with_another_folder(&self, other: NodeId) {
        let mut state = self.state.borrow_mut();
        if let State::Waits(_) = &*state {
            tracing::error!(
                "{} founds nothing: {other} knows it with another data folder, so the cluster is there and this node has lost its data; it waits until \
                 it is removed and added anew (see `node help members`)",
                self.node
            );
            *state = State::Refused;
        }
    }

    /// This node has a term: others have founded the cluster, and it is one of theirs.
    pub(super) fn others_did(&self) {
        self.state.replace(State::Over);
    }

    /// Whether this node takes part.
    pub(super) fn is_over(&self) -> bool {
        matches!(&*self.state.borrow(), State::Over)
    }

    /// Whether `input` is for this node by now: before it takes part, only what a leader says is.
    pub(super) fn admits(&self, input: &Input) -> bool {
        self.is_over()
            || match input {
                Input::Packet(Packet::Message(envelope)) => envelope.message.is_order(),
                Input::Packet(Packet::Parcel { .. })
                | Input::Request { .. }
                | Input::Unreachable(_)
                | Input::Heard(..)
                | Input::Metrics(_) => true,
            }
    }

    /// Those who have yet to meet this node, in words; `None` if it waits for nobody.
    pub(super) fn waits_for(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Over | State::Refused => None,
            State::Waits(others) => {
                let names: Vec<String> = others.iter().map(ToString::to_string).collect();
                Some(names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft::{Envelope, Index, LogPosition, Message, Term};

    fn of_three() -> Founding {
        Founding::with(NodeId(1), [2, 3].map(NodeId).into())
    }

    fn said(message: Message<bytes::Bytes>) -> Input {
        Input::Packet(Packet::Message(Envelope {
            from: NodeId(2),
            to: NodeId(1),
            term: Term(1),
            message,
        }))
    }

    fn vote() -> Input {
        said(Message::Vote {
            last: LogPosition::default(),
            by_transfer: false,
        })
    }

    fn heartbeat() -> Input {
        said(Message::Heartbeat {
            commit: Index(0),
            round: 0,
        })
    }

    #[test]
    fn a_founder_takes_part_when_all_have_met_it() {
        let founding = of_three();
        founding.met(NodeId(3));
        founding.met(NodeId(3));
        assert!(!founding.is_over() && !founding.admits(&vote()) && founding.admits(&heartbeat()));
        assert_eq!(founding.waits_for().as_deref(), Some("n2"));
        founding.met(NodeId(2));
        assert!(founding.is_over() && founding.admits(&vote()));
        founding.known_with_another_folder(NodeId(2));
        assert!(founding.is_over(), "that is another matter then");
    }

    #[test]
    fn one_who_is_known_with_another_folder_waits_for_a_leader() {
        let founding = of_three();
        founding.known_with_another_folder(NodeId(2));
        founding.met(NodeId(2));
        founding.met(NodeId(3));
        assert!(!founding.is_over() && !founding.admits(&vote()) && founding.admits(&heartbeat()));
        assert_eq!(founding.waits_for(), None);
        founding.others_did();
        assert!(founding.is_over());
    }

    #[test]
    fn a_node_that_founds_nothing_with_others_waits_for_nobody() {
        assert!(Founding::with(NodeId(1), BTreeSet::new()).is_over());
    }
}
