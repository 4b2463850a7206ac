//! A history that is held against its model while it is recorded.
//!
//! The objects are judged apart, as by [`check_log`](crate::check_log), and calls mean what they mean there; but always by the general
//! engine, the only one that needs not know the end. So what is a violation here is one there, whichever engine judges the whole, since what
//! no order explains in a prefix none explains in a history.
//!
//! Nothing is *valid* here. An object that takes more steps or memory than a test can wait for is *left*: what becomes of it is for the check
//! at the end.
//!
//! A test uses very many objects, most of them for a short while. One that was not used lately *rests*, once all is judged that was begun on
//! it: kept are the states that it may be in, each with the operations of unknown outcome that have led there, and those operations, which
//! may still take effect. Nothing else of what happened decides what may follow; it is what the engine itself goes by. It goes on from there
//! when it is used again, as a test does with the objects that it reads at its end. So memory follows the number of objects, and not that of
//! operations. What is told of a violation is which operation no order explains; why, the check at the end has to say, which reads
//! all that was recorded.

use crate::check::object_name;
use crate::engine::{Limits, Rest};
use crate::formats::{Event, parse_native};
use crate::history::{Call, End, Kind, Process, ReadError, Value};
use crate::online::Online;
use crate::vocabulary::{Dialect, Vocabulary};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How much is kept of how many objects.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// So many objects may be awake at once. Where there are more, the half that was not used for longest has to rest, and what can't is left.
    awake_max: usize,
    /// How much memory those that rest may take, in bytes, about. Where it is more, the half of them that was not used for longest is left.
    resting_bytes_max: usize,
    /// After so many operations those objects are looked for that were not used meanwhile.
    sweep_interval: u64,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            awake_max: 4096,
            resting_bytes_max: 64 << 20,
            sweep_interval: 4096,
        }
    }
}

/// The first violation that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The object.
    pub object: String,
    /// The line of the invocation of the operation that no order explains, from 1.
    pub line: u64,
}

/// Holds a native history against a model while it is recorded; see [`ModelEntry::watch`](crate::ModelEntry::watch).
pub trait Watch {
    /// Takes in whole lines that follow the first one, which is the header; and says so when a violation is seen. What is to be told of an
    /// operation is known once all are over that were invoked before it on the same object, and time has gone on.
    ///
    /// # Errors
    /// A line is none of a history, or the model does not understand a call. Nothing can be told any more then.
    fn push(&mut self, lines: &[u8]) -> Result<Option<Seen>, ReadError>;

    /// How many operations wait for nothing any more: they were judged, or left.
    fn judged(&self) -> u64;

    /// How many wait, for their own outcomes or for those of others. What is told of them is kept in memory until then.
    fn waiting(&self) -> u64;

    /// How many objects were left, so that a violation of theirs may not be seen.
    fn left(&self) -> usize;
}

/// A watch by the model `M` of objects that begin as `init`, or else as the model says.
pub(crate) fn watch<'a, M: Vocabulary + 'static>(
    init: Option<&Value>,
    limits: Limits<'a>,
) -> Box<dyn Watch + 'a> {
    let init = M::initial(init).unwrap_or_else(|reason| panic!("an object can't begin so: {reason}"));
    Box::new(Watched::<M>::new(init, limits))
}

/// One object.
struct Object<'a, M: Vocabulary> {
    is: Is<'a, M>,
    /// How many operations there were on all objects when it was used last.
    used: u64,
}

enum Is<'a, M: Vocabulary> {
    Awake(Box<Online<'a, M>>),
    Resting(Box<Rest<M>>),
    /// Of it nothing is known any more, but that it was used.
    Left,
}

struct Watched<'a, M: Vocabulary> {
    init: M,
    limits: Limits<'a>,
    room: Room,
    /// Where objects are, by their keys.
    places: FxHashMap<Option<Value>, usize>,
    objects: Vec<Object<'a, M>>,
    /// The places of those that are awake, and of some that were left since they were looked through.
    awake: Vec<usize>,
    resting_bytes: usize,
    /// How many of them are left.
    left: usize,
    /// The open call of each process, and the place of its object.
    open: FxHashMap<u64, (usize, Call)>,
    /// What ended at the present time. What is invoked at the same time is concurrent with it, and goes first.
    over: Vec<(usize, Call)>,
    time: u64,
    invoked: u64,
    unjudged: u64,
    lines: usize,
    /// Names that were met.
    names: Vec<Arc<str>>,
}

