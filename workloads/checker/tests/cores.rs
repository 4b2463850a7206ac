//! The smallest core of a violation, for every model that there is, against searches over all orders: it is a violation on its own, and
//! without any one of its operations what is left has an order, or means nothing any more.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

#[expect(dead_code, reason = "only the making of histories is used here")]
mod fuzz;
#[path = "fuzz/tester.rs"]
mod tester;

use checker::history::Value;
use checker::models::stateright::{Exact, Register as TheirRegister, Vector};
use checker::models::{
    Bank, BankOp, BankRet, CasRegister, Counter, CounterOp, CounterRet, FencedLock, FifoQueue, Generate,
    KvAppend, KvOp, KvRet, ListAppend, LockOp, LockRet, MultiRegister, Mutex, MutexOp, PriorityQueue,
    Register, RegisterOp, RegisterRet, Set, Stack, StoreStep, UniqueIds, UnorderedQueue,
};
use checker::{
    Limits, Model, ObjectVerdict, Operation, SequentialSpec, Takes, check_object, registry, shrink,
};
use fuzz::{Fuzzed, Made, has_order, history};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use stateright::semantics::register;
use stateright::semantics::vec::{VecOp, VecRet};

/// How many histories of each model there are, and how long they are at most.
const HISTORIES: u64 = 500;
const OPERATIONS_MAX: u64 = 6;

/// Whether some order fits all that are `required` and any of those that are `optional`.
fn has_order_with<M: Fuzzed>(init: &M, required: &[Operation<M>], optional: &[Operation<M>]) -> bool {
    let operations = [optional, required].concat();
    // Those that are left out count as done.
    (0..1_u32 << optional.len()).any(|left_out| has_order(init, &operations, left_out))
}

fn without<M: Model>(operations: &[Operation<M>], process: u64) -> Vec<Operation<M>> {
    let mut others = operations.to_vec();
    others.retain(|operation| operation.process != process);
    others
}

/// How it can have come to what the operation of the process `culprit` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    /// It took effect before it was invoked.
    Stale,
    /// Others have not taken effect.
    Lost,
    /// Or some have twice.
    Doubled,
}

const ACCOUNTS: [Account; 3] = [Account::Stale, Account::Lost, Account::Doubled];

fn accounts<M: Fuzzed>(account: Account, init: &M, operations: &[Operation<M>], culprit: u64) -> bool {
    let others = without(operations, culprit);
    let named = operations
        .iter()
        .find(|operation| operation.process == culprit)
        .unwrap();
    let early = Operation {
        invoked: 0,
        ..named.clone()
    };
    match account {
        Account::Stale => has_order(init, &[&others[..], &[early]].concat(), 0),
        Account::Lost => has_order_with(init, std::slice::from_ref(named), &others),
        Account::Doubled => has_order_with(
            init,
            std::slice::from_ref(named),
            &[&others[..], &others].concat(),
        ),
    }
}

/// Holds the core of a violation of a model that does not tell reasons against all orders.
fn hold_grounds<M: Fuzzed>(init: &M, all: &[Operation<M>], core: &[Operation<M>], culprit: u64) {
    let named = all.iter().find(|operation| operation.process == culprit).unwrap();
    let until: Vec<Operation<M>> = all
        .iter()
        .filter(|it| it.invoked <= named.returned)
        .cloned()
        .collect();
    let is_sufficient = |kept: &[Operation<M>]| {
        let mut left_out = until.clone();
        left_out.retain(|operation| kept.iter().all(|kept| kept.process != operation.process));
        !has_order_with(init, kept, &left_out)
    };
    let told = |kept: &[Operation<M>]| {
        let mut all = ACCOUNTS.into_iter();
        all.find(|account| accounts(*account, init, kept, culprit))
    };
    let account = told(core);
    let means = |kept: &[Operation<M>]| {
        has_order(init, &without(kept, culprit), 0)
            && account.is_none_or(|account| accounts(account, init, kept, culprit))
            && is_sufficient(kept)
    };
    assert!(means(core), "it means nothing");
    for operation in without(core, culprit) {
        let kept = without(core, operation.process);
        assert!(!means(&kept), "{operation:?} is needless");
    }
    // What the whole history tells of how it came about, the core does, too, where that is all that is wrong.
    let is_all = has_order(init, &without(&until, culprit), 0);
    assert!(
        account.is_some() || !is_all || told(&until).is_none(),
        "it tells nothing"
    );
}

