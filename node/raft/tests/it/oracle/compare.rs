//! Both implementations on one schedule, and where they differ.

use super::cluster::{Cluster, Input, Link, Weather};
use super::ours::Ours;
use super::party::{Carries, Party as _, Place, View};
use super::reads::Asked;
use super::schedule::{Choice, Fate, Phase, SERVERS_MAX, Schedule};
use super::theirs::Theirs;
use raft::{Change, NodeId, RoleKind};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How often what was to be seen was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) phases: usize,
    pub(super) committed: u64,
    pub(super) reads: usize,
    pub(super) reads_at_followers: usize,
    pub(super) changes: usize,
    pub(super) joint_changes: usize,
    pub(super) transfers: usize,
    pub(super) compactions: usize,
    pub(super) crashes_with_writes_pending: usize,
}

impl Seen {
    pub(super) fn add(&mut self, more: Seen) {
        self.phases += more.phases;
        self.committed += more.committed;
        self.reads += more.reads;
        self.reads_at_followers += more.reads_at_followers;
        self.changes += more.changes;
        self.joint_changes += more.joint_changes;
        self.transfers += more.transfers;
        self.compactions += more.compactions;
        self.crashes_with_writes_pending += more.crashes_with_writes_pending;
    }
}

/// How the two differ, and what led there.
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) story: String,
}

pub(super) struct Pair {
    pub(super) ours: Cluster<Ours>,
    pub(super) theirs: Cluster<Theirs>,
    commands: u8,
    pub(super) reads: u64,
    /// The reads that were taken in.
    pub(super) asked: BTreeMap<u64, Asked>,
    next_id: u64,
    story: String,
    pub(super) seen: Seen,
}

impl Pair {
    /// Plays a schedule on both.
    pub(super) fn play(schedule: &Schedule) -> Result<Seen, Difference> {
        let genesis = &schedule.genesis;
        let mut pair = Pair {
            ours: Cluster::new(schedule.settings, genesis.clone()),
            theirs: Cluster::new(schedule.settings, genesis.clone()),
            commands: 0,
            reads: 0,
            asked: BTreeMap::new(),
            next_id: genesis.len() as u64 + 1,
            story: format!("{:?}\n", schedule.settings),
            seen: Seen::default(),
        };
        for phase in &schedule.phases {
            if let Err(what) = pair.phase(phase) {
                return Err(Difference {
                    what,
                    story: pair.story,
                });
            }
        }
        if let Err(what) = pair.phase(&Phase::calm()) {
            return Err(Difference {
                what,
                story: pair.story,
            });
        }
        Ok(pair.seen)
    }

    fn phase(&mut self, phase: &Phase) -> Result<(), String> {
        self.seen.phases += 1;
        let mut weather = phase.weather.clone();
        let everybody = self.ours.servers.keys().copied().collect::<Vec<NodeId>>();
        weather.slow_disks.retain(|id| everybody.contains(id));
        weather
            .links
            .retain(|(from, to), _| everybody.contains(from) && everybody.contains(to));
        writeln!(
            self.story,
            "phase with {:?}, slow {:?}",
            weather.links, weather.slow_disks
        )
        .expect("a string takes everything");
        self.leaders_finish(&weather);
        self.ours.late_arrives();
        self.theirs.late_arrives();
        self.give(&Input::Rest, &weather)?;
        for choice in &phase.choices {
            for input in self.resolve(choice, &weather) {
                self.give(&input, &weather)?;
            }
            if phase.one_by_one {
                self.give(&Input::Rest, &weather)?;
            }
        }
        self.ours.settle(&weather);
        self.theirs.settle(&weather);
        if let Some(landed) = match phase.fate {
            Fate::CatchesUp => None,
            Fate::Lost => Some(false),
            Fate::Landed => Some(true),
        } {
            // How far a leader has come with slow followers when it dies depends on which messages there are: it dies last, and they hear of
            // everything before.
            let leads = |id: &NodeId| self.ours.servers[id].leads();
            let (last, first): (Vec<NodeId>, Vec<NodeId>) =
                weather.slow_disks.iter().partition(|id| leads(id));
            for id in first.into_iter().chain(last) {
                if self.ours.servers[&id].leads() {
                    self.ours.settle(&weather);
                    self.theirs.settle(&weather);
                }
                weather.slow_disks.remove(&id);
                self.seen.crashes_with_writes_pending +=
                    usize::from(self.ours.servers[&id].has_writes_pending());
                let landed = landed && self.would_land_the_same(id);
                self.give(&Input::Crash(id, landed), &weather)?;
            }
        }
        weather.slow_disks.clear();
        self.ours.settle(&weather);
        self.theirs.settle(&weather);
        self.retire();
        self.compare(&weather)
    }

