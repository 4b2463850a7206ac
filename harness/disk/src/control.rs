//! A disk in the hands of whoever breaks it.

use crate::faults::{Act, Done, Errors, Faults, Ruling};
use crate::folder::FolderStore;
use crate::lottery::Lottery;
use crate::mount::{Mount, MountError};
use crate::store::Ino;
use crate::volume::{Lost, Volume};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends a process at once, and says whether it could; if not, the operation waits at which it was to die. It is called while an operation of
/// that process waits, and so must not wait for the process.
pub type Killer = Box<dyn FnOnce() -> bool + Send>;

/// Answers an operation that waits.
type Answer = Box<dyn FnOnce(Result<(), Errno>) + Send>;

/// An operation that waits.
struct Waiting {
    /// What is to be synced before it is answered; `None` where it is never carried out.
    sync: Option<Ino>,
    answer: Answer,
}

/// All of a disk.
pub(crate) struct State {
    pub(crate) volume: Volume<FolderStore>,
    faults: Faults,
    killer: Option<Killer>,
    waiting: Vec<Waiting>,
    /// Names in folders as they were when those were opened, by handle.
    pub(crate) listings: BTreeMap<u64, Vec<(std::ffi::OsString, Ino, crate::store::Kind)>>,
    pub(crate) next_listing: u64,
}

