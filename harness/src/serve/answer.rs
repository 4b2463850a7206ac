//! Which question gets which answer.
//!
//! ```text
//! /                    the list          /api/store        what it draws
//! /run/PATH            a folder's page   /api/run/PATH     what it draws
//! /file/PATH           a file, or a range of it; with ?download, to keep
//! /archive/PATH        a folder as one file
//! /-/NAME              what pages are made of
//! ```

use super::body::Body;
use super::details::Details;
use super::inside::{Folder, Opened, Store, decode, encode};
use super::kinds::{BYTES, HTML, JSON, SVG, kind_of};
use super::reply::{Content, Reply};
use super::scan::Scanner;
use crate::report::html::STYLE;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode, Uri};
use rustix::io::Errno;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What pages are made of: names, types and texts.
const PARTS: [(&str, &str, &[&str]); 5] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        &[STYLE, include_str!("page/serve.css")],
    ),
    (
        "common.js",
        "text/javascript; charset=utf-8",
        &[include_str!("page/common.js")],
    ),
    (
        "list.js",
        "text/javascript; charset=utf-8",
        &[include_str!("page/list.js")],
    ),
    (
        "run.js",
        "text/javascript; charset=utf-8",
        &[include_str!("page/run.js")],
    ),
    ("icon.svg", SVG, &[include_str!("page/icon.svg")]),
];

/// Answers questions about a store.
pub(super) struct Answers {
    store: Store,
    scanner: Scanner,
    /// Whether only names of this machine itself are answered to.
    is_local: bool,
}

/// Why there is no other answer, in words.
struct Refused(StatusCode, Cow<'static, str>);

impl From<Refused> for Reply {
    fn from(Refused(status, text): Refused) -> Reply {
        Reply::words(status, &text)
    }
}

/// What came of looking something up.
type Found<T> = Result<T, Refused>;

impl Answers {
    pub(super) fn new(store: Store, is_local: bool) -> Answers {
        Answers {
            scanner: Scanner::new(store.clone()),
            store,
            is_local,
        }
    }

    /// Answers a question. What it carries itself is not looked at.
    pub(super) async fn answer<T>(self: &Arc<Self>, question: Request<T>) -> Response<Body> {
        let (question, _) = question.into_parts();
        let head_only = question.method == Method::HEAD;
        if !head_only && question.method != Method::GET {
            let reply = Reply::words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
            return reply.with(header::ALLOW, "GET, HEAD").into_response(false);
        }
        let answers = Arc::clone(self);
        // Disks may be slow; whoever asks for something else shall not wait for them.
        let looked_up = tokio::task::spawn_blocking(move || {
            answers.is_meant(&question.uri, &question.headers)?;
            answers.look_up(question.uri.path(), question.uri.query(), &question.headers)
        });
        let failed = |_| {
            Err(Refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the harness has failed".into(),
            ))
        };
        let found = looked_up.await.unwrap_or_else(failed);
        found.unwrap_or_else(Reply::from).into_response(head_only)
    }

    /// Whether a question was meant for this server: what a browser was led to think of as another's is none.
    fn is_meant(&self, uri: &Uri, headers: &HeaderMap) -> Found<()> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (host, further) = (hosts.next(), hosts.next());
        let host = host
            .filter(|_| further.is_none())
            .and_then(|host| host.to_str().ok());
        let host = host.ok_or(Refused(StatusCode::BAD_REQUEST, "one Host is needed".into()))?;
        let named = uri.authority().map(|authority| authority.as_str());
        let is_own = |name: &str| !self.is_local || is_of_this_machine(name);
        if is_own(host) && named.is_none_or(is_own) {
            return Ok(());
        }
        let text = "this server is asked by the name of this machine, localhost, or its address only";
        Err(Refused(StatusCode::FORBIDDEN, text.into()))
    }

    fn look_up(&self, address: &str, query: Option<&str>, headers: &HeaderMap) -> Found<Reply> {
        let (what, rest) = address
            .strip_prefix('/')
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
            .ok_or_else(nothing)?;
        match (what, rest) {
            ("", "") => Ok(page(include_str!("page/list.html"))),
            ("-", name) => part(name),
            ("api", "store") => self.listing(headers),
            ("api", rest) => self.details(rest.strip_prefix("run/").ok_or_else(nothing)?),
            ("run", path) => self.page(path),
            ("file", path) => self.file(path, query, headers),
            ("archive", path) => self.archive(path),
            (_, _) => Err(nothing()),
        }
    }

    fn listing(&self, headers: &HeaderMap) -> Found<Reply> {
        let listing = self.scanner.listing().map_err(|error| refused(&error))?;
        let known = headers.get(header::IF_NONE_MATCH);
        let reply = if known.is_some_and(|known| known.as_bytes() == listing.etag.as_bytes()) {
            Reply::new(StatusCode::NOT_MODIFIED, JSON, Bytes::new())
        } else {
            Reply::new(StatusCode::OK, JSON, listing.json)
        };
        Ok(reply.with(header::ETAG, listing.etag))
    }

    fn details(&self, address: &str) -> Found<Reply> {
        let (folder, path) = self.folder(address)?;
        let details = Details::of(&folder, &path, self.store.path());
        let json = serde_json::to_vec(&details).map_err(|error| refused(&error.into()))?;
        Ok(Reply::new(StatusCode::OK, JSON, json.into()))
    }

    /// The page of a folder; of a link such as `latest`, that of the folder where it leads now.
    fn page(&self, address: &str) -> Found<Reply> {
        let (_, path) = self.folder(address)?;
        let real = encode(&path);
        if real == address.strip_suffix('/').unwrap_or(address) {
            return Ok(page(include_str!("page/run.html")));
        }
        let reply = Reply::words(StatusCode::FOUND, &real);
        Ok(reply.with(header::LOCATION, format!("/run/{real}")))
    }

    fn file(&self, address: &str, query: Option<&str>, headers: &HeaderMap) -> Found<Reply> {
        let path = decode(address).ok_or_else(nothing)?;
        let Opened::File(file, length) = self.store.open(&path).map_err(|error| refused(&error))? else {
            return Err(Refused(StatusCode::NOT_FOUND, "that is a folder".into()));
        };
        let kind = kind_of(&path);
        let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let (status, range) = match range.and_then(|range| range_of(range, length)) {
            None => (StatusCode::OK, 0..length),
            Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
            Some(None) => {
                let reply = Reply::words(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter");
                return Ok(reply.with(header::CONTENT_RANGE, format!("bytes */{length}")));
            }
        };
        let content = Content::Range(file, range.clone());
        let mut reply = Reply::of_store(status, kind, content).with(header::ACCEPT_RANGES, "bytes");
        if status == StatusCode::PARTIAL_CONTENT {
            let (first, last) = (range.start, range.end - 1);
            reply = reply.with(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
        }
        if kind == BYTES || query == Some("download") {
            reply = reply.with(header::CONTENT_DISPOSITION, attachment(&path, ""));
        }
        Ok(reply)
    }

    fn archive(&self, address: &str) -> Found<Reply> {
        let (folder, path) = self.folder(address)?;
        let content = Content::Archive(folder, name_of(&path).to_owned());
        let reply = Reply::of_store(StatusCode::OK, "application/x-tar", content);
        Ok(reply.with(header::CONTENT_DISPOSITION, attachment(&path, ".tar")))
    }

    fn folder(&self, address: &str) -> Found<(Folder, PathBuf)> {
        let path = decode(address).ok_or_else(nothing)?;
        match self.store.open(&path).map_err(|error| refused(&error))? {
            Opened::Folder(folder, path) => Ok((folder, path)),
            Opened::File(..) => Err(Refused(StatusCode::NOT_FOUND, "that is no folder".into())),
        }
    }
}

fn page(text: &'static str) -> Reply {
    Reply::new(StatusCode::OK, HTML, Bytes::from_static(text.as_bytes()))
}

fn part(name: &str) -> Found<Reply> {
    let part = PARTS.into_iter().find(|(known, ..)| *known == name);
    let (_, kind, texts) = part.ok_or_else(nothing)?;
    Ok(Reply::new(StatusCode::OK, kind, texts.concat().into()))
}

fn nothing() -> Refused {
    Refused(StatusCode::NOT_FOUND, "there is nothing of that name".into())
}

/// Why something in the store is not shown.
fn refused(error: &io::Error) -> Refused {
    let kind = error.kind();
    if matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory) {
        return nothing();
    }
    let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    if is_loop || matches!(kind, ErrorKind::CrossesDevices | ErrorKind::PermissionDenied) {
        let text = "that leads out of the store, or may not be read";
        return Refused(StatusCode::FORBIDDEN, text.into());
    }
    Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into())
}

