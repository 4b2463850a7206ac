//! What things are put into and taken from: queues, a stack, a priority queue.

use crate::check::CheckError;
use crate::history::{Call, End, Log, ReadError, Value};
use crate::linear::{ContainerCall, ContainerCalls, Kind};
use crate::model::{Model, Takes};
use crate::vocabulary::{Datum, Dialect, Meaning, Vocabulary, datum, items, optional, unknown_operation};
use stateright::semantics::SequentialSpec;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// What is taken first is what was put first.
pub type FifoQueue<V = u64> = Container<Fifo, V>;
/// Anything that is there may be taken.
pub type UnorderedQueue<V = u64> = Container<Unordered, V>;
/// What is taken first is what was put last.
pub type Stack<V = u64> = Container<Lifo, V>;
/// What is taken first is the least.
pub type PriorityQueue<V = u64> = Container<LeastFirst, V>;

/// Things that were put and not taken, next to be taken first. Use [`FifoQueue`], [`UnorderedQueue`], [`Stack`], [`PriorityQueue`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container<D, V = u64> {
    items: VecDeque<V>,
    discipline: PhantomData<D>,
}

/// A call of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerOp<V = u64> {
    /// Puts a thing: enqueue, push, insert.
    Put(V),
    /// Takes one, if there is any: dequeue, pop, delete-min.
    Take,
}

/// What a call of a container returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerRet<V = u64> {
    /// To a put.
    Done,
    /// To a take: what was taken; `None` where there was nothing.
    Taken(Option<V>),
}

/// What a container gives first.
pub trait Discipline: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// The model's name.
    const NAME: &'static str;
    /// What putting is called in histories; the first name is used in words.
    const PUT: &'static [&'static str];
    /// What taking is called.
    const TAKE: &'static [&'static str];

    /// Where among `items`, next to be taken first, a new one belongs.
    fn place<V: Ord>(items: &VecDeque<V>, new: &V) -> usize;

    /// Whether `item`, which is among the items and not the first, may be taken.
    const TAKES_ANY: bool = false;

    /// Whether it depends on how items compare what is given first.
    const COMPARES: bool = false;

    /// Whether of several items the one that was put last comes first.
    const NEWEST_FIRST: bool = false;

    /// The common type that such a container is, if there is an engine for it that takes linear time.
    fn kind<V: Datum>() -> Option<Kind<Container<Self, V>>> {
        None
    }
}

/// See [`FifoQueue`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fifo {}

impl Discipline for Fifo {
    const NAME: &'static str = "fifo-queue";
    const PUT: &'static [&'static str] = &["enqueue", "put", "add"];
    const TAKE: &'static [&'static str] = &["dequeue", "take", "remove"];

    fn place<V: Ord>(items: &VecDeque<V>, _: &V) -> usize {
        items.len()
    }

    fn kind<V: Datum>() -> Option<Kind<Container<Self, V>>> {
        Some(Kind::fifo_queue())
    }
}

/// See [`UnorderedQueue`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unordered {}

impl Discipline for Unordered {
    const NAME: &'static str = "unordered-queue";
    const PUT: &'static [&'static str] = Fifo::PUT;
    const TAKE: &'static [&'static str] = Fifo::TAKE;
    const TAKES_ANY: bool = true;

    // Sorted, so that states that hold the same are equal.
    fn place<V: Ord>(items: &VecDeque<V>, new: &V) -> usize {
        items.partition_point(|item| item <= new)
    }

    fn kind<V: Datum>() -> Option<Kind<Container<Self, V>>> {
        Some(Kind::unordered_queue())
    }
}

/// See [`Stack`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lifo {}

impl Discipline for Lifo {
    const NAME: &'static str = "stack";
    const PUT: &'static [&'static str] = &["push", "put", "add"];
    const TAKE: &'static [&'static str] = &["pop", "take", "remove"];
    const NEWEST_FIRST: bool = true;

    fn place<V: Ord>(_: &VecDeque<V>, _: &V) -> usize {
        0
    }

    fn kind<V: Datum>() -> Option<Kind<Container<Self, V>>> {
        Some(Kind::stack())
    }
}

/// See [`PriorityQueue`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeastFirst {}

