//! As much of HTTP/1.0 as it takes to ask a gateway for JSON.
//!
//! 1.0, since it knows no pieces: an answer has a length, or ends with its connection.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The most headers of one.
const HEADERS_MAX: usize = 32;

/// A connection to a server.
pub(super) struct Http {
    address: SocketAddr,
    stream: TcpStream,
    is_over: bool,
}

/// The head of an answer.
struct Head {
    status: u16,
    bytes: usize,
    /// Without one the body ends with the connection.
    length: Option<usize>,
}

impl Http {
    pub(super) async fn dial(address: SocketAddr) -> io::Result<Http> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Http {
            address,
            stream,
            is_over: false,
        })
    }

    /// Whether there is no further answer to be had.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Sends `body` and returns the status and the body of the answer.
    pub(super) async fn post(&mut self, path: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
        let request = format!(
            "POST {path} HTTP/1.0\r\nHost: {}\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        // Until all of its answer has come, nothing else can be asked.
        self.is_over = true;
        self.stream.write_all(request.as_bytes()).await?;
        let mut input = Vec::new();
        loop {
            if input.len() > ANSWER_BYTES_MAX {
                return Err(malformed("it has no end"));
            }
            let more = self.stream.read_buf(&mut input).await?;
            let Some(head) = head(&input)? else {
                if more == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            };
            let body = &input[head.bytes..];
            match head.length {
                Some(length) if body.len() >= length => {
                    self.is_over = false;
                    return Ok((head.status, body[..length].to_vec()));
                }
                None if more == 0 => return Ok((head.status, body.to_vec())),
                Some(_) if more == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(_) | None => {}
            }
        }
    }
}

/// The head that `input` begins with; `None` if it is not whole.
fn head(input: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(input) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(bytes)) => {
            let length = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case("content-length"))
                .map(|header| {
                    let digits = std::str::from_utf8(header.value).ok();
                    let length = digits.and_then(|digits| digits.trim().parse().ok());
                    length.ok_or_else(|| malformed("it has a length that is no number"))
                })
                .transpose()?;
            Ok(Some(Head {
                status: response.code.unwrap_or_default(),
                bytes,
                length,
            }))
        }
        Err(error) => Err(malformed(&error.to_string())),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP answer: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers each connection with the next of these, in two pieces, and what it was asked.
    async fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = vec![0; 1024];
                let _ = stream.read(&mut asked).await.unwrap();
                let (first, second) = answer.split_at(answer.len() / 2);
                for piece in [first, second] {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn an_answer_has_a_length_or_ends_with_its_connection() {
        let address = server(&[
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.0 503 No\r\n\r\n{\"error\":\"no\"}",
            "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n{}",
            "SSH-2.0",
        ])
        .await;
        let mut answers = Vec::new();
        for _ in 0..5 {
            let mut http = Http::dial(address).await.unwrap();
            let answer = http.post("/", "{}").await;
            answers.push((answer.map_err(|error| error.kind()), http.is_over()));
        }
        let expected = [
            (Ok((200, b"{}".to_vec())), false),
            (Ok((503, b"{\"error\":\"no\"}".to_vec())), true),
            (Err(io::ErrorKind::UnexpectedEof), true),
            (Err(io::ErrorKind::InvalidData), true),
            (Err(io::ErrorKind::InvalidData), true),
        ];
        assert_eq!(answers, expected);
    }
}
