//! What happened before a world begins: a story in the golden scripts' words, of which nothing is explored.
//!
//! Some bugs show only where much came together already. A world that had to come to that by itself would be too large.

use super::action::command_name;
use super::ghost::Ghost;
use super::server::{Input, Server};
use super::worlds::{World, place};
use raft::{Envelope, NodeId};

/// A step of such a story. Servers are named by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The least election time-out passes at this server without a word from its leader.
    Silent(u64),
    /// An election time-out passes at this server.
    Timeout(u64),
    /// This leader is given a command.
    Propose(u64, u8),
    /// The oldest write of this server becomes durable.
    Persist(u64),
    /// This server crashes and starts again.
    Crash(u64),
    /// What is on its way from one server to another arrives.
    Deliver(u64, u64),
    /// What is on its way among these servers arrives, and what they write becomes durable, until nothing moves.
    Stabilize(&'static [u64]),
    /// What is on its way is lost.
    Drop,
}

impl Opening {
    /// In the notation of the golden scripts.
    pub(super) fn words(self) -> String {
        match self {
            Opening::Silent(id) => format!("silent {id}"),
            Opening::Timeout(id) => format!("timeout {id}"),
            Opening::Propose(id, command) => format!("propose {id} {}", command_name(command)),
            Opening::Persist(id) => format!("persist {id}"),
            Opening::Crash(id) => format!("crash {id}\nrestart {id}"),
            Opening::Deliver(from, to) => format!("deliver {from} {to}"),
            Opening::Stabilize(among) => {
                let among: Vec<String> = among.iter().map(u64::to_string).collect();
                format!("stabilize {}", among.join(" "))
            }
            Opening::Drop => String::from("drop"),
        }
    }
}

/// Lets the world's opening happen, and gives back what is in flight then.
pub(super) fn open(world: &World, servers: &mut [Server], ghost: &mut Ghost) -> Vec<Envelope<u8>> {
    let mut stage = Stage {
        world,
        servers,
        ghost,
        flight: Vec::new(),
    };
    for step in world.opening {
        stage.play(*step);
    }
    stage.flight
}

struct Stage<'a> {
    world: &'a World,
    servers: &'a mut [Server],
    ghost: &'a mut Ghost,
    /// On its way, oldest first.
    flight: Vec<Envelope<u8>>,
}

impl Stage<'_> {
    fn play(&mut self, step: Opening) {
        match step {
            Opening::Silent(id) => self.give(id, &Input::Silent),
            Opening::Timeout(id) => self.give(id, &Input::Timeout),
            Opening::Propose(id, command) => self.give(id, &Input::Propose(command)),
            Opening::Persist(id) => self.give(id, &Input::Persist),
            Opening::Crash(id) => self.give(id, &Input::Crash),
            Opening::Deliver(from, to) => {
                self.deliver(|envelope| (envelope.from.0, envelope.to.0) == (from, to));
            }
            Opening::Stabilize(among) => while self.moves(among) {},
            Opening::Drop => self.flight.clear(),
        }
    }

    fn give(&mut self, id: u64, input: &Input) {
        let sent = self.world.happens(self.servers, self.ghost, NodeId(id), input);
        self.flight.extend(sent);
    }

    /// Delivers what arrives of what is on its way now, and says whether there was anything.
    fn deliver(&mut self, mut arrives: impl FnMut(&Envelope<u8>) -> bool) -> bool {
        let arriving: Vec<_> = self.flight.extract_if(.., |envelope| arrives(envelope)).collect();
        for envelope in &arriving {
            self.give(envelope.to.0, &Input::Deliver(envelope.clone()));
        }
        !arriving.is_empty()
    }

    /// What is on its way among these servers arrives, and what they write becomes durable. Says whether there was anything.
    fn moves(&mut self, among: &[u64]) -> bool {
        let is_among = |id: NodeId| among.contains(&id.0);
        let mut moved = self.deliver(|envelope| is_among(envelope.from) && is_among(envelope.to));
        for id in among {
            let writes = self.servers[place(NodeId(*id))].writing.len();
            (0..writes).for_each(|_| self.give(*id, &Input::Persist));
            moved |= writes > 0;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::by_name;
    use super::*;
    use raft::{Index, LogPosition, Storage as _, Term};

    #[test]
    fn an_opening_leads_to_where_a_world_is_to_begin() {
        let world = by_name("returned-tail").expect("there is such a world");
        let (servers, _, flight) = world.beginning();
        let replaced = LogPosition {
            term: Term(2),
            index: Index(2),
        };
        assert_eq!(servers[0].raft.last(), replaced);
        let disk = servers[0].raft.storage();
        assert_eq!((disk.last_index(), disk.term(Index(3))), (Index(3), Ok(Term(1))));
        assert!(servers[1].leads());
        assert_eq!(servers[1].raft.commit_index(), Index(3));
        assert!(!flight.is_empty());
        assert!(
            flight.iter().all(|envelope| envelope.to == NodeId(1)),
            "{flight:?}"
        );
    }

    #[test]
    fn an_opening_is_told_in_the_words_of_golden_scripts() {
        let story = [
            Opening::Timeout(2),
            Opening::Deliver(2, 3),
            Opening::Crash(2),
            Opening::Stabilize(&[1, 3]),
            Opening::Drop,
        ];
        let words: Vec<String> = story.into_iter().map(Opening::words).collect();
        assert_eq!(
            words.join("\n"),
            "timeout 2\ndeliver 2 3\ncrash 2\nrestart 2\nstabilize 1 3\ndrop"
        );
    }
}
