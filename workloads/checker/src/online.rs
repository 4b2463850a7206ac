//! The engine beside a live test: events are pushed as they happen.
//!
//! The engine must know what an operation returned when it takes in the invocation. So events wait until every operation that
//! was invoked before them is over: returned, failed, or given up. The lag is at most the time-out of the test's clients.

use crate::engine::{Engine, Limits, OpenOperation, Refused, Rest};
use crate::model::Model;
use crate::search::Effort;
use crate::vocabulary::Meaning;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// The most events that may wait for operations that are not over.
pub const WAITING_EVENTS_MAX: usize = 1 << 20;

/// What happened to an operation. Events that happened at the same time are concurrent: invocations are to be pushed first then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<M: Model> {
    /// It was invoked, and goes by this number until it is over.
    Invoke(u64, M::Op),
    /// It returned this.
    Return(u64, M::Ret),
    /// It did not happen; or it changes nothing, and nobody saw what it returned.
    Fail(u64),
    /// Nobody will learn what became of it.
    GiveUp(u64),
}

/// An operation that no order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineViolation<M> {
    /// Its number.
    pub operation: u64,
    /// States that the engine had in hand when it returned: the object could have been in those, and maybe in others.
    pub states: Vec<M>,
}

/// What came of it in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnlineVerdict<M> {
    /// Some order explains everything.
    Valid,
    /// No order explains an operation.
    Violation(OnlineViolation<M>),
    /// A limit was reached first.
    Unknown(Refused),
    /// An operation was open for so long that more than [`WAITING_EVENTS_MAX`] events waited for it.
    Behind,
}

enum Outcome<M: Model> {
    Open,
    /// With the place of the return among all events.
    Returns(M::Ret, u64),
    Fails,
    GivenUp,
}

enum Waiting<M: Model> {
    /// Of what may not be known before it is over.
    Invocation(Option<M::Op>, Outcome<M>),
    /// Of the invocation at this place among all events, and its number.
    Return(u64, u64),
}

/// Holds one object against its model while it is used.
pub struct Online<'a, M: Model> {
    engine: Engine<'a, M>,
    waiting: VecDeque<Waiting<M>>,
    /// How many invocations are among these.
    unjudged: u64,
    /// How many events are no longer waiting.
    taken: u64,
    /// The places of the invocations of operations that are not over, by their numbers.
    invocations: FxHashMap<u64, u64>,
    /// What the engine calls operations that will return, by the places of their invocations.
    open: FxHashMap<u64, OpenOperation>,
    verdict: OnlineVerdict<M>,
}

impl<'a, M: Model> Online<'a, M> {
    /// For an object that begins as `init`.
    pub fn new(init: M, limits: Limits<'a>) -> Self {
        Online {
            engine: Engine::new(init, limits),
            waiting: VecDeque::new(),
            unjudged: 0,
            taken: 0,
            invocations: FxHashMap::default(),
            open: FxHashMap::default(),
            verdict: OnlineVerdict::Valid,
        }
    }

    /// The same that takes no more steps than a test can wait for; what is too much is [left](Online::is_left).
    pub(crate) fn patient(init: M, limits: Limits<'a>) -> Self {
        let mut online = Online::new(init.clone(), limits);
        online.engine.reset(init, Effort::Patient);
        online
    }

    /// The same for an object that was used before, and [rested](Online::rest) then.
    pub(crate) fn resumed(rest: &Rest<M>, limits: Limits<'a>) -> Self {
        let mut online = Online::patient(rest.state().clone(), limits);
        online.engine.resume(rest);
        online
    }

    /// All that decides what may follow, if everything is over that was begun, and judged: what was lost may still take effect.
    pub(crate) fn rest(&mut self) -> Option<Rest<M>> {
        let is_over =
            self.invocations.is_empty() && self.waiting.is_empty() && self.verdict == OnlineVerdict::Valid;
        is_over.then(|| self.engine.rest()).flatten()
    }

    /// Takes an event in, and says so when a violation is found; that need not be by the event pushed. After a violation, or when a
    /// limit was reached, nothing more is looked at.
    ///
    /// # Panics
    /// An operation is invoked by a number that another one still goes by, or is over without having been invoked.
    pub fn push(&mut self, event: Event<M>) -> Option<OnlineViolation<M>> {
        match event {
            Event::Invoke(number, op) => {
                self.begin(number, Some(op));
                None
            }
            Event::Return(number, ret) => self.end(number, None, Outcome::Returns(ret, self.now())),
            Event::Fail(number) => self.end(number, None, Outcome::Fails),
            Event::GiveUp(number) => self.end(number, None, Outcome::GivenUp),
        }
    }

    /// An operation is invoked. What it is will be told when it is over.
    pub(crate) fn invoke(&mut self, number: u64) {
        self.begin(number, None);
    }

