//! The types of files, by their names: what others wrote is never guessed at.

use std::ffi::OsStr;
use std::path::Path;

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml";
/// What is only to be kept.
pub(super) const BYTES: &str = "application/octet-stream";

/// The folders of what nodes keep for themselves, whatever it is called.
const DATA: &str = "data";

/// The type of a file.
pub(super) fn kind_of(path: &Path) -> &'static str {
    if path.iter().any(|name| name == DATA) {
        return BYTES;
    }
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    match name.rsplit_once('.').map_or(name, |(_, ending)| ending) {
        "html" => HTML,
        "svg" => SVG,
        "json" => JSON,
        "jsonl" | "txt" | "log" | "toml" | "conf" | "edn" | "xml" | "md" => TEXT,
        _ => BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_by_its_name_is_bytes_to_keep() {
        let kind = |name| kind_of(Path::new(name));
        assert_eq!(kind("nodes/1/log"), TEXT);
        assert_eq!(kind("a/history.jsonl"), TEXT);
        assert_eq!(kind("a/report.html"), HTML);
        for unknown in [
            "segment.7",
            "a.js",
            "a.html.gz",
            "lock",
            "x.HTML",
            "nodes/1/data/wal-0000000000000001.log",
            "nodes/1/data/x.html",
            "",
        ] {
            assert_eq!(kind(unknown), BYTES, "{unknown}");
        }
    }
}
