//! What is seen of a node after each thing that it does, held against what is known of the whole cluster.

use super::{Event, World};
use crate::chance::{Purpose, odds, stream};
use crate::options::{Broken, Invariant};
use crate::server::Seen;
use raft::{Configuration, Index, LogPosition, NodeId, RoleKind};
use rand::RngExt;

impl World {
    /// Looks at a node and holds what changed against what is known.
    pub(super) fn look(&mut self, node: usize) -> Result<(), Broken> {
        let Some((before, now)) = self.servers[node].look()? else {
            return Ok(());
        };
        let id = self.servers[node].id;
        if now.first > before.first {
            self.script.end("a log is compacted");
            let installed = now.first > before.last.index.next() && before.last.index > Index(0);
            self.counts.snapshots_installed += u64::from(installed);
            self.counts.compactions += u64::from(!installed);
        }
        if (before.role, before.term) != (now.role, now.term) {
            self.story
                .note(self.now, &[3, node as u64, now.term.0, now.role as u64], || {
                    format!(
                        "{id}@{} {} ⇨ {id}@{} {}",
                        before.term, before.role, now.term, now.role
                    )
                });
            self.script.consequence(&format!(
                "{id}@{} {} ⇨ {id}@{} {}",
                before.term, before.role, now.term, now.role
            ));
        }
        let (mut coup, mut eager) = (None, false);
        let Some(running) = self.servers[node].running() else {
            return Ok(());
        };
        let raft = running.replica.core().raft();
        if now.role == RoleKind::Leader && (before.role, before.term) != (now.role, now.term) {
            self.ghost
                .leads(id, now.term, raft.first_index(), |index| raft.log_term(index))?;
            if self.plan.coup > 0 {
                let mut random = stream(self.seed, Purpose::Coup(now.term.0));
                let soon = 4 * (self.plan.network.delay_max + self.plan.disk_max);
                let delay = random.random_range(0..=soon);
                coup = odds(&mut random, self.plan.coup).then_some(delay);
            }
            if self.plan.eager > 0 {
                let mut random = stream(self.seed, Purpose::Eager(now.term.0));
                eager = odds(&mut random, self.plan.eager);
            }
        }
        for place in 0..now.commit.since(before.commit) {
            let index = before.commit.next().plus(place);
            if index < raft.first_index() {
                // It came with a snapshot.
                Broken::unless(
                    self.ghost.committed_index() >= index,
                    Invariant::Durability,
                    || format!("{id} has a snapshot with {index}, which nobody has committed"),
                )?;
                continue;
            }
            let term = raft.log_term(index).expect("what is committed is in the log");
            if self.ghost.commits(id, now.term, index, term)? {
                self.must_be_durable(node, raft.configuration(), LogPosition { term, index })?;
            }
        }
        if now.commit > before.commit {
            self.script.consequence(&format!("{id} commits {}", now.commit));
            self.story.note(self.now, &[4, node as u64, now.commit.0], || {
                format!("{id}@{} commit {}", now.term, now.commit)
            });
        }
        if now.applied > before.applied {
            self.ghost
                .applied(id, now.applied, running.replica.status().state_hash)?;
        }
        self.look_at_configuration(node, now)?;
        if let Some(delay) = coup {
            let term = now.term.0;
            self.schedule(delay, Event::Coup { node, term });
        }
        if eager {
            let term = now.term.0;
            self.schedule(0, Event::Eager { node, term });
        }
        Ok(())
    }

    /// What `node` commits is durable on a majority of those who take part, by the configuration in force there now, the last time that
    /// it was looked at, or in between: it may have begun a change, and lost it again to the next leader.
    fn must_be_durable(&self, node: usize, now: &Configuration, position: LogPosition) -> Result<(), Broken> {
        let holds = |id: &&NodeId| {
            let holder = self.servers.iter().find(|server| server.id == **id);
            holder.is_some_and(|holder| holder.shadow.durable().holds(position))
        };
        let majority = |voters: &[NodeId]| 2 * voters.iter().filter(holds).count() > voters.len();
        let quorum = |configuration: &Configuration| {
            majority(configuration.voters())
                && (!configuration.is_joint() || majority(configuration.outgoing()))
        };
        let server = &self.servers[node];
        let passed = server
            .running()
            .is_some_and(|running| running.passing.any(quorum));
        Broken::unless(
            quorum(now) || quorum(&server.configuration) || passed,
            Invariant::Durability,
            || {
                let holders = self
                    .servers
                    .iter()
                    .filter(|server| server.shadow.durable().holds(position));
                let holders: Vec<String> = holders.map(|server| server.id.to_string()).collect();
                format!(
                    "{} commits {position}, and of ({now}) it is durable on {}",
                    server.id,
                    holders.join(" ")
                )
            },
        )
    }

    /// Remembers who takes part as `node` knows it, and holds it against what is committed, where its log has nothing to add to that.
    fn look_at_configuration(&mut self, node: usize, now: Seen) -> Result<(), Broken> {
        let server = &mut self.servers[node];
        let Some(running) = server.running() else {
            return Ok(());
        };
        running.passing.take();
        let configuration = running.replica.core().raft().configuration();
        if *configuration != server.configuration {
            let configuration = configuration.clone();
            self.story.tell(self.now, || {
                format!("{} has the configuration ({configuration})", server.id)
            });
            self.script
                .consequence(&format!("{} has the configuration ({configuration})", server.id));
            server.configuration = configuration;
        }
        // Who was never told anything has no log to know it from.
        if now.last.index == now.commit && now.commit > Index(0) && !server.configuration.members().is_empty()
        {
            let expected = self.ghost.configuration_at(now.commit);
            Broken::unless(server.configuration == *expected, Invariant::Membership, || {
                format!(
                    "{} has the configuration ({}) as of {}; what is committed says ({expected})",
                    server.id, server.configuration, now.commit
                )
            })?;
        }
        Ok(())
    }
}
