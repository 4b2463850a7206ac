//! The load generator: one thread, however many connections.
//!
//! ```text
//!   free places ──▶ ask ──▶ one write a connection ──▶ system
//!        ▲                                               │
//!        └───────── record ◀── one read a connection ◀───┘      all that is ready, then again
//! ```
//!
//! Each connection has as many *places* as requests may be in flight on it. In a closed loop a place is taken again as soon as it
//! is free, and a latency begins when the request is made. In an open loop the n-th request is due at a time of its own whether or
//! not a place is free, and its latency begins then: a system that stalls does not stop the clock for what it delays.
//!
//! Sockets don't block, and the thread waits for all of them at once. It holds one clock reading for each batch that it reads or
//! asks.

mod connection;
mod measured;
mod questions;
mod waiter;

pub(super) use measured::Measured;
pub(crate) use questions::Op;
pub(super) use questions::Questions;

use super::history::History;
use super::protocol::{Answer, NoAnswers, Protocol, Question};
use connection::Connection;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use waiter::Waiter;

/// How long answers may take that are still out when the last request was made.
const LAST_ANSWERS_TIME_MAX: Duration = Duration::from_secs(10);

/// Why there is nothing measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// There is no connection to be had.
    #[error("can't connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    /// The operating system refuses something.
    #[error("can't wait for answers: {0}")]
    Wait(io::Error),
    /// A connection broke.
    #[error("a connection broke: {0}")]
    Broken(#[from] io::Error),
    /// There are no answers to be had.
    #[error(transparent)]
    NoAnswers(#[from] NoAnswers),
    /// The answer is to another question.
    #[error("a request got the answer of another one")]
    Misanswered,
    /// Answers did not come.
    #[error("{0} requests were not answered in time")]
    Unanswered(usize),
    /// Not all was done that was to be done once.
    #[error("only {done} of {all} keys were {what} within {}", humantime::format_duration(*.time))]
    CutOff {
        /// Written or read.
        what: &'static str,
        /// How many were.
        done: u64,
        /// How many should have been.
        all: u64,
        /// The time that there was.
        time: Duration,
    },
}

/// When requests are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// How many a second, all connections together; `None`: whenever there is a place.
    pub(super) rate: Option<u64>,
    /// Those that begin earlier are not measured.
    pub(super) warm_up: Duration,
    /// How long is measured.
    pub(super) duration: Duration,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When it was due, from which its latency counts; in a closed loop, when it was made.
    due: Instant,
    /// When it was about to be written: no later than the system can have heard of it, which is what the checker must know.
    sent: Instant,
    question: Question,
}

/// Connections to one system.
pub(super) struct Load {
    connections: Vec<Connection>,
    waiter: Waiter,
    /// How many requests may be in flight on one connection.
    pipeline: usize,
    /// By connection and place.
    asked: Vec<Option<Asked>>,
    /// Connections and places without a request, the longest free first.
    free: VecDeque<usize>,
    /// Connections with something to be written.
    unsent: Vec<usize>,
    /// Kept for its memory.
    answers: Vec<(usize, Answer)>,
}

impl Load {
    /// Opens `connections` connections to `address`.
    ///
    /// # Errors
    /// They are not to be had.
    pub(super) fn connect(
        address: SocketAddr,
        connections: usize,
        pipeline: usize,
        protocol: &dyn Fn() -> Box<dyn Protocol>,
    ) -> Result<Load, LoadError> {
        let waiter = Waiter::new().map_err(LoadError::Wait)?;
        let connections = (0..connections)
            .map(|number| {
                let connection = Connection::open(address, protocol());
                let connection = connection.map_err(|error| LoadError::Connect(address, error))?;
                waiter.watch(&connection, number).map_err(LoadError::Wait)?;
                Ok(connection)
            })
            .collect::<Result<Vec<_>, LoadError>>()?;
        let places = connections.len() * pipeline;
        // One place of each connection after the other, so that the load is spread from the beginning.
        let free = (0..pipeline).flat_map(|place| (0..connections.len()).map(move |c| c * pipeline + place));
        Ok(Load {
            free: free.collect(),
            connections,
            waiter,
            pipeline,
            asked: vec![None; places],
            unsent: Vec::new(),
            answers: Vec::new(),
        })
    }

    /// Asks `questions` until they or the time of `course` are over, and waits for the last answers. All of that goes into `history`, also
    /// where it fails.
    ///
    /// # Errors
    /// A connection broke, or answers did not come.
    pub(super) fn run(
        &mut self,
        course: &Course,
        questions: &mut Questions,
        history: &mut History,
    ) -> Result<Measured, LoadError> {
        let result = self.keep_asking(course, questions, history);
        if result.is_err() {
            for asked in self.asked.iter_mut().filter_map(Option::take) {
                history.unanswered(asked.question, asked.sent);
            }
        }
        result
    }

