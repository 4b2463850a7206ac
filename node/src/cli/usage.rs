//! What is said of a command line that can't be understood.

use super::Cli;
use std::ffi::OsString;
use usage::NoCommand;

/// Understands a command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, NoCommand> {
    usage::parse(arguments, "`node help` names the commands")
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
}
