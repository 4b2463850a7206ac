//! The check beside a test, from its first operation to its last final read: the first violation that is seen ends it.
//!
//! What reaches the history's file goes on from there, the very bytes in their order, to a thread of its own, which holds it against the
//! workload's model ([`checker::Watch`]). The load never waits for that: a check that falls too far behind is given up, which is noted, and
//! the check at the end stands, as it does for every object that is too much to be judged so soon. One that breaks is noted as well: what
//! was recorded is worth more than whoever looked over the recorder's shoulder.

use crate::record::Listener;
use checker::{Limits, Seen, Watch};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use workloads::Workload;

/// How many bytes of the history may wait for the check.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How many operations that it has read may wait for the ends of others.
const WAITING_OPERATIONS_MAX: u64 = 1 << 20;
/// How much memory one object may take, in bytes.
const OBJECT_BYTES_MAX: usize = 16 << 20;
/// Between two looks whether it has caught up.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// See the module's documentation.
pub(super) struct Online {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// How far the check is.
#[derive(Clone)]
pub(super) struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Bytes that were taken in.
    taken_in: AtomicU64,
    /// Operations that wait for nothing any more.
    judged: AtomicU64,
    /// Whether nobody wants to know more.
    stopped: AtomicBool,
    given_up: OnceLock<String>,
    seen: OnceLock<Seen>,
    /// Cancelled when something was seen.
    told: CancellationToken,
}

impl Shared {
    fn is_over(&self) -> bool {
        // What was seen was told by then: who waits for either does not miss the other.
        self.stopped.load(Ordering::Relaxed) || self.given_up.get().is_some() || self.told.is_cancelled()
    }

    fn give_up(&self, why: &str) {
        self.given_up.get_or_init(|| {
            format!("the check beside the run was given up, and the one at the end is all there was: {why}")
        });
    }

    fn take_in(&self, watch: &mut dyn Watch, lines: &[u8]) {
        match watch.push(lines) {
            Ok(Some(seen)) => {
                self.seen.get_or_init(|| seen);
                self.told.cancel();
            }
            Ok(None) if watch.waiting() > WAITING_OPERATIONS_MAX => {
                self.give_up(&format!(
                    "more than {WAITING_OPERATIONS_MAX} operations waited for others"
                ));
            }
            Ok(None) => {}
            Err(error) => self.give_up(&error.to_string()),
        }
        self.judged.store(watch.judged(), Ordering::Relaxed);
        self.taken_in.fetch_add(lines.len() as u64, Ordering::Relaxed);
    }
}

impl Online {
    /// Starts to check a history of `workload`, which the listener is told; `None` where its model is for whole histories.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(workload: &'static dyn Workload) -> io::Result<Option<(Online, Listener)>> {
        if workloads::watch(workload, Limits::default()).is_none() {
            return Ok(None);
        }
        let watched = move |shared: &Shared, blocks: &mpsc::Receiver<Vec<u8>>| {
            let should_stop = || shared.is_over();
            let limits = Limits {
                bytes_max: OBJECT_BYTES_MAX,
                should_stop: &should_stop,
                ..Limits::default()
            };
            let watch = workloads::watch(workload, limits);
            check(watch.expect("it was looked at before").as_mut(), shared, blocks);
        };
        Online::begin(watched).map(Some)
    }

    /// Begins a check that does so with what is recorded.
    fn begin(
        check: impl FnOnce(&Shared, &mpsc::Receiver<Vec<u8>>) + Send + 'static,
    ) -> io::Result<(Online, Listener)> {
        let shared = Arc::new(Shared::default());
        let (sender, blocks) = mpsc::channel::<Vec<u8>>();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(String::from("online check"))
            .spawn(move || check(&of_thread, &blocks))?;
        let of_listener = Arc::clone(&shared);
        let listener = move |lines: &[u8]| {
            if of_listener.is_over() {
                return;
            }
            let waiting = of_listener.waiting.fetch_add(lines.len(), Ordering::Relaxed) + lines.len();
            if waiting > WAITING_BYTES_MAX {
                of_listener.give_up(&format!(
                    "it fell behind by more than {} MiB",
                    WAITING_BYTES_MAX >> 20
                ));
            } else if sender.send(lines.to_vec()).is_err() {
                // The thread goes on for as long as this can be called, unless it panics. What about, it has said on stderr.
                of_listener.give_up("it panicked");
            }
        };
        Ok((Online { shared, thread }, Box::new(listener)))
    }

    /// Waits until a violation is seen.
    pub(super) async fn seen(&self) -> Seen {
        self.shared.told.cancelled().await;
        let seen = self.shared.seen.get();
        seen.expect("it is there before it is told").clone()
    }

    /// Waits until it has taken in so many bytes of the history, or goes no further; no longer than `limit`. What ended last is judged only
    /// when time has gone on.
    pub(super) async fn caught_up(&self, bytes: u64, limit: Duration) {
        let has_caught_up = async {
            let mut look = tokio::time::interval(LOOK_INTERVAL);
            while !self.shared.is_over() && self.shared.taken_in.load(Ordering::Relaxed) < bytes {
                look.tick().await;
            }
        };
        // Whoever has no time to wait goes on without.
        let _ = tokio::time::timeout(limit, has_caught_up).await;
    }

    pub(super) fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.shared))
    }

    /// Nobody wants to know more.
    pub(super) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }

    /// Waits for its end, which comes soon after it was stopped and the recorder is gone. Why it was given up before, if it was.
    pub(super) fn finish(self) -> Option<String> {
        if self.thread.join().is_err() {
            self.shared.give_up("it panicked");
        }
        self.shared.given_up.get().cloned()
    }
}

