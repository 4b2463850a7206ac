//! What is done to a data folder while no node runs on it, or may be: `node wal inspect` and `node recover`.

use crate::disk::{DataFolder, LockError};
use crate::exit::Failure;
use crate::{exit, output};
use replica::{DiskError, Found, Inspector, OpenError};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How often a folder is looked at anew, when files came or went meanwhile.
const LOOKS_MAX: usize = 10;

/// What was seen in a folder.
#[derive(Debug, Default)]
struct Seen {
    text: String,
    segments: usize,
    is_log_corrupt: bool,
    is_snapshot_corrupt: bool,
}

/// Prints what the log and the snapshots in `folder` hold; the exit code. Nothing is changed, and a node may be running on it: its last
/// write may be seen half then.
pub(crate) fn inspect(folder: &Path, as_json: bool) -> Result<u8, Failure> {
    let mut names = list(folder)?;
    let mut looks = 0;
    let seen = loop {
        looks += 1;
        let seen = look(folder, &names, as_json);
        // A node may have removed a file, or given it another name, between two others that were looked at.
        let now = list(folder)?;
        if now == names || looks == LOOKS_MAX {
            break seen?;
        }
        names = now;
    };
    if seen.segments == 0 {
        return Err(Failure::Usage(format!("{}: there is no log", folder.display())));
    }
    let code = output::print(seen.text.as_bytes());
    let complaint = match (seen.is_log_corrupt, seen.is_snapshot_corrupt) {
        (false, false) => return Ok(code),
        (true, false) => "the log is corrupt",
        (false, true) => "a snapshot is corrupt",
        (true, true) => "the log is corrupt, and so is a snapshot",
    };
    output::complain(complaint);
    Ok(exit::NOT_DONE)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::Usage(format!("{}: {error}", path.display()))
}

/// The names of all files in `folder`, sorted; so snapshots come before the log.
fn list(folder: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn look(folder: &Path, names: &[String], as_json: bool) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let identity = fs::read(folder.join("identity")).ok();
    let mut inspector = Inspector::new(identity.as_deref());
    if let Some(reason) = inspector.damaged_identity() {
        let reason = reason.to_string();
        seen.is_log_corrupt = true;
        seen.tell("identity", None, &[Found::Corrupt { offset: 0, reason }], as_json);
    }
    for name in names {
        let Some((is_segment, bytes, found)) = look_at(&mut inspector, &folder.join(name), name)? else {
            continue;
        };
        if is_segment {
            seen.segments += 1;
            seen.is_log_corrupt |= is_corrupt(&found);
        } else {
            seen.is_snapshot_corrupt |= is_corrupt(&found);
        }
        seen.tell(name, Some(bytes), &found, as_json);
    }
    if let Some((name, found)) = inspector.lost_snapshot() {
        seen.is_log_corrupt = true;
        seen.tell(&name, None, &[found], as_json);
    }
    Ok(seen)
}

/// Whether the file `name` is a segment, how long it is, and what it holds; `None` where it is neither a segment nor a snapshot.
fn look_at(
    inspector: &mut Inspector,
    path: &Path,
    name: &str,
) -> Result<Option<(bool, u64, Vec<Found>)>, Failure> {
    let is_segment = name.starts_with("wal-");
    if !(is_segment || name.starts_with("snapshot") || name == "incoming.part") {
        return Ok(None);
    }
    let file = fs::File::open(path).map_err(unreadable(path))?;
    let bytes = file.metadata().map_err(unreadable(path))?.len();
    let read = |offset, buffer: &mut [u8]| {
        file.read_exact_at(buffer, offset).map_err(|error| DiskError {
            operation: "read",
            file: name.to_string(),
            reason: error.to_string(),
        })
    };
    let found = if is_segment {
        inspector.segment(name, bytes, read)
    } else {
        inspector.snapshot(name, bytes, read)
    };
    let found = found.transpose();
    let found = found.map_err(|error| Failure::Usage(format!("{}: {}", path.display(), error.reason)))?;
    Ok(found.map(|found| (is_segment, bytes, found)))
}

