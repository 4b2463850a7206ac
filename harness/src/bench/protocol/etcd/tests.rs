use super::*;

const END_STREAM: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn message(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// Headers, the message in two pieces, and what follows it.
fn answer(stream: u32, content: &[u8]) -> Vec<u8> {
    let content = message(content);
    let (one, other) = content.split_at(3);
    let headers = frame(1, 4, stream, b"whatever");
    let trailers = frame(1, 4 | END_STREAM, stream, b"whatever");
    [
        headers,
        frame(0, 0, stream, one),
        frame(0, 0, stream, other),
        trailers,
    ]
    .concat()
}

fn found(stamp: &[u8]) -> Vec<u8> {
    let (mut pair, mut response) = (Vec::new(), Vec::new());
    append_bytes(1, b"k00000001", &mut pair);
    append_bytes(5, stamp, &mut pair);
    append_bytes(1, b"header", &mut response);
    append_bytes(2, &pair, &mut response);
    response
}

fn asked(protocol: &mut EtcdProtocol, places: &[usize], question: Question) -> Vec<u8> {
    let mut out = Vec::new();
    for place in places {
        protocol.ask(*place, question, &mut out);
    }
    out
}

/// The frames of `bytes`: types and streams, and the data of each stream.
fn frames(bytes: &[u8]) -> Vec<(u8, u32, &[u8])> {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes(*head.last_chunk().unwrap());
        frames.push((head[3], stream, &behind[..length]));
        rest = &behind[length..];
    }
    frames
}

#[test]
fn a_long_value_goes_out_in_several_frames_of_its_stream() {
    let mut protocol = EtcdProtocol::new(20_000);
    let out = asked(&mut protocol, &[0, 1], Question::Put { key: 7, stamp: 5 });
    let frames = frames(&out);
    let shape: Vec<(u8, u32)> = frames.iter().map(|(kind, stream, _)| (*kind, *stream)).collect();
    assert_eq!(shape, [(1, 1), (0, 1), (0, 1), (1, 3), (0, 3), (0, 3)]);
    let data = [frames[1].2, frames[2].2].concat();
    let request = http2::grpc_message(&data).unwrap();
    assert_eq!(find_bytes(request, 1), Ok(Some(&b"k00000007"[..])));
    let value = find_bytes(request, 2).unwrap().unwrap();
    assert_eq!((value.len(), stamp_of(value)), (20_000, Ok(5)));
}

#[test]
fn answers_come_in_any_order_and_in_any_pieces() {
    let input = [
        frame(4, 0, 0, b""),
        answer(5, &found(b"000000000000000fxyz")),
        answer(1, b""),
        frame(1, 4 | END_STREAM, 7, b"an error"),
        frame(3, 0, 9, &[0, 0, 0, 8]),
        answer(3, b""),
    ]
    .concat();
    let expected = [
        (12, Answer::Value(Some(15))),
        (10, Answer::Written),
        (13, Answer::Refused(String::from("etcd answers with an error"))),
        (14, Answer::Refused(String::from("etcd reset the stream, code 8"))),
        (11, Answer::Value(None)),
    ];
    for cut in 0..=input.len() {
        let mut protocol = EtcdProtocol::new(16);
        asked(&mut protocol, &[10], Question::Put { key: 1, stamp: 1 });
        asked(&mut protocol, &[11, 12], Question::Get { key: 1 });
        asked(&mut protocol, &[13, 14], Question::Put { key: 1, stamp: 1 });
        let (mut out, mut answers) = (Vec::new(), Vec::new());
        let used = protocol.answers(&input[..cut], &mut out, &mut answers).unwrap();
        protocol.answers(&input[used..], &mut out, &mut answers).unwrap();
        assert_eq!(answers, expected, "cut at {cut}");
        // The settings were acknowledged.
        assert_eq!(out, frame(4, 1, 0, b""));
        assert_eq!((protocol.first_stream, protocol.streams.len()), (11, 0));
    }
}

#[test]
fn what_the_window_has_no_room_for_waits_for_it_in_order() {
    let mut protocol = EtcdProtocol::new(30_000);
    let question = Question::Put { key: 1, stamp: 1 };
    let out = asked(&mut protocol, &[0, 1, 2], question);
    let streams = |out: &[u8]| -> Vec<u32> {
        let frames = frames(out);
        let begun = frames.iter().filter(|(kind, _, _)| *kind == 1);
        begun.map(|(_, stream, _)| *stream).collect()
    };
    assert_eq!(streams(&out), [1, 3]);
    // A short one does not overtake it.
    assert_eq!(asked(&mut protocol, &[3], Question::Get { key: 1 }), b"");
    let mut out = Vec::new();
    let more = frame(8, 0, 0, &30_000_u32.to_be_bytes());
    protocol.answers(&more, &mut out, &mut Vec::new()).unwrap();
    assert_eq!(streams(&out), [5, 7]);
}

#[test]
fn pings_are_answered_and_the_server_is_allowed_more_when_it_has_sent_much() {
    let mut protocol = EtcdProtocol::new(16);
    let mut out = Vec::new();
    protocol
        .answers(&frame(6, 0, 0, b"12345678"), &mut out, &mut Vec::new())
        .unwrap();
    assert_eq!(out, frame(6, 1, 0, b"12345678"));
    asked(&mut protocol, &[0], Question::Get { key: 1 });
    out.clear();
    let piece = frame(0, 0, 1, &[0; 16 << 10]);
    for _ in 0..64 {
        assert_eq!(out, b"");
        protocol.answers(&piece, &mut out, &mut Vec::new()).unwrap();
    }
    assert_eq!(out, frame(8, 0, 0, &(1_u32 << 20).to_be_bytes()));
}

#[test]
fn what_is_no_answer_is_an_error() {
    let inputs = [
        answer(3, b""),
        [answer(1, b""), answer(1, b"")].concat(),
        frame(7, 0, 0, &[0; 8]),
        frame(0, 8, 1, b"padded"),
        frame(0, END_STREAM, 1, b"no message"),
        frame(1, 0, 1, b"to be continued"),
        b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
    ];
    for input in inputs {
        let mut protocol = EtcdProtocol::new(16);
        asked(&mut protocol, &[0], Question::Get { key: 1 });
        let answered = protocol.answers(&input, &mut Vec::new(), &mut Vec::new());
        assert!(answered.is_err(), "{}", String::from_utf8_lossy(&input));
    }
}
