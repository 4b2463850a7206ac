//! Reads: what is asked of both, and what their answers must be.

use super::cluster::{Input, Weather};
use super::compare::Pair;
use super::party::View;
use raft::{NodeId, RoleKind};
use std::collections::BTreeMap;

/// A read, and what its answer must be.
pub(super) struct Asked {
    at: NodeId,
    /// Who leads its server, and the term.
    of: Option<(NodeId, u64)>,
    /// What was committed, as far as anybody knew, when it came in: here and there.
    floor: (u64, u64),
    /// Whether both must confirm it by the end of the phase if one does, with the same index.
    alone: bool,
    /// Whether it was confirmed here.
    answered: bool,
}

impl Pair {
    /// A read at `at`, to be given to both.
    pub(super) fn read(&mut self, at: NodeId, weather: &Weather) -> Input {
        let server = &self.ours.servers[&at];
        let of = server.leader().map(|leader| (leader, server.term()));
        let knows_commits = |(leader, term)| {
            let leader = self.ours.servers.get(&leader);
            leader.is_some_and(|leader| leader.term() == term && leader.has_committed_in_its_term())
        };
        // A follower is answered when it holds what it must apply, on its disk.
        let holds = server.leads() || !weather.slow_disks.contains(&at);
        let mut others = self.asked.values().filter(|other| !other.answered);
        let alone = of.is_some_and(knows_commits) && holds && others.all(|other| other.of != of);
        // A question of a follower may be overtaken by this read.
        for other in self.asked.values_mut().filter(|other| other.of == of) {
            other.alone &= other.of.is_some_and(|(leader, _)| other.at == leader);
        }
        self.reads += 1;
        let asked = Asked {
            at,
            of,
            floor: (self.ours.commit(), self.theirs.commit()),
            alone,
            answered: false,
        };
        self.asked.insert(self.reads, asked);
        Input::Read(at, self.reads)
    }

    /// What is answered in a later phase than it was asked in meets another commit index.
    pub(super) fn reads_go_on(&mut self) {
        for asked in self.asked.values_mut() {
            asked.alone = false;
        }
    }

    pub(super) fn compare_reads(&mut self, at: NodeId, ours: &View, theirs: &View) -> Result<(), String> {
        let here = ours
            .reads
            .iter()
            .map(|(token, index)| (*token, (Some(*index), None)));
        let mut answers: BTreeMap<u64, (Option<u64>, Option<u64>)> = here.collect();
        for (token, index) in &theirs.reads {
            answers.entry(*token).or_default().1 = Some(*index);
        }
        for (token, (here, there)) in answers {
            let words = || format!("read {token} may see {here:?}, and there {there:?}");
            let asked = self.asked.get_mut(&token).ok_or_else(words)?;
            let (floor_here, floor_there) = asked.floor;
            let is_fresh =
                here.is_none_or(|here| here >= floor_here) && there.is_none_or(|there| there >= floor_there);
            if asked.at != at || !is_fresh || (asked.alone && here != there) {
                return Err(words());
            }
            if here.is_some() {
                asked.answered = true;
                self.seen.reads += 1;
                self.seen.reads_at_followers += usize::from(ours.role != RoleKind::Leader);
            }
        }
        Ok(())
    }
}
