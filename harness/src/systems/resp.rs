//! RESP 2, the protocol of redis: commands, and the replies to those that are sent here.

/// The longest line of a reply: an error, in words.
pub(crate) const LINE_BYTES_MAX: usize = 4 << 10;

/// How deep replies may be in each other: a transaction answers with lists.
const DEPTH_MAX: usize = 4;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// `+OK` and its like.
    Status(&'a [u8]),
    /// `-ERR` and what follows.
    Error(&'a [u8]),
    /// A number.
    Number(i64),
    /// A value; `None` where there is none.
    Value(Option<&'a [u8]>),
    /// Several.
    Items(Vec<Reply<'a>>),
}

/// Why something is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoReply(pub(crate) String);

/// A command of these words.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The reply that `input` begins with, and how many bytes it has; `None` if it is not whole.
///
/// # Errors
/// It begins with something else.
pub(crate) fn first_reply(input: &[u8]) -> Result<Option<(Reply<'_>, usize)>, NoReply> {
    reply(input, DEPTH_MAX)
}

fn reply(input: &[u8], depth: usize) -> Result<Option<(Reply<'_>, usize)>, NoReply> {
    let Some(end) = input
        .windows(2)
        .take(LINE_BYTES_MAX)
        .position(|pair| pair == b"\r\n")
    else {
        return if input.len() > LINE_BYTES_MAX {
            Err(NoReply(String::from("a line without an end")))
        } else {
            Ok(None)
        };
    };
    let (line, begin) = (&input[..end], end + 2);
    match line {
        [b'+', words @ ..] => Ok(Some((Reply::Status(words), begin))),
        [b'-', words @ ..] => Ok(Some((Reply::Error(words), begin))),
        [b':', digits @ ..] => {
            let number = parsed(digits).ok_or_else(|| NoReply(String::from("a number that is none")))?;
            Ok(Some((Reply::Number(number), begin)))
        }
        b"$-1" => Ok(Some((Reply::Value(None), begin))),
        [b'$', digits @ ..] => {
            let length: usize =
                parsed(digits).ok_or_else(|| NoReply(String::from("a value of no length")))?;
            let value = input.get(begin..begin.saturating_add(length));
            Ok(value.and_then(|value| {
                let whole = begin + length + 2;
                (whole <= input.len()).then_some((Reply::Value(Some(value)), whole))
            }))
        }
        [b'*', digits @ ..] if depth > 0 => {
            let count: usize = parsed(digits).ok_or_else(|| NoReply(String::from("a list of no length")))?;
            let (mut items, mut whole) = (Vec::new(), begin);
            while items.len() < count {
                let Some((item, bytes)) = reply(&input[whole..], depth - 1)? else {
                    return Ok(None);
                };
                items.push(item);
                whole += bytes;
            }
            Ok(Some((Reply::Items(items), whole)))
        }
        _ => Err(NoReply(format!(
            "{:?} is no answer",
            String::from_utf8_lossy(line)
        ))),
    }
}

fn parsed<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_taken_whole() {
        let list = vec![Reply::Status(b"OK"), Reply::Items(vec![Reply::Value(Some(b"1"))])];
        let replies: [(&[u8], Reply<'_>); 8] = [
            (b"+OK\r\n", Reply::Status(b"OK")),
            (b"-READONLY no\r\n", Reply::Error(b"READONLY no")),
            (b":-12\r\n", Reply::Number(-12)),
            (b"$-1\r\n", Reply::Value(None)),
            (b"$0\r\n\r\n", Reply::Value(Some(b""))),
            (b"$4\r\na\r\nb\r\n", Reply::Value(Some(b"a\r\nb"))),
            (b"*0\r\n", Reply::Items(Vec::new())),
            (b"*2\r\n+OK\r\n*1\r\n$1\r\n1\r\n", Reply::Items(list)),
        ];
        for (bytes, reply) in replies {
            assert_eq!(first_reply(bytes), Ok(Some((reply.clone(), bytes.len()))));
            for end in 0..bytes.len() {
                assert_eq!(first_reply(&bytes[..end]), Ok(None), "{reply:?} cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        for bytes in [
            &b"HTTP/1.1\r\n"[..],
            b"$x\r\n",
            b":\r\n",
            b"\r\n",
            b"*-1\r\n",
            &deep,
        ] {
            assert!(first_reply(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(first_reply(&[b'-'; LINE_BYTES_MAX + 1]).is_err());
    }
}