impl<M: Vocabulary> Watch for Watched<'_, M> {
    fn push(&mut self, lines: &[u8]) -> Result<Option<Seen>, ReadError> {
        let batch = parse_native(lines);
        for event in batch.events {
            let line = self.lines + event.line + 1;
            let seen = self.event(line, event)?;
            if seen.is_some() {
                return Ok(seen);
            }
        }
        if let Some(problem) = batch.problem {
            return Err(ReadError::new(self.lines + problem.line + 1, problem.reason));
        }
        self.lines += batch.lines;
        Ok(None)
    }

    fn judged(&self) -> u64 {
        self.invoked - self.unjudged
    }

    fn waiting(&self) -> u64 {
        self.unjudged
    }

    fn left(&self) -> usize {
        self.left
    }
}

impl<'a, M: Vocabulary> Watched<'a, M> {
    fn new(init: M, limits: Limits<'a>) -> Self {
        Watched {
            init,
            limits,
            room: Room::default(),
            places: FxHashMap::default(),
            objects: Vec::new(),
            awake: Vec::new(),
            resting_bytes: 0,
            left: 0,
            open: FxHashMap::default(),
            over: Vec::new(),
            time: 0,
            invoked: 0,
            unjudged: 0,
            // The header was the first.
            lines: 1,
            names: Vec::new(),
        }
    }

    fn event(&mut self, line: usize, event: Event<'_>) -> Result<Option<Seen>, ReadError> {
        let refused = |reason: String| ReadError::new(line, reason);
        let time = event.time.unwrap_or(self.time);
        if time > self.time {
            self.time = time;
            for (place, call) in std::mem::take(&mut self.over) {
                let seen = self.conclude(place, &call)?;
                if seen.is_some() {
                    return Ok(seen);
                }
            }
        }
        let Process::Client(process) = event.process else {
            return Ok(None);
        };
        let end = match event.kind {
            Kind::Invoke => {
                let f = self.name(&event.f);
                let call = Call {
                    process,
                    node: event.node,
                    f,
                    key: event.key,
                    argument: event.value,
                    intended: event.intended.unwrap_or(time),
                    invoked: time,
                    end: End::Info,
                    returned: u64::MAX,
                    result: Value::Null,
                    line,
                };
                if self.open.contains_key(&process) {
                    return Err(refused(format!("process {process} invokes twice at once")));
                }
                let place = self.invoke(&call);
                self.open.insert(process, (place, call));
                return Ok(None);
            }
            Kind::Ok => End::Ok,
            Kind::Fail => End::Fail,
            Kind::Info => End::Info,
        };
        let Some((place, mut call)) = self.open.remove(&process) else {
            let f = &event.f;
            return Err(refused(format!(
                "process {process} completes {f}, which it did not invoke"
            )));
        };
        (call.end, call.returned, call.result) = (end, time, event.value);
        self.over.push((place, call));
        Ok(None)
    }

    /// The place of the object that a call is about, which is told of it.
    fn invoke(&mut self, call: &Call) -> usize {
        self.invoked += 1;
        if self.invoked.is_multiple_of(self.room.sweep_interval) {
            self.sweep();
        }
        let place = match self.places.get(&call.key) {
            Some(place) => *place,
            None => {
                let place = self.objects.len();
                self.places.insert(call.key.clone(), place);
                self.awake.push(place);
                self.objects.push(Object {
                    is: Is::Awake(Box::new(Online::patient(self.init.clone(), self.limits))),
                    used: 0,
                });
                place
            }
        };
        self.objects[place].used = self.invoked;
        self.wake(place);
        if self.awake.len() > self.room.awake_max {
            self.make_room();
        }
        self.with(place, |online| online.invoke(number_of(call)));
        place
    }