/// Holds the core of a violation of a model that tells reasons against all orders.
fn hold_reasons<M: Fuzzed>(init: &M, core: &[Operation<M>]) {
    let produced = |operation: &Operation<M>| M::produces(&operation.op, operation.ret.as_ref());
    for one in core {
        let kept = without(core, one.process);
        if has_order(init, &kept, 0) {
            continue;
        }
        let made = produced(one);
        let is_seen = kept.iter().any(|other| {
            let mut seen = Vec::new();
            M::observes(&other.op, other.ret.as_ref(), &mut seen);
            made.is_some_and(|made| seen.contains(&made))
        });
        let takes = match M::takes(&one.op, one.ret.as_ref()) {
            Takes::Nothing => false,
            Takes::Something => true,
            Takes::This(thing) => {
                let mut held = Vec::new();
                init.holds(&mut held);
                held.contains(&thing) || kept.iter().any(|other| produced(other) == Some(thing))
            }
        };
        let is_reason = kept.iter().any(|other| {
            let missed = M::misses(&other.op, other.ret.as_ref());
            missed.is_some_and(|missed| M::takes_away(&one.op, one.ret.as_ref(), missed))
        });
        assert!(is_seen || takes || is_reason, "{one:?} is needless");
    }
}

/// Of every violation among the histories the core is what it should be.
fn cores_hold<M: Fuzzed>() -> u64 {
    let mut violations = 0;
    for seed in 0..HISTORIES {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let Made { init, operations, .. } = history::<M>(&mut random, OPERATIONS_MAX);
        let verdict = check_object(&init, &operations, Limits::default());
        let ObjectVerdict::Violation { operation, .. } = verdict else {
            continue;
        };
        violations += 1;
        let core = shrink(&init, &operations, Limits::default());
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert!(!has_order(&init, &core, 0), "it is no violation on its own");
            if M::TELLS_REASONS {
                hold_reasons(&init, &core);
            } else {
                hold_grounds(&init, &operations, &core, operations[operation].process);
            }
        }));
        if seen.is_err() {
            panic!("seed {seed}, from {init:?}: the core {core:#?}\nof {operations:#?}");
        }
    }
    violations
}

macro_rules! cores_of {
    ($($test:ident: $model:ty;)*) => { $(
        #[test]
        fn $test() {
            let violations = cores_hold::<$model>();
            assert!(violations > HISTORIES / 20, "only {violations} violations");
        }
    )* };
}

cores_of! {
    bank: Bank;
    cas_register: CasRegister;
    counter: Counter;
    fenced_lock: FencedLock;
    fifo_queue: FifoQueue;
    kv_append: KvAppend;
    list_append: ListAppend;
    multi_register: MultiRegister;
    mutex: Mutex;
    priority_queue: PriorityQueue;
    register: Register;
    set: Set;
    stack: Stack;
    their_register: TheirRegister<u64>;
    their_vector: Vector<u64>;
    unique_ids: UniqueIds;
    unordered_queue: UnorderedQueue;
}

/// A model that comes later gets a test here.
#[test]
fn every_model_has_its_test() {
    let tested = [
        "bank",
        "cas-register",
        "counter",
        "fenced-lock",
        "fifo-queue",
        "kv-append",
        "list-append",
        "multi-register",
        "mutex",
        "priority-queue",
        "register",
        "set",
        "stack",
        "unique-ids",
        "unordered-queue",
    ];
    for model in registry() {
        assert!(tested.contains(&model.name), "{} is not tested", model.name);
    }
}

fn below(random: &mut ChaCha8Rng, bound: u64) -> u64 {
    random.random_range(0..bound)
}

impl Fuzzed for Counter {
    fn init(random: &mut ChaCha8Rng) -> Self {
        Counter(if random.random_ratio(1, 4) { 3 } else { 0 })
    }

    fn call(&self, random: &mut ChaCha8Rng, _: u64) -> CounterOp {
        match below(random, 5) {
            0 | 1 => CounterOp::Read,
            2 => CounterOp::Add(-1),
            _ => CounterOp::Add(random.random_range(1..4)),
        }
    }

    fn other(random: &mut ChaCha8Rng, op: &CounterOp, _: &[u64]) -> CounterRet {
        match op {
            CounterOp::Add(_) => CounterRet::Added,
            CounterOp::Read => CounterRet::Value(random.random_range(-1..6)),
        }
    }
}

