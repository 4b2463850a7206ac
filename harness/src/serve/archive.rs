//! A folder as one file: a tape archive, made while it is sent.

use super::inside::Folder;
use rustix::fs::FileType;
use std::ffi::OsStr;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// How deep folders may lie in each other.
const DEPTH_MAX: usize = 16;

/// Writes a folder and all that lies in it, under `name`. What is neither a file nor a folder is left out, links among it.
///
/// # Errors
/// A file can't be read, or nobody takes what is written.
pub(super) fn write(folder: &Folder, name: &OsStr, out: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(out);
    append(&mut archive, folder, Path::new(name), DEPTH_MAX)?;
    archive.into_inner()?.flush()
}

fn append(archive: &mut Builder<impl Write>, folder: &Folder, path: &Path, depth: usize) -> io::Result<()> {
    for item in folder.items()? {
        let path: PathBuf = path.join(&item.name);
        if item.about.kind == FileType::RegularFile {
            let (file, length) = match folder.file(&item.name) {
                // It was renamed meanwhile, as a log is that is begun anew.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let mut header = header(EntryType::Regular, 0o644, length, item.about.modified.0);
            // Of what grows meanwhile the beginning is taken, and what shrinks is filled up: its length is said already.
            let exactly = file.chain(io::repeat(0)).take(length);
            archive.append_data(&mut header, path, exactly)?;
        } else if item.about.kind == FileType::Directory && depth > 0 {
            let mut header = header(EntryType::Directory, 0o755, 0, item.about.modified.0);
            archive.append_data(&mut header, &path, io::empty())?;
            append(archive, &folder.folder(&item.name)?, &path, depth - 1)?;
        }
    }
    Ok(())
}

fn header(kind: EntryType, mode: u32, length: u64, modified: i64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(length);
    header.set_mtime(u64::try_from(modified).unwrap_or(0));
    header
}

#[cfg(test)]
mod tests {
    use super::super::inside::Store;
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_archive_has_what_lies_in_the_folder_and_nothing_from_elsewhere() {
        let store = tempfile::tempdir().unwrap();
        let long = "x".repeat(200);
        let files = [
            ("test.json", "{}"),
            ("nodes/1/log", "said"),
            (long.as_str(), "long"),
        ];
        for (name, text) in files {
            let path = store.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink("/etc/passwd", store.path().join("link")).unwrap();
        fs::create_dir(store.path().join("empty")).unwrap();
        let mut bytes = Vec::new();
        let folder = Store::new(store.path()).root().unwrap();
        write(&folder, OsStr::new("run"), &mut bytes).unwrap();
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let (path, mut text) = (entry.path().unwrap().display().to_string(), String::new());
            entry.read_to_string(&mut text).unwrap();
            found.insert(path.trim_end_matches('/').to_owned(), text);
        }
        let mut expected: BTreeMap<String, String> = files
            .iter()
            .map(|(name, text)| (format!("run/{name}"), (*text).to_owned()))
            .collect();
        for folder in ["run/nodes", "run/nodes/1", "run/empty"] {
            expected.insert(folder.to_owned(), String::new());
        }
        assert_eq!(found, expected);
    }
}
