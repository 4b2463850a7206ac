//! Why there is an edge between two transactions, found again for the few that are shown.

use super::anomaly::Dependency;
use super::graph::{PROCESS, REALTIME, RW, WR, WW};
use super::lists::{List, Lists, NONE};
use crate::history::Value;

impl Lists<'_> {
    /// Why `from` comes before `to`, between which there is an edge of this kind.
    pub(super) fn dependency(&self, from: u32, to: u32, kind: u8) -> Dependency {
        let reason = match kind {
            PROCESS => Some(Dependency::Process),
            REALTIME => Some(Dependency::Realtime),
            WW => self.reason(to, |key, list| self.write_write(key, list, from, to)),
            WR => self.reason(to, |key, list| self.write_read(key, list, from, to)),
            RW => self.reason(from, |key, list| self.read_write(key, list, from, to)),
            other => panic!("a transaction has no edge of kind {other}"),
        };
        reason.expect("the edge was made for such a reason")
    }

    /// The first reason in a list that a transaction touched.
    fn reason(
        &self,
        transaction: u32,
        find: impl Fn(u32, &List<'_>) -> Option<Dependency>,
    ) -> Option<Dependency> {
        self.keys_of(transaction)
            .find_map(|key| find(key, &self.lists[key as usize]))
    }

    fn write_write(&self, key: u32, list: &List<'_>, from: u32, to: u32) -> Option<Dependency> {
        let pairs = list.order.iter().enumerate().filter_map(|(position, append)| {
            let is_from = *append != NONE && self.writer(*append) == from;
            Some((*append, self.next_of(key, position + 1, to)?)).filter(|_| is_from)
        });
        let (before, after) = pairs.into_iter().next()?;
        Some(Dependency::WriteWrite {
            key: list.name.clone(),
            before: self.value(before),
            after: self.value(after),
        })
    }

    fn write_read(&self, key: u32, list: &List<'_>, from: u32, to: u32) -> Option<Dependency> {
        let seen = self.seen(to, key)?;
        let last = list.order[..seen].iter().copied().rfind(|it| *it != NONE)?;
        (self.writer(last) == from).then(|| Dependency::WriteRead {
            key: list.name.clone(),
            element: self.value(last),
        })
    }

    fn read_write(&self, key: u32, list: &List<'_>, from: u32, to: u32) -> Option<Dependency> {
        let seen = self.seen(from, key)?;
        let missed = self.next_of(key, seen, to)?;
        Some(Dependency::ReadWrite {
            key: list.name.clone(),
            seen,
            missed: self.value(missed),
        })
    }

    /// What comes next after the first `seen` elements of a list, if `transaction` appended that.
    fn next_of(&self, key: u32, seen: usize, transaction: u32) -> Option<u32> {
        let known = &self.lists[key as usize].order[seen..];
        match known.iter().copied().find(|it| *it != NONE) {
            Some(next) => Some(next).filter(|it| self.writer(*it) == transaction),
            None => self.unseen(transaction, key),
        }
    }

    fn seen(&self, transaction: u32, key: u32) -> Option<usize> {
        let start = self.reads.partition_point(|read| read.transaction < transaction);
        let mut reads = self.reads[start..]
            .iter()
            .take_while(|read| read.transaction == transaction);
        reads.find(|read| read.key == key).map(|read| read.seen as usize)
    }

    fn writer(&self, append: u32) -> u32 {
        self.appends[append as usize].transaction
    }

    fn value(&self, append: u32) -> Value {
        self.appends[append as usize].value.clone()
    }
}
