use super::*;
use std::sync::mpsc;

/// Longer than anything here takes, however slow the machine.
const LONG: Duration = Duration::from_secs(60);

/// A watcher of a node that carries out `node`, a shell script, in a folder below `dir`; as a host's server starts it.
struct Watched {
    reins: Reins,
    ready: oneshot::Receiver<String>,
    end: mpsc::Receiver<End>,
}

fn watch(dir: &Path, node: &str) -> Watched {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", WATCHER, "sh"])
        .arg(dir)
        .args(["nodes/1", "log", "65536", "/bin/sh", "-c", node])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = shell.stdin.take().unwrap();
    let (sender, ready) = oneshot::channel();
    let (tell, answers) = watch::channel(Answers::default());
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(listen(shell, sender, &tell)));
    let orders = Mutex::new(Orders { stdin, given: 0 });
    Watched {
        reins: Reins { orders, answers },
        ready,
        end,
    }
}

impl Watched {
    fn exited(&self) -> (ExitStatus, String) {
        match self.end.recv_timeout(LONG).unwrap() {
            End::Exited { status, said } => (status, said),
            End::Lost(words) => panic!("lost: {words}"),
        }
    }

    async fn is_ready(&mut self) {
        let ready = tokio::time::timeout(LONG, &mut self.ready).await.unwrap();
        assert_eq!(ready.unwrap(), "ready\n");
    }
}

#[tokio::test]
async fn a_node_stands_still_and_goes_on_as_it_is_told_and_its_death_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut watched = watch(dir.path(), "echo words >&2; echo ready; exec sleep 600");
    watched.is_ready().await;
    assert_eq!(watched.reins.is_stopped().await, Some(false));
    watched.reins.signal(Signal::STOP);
    // A signal takes its time.
    while watched.reins.is_stopped().await != Some(true) {}
    watched.reins.signal(Signal::CONT);
    while watched.reins.is_stopped().await != Some(false) {}
    watched.reins.signal(Signal::KILL);
    let (status, said) = watched.exited();
    assert_eq!((status.signal(), said.as_str()), (Some(9), "words\n"));
    assert_eq!(watched.reins.is_stopped().await, None, "it is gone");
    assert!(dir.path().join("nodes/1/log").exists());
}

#[tokio::test]
async fn a_node_is_killed_when_nobody_holds_its_watcher_any_more() {
    let dir = tempfile::tempdir().unwrap();
    // Deaf to being asked.
    let mut watched = watch(
        dir.path(),
        "trap '' TERM HUP; echo ready; while :; do sleep 0.05; done",
    );
    watched.is_ready().await;
    let Watched { reins, end, .. } = watched;
    drop(reins);
    match end.recv_timeout(LONG).unwrap() {
        End::Exited { status, .. } => assert_eq!(status.signal(), Some(9)),
        End::Lost(words) => panic!("lost: {words}"),
    }
}

#[test]
fn how_a_node_ends_by_itself_is_told_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let watched = watch(
        dir.path(),
        "echo \"thread 'main' panicked at x.rs:1\" >&2; seq 500 >&2; exit 255",
    );
    let (status, said) = watched.exited();
    assert_eq!(status.code(), Some(255));
    assert!(said.starts_with("thread 'main' panicked at"), "{said}");
    assert!(said.ends_with("\n500\n"), "{said}");
    // What it has said is not said by the next one.
    let watched = watch(dir.path(), "exit 101");
    let (status, said) = watched.exited();
    assert_eq!((status.code(), said.as_str()), (Some(101), ""));
}

#[test]
fn where_a_node_cant_have_a_folder_the_host_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    for (folder, in_the_way) in [(&*gone, None), (dir.path(), Some(dir.path().join("nodes")))] {
        if let Some(file) = &in_the_way {
            std::fs::write(file, "").unwrap();
        }
        let watched = watch(folder, "exit 0");
        match watched.end.recv_timeout(LONG).unwrap() {
            End::Lost(words) => assert!(
                words.contains(folder.to_str().unwrap()) || words.contains("nodes"),
                "{words}"
            ),
            End::Exited { status, .. } => panic!("{status}"),
        }
    }
    assert!(!gone.exists(), "nothing is made where a folder was removed");
}

#[test]
fn a_folder_is_moved_once_and_into_none_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("data"), dir.path().join("-aside '"));
    let moves = || {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", MOVE, "sh"]).arg(&from).arg(&to);
        shell.output().unwrap()
    };
    std::fs::create_dir(&from).unwrap();
    assert!(moves().status.success());
    assert!(to.is_dir() && !from.exists());
    std::fs::create_dir(&from).unwrap();
    let said = moves();
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        !said.status.success() && words.contains("is there already"),
        "{words}"
    );
    assert!(from.is_dir());
}

#[test]
fn of_a_session_that_breaks_nobody_knows_how_its_node_is() {
    let tell = watch::channel(Answers::default()).0;
    let said = "stat 7 (node) S 1\nConnection closed by 192.0.2.2 port 22\n";
    match hear(said.as_bytes(), &tell) {
        End::Lost(words) => assert_eq!(words, "Connection closed by 192.0.2.2 port 22"),
        End::Exited { status, .. } => panic!("{status}"),
    }
    assert_eq!(tell.borrow().given, 1);
    assert_eq!(tell.borrow().is_stopped, Some(false));
}
