//! Tests one after the other, and what is told of them.

use crate::cluster::{Binary, BinaryError, Cluster, ClusterError, Hosts, HostsError};
use crate::exit::Exit;
use crate::nemesis::Schedule;
use crate::report::{self, Live, Paint, Results, Valid, grouped, print};
use crate::run::directory::{DirectoryError, RunDirectory};
use crate::run::recorded::Test;
use crate::run::test::{self, Surroundings, TestError, Tested};
use crate::run::{Options, seed};
use crate::systems::{self, System, SystemError, SystemName};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A number of tests, and where and how they are run.
#[derive(Clone, Debug)]
pub struct Series {
    /// What is asked of each.
    pub options: Options,
    /// What there is to say of that beforehand.
    pub remark: Option<String>,
    /// The first one's seed; those of the others follow from it.
    pub seed: u64,
    /// The faults of an earlier run, to be repeated.
    pub schedule: Option<Schedule>,
    /// Whether an earlier run is repeated: then all tests have its seed.
    pub replay: bool,
    /// The node program of that run and its version, if they were recorded. It is run again where it is still there.
    pub replayed_node: Option<(PathBuf, String)>,
    /// How many.
    pub test_count: u32,
    /// Where runs are kept.
    pub store: PathBuf,
    /// Whether the nodes are left running after the verdict.
    pub keep_running: bool,
    /// The node program, if not the usual one.
    pub node_binary: Option<PathBuf>,
    /// Whether stdout gets JSON lines.
    pub json: bool,
    /// Where JUnit XML goes.
    pub junit: Option<PathBuf>,
}

/// Why a series ended early.
#[derive(Debug, thiserror::Error)]
enum SeriesError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Internal(String),
}

impl SeriesError {
    fn exit(&self) -> Exit {
        match self {
            SeriesError::Usage(_) => Exit::Usage,
            SeriesError::Internal(_) => Exit::Internal,
        }
    }
}

/// Runs the tests; the worst of their ends.
pub async fn run(series: Series) -> Exit {
    let refused = |line: &dyn std::fmt::Display| {
        eprintln!("harness: {line}");
        Exit::Usage
    };
    let (system, remark) = match find(&series) {
        Err(error) => return refused(&error),
        Ok(found) => found,
    };
    if let Some(line) = unnameable(&series, &system) {
        return refused(&line);
    }
    let hosts = match connect(&series, &system).await {
        Err(HostsError::System(what, error)) => {
            eprintln!("harness: can't {what}: {error}");
            return Exit::Internal;
        }
        Err(error) => return refused(&error),
        Ok(hosts) => hosts,
    };
    let remarks: Vec<String> = series.remark.iter().cloned().chain(remark).collect();
    let subject = Subject {
        system,
        remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
        hosts,
    };
    let exit = run_all(&series, &subject).await;
    if let Some(hosts) = subject.hosts {
        hosts.close().await;
    }
    exit
}

/// What is tested, and where.
struct Subject {
    system: System,
    /// What there is to say of that.
    remark: Option<String>,
    /// Where its nodes run; `None`: on this machine.
    hosts: Option<Hosts>,
}

/// The hosts, if some were named.
async fn connect(series: &Series, system: &System) -> Result<Option<Hosts>, HostsError> {
    match &series.options.hosts {
        Some(hosts) => Hosts::connect(hosts, system.program()).await.map(Some),
        None => Ok(None),
    }
}

/// That JSON, in which a run is recorded, and the arguments of a node can't name one of the paths, if so.
fn unnameable(series: &Series, system: &System) -> Option<String> {
    let paths = [
        ("the store", series.store.as_path()),
        ("the node program", system.program()),
    ];
    let (what, path) = paths.into_iter().find(|(_, path)| path.to_str().is_none())?;
    Some(format!(
        "{what} {} is no UTF-8, in which a run is recorded",
        path.display()
    ))
}

