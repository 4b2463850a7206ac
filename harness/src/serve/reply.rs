//! An answer, and what all answers say of themselves.

use super::archive;
use super::body::Body;
use super::inside::Folder;
use super::kinds::TEXT;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

/// What pages may do: what lies here, and nothing from elsewhere.
const OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What files of a store may do, which others wrote: draw themselves, as documents that have no origin and reach nothing.
const OF_FILES: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; sandbox allow-scripts; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// What all answers say of themselves.
const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// An answer before it is sent.
pub(super) struct Reply {
    status: StatusCode,
    kind: &'static str,
    policy: &'static str,
    headers: Vec<(HeaderName, String)>,
    content: Content,
}

/// What it carries.
pub(super) enum Content {
    Bytes(Bytes),
    Range(File, Range<u64>),
    Archive(Folder, OsString),
}

impl Reply {
    /// A few words, such as those why there is no other answer.
    pub(super) fn words(status: StatusCode, text: &str) -> Reply {
        Reply::new(status, TEXT, Bytes::from(format!("{text}\n")))
    }

    /// What pages are made of, and what they draw.
    pub(super) fn new(status: StatusCode, kind: &'static str, bytes: Bytes) -> Reply {
        Reply {
            status,
            kind,
            policy: OF_PAGES,
            headers: Vec::new(),
            content: Content::Bytes(bytes),
        }
    }

    /// What lies in the store.
    pub(super) fn of_store(status: StatusCode, kind: &'static str, content: Content) -> Reply {
        Reply {
            status,
            kind,
            policy: OF_FILES,
            headers: Vec::new(),
            content,
        }
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// What is sent; without what it carries, where only its head was asked for.
    pub(super) fn into_response(self, head_only: bool) -> Response<Body> {
        let length = match &self.content {
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::Range(_, range) => Some(range.end - range.start),
            Content::Archive(..) => None,
        };
        let body = match self.content {
            _ if head_only => Body::empty(),
            Content::Bytes(bytes) => Body::Whole(bytes),
            Content::Range(mut file, range) => Body::written_by(move |out| {
                file.seek(SeekFrom::Start(range.start))?;
                io::copy(&mut file.take(range.end - range.start), out).map(drop)
            }),
            Content::Archive(folder, name) => {
                Body::written_by(move |out| archive::write(&folder, &name, out))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in ALWAYS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(self.policy),
        );
        if let Some(length) = length.filter(|_| self.status != StatusCode::NOT_MODIFIED) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        for (name, value) in self.headers {
            // Names of files are encoded; nothing else here comes from elsewhere.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