fn is_corrupt(found: &[Found]) -> bool {
    found.iter().any(|found| matches!(found, Found::Corrupt { .. }))
}

impl Seen {
    /// Adds what was found in the file `name`.
    fn tell(&mut self, name: &str, bytes: Option<u64>, found: &[Found], as_json: bool) {
        if !as_json {
            let bytes = bytes.map_or(String::new(), |bytes| format!("  {bytes} bytes"));
            self.text.push_str(&format!("{name}{bytes}\n"));
        }
        for found in found {
            self.text.push_str(&if as_json {
                json_line(name, found)
            } else {
                line(found)
            });
        }
    }
}

fn line(found: &Found) -> String {
    match found {
        Found::Batch {
            offset,
            bytes,
            sequence,
            record,
        } => format!("{offset:>10}  {bytes:>8}  batch {sequence}  {record}\n"),
        Found::Remnant { offset, bytes } => {
            format!("{offset:>10}  {bytes:>8}  what an interrupted write or an earlier use has left\n")
        }
        Found::Room { offset, bytes } => format!("{offset:>10}  {bytes:>8}  zeros\n"),
        Found::Corrupt { offset, reason } => format!("{offset:>10}            CORRUPT  {reason}\n"),
    }
}

fn json_line(name: &str, found: &Found) -> String {
    let value: Value = match found {
        Found::Batch {
            offset,
            bytes,
            sequence,
            record,
        } => {
            json!({"file": name, "offset": offset, "bytes": bytes, "found": "batch", "sequence": sequence, "record": record})
        }
        Found::Remnant { offset, bytes } => {
            json!({"file": name, "offset": offset, "bytes": bytes, "found": "remnant"})
        }
        Found::Room { offset, bytes } => {
            json!({"file": name, "offset": offset, "bytes": bytes, "found": "room"})
        }
        Found::Corrupt { offset, reason } => {
            json!({"file": name, "offset": offset, "found": "corrupt", "reason": reason})
        }
    };
    format!("{value}\n")
}

/// Lets the node whose folder this is go on as a cluster of its own, `cluster_id`; the exit code.
pub(crate) fn recover(folder: &Path, cluster_id: &str, force: bool) -> Result<u8, Failure> {
    if !force {
        return Err(Failure::Usage(
            "this gives up whatever the lost nodes had and this one has not, acknowledged writes too: say \
             --force-new-cluster if that is meant"
                .to_string(),
        ));
    }
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "{}: there is no such folder",
            folder.display()
        )));
    }
    // Looked for before the folder is locked, which leaves a file there.
    if !folder.join("identity").is_file() {
        return Err(Failure::Usage(format!(
            "{}: this is no node's data folder",
            folder.display()
        )));
    }
    let disk = DataFolder::lock(folder).map_err(|error| match error {
        LockError::Busy(_) | LockError::Unusable(..) => Failure::Usage(error.to_string()),
    })?;
    let rescued = replica::rescue(disk, cluster_id).map_err(|error| match error {
        OpenError::Foreign { .. }
        | OpenError::SameCluster(_)
        | OpenError::Format { .. }
        | OpenError::Config(_) => Failure::Usage(error.to_string()),
        OpenError::Corrupt { .. } | OpenError::Disk(_) => Failure::Internal(error.to_string()),
    })?;
    let said = format!(
        "node {} is the only member of the cluster {cluster_id:?} now; before, there were ({})\n\
         its log ends at entry {} of term {}, and all of it counts; it knew entry {} to be committed\n\
         what the other nodes had beyond that is lost; start it with `node serve --join --cluster-id {cluster_id}`, and add others\n",
        rescued.node.0, rescued.before, rescued.last.index, rescued.last.term, rescued.commit
    );
    Ok(output::print(said.as_bytes()))
}
