//! The command lines of ssh.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::Command;

/// The program, from `PATH`.
const SSH: &str = "ssh";

/// What a connection is whatever the user's configuration says. It asks nobody anything, forwards nothing, and ends with the harness.
const ALWAYS: [&str; 8] = [
    "BatchMode=yes",
    "ControlMaster=yes",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
];

/// What it is unless the user's arguments say otherwise: a host that is silent for long is lost.
const USUALLY: [&str; 3] = [
    "ConnectTimeout=10",
    "ServerAliveInterval=3",
    "ServerAliveCountMax=4",
];

/// What opens the connection to `host`, which others share by the socket `control`, and carries out `command` there.
pub(super) fn connect(host: &str, user_args: &[String], control: &Path, command: &OsStr) -> Command {
    let mut ssh = Command::new(SSH);
    for option in ALWAYS {
        ssh.args(["-o", option]);
    }
    ssh.args(user_args);
    for option in USUALLY {
        ssh.args(["-o", option]);
    }
    // Of options the first one counts, and of these the last one.
    ssh.arg("-T").arg("-S").arg(control);
    ssh.arg("--").arg(host).arg(command);
    ssh
}

/// What carries out `command` over the connection by the socket `control`, and opens no other one when that is gone.
pub(super) fn share(host: &str, control: &Path, command: &OsStr) -> Command {
    let mut ssh = Command::new(SSH);
    ssh.args([
        "-F",
        "none",
        "-T",
        "-o",
        "BatchMode=yes",
        "-o",
        "ControlMaster=no",
    ])
    .args(["-o", "ProxyCommand=false", "-o", "LogLevel=ERROR"])
    .arg("-S")
    .arg(control)
    .arg("--")
    .arg(host)
    .arg(command);
    ssh
}

/// The line by which a shell there starts the program `words[0]` with the arguments behind it.
///
/// # Errors
/// There is a byte 0 in one, which no argument can have.
pub(super) fn line(words: &[&OsStr]) -> io::Result<OsString> {
    let words = words.iter().map(|word| word.as_bytes());
    let line = shlex::bytes::try_join(words).map_err(io::Error::other)?;
    Ok(OsString::from_vec([b"exec ", line.as_slice()].concat()))
}

/// The line by which a shell there carries out `script`, in which `$1` is the first of `words`.
///
/// # Errors
/// As of [`line`].
pub(super) fn script_line(script: &str, words: &[&OsStr]) -> io::Result<OsString> {
    let mut all = ["sh", "-c", script, "sh"].map(OsStr::new).to_vec();
    all.extend(words);
    line(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_word_reaches_the_program_there() {
        let words = [
            "a b",
            "",
            "'",
            "\"$HOME`id`\"",
            "\\",
            "-n",
            "*",
            "new\nline",
            "; exit 1",
            "ä!",
        ];
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        let line = script_line(r#"printf '%s\0' "$@""#, &words).unwrap();
        // As a server does: the user's shell gets the line.
        let said = Command::new("/bin/sh").arg("-c").arg(line).output().unwrap();
        let expected: Vec<u8> = words
            .iter()
            .flat_map(|word| [word.as_bytes(), b"\0"].concat())
            .collect();
        assert_eq!(said.stdout, expected);
    }

    #[test]
    fn a_host_is_no_option_and_users_do_not_change_what_a_connection_always_is() {
        let user_args = [
            "-S",
            "/elsewhere",
            "-o",
            "ControlMaster=no",
            "-oServerAliveInterval=9",
        ]
        .map(str::to_owned);
        let ssh = connect(
            "-oProxyCommand=id",
            &user_args,
            Path::new("/socket"),
            OsStr::new("line"),
        );
        let args: Vec<&str> = ssh.get_args().map(|arg| arg.to_str().unwrap()).collect();
        let place = |wanted| args.iter().position(|arg| *arg == wanted).unwrap();
        assert_eq!(args[args.len() - 3..], ["--", "-oProxyCommand=id", "line"]);
        assert!(place("ControlMaster=yes") < place("ControlMaster=no"));
        assert!(place("-oServerAliveInterval=9") < place("ServerAliveInterval=3"));
        assert!(place("/elsewhere") < place("/socket"));
        let ssh = share("-oProxyCommand=id", Path::new("/socket"), OsStr::new("line"));
        let args: Vec<&OsStr> = ssh.get_args().collect();
        assert_eq!(args[args.len() - 3..], ["--", "-oProxyCommand=id", "line"]);
    }

    #[test]
    fn a_byte_that_no_argument_can_have_is_an_error() {
        assert!(line(&[OsStr::new("a\0b")]).is_err());
    }
}
