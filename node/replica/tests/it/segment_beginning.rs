//! Damage at the beginning of a segment.

use crate::corruption::{batches, corrupt_at, folder};

#[test]
fn a_flipped_bit_in_the_first_batch_of_a_later_segment_is_named_there() {
    let (disk, _) = folder();
    let batches = batches(&disk);
    let mut checked = 0;
    for (name, at) in &batches[..batches.len() - 1] {
        if *at == 0 {
            let disk = disk.copy();
            disk.rot(name, at + 34, 2);
            assert_eq!(corrupt_at(&disk), (name.clone(), 0));
            checked += 1;
        }
    }
    assert!(checked >= 4, "{batches:?}");
}