/// Whether a name, perhaps with a port, is one of this machine for itself. Names that somebody else gives it may lead anywhere tomorrow.
fn is_of_this_machine(name: &str) -> bool {
    // By itself, an authority is an address.
    let Ok(address) = name.parse::<Uri>() else {
        return false;
    };
    let is_bare = address.scheme().is_none() && address.path().is_empty() && !name.contains('@');
    let host = address.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_bare && (is_loopback || host.eq_ignore_ascii_case("localhost"))
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new("store"))
}

/// That an answer is to be kept, under its name.
fn attachment(path: &Path, ending: &str) -> String {
    format!(
        "attachment; filename*=UTF-8''{}{ending}",
        encode(Path::new(name_of(path)))
    )
}

/// The part of a file that is asked for: `None` if that is not understood, and so all of it; `Some(None)` if the file has no such part.
fn range_of(text: &str, length: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        (_, _) => return None,
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_give_are_of_this_machine() {
        for own in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:1",
            "127.8.0.1",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_of_this_machine(own), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "192.168.0.1",
            "0.0.0.0",
            "::1:x",
        ] {
            assert!(!is_of_this_machine(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_range_is_a_part_of_the_file_or_is_not_understood() {
        for (text, part) in [
            ("bytes=0-9", Some(Some(0..10))),
            ("bytes=90-1000", Some(Some(90..100))),
            ("bytes=90-", Some(Some(90..100))),
            ("bytes=-10", Some(Some(90..100))),
            ("bytes=-1000", Some(Some(0..100))),
            ("bytes=100-", Some(None)),
            ("bytes=100-18446744073709551615", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=9-1", None),
            ("bytes=0-1,3-4", None),
            ("bytes=", None),
            ("lines=0-1", None),
            ("bytes=-", None),
            ("bytes=99999999999999999999999-", None),
        ] {
            assert_eq!(range_of(text, 100), part, "{text}");
        }
        assert_eq!(range_of("bytes=0-", 0), Some(None));
    }

    #[test]
    fn a_file_is_kept_under_its_name_whatever_that_is() {
        let value = attachment(Path::new("a/x\"\r\ny.txt"), ".tar");
        assert_eq!(value, "attachment; filename*=UTF-8''x%22%0D%0Ay.txt.tar");
    }
}