    /// An operation is over, and that is what it was.
    pub(crate) fn conclude(&mut self, number: u64, meaning: Meaning<M>) -> Option<OnlineViolation<M>> {
        match meaning {
            None => self.end(number, None, Outcome::Fails),
            Some((op, None)) => self.end(number, Some(op), Outcome::GivenUp),
            Some((op, Some(ret))) => self.end(number, Some(op), Outcome::Returns(ret, self.now())),
        }
    }

    /// Whether a limit was reached, so that nothing more will be known.
    pub(crate) fn is_left(&self) -> bool {
        matches!(self.verdict, OnlineVerdict::Unknown(_) | OnlineVerdict::Behind)
    }

    /// How many operations wait, for their own outcomes or for those of others.
    pub(crate) fn unjudged(&self) -> u64 {
        self.unjudged
    }

    /// No more events come: what is open is given up.
    pub fn finish(mut self) -> OnlineVerdict<M> {
        let mut open: Vec<u64> = self.invocations.drain().map(|(_, place)| place).collect();
        open.sort_unstable();
        for place in open {
            self.decide(place, None, Outcome::GivenUp);
        }
        if self.verdict == OnlineVerdict::Valid {
            self.take_in();
        }
        self.verdict
    }

    /// The place of the next event among all.
    fn now(&self) -> u64 {
        self.taken + self.waiting.len() as u64
    }

    fn begin(&mut self, number: u64, op: Option<M::Op>) {
        if self.verdict != OnlineVerdict::Valid {
            return;
        }
        let other = self.invocations.insert(number, self.now());
        assert!(other.is_none(), "operation {number} is invoked while it is open");
        self.waiting.push_back(Waiting::Invocation(op, Outcome::Open));
        self.unjudged += 1;
        if self.waiting.len() > WAITING_EVENTS_MAX {
            self.verdict = OnlineVerdict::Behind;
        }
    }

    fn end(&mut self, number: u64, op: Option<M::Op>, outcome: Outcome<M>) -> Option<OnlineViolation<M>> {
        if self.verdict != OnlineVerdict::Valid {
            return None;
        }
        let Some(place) = self.invocations.remove(&number) else {
            panic!("operation {number} is over without having been invoked");
        };
        if let Outcome::Returns(..) = outcome {
            self.waiting.push_back(Waiting::Return(place, number));
        }
        self.decide(place, op, outcome);
        self.take_in()
    }

    fn decide(&mut self, place: u64, op: Option<M::Op>, decided: Outcome<M>) {
        let waiting = usize::try_from(place - self.taken).ok();
        let waiting = waiting.and_then(|waiting| self.waiting.get_mut(waiting));
        if let Some(Waiting::Invocation(of, outcome)) = waiting {
            *outcome = decided;
            if op.is_some() {
                *of = op;
            }
        }
    }

    /// Leads the engine through what no longer has to wait.
    fn take_in(&mut self) -> Option<OnlineViolation<M>> {
        loop {
            if let None | Some(Waiting::Invocation(_, Outcome::Open)) = self.waiting.front() {
                return None;
            }
            let place = self.taken;
            self.taken += 1;
            let refused = match self.waiting.pop_front()? {
                Waiting::Invocation(op, outcome) => {
                    self.unjudged -= 1;
                    self.take_in_invocation(place, op, outcome).err()
                }
                Waiting::Return(invocation, number) => {
                    let open = self.open.remove(&invocation);
                    let open = open.expect("an invocation is taken in before its return");
                    match self.engine.complete(open) {
                        Err(Refused::Violation) => {
                            let violation = OnlineViolation {
                                operation: number,
                                states: self.engine.states(),
                            };
                            self.verdict = OnlineVerdict::Violation(violation.clone());
                            return Some(violation);
                        }
                        result => result.err(),
                    }
                }
            };
            if let Some(refused) = refused {
                self.verdict = OnlineVerdict::Unknown(refused);
                return None;
            }
        }
    }

    fn take_in_invocation(
        &mut self,
        place: u64,
        op: Option<M::Op>,
        outcome: Outcome<M>,
    ) -> Result<(), Refused> {
        let (returns, op) = match (outcome, op) {
            (Outcome::Open | Outcome::Fails, _) => return Ok(()),
            (Outcome::GivenUp, op) => (None, op),
            (Outcome::Returns(ret, deadline), op) => (Some((ret, deadline)), op),
        };
        let op = op.expect("what may have happened is known once it is over");
        let returns = returns.as_ref().map(|(ret, deadline)| (ret, *deadline));
        let open = self.engine.invoke(&op, returns)?;
        self.open.extend(open.map(|open| (place, open)));
        Ok(())
    }
}
