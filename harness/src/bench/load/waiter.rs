//! Waiting for many sockets and for a time.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How many sockets are told of at once; the others are told of the next time.
const EVENTS_MAX: usize = 256;

/// After how long somebody looks at the clock when nothing happens.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The timer's number among the sockets.
const TIMER: u64 = u64::MAX;

/// Sockets that are waited for, by number.
pub(super) struct Waiter {
    epoll: OwnedFd,
    /// Finer than the milliseconds that `epoll_wait` counts in.
    timer: OwnedFd,
    events: Vec<Event>,
}

impl Waiter {
    pub(super) fn new() -> io::Result<Waiter> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        epoll::add(
            &epoll,
            &timer,
            EventData::new_u64(TIMER),
            EventFlags::IN | EventFlags::ET,
        )?;
        Ok(Waiter {
            epoll,
            timer,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// From now on the socket is waited for: whenever something comes or it is closed, and whenever it takes more after it was full.
    pub(super) fn watch(&self, socket: impl AsFd, number: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::OUT | EventFlags::ET;
        epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), flags)?;
        Ok(())
    }

    /// Waits until there is something for a socket, or `time` is over; in any case not much longer than [`LOOK_INTERVAL`].
    pub(super) fn wait(&mut self, time: Option<Duration>) -> io::Result<()> {
        if let Some(time) = time {
            let once = Itimerspec {
                it_interval: Timespec::default(),
                // A timer of zero would be none.
                it_value: Timespec::try_from(time.max(Duration::from_nanos(1))).map_err(io::Error::other)?,
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        }
        self.events.clear();
        let events = rustix::buffer::spare_capacity(&mut self.events);
        let look = Timespec::try_from(LOOK_INTERVAL).map_err(io::Error::other)?;
        match epoll::wait(&self.epoll, events, Some(&look)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The numbers of the sockets that there is something for, and whether the other side has closed each: that is not told again.
    pub(super) fn ready(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        let events = self.events.iter().map(|event| (event.data.u64(), event.flags));
        let sockets = events.filter(|(number, _)| *number != TIMER);
        sockets.map(|(number, flags)| {
            let number = usize::try_from(number).expect("it was given as a usize");
            (number, flags.contains(EventFlags::RDHUP))
        })
    }
}
