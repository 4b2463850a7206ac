//! The runs of a store in a web page: what is answered, what is refused, and what the page shows in a browser.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tests::browser::Browser;
use tests::{command, harness, json, node, refused, run};

/// How long anything may take: far longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many connections the server takes.
const CONNECTIONS_MAX: usize = 128;

const HISTORY: &str = r#"{"rustyraft-history":1,"workload":"register"}
{"time":1000,"process":0,"type":"invoke","f":"write","key":0,"value":1,"node":1}
{"time":2000,"process":0,"type":"ok","f":"write","key":0,"value":null}
{"time":3000,"process":0,"type":"invoke","f":"read","key":0,"value":null,"node":1}
{"time":4000,"process":0,"type":"ok","f":"read","key":0,"value":7}
"#;

/// A server of a store. It ends when this is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(store: &Path) -> Server {
        let args = ["serve", "--json", "--store", store.to_str().unwrap()];
        let mut process = command(&harness(), &args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let said = json(&line);
        assert_eq!(said["store"], store.to_str().unwrap());
        let url = said["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").and_then(|url| url.strip_suffix('/'));
        Server {
            address: address.unwrap().to_owned(),
            process,
        }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// What is answered to these very bytes; nothing if the connection is only closed.
    fn raw(&self, question: &[u8]) -> String {
        let mut socket = self.connect();
        // A server that has heard enough may close while there is more to say.
        let _ = socket.write_all(question);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let host = &self.address;
        let question =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        Answer(self.raw(question.as_bytes()))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    fn runs(&self) -> Vec<Value> {
        let list = json(self.get("/api/store").body());
        list["runs"].as_array().unwrap().clone()
    }

    /// The state of a run, and why.
    fn state(&self, path: &str) -> (String, Value) {
        let runs = self.runs();
        let run = runs.iter().find(|run| run["path"] == path);
        let run = run.unwrap_or_else(|| panic!("{path} is not in {runs:?}"));
        (run["state"].as_str().unwrap().to_owned(), run["reason"].clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        let status = self.0.split(' ').nth(1);
        status
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("{}", self.0))
    }

    fn head(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().0
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().1
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head().lines();
        lines.find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// What a run records of itself when it begins.
fn test(workload: &str, seed: u64, started: &str) -> String {
    format!(
        r#"{{"rustyraft-test":1,"version":"0.1.0","node_binary":"/bin/node","node_version":"0.1.0","started":"{started}","seed":{seed},
"options":{{"workload":"{workload}","nodes":3,"concurrency":6,"rate":null,"time_limit_seconds":1.0,"nemesis":["kill","pause"],
"nemesis_interval_seconds":1.0,"timeout_seconds":0.5,"node_args":[]}}}}"#
    )
}

fn results(workload: &str, seed: u64, valid: &str, reason: &str) -> String {
    format!(
        r#"{{"valid":{valid},"reason":{reason},"workload":"{workload}","system":"node","nodes":3,"seconds":1.5,
"ops":{{"ok":12345,"fail":6,"info":7}},"elections":2,"faults":{{"kill":2,"pause":1}},"seed":{seed},"run_dir":"x"}}"#
    )
}

/// Puts a run into a store, with what it came to.
fn add(store: &Path, workload: &str, number: u64, verdict: Option<(&str, &str)>) -> PathBuf {
    let (minute, second) = (number / 60 % 60, number % 60);
    let folder = store
        .join(workload)
        .join(format!("20261124T10{minute:02}{second:02}.000Z"));
    fs::create_dir_all(folder.join("nodes/1")).unwrap();
    let started = format!("2026-11-24T10:{minute:02}:{second:02}.000Z");
    fs::write(folder.join("test.json"), test(workload, number, &started)).unwrap();
    fs::write(folder.join("history.jsonl"), HISTORY).unwrap();
    fs::write(folder.join("nodes/1/log"), format!("node 1 of run {number}\n")).unwrap();
    if let Some((valid, reason)) = verdict {
        fs::write(
            folder.join("results.json"),
            results(workload, number, valid, reason),
        )
        .unwrap();
    }
    folder
}

