//! Writes a history of any format as a native one, for programs that read only that:
//!
//! ```text
//! cargo run --release -p rustyraft-checker --example native -- FILE > history.jsonl
//! ```
//!
//! What the format means by an outcome is said in the native way: a compare-and-set that failed because it found another value, as
//! Porcupine's logs have it, is ok and returned false.

#![expect(
    clippy::disallowed_methods,
    reason = "the library reads no files; whoever calls it does"
)]

use checker::Log;
use checker::history::{Call, End, Header, Kind, Process, Record, Value};
use std::borrow::Cow;
use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: native FILE")?;
    let log = Log::read(&std::fs::read(file)?)?;
    let failed_cas_observes = log.format.dialect().failed_cas_observes();
    let mut events: Vec<(u64, bool, &Call)> = Vec::new();
    for call in &log.calls {
        events.push((call.invoked, false, call));
        if call.returned != u64::MAX {
            events.push((call.returned, true, call));
        }
    }
    // Events at the same time are concurrent, and a history has the invocations first then.
    events.sort_by_key(|(time, is_end, call)| (*time, *is_end, call.line));
    let mut text = Vec::new();
    Header::new("register").write(&mut text);
    for (time, is_end, call) in events {
        let mut record = Record {
            time,
            process: Process::Client(call.process),
            kind: Kind::Invoke,
            f: Cow::Borrowed(&call.f),
            key: call.key.clone(),
            value: call.argument.clone(),
            error: None,
            node: call.node.filter(|_| !is_end),
            intended: None,
        };
        if is_end {
            (record.kind, record.value) = match call.end {
                End::Fail if failed_cas_observes && &*call.f == "cas" => (Kind::Ok, Value::Bool(false)),
                End::Ok if failed_cas_observes && &*call.f == "cas" => (Kind::Ok, Value::Bool(true)),
                End::Ok => (Kind::Ok, call.result.clone()),
                End::Fail => (Kind::Fail, Value::Null),
                End::Info => (Kind::Info, Value::Null),
            };
        }
        record.write(&mut text);
    }
    std::io::stdout().write_all(&text)?;
    Ok(())
}
