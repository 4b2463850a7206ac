//! What a node answers, held against what it was asked.

use super::World;
use crate::clients::Response;
use crate::options::{Broken, Invariant};
use crate::server::AskedKind;
use raft::Index;
use replica::{Done, NotDone, Ticket};

impl World {
    /// Answers a client's request, after checking that the answer may be given.
    pub(super) fn answer(
        &mut self,
        node: usize,
        ticket: Ticket,
        result: Result<replica::Answer, replica::Refusal>,
    ) -> Result<(), Broken> {
        let id = self.servers[node].id;
        let Some(running) = self.servers[node].running_mut() else {
            panic!("{id} answers without running");
        };
        let applied = running.seen.applied;
        let asked = running.asked.remove(&ticket).ok_or_else(|| Broken {
            invariant: Invariant::Answers,
            what: format!(
                "{id} answers request {}, which it has not or has answered before",
                ticket.0
            ),
        })?;
        if result.is_ok() {
            match asked.kind {
                AskedKind::Command(position) => {
                    let done = position.is_some_and(|position| position.index <= applied);
                    Broken::unless(done, Invariant::Answers, || {
                        format!(
                            "{id} says done of request {}, at {position:?}, having applied {applied}",
                            ticket.0
                        )
                    })?;
                    self.ghost
                        .acknowledge(position.map_or(Index(0), |position| position.index));
                }
                AskedKind::Read {
                    acknowledged,
                    by_lease,
                } => {
                    self.counts.lease_reads += u64::from(by_lease);
                    Broken::unless(applied >= acknowledged, Invariant::ReadFreshness, || {
                        format!(
                            "{id} answers a read at {applied}; {acknowledged} was acknowledged before the read came"
                        )
                    })?;
                }
            }
        }
        self.story.note(
            self.now,
            &[2, node as u64, ticket.0, u64::from(result.is_ok())],
            || format!("{id} ⇢ c{} {result:?}", asked.client),
        );
        self.respond(asked.client, ticket.0, Response::of(result));
        Ok(())
    }

    /// Answers an operator, who asked for that, and once.
    pub(super) fn answer_operator(
        &mut self,
        node: usize,
        ticket: Ticket,
        result: Result<Done, NotDone>,
    ) -> Result<(), Broken> {
        let id = self.servers[node].id;
        let running = self.servers[node].running_mut();
        let asked = running.is_some_and(|running| running.ordered.remove(&ticket));
        Broken::unless(asked, Invariant::Answers, || {
            format!(
                "{id} answers order {}, which it has not or has answered before",
                ticket.0
            )
        })?;
        self.counts.orders_done += u64::from(result.is_ok());
        self.story.note(
            self.now,
            &[12, node as u64, ticket.0, u64::from(result.is_ok())],
            || match &result {
                Ok(done) => format!("{id} ⇢ operator {done:?}"),
                Err(refusal) => format!("{id} ⇢ operator {refusal}"),
            },
        );
        Ok(())
    }
}
