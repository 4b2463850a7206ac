//! What a model must tell the checker, over stateright's [`SequentialSpec`].

use crate::linear::Kind;
use stateright::semantics::SequentialSpec;
use std::fmt::Debug;
use std::hash::Hash;

/// What an operation takes away of what others [produced](Model::produces).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// This, if it is there.
    This(u64),
    /// Something: nobody saw what.
    Something,
}

/// A sequential object that histories are held against.
///
/// [`SequentialSpec`] says what a call returns and what becomes of the object; an empty `impl Model` adopts any of those that
/// are `Clone + Eq + Hash`. The methods here have defaults that are right for every object; overriding them makes a check
/// faster or its report clearer. None may depend on anything but its arguments.
pub trait Model:
    SequentialSpec<Op: Clone + Eq + Hash + Debug, Ret: Clone + Eq + Hash + Debug> + Clone + Eq + Hash + Debug
{
    /// Whether [`is_dead`](Model::is_dead) says anything, so that it is worth looking ahead.
    const LOOKS_AHEAD: bool = false;

    /// Whether [`produces`](Model::produces), [`observes`](Model::observes), [`takes`](Model::takes), [`holds`](Model::holds) and
    /// [`misses`](Model::misses) tell all that operations owe to each other. The shrinking of a violation goes by them then, which is
    /// quick; for any other model it asks which of the operations left out might be the reason, and shrinks long histories less far.
    const TELLS_REASONS: bool = false;

    /// The common type that the object is, if there is an engine for it that takes linear time: it judges the histories that qualify.
    fn kind() -> Option<Kind<Self>> {
        None
    }

    /// Whether `op`, when it returned `ret`, leaves *every* state in which that is legal as it is: a read, a compare-and-set that
    /// failed or that replaces a value by itself. Not a write that happens to find its own value.
    ///
    /// Such an operation takes effect in a search as soon as it is legal.
    fn is_read_only(op: &Self::Op, ret: &Self::Ret) -> bool {
        let (_, _) = (op, ret);
        false
    }

    /// Whether `op` may return `ret` in *every* state: a write, an append, an enqueue to a queue without bounds.
    ///
    /// Such an operation can't be what no order explains, and it may hide before one that [overwrites](Model::overwrites).
    fn is_always_legal(op: &Self::Op, ret: &Self::Ret) -> bool {
        let (_, _) = (op, ret);
        false
    }

    /// Whether `op`, when it returned `ret`, leaves *no* state as it is in which that is legal: an append, an enqueue, an add of what is
    /// not zero. A search need not find out then.
    fn always_changes(op: &Self::Op, ret: &Self::Ret) -> bool {
        let (_, _) = (op, ret);
        false
    }

    /// Whether `op` leads from *every* state to the same one, and may return `ret` in every state, or whatever it is that nobody
    /// learned (`None`): a write, a put. Not a compare-and-set.
    fn overwrites(op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        let (_, _) = (op, ret);
        false
    }

    /// Whether operations that don't [overwrite](Model::overwrites), whichever they are, lead from this state to none in which the
    /// read-only `op` returns `ret`. Asked of the present state, and of those that overwriting operations lead to, if
    /// [`LOOKS_AHEAD`](Model::LOOKS_AHEAD).
    fn is_dead(&self, op: &Self::Op, ret: &Self::Ret) -> bool {
        let (_, _) = (op, ret);
        false
    }

    /// The part of the object that `op` is about, where the object consists of parts that don't depend on each other, each of which
    /// begins as the whole does and may be looked at as a whole of its own: the element of a set. `None`: it is about all of them.
    ///
    /// Parts are checked apart if every operation of a history is about one. Different parts may share a number: they are then
    /// checked together.
    fn partition(op: &Self::Op) -> Option<u64> {
        let _ = op;
        None
    }

    /// Whether the [read-only](Model::is_read_only) `op` may return `ret` in this state.
    fn may_return(&self, op: &Self::Op, ret: &Self::Ret) -> bool {
        let mut next = Vec::new();
        self.steps(op, Some(ret), &mut next);
        !next.is_empty()
    }

    /// Everything that may become of the object if `op` takes effect and returns `ret`, or if nobody learns what it returned
    /// (`None`): pushed onto `next`, nothing where it can't take effect so.
    fn steps(&self, op: &Self::Op, ret: Option<&Self::Ret>, next: &mut Vec<Self>) {
        match ret {
            Some(ret) => next.extend(self.step(op, ret)),
            None => next.push(self.step_unobserved(op)),
        }
    }

    /// What becomes of the object if `op` takes effect and nobody learns what it returned.
    fn step_unobserved(&self, op: &Self::Op) -> Self {
        let mut next = self.clone();
        next.invoke(op);
        next
    }

    /// What becomes of the object if `op` takes effect and returns `ret`; `None` where it can't.
    fn step(&self, op: &Self::Op, ret: &Self::Ret) -> Option<Self> {
        let mut next = self.clone();
        next.is_valid_step(op, ret).then_some(next)
    }

    /// How many bytes the state takes beyond its own size, about: what the limit on memory has to know.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// What `op` makes visible to others, if it does: the shrinking of a violation keeps an operation that observed something
    /// only together with one that produced it. Asked, as the methods below, if [`TELLS_REASONS`](Model::TELLS_REASONS).
    fn produces(op: &Self::Op, ret: Option<&Self::Ret>) -> Option<u64> {
        let (_, _) = (op, ret);
        None
    }

    /// What `op` saw that other operations must have produced: pushed onto `seen`.
    fn observes(op: &Self::Op, ret: Option<&Self::Ret>, seen: &mut Vec<u64>) {
        let (_, _, _) = (op, ret, seen);
    }

    /// What `op` takes away of what others produced: the shrinking of a violation keeps those only together with it, since what is never
    /// taken away forbids more.
    fn takes(op: &Self::Op, ret: Option<&Self::Ret>) -> Takes {
        let (_, _) = (op, ret);
        Takes::Nothing
    }

    /// What is there already in this state that operations may take away: pushed onto `there`.
    fn holds(&self, there: &mut Vec<u64>) {
        let _ = there;
    }

    /// What `op` found to be missing, if it says so: what a failed compare-and-set expected, an element that a set doesn't contain.
    /// The shrinking keeps such an operation only together with one that may have [taken it away](Model::takes_away).
    fn misses(op: &Self::Op, ret: Option<&Self::Ret>) -> Option<u64> {
        let (_, _) = (op, ret);
        None
    }

    /// Whether `op` may be the reason why `thing`, which another one [missed](Model::misses), was not there.
    fn takes_away(op: &Self::Op, ret: Option<&Self::Ret>, thing: u64) -> bool {
        let (_, _, _) = (op, ret, thing);
        false
    }

    /// The call in words: `write 3`, `cas 1 → 2`.
    fn describe_op(op: &Self::Op) -> String {
        format!("{op:?}")
    }

    /// What a call returned, in words.
    fn describe_ret(ret: &Self::Ret) -> String {
        format!("{ret:?}")
    }

    /// The state in words.
    fn describe_state(&self) -> String {
        format!("{self:?}")
    }
}
