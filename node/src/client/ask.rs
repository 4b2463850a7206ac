//! One request to a cluster: endpoints in turn, redirects, and honesty about what is not known.
//!
//! A request is sent again only when it is certain that it entered no log, or when it changes nothing.

use crate::cli::Reach;
use crate::connection::{Dialled, Frame, append_frame, dial};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use wire::client::{Error, Reply, Request, RequestBody, Response};
use wire::{Hello, Role};

/// How long to try to connect to one endpoint, while there are others.
const DIAL_TIME_MAX: Duration = Duration::from_secs(1);

/// How long to wait for one node's answer to a question that may be asked again elsewhere.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// How long to wait before the next attempt: an election takes a while.
const PAUSE: Duration = Duration::from_millis(50);

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
enum Attempt {
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
    let deadline = Instant::now() + reach.timeout;
    let changes_nothing = matches!(
        body,
        RequestBody::Get { .. } | RequestBody::Status | RequestBody::Stages | RequestBody::Members
    );
    let request = Request { id: 1, body };
    let mut endpoints = reach.endpoints.iter().cycle();
    let mut redirect: Option<String> = None;
    loop {
        let redirected = redirect.is_some();
        let address = redirect.take().unwrap_or_else(|| {
            let next = endpoints.next().expect("at least one endpoint is required");
            next.as_str().to_string()
        });
        let reason = match attempt(&address, &request, deadline, changes_nothing).await {
            Attempt::Answered(Ok(reply)) => return Outcome::Done(reply),
            Attempt::Answered(Err(error @ (Error::Invalid { .. } | Error::Refused { .. }))) => {
                return Outcome::NotDone(error.to_string());
            }
            Attempt::Answered(Err(Error::NotLeader { leader: Some(leader) }))
                if !redirected && !leader.client_address.is_empty() =>
            {
                redirect = Some(leader.client_address);
                continue;
            }
            Attempt::Answered(Err(error)) if changes_nothing || error.is_definite() => {
                format!("{address}: {error}")
            }
            Attempt::Answered(Err(error)) => return Outcome::Unknown(format!("{address}: {error}")),
            Attempt::NotSent(reason) => format!("{address}: {reason}"),
            Attempt::NoAnswer(reason) if changes_nothing => format!("{address}: {reason}"),
            Attempt::NoAnswer(reason) => return Outcome::Unknown(format!("{address}: {reason}")),
        };
        if Instant::now() + PAUSE >= deadline {
            return Outcome::NotDone(format!(
                "the time is up ({}); last of all, {reason}",
                humantime::format_duration(reach.timeout)
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(address: &str, request: &Request, deadline: Instant, changes_nothing: bool) -> Attempt {
    let time_left = deadline.saturating_duration_since(Instant::now());
    let dialled = match dial(address, &client_hello(), time_left.min(DIAL_TIME_MAX)).await {
        Ok(dialled) => dialled,
        Err(error) => return Attempt::NotSent(error.to_string()),
    };
    let answer_by = if changes_nothing {
        deadline.min(Instant::now() + ANSWER_TIME_MAX)
    } else {
        deadline
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
