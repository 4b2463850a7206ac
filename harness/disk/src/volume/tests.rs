use super::*;
use crate::store::memory::MemoryStore;
use crate::{FolderStore, PAGE_BYTES, SECTOR_BYTES};
use proptest::prelude::*;

fn volume() -> Volume<MemoryStore> {
    Volume::open(MemoryStore::default()).unwrap()
}

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn file<S: Store>(volume: &mut Volume<S>, text: &str) -> Ino {
    volume.make(Ino::ROOT, name(text), Kind::File, 0o644).unwrap()
}

fn bytes<S: Store>(volume: &Volume<S>, path: &str) -> Option<Vec<u8>> {
    let mut ino = Ino::ROOT;
    for part in path.split('/') {
        ino = volume.lookup(ino, name(part)).ok()?;
    }
    Some(volume.read(ino, 0, 1 << 20).unwrap())
}

/// Seeds whose losses differ: of everything, of nothing, and of something.
const SEEDS: std::ops::Range<u64> = 0..60;

/// Every seed's loss of power, after `prepare`.
fn losses(prepare: impl Fn(&mut Volume<MemoryStore>)) -> impl Iterator<Item = Volume<MemoryStore>> {
    SEEDS.map(move |seed| {
        let mut volume = volume();
        prepare(&mut volume);
        volume.lose(&mut Lottery::new(seed)).unwrap();
        volume
    })
}

#[test]
fn what_was_synced_with_its_name_survives_and_what_was_not_may_be_lost() {
    let mut outcomes = Vec::new();
    for volume in losses(|volume| {
        let kept = file(volume, "kept");
        volume.write(kept, 0, b"synced").unwrap();
        volume.sync(kept).unwrap();
        volume.sync(Ino::ROOT).unwrap();
        let other = file(volume, "other");
        volume.write(other, 0, b"not synced").unwrap();
    }) {
        assert_eq!(bytes(&volume, "kept").unwrap(), b"synced");
        outcomes.push(bytes(&volume, "other"));
    }
    // Without its name, with it and nothing else, and whole.
    for outcome in [None, Some(b"".to_vec()), Some(b"not synced".to_vec())] {
        assert!(outcomes.contains(&outcome), "{outcome:?}");
    }
}

#[test]
fn a_synced_file_whose_name_was_not_synced_may_be_gone_but_is_whole_if_not() {
    let mut outcomes = Vec::new();
    for volume in losses(|volume| {
        let new = file(volume, "new");
        volume.write(new, 0, b"synced").unwrap();
        volume.sync(new).unwrap();
    }) {
        outcomes.push(bytes(&volume, "new"));
    }
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes, [None, Some(b"synced".to_vec())]);
}

#[test]
fn what_replaces_a_file_by_its_name_leaves_the_old_one_or_the_new_one_whole() {
    let mut outcomes = Vec::new();
    for volume in losses(|volume| {
        let old = file(volume, "it");
        volume.write(old, 0, b"old").unwrap();
        volume.sync_all().unwrap();
        let new = file(volume, "it.new");
        volume.write(new, 0, b"newer").unwrap();
        volume.sync(new).unwrap();
        volume
            .rename(Ino::ROOT, name("it.new"), Ino::ROOT, name("it"), true)
            .unwrap();
        assert_eq!(bytes(volume, "it").unwrap(), b"newer");
    }) {
        outcomes.push(bytes(&volume, "it").unwrap());
    }
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes, [b"newer".to_vec(), b"old".to_vec()]);
}

#[test]
fn a_removed_file_may_be_back_and_a_sync_of_its_folder_is_the_end_of_it() {
    let remove = |volume: &mut Volume<MemoryStore>| {
        let it = file(volume, "it");
        volume.write(it, 0, b"text").unwrap();
        volume.sync_all().unwrap();
        volume.remove(Ino::ROOT, name("it"), Kind::File).unwrap();
    };
    let mut outcomes: Vec<_> = losses(remove).map(|volume| bytes(&volume, "it")).collect();
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes, [None, Some(b"text".to_vec())]);
    for volume in losses(|volume| {
        remove(volume);
        volume.sync(Ino::ROOT).unwrap();
    }) {
        assert_eq!(bytes(&volume, "it"), None);
    }
}