const VALID: Option<(&str, &str)> = Some(("true", "null"));
const VIOLATION: Option<(&str, &str)> = Some(("false", "\"cas-register 0 is not linearizable.\""));

fn link(store: &Path, run: &Path) {
    let latest = store.join("latest");
    let _ = fs::remove_file(&latest);
    symlink(run.strip_prefix(store).unwrap(), latest).unwrap();
}

#[test]
fn hundreds_of_runs_are_listed_damaged_and_unfinished_ones_too() {
    let store = tempfile::tempdir().unwrap();
    for number in 0..400 {
        let workload = if number % 2 == 0 { "register" } else { "set" };
        let verdict = if number % 40 == 0 { VIOLATION } else { VALID };
        add(store.path(), workload, number, verdict);
    }
    let running = add(store.path(), "queue", 500, None);
    let held = fs::File::open(&running).unwrap();
    held.lock_shared().unwrap();
    add(store.path(), "queue", 501, None);
    let torn = add(store.path(), "queue", 502, None);
    fs::write(torn.join("test.json"), "{\"rustyraft-test\":1,\"ver").unwrap();
    let odd = add(store.path(), "queue", 503, VALID);
    fs::write(odd.join("results.json"), "{\"valid\":\"perhaps\"}").unwrap();
    link(store.path(), &running);
    fs::create_dir_all(store.path().join("bench/20261126T171403.245Z")).unwrap();
    fs::write(
        store.path().join("bench/20261126T171403.245Z/results.jsonl"),
        "{}\n",
    )
    .unwrap();
    let server = Server::start(store.path());

    let answer = server.get("/api/store");
    let list = json(answer.body());
    let runs = list["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 404);
    let started: Vec<&str> = runs.iter().map(|run| run["started"].as_str().unwrap()).collect();
    assert!(started.is_sorted_by(|a, b| a >= b), "the newest first");
    assert_eq!(list["latest"], "queue/20261124T100820.000Z");
    assert_eq!(list["others"][0]["kind"], "bench");
    assert_eq!(server.state("queue/20261124T100820.000Z").0, "running");
    assert_eq!(server.state("queue/20261124T100821.000Z").0, "interrupted");
    for damaged in ["queue/20261124T100822.000Z", "queue/20261124T100823.000Z"] {
        let (state, reason) = server.state(damaged);
        assert_eq!(state, "damaged");
        assert!(reason.as_str().unwrap().contains(".json: "), "{reason}");
    }
    let violations = runs.iter().filter(|run| run["state"] == "violation");
    assert_eq!(violations.count(), 10);

    // Who knows the list is told that it is the same, until it is not.
    let etag = answer.header("etag").unwrap();
    let same = server.ask("GET", "/api/store", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((same.status(), same.body()), (304, ""));
    drop(held);
    let begun = Instant::now();
    while server.state("queue/20261124T100820.000Z").0 != "interrupted" {
        assert!(begun.elapsed() < PATIENCE, "its harness is gone");
    }
}

#[test]
fn a_run_has_its_files_and_the_command_that_repeats_it() {
    let store = tempfile::tempdir().unwrap();
    let store = store.path().join("the store");
    let folder = add(&store, "register", 7, VIOLATION);
    link(&store, &folder);
    let server = Server::start(&store);
    let details = json(server.get("/api/run/latest").body());
    assert_eq!(details["run"]["state"], "violation");
    assert_eq!(details["run"]["seed"], "7");
    let files: Vec<&str> = details["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        ["history.jsonl", "nodes/1/log", "results.json", "test.json"]
    );
    let repeat = details["commands"][0]["command"].as_str().unwrap();
    assert_eq!(repeat, format!("harness run --replay '{}'", folder.display()));

    let page = server.get("/run/latest");
    let real = "/run/register/20261124T100007.000Z";
    assert_eq!((page.status(), page.header("location")), (302, Some(real)));
    let page = server.get(real);
    assert_eq!(
        (page.status(), page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );

    let log = server.get("/file/latest/nodes/1/log");
    assert_eq!((log.status(), log.body()), (200, "node 1 of run 7\n"));
    assert_eq!(log.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(log.header("x-content-type-options"), Some("nosniff"));
    assert!(log.header("content-security-policy").unwrap().contains("sandbox"));
    let kept = server.get("/file/latest/nodes/1/log?download");
    assert_eq!(
        kept.header("content-disposition"),
        Some("attachment; filename*=UTF-8''log")
    );
    let part = server.ask("GET", "/file/latest/nodes/1/log", "Range: bytes=-3\r\n");
    assert_eq!(
        (part.status(), part.body(), part.header("content-range")),
        (206, " 7\n", Some("bytes 13-15/16"))
    );
    let none = server.ask("GET", "/file/latest/nodes/1/log", "Range: bytes=16-\r\n");
    assert_eq!(
        (none.status(), none.header("content-range")),
        (416, Some("bytes */16"))
    );
    let head = server.ask("HEAD", "/file/latest/nodes/1/log", "");
    assert_eq!(
        (head.status(), head.body(), head.header("content-length")),
        (200, "", Some("16"))
    );

    let archive = server.get("/archive/latest");
    assert_eq!(archive.status(), 200);
    assert_eq!(
        archive.header("content-disposition"),
        Some("attachment; filename*=UTF-8''20261124T100007.000Z.tar")
    );
    for words in ["20261124T100007.000Z/nodes/1/log", "node 1 of run 7\n", "ustar"] {
        assert!(archive.body().contains(words), "{words:?}");
    }
    assert_eq!(server.ask("HEAD", "/archive/latest", "").body(), "");
    for nothing in [
        "/run/register/1",
        "/api/run/x",
        "/file/latest/x",
        "/file/latest",
        "/archive/latest/test.json",
        "/x",
        "/-/x",
        "/api/x",
    ] {
        assert_eq!(server.get(nothing).status(), 404, "{nothing}");
    }
}

#[test]
fn nothing_outside_of_the_store_is_told() {
    let outside = tempfile::tempdir().unwrap();
    let secret = "what nobody is to read";
    fs::write(outside.path().join("secret.txt"), secret).unwrap();
    let store = outside.path().join("store");
    let folder = add(&store, "register", 1, VALID);
    link(&store, &folder);
    symlink(outside.path().join("secret.txt"), folder.join("absolute.txt")).unwrap();
    symlink("../../../secret.txt", folder.join("relative.txt")).unwrap();
    symlink("../../..", folder.join("up")).unwrap();
    symlink(outside.path(), store.join("set")).unwrap();
    symlink("/proc/self/root", folder.join("root")).unwrap();
    let server = Server::start(&store);
    let absolute = outside.path().join("secret.txt");
    let absolute = absolute.display();
    for path in [
        "../secret.txt",
        "register/../../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "..%5csecret.txt",
        "%252e%252e/secret.txt",
        "....//secret.txt",
        ".%00./secret.txt",
        "latest/absolute.txt",
        "latest/relative.txt",
        "latest/up/secret.txt",
        "latest/root/etc/passwd",
        "set/secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        &format!("/{absolute}"),
        &format!("{absolute}"),
        "latest/test.json/../../../../secret.txt",
        "..",
        "../",
        "latest/up",
        "set",
    ] {
        for what in ["file", "archive", "api/run", "run"] {
            let host = &server.address;
            let answer = server.raw(
                format!("GET /{what}/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            );
            let refused = ["HTTP/1.1 403", "HTTP/1.1 404", "HTTP/1.1 400"];
            assert!(
                refused.iter().any(|status| answer.starts_with(status)),
                "{what}/{path}: {answer}"
            );
            assert!(
                !answer.contains(secret) && !answer.contains("root:"),
                "{what}/{path}: {answer}"
            );
        }
    }
    let archive = server.get("/archive/latest");
    assert!(archive.status() == 200 && !archive.0.contains(secret));
    // Its links are neither followed nor listed.
    assert_eq!(server.runs().len(), 1);
    let files = json(server.get("/api/run/latest").body())["files"].to_string();
    assert!(
        !files.contains("secret") && !files.contains("absolute"),
        "{files}"
    );
}

#[test]
fn only_who_means_this_server_is_answered_and_only_within_bounds() {
    let store = tempfile::tempdir().unwrap();
    add(store.path(), "register", 1, VALID);
    let server = Server::start(store.path());
    let status = |question: &str| {
        let answer = server.raw(question.as_bytes());
        answer.split(' ').nth(1).unwrap_or("closed").to_owned()
    };
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let answer = server.ask(method, "/api/store", "");
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
    // A name that leads here today is refused, wherever it stands.
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
    ] {
        assert_eq!(
            status(&format!(
                "GET /api/store HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            )),
            "403"
        );
        let absolute =
            format!("GET http://{host}/api/store HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&absolute), "403");
    }
    assert_eq!(status("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), "400");
    assert_eq!(
        status("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
        "400"
    );
    assert_eq!(
        status("GET / HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n"),
        "200"
    );
    // What is no question, or one without end, ends the connection.
    let long = "x".repeat(1 << 20);
    for wrong in [
        String::from("\u{1}\u{2}\u{3}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            "A: b\r\n".repeat(100_000)
        ),
    ] {
        let status = status(&wrong);
        assert!(
            ["400", "414", "431", "closed"].contains(&status.as_str()),
            "{status}"
        );
    }
    assert_eq!(server.get("/").status(), 200, "it goes on");
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let store = tempfile::tempdir().unwrap();
    let server = Server::start(store.path());
    let question = format!("HEAD / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let ask = |socket: &mut TcpStream| {
        socket.write_all(question.as_bytes()).unwrap();
        let mut answer = [0; 12];
        socket
            .read_exact(&mut answer)
            .map(|()| answer == *b"HTTP/1.1 200")
    };
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| server.connect()).collect();
    for connection in &mut connections {
        assert!(ask(connection).unwrap());
    }
    let mut further = server.connect();
    further
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let waits = ask(&mut further).unwrap_err().kind();
    assert!(
        matches!(waits, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{waits}"
    );
    connections.pop();
    further.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 12];
    further.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn ctrl_c_ends_it_and_what_cant_be_served_is_told_in_one_line() {
    let store = tempfile::tempdir().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Server::start(store.path());
        // One that is connected does not hold it up.
        let _idle = server.connect();
        assert_eq!(server.get("/").status(), 200);
        kill_process(Pid::from_child(&server.process), signal).unwrap();
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
    }
    let server = Server::start(store.path());
    let folder = store.path().to_str().unwrap();
    refused(
        &["serve", "--store", folder, "--listen", &server.address],
        &["can't listen on", &server.address],
    );
    refused(
        &["serve", "--store", "/nowhere"],
        &["can't read the store /nowhere", "--store"],
    );
}

#[test]
fn a_run_that_goes_on_is_shown_as_such_until_its_harness_is_gone() {
    let store = tempfile::tempdir().unwrap();
    let server = Server::start(store.path());
    assert_eq!(server.runs().len(), 0);
    let (node, folder) = (node(), store.path().to_str().unwrap());
    let args = [
        "run",
        "--nodes",
        "3",
        "--nemesis",
        "none",
        "--time-limit",
        "10m",
        "--store",
        folder,
        "--node-binary",
        node.to_str().unwrap(),
    ];
    let mut going = command(&harness(), &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let state = || {
        server
            .runs()
            .first()
            .map(|run| run["state"].as_str().unwrap().to_owned())
    };
    // A run that has not begun yet has no folder.
    let until = |wanted: &str| {
        while state().as_deref() != Some(wanted) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", server.runs());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until("running");
    going.kill().unwrap();
    going.wait().unwrap();
    until("interrupted");
}

/// What the page of a list shows, by its rows.
fn shown(browser: &Browser) -> Vec<String> {
    let rows = browser.value("[...document.querySelectorAll('#runs tbody tr')].map(row => row.dataset.path)");
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row.as_str().unwrap().to_owned()).collect()
}

fn click(browser: &Browser, selector: &str) {
    browser.value(&format!("document.querySelector(\"{selector}\").click()"));
}

#[test]
fn in_a_browser_runs_are_searched_filtered_and_sorted_and_new_ones_appear() {
    let Some(browser) = Browser::start() else { return };
    let store = tempfile::tempdir().unwrap();
    for number in 0..300 {
        let workload = if number % 2 == 0 { "register" } else { "set" };
        let verdict = if number % 100 == 7 { VIOLATION } else { VALID };
        add(store.path(), workload, number, verdict);
    }
    let server = Server::start(store.path());
    browser.visit(&format!("http://{}/", server.address));
    browser.until("window.listing && listing.frames > 0");
    assert_eq!(browser.value("listing.total"), 300);
    assert_eq!(
        shown(&browser).len(),
        200,
        "the rest is drawn when it is asked for"
    );
    assert_eq!(shown(&browser)[0], "set/20261124T100459.000Z");
    click(&browser, "#more");
    browser.until("listing.drawn === 300");

    browser.type_into("#search", "seed:107");
    browser.until("listing.matching === 1");
    assert_eq!(shown(&browser), ["set/20261124T100147.000Z"]);
    browser.value("document.getElementById('search').value = ''");
    browser.type_into("#search", "violation linearizable");
    browser.until("listing.matching === 3");
    browser.value("document.getElementById('search').value = ''");
    browser.type_into("#search", "set");
    browser.until("listing.matching === 150");
    click(&browser, "[data-state=violation]");
    browser.until("listing.matching === 3");
    // What is looked for is in the address.
    assert_eq!(browser.value("location.search"), "?q=set&verdict=violation");
    click(&browser, "[data-sort=seed]");
    let seeds =
        "[...document.querySelectorAll('#runs tbody tr td:nth-child(7)')].map(cell => cell.innerText).join()";
    browser.until("location.search.includes('sort=-seed')");
    assert_eq!(browser.value(seeds), "207,107,7");
    click(&browser, "[data-sort=seed]");
    browser.until("location.search.includes('sort=seed')");
    assert_eq!(browser.value(seeds), "7,107,207");

    // Nobody has to load the page again.
    add(store.path(), "set", 307, VIOLATION);
    browser.until("listing.matching === 4");
    let going = add(store.path(), "set", 308, None);
    let held = fs::File::open(&going).unwrap();
    held.lock_shared().unwrap();
    browser.visit(&format!("http://{}/?verdict=running", server.address));
    browser.until("window.listing && listing.matching === 1");
    fs::write(going.join("results.json"), results("set", 308, "true", "null")).unwrap();
    browser.until("listing.matching === 0");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn in_a_browser_a_run_shows_its_report_its_logs_and_how_it_is_repeated() {
    let Some(browser) = Browser::start() else { return };
    let store = tempfile::tempdir().unwrap();
    let folder = add(store.path(), "register", 7, None);
    // A name that a page must not take for markup.
    fs::write(
        folder.join("nodes/1/<img src=x onerror=alert(1)>.log"),
        "<b>said</b>\n",
    )
    .unwrap();
    let said = run(&harness(), &["report", "--json", folder.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    link(store.path(), &folder);
    let server = Server::start(store.path());
    browser.visit(&format!("http://{}/run/latest", server.address));
    browser.until("window.page && page.frames > 0");
    let text = |selector: &str| {
        let value = browser.value(&format!("document.querySelector(\"{selector}\").innerText"));
        value.as_str().unwrap().to_owned()
    };
    assert_eq!(
        (text("#verdict"), text("#title")),
        (String::from("violation"), String::from("register on 3 nodes"))
    );
    assert!(text("#reason").contains("is not linearizable"));
    assert_eq!(
        text("#commands code"),
        format!("harness run --replay {}", folder.display())
    );
    click(&browser, "[data-view='nodes/1/log']");
    browser.until("page.viewed === 'nodes/1/log'");
    assert_eq!(text("#text"), "node 1 of run 7\n");
    click(&browser, "[data-view*=onerror]");
    browser.until("page.viewed.includes('onerror')");
    assert_eq!(text("#text"), "<b>said</b>\n");
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    browser.until("document.querySelector('#report iframe')");
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // The report draws itself although it may reach nothing.
    let address = browser.value("document.querySelector('#report iframe').src");
    browser.visit(address.as_str().unwrap());
    browser.until("window.timeline && timeline.frames > 0");
    assert_eq!(browser.value("self.origin"), "null");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
