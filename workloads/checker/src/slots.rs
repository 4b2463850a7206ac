//! The operations that are open and will return, in slots that are used again.

use crate::bits::Bits;
use crate::memo::Nature;

/// An open operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<const W: usize> {
    pub(crate) call: u32,
    /// When it must return.
    pub(crate) deadline: u64,
    /// Of several that must return at the same time, the one with the least turn returns first.
    turn: u64,
    /// Open operations with the same call and result that must return before it.
    pub(crate) before: Bits<W>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Slots<const W: usize> {
    slots: Vec<Slot<W>>,
    free: Vec<usize>,
    pub(crate) open: Bits<W>,
    /// Those that take effect as soon as they are legal.
    pub(crate) read_only: Bits<W>,
    /// Those that leave no state as it is.
    pub(crate) changing: Bits<W>,
    /// Those that are legal in every state.
    pub(crate) always_legal: Bits<W>,
    /// Those that lead from every state to the same.
    pub(crate) overwriting: Bits<W>,
}

impl<const W: usize> Slots<W> {
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < Bits::<W>::CAPACITY
    }

    pub(crate) fn clear(&mut self) {
        let Slots {
            mut slots, mut free, ..
        } = std::mem::take(self);
        slots.clear();
        free.clear();
        (self.slots, self.free) = (slots, free);
    }

    /// With room for more.
    pub(crate) fn widened<const V: usize>(self) -> Slots<V> {
        let widen = |slot: Slot<W>| Slot {
            call: slot.call,
            deadline: slot.deadline,
            turn: slot.turn,
            before: slot.before.widened(),
        };
        Slots {
            slots: self.slots.into_iter().map(widen).collect(),
            free: self.free,
            open: self.open.widened(),
            read_only: self.read_only.widened(),
            changing: self.changing.widened(),
            always_legal: self.always_legal.widened(),
            overwriting: self.overwriting.widened(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> &Slot<W> {
        &self.slots[slot]
    }

    /// The calls of the operations that are open.
    pub(crate) fn calls_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        let open = self.open;
        let slots = self.slots.iter_mut().enumerate();
        slots
            .filter(move |(slot, _)| open.contains(*slot))
            .map(|(_, slot)| &mut slot.call)
    }

    /// Opens an operation that must return at a time, and in its turn among those that must at that time. With `twins_in_order`, it learns which of those with the same call and result must return before it, and
    /// the others that it must return before them.
    pub(crate) fn open(
        &mut self,
        call: u32,
        nature: Nature,
        (deadline, turn): (u64, u64),
        twins_in_order: bool,
    ) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        let mut before = Bits::EMPTY;
        if twins_in_order {
            for other in self.open.iter() {
                let twin = &mut self.slots[other];
                if twin.call != call {
                    continue;
                }
                if (twin.deadline, twin.turn) < (deadline, turn) {
                    before.insert(other);
                } else {
                    twin.before.insert(slot);
                }
            }
        }
        let opened = Slot {
            call,
            deadline,
            turn,
            before,
        };
        if slot == self.slots.len() {
            self.slots.push(opened);
        } else {
            self.slots[slot] = opened;
        }
        self.open.insert(slot);
        if nature.always_legal {
            self.always_legal.insert(slot);
        }
        if nature.always_changes {
            self.changing.insert(slot);
        }
        if nature.read_only {
            self.read_only.insert(slot);
        }
        if nature.overwrites {
            self.overwriting.insert(slot);
        }
        slot
    }

    /// The operation in `slot` has returned.
    pub(crate) fn close(&mut self, slot: usize) {
        for set in [
            &mut self.open,
            &mut self.read_only,
            &mut self.changing,
            &mut self.always_legal,
            &mut self.overwriting,
        ] {
            set.remove(slot);
        }
        for other in self.open.iter() {
            self.slots[other].before.remove(slot);
        }
        self.free.push(slot);
    }
}
