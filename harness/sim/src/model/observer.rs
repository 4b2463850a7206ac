//! What clients see, held against a register by stateright's own test of linearizability.
//!
//! It keeps the whole history of calls, so states that differ in nothing else stay apart: for small worlds only. Elsewhere the
//! ghost's rule says the same in a few bytes: no read below what was acknowledged when it was asked.

use super::server::Server;
use raft::{Entry, EntryData, Index, LogPosition, NodeId, Permute, ReadToken};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// Reads are named apart from commands.
const READS_FROM: u64 = 1 << 8;

/// A register of one byte; 0 before it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Register(u8);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Call {
    Write(u8),
    Read,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Written,
    Value(u8),
}

impl SequentialSpec for Register {
    type Op = Call;
    type Ret = Answer;

    fn invoke(&mut self, call: &Call) -> Answer {
        match call {
            Call::Write(value) => {
                self.0 = *value;
                Answer::Written
            }
            Call::Read => Answer::Value(self.0),
        }
    }
}

/// Clients, each of which makes one call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Observer {
    tester: LinearizabilityTester<u64, Register>,
    /// Commands that are not answered: who was asked, where it took the command in.
    proposed: Vec<(u8, NodeId, LogPosition)>,
}

impl Default for Observer {
    fn default() -> Self {
        Observer {
            tester: LinearizabilityTester::new(Register::default()),
            proposed: Vec::new(),
        }
    }
}

impl Observer {
    fn invoked(&mut self, client: u64, call: Call) {
        self.tester
            .on_invoke(client, call)
            .expect("each client makes one call");
    }

    fn returned(&mut self, client: u64, answer: Answer) {
        self.tester
            .on_return(client, answer)
            .expect("a call that was made is answered once");
    }

    pub(super) fn proposes(&mut self, server: NodeId, command: u8, position: LogPosition) {
        self.invoked(u64::from(command), Call::Write(command));
        self.proposed.push((command, server, position));
    }

    pub(super) fn reads(&mut self, token: ReadToken) {
        self.invoked(READS_FROM + token.0, Call::Read);
    }

    /// Who was waiting for this server will never know.
    pub(super) fn crashed(&mut self, server: NodeId) {
        self.proposed.retain(|(_, asked, _)| *asked != server);
    }

    /// A leader applies entries, and answers those that it took in itself.
    pub(super) fn applies(&mut self, server: NodeId, entries: &[Entry<u8>]) {
        for entry in entries {
            let is_answer = |(_, asked, position): &(u8, NodeId, LogPosition)| {
                (*asked, *position) == (server, entry.position())
            };
            if let Some(place) = self.proposed.iter().position(is_answer) {
                let (command, ..) = self.proposed.remove(place);
                self.returned(u64::from(command), Answer::Written);
            }
        }
    }

    /// A read is answered from the state at `index`, the oldest that it may see.
    pub(super) fn reads_at(&mut self, token: ReadToken, server: &Server, index: Index) {
        let command = |index| match server.raft.entry(Index(index))?.data {
            EntryData::Command(command) => Some(command),
            EntryData::Noop | EntryData::Configuration(_) => None,
        };
        let value = (1..=index.0).rev().find_map(command).unwrap_or(0);
        self.returned(READS_FROM + token.0, Answer::Value(value));
    }

    /// That no order of the calls explains the answers, if that is so.
    pub(super) fn accusation(&self) -> Option<String> {
        (!self.tester.is_consistent())
            .then(|| String::from("linearizability: no order of the calls explains the answers"))
    }
}

impl Permute for Observer {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Observer { tester, proposed } = self;
        let proposed = proposed.iter();
        Observer {
            tester: tester.clone(),
            proposed: proposed
                .map(|(command, asked, at)| (*command, Permute::permute(asked, permutation), *at))
                .collect(),
        }
    }
}
