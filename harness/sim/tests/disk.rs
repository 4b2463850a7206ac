//! What a simulated disk keeps and what it loses.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use replica::{BLOCK_BYTES, Disk, FileId, Meanwhile};
use sim::{DiskFault, Remainder, SECTOR_BYTES, SimDisk};

const BLOCKS: usize = 4;

/// A file of which the first block was written and synced with ones, and the first two were written with twos.
fn half_synced() -> (SimDisk, FileId) {
    let mut disk = SimDisk::new();
    let file = disk.create("file", (BLOCKS * BLOCK_BYTES) as u64).unwrap();
    disk.write(file, 0, &[1; BLOCK_BYTES]).unwrap();
    disk.sync(file).unwrap();
    disk.write(file, 0, &[2; 2 * BLOCK_BYTES]).unwrap();
    (disk, file)
}

/// The content, as one byte for each sector, which must be whole.
fn sectors(disk: &SimDisk) -> Vec<u8> {
    let content = disk.peek("file").unwrap();
    let whole = |sector: &[u8]| {
        assert!(sector.iter().all(|byte| *byte == sector[0]), "a torn sector");
        sector[0]
    };
    content.chunks(SECTOR_BYTES).map(whole).collect()
}

fn expected(twos: usize, ones: usize) -> Vec<u8> {
    let mut sectors = vec![2; twos];
    sectors.resize(twos + ones, 1);
    sectors.resize(BLOCKS * BLOCK_BYTES / SECTOR_BYTES, 0);
    sectors
}

#[test]
fn what_was_written_is_read_before_it_is_synced() {
    let (disk, _) = half_synced();
    assert!(disk.has_unsynced());
    assert_eq!(sectors(&disk), expected(16, 0));
}

#[test]
fn a_loss_of_power_keeps_what_was_synced_and_what_it_is_told() {
    let remainders = [
        (Remainder::Nothing, expected(0, 8)),
        (Remainder::Everything, expected(16, 0)),
        (Remainder::Prefix { sectors: 3 }, expected(3, 5)),
        (Remainder::Prefix { sectors: 11 }, expected(11, 0)),
    ];
    for (remainder, expected) in remainders {
        let (disk, _) = half_synced();
        disk.power_loss(remainder);
        assert_eq!(sectors(&disk), expected, "{remainder:?}");
        disk.power_loss(Remainder::Nothing);
        assert_eq!(sectors(&disk), expected, "what survived once is durable");
    }
}

#[test]
fn a_loss_of_power_tears_at_sectors_as_the_seed_has_it() {
    let after = |seed| {
        let (disk, _) = half_synced();
        disk.power_loss(Remainder::Sectors { seed });
        sectors(&disk)
    };
    assert_eq!(after(1), after(1));
    assert!((2..20).any(|seed| after(seed) != after(1)));
    for seed in 0..20 {
        let sectors = after(seed);
        assert!(sectors[..8].iter().all(|sector| [1, 2].contains(sector)));
        assert!(sectors[8..16].iter().all(|sector| [0, 2].contains(sector)));
    }
}

#[test]
fn what_was_synced_survives() {
    let (mut disk, file) = half_synced();
    disk.sync(file).unwrap();
    assert!(!disk.has_unsynced());
    disk.power_loss(Remainder::Nothing);
    assert_eq!(sectors(&disk), expected(16, 0));
}

#[test]
fn a_copy_goes_its_own_way() {
    let (disk, _) = half_synced();
    let copy = disk.copy();
    copy.power_loss(Remainder::Nothing);
    assert_eq!(sectors(&disk), expected(16, 0));
    assert_eq!(sectors(&copy), expected(0, 8));
}

#[test]
fn a_process_that_dies_in_a_write_leaves_its_beginning_and_does_nothing_more() {
    let (mut disk, file) = half_synced();
    disk.sync(file).unwrap();
    disk.fail_at(0, DiskFault::Crash { portion: 128 });
    disk.write(file, 0, &[1; BLOCK_BYTES]).unwrap_err();
    disk.sync(file).unwrap_err();
    assert_eq!(disk.take_struck(), Some(DiskFault::Crash { portion: 128 }));
    let mut half = expected(16, 0);
    half[..4].fill(1);
    assert_eq!(sectors(&disk), half);
    disk.revive();
    disk.sync(file).unwrap();
}

#[test]
fn an_error_comes_at_its_operation_and_leaves_nothing() {
    let (mut disk, file) = half_synced();
    disk.fail_at(1, DiskFault::Error);
    disk.write(file, 0, &[1; BLOCK_BYTES]).unwrap();
    disk.sync(file).unwrap_err();
    assert!(disk.has_unsynced());
    disk.sync(file).unwrap();
}

#[test]
fn a_file_whose_making_is_cut_short_has_any_length() {
    for (portion, length) in [(0, None), (51, Some(2)), (255, Some(10))] {
        let mut disk = SimDisk::new();
        disk.fail_at(0, DiskFault::Crash { portion });
        disk.create("file", 10).unwrap_err();
        assert_eq!(disk.files().first().map(|(_, length)| *length), length);
    }
}