#[test]
fn a_sync_of_a_folder_covers_what_was_changed_before_elsewhere_and_not_what_came_later() {
    let mut later = Vec::new();
    for volume in losses(|volume| {
        let folder = volume
            .make(Ino::ROOT, name("folder"), Kind::Folder, 0o755)
            .unwrap();
        volume.make(folder, name("in"), Kind::File, 0o644).unwrap();
        file(volume, "later");
        // The folder's own name was made before the one in it.
        volume.sync(folder).unwrap();
    }) {
        assert!(bytes(&volume, "folder/in").is_some());
        later.push(bytes(&volume, "later").is_some());
    }
    assert!(later.contains(&true) && later.contains(&false));
}

#[test]
fn after_a_sync_that_failed_the_next_one_writes_nothing_of_it() {
    let mut volume = volume();
    let it = file(&mut volume, "it");
    volume.write(it, 0, &[1; 2 * PAGE_BYTES]).unwrap();
    volume.sync_all().unwrap();
    volume.write(it, 0, &[2; 2 * PAGE_BYTES]).unwrap();
    volume.fail_sync(it).unwrap();
    volume.write(it, 0, &[3]).unwrap();
    volume.sync(it).unwrap();
    // It is still read, but it is not there.
    let mut cached = vec![2; 2 * PAGE_BYTES];
    cached[0] = 3;
    assert_eq!(bytes(&volume, "it").unwrap(), cached);
    volume.lose(&mut Lottery::new(1)).unwrap();
    cached[PAGE_BYTES..].fill(1);
    assert!(
        bytes(&volume, "it").unwrap() == cached,
        "but the page that was written to"
    );
}

#[test]
fn a_file_is_there_for_whoever_has_it_open_though_its_name_is_gone_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut on_disk = Volume::open(FolderStore::open(folder.path()).unwrap()).unwrap();
    let mut in_memory = volume();
    fn check<S: Store>(volume: &mut Volume<S>) {
        for replaced in [false, true] {
            let it = file(volume, "it");
            volume.open_handle(it).unwrap();
            volume.write(it, 0, b"text").unwrap();
            volume.sync_all().unwrap();
            if replaced {
                file(volume, "other");
                volume
                    .rename(Ino::ROOT, name("other"), Ino::ROOT, name("it"), true)
                    .unwrap();
            } else {
                volume.remove(Ino::ROOT, name("it"), Kind::File).unwrap();
            }
            volume.sync(Ino::ROOT).unwrap();
            volume.write(it, 4, b"s").unwrap();
            volume.sync(it).unwrap();
            assert_eq!(volume.read(it, 0, 9).unwrap(), b"texts");
            assert!(!volume.attributes(it).unwrap().is_named);
            volume.close_handle(it);
            assert_eq!(volume.read(it, 0, 9), Err(Errno::STALE));
            let _ = volume.remove(Ino::ROOT, name("it"), Kind::File);
            volume.sync_all().unwrap();
        }
        assert_eq!(volume.list(Ino::ROOT).unwrap(), []);
    }
    check(&mut in_memory);
    check(&mut on_disk);
    assert!(!on_disk.is_at_stake());
}

#[test]
fn names_are_refused_as_anywhere() {
    let mut volume = volume();
    let a = volume.make(Ino::ROOT, name("a"), Kind::Folder, 0o755).unwrap();
    let b = volume.make(a, name("b"), Kind::Folder, 0o755).unwrap();
    file(&mut volume, "f");
    let root = Ino::ROOT;
    assert_eq!(volume.make(root, name("f"), Kind::File, 0), Err(Errno::EXIST));
    assert_eq!(volume.remove(root, name("a"), Kind::Folder), Err(Errno::NOTEMPTY));
    assert_eq!(volume.remove(root, name("a"), Kind::File), Err(Errno::ISDIR));
    assert_eq!(volume.remove(root, name("f"), Kind::Folder), Err(Errno::NOTDIR));
    assert_eq!(volume.remove(root, name("g"), Kind::File), Err(Errno::NOENT));
    assert_eq!(
        volume.rename(root, name("a"), b, name("c"), true),
        Err(Errno::INVAL)
    );
    assert_eq!(
        volume.rename(root, name("f"), root, name("a"), true),
        Err(Errno::ISDIR)
    );
    assert_eq!(
        volume.rename(root, name("a"), root, name("f"), true),
        Err(Errno::NOTDIR)
    );
    assert_eq!(
        volume.rename(a, name("b"), root, name("f"), false),
        Err(Errno::EXIST)
    );
    let f = volume.lookup(root, name("f")).unwrap();
    assert_eq!(volume.write(f, LEN_MAX, b"x"), Err(Errno::FBIG));
    assert_eq!(volume.list(f), Err(Errno::NOTDIR));
    assert_eq!(volume.read(a, 0, 1), Err(Errno::ISDIR));
}