    /// Asks all of `questions`, which have an end, as fast as they are answered, and has none of them left out.
    ///
    /// # Errors
    /// Those of [`Load::run`], and that they were not all answered within `time`; refusals are answers.
    pub(super) fn run_all(
        &mut self,
        mut questions: Questions,
        time: Duration,
        history: &mut History,
    ) -> Result<Measured, LoadError> {
        let course = Course {
            rate: None,
            warm_up: Duration::ZERO,
            duration: time,
        };
        let measured = self.run(&course, &mut questions, history)?;
        let (done, (all, what)) = (measured.answered(), questions.whole());
        if done < all {
            return Err(LoadError::CutOff {
                what,
                done,
                all,
                time,
            });
        }
        Ok(measured)
    }

    fn keep_asking(
        &mut self,
        course: &Course,
        questions: &mut Questions,
        history: &mut History,
    ) -> Result<Measured, LoadError> {
        let begun = Instant::now();
        let mut measured = Measured::new(begun + course.warm_up, course.duration);
        let give_up = measured.end() + LAST_ANSWERS_TIME_MAX;
        // How many requests were made; in an open loop that tells when the next one is due.
        let mut made: u64 = 0;
        loop {
            let now = Instant::now();
            let mut next_due = None;
            let is_over = loop {
                let due = course.rate.map_or(now, |rate| begun + due_after(made, rate));
                if due >= measured.end() {
                    break true;
                }
                if due > now {
                    next_due = Some(due);
                    break false;
                }
                let Some(place) = self.free.pop_front() else {
                    break false;
                };
                let Some(question) = questions.next() else {
                    self.free.push_front(place);
                    break true;
                };
                let asked = Asked {
                    due,
                    sent: now,
                    question,
                };
                self.ask(place, asked);
                made += 1;
            };
            self.send()?;
            let in_flight = self.asked.len() - self.free.len();
            if is_over && in_flight == 0 {
                return Ok(measured);
            }
            if now > give_up {
                return Err(LoadError::Unanswered(in_flight));
            }
            let wait = next_due.map(|due| due.duration_since(now));
            self.waiter.wait(wait).map_err(LoadError::Wait)?;
            for (number, closed) in self.waiter.ready() {
                Self::receive(
                    (&mut self.connections[number], closed),
                    number * self.pipeline,
                    &mut self.answers,
                    &mut self.asked,
                    &mut self.free,
                    (&mut measured, history),
                )?;
                self.unsent.push(number);
            }
        }
    }

    fn ask(&mut self, place: usize, asked: Asked) {
        let number = place / self.pipeline;
        self.connections[number].ask(place % self.pipeline, asked.question);
        self.unsent.push(number);
        let before = self.asked[place].replace(asked);
        assert!(before.is_none(), "place {place} was free and taken");
    }

    /// One write for each connection that has something to say; what it does not take is written when it takes more.
    fn send(&mut self) -> Result<(), LoadError> {
        for number in self.unsent.drain(..) {
            self.connections[number].send()?;
        }
        Ok(())
    }

    fn receive(
        (connection, closed): (&mut Connection, bool),
        first_place: usize,
        answers: &mut Vec<(usize, Answer)>,
        asked: &mut [Option<Asked>],
        free: &mut VecDeque<usize>,
        (measured, history): (&mut Measured, &mut History),
    ) -> Result<(), LoadError> {
        // What came before a connection broke is evidence, too.
        let received = connection.receive(closed, answers);
        let now = Instant::now();
        for (place, answer) in answers.drain(..) {
            let place = first_place + place;
            let asked = asked.get_mut(place).and_then(Option::take);
            let Asked { due, sent, question } = asked.ok_or(LoadError::Misanswered)?;
            history.answered(question, &answer, (sent, now));
            match (question, answer) {
                (Question::Put { .. }, Answer::Written) | (Question::Get { .. }, Answer::Value(_)) => {
                    measured.done(due, now);
                }
                (_, Answer::Refused(reason)) => measured.refused(reason),
                (Question::Put { .. } | Question::Get { .. }, Answer::Written | Answer::Value(_)) => {
                    return Err(LoadError::Misanswered);
                }
            }
            free.push_back(place);
        }
        received
    }
}

/// When the request is due that follows after `made` others, in a loop of `rate` a second.
fn due_after(made: u64, rate: u64) -> Duration {
    let (seconds, rest) = (made / rate, made % rate);
    // Below a second, so that no product is too large.
    Duration::from_secs(seconds) + Duration::from_secs(1).mul_f64(rest as f64 / rate as f64)
}

#[cfg(test)]
mod tests;
