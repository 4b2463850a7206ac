//! The models against specifications of their own, which say of an operation every state that may follow, and a search that tries every
//! order: so that what a model leaves out (which item an unobserved take took, which token an unobserved acquisition used up) is seen to
//! lose nothing.

use checker::models::{
    ContainerOp, ContainerRet, Counter, CounterOp, CounterRet, FencedLock, FifoQueue, KvAppend, KvOp, KvRet,
    LockOp, LockRet, Mutex, MutexOp, PriorityQueue, Set, SetOp, SetRet, Stack, UnorderedQueue,
};
use checker::{Limits, Model, ObjectVerdict, Operation, check_object};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A state of a specification: what is held, in whatever way.
type State = Vec<i64>;
/// Every state in which an object may be after an operation that returned this, or of which nobody knows what it returned.
type Next<M> = fn(
    &State,
    &<M as checker::SequentialSpec>::Op,
    Option<&<M as checker::SequentialSpec>::Ret>,
) -> Vec<State>;

/// Whether some order explains everything: what returned is in it, what nobody learned the outcome of may be.
fn explained<M: Model>(state: &State, left: &[&Operation<M>], next: Next<M>) -> bool {
    if left.iter().all(|operation| operation.ret.is_none()) {
        return true;
    }
    let first_return = left
        .iter()
        .filter(|operation| operation.ret.is_some())
        .map(|operation| operation.returned)
        .min();
    left.iter().enumerate().any(|(place, operation)| {
        if first_return.is_some_and(|returned| returned < operation.invoked) {
            return false;
        }
        let mut rest = left.to_vec();
        rest.remove(place);
        let after = next(state, &operation.op, operation.ret.as_ref());
        after.iter().any(|state| explained(state, &rest, next))
    })
}

fn assert_agrees<M: Model>(init: &M, operations: &[Operation<M>], next: Next<M>) {
    let expected = explained(&State::new(), &operations.iter().collect::<Vec<_>>(), next);
    let verdict = check_object(init, operations, Limits::default());
    let found = match verdict {
        ObjectVerdict::Valid => true,
        ObjectVerdict::Violation { .. } => false,
        ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded => panic!("{verdict:?}"),
    };
    assert_eq!(found, expected, "{operations:#?}");
}

/// Operations that overlap at random; one of four lost its answer.
fn history<M: Model>(
    call: impl Strategy<Value = (M::Op, M::Ret)>,
) -> impl Strategy<Value = Vec<Operation<M>>> {
    let operation = (call, 0..12u64, 0..6u64, prop::bool::weighted(0.25));
    prop::collection::vec(operation, 1..7).prop_map(|operations| {
        let operations = operations.into_iter().zip(0..);
        let operations = operations.map(|(((op, ret), invoked, length, lost), process)| Operation {
            process,
            node: None,
            op,
            ret: (!lost).then_some(ret),
            invoked,
            returned: invoked + length,
        });
        operations.collect()
    })
}

type Call = (ContainerOp, ContainerRet);

fn container_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        (0..3u64).prop_map(|item| (ContainerOp::Put(item), ContainerRet::Done)),
        prop::option::weighted(0.8, 0..3u64).prop_map(|item| (ContainerOp::Take, ContainerRet::Taken(item))),
    ]
}

