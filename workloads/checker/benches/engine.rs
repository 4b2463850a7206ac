//! The general engine on one core, parsing left out:
//!
//! ```text
//! cargo bench -p rustyraft-checker --bench engine
//! ```
//!
//! The recorded histories are looked for in the folder that the variable `HISTORIES` names, else in `../shared/histories` beside
//! the workspace; without them only the made ones are measured. A check that takes longer than [`TIME_MAX`] ends as unknown, which
//! is then what is measured.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs,
    reason = "a benchmark reads files, its environment and the clock; criterion's macros make items without documentation"
)]

mod support;

use checker::models::{CasRegister, KvAppend};
use checker::{Dialect, Limits, Model, ObjectVerdict, Operation, check_object};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Shape, recorded, register};

/// How long one check may take.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Checks objects; how many are in order, and how many are unknown, since a limit came first.
fn check_all<M: Model + Default>(objects: &[Vec<Operation<M>>]) -> (usize, usize) {
    let (mut valid, mut unknown) = (0, 0);
    for operations in objects {
        let begun = Instant::now();
        let limits = Limits {
            should_stop: &|| begun.elapsed() > TIME_MAX,
            ..Limits::default()
        };
        match check_object(&M::default(), operations, limits) {
            ObjectVerdict::Valid => valid += 1,
            ObjectVerdict::Violation { .. } => {}
            ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded => unknown += 1,
        }
    }
    (valid, unknown)
}

fn of_recorded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recorded");
    let mut measure = |name: &str, part: &str| {
        if let Some(objects) = recorded::<CasRegister>(part, Dialect::Porcupine) {
            group.bench_function(name, |bencher| bencher.iter(|| check_all(black_box(&objects))));
        }
    };
    measure("102 etcd logs", "etcd/");
    measure("etcd_002", "etcd_002");
    for name in ["c01-ok", "c01-bad", "c10-ok", "c10-bad", "c50-ok", "c50-bad"] {
        if let Some(objects) = recorded::<KvAppend>(name, Dialect::Porcupine) {
            group.bench_function(name, |bencher| bencher.iter(|| check_all(black_box(&objects))));
        }
    }
    group.finish();
}

const FEW: Shape = Shape {
    seed: 1,
    operations: 50_000,
    processes: 10,
    values: 5,
    lost: 0,
};

fn of_made(criterion: &mut Criterion) {
    let shapes = [
        ("cas-register, 10 processes, 50k", FEW),
        (
            "cas-register, 10 processes, 50k, one of 1000 lost",
            Shape { lost: 1000, ..FEW },
        ),
        (
            "cas-register, 10 processes, 1M",
            Shape {
                operations: 1_000_000,
                ..FEW
            },
        ),
        (
            "cas-register, 10 processes, 1M, one of 1000 lost",
            Shape {
                operations: 1_000_000,
                lost: 1000,
                ..FEW
            },
        ),
        (
            "cas-register, 30 processes, 1M",
            Shape {
                operations: 1_000_000,
                processes: 30,
                ..FEW
            },
        ),
        (
            "register, unique writes, 100 processes, 1M",
            Shape {
                operations: 1_000_000,
                processes: 100,
                values: 0,
                ..FEW
            },
        ),
    ];
    let mut group = criterion.benchmark_group("made");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(200));
    for (name, shape) in shapes {
        let objects = std::cell::OnceCell::new();
        group.throughput(Throughput::Elements(shape.operations));
        group.bench_function(name, |bencher| {
            let objects = objects.get_or_init(|| vec![register(shape)]);
            bencher.iter(|| {
                let (valid, unknown) = check_all(black_box(objects));
                assert_eq!(valid + unknown, 1, "the history is linearizable by construction");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, of_recorded, of_made);
criterion_main!(benches);
