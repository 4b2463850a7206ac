//! A history that is held against its model while it is recorded.
//!
//! The objects are judged apart, as by [`check_log`](crate::check_log), and calls mean what they mean there; but always by the general
//! engine, the only one that needs not know the end. So what is a violation here is one there, whichever engine judges the whole, since what
//! no order explains in a prefix none explains in a history.
//!
//! Nothing is *valid* here. An object that takes more steps or memory than a test can wait for is *left*: what becomes of it is for the check
//! at the end. So is what was not used for long, where there are very many objects.

use crate::check::object_name;
use crate::engine::Limits;
use crate::formats::{Event, parse_native};
use crate::history::{Call, End, Kind, Process, ReadError, Value};
use crate::online::Online;
use crate::vocabulary::{Dialect, Vocabulary};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// So many objects are kept at once. Where there are more, the half that was not used for longest is left.
const OBJECTS_MAX: usize = 4096;

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
    Box::new(Watched::<M> {
        init,
        limits,
        places: FxHashMap::default(),
        objects: Vec::new(),
        kept: 0,
        open: FxHashMap::default(),
        over: Vec::new(),
        time: 0,
        invoked: 0,
        unjudged: 0,
        // The header was the first.
        lines: 1,
        names: Vec::new(),
    })
}

/// What is done to one object.
struct Object<'a, M: Vocabulary> {
    /// `None` once it is left.
    online: Option<Box<Online<'a, M>>>,
    /// How many operations there were on all objects when it was used last.
    used: u64,
}

struct Watched<'a, M: Vocabulary> {
    init: M,
    limits: Limits<'a>,
    /// Where objects are, by their keys.
    places: FxHashMap<Option<Value>, usize>,
    objects: Vec<Object<'a, M>>,
    /// How many of them are not left.
    kept: usize,
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
        self.objects.len() - self.kept
    }
}

impl<'a, M: Vocabulary> Watched<'a, M> {
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
        let place = match self.places.get(&call.key) {
            Some(place) => *place,
            None => {
                if self.kept >= OBJECTS_MAX {
                    self.leave_unused();
                }
                let place = self.objects.len();
                self.places.insert(call.key.clone(), place);
                self.objects.push(Object {
                    online: Some(Box::new(Online::patient(self.init.clone(), self.limits))),
                    used: 0,
                });
                self.kept += 1;
                place
            }
        };
        self.objects[place].used = self.invoked;
        self.with(place, |online| online.invoke(number_of(call)));
        place
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
        let online = self.objects[place].online.as_mut()?;
        self.unjudged -= online.unjudged();
        let done = act(online);
        if online.is_left() {
            self.objects[place].online = None;
            self.kept -= 1;
        } else {
            self.unjudged += online.unjudged();
        }
        Some(done)
    }

    /// Leaves the half of the objects that was not used for longest.
    fn leave_unused(&mut self) {
        let kept = self.objects.iter().filter(|object| object.online.is_some());
        let mut used: Vec<u64> = kept.map(|object| object.used).collect();
        let middle = used.len() / 2;
        let (_, middle, _) = used.select_nth_unstable(middle);
        for object in self.objects.iter_mut().filter(|object| object.used < *middle) {
            if let Some(online) = object.online.take() {
                self.unjudged -= online.unjudged();
                self.kept -= 1;
            }
        }
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

/// What an operation goes by while it is open: not by its process, which may invoke the next one at the very time that this one ends.
fn number_of(call: &Call) -> u64 {
    call.line as u64
}
