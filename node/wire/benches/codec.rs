//! What it costs to encode and to decode what travels most: appends of puts of 256 bytes, requests and responses.
//!
//! ```text
//! cargo bench -p rustyraft-wire --bench codec
//! ```

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use raft::NodeId;
use std::hint::black_box;
use wire::Slice;
use wire::client::{Reply, Request, RequestBody, Response};
use wire::peer::{Body, Entry, Message, Packet};
use wire::record::{EntryData, Position};

fn append(entries: usize) -> Message {
    let entry = Entry {
        term: 7,
        data: EntryData::Command(Bytes::from(vec![7; 270])),
    };
    Message {
        term: 7,
        body: Body::Append {
            prev: Position { term: 7, index: 1000 },
            entries: vec![entry; entries],
            commit: 1000,
        },
    }
}

fn appends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for entries in [1, 64] {
        let message = append(entries);
        let payload = message.to_payload();
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(format!("encode {entries} entries"), |bencher| {
            bencher.iter(|| black_box(&message).to_payload());
        });
        group.bench_function(format!("decode {entries} entries"), |bencher| {
            bencher.iter(|| {
                Packet::from_payload(black_box(&payload), NodeId(1), NodeId(2)).expect("it is intact")
            });
        });
    }
    group.finish();
}

fn requests(criterion: &mut Criterion) {
    let request = Request {
        id: 1 << 14,
        body: RequestBody::Put {
            key: Bytes::from_static(b"key000001"),
            value: Bytes::from(vec![7; 256]),
        },
    };
    let payload = wire::encode(&request);
    criterion.bench_function("put/decode", |bencher| {
        bencher.iter(|| wire::decode::<Request<Slice<'_>>>(black_box(&payload)).expect("it is intact"));
    });
    let response = Response {
        id: 1 << 14,
        result: Ok(Reply::Written),
    };
    criterion.bench_function("written/encode", |bencher| {
        bencher.iter(|| wire::encode_into(black_box(&response), Vec::with_capacity(16)));
    });
}

criterion_group!(benches, appends, requests);
criterion_main!(benches);
