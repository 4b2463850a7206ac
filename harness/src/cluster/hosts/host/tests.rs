use super::*;

/// What comes of a script here, as a host's server carries it out.
fn carried_out(script: &str, words: &[&str]) -> io::Result<Vec<u8>> {
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    let line = ssh::script_line(script, &words).unwrap();
    let shell = Command::new("/bin/sh")
        .arg("-c")
        .arg(line)
        .stdin(Stdio::null())
        .output();
    succeeded(shell.unwrap())
}

/// A host to which there is no connection; whatever is to be carried out there is carried out here.
fn host() -> Host {
    Host {
        name: String::from("a"),
        control: PathBuf::new(),
        folder: PathBuf::new(),
        address: [127, 0, 0, 1].into(),
        address_of_harness: [127, 0, 0, 1].into(),
        one_command: Semaphore::new(1),
        beats: Arc::default(),
        ended: watch::channel(None).1,
        given_up: OnceLock::new(),
    }
}

#[tokio::test]
async fn a_host_that_does_not_come_to_the_end_of_a_command_is_given_up() {
    let host = host();
    let output = host.run(Command::new("cat"), b"words".to_vec()).await.unwrap();
    assert_eq!((output.stdout.as_slice(), host.lost()), (&b"words"[..], None));
    let mut endless = Command::new("sleep");
    endless.arg("600");
    let limit = Duration::from_millis(50);
    host.run_or_give_up(endless, Vec::new(), limit).await.unwrap_err();
    let lost = "host a was lost: it did not answer for 50ms";
    assert_eq!(host.lost().as_deref(), Some(lost));
    // And is asked for nothing more.
    let refused = host.run(Command::new("true"), Vec::new()).await;
    assert_eq!(refused.unwrap_err().to_string(), lost);
}

#[tokio::test]
async fn what_a_command_says_has_bounds() {
    let said = &b"12345"[..];
    assert_eq!(all_of(Some(said), 5).await.unwrap(), said);
    assert!(all_of(Some(said), 4).await.is_err());
    assert_eq!(beginning_of(Some(said), 4).await.unwrap(), b"1234");
}

#[test]
fn a_host_without_room_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // Where there never is room.
    std::os::unix::fs::symlink("/dev/full", dir.path().join("room")).unwrap();
    let error = carried_out(PROBE, &[dir.path().to_str().unwrap()]).unwrap_err();
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_host_with_room_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    carried_out(PROBE, &[dir.path().to_str().unwrap()]).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
