//! How a promise was broken, as a golden script of the core: with a sentence in front, it can be put into its testdata.
//!
//! The search knows less than a script says: states are canonical, so servers change their names on the way; messages that are over
//! are forgotten. Here the servers keep their names, every message that was sent stays in flight until it is delivered or lost, and a word that
//! stands for the answer to a forgotten request is that request, delivered.

use super::action::{Action, Step, id};
use super::naming::Permutation;
use super::opening::beginning;
use super::server::{Effects, Input, Server};
use super::state::State;
use super::universe::Universe;
use super::worlds::World;
use raft::shown::{Glimpse, status, who};
use raft::{Envelope, NodeId, Permute, ReadOutcome};

/// How a promise was broken, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Which promise.
    pub what: String,
    /// The steps, in the notation of the golden scripts.
    pub steps: Vec<String>,
    /// The lines of the golden script: commands, and what they lead to, indented.
    pub script: Vec<String>,
}

/// Tells where these actions lead.
pub(super) fn tell(universe: &Universe, actions: &[Action]) -> Story {
    let (mut state, exchange) = State::new(universe);
    let mut names = renamed(&universe.group[0], &universe.group[exchange]);
    let mut steps = Vec::new();
    for action in actions {
        let place = u8::try_from(action.server()).expect("places are small");
        steps.push(Step {
            server: id(place).permute(&names),
            input: action.input(universe, state.left).permute(&names),
        });
        let Some((next, exchange)) = state.after(universe, *action) else {
            break;
        };
        names = renamed(&names, &universe.group[exchange]);
        state = next;
    }
    let what = universe.ghost(state.ghost).violation.clone().unwrap_or_default();
    let world = &universe.world;
    let script = Teller::new(world).script(&what, &steps);
    Story {
        what,
        steps: steps.iter().map(|step| step.words(world.changes)).collect(),
        script,
    }
}

/// Whom each id stands for, when ids were exchanged.
fn renamed(names: &Permutation, exchange: &Permutation) -> Permutation {
    let mut renamed: Permutation = exchange
        .iter()
        .map(|(from, to)| (*to, from.permute(names)))
        .collect();
    renamed.sort_unstable();
    renamed
}

impl Permute for Input {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        match self {
            Input::Deliver(envelope) => Input::Deliver(envelope.permute(permutation)),
            Input::Transfer(to) => Input::Transfer(to.permute(permutation)),
            Input::SnapshotLost(to) => Input::SnapshotLost(to.permute(permutation)),
            Input::Timeout
            | Input::Silent
            | Input::Heartbeat
            | Input::QuorumCheck
            | Input::Persist
            | Input::Crash
            | Input::Propose(_)
            | Input::Read(_)
            | Input::LeaseRead(_)
            | Input::Tick
            | Input::Wipe
            | Input::Compact
            | Input::Change(_) => self.clone(),
        }
    }
}

/// Plays the steps with servers of its own, and says what each leads to.
struct Teller<'a> {
    world: &'a World,
    servers: Vec<Server>,
    /// In flight, oldest first.
    flight: Vec<Envelope<u8>>,
    lines: Vec<String>,
}

