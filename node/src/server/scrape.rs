//! The listener for a monitoring system: `GET /metrics`, and nothing else, over HTTP/1.
//!
//! One question a connection, few at a time, and each within a time: whoever asks in another way costs its own connection.

use super::inbox::Input;
use super::shared::Shared;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// How many are answered at the same time; others wait to be accepted.
const SCRAPES_MAX: usize = 8;

/// How long a question and its answer may take.
const SCRAPE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a question may be, in bytes.
const REQUEST_BYTES_MAX: usize = 8 << 10;

/// How many headers it may have.
const HEADERS_MAX: usize = 64;

/// How long to wait when the operating system has no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a question comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    Elsewhere,
    OtherMethod,
    /// There is more to come.
    Unfinished,
    /// It is no question, or a too long one.
    Malformed,
}

/// Answers for as long as the node lives.
pub(crate) async fn listen(listener: TcpListener, shared: Rc<Shared>) {
    let places = Rc::new(Semaphore::new(SCRAPES_MAX));
    loop {
        let place = Rc::clone(&places);
        place.acquire().await.expect("nobody closes it").forget();
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shared, places) = (Rc::clone(&shared), Rc::clone(&places));
                tokio::task::spawn_local(async move {
                    // Whatever went wrong is the other side's business, which asks again.
                    let _ = tokio::time::timeout(SCRAPE_TIME_MAX, answer(stream, &shared)).await;
                    places.add_permits(1);
                });
            }
            Err(error) => {
                tracing::warn!("no connection can be accepted for the moment: {error}");
                places.add_permits(1);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut request = Vec::new();
    let asked = loop {
        match judge(&request) {
            Asked::Unfinished if request.len() >= REQUEST_BYTES_MAX => break Asked::Malformed,
            Asked::Unfinished => {}
            asked @ (Asked::Metrics | Asked::Elsewhere | Asked::OtherMethod | Asked::Malformed) => {
                break asked;
            }
        }
        let room = REQUEST_BYTES_MAX - request.len();
        if (&mut stream).take(room as u64).read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let (status, body) = match asked {
        Asked::Metrics => {
            let (sender, text) = oneshot::channel();
            shared.inbox.push(Input::Metrics(sender), 0);
            match text.await {
                Ok(text) => ("200 OK", text),
                // The node is about to end.
                Err(_) => return Ok(()),
            }
        }
        Asked::Elsewhere => ("404 Not Found", "there is /metrics\n".to_string()),
        Asked::OtherMethod => (
            "405 Method Not Allowed\r\nAllow: GET",
            "there is GET /metrics\n".to_string(),
        ),
        Asked::Unfinished | Asked::Malformed => ("400 Bad Request", "this is no request\n".to_string()),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn judge(request: &[u8]) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Partial) => Asked::Unfinished,
        Ok(httparse::Status::Complete(_)) => match (parsed.method, parsed.path) {
            (Some("GET"), Some(path)) if path == "/metrics" || path.starts_with("/metrics?") => {
                Asked::Metrics
            }
            (Some("GET"), _) => Asked::Elsewhere,
            _ => Asked::OtherMethod,
        },
        Err(_) => Asked::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_question() {
        for (request, asked) in [
            ("", Asked::Unfinished),
            ("GET /metrics HTTP/1.1\r\nHost: a", Asked::Unfinished),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Asked::Metrics),
            ("GET /metrics?a=b HTTP/1.0\r\n\r\n", Asked::Metrics),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("GET /metricsx HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Asked::OtherMethod),
            ("\0\u{1}\u{2}", Asked::Malformed),
            ("rRft\u{1}\u{1}", Asked::Malformed),
        ] {
            assert_eq!(judge(request.as_bytes()), asked, "{request:?}");
        }
    }
}
