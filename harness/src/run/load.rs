//! The load: client threads that carry out what the generator says, at the pace that was asked for.
//!
//! A thread does not wait for an operation that takes longer than [`PATIENCE`]: it leaves that one to itself, where it is completed and
//! recorded as any other, and goes on as another process. When a leader is cut off, the writes that it holds back would otherwise bind
//! every thread until they time out, and by then the new leader has had nothing to do, and the old one has given up: the very
//! moment at which a stale answer can be told from a fresh one would pass without anybody writing.

use crate::record::Recorder;
use crate::systems::AnyClient;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workloads::{Completion, Generator, Op};

/// How long a client waits after its first failure in a row, so that a node that is down does not fill the history with refused
/// connections; each further one doubles it,
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// up to this.
const BACKOFF_MAX: Duration = Duration::from_millis(50);
/// How long a client waits when the generator has nothing for it.
const IDLE: Duration = Duration::from_millis(1);
/// How far a client may lag behind the rate and still catch up; what it lags more is left out, or a fault's end would be a flood.
const LAG_MAX: Duration = Duration::from_secs(1);

/// How long a thread waits for an operation before it goes on without it,
const PATIENCE: Duration = Duration::from_millis(50);
/// as long as no more than this many are left to themselves.
const LEFT_MAX: usize = 6;

/// What all clients share.
pub(super) struct Load {
    recorder: Arc<Recorder>,
    generator: Mutex<Box<dyn Generator>>,
    next_process: AtomicU64,
    stop: CancellationToken,
}

impl Load {
    pub(super) fn new(
        recorder: Arc<Recorder>,
        generator: Box<dyn Generator>,
        stop: CancellationToken,
    ) -> Load {
        Load {
            recorder,
            generator: Mutex::new(generator),
            next_process: AtomicU64::new(0),
            stop,
        }
    }

    /// A process id that was never used.
    fn new_process(&self) -> u64 {
        self.next_process.fetch_add(1, Ordering::Relaxed)
    }

    fn with_generator<T>(&self, ask: impl FnOnce(&mut dyn Generator) -> T) -> T {
        ask(self.generator.lock().expect("generators don't panic").as_mut())
    }

    /// The reads that end the run.
    pub(super) fn final_reads(&self) -> Vec<Op> {
        self.with_generator(|generator| generator.final_reads())
    }
}

/// A client, the process id that it goes by at the moment, and how long it has been without success.
pub(super) struct Process {
    load: Arc<Load>,
    client: AnyClient,
    id: u64,
    backoff: Duration,
}

impl Process {
    pub(super) fn new(load: Arc<Load>, client: AnyClient) -> Process {
        let id = load.new_process();
        Process {
            load,
            client,
            id,
            backoff: BACKOFF_MIN,
        }
    }

    /// Carries out one operation, and records it.
    pub(super) async fn invoke(&mut self, op: &Op, intended: Option<Duration>) -> Completion {
        let reached = self.client.reach(op).await;
        let invoked = self
            .load
            .recorder
            .invoke(self.id, op, self.client.home(), intended);
        let completion = match reached {
            Ok(()) => self.client.call(op).await,
            Err(reason) => Completion::Fail(reason),
        };
        self.load.recorder.complete(invoked, op, &completion);
        if let Completion::Info(_) = completion {
            self.id = self.load.new_process();
        }
        completion
    }

    /// How long to wait after `completion` before the next operation.
    pub(super) fn pause_after(&mut self, completion: &Completion) -> Option<Duration> {
        match completion {
            Completion::Ok(_) => {
                self.backoff = BACKOFF_MIN;
                None
            }
            Completion::Fail(_) | Completion::Info(_) => {
                let pause = self.backoff;
                self.backoff = (2 * pause).min(BACKOFF_MAX);
                Some(pause)
            }
        }
    }
}

/// When client `thread` begins its operations, where a rate was asked for: all clients take turns, evenly.
pub(super) struct Pace {
    next: Instant,
    every: Duration,
}

impl Pace {
    pub(super) fn new(start: Instant, rate: u64, thread: usize, clients: usize) -> Pace {
        let every = Duration::from_secs_f64(clients as f64 / rate as f64);
        let first = Duration::from_secs_f64(thread as f64 / rate as f64);
        Pace {
            next: start + first,
            every,
        }
    }

    /// When the next operation is to begin, at the time `now`.
    fn turn(&mut self, now: Instant) -> Instant {
        if let Some(earliest) = now.checked_sub(LAG_MAX) {
            self.next = self.next.max(earliest);
        }
        let turn = self.next;
        self.next += self.every;
        turn
    }
}

