//! The data folder of a node: opened as its own, or made.

use crate::disk::Disk;
use crate::identity;
use crate::log_store::LogStore;
use crate::machine::StateMachine;
use crate::mutant::mutated;
use crate::options::Options;
use crate::recover::{Conflict, OpenError, Tear};
use crate::snapshot;
use crate::wal;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use raft::{Configuration, LogPosition, NodeId, SnapshotMeta};
use wire::record::Identity;

/// The folder's log, the state as of its latest snapshot, and its incarnation; a fresh folder is made `options.node`'s.
pub(super) fn open_store<D: Disk>(
    mut disk: D,
    options: &Options,
) -> Result<(LogStore<D>, StateMachine, u128), OpenError> {
    let mut voters = options.voters.clone();
    voters.sort_unstable();
    voters.dedup();
    let known = identity::read(&disk)?;
    if let Some(known) = &known {
        expect_own("cluster", &known.cluster_id, &options.cluster_id)?;
        expect_own("node", &known.node, &options.node.0)?;
    }
    let secret = known.as_ref().map(|known| known.secret);
    let found = match &known {
        Some(_) => snapshot::find(&mut disk)?,
        None => None,
    };
    let (stored, machine) = found.unzip();
    let tear = if mutated!(options.mutant, AppendAfterTornTail) {
        Tear::Leave
    } else {
        Tear::Cut
    };
    let conflict = if mutated!(options.mutant, SnapshotKeepsTail) {
        Conflict::Keep
    } else if mutated!(options.mutant, InstallForgetsVote) {
        Conflict::Forget
    } else {
        Conflict::Replace
    };
    let (segment_bytes, tail_bytes_max) = (options.segment_bytes, options.tail_bytes_max);
    let opened = LogStore::open(
        disk,
        segment_bytes,
        tail_bytes_max,
        secret,
        stored,
        (tear, conflict),
    )?;
    let disk = match opened {
        Ok(mut store) if let Some(known) = known => {
            // Who takes part may have changed since the beginning; the log knows, if only its beginning is still there.
            // A node that joins a cluster names nobody; and who began by joining one goes by what it was told.
            let founds = !voters.is_empty() && !store.first_voters().is_empty();
            if store.is_whole() && founds {
                expect_own("voters", &list(store.first_voters()), &list(&voters))?;
            }
            let latest = store.stored_snapshot().map(|stored| stored.meta.last);
            snapshot::tidy_up(store.disk_mut(), latest)?;
            return Ok((store, machine.unwrap_or_default(), known.incarnation));
        }
        Ok(store) if store.is_blank() => store.into_disk(),
        Ok(_) => return Err(identity_missing("the log that lies beside it is not blank")),
        Err(disk) => disk,
    };
    // Making the folder was interrupted before anybody could have been promised anything; it is made anew.
    let store = make_folder(disk, options, voters)?;
    Ok((store, StateMachine::default(), options.incarnation))
}

/// Makes an empty folder, or the remnants of one, a node's own. Snapshots are no such remnants: none is taken, and none arrives, before the
/// identity is there. One that lies here is what is left of a node, and would be put over the new one's log when that starts again.
fn make_folder<D: Disk>(
    mut disk: D,
    options: &Options,
    voters: Vec<NodeId>,
) -> Result<LogStore<D>, OpenError> {
    let names = disk.list()?;
    if names.iter().any(|name| snapshot::is_one(name)) {
        return Err(identity_missing("a snapshot lies beside it"));
    }
    let is_remnant = |name: &String| name == wal::PREPARING || wal::segment_number(name).is_some();
    for name in names.iter().filter(|name| is_remnant(name)) {
        disk.remove(name)?;
    }
    let identity = Identity {
        format: identity::FORMAT,
        cluster_id: options.cluster_id.clone(),
        node: options.node.0,
        incarnation: options.incarnation,
        secret: options.secret,
    };
    let base = SnapshotMeta {
        last: LogPosition::default(),
        configuration: Arc::new(
            Configuration::of_voters(voters)
                .with_contexts(options.contexts.iter().map(|(node, context)| (*node, context))),
        ),
    };
    let mut store = LogStore::create(
        disk,
        base,
        options.segment_bytes,
        options.tail_bytes_max,
        options.secret,
    )?;
    identity::write(store.disk_mut(), &identity)?;
    Ok(store)
}

fn identity_missing(what_proves_it: &str) -> OpenError {
    OpenError::Corrupt {
        file: identity::FILE.to_string(),
        offset: 0,
        reason: format!("it is missing, and {what_proves_it}"),
    }
}

fn expect_own<T: PartialEq + ToString>(what: &'static str, found: &T, expected: &T) -> Result<(), OpenError> {
    if found == expected {
        return Ok(());
    }
    Err(OpenError::Foreign {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}

fn list(voters: &[NodeId]) -> String {
    let names: Vec<String> = voters.iter().map(ToString::to_string).collect();
    names.join(",")
}
