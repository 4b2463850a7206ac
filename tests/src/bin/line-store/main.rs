//! A store that speaks JSON in lines: the system of the example that `harness help systems` prints.
//!
//! `line-store serve --id N --port PORT --peer-port PORT --links N=ADDRESS,… --data FOLDER`: node 1 keeps every change in a log before it
//! answers, and the others pass all questions on to it. `line-store client --port PORT` passes lines on to a node, and answers back.
//!
//! With `--syncs` changes are durable when they are answered. Three ways to be wrong: with `--forgets` it keeps no log, with `--forgets-old` it
//! does not know any more what registers held when newer ones were written, and with `--remembers` a node answers reads from what it has passed
//! on when node 1 is silent.

mod store;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Keeps, Store};

/// The node that all others ask.
const FIRST: u64 = 1;
/// How long a node that remembers waits for the first one.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a node does with a question.
enum Node {
    /// It carries it out.
    First(Mutex<Store>),
    /// It asks the first node, there.
    Other {
        first: SocketAddr,
        /// What registers held when they were last read or written here, if it remembers that.
        memory: Option<Mutex<BTreeMap<u64, Value>>>,
    },
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection on which lines are asked and answered.
struct Line {
    questions: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Line {
    fn to(address: SocketAddr) -> io::Result<Line> {
        let questions = TcpStream::connect(address)?;
        questions.set_nodelay(true)?;
        let answers = BufReader::new(questions.try_clone()?);
        Ok(Line { questions, answers })
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        self.questions.write_all(format!("{question}\n").as_bytes())?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.trim_end().to_owned())
    }
}

impl Node {
    /// What is answered to a question; `line` leads to the first node, if it was asked before.
    fn answer(&self, question: &str, line: &mut Option<Line>) -> io::Result<String> {
        let asked: Value = serde_json::from_str(question).unwrap_or(Value::Null);
        if asked["op"] == "leader" {
            return Ok(json!({ "type": "ok", "leader": FIRST, "term": 1 }).to_string());
        }
        match self {
            Node::First(store) => Ok(locked(store).answer(&asked)?.to_string()),
            Node::Other { first, memory } => Ok(pass_on(question, &asked, *first, memory.as_ref(), line)),
        }
    }
}

/// What the first node answers, or what is known without it.
fn pass_on(
    question: &str,
    asked: &Value,
    first: SocketAddr,
    memory: Option<&Mutex<BTreeMap<u64, Value>>>,
    line: &mut Option<Line>,
) -> String {
    let key = asked["key"].as_u64().unwrap_or_default();
    if line.is_none() {
        *line = match Line::to(first) {
            Ok(line) => Some(line),
            Err(error) => return json!({ "type": "fail", "reason": error.to_string() }).to_string(),
        };
    }
    let answer = line
        .as_mut()
        .map_or(Err(io::ErrorKind::NotConnected.into()), |line| {
            let patience = memory.map(|_| PATIENCE).filter(|_| asked["op"] == "read");
            line.questions.set_read_timeout(patience)?;
            line.ask(question)
        });
    match (answer, memory) {
        (Ok(answer), Some(memory)) => {
            let value = match asked["op"].as_str() {
                Some("read") => serde_json::from_str::<Value>(&answer)
                    .ok()
                    .map(|answer| answer["value"].clone()),
                Some("write") => Some(asked["value"].clone()),
                _ => None,
            };
            locked(memory).extend(value.map(|value| (key, value)));
            answer
        }
        (Ok(answer), None) => answer,
        (Err(error), memory) => {
            // An answer that comes late would be taken for that to the next question.
            *line = None;
            let value = memory.and_then(|memory| locked(memory).get(&key).cloned());
            let value = value.filter(|_| asked["op"] == "read");
            let unknown = || json!({ "type": "info", "reason": error.to_string() });
            value
                .map_or_else(unknown, |value| json!({ "type": "ok", "value": value }))
                .to_string()
        }
    }
}

fn listener(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port))
}

fn accept(listener: &TcpListener, node: &Arc<Node>) -> io::Result<()> {
    for stream in listener.incoming() {
        let (stream, node) = (stream?, Arc::clone(node));
        // What ends a connection is its client's affair.
        std::thread::spawn(move || converse(&stream, &node));
    }
    Ok(())
}

fn converse(stream: &TcpStream, node: &Node) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut answers, mut line) = (stream, None);
    for question in BufReader::new(stream).lines() {
        let answer = node.answer(&question?, &mut line)?;
        answers.write_all(format!("{answer}\n").as_bytes())?;
    }
    Ok(())
}

/// Passes questions on until stdin ends; a connection that breaks leaves open what became of the last one.
fn client(port: u16) -> io::Result<()> {
    let mut line = match Line::to(SocketAddr::from(([127, 0, 0, 1], port))) {
        Ok(line) => line,
        Err(error) => return say(&json!({ "type": "fail", "reason": error.to_string() }).to_string()),
    };
    say(r#"{"type":"ready"}"#)?;
    for question in io::stdin().lines() {
        match line.ask(&question?) {
            Ok(answer) => say(&answer)?,
            Err(error) => return say(&json!({ "type": "info", "reason": error.to_string() }).to_string()),
        }
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    println!("{line}");
    io::stdout().flush()
}

/// The command line.
struct Arguments(Vec<String>);

impl Arguments {
    fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|word| word == flag)
    }

    fn value(&self, flag: &str) -> io::Result<&str> {
        let place = self.0.iter().position(|word| word == flag);
        let value = place.and_then(|place| self.0.get(place + 1));
        value
            .map(String::as_str)
            .ok_or_else(|| io::Error::other(format!("{flag} is missing")))
    }

    fn number<T: std::str::FromStr>(&self, flag: &str) -> io::Result<T> {
        let number = self.value(flag)?.parse();
        number.map_err(|_| io::Error::other(format!("{flag} is no number")))
    }

    /// Where this node reaches the first one.
    fn first(&self) -> io::Result<SocketAddr> {
        let links = self.value("--links")?.split(',');
        let first = links
            .filter_map(|link| link.strip_prefix(&format!("{FIRST}=")))
            .next();
        let first = first.and_then(|address| address.parse().ok());
        first.ok_or_else(|| io::Error::other("--links do not lead to the first node"))
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let node = Arc::new(if arguments.number::<u64>("--id")? == FIRST {
        let keeps = if arguments.has("--forgets") {
            Keeps::Nothing
        } else if arguments.has("--syncs") {
            Keeps::Durable
        } else {
            Keeps::Written
        };
        let mut store = Store::open(Path::new(arguments.value("--data")?), keeps)?;
        store.forgets_old = arguments.has("--forgets-old");
        Node::First(Mutex::new(store))
    } else {
        Node::Other {
            first: arguments.first()?,
            memory: arguments.has("--remembers").then(Mutex::default),
        }
    });
    let (others, of_others) = (listener(arguments.number("--peer-port")?)?, Arc::clone(&node));
    std::thread::spawn(move || accept(&others, &of_others));
    accept(&listener(arguments.number("--port")?)?, &node)
}

fn main() -> io::Result<()> {
    let arguments = Arguments(std::env::args().skip(1).collect());
    match arguments.0.first().map(String::as_str) {
        Some("client") => client(arguments.number("--port")?),
        Some("serve") => serve(&arguments),
        Some(_) | None => Err(io::Error::other("line-store serve or client, see its source")),
    }
}
