//! Where a world begins: what happened before that, a story in the golden scripts' words, is not explored.
//!
//! Some bugs show only where much came together already. A world that had to come to that by itself would be too large.

use super::action::command_name;
use super::ghost::Ghost;
use super::naming::place;
use super::server::{Input, Server};
use super::worlds::{Opening, World};
use raft::{Envelope, NodeId};
use std::collections::VecDeque;

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

/// The servers of a world, its observer and what is in flight at its beginning.
pub(super) fn beginning(world: &World) -> (Vec<Server>, Ghost, Vec<Envelope<u8>>) {
    let ids = (1..=u64::from(world.servers)).map(NodeId);
    let mut servers: Vec<Server> = ids.map(|id| Server::fresh(world, id)).collect();
    let mut ghost = Ghost::new(world.judge);
    let mut stage = Stage {
        world,
        servers: &mut servers,
        ghost: &mut ghost,
        flight: Vec::new(),
    };
    if world.led {
        for input in [Input::Timeout, Input::Heartbeat] {
            stage.come_to_rest(input);
        }
        assert!(
            stage.servers[0].leads(),
            "{} is not led at its beginning",
            world.name
        );
    }
    for step in world.opening {
        stage.play(*step);
    }
    let flight = stage.flight;
    (servers, ghost, flight)
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
        let sent = self.happens(NodeId(id), input);
        self.flight.extend(sent);
    }

    /// Gives a server an input, and gives back what it sends.
    fn happens(&mut self, id: NodeId, input: &Input) -> Vec<Envelope<u8>> {
        let server = &mut self.servers[place(id)];
        let effects = server.take(self.world, input);
        self.ghost.see(server, input, &effects);
        effects.sent
    }

    /// Gives the first server an input, and delivers and persists until nothing moves.
    fn come_to_rest(&mut self, input: Input) {
        let mut pending: VecDeque<(NodeId, Input)> = VecDeque::from([(NodeId(1), input)]);
        while let Some((id, input)) = pending.pop_front() {
            let sent = self.happens(id, &input);
            if !self.servers[place(id)].writing.is_empty() {
                pending.push_back((id, Input::Persist));
            }
            let deliver = |envelope: Envelope<u8>| (envelope.to, Input::Deliver(envelope));
            pending.extend(sent.into_iter().map(deliver));
        }
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
        let (servers, _, flight) = beginning(&world);
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