    /// An object is used that may rest.
    fn wake(&mut self, place: usize) {
        let is = &mut self.objects[place].is;
        if let Is::Resting(rest) = is {
            self.resting_bytes -= bytes_of(rest);
            *is = Is::Awake(Box::new(Online::resumed(rest, self.limits)));
            self.awake.push(place);
        }
    }

    /// A call is over.
    fn conclude(&mut self, place: usize, call: &Call) -> Result<Option<Seen>, ReadError> {
        let meaning = M::call(call, Dialect::Native).map_err(|reason| ReadError::new(call.line, reason))?;
        let found = self.with(place, |online| online.conclude(number_of(call), meaning));
        Ok(found.flatten().map(|violation| Seen {
            object: object_name(call.key.as_ref(), M::NAME),
            line: violation.operation,
        }))
    }

    /// Does something to an object, unless it is left; if that reaches a limit, it is left from now on.
    fn with<T>(&mut self, place: usize, act: impl FnOnce(&mut Online<'a, M>) -> T) -> Option<T> {
        let Is::Awake(online) = &mut self.objects[place].is else {
            return None;
        };
        let before = online.unjudged();
        let done = act(online);
        let (after, is_left) = (online.unjudged(), online.is_left());
        self.unjudged = self.unjudged - before + after;
        if is_left {
            self.leave(place);
        }
        Some(done)
    }

    /// From now on an object is left.
    fn leave(&mut self, place: usize) {
        match std::mem::replace(&mut self.objects[place].is, Is::Left) {
            Is::Awake(online) => self.unjudged -= online.unjudged(),
            Is::Resting(rest) => self.resting_bytes -= bytes_of(&rest),
            Is::Left => return,
        }
        self.left += 1;
    }

    /// Has an object rest that is awake, if it can.
    fn rest(&mut self, place: usize) {
        let is = &mut self.objects[place].is;
        if let Is::Awake(online) = is
            && let Some(rest) = online.rest()
        {
            self.resting_bytes += bytes_of(&rest);
            *is = Is::Resting(Box::new(rest));
        }
    }

    fn is_awake(&self, place: usize) -> bool {
        matches!(self.objects[place].is, Is::Awake(_))
    }

    /// Has objects rest that were not used lately.
    fn sweep(&mut self) {
        let lately = self.invoked.saturating_sub(self.room.sweep_interval);
        let mut awake = std::mem::take(&mut self.awake);
        awake.retain(|place| {
            if self.objects[*place].used <= lately {
                self.rest(*place);
            }
            self.is_awake(*place)
        });
        self.awake = awake;
        if self.resting_bytes > self.room.resting_bytes_max {
            let is_resting = |place: &usize| matches!(self.objects[*place].is, Is::Resting(_));
            let mut resting: Vec<usize> = (0..self.objects.len()).filter(is_resting).collect();
            for place in self.older_half(&mut resting) {
                self.leave(*place);
            }
        }
    }

    /// Has half of the objects that are awake rest, or leaves them: those that were not used for longest.
    fn make_room(&mut self) {
        let mut awake = std::mem::take(&mut self.awake);
        awake.retain(|place| self.is_awake(*place));
        for place in self.older_half(&mut awake) {
            self.rest(*place);
            if self.is_awake(*place) {
                self.leave(*place);
            }
        }
        awake.retain(|place| self.is_awake(*place));
        self.awake = awake;
    }

    /// The half of them that was not used for longest.
    fn older_half<'p>(&self, places: &'p mut [usize]) -> &'p [usize] {
        places.sort_unstable_by_key(|place| self.objects[*place].used);
        &places[..places.len() / 2]
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.iter().find(|known| &***known == name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        name
    }
}

/// How much memory an object takes while it rests, in bytes, about.
fn bytes_of<M: Vocabulary>(rest: &Rest<M>) -> usize {
    size_of::<Object<'_, M>>() + size_of::<(Option<Value>, usize)>() + rest.bytes()
}

/// What an operation goes by while it is open: not by its process, which may invoke the next one at the very time that this one ends.
fn number_of(call: &Call) -> u64 {
    call.line as u64
}

#[cfg(test)]
mod tests;
