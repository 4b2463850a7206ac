//! A browser to look at pages with: headless Chromium, driven by its WebDriver (<https://www.w3.org/TR/webdriver2/>).
//!
//! `chromedriver` is looked for on the path. Where it is missing the tests say so, and pass; with `BROWSER_REQUIRED` set, as
//! continuous integration has it, they fail.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ureq::Agent;

/// How long a page may take to come to what is waited for: far longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a page.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How large the window is, in pixels.
const WINDOW: (u32, u32) = (1400, 1000);

/// A browser with one window. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    /// Where the window's commands go.
    session: String,
    agent: Agent,
    /// Its profile.
    _profile: TempDir,
}

impl Browser {
    /// Starts one; `None` where there is none.
    ///
    /// # Panics
    /// There is none, and `BROWSER_REQUIRED` is set; or there is one, and it does not start.
    pub fn start() -> Option<Browser> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                let required = std::env::var_os("BROWSER_REQUIRED").is_some();
                assert!(!required, "BROWSER_REQUIRED is set, and chromedriver: {error}");
                eprintln!("SKIPPED: for want of a browser: chromedriver: {error}");
                return None;
            }
        };
        let port = port_of(&mut driver);
        let profile = tempfile::tempdir().expect("the folder for temporary files can be written");
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        let mut browser = Browser {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            agent: config.into(),
            _profile: profile,
        };
        let args = [
            String::from("--headless"),
            String::from("--no-sandbox"),
            String::from("--disable-gpu"),
            String::from("--disable-quic"),
            String::from("--disable-dev-shm-usage"),
            String::from("--no-first-run"),
            String::from("--disable-background-networking"),
            String::from("--disable-component-update"),
            String::from("--disable-sync"),
            format!("--window-size={},{}", WINDOW.0, WINDOW.1),
            format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.post("", &wanted);
        let id = session["sessionId"].as_str().expect("a session has a name");
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    /// Opens a page from disk.
    pub fn open(&self, page: &Path) {
        self.visit(&format!("file://{}", page.display()));
    }

    /// Opens the page at an address.
    pub fn visit(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// What an expression of the page's language comes to.
    pub fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// It does not become true.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        let begun = Instant::now();
        while self.value(&format!("Boolean({expression})")) != Value::Bool(true) {
            assert!(begun.elapsed() < PATIENCE, "it is never so that {expression}");
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Moves the mouse to a place in the window.
    pub fn point(&self, (x, y): (i64, i64)) {
        self.pointer(&[json!({"type": "pointerMove", "duration": 0, "x": x, "y": y})]);
    }

    /// Clicks at a place in the window.
    pub fn click(&self, (x, y): (i64, i64)) {
        self.pointer(&[
            json!({"type": "pointerMove", "duration": 0, "x": x, "y": y}),
            json!({"type": "pointerDown", "button": 0}),
            json!({"type": "pointerUp", "button": 0}),
        ]);
    }

    /// Turns the mouse wheel at a place in the window; away from the user where `delta` is below 0.
    pub fn wheel(&self, (x, y): (i64, i64), delta: i64) {
        let scroll = json!({"type": "scroll", "duration": 0, "x": x, "y": y, "deltaX": 0, "deltaY": delta});
        self.post(
            "/actions",
            &json!({"actions": [{"type": "wheel", "id": "wheel", "actions": [scroll]}]}),
        );
    }

    /// Clicks on the element that a CSS selector names, and types.
    pub fn type_into(&self, selector: &str, text: &str) {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        let element = found.as_object().and_then(|found| found.values().next());
        let id = element
            .and_then(Value::as_str)
            .expect("an element that is found has a name");
        self.post(&format!("/element/{id}/value"), &json!({"text": text}));
    }

    /// What the browser complains of: scripts that failed, what was not allowed, what could not be loaded.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().into_iter().flatten();
        entries.map(Value::to_string).collect()
    }

    fn pointer(&self, actions: &[Value]) {
        let mouse = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.post("/actions", &json!({"actions": [mouse]}));
    }

    #[track_caller]
    fn post(&self, command: &str, body: &Value) -> Value {
        let url = format!("{}{command}", self.session);
        let answer = self.agent.post(&url).send(body.to_string());
        let mut answer = answer.unwrap_or_else(|error| panic!("{command}: {error}"));
        let status = answer.status();
        let text = answer.body_mut().read_to_string();
        let text = text.unwrap_or_else(|error| panic!("{command}: {error}"));
        let value = crate::json(&text);
        assert!(status.is_success(), "{command} {body}: {value}");
        value["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session. If it can't, there is nobody to tell.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that a driver says that it listens on.
fn port_of(driver: &mut Child) -> u16 {
    let out = driver.stdout.take().expect("its output was asked for");
    let mut lines = BufReader::new(out).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.rsplit_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // What it says later shall not fill the pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    port.expect("a driver says which port it listens on")
}