/// What is done to a file.
#[derive(Clone, Debug)]
enum Stroke {
    Write { offset: u16, length: u16, byte: u8 },
    SetLen(u16),
    Zero { offset: u16, length: u16 },
    Sync,
    FailSync,
}

fn strokes() -> impl Strategy<Value = Vec<Stroke>> {
    let short = 0..3 * PAGE_BYTES as u16;
    let stroke = prop_oneof![
        4 => (short.clone(), 1..2 * PAGE_BYTES as u16, 1..=255u8)
            .prop_map(|(offset, length, byte)| Stroke::Write { offset, length, byte }),
        2 => short.clone().prop_map(Stroke::SetLen),
        1 => (short.clone(), short).prop_map(|(offset, length)| Stroke::Zero { offset, length }),
        2 => Just(Stroke::Sync),
        1 => Just(Stroke::FailSync),
    ];
    proptest::collection::vec(stroke, 1..12)
}

/// The bytes that a file should have.
fn carry_out(stroke: &Stroke, bytes: &mut Vec<u8>) {
    match *stroke {
        Stroke::Write { offset, length, byte } => {
            let (from, to) = (usize::from(offset), usize::from(offset) + usize::from(length));
            bytes.resize(bytes.len().max(to), 0);
            bytes[from..to].fill(byte);
        }
        Stroke::SetLen(len) => bytes.resize(usize::from(len), 0),
        Stroke::Zero { offset, length } => {
            let from = usize::from(offset).min(bytes.len());
            let to = (usize::from(offset) + usize::from(length)).min(bytes.len());
            bytes[from..to].fill(0);
        }
        Stroke::Sync | Stroke::FailSync => {}
    }
}

proptest! {
    #[test]
    fn a_file_reads_as_it_was_written_and_keeps_of_that_what_it_may(strokes in strokes(), seed in any::<u64>()) {
        let mut volume = volume();
        let it = file(&mut volume, "it");
        volume.sync(Ino::ROOT).unwrap();
        let (mut bytes_now, mut was_cut, mut has_failed) = (Vec::new(), false, false);
        // What each sector was since the last sync, from then on.
        let mut since: Vec<Vec<u8>> = vec![Vec::new()];
        for stroke in &strokes {
            match *stroke {
                Stroke::Write { offset, length, byte } => {
                    volume.write(it, u64::from(offset), &vec![byte; usize::from(length)]).unwrap();
                }
                Stroke::SetLen(len) => {
                    was_cut |= usize::from(len) < bytes_now.len();
                    volume.set_len(it, u64::from(len)).unwrap();
                }
                Stroke::Zero { offset, length } => {
                    volume.zero(it, u64::from(offset), u64::from(length)).unwrap();
                }
                Stroke::Sync => volume.sync(it).unwrap(),
                Stroke::FailSync => {
                    has_failed = true;
                    volume.fail_sync(it).unwrap();
                }
            }
            carry_out(stroke, &mut bytes_now);
            prop_assert_eq!(&volume.read(it, 0, 1 << 20).unwrap(), &bytes_now);
            if matches!(stroke, Stroke::Sync) && !has_failed {
                since.clear();
                was_cut = false;
            }
            since.push(bytes_now.clone());
        }
        let was_whole = strokes.last().is_some_and(|last| matches!(last, Stroke::Sync)) && !has_failed;
        volume.lose(&mut Lottery::new(seed)).unwrap();
        let left = bytes(&volume, "it").unwrap();
        if was_whole {
            prop_assert_eq!(&left, &bytes_now);
        }
        // Each sector is one that it was since the last sync, perhaps as short as the file then was, or zeros where the file has grown.
        for (number, sector) in left.chunks(SECTOR_BYTES).enumerate() {
            let from = number * SECTOR_BYTES;
            let lens: Vec<usize> = since.iter().map(Vec::len).collect();
            let was = since.iter().any(|bytes| {
                lens.iter().any(|len| {
                    let mut then = bytes[..bytes.len().min(*len)].get(from..).unwrap_or_default().to_vec();
                    then.resize(sector.len().max(then.len()), 0);
                    then[..sector.len()] == *sector
                })
            });
            let is_empty = sector.iter().all(|byte| *byte == 0);
            prop_assert!(was || is_empty, "sector {} is none of what it was", number);
        }
        prop_assert!(left.len() <= since.iter().map(Vec::len).max().unwrap_or(0));
        prop_assert!(was_cut || left.len() >= since[0].len(), "it is shorter than it was durably");
        prop_assert!(!volume.is_at_stake());
    }
}