impl Teller<'_> {
    fn new(world: &World) -> Teller<'_> {
        let (servers, _, flight) = beginning(world);
        Teller {
            world,
            servers,
            flight,
            lines: Vec::new(),
        }
    }

    fn script(mut self, what: &str, steps: &[Step]) -> Vec<String> {
        self.lines
            .push(format!("# What the world {} came to: {what}.", self.world.name));
        self.lines.push(self.world.cluster_line());
        for step in self.world.opening {
            self.lines.extend(step.words().lines().map(str::to_owned));
        }
        if !self.world.opening.is_empty() {
            self.lines.push("status".to_owned());
        }
        if self.world.led || !self.world.opening.is_empty() {
            for server in &self.servers {
                self.lines.push(format!("  {}", status(&server.raft)));
            }
        }
        for (place, step) in steps.iter().enumerate() {
            match &step.input {
                Input::Deliver(envelope) => self.deliver(envelope, &steps[place + 1..]),
                Input::Crash => {
                    let who = who(&self.server(step.server).raft);
                    self.lines.push(step.words(self.world.changes));
                    self.lines.push(format!("  {who} ⇨ down"));
                    self.lines.push(format!("restart {}", step.server.0));
                    let before = self.take(step.server, &Input::Crash);
                    let now = status(&self.server(step.server).raft);
                    self.lines.push(format!("  {now}"));
                    self.applied(step.server, &before.1);
                }
                Input::Wipe => {
                    // The interpreter shows nothing of that.
                    self.lines.push(step.words(self.world.changes));
                    self.take(step.server, &Input::Wipe);
                }
                Input::Timeout
                | Input::Silent
                | Input::Heartbeat
                | Input::QuorumCheck
                | Input::Persist
                | Input::Propose(_)
                | Input::Read(_)
                | Input::LeaseRead(_)
                | Input::Tick
                | Input::Compact
                | Input::Change(_)
                | Input::Transfer(_)
                | Input::SnapshotLost(_) => {
                    self.lines.push(step.words(self.world.changes));
                    self.show(step.server, &step.input);
                }
            }
        }
        self.lines.push("status".to_owned());
        let statuses: Vec<String> = self.servers.iter().map(|server| status(&server.raft)).collect();
        self.lines
            .extend(statuses.into_iter().map(|line| format!("  {line}")));
        self.lines
    }

    fn server(&mut self, id: NodeId) -> &mut Server {
        &mut self.servers[usize::try_from(id.0 - 1).expect("ids are small")]
    }

    /// Delivers a message that is in flight; or the request to which it stands for the answer, and then the answer.
    fn deliver(&mut self, envelope: &Envelope<u8>, later: &[Step]) {
        if !self.flight.contains(envelope) {
            let request = self.flight.iter().find(|sent| {
                (sent.from, sent.to) == (envelope.to, envelope.from) && sent.term < envelope.term
            });
            if let Some(request) = request.cloned() {
                let before = self.flight.len();
                self.deliver_one(&request, false);
                let answer = self.flight[before.saturating_sub(1)..]
                    .iter()
                    .rev()
                    .find(|answer| (answer.from, answer.to) == (envelope.from, envelope.to));
                if let Some(answer) = answer.cloned() {
                    self.deliver_one(&answer, false);
                }
                return;
            }
        }
        let again = later
            .iter()
            .any(|step| matches!(&step.input, Input::Deliver(later) if later == envelope));
        self.deliver_one(envelope, again);
    }

    fn deliver_one(&mut self, envelope: &Envelope<u8>, again: bool) {
        let link = |other: &&Envelope<u8>| (other.from, other.to) == (envelope.from, envelope.to);
        let count = self.flight.iter().filter(link).count();
        let place = self
            .flight
            .iter()
            .filter(link)
            .position(|other| other == envelope);
        let which = match (place, count) {
            (Some(0), 1) => String::new(),
            (Some(0), _) => " first".to_owned(),
            (Some(place), _) if place + 1 == count => " last".to_owned(),
            (Some(place), _) => format!(" at={}", place + 1),
            // Not in flight: the script stops here, and its reader sees at what.
            (None, _) => " at=0".to_owned(),
        };
        let keep = if again { " keep" } else { "" };
        self.lines.push(format!(
            "deliver {} {}{which}{keep}",
            envelope.from.0, envelope.to.0
        ));
        self.lines.push(format!("  {envelope}"));
        if !again && let Some(place) = self.flight.iter().position(|sent| sent == envelope) {
            self.flight.remove(place);
        }
        self.show(envelope.to, &Input::Deliver(envelope.clone()));
    }

    /// Gives a server an input; returns how it was, and what came of it.
    fn take(&mut self, id: NodeId, input: &Input) -> (Glimpse, Effects) {
        let world = self.world;
        let server = self.server(id);
        let before = Glimpse::of(&server.raft);
        let effects = server.take(world, input);
        self.flight.extend(effects.sent.iter().cloned());
        (before, effects)
    }

    fn show(&mut self, id: NodeId, input: &Input) {
        let (before, effects) = self.take(id, input);
        match (input, effects.taken_in) {
            (_, Some(Some(position))) => self.lines.push(format!("  {id} takes in {position}")),
            (Input::Transfer(to), Some(None)) => self.lines.push(format!("  {id} makes way for {to}")),
            (Input::LeaseRead(token), Some(None)) => {
                self.lines.push(format!("  {id} needs to ask nobody for {token}"));
            }
            _ => {}
        }
        let after = Glimpse::of(&self.server(id).raft);
        for line in before.changes(&after) {
            self.lines.push(format!("  {line}"));
        }
        self.applied(id, &effects);
        for outcome in &effects.reads {
            self.lines.push(match outcome {
                ReadOutcome::Confirmed { token, index } => format!("  {id} read {} may see {index}", token.0),
                ReadOutcome::Aborted { token } => format!("  {id} read {} is aborted", token.0),
            });
        }
        if let Some(accusation) = &effects.accusation {
            self.lines.push(format!("  {accusation}"));
        }
    }

    fn applied(&mut self, id: NodeId, effects: &Effects) {
        if !effects.applied.is_empty() {
            let applied = effects.applied.iter().map(|entry| entry.position().to_string());
            let applied: Vec<String> = applied.collect();
            self.lines.push(format!("  {id} applies {}", applied.join(" ")));
        }
    }
}
