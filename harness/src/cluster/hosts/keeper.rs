//! The keeper: a shell that holds what there is on a host, and ends it.
//!
//! It makes a private folder, and in the end kills whatever works in there and removes it. That end has come when its stdin ends, as it does when
//! the harness or the connection dies; or when nothing was heard from the harness for [`SILENCE_MAX`], as after a cable was cut.

use super::ssh;
use crate::cluster::said::{last_words, pass_first_line};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(5);
/// A host that hears nothing for so long ends by itself what it was asked for.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// What the folder's name begins with.
const PREFIX: &str = "rustyraft.";

/// The keeper. Its argument is the longest silence in seconds. Its first line names both ends of the connection, as the server knows them, and
/// the folder.
///
/// A sign of life moves a file, and makes none: that takes no room on a disk that nodes may have filled. Whoever was about to start something
/// while all in the folder is killed is seen when that is looked at again. A message must not be what ends the keeper, nor a terminal.
const KEEPER: &str = r#"umask 077
trap '' HUP PIPE
test -r /proc/self/stat || { echo "it has no /proc, as Linux does" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/rustyraft.XXXXXXXXXX") && folder=$(cd -- "$folder" && pwd -P) && : >"$folder/quiet" || exit
end() {
    looks=0 found=1
    while test -n "$found" && test "$looks" -lt 10; do
        looks=$((looks + 1)) found=
        for process in /proc/[0-9]*; do
            case $(readlink "$process/cwd") in
            "$folder" | "$folder"/*) kill -s KILL "${process#/proc/}" && found=1 ;;
            esac
        done
    done
    rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }
}
echo "$SSH_CONNECTION $folder"
exec 3>&2 2>/dev/null
{
    silence=0
    while test "$silence" -lt "$1"; do
        sleep 1 3>&-
        silence=$((silence + 1))
        if test -e "$folder/heard"; then mv -f -- "$folder/heard" "$folder/quiet"; silence=0; fi
    done
    kill -s KILL $$
    end
    echo "it heard nothing from this machine for $1 s" >&3
} </dev/null >/dev/null &
timer=$!
exec 3>&-
while read -r beat; do test -e "$folder/heard" || mv -f -- "$folder/quiet" "$folder/heard"; done
kill -s KILL "$timer"
end"#;

/// What has a shell be a keeper.
pub(super) fn line() -> io::Result<OsString> {
    let silence = SILENCE_MAX.as_secs().to_string();
    ssh::script_line(KEEPER, &[OsStr::new(&silence)])
}

/// Lets the keeper hear that the harness lives.
pub(super) async fn beat(beats: Weak<Mutex<Option<ChildStdin>>>) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        beat.tick().await;
        let Some(beats) = beats.upgrade() else { return };
        let mut stdin = beats.lock().unwrap_or_else(PoisonError::into_inner);
        // A keeper that is gone hears nothing, and whoever listens to it knows.
        let Some(Ok(())) = stdin.as_mut().map(|stdin| stdin.write_all(b"\n")) else {
            return;
        };
    }
}

/// Passes on the first line of a keeper, and waits for the end of its session; the last words of ssh.
pub(super) fn listen(mut child: Child, first: oneshot::Sender<String>) -> String {
    let stdout = child.stdout.take().expect("it is piped");
    let stderr = child.stderr.take().expect("it is piped");
    let words = std::thread::spawn(move || last_words(stderr));
    pass_first_line(stdout, first);
    let status = child.wait();
    let last = words.join().ok().flatten();
    last.unwrap_or_else(|| match status {
        Ok(status) => format!("ssh ended with {status}"),
        Err(error) => error.to_string(),
    })
}

/// Where the harness is seen, where the host was reached, and the folder there.
pub(super) fn understood(greeting: &str) -> Option<(IpAddr, IpAddr, PathBuf)> {
    let mut words = greeting.strip_suffix('\n')?.splitn(5, ' ');
    let harness = words.next()?.parse().ok()?;
    let address = words.nth(1)?.parse().ok()?;
    let folder = PathBuf::from(words.nth(1)?);
    // All below it is removed in the end.
    let name = folder.file_name()?.to_str()?;
    let is_whole = folder.is_absolute() && name.starts_with(PREFIX);
    is_whole.then_some((harness, address, folder))
}

#[cfg(test)]
mod tests;