/// When an operation was to begin whose client was free at `free`, and was woken at `woken`. What its client was late by, because nodes took
/// long, counts as waiting. What the timer is late by, which tells milliseconds and no less, is nobody's fault.
fn to_begin(turn: Instant, free: Instant, woken: Instant) -> Instant {
    if free < turn { woken } else { turn }
}

/// Makes a client of a thread, by the thread's number.
pub(super) type MakeClient = Arc<dyn Fn(usize) -> AnyClient + Send + Sync>;

/// Starts one task for each of `threads`; they end some time after `stop` says so, when what they have begun is complete.
pub(super) fn start(
    load: &Arc<Load>,
    threads: usize,
    make_client: &MakeClient,
    rate: Option<u64>,
    begin: Instant,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..threads {
        let thread = Thread {
            number,
            load: Arc::clone(load),
            make_client: Arc::clone(make_client),
            pace: rate.map(|rate| Pace::new(begin, rate, number, threads)),
            idle: Vec::new(),
            left: JoinSet::new(),
        };
        tasks.spawn(thread.work());
    }
    tasks
}

/// A client thread.
struct Thread {
    number: usize,
    load: Arc<Load>,
    make_client: MakeClient,
    pace: Option<Pace>,
    /// Processes that have nothing to do.
    idle: Vec<Process>,
    /// Operations that were left to themselves, and the processes that make them.
    left: JoinSet<Process>,
}

impl Thread {
    async fn work(mut self) {
        let load = Arc::clone(&self.load);
        while !load.stop.is_cancelled() {
            let mut intended = None;
            if let Some(pace) = &mut self.pace {
                let free = Instant::now();
                let turn = pace.turn(free);
                if !unless(&load.stop, tokio::time::sleep_until(turn.into())).await {
                    break;
                }
                let to_begin = to_begin(turn, free, Instant::now());
                intended = Some(load.recorder.time_of(to_begin));
            }
            let process = self.process().await;
            match load.with_generator(|generator| generator.next(self.number)) {
                Some(op) => self.invoke(process, op, intended).await,
                None => {
                    self.idle.push(process);
                    unless(&load.stop, tokio::time::sleep(IDLE)).await;
                }
            }
        }
        self.left.join_all().await;
    }

    /// A process that has nothing to do: one that is idle, a new one, or the first to be done.
    async fn process(&mut self) -> Process {
        while let Some(done) = self.left.try_join_next() {
            self.idle.push(done.expect(NO_PANIC));
        }
        if let Some(idle) = self.idle.pop() {
            return idle;
        }
        if self.left.len() >= LEFT_MAX
            && let Some(done) = self.left.join_next().await
        {
            return done.expect(NO_PANIC);
        }
        Process::new(Arc::clone(&self.load), (self.make_client)(self.number))
    }

    async fn invoke(&mut self, mut process: Process, op: Op, intended: Option<Duration>) {
        let (load, number) = (Arc::clone(&self.load), self.number);
        let mut operation = Box::pin(async move {
            let completion = process.invoke(&op, intended).await;
            load.with_generator(|generator| generator.completed(number, &op, &completion));
            (process, completion)
        });
        match tokio::time::timeout(PATIENCE, &mut operation).await {
            Ok((mut process, completion)) => {
                let pause = process.pause_after(&completion);
                self.idle.push(process);
                if let Some(pause) = pause {
                    unless(&self.load.stop, tokio::time::sleep(pause)).await;
                }
            }
            Err(_) => {
                self.left.spawn(async move { operation.await.0 });
            }
        }
    }
}

/// Why a task always ends well.
const NO_PANIC: &str = "clients don't panic";

/// Waits; `false` if `stop` came first.
async fn unless(stop: &CancellationToken, wait: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = wait => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns_evenly() {
        let start = Instant::now();
        let turns: Vec<Vec<u128>> = (0..2)
            .map(|thread| {
                let mut pace = Pace::new(start, 100, thread, 2);
                (0..3).map(|_| (pace.turn(start) - start).as_millis()).collect()
            })
            .collect();
        assert_eq!(turns, [[0, 20, 40], [10, 30, 50]]);
    }

    #[test]
    fn a_client_that_lags_catches_up_by_a_second_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 10, 0, 1);
        let late = start + Duration::from_secs(60);
        let caught_up = (0..100)
            .map(|_| pace.turn(late))
            .take_while(|turn| *turn <= late)
            .count();
        assert_eq!(caught_up, 11);
    }

    #[test]
    fn an_operation_waits_for_its_client_and_not_for_the_timer() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        assert_eq!(
            to_begin(at(10), at(2), at(11)),
            at(11),
            "its client was free in time"
        );
        assert_eq!(to_begin(at(10), at(40), at(40)), at(10), "its client had to wait");
    }
}
