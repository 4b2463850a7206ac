//! What is asked of etcd's JSON gateway. Keys and values are bytes, which JSON has as base64, and numbers of 64 bits are texts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Where ranges of keys are read.
pub(super) const RANGE: &str = "/v3/kv/range";
/// Where a value is put.
pub(super) const PUT: &str = "/v3/kv/put";
/// Where transactions are carried out.
pub(super) const TXN: &str = "/v3/kv/txn";
/// Where a member tells how it is.
pub(super) const STATUS: &str = "/v3/maintenance/status";

/// Stands between the name of a collection and that of a thing in it.
const SEPARATOR: char = '/';
/// The character behind that.
const BEHIND_SEPARATOR: char = '0';

/// The key of a thing in a collection.
pub(super) fn thing(collection: u64, name: u64) -> String {
    format!("{collection}{SEPARATOR}{name}")
}

/// Reads what is at a key.
pub(super) fn get(key: &str) -> Value {
    json!({ "key": encoded(key) })
}

/// Reads all things in a collection.
pub(super) fn things(collection: u64) -> Value {
    json!({
        "key": encoded(&format!("{collection}{SEPARATOR}")),
        "range_end": encoded(&format!("{collection}{BEHIND_SEPARATOR}")),
    })
}

/// Reads the thing in a collection that was made before all others there.
pub(super) fn oldest(collection: u64) -> Value {
    let mut range = things(collection);
    range["sort_target"] = json!("CREATE");
    range["sort_order"] = json!("ASCEND");
    range["limit"] = json!("1");
    range
}

/// Puts a value at a key.
pub(super) fn put(key: &str, value: &str) -> Value {
    json!({ "key": encoded(key), "value": encoded(value) })
}

/// A transaction: if everything compares so, these steps, in order, and else nothing.
pub(super) fn transaction(compare: &[Value], then: &[Value]) -> Value {
    json!({ "compare": compare, "success": then })
}

/// A step of a transaction that reads.
pub(super) fn step_range(range: &Value) -> Value {
    json!({ "request_range": range })
}

/// A step of a transaction that puts.
pub(super) fn step_put(key: &str, value: &str) -> Value {
    json!({ "request_put": put(key, value) })
}

/// A step of a transaction that deletes.
pub(super) fn step_delete(key: &str) -> Value {
    json!({ "request_delete_range": { "key": encoded(key) } })
}

/// There is nothing at a key.
pub(super) fn is_absent(key: &str) -> Value {
    json!({ "key": encoded(key), "target": "VERSION", "result": "EQUAL", "version": "0" })
}

/// The value at a key is that; where there is nothing, it is not.
pub(super) fn is_value(key: &str, value: &str) -> Value {
    json!({ "key": encoded(key), "target": "VALUE", "result": "EQUAL", "value": encoded(value) })
}

/// The last change at a key was made in that revision; 0: there is nothing.
pub(super) fn is_unchanged_since(key: &str, revision: u64) -> Value {
    json!({ "key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string() })
}

/// What is at a key was made in that revision.
pub(super) fn is_made_in(key: &str, revision: u64) -> Value {
    json!({ "key": encoded(key), "target": "CREATE", "result": "EQUAL", "create_revision": revision.to_string() })
}

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}
