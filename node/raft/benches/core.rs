//! What an entry costs the core of a leader of three, from the proposal to its being committed.
//!
//! ```text
//! cargo bench -p rustyraft-raft --bench core
//! ```

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use raft::{Config, Envelope, MemoryStorage, Message, NodeId, RawNode, Silent, Timing};
use std::hint::black_box;

type Node = RawNode<MemoryStorage<Bytes>, Silent>;

fn hear(node: &mut Node, term: raft::Term, message: Message<Bytes>) {
    node.step(Envelope {
        from: NodeId(2),
        to: NodeId(1),
        term,
        message,
    });
}

/// Carries out what the core asks for, until it asks for nothing.
fn turn(node: &mut Node) {
    while node.has_ready() {
        let ready = node.ready();
        black_box(&ready.messages);
        if let Some(write) = &ready.write {
            node.storage_mut().apply(write);
            node.persisted(write.id);
        }
        if let Some(last) = ready.committed.last() {
            node.applied(last.index);
        }
    }
}

fn acknowledge(node: &mut Node) {
    let (term, matched) = (node.raft().term(), node.raft().last().index);
    hear(node, term, Message::AppendAccepted { matched });
    turn(node);
}

fn leader() -> Node {
    let storage = MemoryStorage::new([1, 2, 3].map(NodeId));
    let config = Config::new(NodeId(1));
    let node = RawNode::new(config, Timing::default(), 1, storage, Silent);
    let mut node = node.expect("the settings can work");
    node.campaign();
    turn(&mut node);
    let next_term = node.raft().term().next();
    hear(
        &mut node,
        next_term,
        Message::PreVoteResponse {
            next_term,
            granted: true,
        },
    );
    turn(&mut node);
    let term = node.raft().term();
    hear(&mut node, term, Message::VoteResponse { granted: true });
    turn(&mut node);
    acknowledge(&mut node);
    node
}

fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    for count in [1_u64, 64, 256] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} entries at once"), |bencher| {
            // A fresh one each time: the log in memory keeps everything.
            bencher.iter_batched_ref(
                leader,
                |node| {
                    for _ in 0..count {
                        let proposed = node.propose(Bytes::from_static(&[7; 256]));
                        proposed.expect("it leads");
                    }
                    turn(node);
                    acknowledge(node);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, commit);
criterion_main!(benches);
