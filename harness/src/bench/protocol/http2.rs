//! As much of HTTP/2 (RFC 9113) as a gRPC client needs whose requests are encoded ahead.
//!
//! ```text
//!  0        3      4       5           9
//! ┌────────┬──────┬───────┬───────────┬─────────┐
//! │ length │ type │ flags │ stream id │ payload │      a frame; numbers are big-endian
//! └────────┴──────┴───────┴───────────┴─────────┘
//! ```
//!
//! Headers that are sent are literals (HPACK, RFC 7541); those that are received are not looked into: an answer is a message, and
//! whatever comes without one was refused.

use super::Garbled;

/// How many bytes come before a frame's payload.
pub(super) const HEAD_BYTES: usize = 9;
/// Where the stream's id is in a frame.
pub(super) const STREAM_AT: usize = 5;
/// The longest payload that a server takes unasked.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// How much may be on its way at first, on a stream and on a connection.
pub(super) const WINDOW_FIRST: usize = 65_535;
/// How much may be on its way at most.
pub(super) const WINDOW_MAX: usize = (1 << 31) - 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a server says, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// Part of a message.
    Data {
        stream: u32,
        bytes: &'a [u8],
        is_last: bool,
    },
    /// Headers before a message, or behind the last one of a stream.
    Headers { stream: u32, is_last: bool },
    /// The stream ends without an answer.
    Reset { stream: u32, code: u32 },
    /// To be acknowledged.
    Settings,
    /// To be answered with the same bytes.
    Ping(&'a [u8]),
    /// So many more bytes of all streams together may be on their way.
    Window(usize),
    /// Nothing that matters here.
    Other,
}

/// The frame that `input` begins with, and how many bytes it has; `None` if it is not whole.
pub(super) fn first_frame(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Garbled> {
    let Some((head, rest)) = input.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *head;
    let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
    if length > PAYLOAD_BYTES_MAX {
        return Err(Garbled(format!("a frame of {length} bytes")));
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let number = || -> Result<u32, Garbled> {
        let bytes = payload.first_chunk::<4>();
        let bytes = bytes.ok_or_else(|| Garbled(String::from("a frame without its number")))?;
        Ok(u32::from_be_bytes(*bytes))
    };
    let is_last = flags & END_STREAM != 0;
    let frame = match kind {
        DATA if flags & PADDED != 0 => return Err(Garbled(String::from("padding"))),
        DATA => Frame::Data {
            stream,
            bytes: payload,
            is_last,
        },
        HEADERS if flags & END_HEADERS == 0 => {
            return Err(Garbled(String::from("headers in several frames")));
        }
        HEADERS => Frame::Headers { stream, is_last },
        RST_STREAM => Frame::Reset {
            stream,
            code: number()?,
        },
        SETTINGS if flags & ACK == 0 => Frame::Settings,
        PING if flags & ACK == 0 => Frame::Ping(payload),
        GOAWAY => return Err(Garbled(String::from("the server ends the connection"))),
        WINDOW_UPDATE if stream == 0 => Frame::Window(number()? as usize & WINDOW_MAX),
        _ => Frame::Other,
    };
    Ok(Some((frame, HEAD_BYTES + length)))
}

fn append_frame(kind: u8, flags: u8, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags, 0, 0, 0, 0]);
    out.extend_from_slice(payload);
}

/// Opens a connection whose server may send as much as it likes, and never unasked.
pub(super) fn append_preface(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let window = u32::try_from(WINDOW_MAX).expect("it has 31 bits");
    let mut settings = Vec::new();
    for (name, value) in [(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, window)] {
        settings.extend_from_slice(&name.to_be_bytes());
        settings.extend_from_slice(&value.to_be_bytes());
    }
    append_frame(SETTINGS, 0, &settings, out);
    append_window(WINDOW_MAX - WINDOW_FIRST, out);
}

/// Lets the server send `bytes` more.
pub(super) fn append_window(bytes: usize, out: &mut Vec<u8>) {
    let bytes = u32::try_from(bytes).expect("a window has 31 bits");
    append_frame(WINDOW_UPDATE, 0, &bytes.to_be_bytes(), out);
}

/// Acknowledges settings.
pub(super) fn append_settings_ack(out: &mut Vec<u8>) {
    append_frame(SETTINGS, ACK, &[], out);
}

/// Answers a ping.
pub(super) fn append_pong(payload: &[u8], out: &mut Vec<u8>) {
    append_frame(PING, ACK, payload, out);
}

/// The frames of a gRPC request with `message` for the method at `path`, without the stream's id; and where each frame begins.
pub(super) fn grpc_request(path: &str, message: &[u8]) -> (Vec<u8>, Vec<usize>) {
    // Indexed by HPACK's static table: POST and http as they are, and the names of :path, :authority and content-type.
    let mut headers = vec![0x83, 0x86];
    for (name, value) in [
        (&[0x04][..], path),
        (&[0x01], "localhost"),
        (&[0x0f, 0x10], "application/grpc"),
        (b"\x00\x02te", "trailers"),
    ] {
        headers.extend_from_slice(name);
        headers.push(
            u8::try_from(value.len())
                .ok()
                .filter(|length| *length < 0x7f)
                .expect("they are short"),
        );
        headers.extend_from_slice(value.as_bytes());
    }
    let (mut frames, mut begins) = (Vec::new(), vec![0]);
    append_frame(HEADERS, END_HEADERS, &headers, &mut frames);
    // Not compressed, and so long.
    let length = u32::try_from(message.len()).expect("a message is far below 4 GiB");
    let message = [&[0][..], &length.to_be_bytes(), message].concat();
    let last = message.len().div_ceil(PAYLOAD_BYTES_MAX) - 1;
    for (number, part) in message.chunks(PAYLOAD_BYTES_MAX).enumerate() {
        begins.push(frames.len());
        let flags = if number == last { END_STREAM } else { 0 };
        append_frame(DATA, flags, part, &mut frames);
    }
    (frames, begins)
}

/// The message of a gRPC answer.
pub(super) fn grpc_message(bytes: &[u8]) -> Result<&[u8], Garbled> {
    let message = bytes.split_first_chunk::<5>().and_then(|(head, message)| {
        let [compressed, length @ ..] = *head;
        (compressed == 0 && u32::from_be_bytes(length) as usize == message.len()).then_some(message)
    });
    message.ok_or_else(|| Garbled(String::from("not one message that is not compressed")))
}
