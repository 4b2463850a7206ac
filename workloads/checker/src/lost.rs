//! Operations whose outcome nobody learned, and which of them a configuration has used.
//!
//! They stay open for good, so that there may be very many of them. But those with the same call are alike: each may take effect at
//! any time from now on, or never. All that matters is how many of each *group* have been used. Such a *use* is interned to a small
//! integer, and a configuration carries that, however many operations were lost.

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher as _;

/// What a use is called that uses nothing.
pub(crate) const UNUSED: u32 = 0;

/// So many uses are interned before those are dropped that are no longer in use, and twice as many again as were left then.
const USES_MAX: usize = 1 << 14;

/// Lost operations with the same call.
#[derive(Clone, Copy, Debug)]
struct Group {
    call: u32,
    /// How many there are.
    count: u32,
    overwrites: bool,
}

/// How many of a group are used.
pub(crate) type Count = (u32, u32);

#[derive(Clone, Copy, Debug)]
struct Use {
    /// Where its counts are, those that are not zero, in the order of groups.
    start: usize,
    len: usize,
    /// How many operations it uses.
    total: u32,
    /// A bit for each operation that it uses: what has a bit that another use lacks uses more than that.
    signature: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Lost {
    groups: Vec<Group>,
    /// Those that don't overwrite, ascending.
    seeing: Vec<u32>,
    /// By their calls.
    group_of: FxHashMap<u32, u32>,
    uses: Vec<Use>,
    counts: Vec<Count>,
    index: HashTable<u32>,
    /// `(use, group)` and the use with one more of that group.
    more: FxHashMap<(u32, u32), u32>,
    /// How many uses were left when some were dropped.
    retained: usize,
    /// Where counts are put together.
    made: Vec<Count>,
}

impl Lost {
    pub(crate) fn new() -> Self {
        let mut lost = Lost {
            groups: Vec::new(),
            seeing: Vec::new(),
            group_of: FxHashMap::default(),
            uses: Vec::new(),
            counts: Vec::new(),
            index: HashTable::new(),
            more: FxHashMap::default(),
            retained: 0,
            made: Vec::new(),
        };
        lost.clear();
        lost
    }

    /// As new, with the memory that it has.
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
        self.seeing.clear();
        self.group_of.clear();
        self.forget_uses();
        self.retained = 0;
    }

    fn forget_uses(&mut self) {
        self.uses.clear();
        self.counts.clear();
        self.index.clear();
        self.more.clear();
        self.made.clear();
        let unused = self.intern();
        debug_assert_eq!(unused, UNUSED, "the first use uses nothing");
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// An operation is lost.
    pub(crate) fn add(&mut self, call: u32, overwrites: bool) {
        let next = id(self.groups.len());
        let group = *self.group_of.entry(call).or_insert(next);
        if group == next {
            self.groups.push(Group {
                call,
                count: 0,
                overwrites,
            });
            if !overwrites {
                self.seeing.push(group);
            }
        }
        self.groups[group as usize].count += 1;
    }

    /// The calls of all groups.
    pub(crate) fn calls_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.groups.iter_mut().map(|group| &mut group.call)
    }

    /// After the calls of groups were renamed.
    pub(crate) fn index_calls(&mut self) {
        self.group_of.clear();
        let groups = self.groups.iter().enumerate();
        self.group_of
            .extend(groups.map(|(place, group)| (group.call, id(place))));
    }

