//! The configuration file of `node serve`: TOML, with the names of the flags as keys.

use super::serve::ServeArgs;
use crate::exit::Failure;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest configuration file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What the file at `path` sets.
pub(crate) fn read(path: &Path) -> Result<ServeArgs, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::Usage(format!("the configuration file {shown}: {error}"));
    // What is no plain file may have no length and yet no end.
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(Failure::Usage(format!(
            "the configuration file {shown} has more than {CONFIG_BYTES_MAX} bytes"
        )));
    }
    parse(&text).map_err(|why| Failure::Usage(format!("the configuration file {shown}: {why}")))
}

fn parse(text: &str) -> Result<ServeArgs, String> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', " ");
        match line {
            Some(line) => format!("line {line}: {message}"),
            None => message,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_keys_are_the_flags() {
        let text = "id = 2\ncluster-id = \"c\"\ncluster = \"1=a:1,2=b:2\"\ntick = \"20ms\"\nelection-ticks = \"5..9\"\n";
        let args = parse(text).unwrap();
        assert_eq!(args.id, Some(2));
        assert_eq!(args.tick.map(|tick| tick.0), Some(Duration::from_millis(20)));
        assert_eq!(
            args.election_ticks.map(|ticks| (ticks.min, ticks.max)),
            Some((5, 9))
        );
        assert_eq!(args.cluster.map(|members| members.0.len()), Some(2));
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("has more than"), "{error}");
    }

    #[test]
    fn unknown_keys_and_bad_values_are_errors_that_name_the_line() {
        let unknown = parse("id = 1\nnonsense = 1\n").unwrap_err();
        assert!(
            unknown.contains("line 2") && unknown.contains("nonsense"),
            "{unknown}"
        );
        let bad = parse("id = 1\n\ntick = \"soon\"\n").unwrap_err();
        assert!(bad.contains("line 3"), "{bad}");
    }
}