/// Why there is no system to run.
#[derive(Debug, thiserror::Error)]
enum FindError {
    #[error(transparent)]
    Node(#[from] BinaryError),
    #[error(transparent)]
    Other(#[from] SystemError),
}

/// The system, and what there is to say of it.
fn find(series: &Series) -> Result<(System, Option<String>), FindError> {
    let Some(adapter) = systems::find(&series.options.system)? else {
        let (binary, remark) = locate(series)?;
        return Ok((System::Node(binary), remark));
    };
    let remark = match &series.replayed_node {
        Some((_, version)) if *version != adapter.profile().version => Some(format!(
            "that run was of version {version} of {}, and this is {}",
            series.options.system,
            adapter.profile().version
        )),
        Some(_) | None => None,
    };
    Ok((System::Other(adapter), remark))
}

/// The node program, and what there is to say of it.
fn locate(series: &Series) -> Result<(Binary, Option<String>), BinaryError> {
    let Some((path, version)) = &series.replayed_node else {
        return Ok((Binary::locate(series.node_binary.as_deref())?, None));
    };
    let located = match &series.node_binary {
        Some(given) => Binary::locate(Some(given)),
        None => Binary::locate_again(path),
    };
    let (binary, gone) = match located {
        Ok(binary) => (binary, None),
        Err(error) if series.node_binary.is_some() => return Err(error),
        Err(error) => (Binary::locate(None)?, Some(error)),
    };
    let remark = match gone {
        Some(error) => Some(format!(
            "the program of that run can't be run again, and {} takes its place: {error}",
            binary.path().display()
        )),
        None if binary.version() != version => Some(format!(
            "that run was of version {version} of the node, and this is {}",
            binary.version()
        )),
        None => None,
    };
    Ok((binary, remark))
}

async fn run_all(series: &Series, subject: &Subject) -> Exit {
    let interrupt = CancellationToken::new();
    if let Err(error) = listen_for_signals(interrupt.clone()) {
        eprintln!("harness: can't listen for signals: {error}");
        return Exit::Internal;
    }
    // Before the first test: what can't be kept is better not begun.
    let junit = match series.junit.as_deref().map(File::create).transpose() {
        Ok(junit) => junit,
        Err(error) => return unwritable(series, &error),
    };
    let live = Arc::new(Live::new(series.test_count == 1));
    let mut worst = Exit::Valid;
    let mut done = Vec::new();
    for number in 0..series.test_count {
        if interrupt.is_cancelled() {
            worst = worst.max(Exit::Unknown);
            break;
        }
        let (results, error) = run_one(series, subject, &live, &interrupt, number).await;
        worst = worst.max(results.exit());
        done.push(results);
        if let Some(error) = error {
            live.clear();
            eprintln!("harness: {error}");
            worst = worst.max(error.exit());
            break;
        }
    }
    if series.test_count > 1 {
        summarize(series, &done);
    }
    if let Some(mut junit) = junit
        && let Err(error) = junit.write_all(report::junit(&done).as_bytes())
    {
        worst = worst.max(unwritable(series, &error));
    }
    worst
}

/// The JUnit file can't be written.
fn unwritable(series: &Series, error: &std::io::Error) -> Exit {
    let path = series.junit.as_deref().unwrap_or(Path::new(""));
    eprintln!("harness: can't write {}: {error}", path.display());
    Exit::Usage
}

fn introduce(series: &Series, subject: &Subject, live: &Live) {
    let (options, system) = (&series.options, &subject.system);
    live.say(&format!(
        "{} nodes of {} ({}), {} clients, {}, seed {}",
        options.nodes,
        system.program().display(),
        system.version(),
        options.concurrency,
        humantime::format_duration(options.time_limit),
        series.seed
    ));
    if let Some(hosts) = &options.hosts {
        live.say(&format!(
            "on {}; nodes listen at the addresses of these, and ask nobody who he is",
            hosts.names.join(", ")
        ));
    }
    if options.nodes <= 2 {
        live.say(&format!(
            "a cluster of {} tolerates the loss of no node; 3 tolerate that of one",
            options.nodes
        ));
    }
    if series.replay && series.schedule.is_none() {
        live.say("that run was interrupted before its faults were recorded; its seed makes faults like them");
    }
}

/// What a test came to, which stands whatever else went wrong, and what did.
async fn run_one(
    series: &Series,
    subject: &Subject,
    live: &Arc<Live>,
    interrupt: &CancellationToken,
    number: u32,
) -> (Results, Option<SeriesError>) {
    let seed = if series.replay {
        series.seed
    } else {
        seed::of_test(series.seed, number)
    };
    let mut test = Test::new(&subject.system, seed, series.options.clone());
    let directory = match RunDirectory::create(&series.store, &test) {
        Ok(directory) => directory,
        Err(error) => {
            let results = test::not_begun(&test, &series.store.join(&series.options.workload), &error);
            let error = SeriesError::Usage(error.to_string());
            tell(series, &results, Some(&error), number);
            return (results, Some(error));
        }
    };
    test.schedule = series.schedule.clone();
    if number == 0 {
        // Only now: what can't begin is refused in one line.
        introduce(series, subject, live);
        if let Some(remark) = &subject.remark {
            live.say(remark);
        }
    }
    let label = if series.test_count > 1 {
        format!("test {}/{}  ", number + 1, series.test_count)
    } else {
        String::new()
    };
    let surroundings = Surroundings {
        system: &subject.system,
        hosts: subject.hosts.as_ref(),
        remark: subject.remark.as_deref(),
        directory: &directory,
        live,
        interrupt,
        label,
        keep_running: series.keep_running,
    };
    let Tested {
        results,
        cluster,
        error,
    } = test::run(&mut test, &surroundings).await;
    let error = error.map(|error| series_error(series, &error));
    let written = directory.write_words(&results);
    live.clear();
    tell(series, &results, error.as_ref(), number);
    if let Some(cluster) = cluster {
        keep(&cluster, live, interrupt).await;
        cluster.stop().await;
        for line in cluster.fetch().await {
            live.say(&line);
        }
    }
    let unwritten = written.err().map(|error| error.to_string());
    let wrong = results.dispute().or(unwritten).map(SeriesError::Internal);
    (results, error.or(wrong))
}

/// A node that does not start because of what the user has it called with is the user's affair.
fn series_error(series: &Series, error: &TestError) -> SeriesError {
    let words = error.to_string();
    let theirs = matches!(series.options.system, SystemName::File(_))
        || !series.options.node_args.is_empty()
        || series.node_binary.is_some();
    match error {
        TestError::Cluster(ClusterError::Folder { .. })
        | TestError::Directory(DirectoryError::Write { .. }) => SeriesError::Usage(words),
        TestError::Cluster(ClusterError::Start { .. }) if theirs => SeriesError::Usage(words),
        TestError::Cluster(_) | TestError::Directory(DirectoryError::Read { .. }) | TestError::Check => {
            SeriesError::Internal(words)
        }
    }
}

/// Prints what came of a test: all of it for a single one, a line for one of a series that is valid. Of one that can't work as it was
/// asked for, the line that says why is enough.
fn tell(series: &Series, results: &Results, error: Option<&SeriesError>, number: u32) {
    if let Some(SeriesError::Usage(_)) = error {
        if series.json {
            print(&format!("{}\n", results.summary.line()));
        }
        return;
    }
    let brief = series.test_count > 1 && results.summary.valid == Valid::True;
    let words = |paint| {
        if brief {
            let summary = &results.summary;
            format!(
                "{}  test {}/{}  seed {}  {} operations, {} elections  {}\n",
                paint_of(summary.valid, paint),
                number + 1,
                series.test_count,
                summary.seed,
                grouped(summary.ops.total()),
                summary.elections.unwrap_or(0),
                summary.faults()
            )
        } else {
            format!("\n{}", report::render(results, paint, report::program()))
        }
    };
    if series.json {
        eprint!("{}", words(Paint::for_stream(&std::io::stderr())));
        print(&format!("{}\n", results.summary.line()));
    } else {
        print(&words(Paint::for_stream(&std::io::stdout())));
    }
}

fn paint_of(valid: Valid, paint: Paint) -> String {
    match valid {
        Valid::True => paint.good("valid"),
        Valid::False => paint.bad("violation"),
        Valid::Unknown => paint.doubtful("unknown"),
    }
}

/// The last words on a series.
fn summarize(series: &Series, done: &[Results]) {
    let count = |valid| {
        done.iter()
            .filter(|results| results.summary.valid == valid)
            .count()
    };
    let line = format!(
        "{} of {} tests: {} valid, {} violations, {} unknown\n",
        done.len(),
        series.test_count,
        count(Valid::True),
        count(Valid::False),
        count(Valid::Unknown)
    );
    if series.json {
        eprint!("{line}");
    } else {
        print(&line);
    }
}

/// Leaves the nodes running until somebody interrupts.
async fn keep(cluster: &Cluster, live: &Live, interrupt: &CancellationToken) {
    live.say("\nThe nodes go on until Ctrl-C:");
    for node in cluster.nodes() {
        match cluster.client_address(node) {
            Some(address) => live.say(&format!("  node {node}  {address}")),
            None => live.say(&format!("  node {node}  is down")),
        }
    }
    interrupt.cancelled().await;
}

/// The first SIGINT or SIGTERM ends the load, and what is there is checked; the second ends the program. The nodes die with it.
fn listen_for_signals(interrupt: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
            if interrupt.is_cancelled() {
                std::process::exit(i32::from(Exit::Unknown.code()));
            }
            interrupt.cancel();
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake;

    /// One test of one node of this program.
    fn series(store: &Path, serve: &str) -> Series {
        Series {
            options: Options::brief(1),
            remark: None,
            seed: 1,
            schedule: None,
            replay: false,
            replayed_node: None,
            test_count: 1,
            store: store.to_owned(),
            keep_running: false,
            node_binary: Some(fake::program(store, serve)),
            json: false,
            junit: None,
        }
    }

    #[tokio::test]
    async fn a_violation_outranks_a_folder_that_cant_be_written() {
        let store = tempfile::tempdir().unwrap();
        // The results can't be put in the place of a folder.
        let serve = r#"mkdir -p "$folder/../../../results.json"; echo "thread 'main' panicked at x.rs:1" >&2
echo 'ready {"listen":"127.0.0.1:1"}'; exit 255"#;
        assert_eq!(run(series(store.path(), serve)).await, Exit::Violation);
    }

    #[tokio::test]
    async fn a_test_whose_nodes_dont_start_is_an_error_among_the_results() {
        let store = tempfile::tempdir().unwrap();
        let junit = store.path().join("junit.xml");
        let failing = Series {
            junit: Some(junit.clone()),
            test_count: 3,
            ..series(store.path(), "echo 'no room' >&2; exit 254")
        };
        assert_eq!(run(failing).await, Exit::Usage);
        let xml = std::fs::read_to_string(&junit).unwrap();
        assert!(xml.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{xml}");
        assert!(
            xml.contains("<error message=\"node 1 did not start: exit status: 254: no room\">"),
            "{xml}"
        );
        let results = RunDirectory::of(&store.path().join("latest"))
            .results()
            .unwrap()
            .unwrap();
        assert_eq!(results.summary.valid, Valid::Unknown);
    }

    #[tokio::test]
    async fn a_node_that_found_no_room_for_its_last_words_is_not_blamed() {
        let store = tempfile::tempdir().unwrap();
        let junit = store.path().join("junit.xml");
        // Its run's folder is gone, and nothing can be written there any more.
        let failing = Series {
            junit: Some(junit.clone()),
            ..series(
                store.path(),
                r#"rm -r "$(realpath "$folder/../../..")"; exit 255"#,
            )
        };
        assert_eq!(run(failing).await, Exit::Usage);
        let xml = std::fs::read_to_string(&junit).unwrap();
        assert!(xml.contains("<error message=\"can't write "), "{xml}");
    }

    #[test]
    fn a_replay_runs_the_program_of_the_run_unless_another_one_is_named() {
        let (store, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let given = fake::program(other.path(), fake::SERVES).canonicalize().unwrap();
        let mut replay = series(store.path(), fake::SERVES);
        let recorded = replay.node_binary.take().unwrap().canonicalize().unwrap();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        replay.replayed_node = Some((recorded.clone(), version));
        let (binary, remark) = locate(&replay).unwrap();
        assert_eq!((binary.path(), remark), (recorded.as_path(), None));

        replay.replayed_node = Some((recorded, String::from("0.0.1")));
        let (_, remark) = locate(&replay).unwrap();
        assert!(remark.unwrap().contains("version 0.0.1"));

        replay.node_binary = Some(given.clone());
        replay.replayed_node = Some((store.path().join("gone"), String::from("0.0.1")));
        assert_eq!(locate(&replay).unwrap().0.path(), given);
    }

    #[tokio::test]
    async fn a_store_that_json_cant_name_is_refused_before_the_first_test() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join(std::ffi::OsStr::from_bytes(b"s\xff4"));
        let refused = Series {
            store: store.clone(),
            ..series(folder.path(), "exit 254")
        };
        assert_eq!(run(refused).await, Exit::Usage);
        assert!(!store.exists());
    }

    #[tokio::test]
    async fn a_junit_file_that_cant_be_written_is_refused_before_the_first_test() {
        let store = tempfile::tempdir().unwrap();
        let refused = Series {
            junit: Some(store.path().join("nowhere/junit.xml")),
            ..series(store.path(), "exit 254")
        };
        assert_eq!(run(refused).await, Exit::Usage);
        assert!(!store.path().join("latest").exists());
    }
}
