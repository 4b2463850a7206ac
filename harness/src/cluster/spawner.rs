//! Starting processes that die with the harness.
//!
//! Linux can send a process a signal when its parent dies, but means by that the *thread* that started it. So one thread, which
//! lives as long as the cluster, starts them all.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::mpsc;
use tokio::sync::oneshot;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// A thread that starts processes.
#[derive(Debug)]
pub(crate) struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts the thread; it ends when the spawner is dropped.
    pub(crate) fn start() -> io::Result<Spawner> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    if let Err(Ok(mut unwanted)) = reply.send(spawn_tied(&mut command)) {
                        // Whoever asked is gone. One that can't be killed is gone, too.
                        let _ = unwanted.kill().and_then(|()| unwanted.wait());
                    }
                }
            })?;
        Ok(Spawner(jobs))
    }

    /// Starts a process whose death is tied to the harness's.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, outcome) = oneshot::channel();
        let gone = || io::Error::other("the spawning thread is gone");
        self.0.send((command, reply)).map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

/// Starts a process that is killed when this thread ends.
pub(crate) fn spawn_tied(command: &mut Command) -> io::Result<Child> {
    let harness = rustix::process::getpid();
    let tie = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have died before the signal was asked for; then it will never come.
        if rustix::process::getppid() == Some(harness) {
            Ok(())
        } else {
            Err(io::Error::other("the harness is gone"))
        }
    };
    #[expect(
        unsafe_code,
        reason = "there is no safe way to run code between fork and exec"
    )]
    // SAFETY: `tie` makes two system calls, allocates nothing on success and takes no lock: it may run after a fork.
    unsafe {
        command.pre_exec(tie);
    }
    command.spawn()
}
