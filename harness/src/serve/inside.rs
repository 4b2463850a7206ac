//! A store's folder, out of which no name leads.
//!
//! What lies in a store was written by others: by nodes, by programs under test. So nothing is opened by a path that the kernel has not
//! held inside of the store while it followed it: not by `..`, and not by a link, except for those that stay inside, as `latest` does.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// How files are opened. One that is a pipe must not be waited for.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);
/// How folders are.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);

/// The folder of a store.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
}

/// What a path in a store leads to.
pub(super) enum Opened {
    /// A file, and how long it is.
    File(File, u64),
    /// A folder, and its own path, without links.
    Folder(Folder, PathBuf),
}

/// A folder in a store.
pub(super) struct Folder(OwnedFd);

/// What lies in a folder.
pub(super) struct Item {
    pub(super) name: OsString,
    pub(super) about: About,
}

/// About a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) kind: FileType,
    /// In bytes.
    pub(super) size: u64,
    /// When it was written last, in seconds and nanoseconds since 1970.
    pub(super) modified: (i64, i64),
    /// Its number in its file system.
    inode: u64,
}

impl Store {
    pub(super) fn new(path: &Path) -> Store {
        Store {
            path: path.to_owned(),
        }
    }

    /// Its path, as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself. It is looked up each time: a store may be removed, and made again by the next run.
    ///
    /// # Errors
    /// It is not there, or no folder.
    pub(super) fn root(&self) -> io::Result<Folder> {
        Ok(Folder(openat(CWD, self.path.as_path(), FOLDER, Mode::empty())?))
    }

    /// What `path` leads to, from the store's folder on.
    ///
    /// # Errors
    /// It is not there, leads out of the store, or is neither a file nor a folder.
    pub(super) fn open(&self, path: &Path) -> io::Result<Opened> {
        let root = self.root()?;
        let name = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let beneath = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
        let file = File::from(openat2(root.0.as_fd(), name, FILE, Mode::empty(), beneath)?);
        let about = file.metadata()?;
        if about.is_file() {
            Ok(Opened::File(file, about.len()))
        } else if about.is_dir() {
            let folder = Folder(file.into());
            let of_store = root.real_path()?;
            let real = folder.real_path()?;
            let inside = real.strip_prefix(of_store).map_err(|_| io::ErrorKind::NotFound)?;
            Ok(Opened::Folder(folder, inside.to_owned()))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

impl Folder {
    /// What lies in it; by name.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn items(&self) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            // What is gone by now is no loss.
            let is_itself = name == "." || name == "..";
            if let Some(about) = (!is_itself).then(|| self.about(name)).flatten() {
                items.push(Item {
                    name: name.to_owned(),
                    about,
                });
            }
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    /// About something in it; `None` where that is not there. A link is not followed.
    pub(super) fn about(&self, name: impl AsRef<OsStr>) -> Option<About> {
        let stat = statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(About {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            inode: stat.st_ino,
        })
    }

    /// A folder in it, which is no link.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub(super) fn folder(&self, name: &OsStr) -> io::Result<Folder> {
        let flags = FOLDER.union(OFlags::NOFOLLOW);
        Ok(Folder(openat(&self.0, name, flags, Mode::empty())?))
    }

    /// A file in it, which is no link, and how long it is.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub(super) fn file(&self, name: impl AsRef<OsStr>) -> io::Result<(File, u64)> {
        let flags = FILE.union(OFlags::NOFOLLOW);
        let file = File::from(openat(&self.0, name.as_ref(), flags, Mode::empty())?);
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((file, about.len()))
    }

    /// All of a file, which has no more than `bytes_max`.
    ///
    /// # Errors
    /// There is none, it can't be read, or it is longer.
    pub(super) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let (file, length) = self.file(name)?;
        if length > bytes_max {
            return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
        }
        let mut text = Vec::new();
        file.take(bytes_max).read_to_end(&mut text)?;
        Ok(text)
    }

