//! The thread that writes the log for those who have something else to do meanwhile.

use super::direct::Aligned;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A batch to be written durably.
#[derive(Debug)]
pub(super) struct Job {
    /// Where to: a file that is written past the cache, or through it and then synced.
    pub(super) file: Target,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// A file, and the way in which a write to it becomes durable.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// By the write itself.
    Direct(Arc<File>),
    /// By a sync behind it.
    Cached(Arc<File>),
}

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What was to be written, back for whoever must write it in another way.
    pub(super) job: Job,
    pub(super) result: io::Result<()>,
    /// How long the batch took to be written, as far as that is not part of the sync.
    pub(super) write: Duration,
    /// How long it took to be durable.
    pub(super) sync: Duration,
}

/// A thread, and what it is told and tells. One job at a time.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only when it is dropped.
    jobs: Option<Sender<Job>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; it calls `written` after each job.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(written: impl Fn() + Send + 'static) -> io::Result<Writer> {
        let (jobs, to_do) = channel::<Job>();
        let (done, outcomes) = channel();
        let thread = std::thread::Builder::new().name("log-writer".to_string());
        let thread = thread.spawn(move || {
            let mut aligned = Aligned::default();
            while let Ok(job) = to_do.recv() {
                if done.send(carry_out(job, &mut aligned)).is_err() {
                    return;
                }
                written();
            }
        })?;
        Ok(Writer {
            jobs: Some(jobs),
            outcomes,
            thread: Some(thread),
        })
    }

    /// Hands a job over.
    pub(super) fn begin(&self, job: Job) {
        let jobs = self.jobs.as_ref().expect("it is not dropped yet");
        jobs.send(job).expect("the thread lives as long as this");
    }

    /// What came of the job, if it is done.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // What it is writing is over before anybody else may use the folder.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry_out(job: Job, aligned: &mut Aligned) -> Outcome {
    let begun = Instant::now();
    let mut write = Duration::ZERO;
    let result = match &job.file {
        Target::Direct(file) => aligned.write_all_at(file, job.offset, &job.bytes, &mut write),
        Target::Cached(file) => file.write_all_at(&job.bytes, job.offset).and_then(|()| {
            write = begun.elapsed();
            file.sync_data()
        }),
    };
    Outcome {
        job,
        result,
        write,
        sync: begun.elapsed().saturating_sub(write),
    }
}