    /// Whoever comes back with a later term deposes the leader, and so may whoever asked for pre-votes, if answers come in late: it stands
    /// then. How far the leader has come with its followers by then depends on which messages there are: so it brings them up to date first.
    fn leaders_finish(&mut self, weather: &Weather) {
        let Some(leader) = self.leader() else { return };
        let servers = &self.ours.servers;
        let term = servers[&leader].term();
        let may_depose =
            |server: &Ours| server.term() > term || server.standing().0 == RoleKind::PreCandidate;
        let mut without_them = weather.clone();
        for (id, _) in servers.iter().filter(|(_, server)| may_depose(server)) {
            without_them.isolate(*id, servers.keys().copied());
        }
        if without_them.links != weather.links {
            self.ours.settle(&without_them);
            self.theirs.settle(&without_them);
        }
    }

    /// Servers that take no part any more go for ever.
    fn retire(&mut self) {
        let Some(leader) = self.leader() else { return };
        let members = self.ours.servers[&leader].configuration().clone();
        let gone = self.ours.servers.keys().filter(|id| !members.is_member(**id));
        for id in gone.copied().collect::<Vec<NodeId>>() {
            self.ours.remove(id);
            self.theirs.remove(id);
        }
    }

    fn give(&mut self, input: &Input, weather: &Weather) -> Result<(), String> {
        writeln!(self.story, "  {input:?}").expect("a string takes everything");
        let (ours, theirs) = (self.ours.give(input, weather), self.theirs.give(input, weather));
        let (here, there) = (self.ours.standings(), self.theirs.standings());
        if here != there {
            writeln!(self.story, "    {here}, and there {there}").expect("a string takes everything");
        }
        if ours == theirs {
            if let Input::Read(_, token) = input
                && ours == "false"
            {
                self.asked.remove(token);
            }
            return Ok(());
        }
        Err(format!("{input:?} is answered {ours}, and there {theirs}"))
    }

    /// How much a slow follower was sent depends on which messages there are, and so does what may land of it.
    fn would_land_the_same(&self, id: NodeId) -> bool {
        self.ours.servers[&id].last() == self.theirs.servers[&id].last()
    }

    /// Who leads the latest term.
    fn leader(&self) -> Option<NodeId> {
        let leaders = self.ours.servers.values().filter(|server| server.leads());
        leaders.max_by_key(|server| server.term()).map(Ours::id)
    }

    fn at(&self, choice: u64) -> NodeId {
        let place = choice % self.ours.servers.len() as u64;
        let place = usize::try_from(place).expect("servers are few");
        *self
            .ours
            .servers
            .keys()
            .nth(place)
            .expect("there is one at that place")
    }

    /// What a choice comes to, as things stand; the same for both.
    fn resolve(&mut self, choice: &Choice, weather: &Weather) -> Vec<Input> {
        let leader = self.leader();
        match choice {
            Choice::Election { of, silent } => {
                let of = self.at(*of);
                let server = &self.ours.servers[&of];
                let alone = server.configuration().voters() == [of] && weather.slow_disks.contains(&of);
                if server.has_writes_pending() || alone {
                    return Vec::new();
                }
                let silent = self.ours.servers.keys().filter(|id| silent >> id.0 & 1 == 1);
                let silent = silent.map(|id| Input::Silent(*id));
                silent.chain([Input::ElectionTimeout(of)]).collect()
            }
            Choice::QuorumCheck => self
                .ours
                .servers
                .keys()
                .map(|id| Input::QuorumCheck(*id))
                .collect(),
            Choice::Propose => {
                self.commands = self.commands.wrapping_add(1);
                let to = leader.unwrap_or(self.at(u64::from(self.commands)));
                vec![Input::Propose(to, self.commands)]
            }
            Choice::Read => leader
                .map(|leader| self.read(leader, weather))
                .into_iter()
                .collect(),
            Choice::ReadAt { of } => vec![self.read(self.at(*of), weather)],
            Choice::Transfer { to } => match leader {
                Some(leader) if !self.ours.servers[&leader].is_transferring() => {
                    self.seen.transfers += 1;
                    vec![Input::Transfer(leader, self.at(*to))]
                }
                Some(_) | None => Vec::new(),
            },
            Choice::Compact { of } => {
                self.seen.compactions += 1;
                let of = self.at(*of);
                if self.ours.servers[&of].has_writes_pending() {
                    return Vec::new();
                }
                vec![Input::Compact(of)]
            }
            Choice::Unreachable { of } => match leader {
                Some(leader) => vec![Input::Unreachable(leader, self.at(*of))],
                None => Vec::new(),
            },
            Choice::Crash { of, landed } => {
                let of = self.at(*of);
                let server = |id: &NodeId| &self.ours.servers[id];
                let lags = |id: &NodeId| *id != of && server(id).has_writes_pending();
                if server(&of).leads() && weather.slow_disks.iter().any(lags) {
                    return Vec::new();
                }
                self.seen.crashes_with_writes_pending +=
                    usize::from(self.ours.servers[&of].has_writes_pending());
                vec![Input::Crash(of, *landed && self.would_land_the_same(of))]
            }
            Choice::Change { kinds } => leader
                .and_then(|leader| self.change(leader, kinds, weather))
                .into_iter()
                .collect(),
        }
    }