    /// It opened once more: locks are of what was opened at once.
    ///
    /// # Errors
    /// It is not there any more.
    pub(super) fn another_handle(&self) -> io::Result<File> {
        Ok(File::from(openat(&self.0, ".", FOLDER, Mode::empty())?))
    }

    /// Where it really lies.
    fn real_path(&self) -> io::Result<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// The path of a percent-encoded address such as `register/20261126T171403.245Z`; `None` where that is none, or is one that could lead
/// elsewhere by itself. A slash at its end says nothing.
pub(super) fn decode(address: &str) -> Option<PathBuf> {
    let address = address.strip_suffix('/').unwrap_or(address);
    if address.is_empty() {
        return Some(PathBuf::new());
    }
    address.split('/').map(segment).collect()
}

fn segment(encoded: &str) -> Option<PathBuf> {
    let name: Vec<u8> = percent_encoding::percent_decode_str(encoded).collect();
    let is_name =
        !matches!(name.as_slice(), b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    is_name.then(|| PathBuf::from(OsString::from_vec(name)))
}

/// The address of a path.
pub(super) fn encode(path: &Path) -> String {
    let names = path.iter().map(|name| {
        percent_encoding::percent_encode(name.as_bytes(), percent_encoding::NON_ALPHANUMERIC)
            .to_string()
            // These stand for themselves, and most names of runs have them.
            .replace("%2E", ".")
            .replace("%2D", "-")
            .replace("%5F", "_")
    });
    names.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn opens(store: &Store, path: &str) -> bool {
        store.open(Path::new(path)).is_ok()
    }

    #[test]
    fn links_are_followed_inside_of_the_store_and_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let folder = outside.path().join("store");
        let run = folder.join("register/1");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("test.json"), "{}").unwrap();
        symlink("register/1", folder.join("latest")).unwrap();
        symlink(outside.path().join("secret"), run.join("absolute")).unwrap();
        symlink("../../../secret", run.join("up")).unwrap();
        symlink("../..", run.join("root")).unwrap();
        symlink("loop", run.join("loop")).unwrap();
        let store = Store::new(&folder);
        for inside in ["", "latest", "latest/test.json", "register/1/root/register"] {
            assert!(opens(&store, inside), "{inside}");
        }
        for refused in [
            "register/1/absolute",
            "latest/up",
            "latest/root/..",
            "../secret",
            "/etc/passwd",
            "latest/loop",
            "latest/nothing",
        ] {
            assert!(!opens(&store, refused), "{refused}");
        }
        let Ok(Opened::Folder(latest, path)) = store.open(Path::new("latest")) else {
            panic!("it is a folder");
        };
        assert_eq!(path, Path::new("register/1"));
        assert!(latest.file("test.json").is_ok() && latest.file("up").is_err());
        assert!(latest.folder(OsStr::new("root")).is_err(), "it is a link");
    }

    #[test]
    fn neither_pipes_nor_what_is_too_long_are_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("long"), [b'x'; 100]).unwrap();
        rustix::fs::mknodat(CWD, folder.path().join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let store = Store::new(folder.path());
        assert!(!opens(&store, "pipe"));
        let root = store.root().unwrap();
        assert!(root.file("pipe").is_err());
        assert_eq!(root.read("long", 100).unwrap().len(), 100);
        assert!(root.read("long", 99).is_err());
    }

    #[test]
    fn an_address_is_a_path_that_cant_lead_elsewhere_by_itself() {
        let path = Path::new("a b/ä%/20261126T1.2Z-3/\u{1}<");
        let address = encode(path);
        assert_eq!(address, "a%20b/%C3%A4%25/20261126T1.2Z-3/%01%3C");
        assert_eq!(decode(&address).as_deref(), Some(path));
        assert_eq!(decode("").as_deref(), Some(Path::new("")));
        assert_eq!(decode("a/").as_deref(), Some(Path::new("a")));
        for refused in [
            "..",
            "a/../b",
            "a/%2e%2e/b",
            "a//b",
            "/a",
            "a%2fb",
            "a/%00",
            ".",
            "//",
        ] {
            assert_eq!(decode(refused), None, "{refused}");
        }
    }
}
