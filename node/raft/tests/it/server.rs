//! A core and the driver around it: writes are handed out, carried out and reported as separate steps.

use raft::{Command, Config, Entry, Envelope, MemoryStorage, Raft, ReadOutcome, Ready, Write, WriteId};
use std::collections::VecDeque;

#[derive(Clone)]
pub(crate) struct Server<C: Command> {
    pub(crate) raft: Raft<MemoryStorage<C>>,
    /// Handed out and not yet on disk, oldest first.
    pub(crate) writes: VecDeque<Write<C>>,
    last_write: WriteId,
}

impl<C: Command> Server<C> {
    pub(crate) fn start(config: Config, storage: MemoryStorage<C>) -> Server<C> {
        Server {
            raft: Raft::new(config, storage).expect("the test's settings can work"),
            writes: VecDeque::new(),
            last_write: WriteId(0),
        }
    }

    /// Asks the core what it wants, and queues the write that it hands out.
    pub(crate) fn ready(&mut self) -> Ready<C> {
        let id = WriteId(self.last_write.0 + 1);
        let ready = self.raft.ready(id);
        if let Some(write) = &ready.write {
            self.last_write = id;
            self.writes.push_back(write.clone());
        }
        ready
    }

    /// Puts the oldest write on disk and reports it; returns it if there was one.
    pub(crate) fn persist(&mut self) -> Option<Write<C>> {
        let write = self.writes.pop_front()?;
        self.raft.storage_mut().apply(&write);
        self.raft.persisted(write.id);
        if let Some(snapshot) = &write.snapshot {
            self.raft.applied(snapshot.last.index);
        }
        Some(write)
    }

    /// Dies, with the oldest `landed` of its unreported writes on disk; returns the disk.
    pub(crate) fn crash(mut self, landed: usize) -> MemoryStorage<C> {
        for write in self.writes.iter().take(landed) {
            self.raft.storage_mut().apply(write);
        }
        self.raft.into_storage()
    }

    /// The log as it will be on disk when every write is done, entries that were not handed out left out.
    pub(crate) fn whole_log(&self) -> MemoryStorage<C> {
        let mut storage = self.raft.storage().clone();
        for write in &self.writes {
            storage.apply(write);
        }
        storage
    }
}

/// What a server asked for until it came to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled<C> {
    pub(crate) messages: Vec<Envelope<C>>,
    pub(crate) applied: Vec<Entry<C>>,
    pub(crate) reads: Vec<ReadOutcome>,
}

impl<C: Command> Server<C> {
    /// Does all that the core asks for but apply what is committed: that is returned.
    pub(crate) fn settle_without_applying(&mut self) -> Vec<Entry<C>> {
        let mut handed_out = Vec::new();
        while self.raft.has_ready() {
            handed_out.extend(self.ready().committed);
            self.persist();
        }
        handed_out
    }

    /// Does all that the core asks for, with a disk that is done at once.
    pub(crate) fn settle(&mut self) -> Settled<C> {
        let mut settled = Settled {
            messages: Vec::new(),
            applied: Vec::new(),
            reads: Vec::new(),
        };
        while self.raft.has_ready() {
            let ready = self.ready();
            settled.messages.extend(ready.messages);
            settled.reads.extend(ready.reads);
            if let Some(last) = ready.committed.last() {
                self.raft.applied(last.index);
            }
            settled.applied.extend(ready.committed);
            self.persist();
        }
        settled
    }
}