impl Fuzzed for Mutex {
    fn init(random: &mut ChaCha8Rng) -> Self {
        Mutex(random.random_ratio(1, 4))
    }

    fn call(&self, random: &mut ChaCha8Rng, _: u64) -> MutexOp {
        // Mostly what can be done.
        if self.0 == random.random_ratio(4, 5) {
            MutexOp::Release
        } else {
            MutexOp::Acquire
        }
    }

    fn other(random: &mut ChaCha8Rng, _: &MutexOp, _: &[u64]) -> bool {
        random.random_ratio(2, 3)
    }
}

impl Fuzzed for FencedLock {
    fn init(_: &mut ChaCha8Rng) -> Self {
        FencedLock::default()
    }

    fn call(&self, random: &mut ChaCha8Rng, _: u64) -> LockOp {
        let someone = below(random, 3);
        match self.owner {
            Some(owner) if random.random_ratio(3, 4) => LockOp::Release(owner),
            _ if random.random_ratio(1, 8) => LockOp::Release(someone),
            _ => LockOp::Acquire(someone),
        }
    }

    fn other(random: &mut ChaCha8Rng, op: &LockOp, _: &[u64]) -> LockRet {
        match op {
            LockOp::Acquire(_) if random.random_ratio(2, 3) => LockRet::Token(random.random_range(1..5)),
            LockOp::Acquire(_) | LockOp::Release(_) if random.random_ratio(1, 3) => LockRet::Refused,
            LockOp::Acquire(_) | LockOp::Release(_) => LockRet::Done,
        }
    }
}

impl Fuzzed for Bank {
    fn init(random: &mut ChaCha8Rng) -> Self {
        let mut bank = Bank::default();
        if random.random() {
            bank.is_open = true;
            bank.balances = (0..2).map(|account| (Value::Int(account), 5)).collect();
        }
        bank
    }

    fn call(&self, random: &mut ChaCha8Rng, _: u64) -> BankOp {
        if random.random_ratio(2, 5) {
            return BankOp::Read;
        }
        let from = random.random_range(0..2);
        BankOp::Transfer {
            from: Value::Int(from),
            to: Value::Int(1 - from),
            amount: random.random_range(1..3),
        }
    }

    fn choose(&mut self, random: &mut ChaCha8Rng, op: &BankOp) -> BankRet {
        if *op == BankOp::Read && !self.is_open {
            // So much was there at first that nobody is in debt.
            let balance = |account| 10 + self.balances.get(&Value::Int(account)).copied().unwrap_or(0);
            let seen = BankRet::Balances(
                (0..2)
                    .map(|account| (Value::Int(account), balance(account)))
                    .collect(),
            );
            assert!(self.is_valid_step(op, &seen), "{self:?} {seen:?}");
            return seen;
        }
        let _ = random;
        self.invoke(op)
    }

    fn other(random: &mut ChaCha8Rng, op: &BankOp, _: &[u64]) -> BankRet {
        match op {
            BankOp::Transfer { .. } => BankRet::Done,
            BankOp::Read => {
                let first = random.random_range(3..8);
                let balances = [(Value::Int(0), first), (Value::Int(1), 10 - first)];
                BankRet::Balances(balances.to_vec())
            }
        }
    }
}

/// A transaction, and what its reads may return: `Some` number that is written, or nothing.
fn steps(random: &mut ChaCha8Rng, fresh: u64, change: fn(Value, Value) -> StoreStep) -> Vec<StoreStep> {
    let count = random.random_range(1..3);
    let mut steps = Vec::new();
    for nth in 0..count {
        let key = Value::Int(random.random_range(0..2));
        if random.random() {
            steps.push(StoreStep::Read(key));
        } else {
            let value = i64::try_from(100 * nth + fresh % 100).unwrap();
            steps.push(change(key, Value::Int(value)));
        }
    }
    steps
}

fn reads(op: &[StoreStep]) -> usize {
    op.iter()
        .filter(|step| matches!(step, StoreStep::Read(_)))
        .count()
}

