//! What is done to a data folder while no node runs on it, or may be: `node wal inspect` and `node recover`.

use crate::disk::{DataFolder, LockError};
use crate::exit::Failure;
use crate::{exit, output};
use replica::{Found, Inspector, OpenError};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Prints what the log in `folder` holds; the exit code. Nothing is changed, and a node may be running on it: its last write may be seen
/// half then.
pub(crate) fn inspect(folder: &Path, as_json: bool) -> Result<u8, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        names.push(
            entry
                .map_err(unreadable)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort_unstable();
    let identity = fs::read(folder.join("identity")).ok();
    let mut inspector = Inspector::new(identity.as_deref());
    let (mut text, mut segments) = (String::new(), 0);
    let mut corrupt = inspector.damaged_identity().is_some();
    if let Some(reason) = inspector.damaged_identity() {
        let reason = reason.to_string();
        let found = Found::Corrupt { offset: 0, reason };
        text.push_str(&if as_json {
            json_line("identity", &found)
        } else {
            format!("identity\n{}", line(&found))
        });
    }
    for name in names {
        if !name.starts_with("wal-") {
            continue;
        }
        let contents = fs::read(folder.join(&name)).map_err(unreadable)?;
        let Some(found) = inspector.segment(&name, &contents) else {
            continue;
        };
        segments += 1;
        if !as_json {
            text.push_str(&format!("{name}  {} bytes\n", contents.len()));
        }
        for found in &found {
            corrupt |= matches!(found, Found::Corrupt { .. });
            text.push_str(&if as_json {
                json_line(&name, found)
            } else {
                line(found)
            });
        }
    }
    if segments == 0 {
        return Err(Failure::Usage(format!("{}: there is no log", folder.display())));
    }
    let code = output::print(text.as_bytes());
    if corrupt {
        output::complain("the log is corrupt");
        return Ok(exit::NOT_DONE);
    }
    Ok(code)
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
