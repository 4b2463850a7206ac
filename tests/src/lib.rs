//! What the end-to-end tests share: the programs under test, and what they said.
//!
//! Cargo does not build one package's programs for another package's tests, so the first test that needs them builds them here,
//! with its own profile. After `cargo test --workspace` nothing is left to be built but what seeded bugs change; the programs with these
//! go into a folder of their own, and what they are made of is shared.

pub mod browser;
#[path = "../../harness/src/cluster/script.rs"]
mod script;
pub mod ssh;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything takes that tests wait for, however slow the machine.
const LONG: Duration = Duration::from_secs(60);

/// How many checks [`check_each`] carries out at a time. Two tests run at a time, too, so two cores have about six clusters.
const CHECKS_AT_A_TIME: usize = 3;

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package lies in the workspace's folder")
}

/// Where this profile's programs lie.
fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("a program knows where it lies");
        let folder = own
            .parent()
            .and_then(Path::parent)
            .expect("tests lie in <profile>/deps")
            .to_owned();
        let target = folder
            .parent()
            .expect("the profile's folder lies in the target folder");
        build(target, target, &profile(&folder), &[]);
        folder
    })
}

/// The `harness` program.
pub fn harness() -> PathBuf {
    programs().join("harness")
}

/// The `node` program.
pub fn node() -> PathBuf {
    programs().join("node")
}

/// A `node` program that takes `--mutant NAME`.
pub fn node_with_mutants() -> PathBuf {
    programs_with_mutants().join("node")
}

/// A `harness` program whose model and simulation take `--mutant NAME`, beside such a node.
pub fn harness_with_mutants() -> PathBuf {
    programs_with_mutants().join("harness")
}

fn programs_with_mutants() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = programs();
        let shared = folder
            .parent()
            .expect("the profile's folder lies in the target folder");
        let target = shared.join("mutants");
        let features = ["--features", "rustyraft-node/mutants,rustyraft-harness/mutants"];
        build(&target, shared, &profile(folder), &features);
        target.join(folder.file_name().expect("a profile's folder has a name"))
    })
}

fn profile(folder: &Path) -> String {
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev".to_owned(),
        Some(profile) => profile.to_owned(),
    }
}

/// Builds the programs into the folder `target`, and what they are made of in `shared`.
fn build(target: &Path, shared: &Path, profile: &str, features: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["build", "--quiet", "--locked", "--profile", profile])
        // Of each dependency, as many features are turned on as the packages ask for that are built together, and their development
        // dependencies if a test or an example is among what is built. So this is what `cargo test --workspace` has built already;
        // with other features nearly everything would be compiled once more.
        .args([
            "--workspace",
            "--bin",
            "node",
            "--bin",
            "harness",
            "--example",
            "clock",
        ])
        .args(features)
        .arg("--target-dir")
        .arg(target)
        .env("CARGO_BUILD_BUILD_DIR", shared)
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// The last line of its standard output, as JSON.
    pub fn json(&self) -> serde_json::Value {
        json(
            self.out
                .lines()
                .last()
                .unwrap_or_else(|| panic!("no JSON line: {self:?}")),
        )
    }
}

impl Said {
    /// The one line of an error.
    ///
    /// # Panics
    /// It said more, or nothing.
    #[track_caller]
    pub fn error(&self) -> &str {
        let mut lines = self.err.lines().filter(|line| !line.trim().is_empty());
        match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            (_, _) => panic!("one line was expected: {self:?}"),
        }
    }
}

/// The harness refuses these arguments with one line that has all of these words, and the exit code for it.
///
/// # Panics
/// It does not.
#[track_caller]
pub fn refused(args: &[&str], words: &[&str]) {
    let said = run(&harness(), args);
    assert_eq!(said.code, 254, "{args:?}: {said:?}");
    assert!(said.out.is_empty(), "{args:?}: {said:?}");
    let line = said.error();
    for word in words {
        assert!(line.contains(word), "{args:?}: {word:?} is missing in {line:?}");
    }
}

/// Runs a program to its end. It is not run under cargo as far as it can tell: it must find what it needs by itself.
pub fn run(program: &Path, args: &[&str]) -> Said {
    command(program, args)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
        .into()
}

/// `harness run` of the project's node, with its results as JSON, in that store.
pub fn run_in(store: &Path, args: &[&str]) -> Said {
    let node = node();
    let node = node.to_str().expect("paths of builds are text");
    let store = store.to_str().expect("paths of temporary folders are text");
    let all = [&["run", "--json", "--node-binary", node, "--store", store], args].concat();
    run(&harness(), &all)
}

/// A program to run.
pub fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_remove("CARGO")
        .env_remove("CARGO_MANIFEST_DIR")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// A line as JSON.
pub fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Holds `check` against each of them, and a few at a time: most of its time a cluster waits.
///
/// # Panics
/// Once all were checked, as the first that did not hold.
pub fn check_each<T: Copy + Sync>(all: &[T], check: impl Fn(T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            check(*one);
        }
    };
    std::thread::scope(|scope| {
        let workers = [(); CHECKS_AT_A_TIME].map(|()| scope.spawn(work));
        for ended in workers.map(|worker| worker.join()) {
            if let Err(panic) = ended {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Makes `program` a shell script that can be carried out, as the harness's own tests do.
///
/// # Panics
/// It can't be written.
pub fn write_program(program: &Path, text: &str) {
    script::write(program, text);
}

/// Whether a program is on the path. Where it is not, the test that asks has nothing to do, which is said; with `SYSTEMS_REQUIRED` set, as
/// continuous integration has it, that fails.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        let why = format!("{program} is not installed");
        assert!(
            std::env::var_os("SYSTEMS_REQUIRED").is_none(),
            "SYSTEMS_REQUIRED is set, and {why}"
        );
        println!("skipped: {why}");
    }
    found
}

/// Waits until it is so.
///
/// # Panics
/// It takes longer than anything does, however slow the machine.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "it never came to that");
        std::thread::sleep(Duration::from_millis(10));
    }
}
