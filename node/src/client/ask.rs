//! One request to a cluster: endpoints in turn, redirects, and honesty about what is not known.
//!
//! A command is given in a session of its own, so that it can be sent again where no answer came, and takes effect once all the same.
//! Where the time is up before an answer came, nobody knows whether it did.

use super::no_member::no_member;
use crate::cli::{Address, Reach};
use crate::connection::{Dialled, Frame, append_frame, dial};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use wire::client::{Error, Reply, Request, RequestBody, Response};
use wire::record::{Command, Once};
use wire::{Hello, Role};

/// How long to try to connect to one endpoint, while there are others.
const DIAL_TIME_MAX: Duration = Duration::from_secs(1);

/// How long to wait for one node's answer before the question is asked again elsewhere.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// How long to wait before the next attempt: an election takes a while.
const PAUSE: Duration = Duration::from_millis(50);

/// How much time an answer must have for what is sent only once to be tried again, or half of all the time if that is less. Without an answer to
/// the last attempt nobody would know whether it was done, where the one before was refused for certain.
const LAST_ANSWER_TIME: Duration = Duration::from_secs(1);

/// How long to wait until a session is ended. It would end by itself, too.
const CLOSE_TIME_MAX: Duration = Duration::from_millis(200);

/// What is said of a node that answers another question.
pub(super) const MISANSWERED: &str = "the node answered something else than was asked";

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Done(Reply),
    /// It entered no log, and never will.
    NotDone(String),
    /// It may have taken effect, or may yet.
    Unknown(String),
}

/// What came of one attempt.
pub(super) enum Attempt {
    Answered(Result<Reply, Error>),
    /// The request was not sent.
    NotSent(String),
    /// The request was sent, and no answer came.
    NoAnswer(String),
}

pub(super) fn client_hello() -> Hello {
    Hello {
        magic: wire::MAGIC,
        version_min: wire::VERSION_MIN,
        version_max: wire::VERSION_MAX,
        cluster_id: String::new(),
        role: Role::Client,
    }
}

struct Sent<'a>(&'a Request);

impl Frame for Sent<'_> {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        wire::encode_into(self.0, buffer)
    }
}

/// Asks the cluster until it answers, or the time is up.
pub(super) async fn ask(body: RequestBody, reach: &Reach) -> Outcome {
    let mut asker = Asker::new(reach);
    match body {
        RequestBody::Put { key, value } => asker.ask_once(Command::Put { key, value }).await,
        RequestBody::Cas { key, expected, value } => {
            asker.ask_once(Command::Cas { key, expected, value }).await
        }
        RequestBody::Delete { key } => asker.ask_once(Command::Delete { key }).await,
        RequestBody::Command { once: None, command } => asker.ask_once(command).await,
        body @ (RequestBody::Get { .. }
        | RequestBody::Status
        | RequestBody::Stages
        | RequestBody::OpenSession
        | RequestBody::CloseSession { .. }
        | RequestBody::Members
        | RequestBody::Reconfigure { .. }
        | RequestBody::Transfer { .. }
        | RequestBody::Snapshot
        | RequestBody::Command { once: Some(_), .. }) => asker.ask(body).await,
    }
}

/// Asks a cluster, within one time for all that it asks.
struct Asker<'a> {
    reach: &'a Reach,
    deadline: Instant,
    endpoints: std::iter::Cycle<std::slice::Iter<'a, Address>>,
    /// Who is asked next, if that is known: the leader that was named, or who has answered.
    next: Option<String>,
}