impl Progress {
    /// How many operations it is behind, of so many that were invoked; 0 where it goes no further.
    pub(super) fn behind(&self, invoked: u64) -> u64 {
        if self.0.is_over() {
            return 0;
        }
        invoked.saturating_sub(self.0.judged.load(Ordering::Relaxed))
    }
}

fn check(watch: &mut dyn Watch, shared: &Shared, blocks: &mpsc::Receiver<Vec<u8>>) {
    for lines in blocks {
        if !shared.is_over() {
            shared.take_in(watch, &lines);
        }
        shared.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: u64, process: u64, kind: &str, f: &str, value: &str) -> String {
        format!(
            "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":0,\"value\":{value}}}\n"
        )
    }

    fn start() -> (Online, Listener) {
        Online::start(workloads::by_name("register").unwrap())
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn a_violation_is_told_once_what_was_invoked_before_is_over() {
        let (online, mut listener) = start();
        let begin = [
            line(1, 0, "invoke", "write", "1"),
            line(2, 1, "invoke", "read", "null"),
            line(3, 1, "ok", "read", "9"),
            line(4, 1, "invoke", "read", "null"),
        ];
        listener(begin.concat().as_bytes());
        let early = tokio::time::timeout(Duration::from_millis(50), online.seen()).await;
        assert!(early.is_err(), "the write is still open");
        assert_eq!(online.progress().behind(3), 3);
        listener((line(5, 0, "ok", "write", "null") + &line(6, 1, "ok", "read", "1")).as_bytes());
        let seen = online.seen().await;
        assert_eq!((seen.object.as_str(), seen.line), ("cas-register 0", 3));
        assert_eq!(online.progress().behind(3), 0, "nothing more is looked at");
        drop(listener);
        assert_eq!(online.finish(), None);
    }

    #[test]
    fn a_check_that_falls_too_far_behind_is_given_up_and_says_so() {
        let (online, mut listener) = start();
        // All at once: however fast it is, so much waits for a moment.
        listener(line(1, 0, "invoke", "read", "null").repeat(1_000_000).as_bytes());
        assert_eq!(online.progress().behind(1_000_000), 0);
        drop(listener);
        let why = online.finish().unwrap();
        assert!(why.contains("fell behind by more than 64 MiB"), "{why}");
    }

    #[test]
    fn what_the_check_cant_read_gives_it_up() {
        let (online, mut listener) = start();
        listener(b"no history\n");
        drop(listener);
        let why = online.finish().unwrap();
        assert!(why.contains("line 2: "), "{why}");
    }

    #[test]
    fn a_check_that_panics_is_given_up_and_says_so() {
        let (online, mut listener) = Online::begin(|_, blocks| {
            blocks.recv().unwrap();
            panic!("the check is broken");
        })
        .unwrap();
        // Of a block that it has not looked at when it breaks nobody hears; of those that follow somebody must.
        while !online.thread.is_finished() {
            listener(line(1, 0, "invoke", "read", "null").as_bytes());
            std::thread::sleep(Duration::from_millis(1));
        }
        listener(line(1, 0, "ok", "read", "null").as_bytes());
        assert_eq!(online.progress().behind(3), 0, "nothing more is looked at");
        drop(listener);
        let why = online.finish().unwrap();
        assert!(
            why.ends_with("the one at the end is all there was: it panicked"),
            "{why}"
        );
    }

    #[tokio::test]
    async fn who_waits_until_it_has_caught_up_knows_what_it_has_seen() {
        let long = Duration::from_secs(600);
        let (online, mut listener) = start();
        let mut bytes = 0;
        for time in 0..1000 {
            let line =
                line(2 * time, 0, "invoke", "read", "null") + &line(2 * time + 1, 0, "ok", "read", "null");
            listener(line.as_bytes());
            bytes += line.len() as u64;
        }
        online.caught_up(bytes, long).await;
        assert_eq!(online.progress().behind(1000), 1, "what ended last");
        let lie = line(3000, 0, "invoke", "read", "null") + &line(3001, 0, "ok", "read", "9");
        listener((lie.clone() + &line(3002, 0, "invoke", "read", "null")).as_bytes());
        online.caught_up(u64::MAX, long).await;
        assert_eq!(online.shared.seen.get().unwrap().line, 2002, "it goes no further");
        // What nobody has told it yet it does not catch up with.
        let (online, _listener) = start();
        online.caught_up(1, Duration::from_millis(1)).await;
    }

    #[test]
    fn a_check_that_is_stopped_ends_without_a_word() {
        let (online, mut listener) = start();
        online.stop();
        listener(b"no history\n");
        drop(listener);
        assert_eq!(online.finish(), None);
    }
}