/// Containers, by which of their items, oldest first, may be taken.
fn container(
    state: &State,
    op: &ContainerOp,
    ret: Option<&ContainerRet>,
    may_take: fn(&State, usize) -> bool,
) -> Vec<State> {
    match op {
        ContainerOp::Put(item) => vec![[state.as_slice(), &[*item as i64]].concat()],
        ContainerOp::Take => {
            let mut after = Vec::new();
            for place in (0..state.len()).filter(|place| may_take(state, *place)) {
                let item = state[place] as u64;
                if ret.is_none_or(|ret| *ret == ContainerRet::Taken(Some(item))) {
                    let mut rest = state.clone();
                    rest.remove(place);
                    after.push(rest);
                }
            }
            if state.is_empty() && ret.is_none_or(|ret| *ret == ContainerRet::Taken(None)) {
                after.push(State::new());
            }
            after
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn fifo_queue(history in history::<FifoQueue>(container_call())) {
        assert_agrees(&FifoQueue::default(), &history, |state, op, ret| container(state, op, ret, |_, place| place == 0));
    }

    #[test]
    fn unordered_queue(history in history::<UnorderedQueue>(container_call())) {
        assert_agrees(&UnorderedQueue::default(), &history, |state, op, ret| container(state, op, ret, |_, _| true));
    }

    #[test]
    fn stack(history in history::<Stack>(container_call())) {
        assert_agrees(&Stack::default(), &history, |state, op, ret| container(state, op, ret, |state, place| place + 1 == state.len()));
    }

    #[test]
    fn priority_queue(history in history::<PriorityQueue>(container_call())) {
        assert_agrees(&PriorityQueue::default(), &history, |state, op, ret| {
            container(state, op, ret, |state, place| state.iter().all(|item| state[place] <= *item))
        });
    }

    #[test]
    fn set(history in history::<Set>(set_call())) {
        assert_agrees(&Set::default(), &history, set_next);
    }

    #[test]
    fn counter(history in history::<Counter>(counter_call())) {
        assert_agrees(&Counter(0), &history, |state, op, ret| {
            let value = state.first().copied().unwrap_or(0);
            match (op, ret) {
                (CounterOp::Add(amount), _) => vec![vec![value + amount]],
                (CounterOp::Read, Some(CounterRet::Value(read))) if *read != value => Vec::new(),
                (CounterOp::Read, _) => vec![state.clone()],
            }
        });
    }

    #[test]
    fn mutex(history in history::<Mutex>((prop_oneof![Just(MutexOp::Acquire), Just(MutexOp::Release)], prop::bool::weighted(0.8)))) {
        assert_agrees(&Mutex(false), &history, |state, op, ret| {
            let held = !state.is_empty();
            let does = held == (*op == MutexOp::Release);
            let after = if does == held { State::new() } else { vec![1] };
            if ret.is_some_and(|ret| *ret != does) { Vec::new() } else { vec![after] }
        });
    }

    #[test]
    fn fenced_lock(history in history::<FencedLock>(lock_call())) {
        assert_agrees(&FencedLock::default(), &history, lock_next);
    }

    #[test]
    fn kv_append(history in history::<KvAppend>(kv_call())) {
        assert_agrees(&KvAppend::default(), &history, |state, op, ret| {
            let digits = |text: &str| text.bytes().map(i64::from).collect::<State>();
            match (op, ret) {
                (KvOp::Put(value), _) => vec![digits(value.as_str())],
                (KvOp::Append(value), _) => vec![[state.clone(), digits(value.as_str())].concat()],
                (KvOp::Get, Some(KvRet::Value(value))) if digits(value.as_str()) != *state => Vec::new(),
                (KvOp::Get, _) => vec![state.clone()],
            }
        });
    }
}

fn set_call() -> impl Strategy<Value = (SetOp, SetRet)> {
    let did = || prop_oneof![Just(SetRet::Done), any::<bool>().prop_map(SetRet::Was)];
    prop_oneof![
        (0..2u64, did()).prop_map(|(element, ret)| (SetOp::Add(element), ret)),
        (0..2u64, did()).prop_map(|(element, ret)| (SetOp::Remove(element), ret)),
        (0..2u64, any::<bool>()).prop_map(|(element, was)| (SetOp::Contains(element), SetRet::Was(was))),
        prop::collection::btree_set(0..2u64, 0..2)
            .prop_map(|elements| (SetOp::Read, SetRet::Elements(elements))),
    ]
}

/// The state has its elements in order.
fn set_next(state: &State, op: &SetOp, ret: Option<&SetRet>) -> Vec<State> {
    let (SetOp::Add(element) | SetOp::Remove(element) | SetOp::Contains(element)) = op else {
        let elements: BTreeSet<u64> = state.iter().map(|element| *element as u64).collect();
        let fits = ret.is_none_or(|ret| *ret == SetRet::Elements(elements));
        return if fits { vec![state.clone()] } else { Vec::new() };
    };
    let was = state.contains(&(*element as i64));
    if let Some(SetRet::Was(said)) = ret
        && *said != was
    {
        return Vec::new();
    }
    let mut after: State = state
        .iter()
        .copied()
        .filter(|other| *other != *element as i64)
        .collect();
    let stays = match op {
        SetOp::Add(_) => true,
        SetOp::Remove(_) => false,
        SetOp::Contains(_) | SetOp::Read => was,
    };
    if stays {
        after.push(*element as i64);
        after.sort_unstable();
    }
    vec![after]
}

fn counter_call() -> impl Strategy<Value = (CounterOp, CounterRet)> {
    prop_oneof![
        (-2..3i64).prop_map(|amount| (CounterOp::Add(amount), CounterRet::Added)),
        (-2..4i64).prop_map(|value| (CounterOp::Read, CounterRet::Value(value))),
    ]
}

fn lock_call() -> impl Strategy<Value = (LockOp, LockRet)> {
    let acquired = prop_oneof![
        Just(LockRet::Done),
        Just(LockRet::Refused),
        (1..5u64).prop_map(LockRet::Token),
        (1..5u64).prop_map(LockRet::Token)
    ];
    let released = prop_oneof![3 => Just(LockRet::Done), 1 => Just(LockRet::Refused)];
    prop_oneof![
        (0..2u64, acquired).prop_map(|(owner, ret)| (LockOp::Acquire(owner), ret)),
        (0..2u64, released).prop_map(|(owner, ret)| (LockOp::Release(owner), ret)),
    ]
}

/// The state is the owner, -1 where there is none, and the last token. Tokens beyond those that are ever seen need not be tried.
fn lock_next(state: &State, op: &LockOp, ret: Option<&LockRet>) -> Vec<State> {
    let [owner, token] = state[..] else {
        return lock_next(&vec![-1, 0], op, ret);
    };
    let refused = || {
        let fits = ret.is_none_or(|ret| *ret == LockRet::Refused);
        if fits { vec![state.clone()] } else { Vec::new() }
    };
    match *op {
        LockOp::Acquire(by) if owner < 0 => {
            let tokens = token + 1..=token + 8;
            let fits = |token: &i64| match ret {
                None | Some(LockRet::Done) => true,
                Some(LockRet::Token(said)) => *said as i64 == *token,
                Some(LockRet::Refused) => false,
            };
            tokens.filter(fits).map(|token| vec![by as i64, token]).collect()
        }
        LockOp::Release(by) if owner == by as i64 => {
            let fits = ret.is_none_or(|ret| *ret == LockRet::Done);
            if fits { vec![vec![-1, token]] } else { Vec::new() }
        }
        LockOp::Acquire(_) | LockOp::Release(_) => refused(),
    }
}

fn kv_call() -> impl Strategy<Value = (KvOp, KvRet)> {
    prop_oneof![
        "[ab]{0,1}".prop_map(|value| (KvOp::put(&value), KvRet::Done)),
        "[ab]{0,2}".prop_map(|value| (KvOp::append(&value), KvRet::Done)),
        "[ab]{0,3}".prop_map(|value| (KvOp::Get, KvRet::value(&value))),
    ]
}
