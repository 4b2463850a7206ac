//! Damage to the data of nodes that are down: where it falls, and what becomes of nodes that notice it, or don't.

use crate::stage::{LIVES, Stage};
use harness::cluster::{Cluster, ClusterError, Damage};
use std::fs;
use std::path::PathBuf;

/// A log of two batches, with zeros at their ends and behind them.
const LOG: &[u8] = b"abcd\0\0\0\0efgh\0\0\0\0\0\0\0\0\0\0\0\0";
/// A snapshot of one part.
const SNAPSHOT: &[u8] = b"ijkl\0\0\0\0";

/// A node with such data, as it says itself; `when_damaged` is carried out where they are not whole.
fn stage(when_damaged: &str) -> Stage {
    Stage::with_program(&format!(
        r#"if [ "$1" = wal ]; then cat <<END
{{"file":"snapshot-1","offset":0,"bytes":8,"found":"batch","sequence":1,"record":"part"}}
{{"file":"snapshot-2","offset":0,"bytes":8,"found":"batch","sequence":1,"record":"part"}}
{{"file":"wal-1","offset":0,"bytes":8,"found":"batch","sequence":1,"record":"open"}}
{{"file":"wal-1","offset":8,"bytes":8,"found":"batch","sequence":2,"record":"write"}}
{{"file":"wal-1","offset":16,"bytes":8,"found":"room"}}
END
exit; fi
for argument; do case "$argument" in --data=*) data="${{argument#--data=}}" ;; esac; done
if [ ! -e "$data" ]; then
    mkdir -p "$data"
    printf 'abcd\0\0\0\0efgh\0\0\0\0\0\0\0\0\0\0\0\0' > "$data/wal-1"
    printf 'ijkl\0\0\0\0' > "$data/snapshot-1"
    printf 'ijkl\0\0\0\0' > "$data/snapshot-2"
    cp -r "$data" "$stage/whole-$id"
elif ! cmp -s "$data/wal-1" "$stage/whole-$id/wal-1" || ! cmp -s "$data/snapshot-2" "$stage/whole-$id/snapshot-2"; then
    {when_damaged}
fi
echo 'ready {{"listen":"127.0.0.1:1"}}'; {LIVES}"#
    ))
}

