//! What comes from a host at the end: files of its nodes, and nothing else.
//!
//! A host is trusted to run nodes, and not with the rest of the run's folder, the history and the verdict among it. So what it sends is taken
//! apart here: plain files and folders below those of its own nodes, none that is there already, and not without bounds.

use flate2::read::GzDecoder;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use tar::Archive;

/// How much is taken.
pub(super) struct Bounds {
    /// So many files and folders.
    pub(super) entries: u64,
    /// So many bytes in files.
    pub(super) bytes: u64,
}

/// More than the nodes of any run leave.
impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            entries: 100_000,
            bytes: 64 << 30,
        }
    }
}

/// Unpacks into the folder `to` what lies below one of the `folders`.
///
/// # Errors
/// It can't be read or written, is too much, or contains something else; what came before that is there.
pub(super) fn unpack(packed: impl Read, folders: &[PathBuf], to: &Path, bounds: &Bounds) -> io::Result<()> {
    let mut archive = Archive::new(GzDecoder::new(packed));
    let too_much = || io::Error::other("it sends too much");
    let (mut entries_left, mut bytes_left) = (bounds.entries, bounds.bytes);
    // As they are: what precedes an entry with a name too long for it has no bounds, and nodes have no such files.
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        entries_left = entries_left.checked_sub(1).ok_or_else(too_much)?;
        let path = entry.path()?.into_owned();
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        // The folders of all nodes contain theirs.
        let is_above = folders.iter().any(|folder| folder.starts_with(&path));
        let is_below = folders
            .iter()
            .any(|folder| path.strip_prefix(folder).is_ok_and(|rest| rest != Path::new("")));
        let is = entry.header().entry_type();
        if is.is_pax_local_extensions() || is.is_pax_global_extensions() {
            // They tell of what follows, to the nanosecond, and that is of no interest.
        } else if is.is_dir() && is_plain && (is_above || is_below) {
            fs::create_dir_all(to.join(&path))?;
        } else if is.is_file() && is_plain && is_below {
            let path = to.join(&path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
            let size = entry.size();
            bytes_left = bytes_left.checked_sub(size).ok_or_else(too_much)?;
            if io::copy(&mut entry.take(size), &mut file)? < size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else {
            return Err(io::Error::other(format!(
                "it sends {path:?}, which is no file of its nodes"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, EntryType, Header};

    const BOUNDS: Bounds = Bounds {
        entries: 5,
        bytes: 10,
    };

    /// What a host sends: paths, what they are, and what files contain.
    fn packed(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, content) in entries {
            let mut header = Header::new_gnu();
            // Whoever packs honestly can't write some of these paths.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o7777);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name_literal(content).unwrap();
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            } else {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            }
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    /// What comes of that in a run's folder, where there is a history.
    fn unpacked(entries: &[(&str, EntryType, &str)]) -> (tempfile::TempDir, io::Result<()>) {
        let to = tempfile::tempdir().unwrap();
        fs::write(to.path().join("history.jsonl"), "history").unwrap();
        let folders = ["nodes/1", "nodes/3"].map(PathBuf::from);
        let done = unpack(&packed(entries)[..], &folders, to.path(), &BOUNDS);
        let history = fs::read_to_string(to.path().join("history.jsonl")).unwrap();
        assert_eq!(history, "history", "{entries:?}");
        (to, done)
    }

    #[test]
    fn files_of_its_nodes_are_taken() {
        let (to, done) = unpacked(&[
            ("nodes/", EntryType::Directory, ""),
            ("nodes/1/", EntryType::Directory, ""),
            ("nodes/1/log", EntryType::Regular, "words"),
            ("PaxHeaders/wal", EntryType::XHeader, "19 mtime=1.5\n"),
            ("nodes/3/data/wal", EntryType::Regular, "bytes"),
        ]);
        done.unwrap();
        let content = |path| fs::read_to_string(to.path().join(path)).unwrap();
        assert_eq!(
            (content("nodes/1/log"), content("nodes/3/data/wal")),
            ("words".into(), "bytes".into())
        );
    }

    #[test]
    fn whatever_else_a_host_sends_is_not_taken() {
        use EntryType as Is;
        for entry in [
            ("history.jsonl", Is::Regular, "valid"),
            ("nodes/1/../../history.jsonl", Is::Regular, "valid"),
            ("nodes/2/log", Is::Regular, ""),
            ("nodes/11/log", Is::Regular, ""),
            ("nodes/4/", Is::Directory, ""),
            ("nodes/1", Is::Regular, ""),
            ("nodes", Is::Regular, ""),
            ("/tmp/x", Is::Regular, ""),
            ("/", Is::Directory, ""),
            ("./nodes/1/log", Is::Regular, ""),
            ("nodes/1/link", Is::Symlink, "../../history.jsonl"),
            ("nodes/1/link", Is::Link, "history.jsonl"),
            ("nodes/1/pipe", Is::Fifo, ""),
            ("nodes/1/disk", Is::Block, ""),
            ("././@LongLink", Is::GNULongName, "nodes/1/log"),
        ] {
            let (to, done) = unpacked(&[entry]);
            let error = done.unwrap_err().to_string();
            assert!(
                error.contains("which is no file of its nodes"),
                "{entry:?}: {error}"
            );
            assert!(!to.path().join(entry.0).is_symlink(), "{entry:?}");
        }
    }

    #[test]
    fn no_file_is_written_twice() {
        let file = ("nodes/1/log", EntryType::Regular, "words");
        let (_to, done) = unpacked(&[file, file]);
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn too_many_files_and_too_long_ones_are_an_error() {
        let many = [1, 2, 3, 4, 5, 6].map(|number| (format!("nodes/1/{number}"), EntryType::Regular, ""));
        let many: Vec<_> = many
            .iter()
            .map(|(path, kind, text)| (path.as_str(), *kind, *text))
            .collect();
        assert!(unpacked(&many[..5]).1.is_ok());
        let error = unpacked(&many).1.unwrap_err();
        assert_eq!(error.to_string(), "it sends too much");
        let long = [
            ("nodes/1/a", EntryType::Regular, "123456"),
            ("nodes/1/b", EntryType::Regular, "123456"),
        ];
        assert!(unpacked(&long[..1]).1.is_ok());
        assert_eq!(unpacked(&long).1.unwrap_err().to_string(), "it sends too much");
    }

    #[test]
    fn what_breaks_off_is_an_error() {
        let whole = packed(&[("nodes/1/log", EntryType::Regular, "words")]);
        let to = tempfile::tempdir().unwrap();
        let folders = [PathBuf::from("nodes/1")];
        for length in [0, 1, 15, whole.len() / 2] {
            assert!(
                unpack(&whole[..length], &folders, to.path(), &BOUNDS).is_err(),
                "{length}"
            );
        }
    }
}
