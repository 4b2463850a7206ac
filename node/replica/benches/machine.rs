//! What a command costs the state machine among a million keys, and among keys that were all chosen to belong to one part of its map.
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
use wire::record::Command;

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

criterion_group!(benches, commands);
criterion_main!(benches);
