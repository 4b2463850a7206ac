//! What a command costs a leader beside its disk and its network: the core, the log's encoding and checksum, the state machine.
//!
//! ```text
//! cargo bench -p rustyraft-replica --bench log
//! ```

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

#[path = "../tests/leader/mod.rs"]
mod leader;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leader::{Leader, puts};

fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    for count in [1, 64, 256] {
        let mut leader = Leader::elected();
        let commands = puts(count);
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(format!("{count} puts at once"), |bencher| {
            bencher.iter(|| leader.commit(&commands));
        });
    }
    group.finish();
}

criterion_group!(benches, commit);
criterion_main!(benches);
