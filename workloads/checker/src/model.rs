//! What a model must tell the checker, over stateright's [`SequentialSpec`].

use stateright::semantics::SequentialSpec;
use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object that histories are held against.
///
/// [`SequentialSpec`] says what a call returns and what becomes of the object; an empty `impl Model` adopts any of those that
/// are `Clone + Eq + Hash`. The methods here have defaults that are right for every object; overriding them makes a check
/// faster or its report clearer. None may depend on anything but its arguments.
pub trait Model:
    SequentialSpec<Op: Clone + Eq + Hash + Debug, Ret: Clone + Eq + Hash + Debug> + Clone + Eq + Hash + Debug
{
    /// Whether `op`, when it returned `ret`, leaves *every* state in which that is legal as it is: a read, a compare-and-set that
    /// failed or that replaces a value by itself. Not a write that happens to find its own value.
    ///
    /// Such an operation takes effect in a search as soon as it is legal.
    fn is_read_only(op: &Self::Op, ret: &Self::Ret) -> bool {
        let (_, _) = (op, ret);
        false
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

    /// What `op` makes visible to others, if it does: the shrinking of a violation keeps an operation that observed something
    /// only together with one that produced it.
    fn produces(op: &Self::Op, ret: Option<&Self::Ret>) -> Option<u64> {
        let (_, _) = (op, ret);
        None
    }

    /// What `op` saw that an other operation must have produced, if it saw any such thing.
    fn observes(op: &Self::Op, ret: Option<&Self::Ret>) -> Option<u64> {
        let (_, _) = (op, ret);
        None
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
