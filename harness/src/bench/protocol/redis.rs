//! Redis: RESP 2. Answers come in the order of the requests.

use super::template::{KEY_MARK, Template, marked_value, stamp_of};
use super::{Answer, Garbled, NoAnswers, Protocol, Question};
use crate::systems::resp::{Reply, command, first_reply};
use std::collections::VecDeque;

/// A connection to redis.
#[derive(Debug)]
pub(in crate::bench) struct RedisProtocol {
    set: Template,
    get: Template,
    /// The places of the requests in flight, in their order.
    places: VecDeque<usize>,
}

impl RedisProtocol {
    /// One that writes values of `value_bytes`.
    pub(in crate::bench) fn new(value_bytes: usize) -> RedisProtocol {
        RedisProtocol {
            set: Template::new(command(&[b"SET", &KEY_MARK, &marked_value(value_bytes)])),
            get: Template::new(command(&[b"GET", &KEY_MARK])),
            places: VecDeque::new(),
        }
    }
}

impl Protocol for RedisProtocol {
    fn greet(&mut self, _out: &mut Vec<u8>) {}

    fn ask(&mut self, place: usize, question: Question, out: &mut Vec<u8>) {
        match question {
            Question::Put { key, stamp } => self.set.append(key, stamp, out),
            Question::Get { key } => self.get.append(key, 0, out),
        };
        self.places.push_back(place);
    }

    fn answers(
        &mut self,
        input: &[u8],
        _out: &mut Vec<u8>,
        answers: &mut Vec<(usize, Answer)>,
    ) -> Result<usize, NoAnswers> {
        let mut used = 0;
        while let Some((answer, bytes)) = first_answer(&input[used..])? {
            let place = self.places.pop_front();
            let place = place.ok_or_else(|| Garbled(String::from("an answer to nothing")))?;
            answers.push((place, answer));
            used += bytes;
        }
        Ok(used)
    }
}

/// The answer that `input` begins with, and how many bytes it has; `None` if it is not whole.
fn first_answer(input: &[u8]) -> Result<Option<(Answer, usize)>, Garbled> {
    let Some((reply, bytes)) = first_reply(input).map_err(|error| Garbled(error.to_string()))? else {
        return Ok(None);
    };
    let answer = match reply {
        Reply::Status(b"OK") => Answer::Written,
        Reply::Error(words) => Answer::Refused(String::from_utf8_lossy(words).into_owned()),
        Reply::Value(value) => Answer::Value(value.map(stamp_of).transpose()?),
        Reply::Status(_) | Reply::Number(_) | Reply::Items(_) => {
            return Err(Garbled(format!("{reply:?} is no answer")));
        }
    };
    Ok(Some((answer, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::resp::LINE_BYTES_MAX;

    #[test]
    fn requests_are_commands() {
        let mut protocol = RedisProtocol::new(16);
        let mut out = Vec::new();
        protocol.ask(0, Question::Put { key: 7, stamp: 5 }, &mut out);
        protocol.ask(1, Question::Get { key: 8 }, &mut out);
        let expected = "*3\r\n$3\r\nSET\r\n$9\r\nk00000007\r\n$16\r\n0000000000000005\r\n\
                        *2\r\n$3\r\nGET\r\n$9\r\nk00000008\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn answers_come_in_order_and_in_any_pieces() {
        let input = b"+OK\r\n$-1\r\n$18\r\n000000000000000fxy\r\n-ERR no\r\n";
        let expected = [
            (4, Answer::Written),
            (2, Answer::Value(None)),
            (3, Answer::Value(Some(15))),
            (0, Answer::Refused(String::from("ERR no"))),
        ];
        for cut in 0..=input.len() {
            let mut protocol = RedisProtocol::new(16);
            for (place, _) in &expected {
                protocol.ask(*place, Question::Get { key: 1 }, &mut Vec::new());
            }
            let mut answers = Vec::new();
            let used = protocol.answers(&input[..cut], &mut Vec::new(), &mut answers);
            protocol
                .answers(&input[used.unwrap()..], &mut Vec::new(), &mut answers)
                .unwrap();
            assert_eq!(answers, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let inputs: [&[u8]; 4] = [b"+OK\r\n", b":1\r\n", b"$x\r\n", &[b'-'; LINE_BYTES_MAX + 1]];
        for input in inputs {
            let mut protocol = RedisProtocol::new(16);
            let answered = protocol.answers(input, &mut Vec::new(), &mut Vec::new());
            assert!(answered.is_err(), "{}", String::from_utf8_lossy(input));
        }
    }
}
