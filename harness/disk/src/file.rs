//! The bytes of one file: what is durable of them, and what is not.

use crate::lottery::Lottery;
use crate::store::{Ino, Store};
use crate::{PAGE_BYTES, SECTOR_BYTES};
use rustix::io::Errno;
use std::collections::BTreeMap;

const PAGE: u64 = PAGE_BYTES as u64;

/// Pages that differ from what is durable, and lengths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    len: u64,
    durable_len: u64,
    /// How much of the durable bytes still shows: what was cut off does not come back when the file grows again.
    shown: u64,
    pages: BTreeMap<u64, Page>,
}

#[derive(Clone, Debug)]
struct Page {
    bytes: Box<[u8; PAGE_BYTES]>,
    /// Whether the next sync writes it. One that a sync has failed to write is not tried again.
    is_dirty: bool,
}

impl Contents {
    /// A file whose `len` bytes are durable.
    pub(crate) fn durable(len: u64) -> Contents {
        Contents {
            len,
            durable_len: len,
            shown: len,
            pages: BTreeMap::new(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether a loss of power could take something from it.
    pub(crate) fn is_at_stake(&self) -> bool {
        !self.pages.is_empty() || self.len != self.durable_len || self.shown != self.durable_len
    }

    /// Up to `size` bytes from `offset` on; fewer at the end.
    pub(crate) fn read<S: Store>(
        &self,
        store: &S,
        ino: Ino,
        offset: u64,
        size: usize,
    ) -> Result<Vec<u8>, Errno> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size.min(left)];
        for (number, from, place) in pieces(offset, bytes.len()) {
            let piece = &mut bytes[place.clone()];
            match self.pages.get(&number) {
                Some(page) => piece.copy_from_slice(&page.bytes[from..from + place.len()]),
                None => self.fetch(store, ino, number * PAGE + from as u64, piece)?,
            }
        }
        Ok(bytes)
    }

    /// What the durable bytes show from `offset` on, in a buffer of zeros.
    fn fetch<S: Store>(&self, store: &S, ino: Ino, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let shown = self.shown.min(self.durable_len).saturating_sub(offset);
        let shown = usize::try_from(shown).map_or(buffer.len(), |shown| shown.min(buffer.len()));
        if shown > 0 {
            store.read(ino, offset, &mut buffer[..shown])?;
        }
        Ok(())
    }

    pub(crate) fn write<S: Store>(
        &mut self,
        store: &S,
        ino: Ino,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FBIG)?;
        for (number, from, place) in pieces(offset, bytes.len()) {
            self.change(store, ino, number, |page| {
                page[from..from + place.len()].copy_from_slice(&bytes[place]);
            })?;
        }
        self.len = self.len.max(end);
        Ok(())
    }

    /// Lets these bytes be zeros, as far as the file goes.
    pub(crate) fn zero<S: Store>(
        &mut self,
        store: &S,
        ino: Ino,
        offset: u64,
        length: u64,
    ) -> Result<(), Errno> {
        let length = usize::try_from(length.min(self.len.saturating_sub(offset))).map_err(|_| Errno::FBIG)?;
        for (number, from, place) in pieces(offset, length) {
            self.change(store, ino, number, |page| page[from..from + place.len()].fill(0))?;
        }
        Ok(())
    }

    fn change<S: Store>(
        &mut self,
        store: &S,
        ino: Ino,
        number: u64,
        change: impl FnOnce(&mut [u8; PAGE_BYTES]),
    ) -> Result<(), Errno> {
        if !self.pages.contains_key(&number) {
            let mut bytes = Box::new([0; PAGE_BYTES]);
            self.fetch(store, ino, number * PAGE, &mut bytes[..])?;
            let is_dirty = true;
            self.pages.insert(number, Page { bytes, is_dirty });
        }
        let page = self.pages.get_mut(&number).expect("it was just put there");
        change(&mut page.bytes);
        page.is_dirty = true;
        Ok(())
    }

    /// Cuts it short, or lets it grow by zeros.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                let kept = usize::try_from(len % PAGE).expect("a page is small");
                page.bytes[kept..].fill(0);
            }
            self.shown = self.shown.min(len);
        }
        self.len = len;
    }

    /// Makes all of it durable that is to be tried.
    pub(crate) fn sync<S: Store>(&mut self, store: &mut S, ino: Ino) -> Result<(), Errno> {
        if self.shown < self.durable_len {
            store.set_len(ino, self.shown)?;
            self.durable_len = self.shown;
        }
        let len = self.len;
        for (number, page) in self.pages.iter().filter(|(_, page)| page.is_dirty) {
            let kept = usize::try_from((len - number * PAGE).min(PAGE)).expect("a page is small");
            store.write(ino, number * PAGE, &page.bytes[..kept])?;
        }
        if self.len != self.durable_len {
            store.set_len(ino, self.len)?;
        }
        self.pages.retain(|_, page| !page.is_dirty);
        (self.durable_len, self.shown) = (self.len, self.len);
        Ok(())
    }

    /// A sync fails: what it was to write is never tried again, unless it is written to.
    pub(crate) fn fail_sync(&mut self) {
        for page in self.pages.values_mut() {
            page.is_dirty = false;
        }
    }

    /// The power goes: `lottery` decides what the store gets of what was not durable. How many pages are not as they were to be.
    pub(crate) fn lose<S: Store>(
        self,
        store: &mut S,
        ino: Ino,
        lottery: &mut Lottery,
    ) -> Result<usize, Errno> {
        let mut durable_len = self.durable_len;
        if self.shown < durable_len {
            if !lottery.whole() {
                return Ok(self.pages.len());
            }
            store.set_len(ino, self.shown)?;
            durable_len = self.shown;
        }
        let mut lost = 0;
        for (number, page) in &self.pages {
            let kept = lottery.page();
            if !page.is_dirty || kept.contains(&false) {
                lost += 1;
            }
            for (sector, bytes) in page.bytes.chunks(SECTOR_BYTES).enumerate() {
                let offset = number * PAGE + (sector * SECTOR_BYTES) as u64;
                let within = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
                let bytes = &bytes[..bytes.len().min(within)];
                if page.is_dirty && kept[sector] && !bytes.is_empty() {
                    store.write(ino, offset, bytes)?;
                    durable_len = durable_len.max(offset + bytes.len() as u64);
                }
            }
        }
        if self.len > durable_len && lottery.whole() {
            store.set_len(ino, self.len)?;
        }
        Ok(lost)
    }
}

/// The pieces of so many bytes from `offset` on: the number of a page, where in it the piece begins, and where in the bytes it lies.
fn pieces(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == bytes {
            return None;
        }
        let at = offset + done as u64;
        let from = usize::try_from(at % PAGE).expect("a page is small");
        let place = done..bytes.min(done + PAGE_BYTES - from);
        done = place.end;
        Some((at / PAGE, from, place))
    })
}
