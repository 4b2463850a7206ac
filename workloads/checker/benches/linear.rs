//! The linear-time engines, each on a million operations by a hundred processes at one object, on one core, parsing left out:
//!
//! ```text
//! cargo bench -p rustyraft-checker --bench linear
//! ```

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

#[allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "recorded histories, which are read from files, are for the general engine"
)]
mod support;

use checker::models::{Container, ContainerOp, Discipline, Fifo, LeastFirst, Lifo, Set, SetOp, Unordered};
use checker::{EngineChoice, Limits, Model, ObjectVerdict, Operation, Vocabulary, check_object};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use support::{Random, Shape, history, register};

const MANY: Shape = Shape {
    seed: 1,
    operations: 1_000_000,
    processes: 100,
    values: 0,
    lost: 0,
};

/// Puts and takes alike, of values in no order.
fn container<D: Discipline>(shape: Shape) -> Vec<Operation<Container<D>>> {
    history(shape, Container::default(), |random, unique| {
        match random.below(2) {
            0 => ContainerOp::Put((random.below(1 << 30) << 32) + unique),
            _ => ContainerOp::Take,
        }
    })
}

/// Elements are added, removed after a while, and asked for in between.
fn set() -> Vec<Operation<Set>> {
    let (mut added, mut removed) = (0, 0);
    history(MANY, Set::default(), |random, _| match random.below(4) {
        0 => {
            added += 1;
            SetOp::Add(added)
        }
        1 if removed + 100 < added => {
            removed += 1;
            SetOp::Remove(removed)
        }
        _ => SetOp::Contains(removed + random.below(200)),
    })
}

/// A set that grows, and is read as a whole now and then.
fn grown() -> Vec<Operation<Set>> {
    let shape = Shape {
        operations: 100_000,
        ..MANY
    };
    history(
        shape,
        Set::default(),
        |random: &mut Random, unique| match random.below(1000) {
            0 => SetOp::Read,
            _ => SetOp::Add(unique),
        },
    )
}

fn measure<M: Model + Default>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    make: impl Fn() -> Vec<Operation<M>>,
) {
    let operations = std::cell::OnceCell::new();
    group.bench_function(name, |bencher| {
        let operations = operations.get_or_init(&make);
        let limits = Limits {
            engine: EngineChoice::Linear,
            ..Limits::default()
        };
        bencher.iter(|| {
            let verdict = check_object(&M::default(), black_box(operations), limits);
            assert_eq!(
                verdict,
                ObjectVerdict::Valid,
                "the history is linearizable by construction"
            );
        });
    });
}

fn of_containers<D: Discipline>(group: &mut BenchmarkGroup<'_, WallTime>) {
    measure(group, Container::<D>::NAME, || container::<D>(MANY));
}

fn of_made(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("linear");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(MANY.operations));
    measure(&mut group, "cas-register", || register(MANY));
    of_containers::<Fifo>(&mut group);
    measure(&mut group, "fifo-queue, one of 1000 lost", || {
        container::<Fifo>(Shape { lost: 1000, ..MANY })
    });
    of_containers::<Unordered>(&mut group);
    of_containers::<Lifo>(&mut group);
    of_containers::<LeastFirst>(&mut group);
    measure(&mut group, "set", set);
    group.throughput(Throughput::Elements(100_000));
    measure(&mut group, "set, 100k, read as a whole", grown);
    group.finish();
}

criterion_group!(benches, of_made);
criterion_main!(benches);
