//! How a world ends: the faults are over, and all must come right.

use super::{Event, World};
use crate::clients::Client;
use crate::options::{Broken, Invariant};
use crate::server::{Process, Seen, Server};
use raft::{NodeId, RoleKind};

impl World {
    pub(super) fn cut_link(&mut self) {
        let leads = |server: &Server| {
            let running = server.running();
            running.is_some_and(|running| running.seen.role == RoleKind::Leader)
        };
        if let Some(leader) = self.servers.iter().position(leads) {
            let follower = (leader + 1) % self.servers.len();
            self.cuts[leader][follower] += 1;
            self.cuts[follower][leader] += 1;
            self.counts.cuts += 2;
            self.leaders_before_cut = Some(self.ghost.elections());
        } else if !self.healed {
            // The first election may take longer.
            self.schedule(self.plan.tick, Event::CutLink);
        }
    }

    /// Faults are over: from here on everything must come right.
    pub(super) fn heal(&mut self) -> Result<(), Broken> {
        if let Some(before) = self.leaders_before_cut {
            let since = self.ghost.elections() - before;
            Broken::unless(since == 0, Invariant::Liveness, || {
                format!("one cut link made {since} new leaders, and the old one was heard by a majority")
            })?;
        }
        self.story
            .note(self.now, &[8], || String::from("the faults are over"));
        self.healed = true;
        self.plan.heal();
        for row in &mut self.cuts {
            row.fill(0);
        }
        for row in &mut self.slow {
            row.fill(0);
        }
        for node in 0..self.servers.len() {
            self.servers[node].disk.forget_fault();
            self.servers[node].slow_until = 0;
            match &self.servers[node].process {
                Process::Up(_) => {
                    let incarnation = self.servers[node].incarnation;
                    self.resume(node, incarnation)?;
                }
                Process::Down => self.start(node)?,
                Process::Gone => {}
            }
        }
        self.schedule(self.plan.tick, Event::Look);
        Ok(())
    }

    /// Whether all nodes are equal and all clients served; if not in time, that is a failure.
    pub(super) fn look_for_the_end(&mut self) -> Result<(), Broken> {
        self.retire();
        let running: Vec<(NodeId, Seen, usize)> = self
            .servers
            .iter()
            .filter_map(|server| {
                let running = server.running()?;
                Some((
                    server.id,
                    running.seen,
                    running.asked.len() + running.ordered.len(),
                ))
            })
            .collect();
        let served = self.clients.iter().all(Client::is_served);
        let leaders = running
            .iter()
            .filter(|(_, seen, _)| seen.role == RoleKind::Leader)
            .count();
        let last = self.ghost.committed_index();
        let equal = running.iter().all(|(_, seen, asked)| {
            (seen.applied, seen.commit, seen.last.index, *asked) == (last, last, last, 0)
        });
        if served && leaders == 1 && equal {
            self.done = true;
            return Ok(());
        }
        let in_time = self.now < self.plan.duration + self.plan.recovery_max();
        Broken::unless(in_time, Invariant::Liveness, || {
            let waiting = self.clients.iter().filter(|client| !client.is_served()).count();
            format!("{waiting} clients wait, {last} is committed, and the nodes are {running:?}")
        })?;
        self.schedule(self.plan.tick, Event::Look);
        Ok(())
    }

    /// Takes away the nodes that take no part any more, as their operator does: nobody tells them that they were removed.
    fn retire(&mut self) {
        let leads = |server: &&Server| {
            server.running().is_some_and(|running| {
                let seen = running.seen;
                seen.role == RoleKind::Leader && seen.commit == seen.last.index
            })
        };
        let leaders = self.servers.iter().filter(leads);
        let latest = leaders.max_by_key(|server| server.running().map(|running| running.seen.term));
        let Some(configuration) = latest.map(|server| server.configuration.clone()) else {
            return;
        };
        if configuration.is_joint() {
            return;
        }
        for node in 0..self.servers.len() {
            let server = &self.servers[node];
            if server.running().is_some() && !configuration.is_member(server.id) {
                self.fell(node);
                self.servers[node].process = Process::Gone;
            }
        }
    }
}
