//! Programs that tests write and carry out.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes `program` a shell script that can be carried out.
///
/// A process of its own writes it. This one starts others at the same time, which hold what it has open for writing until they are somebody
/// else; and what anybody has open for writing is not carried out.
pub(crate) fn write(program: &Path, script: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", r#"cat > "$0" && chmod 755 "$0""#])
        .arg(program)
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut stdin = writer.stdin.take().expect("it is piped");
    stdin.write_all(script.as_bytes()).expect("it is read");
    drop(stdin);
    let written = writer.wait().expect("it is ours");
    assert!(
        written.success(),
        "{} can be written: {written}",
        program.display()
    );
}
