//! How many are served at once, and who makes room for whom.

use super::clients::Client;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many clients are served at once; another one is refused, unless one that is idle makes room for it.
pub(crate) const CLIENTS_MAX: usize = 1024;

/// How many connections may be at their first steps; one more costs the oldest of them its chance. As many as there are clients
/// at most, so that all of them may come at once.
pub(crate) const GREETINGS_MAX: usize = CLIENTS_MAX;

/// How long a client has asked nothing, and has nothing to be told, before it makes room for another.
pub(crate) const IDLE_MIN: Duration = Duration::from_secs(10);

/// How many descriptors are kept for other nodes: most are connected in both directions. Among them are those that are no members.
const PEERS_DESCRIPTORS: usize = 160;

/// How many descriptors are kept for the log: a segment has up to two.
const LOG_DESCRIPTORS: usize = 12;

/// How many are kept for everything else: listeners, who asks how the node is, other files, what the runtime has, and connections that
/// were closed just now.
const OTHER_DESCRIPTORS: usize = 48;

/// How few clients a node is worth starting for; and as many connections may be at their first steps.
const WORTHWHILE_MIN: usize = 8;

/// How many connections a node takes that are no other node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) clients: usize,
    /// Those at their first steps.
    pub(crate) greetings: usize,
}

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity {
            clients: CLIENTS_MAX,
            greetings: GREETINGS_MAX,
        }
    }
}

/// A node that has so few descriptors can't serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a process may have only {limit} files and connections open; this node needs {needed} (see `ulimit -n`)"
)]
pub(crate) struct TooFewDescriptors {
    limit: usize,
    needed: usize,
}

impl Capacity {
    /// What `limit` descriptors are enough for, if a log grows by so many segments before it is cut.
    ///
    /// Whoever connects must not take the descriptor that the disk is about to need, which would be the end of the node.
    pub(crate) fn within(limit: usize, segments: usize) -> Result<Capacity, TooFewDescriptors> {
        // Twice as many segments may be there, as what they cover is in a snapshot before they are needed no more.
        let log = LOG_DESCRIPTORS.saturating_add(segments.saturating_mul(4));
        let reserved = log.saturating_add(PEERS_DESCRIPTORS + OTHER_DESCRIPTORS);
        let left = limit.saturating_sub(reserved);
        if left < 2 * WORTHWHILE_MIN {
            let needed = reserved.saturating_add(2 * WORTHWHILE_MIN);
            return Err(TooFewDescriptors { limit, needed });
        }
        // First steps take a moment, and clients stay.
        let greetings = (left / 4).clamp(WORTHWHILE_MIN, GREETINGS_MAX);
        let clients = (left - greetings).min(CLIENTS_MAX);
        let greetings = (left - clients).min(GREETINGS_MAX);
        Ok(Capacity { clients, greetings })
    }
}

/// The places of the clients that are connected.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    /// The number of the place that was taken last.
    last: Cell<u64>,
    taken: Rc<RefCell<Taken>>,
}

/// By number; without a client while it is being welcomed.
type Taken = BTreeMap<u64, Option<Rc<Client>>>;

/// A client's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    taken: Rc<RefCell<Taken>>,
}

impl Places {
    pub(crate) fn new(max: usize) -> Places {
        Places {
            max,
            last: Cell::new(0),
            taken: Rc::default(),
        }
    }

    /// How many clients are served at most.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// How many clients are served.
    pub(crate) fn taken(&self) -> usize {
        self.taken.borrow().len()
    }

    /// A place for another client, if there is one at `now` or one can be made: of those that are idle for long, the one that is so for
    /// longest leaves.
    pub(crate) fn take(&self, now: Instant) -> Option<Place> {
        if self.taken() >= self.max {
            self.make_some(now)?;
        }
        let mut taken = self.taken.borrow_mut();
        let number = self.last.get() + 1;
        self.last.set(number);
        taken.insert(number, None);
        Some(Place {
            number,
            taken: Rc::clone(&self.taken),
        })
    }

    fn make_some(&self, now: Instant) -> Option<()> {
        let mut taken = self.taken.borrow_mut();
        let idle = taken.iter().filter_map(|(number, client)| {
            let since = client.as_ref()?.idle_since()?;
            Some((since, *number))
        });
        let (since, number) = idle.min()?;
        let idle = now.saturating_duration_since(since);
        if idle < IDLE_MIN {
            return None;
        }
        if let Some(client) = taken.remove(&number).flatten() {
            client.leave();
        }
        tracing::info!(
            "all places are taken: a client that asked nothing for {} s makes room for another",
            idle.as_secs()
        );
        Some(())
    }
}

impl Place {
    /// From here on it may have to make room when it is idle.
    pub(crate) fn is_of(&self, client: &Rc<Client>) {
        if let Some(place) = self.taken.borrow_mut().get_mut(&self.number) {
            *place = Some(Rc::clone(client));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_descriptors_as_usual_all_are_served() {
        for limit in [4096, usize::MAX] {
            assert_eq!(Capacity::within(limit, 1), Ok(Capacity::default()));
        }
    }

    #[test]
    fn with_fewer_descriptors_fewer_are_served_and_the_rest_of_the_node_has_its_own() {
        for limit in 240..4096 {
            let Capacity { clients, greetings } = Capacity::within(limit, 1).unwrap();
            assert!(
                clients >= WORTHWHILE_MIN && greetings >= WORTHWHILE_MIN,
                "{limit}"
            );
            assert!(clients + greetings <= limit - 224, "{limit}");
        }
        let few = Capacity {
            clients: 24,
            greetings: 8,
        };
        assert_eq!(Capacity::within(256, 1), Ok(few));
    }

    #[test]
    fn a_node_with_too_few_descriptors_says_so() {
        let error = Capacity::within(239, 1).unwrap_err();
        let expected =
            "a process may have only 239 files and connections open; this node needs 240 (see `ulimit -n`)";
        assert_eq!(error.to_string(), expected);
        // A log in many segments has many files.
        assert!(Capacity::within(4096, 1 << 10).is_err());
        assert!(Capacity::within(usize::MAX, usize::MAX).is_err());
    }
}