#[test]
fn one_bit_rots() {
    let (disk, _) = half_synced();
    disk.rot("file", 5, 7);
    let content = disk.peek("file").unwrap();
    assert_eq!((content[4], content[5], content[6]), (2, 2 ^ 0x80, 2));
}

#[test]
fn a_write_that_is_not_whole_blocks_or_leaves_a_gap_is_refused() {
    let (mut disk, file) = half_synced();
    for (offset, bytes) in [
        (1, BLOCK_BYTES),
        (0, 10),
        (((BLOCKS + 1) * BLOCK_BYTES) as u64, BLOCK_BYTES),
    ] {
        disk.write(file, offset, &vec![3; bytes]).unwrap_err();
    }
    assert_eq!(sectors(&disk), expected(16, 0));
}

/// A file that grew is as long as it was, as it would be, or between, until that is synced.
#[test]
fn a_file_grows_for_good_only_when_it_is_synced() {
    let mut disk = SimDisk::new();
    let file = disk.create("growing", 0).unwrap();
    disk.write(file, 0, &[1; BLOCK_BYTES]).unwrap();
    disk.sync(file).unwrap();
    disk.write(file, BLOCK_BYTES as u64, &[2; BLOCK_BYTES]).unwrap();
    for (remainder, blocks) in [(Remainder::Nothing, 1), (Remainder::Everything, 2)] {
        let disk = disk.copy();
        disk.power_loss(remainder);
        assert_eq!(
            disk.peek("growing").unwrap().len(),
            blocks * BLOCK_BYTES,
            "{remainder:?}"
        );
    }
    disk.rename(file, "grown").unwrap();
    assert_eq!(disk.peek("growing"), None);
    disk.sync(file).unwrap();
    disk.power_loss(Remainder::Nothing);
    assert_eq!(disk.peek("grown").unwrap().len(), 2 * BLOCK_BYTES);
}

/// A file of ones, durably, and a write of twos to its first two blocks that is on its way.
fn on_its_way() -> (SimDisk, FileId) {
    let mut disk = SimDisk::new();
    let file = disk.create("file", (BLOCKS * BLOCK_BYTES) as u64).unwrap();
    disk.write_durably(file, 0, &[1; 2 * BLOCK_BYTES]).unwrap();
    disk.write_beside();
    disk.begin_durable_write(file, 0, vec![2; 2 * BLOCK_BYTES], Meanwhile::Nothing)
        .unwrap();
    assert_eq!(disk.is_written(), Ok(false));
    (disk, file)
}

#[test]
fn what_is_on_its_way_is_not_there_until_it_lands_and_then_it_is_durable() {
    let (mut disk, _) = on_its_way();
    assert_eq!(sectors(&disk), expected(0, 16));
    disk.land();
    assert_eq!(disk.is_written(), Ok(true));
    disk.power_loss(Remainder::Nothing);
    assert_eq!(sectors(&disk), expected(16, 0));
}

#[test]
fn a_process_that_dies_leaves_some_of_what_was_on_its_way_and_a_loss_of_power_takes_it() {
    let remainders = [
        (Remainder::Nothing, expected(0, 16)),
        (Remainder::Everything, expected(16, 0)),
        (Remainder::Prefix { sectors: 5 }, expected(5, 11)),
    ];
    for (remainder, expected_now) in remainders {
        let (disk, _) = on_its_way();
        disk.interrupt(remainder);
        assert_eq!(sectors(&disk), expected_now, "{remainder:?}");
        disk.power_loss(Remainder::Nothing);
        assert_eq!(sectors(&disk), expected(0, 16), "{remainder:?}");
    }
    let (disk, _) = on_its_way();
    disk.interrupt(Remainder::Sectors { seed: 1 });
    let left = sectors(&disk);
    assert!(left[..16].contains(&1) && left[..16].contains(&2), "{left:?}");
}

#[test]
fn what_goes_wrong_on_the_way_is_told_by_the_question_whether_it_is_written() {
    for ahead in [0, 1] {
        let (mut disk, _) = on_its_way();
        disk.fail_at(ahead, DiskFault::Error);
        disk.land();
        assert_eq!(disk.take_struck(), Some(DiskFault::Error));
        let error = disk.is_written().unwrap_err();
        assert_eq!(
            (error.file.as_str(), error.reason.as_str()),
            ("file", "input/output error")
        );
        disk.power_loss(Remainder::Nothing);
        assert_eq!(sectors(&disk), expected(0, 16));
    }
}

#[test]
fn what_went_wrong_on_the_way_is_not_told_to_the_next_process() {
    let (mut disk, file) = on_its_way();
    disk.fail_at(0, DiskFault::Error);
    disk.land();
    disk.revive();
    disk.begin_durable_write(file, 0, vec![2; BLOCK_BYTES], Meanwhile::Nothing)
        .unwrap();
    disk.land();
    assert_eq!(disk.is_written(), Ok(true));
}