    /// The calls of all groups, and how many operations each has.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (u32, u32)> {
        self.groups.iter().map(|group| (group.call, group.count))
    }

    pub(crate) fn call(&self, group: u32) -> u32 {
        self.groups[group as usize].call
    }

    /// Whether the operations of a group lead from every state to the same.
    pub(crate) fn overwrites(&self, group: u32) -> bool {
        self.groups[group as usize].overwrites
    }

    /// The groups of which `used` leaves some, ascending.
    pub(crate) fn left(&self, used: u32) -> impl Iterator<Item = u32> {
        let mut counts = self.counts_of(used).iter().peekable();
        let groups = (0..).zip(&self.groups);
        groups
            .filter(move |(group, of)| {
                let used = counts.next_if(|(other, _)| other == group);
                used.is_none_or(|(_, used)| *used < of.count)
            })
            .map(|(group, _)| group)
    }

    /// Those of them that don't overwrite.
    pub(crate) fn left_to_see(&self, used: u32) -> impl Iterator<Item = u32> {
        let counts = self.counts_of(used);
        let seeing = self.seeing.iter().copied();
        seeing.filter(move |group| {
            let used = counts.binary_search_by_key(group, |(group, _)| *group);
            used.is_err() || used.is_ok_and(|place| counts[place].1 < self.groups[*group as usize].count)
        })
    }

    /// How many operations `used` uses.
    #[inline]
    pub(crate) fn total(&self, used: u32) -> usize {
        self.uses[used as usize].total as usize
    }

    /// Whether `one` uses no operation that `other` does not use as well.
    #[inline]
    pub(crate) fn spares(&self, one: u32, other: u32) -> bool {
        if one == other || one == UNUSED {
            return true;
        }
        let (less, more) = (&self.uses[one as usize], &self.uses[other as usize]);
        less.total < more.total && less.signature & !more.signature == 0 && self.includes(other, one)
    }

    #[inline(never)]
    fn includes(&self, other: u32, one: u32) -> bool {
        let mut theirs = self.counts_of(other).iter();
        self.counts_of(one).iter().all(|(group, count)| {
            theirs
                .find(|(other, _)| other >= group)
                .is_some_and(|(other, more)| other == group && more >= count)
        })
    }

    /// The use that uses so many, as [`counts_of`](Lost::counts_of) has it.
    pub(crate) fn of_counts(&mut self, counts: &[Count]) -> u32 {
        self.made.clear();
        self.made.extend_from_slice(counts);
        self.intern()
    }

    /// The use that uses one operation of `group` more than `used`.
    pub(crate) fn plus(&mut self, used: u32, group: u32) -> u32 {
        if let Some(more) = self.more.get(&(used, group)) {
            return *more;
        }
        self.made.clear();
        let of = &self.uses[used as usize];
        self.made.extend_from_slice(&self.counts[of.start..][..of.len]);
        match self.made.binary_search_by_key(&group, |(group, _)| *group) {
            Ok(place) => self.made[place].1 += 1,
            Err(place) => self.made.insert(place, (group, 1)),
        }
        let more = self.intern();
        self.more.insert((used, group), more);
        more
    }

    /// Whether so many uses are interned that those no longer in use should be dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.uses.len() > USES_MAX + 2 * self.retained
    }

    /// Keeps only the uses that are named, and renames them. What all of them use is used for good.
    pub(crate) fn retain<'a>(&mut self, named: impl Iterator<Item = &'a mut u32>) {
        let named: Vec<&mut u32> = named.collect();
        let mut common: Vec<Count> = Vec::new();
        for (place, used) in named.iter().enumerate() {
            let counts = self.counts_of(**used);
            if place == 0 {
                common.extend_from_slice(counts);
                continue;
            }
            let count_of = |group| match counts.binary_search_by_key(&group, |(group, _)| *group) {
                Ok(place) => counts[place].1,
                Err(_) => 0,
            };
            for (group, least) in &mut common {
                *least = count_of(*group).min(*least);
            }
            common.retain(|(_, least)| *least > 0);
        }
        for (group, used) in &common {
            self.groups[*group as usize].count -= used;
        }
        // Groups of which nothing is left are dropped.
        let mut next = 0;
        let renamed = self.groups.iter().map(|group| {
            let name = next;
            next += u32::from(group.count > 0);
            name
        });
        let renamed: Vec<u32> = renamed.collect();
        self.groups.retain(|group| group.count > 0);
        let groups = self.groups.iter().enumerate();
        let seeing = groups.filter(|(_, group)| !group.overwrites);
        self.seeing = seeing.map(|(place, _)| id(place)).collect();
        self.index_calls();
        let (old_uses, old_counts) = (self.uses.clone(), self.counts.clone());
        self.forget_uses();
        for used in named {
            let old = old_uses[*used as usize];
            self.made.clear();
            let mut common = common.iter().peekable();
            for (group, count) in &old_counts[old.start..][..old.len] {
                while common.next_if(|(other, _)| other < group).is_some() {}
                let spent = common
                    .next_if(|(other, _)| other == group)
                    .map_or(0, |(_, spent)| *spent);
                if *count > spent {
                    self.made.push((renamed[*group as usize], count - spent));
                }
            }
            *used = self.intern();
        }
        self.retained = self.uses.len();
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.groups.capacity() * (size_of::<Group>() + 2 * size_of::<u64>())
            + self.uses.capacity() * (size_of::<Use>() + size_of::<u32>())
            + self.counts.capacity() * size_of::<Count>()
            + self.more.capacity() * size_of::<((u32, u32), u32)>()
    }

    /// How many operations of which groups `used` uses: those that are not zero, in the order of groups.
    pub(crate) fn counts_of(&self, used: u32) -> &[Count] {
        let of = &self.uses[used as usize];
        &self.counts[of.start..][..of.len]
    }

    /// The use with the counts in `made`.
    fn intern(&mut self) -> u32 {
        let hash = |counts: &[Count]| FxBuildHasher.hash_one(counts);
        let counts_of = |used: &u32, uses: &[Use], counts: &[Count]| {
            let of = uses[*used as usize];
            hash(&counts[of.start..][..of.len])
        };
        let (uses, counts, made) = (&mut self.uses, &mut self.counts, &self.made);
        let is_it = |used: &u32| {
            let of = uses[*used as usize];
            counts[of.start..][..of.len] == made[..]
        };
        if let Some(known) = self.index.find(hash(made), is_it) {
            return *known;
        }
        let used = id(uses.len());
        let mut signature = 0;
        for (group, count) in made {
            for nth in 0..(*count).min(u64::BITS) {
                signature |= 1_u64.rotate_left(group.wrapping_mul(11).wrapping_add(nth));
            }
        }
        uses.push(Use {
            start: counts.len(),
            len: made.len(),
            total: made.iter().map(|(_, count)| count).sum(),
            signature,
        });
        counts.extend_from_slice(made);
        self.index
            .insert_unique(hash(made), used, |used| counts_of(used, uses, counts));
        used
    }
}