impl<'a> Asker<'a> {
    fn new(reach: &'a Reach) -> Asker<'a> {
        Asker {
            reach,
            deadline: Instant::now() + reach.timeout,
            endpoints: reach.endpoints.iter().cycle(),
            next: None,
        }
    }

    /// Has a command carried out once, however often it has to be sent.
    async fn ask_once(&mut self, command: Command) -> Outcome {
        let session = match self.ask(RequestBody::OpenSession).await {
            Outcome::Done(Reply::SessionOpened { session, .. }) => session,
            Outcome::Done(_) => return Outcome::NotDone(MISANSWERED.to_string()),
            // The command was not sent.
            Outcome::NotDone(reason) | Outcome::Unknown(reason) => return Outcome::NotDone(reason),
        };
        let once = Once {
            session,
            sequence: 1,
            answered_below: 1,
        };
        let body = RequestBody::Command {
            once: Some(once),
            command,
        };
        let outcome = self.ask(body).await;
        if let Outcome::Done(_) = outcome {
            self.deadline = self.deadline.min(Instant::now() + CLOSE_TIME_MAX);
            // Where that does not come about, the session expires.
            let _ = self.ask(RequestBody::CloseSession { session }).await;
        }
        outcome
    }

    /// Asks until there is an answer. What would be done twice if it came twice is sent again only where it certainly was not done.
    async fn ask(&mut self, body: RequestBody) -> Outcome {
        let request = Request { id: 1, body };
        let changes_nothing = matches!(
            request.body,
            RequestBody::Get { .. } | RequestBody::Status | RequestBody::Stages | RequestBody::Members
        );
        let is_sent_once = matches!(
            request.body,
            RequestBody::Reconfigure { .. } | RequestBody::Transfer { .. } | RequestBody::Snapshot
        );
        // Whether it was sent, and nobody has said that this had no effect.
        let mut in_doubt = false;
        let mut redirected = false;
        loop {
            let address = self.next.take().unwrap_or_else(|| {
                let next = self.endpoints.next().expect("at least one endpoint is required");
                next.as_str().to_string()
            });
            let mut names_no_leader = false;
            let reason = match attempt(&address, &request, self.deadline, is_sent_once).await {
                Attempt::Answered(Ok(reply)) => {
                    self.next = Some(address);
                    return Outcome::Done(reply);
                }
                Attempt::Answered(Err(
                    error @ (Error::Invalid { .. } | Error::Refused { .. } | Error::Unfit(_)),
                )) => {
                    return Outcome::NotDone(error.to_string());
                }
                Attempt::Answered(Err(error @ (Error::SessionExpired | Error::ReplyForgotten))) => {
                    return ended(in_doubt || !error.is_definite(), format!("{address}: {error}"));
                }
                Attempt::Answered(Err(Error::NotLeader { leader: Some(leader) }))
                    if !redirected && !leader.client_address.is_empty() =>
                {
                    redirected = true;
                    self.next = Some(leader.client_address);
                    continue;
                }
                Attempt::Answered(Err(error)) => {
                    in_doubt |= !error.is_definite();
                    names_no_leader = matches!(error, Error::NotLeader { leader: None });
                    format!("{address}: {error}")
                }
                Attempt::NotSent(reason) => format!("{address}: {reason}"),
                Attempt::NoAnswer(reason) => {
                    in_doubt = true;
                    format!("{address}: {reason}")
                }
            };
            redirected = false;
            if in_doubt && is_sent_once {
                return Outcome::Unknown(format!("not tried again: {reason}"));
            }
            let time_left = self.deadline.saturating_duration_since(Instant::now());
            if !is_enough(time_left, is_sent_once, self.reach.timeout) {
                if names_no_leader && let Some(why) = no_member(&address).await {
                    return ended(in_doubt && !changes_nothing, why);
                }
                let tried = humantime::format_duration(self.reach.timeout);
                let reason = format!("the time is up ({tried}); last of all, {reason}");
                return ended(in_doubt && !changes_nothing, reason);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether there is time for another attempt, where `time_left` is left of `timeout`.
fn is_enough(time_left: Duration, is_sent_once: bool, timeout: Duration) -> bool {
    let answer_time = if is_sent_once {
        LAST_ANSWER_TIME.min(timeout / 2)
    } else {
        Duration::ZERO
    };
    time_left > PAUSE + answer_time
}

fn ended(in_doubt: bool, reason: String) -> Outcome {
    if in_doubt {
        Outcome::Unknown(reason)
    } else {
        Outcome::NotDone(reason)
    }
}

/// Asks the node at `address`; what `is_sent_once` is waited for until `deadline`.
pub(super) async fn attempt(
    address: &str,
    request: &Request,
    deadline: Instant,
    is_sent_once: bool,
) -> Attempt {
    let time_left = deadline.saturating_duration_since(Instant::now());
    let dialled = match dial(address, &client_hello(), time_left.min(DIAL_TIME_MAX)).await {
        Ok(dialled) => dialled,
        Err(error) => return Attempt::NotSent(error.to_string()),
    };
    let answer_by = if is_sent_once {
        deadline
    } else {
        deadline.min(Instant::now() + ANSWER_TIME_MAX)
    };
    match timeout_at(answer_by, exchange(dialled, request)).await {
        Ok(Ok(result)) => Attempt::Answered(result),
        Ok(Err(reason)) => Attempt::NoAnswer(reason),
        Err(_) => Attempt::NoAnswer("no answer in time".to_string()),
    }
}

/// Sends the only request of a connection, and waits for its answer.
pub(super) async fn exchange(dialled: Dialled, request: &Request) -> Result<Result<Reply, Error>, String> {
    let Dialled {
        mut incoming,
        mut half,
        ..
    } = dialled;
    let frame = append_frame(Sent(request), Vec::new());
    half.write_all(&frame).await.map_err(|error| error.to_string())?;
    let payload = incoming.next().await.map_err(|error| error.to_string())?;
    let payload = payload.ok_or("the connection was closed before the answer came")?;
    let response: Response = wire::decode(&payload).map_err(|error| error.to_string())?;
    if response.id != request.id {
        return Err("the answer is to another request".to_string());
    }
    Ok(response.result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_once_is_tried_again_only_where_its_answer_has_time() {
        const SECOND: Duration = Duration::from_secs(1);
        const MOMENT: Duration = Duration::from_millis(1);
        for (is_sent_once, timeout, too_little) in [
            (false, 5 * SECOND, PAUSE),
            (true, 5 * SECOND, PAUSE + SECOND),
            (true, SECOND, PAUSE + SECOND / 2),
        ] {
            assert!(!is_enough(too_little, is_sent_once, timeout));
            assert!(is_enough(too_little + MOMENT, is_sent_once, timeout));
        }
    }
}