    /// A change that both can make, in weather in which it is certain to be committed.
    fn change(&mut self, leader: NodeId, kinds: &[(u64, u64)], weather: &Weather) -> Option<Input> {
        let before = self.ours.servers[&leader].configuration().clone();
        if before.is_joint() || !self.ours.servers[&leader].has_committed_in_its_term() {
            return None;
        }
        let (mut changes, mut next_id) = (Vec::<Change>::new(), self.next_id);
        for (kind, of) in kinds {
            let known =
                before.members()[usize::try_from(*of).expect("servers are few") % before.members().len()];
            let change = match kind {
                0 if of % 2 == 0 && next_id <= SERVERS_MAX => {
                    next_id += 1;
                    Change::AddLearner(NodeId(next_id - 1))
                }
                0 if next_id <= SERVERS_MAX => {
                    next_id += 1;
                    Change::AddVoter(NodeId(next_id - 1))
                }
                1 if before.is_voter(known) => Change::AddLearner(known),
                0 | 1 if !before.is_voter(known) => Change::AddVoter(known),
                _ => Change::Remove(known),
            };
            if change.node() != leader && changes.iter().all(|other| other.node() != change.node()) {
                changes.push(change);
            }
        }
        let step = before.changed(&changes).ok()?;
        if changes.len() > 1 && !step.is_joint() {
            return None;
        }
        let reached = |id: NodeId| {
            id == leader
                || [(id, leader), (leader, id)]
                    .iter()
                    .all(|link| !weather.links.contains_key(link))
        };
        if ![&before, &step, &step.left()]
            .iter()
            .all(|of| of.has_quorum(reached))
        {
            return None;
        }
        // Somebody with a later term would depose the leader before the change is committed.
        let follows = |id: &NodeId| self.ours.servers[id].follows(leader);
        if !before.members().iter().filter(|id| reached(**id)).all(follows) {
            return None;
        }
        for id in self.next_id..next_id {
            self.ours.add(NodeId(id));
            self.theirs.add(NodeId(id));
        }
        self.next_id = next_id;
        self.seen.changes += 1;
        self.seen.joint_changes += usize::from(step.is_joint());
        Some(Input::Change(leader, changes))
    }

    fn compare(&mut self, weather: &Weather) -> Result<(), String> {
        let (ours, theirs) = (self.ours.views(), self.theirs.views());
        for (id, ours) in &ours {
            let both_ways = |leader: NodeId| {
                let open = |link| matches!(link, Link::Open | Link::Twice | Link::Backwards);
                self.ours.servers.get(&leader).is_some_and(Ours::leads)
                    && (leader == *id || (open(weather.link(*id, leader)) && open(weather.link(leader, *id))))
            };
            let in_touch = ours.leader.is_some_and(both_ways);
            self.compare_views(ours, &theirs[id], in_touch, weather.links.is_empty())
                .and_then(|()| self.compare_reads(*id, ours, &theirs[id]))
                .map_err(|what| format!("{id}: {what}\n{ours:?}\n{:?}", theirs[id]))?;
        }
        self.reads_go_on();
        let committed = ours.values().map(|view| view.commit).max();
        self.seen.committed = self.seen.committed.max(committed.unwrap_or_default());
        Ok(())
    }

    fn compare_views(&self, ours: &View, theirs: &View, in_touch: bool, is_calm: bool) -> Result<(), String> {
        macro_rules! same {
            ($($field:ident)*) => {
                $(if ours.$field != theirs.$field {
                    return Err(format!(
                        "{} is {:?}, and there {:?}",
                        stringify!($field), ours.$field, theirs.$field
                    ));
                })*
            };
        }
        same!(role term vote leader transfers_to last);
        if in_touch {
            same!(commit members);
        }
        if in_touch && is_calm {
            for (view, place) in [(ours, "here"), (theirs, "there")] {
                if !view.open_reads.is_empty() {
                    return Err(format!("{:?} are not answered {place}", view.open_reads));
                }
            }
        }
        // A snapshot is made when it is needed there, and when the log was compacted here: one log may begin later.
        let first = |view: &View| view.log.first().map_or(view.commit + 1, |((index, _), _)| *index);
        let first = first(ours).max(first(theirs));
        let kept = |view: &View| {
            let kept = view.log.iter().filter(|((index, _), _)| *index >= first);
            kept.copied().collect::<Vec<(Place, Carries)>>()
        };
        if kept(ours) != kept(theirs) {
            return Err(format!("log is {:?}, and there {:?}", kept(ours), kept(theirs)));
        }
        Ok(())
    }
}

impl Phase {
    /// Everybody is in touch, and nothing is done but that an election time-out passes.
    fn calm() -> Phase {
        Phase {
            weather: Weather::default(),
            one_by_one: true,
            choices: vec![Choice::Election {
                of: 0,
                silent: u64::MAX,
            }],
            fate: Fate::CatchesUp,
        }
    }
}
