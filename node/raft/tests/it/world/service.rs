//! When the faults end, the cluster serves.

use super::{Outcome, Violation, World, ensure};
use crate::server::Server;
use raft::{Index, NodeId, ProgressState, ReadToken, RoleKind, SnapshotStatus};

/// Rounds of everybody standing in turn, without faults, in which somebody must be elected.
const ELECTIONS_MAX: usize = 6;
/// Deliveries in which a world without faults must come to rest.
const DELIVERIES_MAX: usize = 20_000;

/// The read that a server takes in at the end.
fn last_read(of: NodeId) -> ReadToken {
    ReadToken(u64::MAX - of.0)
}

impl World {
    /// Without faults somebody is elected, and everything that is proposed then is committed everywhere and every read answered.
    pub(crate) fn converge(&mut self) -> Outcome {
        self.tell("the faults end".to_owned());
        self.network.clear();
        self.rest()?;
        // To and fro: two that always stand one after the other could take each other's votes for ever.
        let count = self.servers.len();
        let turns = (0..ELECTIONS_MAX).flat_map(|round| {
            (0..count).map(move |place| if round % 2 == 0 { place } else { count - 1 - place })
        });
        for place in turns {
            // An election time-out passes: the one that is longest without a leader is the first to ask.
            for other in 0..self.servers.len() {
                self.no_snapshot_is_on_its_way(other);
                self.servers[other].raft.heartbeat_timeout();
                self.ready(other)?;
            }
            self.rest()?;
            let leader = self.agreed_leader();
            if let Some(leader) = leader.filter(|leader| self.is_settled(*leader)) {
                return self.serve(leader);
            }
            for server in &mut self.servers {
                server.raft.quorum_check();
                server.raft.leader_silent();
            }
            if leader.is_none() {
                self.servers[place].raft.election_timeout();
                self.check(place)?;
            }
            for other in 0..self.servers.len() {
                self.ready(other)?;
            }
            self.rest()?;
        }
        Err(Violation("nobody is elected without faults".to_owned()))
    }

    /// Where nothing is in flight, a snapshot that is waited for was lost; its leader hears of that.
    fn no_snapshot_is_on_its_way(&mut self, place: usize) {
        let raft = &mut self.servers[place].raft;
        let waits = |(of, progress): (NodeId, &raft::Progress)| {
            matches!(progress.state(), ProgressState::Snapshot { .. }).then_some(of)
        };
        let waited_for: Vec<NodeId> = raft
            .progress()
            .into_iter()
            .flat_map(|tracker| tracker.iter().filter_map(waits))
            .collect();
        for of in waited_for {
            raft.report_snapshot(of, SnapshotStatus::Failed);
        }
    }

    /// The server that leads the latest term, if all its members follow it.
    fn agreed_leader(&self) -> Option<usize> {
        let leads = |server: &&Server<u8>| server.raft.role() == RoleKind::Leader;
        let leader = &self
            .servers
            .iter()
            .filter(leads)
            .max_by_key(|server| server.raft.term())?
            .raft;
        let mut members = leader.configuration().members().iter();
        let agreed = members.all(|member| self.raft(*member).leader() == Some(leader.id()));
        agreed.then_some((leader.id().0 - 1) as usize)
    }
    /// Whether a leader stays one, and takes commands in: no change or transfer is under way.
    fn is_settled(&self, leader: usize) -> bool {
        let raft = &self.servers[leader].raft;
        let configuration = raft.configuration();
        !configuration.is_joint() && configuration.is_voter(raft.id()) && raft.transferring().is_none()
    }

    fn serve(&mut self, leader: usize) -> Outcome {
        let proposed = self.servers[leader].raft.propose(u8::MAX);
        ensure!(
            proposed.is_ok(),
            "a leader without faults refuses a command: {proposed:?}"
        );
        self.ready(leader)?;
        // Every member that may reads, while the command is on its way.
        let members = self.servers[leader].raft.configuration().members().to_vec();
        let known = Index(self.ghost.committed.len() as u64);
        let mut readers = members.clone();
        readers.retain(|member| {
            let raft = self.raft(*member);
            raft.life().is_some() || raft.role() == RoleKind::Leader
        });
        for member in &readers {
            let (place, token) = ((member.0 - 1) as usize, last_read(*member));
            self.ghost.reads.insert(token, known);
            ensure!(
                self.servers[place].raft.read_index(token).is_ok(),
                "without faults {member} refuses a read"
            );
            // What it asked before may have been lost.
            self.servers[place].raft.read_timeout();
            self.ready(place)?;
        }
        self.rest()?;
        let unanswered = readers
            .iter()
            .find(|member| self.ghost.reads.contains_key(&last_read(**member)));
        ensure!(
            unanswered.is_none(),
            "without faults a read is not answered: {unanswered:?}"
        );
        self.servers[leader].raft.heartbeat_timeout();
        self.ready(leader)?;
        self.rest()?;
        let end = self.servers[leader].raft.last();
        for member in members {
            let raft = self.raft(member);
            ensure!(
                (raft.last(), raft.applied_index()) == (end, end.index),
                "without faults {} ends at {} and has applied {}, and its leader ends at {end}",
                raft.id(),
                raft.last(),
                raft.applied_index()
            );
        }
        Ok(())
    }

    /// Delivers and persists until nothing moves.
    fn rest(&mut self) -> Outcome {
        for _ in 0..DELIVERIES_MAX {
            for place in 0..self.servers.len() {
                self.ready(place)?;
                while !self.servers[place].writes.is_empty() {
                    self.persist(place)?;
                }
            }
            if self.network.is_empty() {
                return Ok(());
            }
            let envelope = self.network.remove(0);
            self.deliver(envelope, true)?;
        }
        Err(Violation(
            "without faults the world does not come to rest".to_owned(),
        ))
    }
}
