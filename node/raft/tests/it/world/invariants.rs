//! What must hold after each step.

use super::{Outcome, Violation, World, ensure};
use raft::{EntryData, Index, LogPosition, RoleKind, Storage as _};

impl World {
    /// Checks what the last step can have broken: it touched one server, of which others may lead.
    pub(super) fn check(&mut self, place: usize) -> Outcome {
        self.check_server(place)?;
        for leader in 0..self.servers.len() {
            self.check_leader(leader)?;
        }
        self.check_commit(place)
    }

    fn check_server(&mut self, place: usize) -> Outcome {
        let (raft, memory) = (&self.servers[place].raft, &mut self.memories[place]);
        let id = raft.id();
        ensure!(
            raft.term() >= memory.term,
            "the term of {id} goes back from {} to {}",
            memory.term,
            raft.term()
        );
        ensure!(
            raft.term() > memory.term || memory.vote.is_none() || raft.vote() == memory.vote,
            "{id} changes its vote in term {}",
            memory.term
        );
        (memory.term, memory.vote) = (raft.term(), raft.vote());
        for index in (raft.first_index().0..=raft.last().index.0).rev().map(Index) {
            let (term, before) = (raft.log_term(index), raft.log_term(index.previous()));
            ensure!(before <= term, "the terms in the log of {id} go back at {index}");
        }
        ensure!(
            raft.applied_index() <= raft.commit_index() && raft.commit_index() <= raft.last().index,
            "{id} has applied {}, committed {} and ends at {}",
            raft.applied_index(),
            raft.commit_index(),
            raft.last()
        );
        Ok(())
    }

    /// Election safety, leader completeness, and that a leader knows no more of its followers than is so.
    fn check_leader(&mut self, place: usize) -> Outcome {
        let raft = &self.servers[place].raft;
        if raft.role() != RoleKind::Leader {
            return Ok(());
        }
        let (id, term) = (raft.id(), raft.term());
        let known = self.ghost.leaders.get(&term);
        ensure!(
            known.is_none_or(|known| *known == id),
            "{known:?} and {id} both lead term {term}"
        );
        if known.is_none() {
            for (committed, in_term) in &self.ghost.committed {
                ensure!(
                    *in_term >= term
                        || committed.index < raft.first_index()
                        || raft.log_term(committed.index) == Some(committed.term),
                    "{id} leads term {term} without {committed}, committed in term {in_term}"
                );
            }
            self.ghost.leaders.insert(term, id);
            self.seen.elections += 1;
        }
        let uncommitted = (raft.commit_index().next().0..=raft.last().index.0).filter(|index| {
            let entry = raft.entry(Index(*index));
            entry.is_some_and(|entry| matches!(entry.data, EntryData::Configuration(_)))
        });
        ensure!(
            uncommitted.count() <= 1,
            "{id} leads with two configurations that are not committed"
        );
        let tracker = raft.progress().expect("it leads");
        for (of, progress) in tracker.iter() {
            ensure!(
                progress.matched() < progress.next(),
                "{id} has matched {} of {of}, and {} is next",
                progress.matched(),
                progress.next()
            );
            let follower = &self.servers[(of.0 - 1) as usize].raft;
            if follower.term() > term {
                // It may have replaced what isn't committed.
                continue;
            }
            let durable = follower.storage();
            let first = durable.first_index().max(raft.first_index());
            let holds = (first.0..=progress.matched().0).map(Index).all(|index| {
                let on_disk = durable.term(index).ok();
                on_disk.is_some() && on_disk == raft.log_term(index)
            });
            ensure!(
                holds && progress.matched() <= durable.last_index(),
                "{id} takes {of} to hold its log up to {}, and the disk of {of} doesn't",
                progress.matched()
            );
        }
        Ok(())
    }

    /// What is committed stays, is the same everywhere, and doesn't shrink while a server lives.
    fn check_commit(&mut self, place: usize) -> Outcome {
        let (raft, memory) = (&self.servers[place].raft, &mut self.memories[place]);
        let (id, commit) = (raft.id(), raft.commit_index());
        ensure!(
            commit >= memory.commit,
            "the commit index of {id} goes back from {} to {commit}",
            memory.commit
        );
        memory.commit = commit;
        for index in (raft.first_index().0..=commit.0).map(Index) {
            let Some(term) = raft.log_term(index) else {
                return Err(Violation(format!("{id} has committed {index} and not its entry")));
            };
            let position = LogPosition { term, index };
            match self.ghost.committed.get(index.since(Index(1))) {
                Some((committed, _)) => ensure!(
                    *committed == position,
                    "{id} has committed {position} where {committed} was committed"
                ),
                None => {
                    self.ghost.committed.push((position, raft.term()));
                    self.seen.committed += 1;
                    let entry = self.ghost.entries.get(&position);
                    if let Some(EntryData::Configuration(configuration)) = entry.map(|(_, entry)| &entry.data)
                    {
                        self.seen.configurations_committed += 1;
                        self.seen.joint_configurations_committed += usize::from(configuration.is_joint());
                    }
                }
            }
        }
        Ok(())
    }
}
