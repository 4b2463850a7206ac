//! What is said of a command line that can't be understood: one line.

use super::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;

/// Why a command line is not a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoCommand {
    /// It asks for help or the version: this.
    Shown(String),
    /// It can't be understood; in one line.
    Wrong(String),
}

/// Understands a command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, NoCommand> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let (kind, rendered) = (error.kind(), error.render().to_string());
        if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return NoCommand::Shown(rendered);
        }
        if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return NoCommand::Wrong("a command is needed; `node help` names them".to_string());
        }
        let line = one_line(&rendered);
        if kind == ErrorKind::InvalidSubcommand {
            return NoCommand::Wrong(format!("{line}; `node help` names the commands"));
        }
        NoCommand::Wrong(line)
    })
}

/// What clap says of an error over several paragraphs, without its usage, in one line.
fn one_line(rendered: &str) -> String {
    let lines: Vec<&str> = rendered
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let line = lines.join(" ").replace(" tip: ", "; ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(arguments: &[&str]) -> String {
        let arguments = ["node"].iter().chain(arguments).map(OsString::from);
        match parse(arguments) {
            Err(NoCommand::Wrong(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_mistake_is_one_line_that_says_what_is_wrong() {
        for (arguments, part) in [
            (&[][..], "a command is needed"),
            (
                &["frobnicate"],
                "unrecognized subcommand 'frobnicate'; `node help`",
            ),
            (&["get", "k"], "were not provided: --endpoints"),
            (&["get", "k", "-e", "nowhere"], "\"nowhere\" is not HOST:PORT"),
            (&["get", "k", "-e", "a:0"], "nobody is reached at port 0"),
            (
                &["get", "k", "-e", "a:1", "--timeout", "0s"],
                "it must be more than zero",
            ),
            (&["remove", "0", "-e", "a:1"], "ids are whole numbers from 1 on"),
            (&["transfer", "x", "-e", "a:1"], "ids are whole numbers from 1 on"),
            (&["add", "4", "-e", "a:1"], "\"4\" is not ID=HOST:PORT"),
            (&["add", "4=a:0", "-e", "a:1"], "nobody is reached at port 0"),
            (
                &["add", "4=a:1", "--learner", "--replacing", "3", "-e", "a:1"],
                "cannot be used with",
            ),
            (
                &["serve", "--election-ticks", "5..3"],
                "invalid value '5..3' for '--election-ticks <MIN..MAX>': MAX must be more than MIN",
            ),
            (
                &["recover", "--data", "d", "--cluster-id", ""],
                "it must have 1 to 64 bytes",
            ),
        ] {
            let line = wrong(arguments);
            assert!(
                line.contains(part),
                "{arguments:?}: {line:?} does not say {part:?}"
            );
            assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
        }
    }

    #[test]
    fn help_and_version_are_shown() {
        for argument in ["--help", "--version"] {
            let shown = parse(["node", argument].map(OsString::from));
            assert!(matches!(shown, Err(NoCommand::Shown(_))), "{argument}");
        }
    }
}
