//! That an answer to a write comes behind durable writes of a majority, as the system calls of all nodes show.
//!
//! `strace` is looked for on the path. Where it is missing, or may not look at processes, the test says so, and passes; with
//! `STRACE_REQUIRED` set, as continuous integration has it, it fails.

use crate::cluster::Cluster;
use crate::connection::{Connection, frame};
use crate::process::{PATIENCE, eventually};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::client::{Reply, Request, RequestBody, Response};

/// How far two readings of one clock may seem apart: strace cuts both a beginning and a duration to microseconds.
const CLOCK_GRAIN: Duration = Duration::from_micros(3);

/// The flag of a file whose writes are durable when they return, as the kernel shows it.
const DSYNC: u64 = 0o10000;

/// When something began, and when it was over, since the epoch.
type Span = (Duration, Duration);

/// Looks at what a node does to its files.
struct Strace {
    child: Child,
    pid: u32,
    /// What the names of its files begin with; each thread has its own.
    output: PathBuf,
}

impl Strace {
    /// Attaches to a process.
    ///
    /// # Errors
    /// Why it can't.
    fn attach(pid: u32, output: PathBuf) -> Result<Strace, String> {
        let mut child = Command::new("strace")
            .args([
                "-ff",
                "-ttt",
                "-T",
                "-y",
                "-s",
                "0",
                "-e",
                "trace=pwrite64,fdatasync,fsync",
            ])
            .arg("-o")
            .arg(&output)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("strace can't be run: {error}"))?;
        let stderr = child.stderr.take().expect("it is piped");
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || {
            // To its end: what nobody reads would stop it.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut strace = Strace { child, pid, output };
        match said.recv_timeout(PATIENCE) {
            Ok(line) if line.contains("attached") => Ok(strace),
            Ok(line) => Err(line),
            Err(error) => Err(format!(
                "strace says nothing ({error}): {:?}",
                strace.child.try_wait()
            )),
        }
    }

    /// The writes that made the log durable, by its files as far as they are open still.
    fn durable_writes(mut self) -> Vec<Span> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        eventually("strace ends", || self.child.try_wait().expect("it is a child"));
        let folder = self.output.parent().expect("it lies in a folder");
        let prefix = self
            .output
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a text");
        let is_own = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(prefix))
        };
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|item| item.unwrap().path());
        let lines = files.filter(is_own).flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        lines.filter_map(|line| self.durable(&line)).collect()
    }

    /// When a call was made and over, if it made the log durable:
    /// `1764097986.123456 pwrite64(12</…/wal-0000000000000001.log>, ""..., 4096, 8192) = 4096 <0.000123>`.
    fn durable(&self, line: &str) -> Option<Span> {
        let (time, call) = line.split_once(' ')?;
        let (name, arguments) = call.split_once('(')?;
        let (descriptor, rest) = arguments.split_once('<')?;
        let (path, rest) = rest.split_once('>')?;
        if !Path::new(path).file_name()?.to_str()?.starts_with("wal-") {
            return None;
        }
        let (_, result) = rest.rsplit_once(" = ")?;
        let (result, took) = result.split_once(" <")?;
        let succeeded = !result.starts_with('-');
        let is_durable = match name {
            "fdatasync" | "fsync" => true,
            _ => self.writes_durably(descriptor),
        };
        let seconds = |text: &str| text.parse().map(Duration::from_secs_f64).ok();
        let begun = seconds(time)?;
        let span = (begun, begun + seconds(took.strip_suffix('>')?)?);
        (succeeded && is_durable).then_some(span)
    }

    fn writes_durably(&self, descriptor: &str) -> bool {
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", self.pid));
        let info = info.unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & DSYNC != 0)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970")
}

fn put(number: u64, value_bytes: usize) -> RequestBody {
    RequestBody::Put {
        key: number.to_be_bytes().to_vec().into(),
        value: vec![7; value_bytes].into(),
    }
}

/// Puts at once; when they were sent, and when each was answered.
fn burst(client: &mut Connection, puts: u64) -> Vec<Span> {
    let requests = (0..puts).map(|number| Request {
        id: 1000 + number,
        body: put(number, 64),
    });
    let frames: Vec<u8> = requests
        .flat_map(|request| frame(&wire::encode(&request)))
        .collect();
    let sent = now();
    client.send(&frames);
    let answered = (0..puts).map(|_| {
        let response: Response = wire::decode(&client.receive().expect("an answer")).unwrap();
        assert_eq!(response.result, Ok(Reply::Written));
        (sent, now())
    });
    answered.collect()
}

#[test]
fn a_write_is_answered_behind_a_durable_write_of_a_majority() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(dir.path());
    let leader = cluster.leader();
    let mut straces = Vec::new();
    for (id, node) in &cluster.nodes {
        match Strace::attach(node.pid(), dir.path().join(format!("strace-{id}"))) {
            Ok(strace) => straces.push(strace),
            Err(why) => {
                assert!(std::env::var_os("STRACE_REQUIRED").is_none(), "{why}");
                eprintln!("skipped: durable writes can't be seen: {why}");
                return;
            }
        }
    }
    let mut client = Connection::accepted(cluster.nodes[&leader].address, wire::Role::Client);
    let mut answered: Vec<Span> = Vec::new();
    // One alone is written by the thread that has it, more by another.
    for value_bytes in [64, 16 << 10] {
        for number in 0..20 {
            let sent = now();
            assert_eq!(client.call(put(number, value_bytes)), Ok(Reply::Written));
            answered.push((sent, now()));
        }
    }
    answered.extend(burst(&mut client, 64));
    let writes: Vec<Vec<Span>> = straces.into_iter().map(Strace::durable_writes).collect();
    for (number, (sent, replied)) in answered.iter().enumerate() {
        let within = |(begun, over): &Span| *begun + CLOCK_GRAIN >= *sent && *over <= *replied + CLOCK_GRAIN;
        let nodes = writes.iter().filter(|writes| writes.iter().any(within)).count();
        assert!(
            nodes >= 2,
            "write {number} was answered when it was durable on {nodes} of 3 nodes"
        );
    }
}