fn id(place: usize) -> u32 {
    u32::try_from(place).expect("the limit on memory comes first")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups: two of one call, one of another, three of a third.
    fn lost() -> Lost {
        let mut lost = Lost::new();
        for call in [7, 8, 7, 9, 9, 9] {
            lost.add(call, call == 8);
        }
        lost
    }

    fn used(lost: &mut Lost, groups: &[u32]) -> u32 {
        groups.iter().fold(UNUSED, |used, group| lost.plus(used, *group))
    }

    #[test]
    fn the_order_of_use_does_not_matter() {
        let mut lost = lost();
        let one = used(&mut lost, &[2, 0, 2]);
        assert_eq!(used(&mut lost, &[2, 2, 0]), one);
        assert_eq!(used(&mut lost, &[0, 2, 2]), one);
        assert_eq!(lost.total(one), 3);
        assert!(lost.overwrites(1) && !lost.overwrites(0));
    }

    #[test]
    fn what_is_left_is_what_is_not_used_up() {
        let mut lost = lost();
        let some = used(&mut lost, &[0, 1, 0, 2]);
        assert_eq!(lost.left(some).collect::<Vec<_>>(), [2]);
        assert_eq!(lost.left(UNUSED).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(lost.left_to_see(some).collect::<Vec<_>>(), [2]);
        assert_eq!(lost.left_to_see(UNUSED).collect::<Vec<_>>(), [0, 2]);
        lost.add(8, true);
        assert_eq!(lost.left(some).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn sparing_is_inclusion() {
        let mut lost = lost();
        let uses: Vec<[u32; 3]> = (0..3)
            .flat_map(|one| (0..2).flat_map(move |two| (0..4).map(move |three| [one, two, three])))
            .collect();
        let ids: Vec<u32> = uses
            .iter()
            .map(|counts| {
                let groups = (0..).zip(counts);
                let groups: Vec<u32> = groups
                    .flat_map(|(group, count)| (0..*count).map(move |_| group))
                    .collect();
                used(&mut lost, &groups)
            })
            .collect();
        for (one, counts) in ids.iter().zip(&uses) {
            for (other, more) in ids.iter().zip(&uses) {
                let included = counts.iter().zip(more).all(|(count, more)| count <= more);
                assert_eq!(lost.spares(*one, *other), included, "{counts:?} {more:?}");
            }
        }
    }

    #[test]
    fn what_all_have_used_is_gone_for_good() {
        let mut lost = lost();
        let mut kept = [used(&mut lost, &[0, 1, 2]), used(&mut lost, &[1, 2, 2])];
        lost.retain(kept.iter_mut());
        // The second group is gone; the third has one less.
        assert_eq!(lost.call(1), 9);
        assert_eq!((lost.total(kept[0]), lost.total(kept[1])), (1, 1));
        assert_eq!(lost.left(kept[0]).collect::<Vec<_>>(), [0, 1]);
        let all = used(&mut lost, &[0, 0, 1, 1]);
        assert_eq!(lost.left(all).collect::<Vec<_>>(), [] as [u32; 0]);
        lost.add(8, true);
        assert_eq!(lost.left(all).collect::<Vec<_>>(), [2]);
    }
}