impl Discipline for LeastFirst {
    const COMPARES: bool = true;
    const NAME: &'static str = "priority-queue";
    const PUT: &'static [&'static str] = &["insert", "enqueue", "put", "add"];
    const TAKE: &'static [&'static str] = &["delete-min", "dequeue", "take", "remove"];

    fn place<V: Ord>(items: &VecDeque<V>, new: &V) -> usize {
        items.partition_point(|item| item <= new)
    }

    fn kind<V: Datum>() -> Option<Kind<Container<Self, V>>> {
        Some(Kind::priority_queue())
    }
}

impl<D: Discipline, V: Datum> Container<D, V> {
    /// One that `items` were put into, one after the other.
    pub fn new(items: impl IntoIterator<Item = V>) -> Self {
        let mut container = Container::default();
        for item in items {
            container.put(item);
        }
        container
    }

    /// What it holds; what is taken next comes first.
    pub fn items(&self) -> impl Iterator<Item = &V> {
        self.items.iter()
    }

    fn put(&mut self, item: V) {
        let place = D::place(&self.items, &item);
        self.items.insert(place, item);
    }
}

impl<D, V> Default for Container<D, V> {
    fn default() -> Self {
        Container {
            items: VecDeque::new(),
            discipline: PhantomData,
        }
    }
}

impl<D: Discipline, V: Datum> SequentialSpec for Container<D, V> {
    type Op = ContainerOp<V>;
    type Ret = ContainerRet<V>;

    /// Where any item may be taken, the least is; [`SequentialSpec::is_valid_step`] knows of the others.
    fn invoke(&mut self, op: &ContainerOp<V>) -> ContainerRet<V> {
        match op {
            ContainerOp::Put(item) => {
                self.put(item.clone());
                ContainerRet::Done
            }
            ContainerOp::Take => ContainerRet::Taken(self.items.pop_front()),
        }
    }

    fn is_valid_step(&mut self, op: &ContainerOp<V>, ret: &ContainerRet<V>) -> bool {
        match (op, ret) {
            (ContainerOp::Take, ContainerRet::Taken(Some(item))) if D::TAKES_ANY => {
                let place = self.items.binary_search(item);
                place.is_ok_and(|place| self.items.remove(place).is_some())
            }
            (ContainerOp::Put(_) | ContainerOp::Take, _) => self.invoke(op) == *ret,
        }
    }
}

/// A take that nobody learned the result of takes what is first, also where any item may be taken. That loses no explanation: such a
/// take can be put off until just before the next take that found nothing, since until then an item more forbids nothing; and
/// there all that is left has to go, whichever take takes what.
impl<D: Discipline, V: Datum> Model for Container<D, V> {
    const TELLS_REASONS: bool = true;

    fn kind() -> Option<Kind<Self>> {
        D::kind()
    }

    fn is_always_legal(op: &ContainerOp<V>, _: &ContainerRet<V>) -> bool {
        matches!(op, ContainerOp::Put(_))
    }

    fn heap_bytes(&self) -> usize {
        self.items.capacity() * size_of::<V>()
    }

    fn is_read_only(_: &ContainerOp<V>, ret: &ContainerRet<V>) -> bool {
        *ret == ContainerRet::Taken(None)
    }

    fn always_changes(op: &ContainerOp<V>, _: &ContainerRet<V>) -> bool {
        matches!(op, ContainerOp::Put(_))
    }

    fn produces(op: &ContainerOp<V>, _: Option<&ContainerRet<V>>) -> Option<u64> {
        match op {
            ContainerOp::Put(item) => Some(item.fingerprint()),
            ContainerOp::Take => None,
        }
    }

    fn observes(_: &ContainerOp<V>, ret: Option<&ContainerRet<V>>, seen: &mut Vec<u64>) {
        if let Some(ContainerRet::Taken(Some(item))) = ret {
            seen.push(item.fingerprint());
        }
    }

    fn takes(op: &ContainerOp<V>, ret: Option<&ContainerRet<V>>) -> Takes {
        match (op, ret) {
            (ContainerOp::Take, None) => Takes::Something,
            (ContainerOp::Take, Some(ContainerRet::Taken(Some(item)))) => Takes::This(item.fingerprint()),
            (ContainerOp::Take | ContainerOp::Put(_), _) => Takes::Nothing,
        }
    }

    fn holds(&self, there: &mut Vec<u64>) {
        there.extend(self.items.iter().map(V::fingerprint));
    }

    fn describe_op(op: &ContainerOp<V>) -> String {
        match op {
            ContainerOp::Put(item) => format!("{} {item}", D::PUT[0]),
            ContainerOp::Take => D::TAKE[0].to_owned(),
        }
    }

