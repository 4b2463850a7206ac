//! etcd: its gRPC interface, version 3.

use super::http2::{self, Frame, HEAD_BYTES, STREAM_AT, WINDOW_FIRST};
use super::protobuf::{append_bytes, find_bytes};
use super::template::{KEY_MARK, Template, marked_value, stamp_of};
use super::{Answer, Garbled, NoAnswers, Protocol, Question};
use std::collections::VecDeque;

/// After how many bytes of answers the server is allowed as many more.
const CREDIT_BYTES: usize = 1 << 20;

/// A request with all its frames.
#[derive(Debug)]
struct Prepared {
    template: Template,
    /// Where its frames begin.
    frames: Vec<usize>,
    /// How much of it counts for the window.
    data_bytes: usize,
}

/// A request in flight.
#[derive(Debug)]
struct InFlight {
    place: usize,
    reads: bool,
    /// As much as has come of the answer.
    message: Vec<u8>,
}

/// A connection to etcd. Each request is a stream of its own.
#[derive(Debug)]
pub(in crate::bench) struct EtcdProtocol {
    put: Prepared,
    range: Prepared,
    /// By stream, from `first_stream` on; every other number is a client's.
    streams: VecDeque<Option<InFlight>>,
    first_stream: u32,
    /// How many bytes of data the server takes.
    window: usize,
    /// Requests that the window has no room for, and how much of it they take.
    held: VecDeque<(Vec<u8>, usize)>,
    /// How many bytes of data have come since the server was last allowed more.
    uncredited: usize,
}

impl EtcdProtocol {
    /// One that writes values of `value_bytes`.
    pub(in crate::bench) fn new(value_bytes: usize) -> EtcdProtocol {
        let mut range = Vec::new();
        append_bytes(1, &KEY_MARK, &mut range);
        let mut put = range.clone();
        append_bytes(2, &marked_value(value_bytes), &mut put);
        EtcdProtocol {
            put: prepared("/etcdserverpb.KV/Put", &put),
            range: prepared("/etcdserverpb.KV/Range", &range),
            streams: VecDeque::new(),
            first_stream: 1,
            window: WINDOW_FIRST,
            held: VecDeque::new(),
            uncredited: 0,
        }
    }

    fn stream(&mut self, stream: u32) -> Result<&mut Option<InFlight>, Garbled> {
        let place = stream
            .checked_sub(self.first_stream)
            .map(|offset| offset as usize / 2);
        let found = place.and_then(|place| self.streams.get_mut(place));
        found.ok_or_else(|| Garbled(String::from("an answer to nothing")))
    }

    /// The stream is over; what it came to.
    fn end(&mut self, stream: u32, failed: Option<String>) -> Result<(usize, Answer), Garbled> {
        let ended = self.stream(stream)?.take();
        let InFlight {
            place,
            reads,
            message,
        } = ended.ok_or_else(|| Garbled(String::from("a second answer")))?;
        while let Some(None) = self.streams.front() {
            self.streams.pop_front();
            self.first_stream += 2;
        }
        let answer = match failed {
            Some(reason) => Answer::Refused(reason),
            None if message.is_empty() => Answer::Refused(String::from("etcd answers with an error")),
            None if reads => Answer::Value(found_stamp(http2::grpc_message(&message)?)?),
            None => {
                http2::grpc_message(&message)?;
                Answer::Written
            }
        };
        Ok((place, answer))
    }

    /// Sends what was held, as far as the window goes.
    fn release(&mut self, out: &mut Vec<u8>) {
        let window = &mut self.window;
        while let Some((request, bytes)) = self.held.pop_front_if(|(_, bytes)| *bytes <= *window) {
            *window -= bytes;
            out.extend_from_slice(&request);
        }
    }
}

impl Protocol for EtcdProtocol {
    fn greet(&mut self, out: &mut Vec<u8>) {
        http2::append_preface(out);
    }

    fn ask(&mut self, place: usize, question: Question, out: &mut Vec<u8>) {
        let (prepared, key, stamp, reads) = match question {
            Question::Put { key, stamp } => (&self.put, key, stamp, false),
            Question::Get { key } => (&self.range, key, 0, true),
        };
        let number = u32::try_from(self.streams.len()).expect("what is in flight is bounded");
        let stream = self.first_stream + 2 * number;
        assert!(stream < 1 << 31, "a connection has a billion streams and no more");
        // Streams begin in the order of their numbers: what comes behind one that is held is held, too.
        let is_held = !self.held.is_empty() || prepared.data_bytes > self.window;
        let mut request = Vec::new();
        let to = if is_held { &mut request } else { &mut *out };
        let begin = prepared.template.append(key, stamp, to);
        for frame in &prepared.frames {
            to[begin + frame + STREAM_AT..][..4].copy_from_slice(&stream.to_be_bytes());
        }
        if is_held {
            self.held.push_back((request, prepared.data_bytes));
        } else {
            self.window -= prepared.data_bytes;
        }
        self.streams.push_back(Some(InFlight {
            place,
            reads,
            message: Vec::new(),
        }));
    }

    fn answers(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        answers: &mut Vec<(usize, Answer)>,
    ) -> Result<usize, NoAnswers> {
        let mut used = 0;
        while let Some((frame, bytes)) = http2::first_frame(&input[used..])? {
            used += bytes;
            match frame {
                Frame::Data {
                    stream,
                    bytes,
                    is_last,
                } => {
                    self.uncredited += bytes.len();
                    let in_flight = self.stream(stream)?.as_mut();
                    let in_flight = in_flight.ok_or_else(|| Garbled(String::from("a second answer")))?;
                    in_flight.message.extend_from_slice(bytes);
                    if is_last {
                        answers.push(self.end(stream, None)?);
                    }
                }
                Frame::Headers {
                    stream,
                    is_last: true,
                } => answers.push(self.end(stream, None)?),
                Frame::Reset { stream, code } => {
                    answers.push(self.end(stream, Some(format!("etcd reset the stream, code {code}")))?);
                }
                Frame::Settings => http2::append_settings_ack(out),
                Frame::Ping(payload) => http2::append_pong(payload, out),
                Frame::Window(more) => {
                    self.window += more;
                    self.release(out);
                }
                Frame::Headers { is_last: false, .. } | Frame::Other => {}
            }
        }
        if self.uncredited >= CREDIT_BYTES {
            http2::append_window(std::mem::take(&mut self.uncredited), out);
        }
        Ok(used)
    }
}

fn prepared(path: &str, message: &[u8]) -> Prepared {
    let (bytes, frames) = http2::grpc_request(path, message);
    // All frames but the first one, which has the headers, are data.
    let data_bytes = bytes.len() - frames[1] - HEAD_BYTES * (frames.len() - 1);
    Prepared {
        template: Template::new(bytes),
        frames,
        data_bytes,
    }
}

/// The stamp in a `RangeResponse`: its field 2 is a `KeyValue`, whose field 5 is the value.
fn found_stamp(response: &[u8]) -> Result<Option<u64>, Garbled> {
    let Some(pair) = find_bytes(response, 2)? else {
        return Ok(None);
    };
    stamp_of(find_bytes(pair, 5)?.unwrap_or_default()).map(Some)
}

#[cfg(test)]
mod tests;
