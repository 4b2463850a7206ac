//! A store of registers that speaks JSON in lines: the system of the example that `harness help systems` prints.
//!
//! `line-store serve --port PORT --data FOLDER` keeps every write in a log before it answers; with `--forgets` it keeps nothing.
//! `line-store client --port PORT` passes lines on to it, and answers back.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The log's name in the data folder: a line a write, `KEY VALUE`.
const LOG: &str = "log";

struct Store {
    registers: BTreeMap<u64, u64>,
    log: Option<File>,
}

impl Store {
    /// What was written into `log`, if that is kept.
    fn open(log: Option<&Path>) -> io::Result<Store> {
        let mut registers = BTreeMap::new();
        let Some(log) = log else {
            return Ok(Store { registers, log: None });
        };
        for line in fs::read_to_string(log).unwrap_or_default().lines() {
            let parse = |digits: &str| digits.parse::<u64>().ok();
            let written = line.split_once(' ');
            registers.extend(written.and_then(|(key, value)| Some((parse(key)?, parse(value)?))));
        }
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        Ok(Store {
            registers,
            log: Some(log),
        })
    }

    fn answer(&mut self, question: &Value) -> io::Result<Value> {
        let number = |field: &str| question[field].as_u64();
        let Some(key) = number("key") else {
            return Ok(json!({ "type": "fail", "reason": "there is no key" }));
        };
        let held = self.registers.get(&key).copied();
        match (question["op"].as_str(), number("value")) {
            (Some("read"), _) => Ok(json!({ "type": "ok", "value": held })),
            (Some("write"), Some(value)) => {
                self.write(key, value)?;
                Ok(json!({ "type": "ok" }))
            }
            (Some("cas"), Some(value)) => {
                let swapped = held == number("expected");
                if swapped {
                    self.write(key, value)?;
                }
                Ok(json!({ "type": "ok", "swapped": swapped }))
            }
            _ => Ok(json!({ "type": "fail", "reason": "that is no question" })),
        }
    }

    fn write(&mut self, key: u64, value: u64) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            // In one piece, so that a process that is killed leaves all of it or nothing.
            log.write_all(format!("{key} {value}\n").as_bytes())?;
        }
        self.registers.insert(key, value);
        Ok(())
    }
}

fn serve(port: u16, log: Option<&Path>) -> io::Result<()> {
    let store = Arc::new(Mutex::new(Store::open(log)?));
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let (stream, store) = (stream?, Arc::clone(&store));
        // What ends a connection is its client's affair.
        std::thread::spawn(move || converse(&stream, &store));
    }
    Ok(())
}

fn converse(stream: &TcpStream, store: &Mutex<Store>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answers = stream;
    for line in BufReader::new(stream).lines() {
        let question = serde_json::from_str(&line?).unwrap_or(Value::Null);
        let answer = store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(&question)?;
        answers.write_all(format!("{answer}\n").as_bytes())?;
    }
    Ok(())
}

/// Passes questions on until stdin ends; a connection that breaks leaves open what became of the last one.
fn client(port: u16) -> io::Result<()> {
    let stream = match TcpStream::connect(("127.0.0.1", port)) {
        Ok(stream) => stream,
        Err(error) => return say(&json!({ "type": "fail", "reason": error.to_string() })),
    };
    stream.set_nodelay(true)?;
    say(&json!({ "type": "ready" }))?;
    let (mut answers, mut questions) = (BufReader::new(&stream), &stream);
    for line in io::stdin().lines() {
        let mut answer = String::new();
        let asked = questions.write_all(format!("{}\n", line?).as_bytes());
        match asked.and_then(|()| answers.read_line(&mut answer)) {
            Ok(1..) => io::stdout().write_all(answer.as_bytes())?,
            Ok(0) | Err(_) => return say(&json!({ "type": "info", "reason": "the connection broke" })),
        }
        io::stdout().flush()?;
    }
    Ok(())
}

fn say(line: &Value) -> io::Result<()> {
    println!("{line}");
    io::stdout().flush()
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let port = |text: &str| text.parse().map_err(io::Error::other);
    match words.as_slice() {
        ["client", "--port", at] => client(port(at)?),
        ["serve", "--port", at, "--data", _, "--forgets"] => serve(port(at)?, None),
        ["serve", "--port", at, "--data", data] => serve(port(at)?, Some(&Path::new(data).join(LOG))),
        _ => Err(io::Error::other("line-store serve or client, see its source")),
    }
}