    fn describe_ret(ret: &ContainerRet<V>) -> String {
        match ret {
            ContainerRet::Done => String::from("ok"),
            ContainerRet::Taken(Some(item)) => item.to_string(),
            ContainerRet::Taken(None) => String::from("empty"),
        }
    }

    fn describe_state(&self) -> String {
        let items: Vec<String> = self.items.iter().map(V::to_string).collect();
        format!("[{}]", items.join(", "))
    }
}

impl<D: Discipline, V: Datum> ContainerCalls for Container<D, V> {
    type Value = V;

    fn held(&self) -> Vec<&V> {
        if D::NEWEST_FIRST {
            self.items.iter().rev().collect()
        } else {
            self.items.iter().collect()
        }
    }

    fn container_call<'a>(op: &'a ContainerOp<V>, ret: Option<&'a ContainerRet<V>>) -> ContainerCall<'a, V> {
        match (op, ret) {
            (ContainerOp::Put(item), Some(ContainerRet::Done) | None) => ContainerCall::Put(item),
            (ContainerOp::Take, Some(ContainerRet::Taken(taken))) => ContainerCall::Took(taken.as_ref()),
            (ContainerOp::Take, None) => ContainerCall::MayTake,
            (ContainerOp::Put(_) | ContainerOp::Take, Some(_)) => ContainerCall::Other,
        }
    }
}

impl<D: Discipline, V: Datum> Vocabulary for Container<D, V> {
    const NAME: &'static str = D::NAME;

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        if D::COMPARES
            && let Some(Value::List(items)) = init
        {
            items.iter().try_for_each(|item| is_comparable(item, D::NAME))?;
        }
        Ok(Container::new(items::<V>(init, D::NAME)?))
    }

    fn call(call: &Call, _: Dialect) -> Result<Meaning<Self>, String> {
        let name = &*call.f;
        let op = if D::PUT.contains(&name) {
            ContainerOp::Put(datum(&call.argument, name)?)
        } else if D::TAKE.contains(&name) {
            ContainerOp::Take
        } else {
            return Err(unknown_operation(D::NAME, name, &[D::PUT, D::TAKE].concat()));
        };
        if D::COMPARES {
            match (&op, call.end) {
                (ContainerOp::Put(_), _) => is_comparable(&call.argument, name)?,
                (ContainerOp::Take, End::Ok) if !call.result.is_null() => is_comparable(&call.result, name)?,
                (ContainerOp::Take, _) => {}
            }
        }
        Ok(match (call.end, &op) {
            (End::Fail, _) => None,
            (End::Info, _) => Some((op, None)),
            (End::Ok, ContainerOp::Put(_)) => Some((op, Some(ContainerRet::Done))),
            (End::Ok, ContainerOp::Take) => {
                let taken = optional(&call.result, name)?;
                Some((op, Some(ContainerRet::Taken(taken))))
            }
        })
    }
}

/// Whether it is clear which of two such values is the less: whole numbers and strings. What is written in another way, as 2.5 or 1/3, is
/// kept as it was written, and does not compare as it would.
fn is_comparable(value: &Value, what: &str) -> Result<(), String> {
    match value {
        Value::Int(_) | Value::Text(_) => Ok(()),
        other @ (Value::Null | Value::Bool(_) | Value::Word(_) | Value::List(_) | Value::Map(_)) => Err(
            format!("{what} of a priority queue needs a whole number of 64 bits or a string, not {other}"),
        ),
    }
}

/// Whether all that is put into priority queues compares with each other: numbers with strings don't.
///
/// # Errors
/// They hold both at first, or a call puts the first value of the other kind.
pub(crate) fn compare_alike(log: &Log, init: Option<&Value>) -> Result<(), CheckError> {
    let reason = |value: &Value| {
        format!(
            "a priority queue compares whole numbers or strings, not both: {value} is not like those before it"
        )
    };
    let mut is_text = None;
    let mut is_like = |value: &Value| {
        let is = value.as_text().is_some();
        *is_text.get_or_insert(is) == is
    };
    let mut held = init.and_then(Value::as_list).into_iter().flatten();
    if let Some(other) = held.find(|value| !is_like(value)) {
        return Err(CheckError::Options(reason(other)));
    }
    let mut puts = log
        .calls
        .iter()
        .filter(|call| LeastFirst::PUT.contains(&&*call.f));
    match puts.find(|call| !is_like(&call.argument)) {
        Some(other) => Err(ReadError::new(other.line, reason(&other.argument)).into()),
        None => Ok(()),
    }
}