/// What the adapter and a [`Disk`] share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn new(volume: Volume<FolderStore>) -> Shared {
        Shared(Arc::new(Mutex::new(State {
            volume,
            faults: Faults::default(),
            killer: None,
            waiting: Vec::new(),
            listings: BTreeMap::new(),
            next_listing: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries `act` out, as far as the faults have it: `carry` first, and then the sync of `sync`, if that is part of it.
    pub(crate) fn act<T: Send + 'static>(
        &self,
        act: Act,
        carry: impl FnOnce(&mut Volume<FolderStore>) -> Result<T, Errno>,
        sync: Option<Ino>,
        answer: impl FnOnce(Result<T, Errno>) + Send + 'static,
    ) {
        let mut state = self.lock();
        let answered = match state.faults.rule(act) {
            Ruling::Carry => state.carry_and_sync(carry, sync),
            Ruling::Refuse(errno) => Err(errno),
            Ruling::FailSync => {
                // What was written is in the cache; the error is of the sync.
                let carried = carry(&mut state.volume);
                let failed = sync.map_or(Ok(()), |ino| state.volume.fail_sync(ino));
                carried.and(failed).and(Err(Errno::IO))
            }
            Ruling::Hang => match carry(&mut state.volume) {
                Ok(carried) => {
                    let answer = move |synced: Result<(), Errno>| answer(synced.map(|()| carried));
                    state.wait(sync, Box::new(answer));
                    return;
                }
                Err(errno) => Err(errno),
            },
            Ruling::Vanish => {
                // Whether it came that far nobody will hear.
                let _ = carry(&mut state.volume);
                state.wait(None, Box::new(|_| answer(Err(Errno::IO))));
                return;
            }
            Ruling::Die(done) => {
                if done == Done::After {
                    let _ = state.carry_and_sync(carry, sync);
                }
                let is_killed = state.killer.take().is_some_and(|killer| killer());
                if !is_killed {
                    state.wait(None, Box::new(|_| answer(Err(Errno::IO))));
                    return;
                }
                // Who is dead does not hear it.
                Err(Errno::IO)
            }
        };
        drop(state);
        answer(answered);
    }
}

impl State {
    fn carry_and_sync<T>(
        &mut self,
        carry: impl FnOnce(&mut Volume<FolderStore>) -> Result<T, Errno>,
        sync: Option<Ino>,
    ) -> Result<T, Errno> {
        let carried = carry(&mut self.volume)?;
        sync.map_or(Ok(()), |ino| self.volume.sync(ino))?;
        Ok(carried)
    }

    fn wait(&mut self, sync: Option<Ino>, answer: Answer) {
        self.waiting.push(Waiting { sync, answer });
    }
}

/// A disk, mounted for as long as this lives.
#[derive(Debug)]
pub struct Disk {
    shared: Shared,
    mount: Option<Mount>,
}

impl Disk {
    /// Mounts a disk at the folder `mount`, which is made if it is not there. What is durable on it is in `store/durable/`.
    ///
    /// # Errors
    /// Folders can't be made or read, or FUSE can't be used: see [`usable`](crate::usable).
    pub fn mount(mount: &Path, store: &Path) -> Result<Disk, MountError> {
        let failed = |error| MountError::Folder(store.to_owned(), error);
        let folder = FolderStore::open(store).map_err(failed)?;
        let volume = Volume::open(folder).map_err(|errno| failed(errno.into()))?;
        let shared = Shared::new(volume);
        let mount = Mount::new(mount, shared.clone())?;
        Ok(Disk {
            shared,
            mount: Some(mount),
        })
    }

    /// From now on, or no longer, nothing that takes room succeeds.
    pub fn set_full(&self, is_full: bool) {
        self.shared.lock().faults.set_full(is_full);
    }

    /// From now on this fails, or nothing any more.
    pub fn set_errors(&self, errors: Option<Errors>) {
        self.shared.lock().faults.set_errors(errors);
    }

    /// From now on no sync ends; or those end that wait, and all others.
    pub fn set_stalled(&self, is_stalled: bool) {
        let waiting = {
            let mut state = self.shared.lock();
            state.faults.set_stalled(is_stalled);
            let waits = !is_stalled;
            let waiting = if waits {
                std::mem::take(&mut state.waiting)
            } else {
                Vec::new()
            };
            let carried = waiting.into_iter().map(|waiting| {
                let synced = match waiting.sync {
                    Some(ino) => state.volume.sync(ino),
                    None => Err(Errno::IO),
                };
                (waiting.answer, synced)
            });
            carried.collect::<Vec<_>>()
        };
        for (answer, synced) in waiting {
            answer(synced);
        }
    }

    /// From now on nothing becomes durable, and nothing is answered that would have to; until power is [lost](Disk::lose).
    pub fn cut_power(&self) {
        self.shared.lock().faults.set_off(true);
    }

    /// Whether operations wait for an answer.
    pub fn keeps_waiting(&self) -> bool {
        !self.shared.lock().waiting.is_empty()
    }

    /// Lets operations that wait fail, without having been carried out. A process that is to die does not end before.
    pub fn abandon(&self) {
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        for waiting in waiting {
            (waiting.answer)(Err(Errno::IO));
        }
    }

    /// The power goes and comes back: what was not durable is kept or lost as `seed` decides. Nobody uses the disk meanwhile.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub fn lose(&self, seed: u64) -> Result<Lost, Errno> {
        self.lose_by(&mut Lottery::new(seed))
    }

    /// The same, and nothing is kept of what was not durable.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub fn lose_all(&self) -> Result<Lost, Errno> {
        self.lose_by(&mut Lottery::of_nothing())
    }

    fn lose_by(&self, lottery: &mut Lottery) -> Result<Lost, Errno> {
        self.abandon();
        let mut state = self.shared.lock();
        state.faults.set_off(false);
        state.listings.clear();
        state.volume.lose(lottery)
    }

    /// At the `nth` operation from now on that changes or syncs something, counted from 1, `killer` is called.
    pub fn arm(&self, nth: u64, done: Done, killer: Killer) {
        let mut state = self.shared.lock();
        state.faults.set_death(Some((nth, done)));
        state.killer = Some(killer);
    }

    /// Takes that back. Whether it has come to it.
    pub fn disarm(&self) -> bool {
        let mut state = self.shared.lock();
        let has_fired = !state.faults.is_death_due();
        state.faults.set_death(None);
        state.killer = None;
        has_fired
    }

    /// Whether a death is still to come.
    pub fn is_armed(&self) -> bool {
        self.shared.lock().faults.is_death_due()
    }

    /// How many operations were refused, failed, left waiting or deadly so far.
    pub fn hits(&self) -> u64 {
        self.shared.lock().faults.hits()
    }

    /// Whether a loss of power could take something away.
    pub fn is_at_stake(&self) -> bool {
        self.shared.lock().volume.is_at_stake()
    }

    /// Lifts every fault, and lets whatever waits go on.
    pub fn heal(&self) {
        {
            let mut state = self.shared.lock();
            state.faults.set_full(false);
            state.faults.set_errors(None);
            state.faults.set_off(false);
        }
        self.disarm();
        self.set_stalled(false);
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn sync_all(&self) -> Result<(), Errno> {
        self.shared.lock().volume.sync_all()
    }
}

/// Makes everything durable, since a process that ends loses nothing, and takes the mount away.
impl Drop for Disk {
    fn drop(&mut self) {
        self.heal();
        // A store that can't be written any more keeps what it has.
        let _ = self.sync_all();
        drop(self.mount.take());
    }
}
