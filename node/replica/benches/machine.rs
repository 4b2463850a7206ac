//! What a command costs the state machine among a million keys, and among keys that were all chosen to belong to one part of its map; and
//! what one costs that changes a list as long as values may be.
//!
//! ```text
//! cargo bench -p rustyraft-replica --bench machine
//! ```

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replica::StateMachine;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use wire::limits::{OPERATIONS_MAX, VALUE_BYTES_MAX};
use wire::record::{Command, End, Operation, Transaction};

const VALUE: [u8; 32] = [7; 32];

/// How many commands are measured at once.
const BATCH: usize = 64;

type Key = [u8; 8];

fn put(key: &Key) -> Command<&[u8]> {
    Command::Put { key, value: &VALUE }
}

fn with(keys: &[Key]) -> StateMachine {
    let mut machine = StateMachine::default();
    for key in keys {
        machine.apply(put(key)).expect("a put always fits");
    }
    machine
}

/// Keys that were not chosen.
fn ordinary(count: u64) -> impl Iterator<Item = Key> {
    (0..count).map(u64::to_be_bytes)
}

/// Keys that belong to one of the 64 parts of one of the 64 shards. That the map goes by this hash is no secret.
fn chosen(count: usize) -> impl Iterator<Item = Key> {
    let is_chosen = |key: &Key| {
        let mut hasher = FxHasher::default();
        hasher.write(key);
        let [shard, part, ..] = hasher.finish().to_be_bytes();
        (shard % 64, part % 64) == (0, 0)
    };
    (0_u64..).map(u64::to_be_bytes).filter(is_chosen).take(count)
}

fn commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("machine");
    let worlds: [(&str, Vec<Key>); 3] = [
        ("10,000 keys", ordinary(10_000).collect()),
        ("1,000,000 keys", ordinary(1_000_000).collect()),
        ("20,000 chosen keys", chosen(20_000).collect()),
    ];
    for (name, keys) in worlds {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        // Every other key is there; the others come and go.
        let (there, others): (Vec<_>, Vec<_>) = keys.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
        let mut machine = with(&there);
        let mut some = |keys: &[Key]| -> Vec<Key> {
            (0..BATCH)
                .map(|_| keys[random.random_range(0..keys.len())])
                .collect()
        };
        group.throughput(criterion::Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new("replace", name), |bencher| {
            bencher.iter_batched(
                || some(&there),
                |keys| {
                    for key in &keys {
                        machine.apply(put(key)).expect("a put always fits");
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("add and delete", name), |bencher| {
            bencher.iter_batched(
                || some(&others),
                |keys| {
                    for key in &keys {
                        machine.apply(put(key)).expect("a put always fits");
                    }
                    for key in &keys {
                        let delete: Command<&[u8]> = Command::Delete { key };
                        machine.apply(delete).expect("a delete always fits");
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

const LIST: &[u8] = b"list";

fn push(item: &[u8], end: End) -> Operation<&[u8]> {
    Operation::Push { key: LIST, item, end }
}

fn pop(end: End) -> Operation<&'static [u8]> {
    Operation::Pop { key: LIST, end }
}

/// Several operations, each by itself or all in one transaction.
fn batch(operations: Vec<Operation<&[u8]>>, together: bool) -> Vec<Command<&[u8]>> {
    if together {
        let then = operations;
        return vec![Command::Transaction(Transaction {
            then,
            ..Transaction::default()
        })];
    }
    operations.into_iter().map(Command::Operation).collect()
}

/// A machine with a list that is as long as values may be, of items of so many bytes.
fn with_list(item_bytes: usize) -> StateMachine {
    let length = u32::try_from(item_bytes).expect("an item is no longer than a value");
    let item = [&length.to_be_bytes()[..], &vec![0; item_bytes]].concat();
    let list = item.repeat(VALUE_BYTES_MAX / item.len());
    let mut machine = StateMachine::default();
    let put = Command::Put {
        key: LIST,
        value: &list[..],
    };
    machine.apply(put).expect("a put always fits");
    machine
}

fn lists(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("list of 1 MiB");
    group.sample_size(10);
    for item_bytes in [0, 100] {
        let machine = with_list(item_bytes);
        let item = vec![0; item_bytes];
        let world = format!("items of {item_bytes} bytes");
        // Every one of these leaves the list as long as it was.
        let [front, back] = [End::Front, End::Back];
        let cases = [
            ("pop and push back", vec![pop(back), push(&item, back)], false),
            ("pop and push front", vec![pop(front), push(&item, front)], false),
            ("pop first, push last", vec![pop(front), push(&item, back)], false),
            ("transaction of pops", vec![pop(back); OPERATIONS_MAX], true),
        ];
        for (name, operations, together) in cases {
            let commands = batch(operations, together);
            group.bench_function(BenchmarkId::new(name, &world), |bencher| {
                bencher.iter_batched_ref(
                    || machine.clone(),
                    |machine| {
                        for command in &commands {
                            machine
                                .apply(command.clone())
                                .expect("there is room, and an item");
                        }
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, commands, lists);
criterion_main!(benches);