impl Fuzzed for MultiRegister {
    fn init(_: &mut ChaCha8Rng) -> Self {
        MultiRegister::default()
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Vec<StoreStep> {
        steps(random, fresh, StoreStep::Write)
    }

    fn other(random: &mut ChaCha8Rng, op: &Vec<StoreStep>, used: &[u64]) -> Vec<Option<Value>> {
        let read = |random: &mut ChaCha8Rng| match below(random, 4) {
            0 => None,
            1 => Some(Value::Null),
            _ => Some(Value::Int(i64::try_from(used[0] + below(random, 2)).unwrap())),
        };
        (0..reads(op)).map(|_| read(random)).collect()
    }
}

impl Fuzzed for ListAppend {
    fn init(_: &mut ChaCha8Rng) -> Self {
        ListAppend::default()
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Vec<StoreStep> {
        steps(random, fresh, StoreStep::Append)
    }

    fn other(random: &mut ChaCha8Rng, op: &Vec<StoreStep>, used: &[u64]) -> Vec<Option<Value>> {
        let read = |random: &mut ChaCha8Rng| {
            let some = used.iter().filter(|_| random.random_ratio(1, 3));
            let list: Vec<Value> = some
                .map(|value| Value::Int(i64::try_from(*value).unwrap()))
                .collect();
            Some(Value::list(list))
        };
        (0..reads(op)).map(|_| read(random)).collect()
    }
}

impl Fuzzed for UniqueIds {
    fn init(random: &mut ChaCha8Rng) -> Self {
        UniqueIds((0..2).filter(|_| random.random_ratio(1, 4)).collect())
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Generate {
        Generate(if random.random() { fresh } else { below(random, 4) })
    }

    fn other(random: &mut ChaCha8Rng, _: &Generate, _: &[u64]) -> bool {
        random.random_ratio(3, 4)
    }
}

impl Fuzzed for KvAppend {
    fn init(_: &mut ChaCha8Rng) -> Self {
        KvAppend::default()
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> KvOp {
        let text = ["a", "b", "c"][usize::try_from(fresh % 3).unwrap()];
        match below(random, 6) {
            0 => KvOp::put(text),
            1 | 2 => KvOp::append(text),
            _ => KvOp::Get,
        }
    }

    fn other(random: &mut ChaCha8Rng, op: &KvOp, _: &[u64]) -> KvRet {
        match op {
            KvOp::Put(_) | KvOp::Append(_) => KvRet::Done,
            KvOp::Get => {
                let count = random.random_range(0..4);
                let text: String = (0..count)
                    .map(|_| ["a", "b", "c"][usize::try_from(below(random, 3)).unwrap()])
                    .collect();
                KvRet::value(&text)
            }
        }
    }
}

impl Fuzzed for Register {
    fn init(random: &mut ChaCha8Rng) -> Self {
        Register(CasRegister::init(random))
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> RegisterOp {
        if random.random() {
            RegisterOp::Read
        } else {
            RegisterOp::Write(fresh)
        }
    }

    fn other(random: &mut ChaCha8Rng, op: &RegisterOp, used: &[u64]) -> RegisterRet {
        CasRegister::other(random, op, used)
    }
}

impl Fuzzed for TheirRegister<u64> {
    fn init(_: &mut ChaCha8Rng) -> Self {
        TheirRegister(register::Register(1))
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Exact<register::RegisterOp<u64>> {
        Exact(if random.random() {
            register::RegisterOp::Read
        } else {
            register::RegisterOp::Write(10 + fresh % 3)
        })
    }

    fn other(
        random: &mut ChaCha8Rng,
        op: &Exact<register::RegisterOp<u64>>,
        _: &[u64],
    ) -> Exact<register::RegisterRet<u64>> {
        Exact(match op.0 {
            register::RegisterOp::Write(_) => register::RegisterRet::WriteOk,
            register::RegisterOp::Read => register::RegisterRet::ReadOk(10 + below(random, 3)),
        })
    }
}

impl Fuzzed for Vector<u64> {
    fn init(_: &mut ChaCha8Rng) -> Self {
        Vector(Vec::new())
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Exact<VecOp<u64>> {
        Exact(match below(random, 5) {
            0 => VecOp::Len,
            1 | 2 => VecOp::Pop,
            _ => VecOp::Push(fresh % 4),
        })
    }

    fn other(random: &mut ChaCha8Rng, op: &Exact<VecOp<u64>>, _: &[u64]) -> Exact<VecRet<u64>> {
        Exact(match op.0 {
            VecOp::Push(_) => VecRet::PushOk,
            VecOp::Pop if random.random_ratio(1, 3) => VecRet::PopOk(None),
            VecOp::Pop => VecRet::PopOk(Some(below(random, 4))),
            VecOp::Len => VecRet::LenOk(usize::try_from(below(random, 3)).unwrap()),
        })
    }
}