/// A node that is down, with damaged data.
async fn damaged(stage: &Stage, damage: Damage, draw: u64) -> Cluster {
    let cluster = stage.start(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    cluster.damage(1, damage, draw).await.unwrap();
    cluster
}

fn file(stage: &Stage, name: &str) -> PathBuf {
    stage.dir().join("nodes/1/data").join(name)
}

fn read(stage: &Stage, name: &str) -> Vec<u8> {
    fs::read(file(stage, name)).unwrap()
}

/// The places where the bytes differ, and by how many bits in all.
fn difference(one: &[u8], other: &[u8]) -> (Vec<usize>, u32) {
    assert_eq!(one.len(), other.len());
    let differ = (0..one.len()).filter(|place| one[*place] != other[*place]);
    let bits = one
        .iter()
        .zip(other)
        .map(|(one, other)| (one ^ other).count_ones());
    (differ.collect(), bits.sum())
}

#[tokio::test]
async fn a_bit_of_the_log_is_flipped_where_a_later_batch_proves_that_it_was_durable() {
    let mut places = Vec::new();
    for draw in 0..20 {
        let stage = stage("exit 255");
        let cluster = damaged(&stage, Damage::Log, draw).await;
        assert!(cluster.is_damaged(1));
        let (place, bits) = difference(&read(&stage, "wal-1"), LOG);
        assert_eq!(bits, 1);
        places.extend(place);
        assert_eq!(read(&stage, "snapshot-2"), SNAPSHOT);
    }
    places.sort_unstable();
    places.dedup();
    // No padding, and not the last batch, which may be taken for torn.
    assert_eq!(places, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_bit_of_the_latest_snapshot_is_flipped() {
    let stage = stage("exit 255");
    let _cluster = damaged(&stage, Damage::Snapshot, 7).await;
    assert_eq!(difference(&read(&stage, "snapshot-2"), SNAPSHOT).1, 1);
    assert_eq!(
        (&read(&stage, "snapshot-1")[..], &read(&stage, "wal-1")[..]),
        (SNAPSHOT, LOG)
    );
}

#[tokio::test]
async fn a_torn_tail_takes_nothing_away_and_a_node_has_to_start_on_it() {
    for draw in 0..10 {
        let stage = stage("touch \"$stage/mended\"");
        let cluster = damaged(&stage, Damage::Torn, draw).await;
        let torn = read(&stage, "wal-1");
        assert_eq!(torn[..16], LOG[..16]);
        // Less than the whole batch.
        assert!(torn[16] == b'e' && torn[19] == 0, "{torn:?}");
        assert!(!cluster.is_damaged(1));
        cluster.restart(1).await.unwrap();
        assert!(stage.folder().join("mended").exists() && cluster.is_up(1));
        assert!(cluster.unnoticed().is_empty());
    }
}

#[tokio::test]
async fn a_node_that_says_what_is_damaged_and_ends_has_not_died_by_itself() {
    let stage = stage("echo 'error: wal-1 is corrupt at offset 0: rot' >&2; exit 255");
    let cluster = damaged(&stage, Damage::Log, 1).await;
    let refused = cluster.restart(1).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { node: 1, .. }),
        "{refused}"
    );
    assert!(cluster.unexpected_exits().is_empty() && cluster.unnoticed().is_empty());
    // Without its data it starts again.
    cluster.wipe(1).await.unwrap();
    assert!(!cluster.is_damaged(1));
    cluster.restart(1).await.unwrap();
}

#[tokio::test]
async fn a_node_that_ends_otherwise_has_died_by_itself_though_its_data_is_damaged() {
    for end in [
        "echo 'error: no room' >&2; exit 255",
        "echo 'error: wal-1 is corrupt at offset 8: rot' >&2; exit 255",
        "echo 'error: wal-1 is corrupt at offset 0: rot' >&2; exit 254",
        "echo \"error: thread 'main' panicked at x.rs:1: wal-1 is corrupt at offset 0\" >&2; exit 255",
    ] {
        let stage = stage(end);
        let cluster = damaged(&stage, Damage::Log, 1).await;
        let error = cluster.restart(1).await.unwrap_err();
        assert_eq!(cluster.unexpected_exits().len(), 1, "{end}: {error}");
    }
}

#[tokio::test]
async fn a_node_that_starts_on_damaged_data_is_killed_and_remembered() {
    let stage = stage(":");
    let cluster = damaged(&stage, Damage::Snapshot, 1).await;
    let error = cluster.restart(1).await.unwrap_err().to_string();
    let unnoticed = cluster.unnoticed();
    assert_eq!(unnoticed.len(), 1);
    assert_eq!((unnoticed[0].node, unnoticed[0].file.as_str()), (1, "snapshot-2"));
    assert_eq!(
        error,
        format!("node 1 did not start: it was not to: {}", unnoticed[0])
    );
    assert!(!cluster.is_up(1) && stage.processes().is_empty());
}

#[tokio::test]
async fn where_a_node_does_not_say_what_lies_there_nothing_is_damaged() {
    let stage = Stage::with_program(&format!(
        r#"if [ "$1" = wal ]; then echo 'there is no log' >&2; exit 254; fi; echo 'ready {{"listen":"127.0.0.1:1"}}'; {LIVES}"#
    ));
    let cluster = stage.start(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    let error = cluster.damage(1, Damage::Log, 1).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "node 1's data could not be damaged: `wal inspect` ended with exit status: 254: there is no log"
    );
    assert!(!cluster.is_damaged(1));
}