/// What is done to names. Folders and names are drawn from a few.
#[derive(Clone, Debug)]
enum Move {
    Make {
        folder: usize,
        name: usize,
        kind: bool,
    },
    Remove {
        folder: usize,
        name: usize,
    },
    Rename {
        from: (usize, usize),
        to: (usize, usize),
    },
    Sync {
        folder: usize,
    },
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let place = || (0..3usize, 0..NAMES.len());
    let one = prop_oneof![
        4 => (place(), any::<bool>()).prop_map(|((folder, name), kind)| Move::Make { folder, name, kind }),
        2 => place().prop_map(|(folder, name)| Move::Remove { folder, name }),
        3 => (place(), place()).prop_map(|(from, to)| Move::Rename { from, to }),
        1 => (0..3usize).prop_map(|folder| Move::Sync { folder }),
    ];
    proptest::collection::vec(one, 1..25)
}

/// All paths, sorted.
fn tree<S: Store>(volume: &Volume<S>) -> Vec<String> {
    fn walk<S: Store>(volume: &Volume<S>, folder: Ino, path: &str, all: &mut Vec<String>) {
        for (name, ino, kind) in volume.list(folder).unwrap() {
            let path = format!("{path}/{}", name.to_string_lossy());
            all.push(format!("{path}{}", if kind == Kind::Folder { "/" } else { "" }));
            if kind == Kind::Folder {
                walk(volume, ino, &path, all);
            }
        }
    }
    let mut all = Vec::new();
    walk(volume, Ino::ROOT, "", &mut all);
    all
}

/// The folders that there are, as far as there are so many.
fn folders<S: Store>(volume: &Volume<S>) -> Vec<Ino> {
    let mut all = vec![Ino::ROOT];
    let mut place = 0;
    while let Some(folder) = all.get(place) {
        let named = volume.list(*folder).unwrap().into_iter();
        all.extend(
            named
                .filter(|(_, _, kind)| *kind == Kind::Folder)
                .map(|(_, ino, _)| ino),
        );
        place += 1;
    }
    all
}

fn check_moves<S: Store>(mut volume: Volume<S>, moves: &[Move], seed: u64) -> Result<(), TestCaseError> {
    // How it looked after each change, the first one durable.
    let mut looks = vec![tree(&volume)];
    for one in moves {
        let folders = folders(&volume);
        let at = |folder: usize| folders[folder % folders.len()];
        let n = |place: usize| name(NAMES[place]);
        match *one {
            Move::Make { folder, name, kind } => {
                let kind = if kind { Kind::Folder } else { Kind::File };
                let _ = volume.make(at(folder), n(name), kind, 0o755);
            }
            Move::Remove { folder, name } => {
                let _ = volume.remove(at(folder), n(name), Kind::File);
                let _ = volume.remove(at(folder), n(name), Kind::Folder);
            }
            Move::Rename { from, to } => {
                let _ = volume.rename(at(from.0), n(from.1), at(to.0), n(to.1), true);
            }
            Move::Sync { folder } => {
                let before = volume.journal.len();
                volume.sync(at(folder)).unwrap();
                looks.drain(..before - volume.journal.len());
            }
        }
        if looks.len() <= volume.journal.len() {
            looks.push(tree(&volume));
        }
        prop_assert_eq!(looks.len(), volume.journal.len() + 1);
        prop_assert_eq!(looks.last(), Some(&tree(&volume)));
    }
    let lost = volume.lose(&mut Lottery::new(seed)).unwrap();
    prop_assert_eq!(lost.at_stake, looks.len() - 1);
    let kept = lost.at_stake - lost.lost;
    prop_assert_eq!(&tree(&volume), &looks[kept]);
    // What it goes on from is the same that is durable.
    let again = Volume::open(volume.store).unwrap();
    prop_assert_eq!(&tree(&again), &looks[kept]);
    Ok(())
}

proptest! {
    #[test]
    fn names_survive_as_they_were_at_some_time_since_the_last_sync(moves in moves(), seed in any::<u64>()) {
        check_moves(volume(), &moves, seed)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn names_on_a_real_disk_survive_alike(moves in moves(), seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(folder.path()).unwrap();
        check_moves(Volume::open(store).unwrap(), &moves, seed)?;
    }
}
