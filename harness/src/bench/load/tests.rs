use super::*;
use crate::bench::history::HistoryError;
use crate::bench::protocol::RedisProtocol;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(3600);

/// Answers the commands of each connection with what `answer` makes of its words, until all connections are closed.
fn serve(answer: impl Fn(&[String]) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                let mut reader = BufReader::new(stream);
                while let Some(words) = command(&mut reader) {
                    if writer.write_all(&answer(&words)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn command(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut number = |mark: char| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.trim_end().strip_prefix(mark)?.parse::<usize>().ok()
    };
    let count = number('*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length: usize = line.trim_end().strip_prefix('$')?.parse().ok()?;
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(length);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

fn load(address: SocketAddr, connections: usize, pipeline: usize) -> Load {
    Load::connect(address, connections, pipeline, &|| {
        Box::new(RedisProtocol::new(100))
    })
    .unwrap()
}

fn history() -> History {
    History::begin(1)
}

/// All of the time is measured.
fn course(rate: Option<u64>, duration: Duration) -> Course {
    Course {
        rate,
        warm_up: Duration::ZERO,
        duration,
    }
}

#[test]
fn every_question_is_answered_once_over_many_connections_and_places() {
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let address = serve(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        b"+OK\r\n".to_vec()
    });
    let mut load = load(address, 5, 7);
    let measured = load
        .run(&course(None, LONG), &mut Questions::fill(1000), &mut history())
        .unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1000);
    assert_eq!((measured.count(), measured.latencies().len()), (1000, 1000));
    assert!(measured.refusals().is_none());
}

#[test]
fn an_open_loop_makes_as_many_requests_as_its_rate_says() {
    let address = serve(|_| b"+OK\r\n".to_vec());
    let course = course(Some(1000), Duration::from_millis(200));
    let measured = load(address, 2, 1)
        .run(&course, &mut Questions::draw(Op::Put, 10), &mut history())
        .unwrap();
    assert_eq!(measured.latencies().len(), 200);
}

#[test]
fn what_a_stall_delays_is_late_in_an_open_loop() {
    const STALL: Duration = Duration::from_millis(300);
    let first = AtomicU64::new(1);
    let address = serve(move |_| {
        if first.swap(0, Ordering::SeqCst) == 1 {
            std::thread::sleep(STALL);
        }
        b"+OK\r\n".to_vec()
    });
    let course = course(Some(1000), Duration::from_millis(200));
    let measured = load(address, 1, 1)
        .run(&course, &mut Questions::draw(Op::Put, 10), &mut history())
        .unwrap();
    // All 200 were due while the first one stalled, and waited for the rest of that time; the last of them 100 ms at least.
    assert_eq!(measured.latencies().len(), 200);
    let least = Duration::from_nanos(measured.latencies().min());
    assert!(least >= Duration::from_millis(100), "{least:?}");
}

#[test]
fn a_read_that_waited_for_its_turn_must_see_what_was_written_meanwhile() {
    let first = AtomicU64::new(1);
    let kept = Mutex::new(None);
    // Writes are acknowledged, and all but the first one are lost. The first request stalls until all of them are due.
    let address = serve(move |words| {
        if first.swap(0, Ordering::SeqCst) == 1 {
            std::thread::sleep(Duration::from_millis(300));
        }
        let mut kept = kept.lock().unwrap();
        match words {
            [_, _, value] => {
                kept.get_or_insert(value.clone());
                b"+OK\r\n".to_vec()
            }
            _ => match kept.as_ref() {
                Some(value) => format!("${}\r\n{value}\r\n", value.len()).into_bytes(),
                None => b"$-1\r\n".to_vec(),
            },
        }
    });
    let course = course(Some(1000), Duration::from_millis(200));
    let mut history = history();
    load(address, 1, 1)
        .run(&course, &mut Questions::draw(Op::Mixed, 1), &mut history)
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let judged = history.judge(dir.path());
    assert!(matches!(judged, Err(HistoryError::Violation(_))), "{judged:?}");
}

#[test]
fn what_is_to_be_asked_once_for_each_key_fails_where_some_are_left_out() {
    let address = serve(|_| {
        std::thread::sleep(Duration::from_millis(20));
        b"+OK\r\n".to_vec()
    });
    let mut load = load(address, 1, 1);
    let whole = load.run_all(Questions::fill(3), LONG, &mut history());
    assert_eq!(whole.unwrap().count(), 3);
    let cut = load.run_all(Questions::fill(3), Duration::from_millis(10), &mut history());
    assert!(matches!(cut, Err(LoadError::CutOff { all: 3, .. })), "{cut:?}");
    let none = load.run_all(Questions::look(3), Duration::ZERO, &mut history());
    assert_eq!(
        none.unwrap_err().to_string(),
        "only 0 of 3 keys were read within 0s"
    );
}

#[test]
fn refusals_are_no_answers() {
    let address = serve(|_| b"-ERR no room\r\n".to_vec());
    let measured = load(address, 1, 1)
        .run(&course(None, LONG), &mut Questions::fill(10), &mut history())
        .unwrap();
    assert_eq!((measured.count(), measured.latencies().len()), (0, 0));
    assert_eq!(measured.refusals(), Some((10, "ERR no room")));
}

#[test]
fn what_was_answered_before_a_connection_broke_is_in_the_history_and_so_is_what_may_take_effect() {
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closing.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = closing.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let asked = (command(&mut reader), command(&mut reader));
        assert!(asked.0.is_some() && asked.1.is_some());
        stream.write_all(b"+OK\r\n").unwrap();
    });
    let mut history = History::begin(2);
    let broken = load(address, 1, 2).run(&course(None, LONG), &mut Questions::fill(2), &mut history);
    assert!(matches!(broken, Err(LoadError::Broken(_))), "{broken:?}");
    let dir = tempfile::tempdir().unwrap();
    history.judge(dir.path()).unwrap();
    let lines = std::fs::read_to_string(dir.path().join(crate::run::HISTORY)).unwrap();
    let ended: Vec<&str> = ["ok", "info"]
        .into_iter()
        .filter(|kind| lines.contains(&format!("\"type\":\"{kind}\"")))
        .collect();
    assert_eq!(ended, ["ok", "info"], "{lines}");
}

#[test]
fn a_broken_connection_and_a_wrong_answer_end_the_load() {
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closing.local_addr().unwrap();
    std::thread::spawn(move || drop(closing.accept().unwrap()));
    let course = course(None, LONG);
    let broken = load(address, 1, 1).run(&course, &mut Questions::fill(1), &mut history());
    assert!(matches!(broken, Err(LoadError::Broken(_))), "{broken:?}");

    let address = serve(|_| b"$-1\r\n".to_vec());
    let wrong = load(address, 1, 1).run(&course, &mut Questions::fill(1), &mut history());
    assert!(matches!(wrong, Err(LoadError::Misanswered)), "{wrong:?}");
}

#[test]
fn the_nth_request_is_due_at_the_nth_beat() {
    assert_eq!(due_after(0, 3), Duration::ZERO);
    assert_eq!(due_after(3, 3), Duration::from_secs(1));
    assert_eq!(due_after(5, 2), Duration::from_millis(2500));
    assert_eq!(due_after(u64::MAX, u64::MAX), Duration::from_secs(1));
}
