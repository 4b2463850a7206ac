//! What is said of a command line that can't be understood: one line, and the same one by every program of the project.
//!
//! It neither prints nor exits: how a program ends is its own.

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Why a command line is not a command.
#[derive(Debug, PartialEq, Eq)]
pub enum NoCommand {
    /// It asks for help or the version: this.
    Shown(String),
    /// It can't be understood; in one line.
    Wrong(String),
}

/// Understands a command line. `commands` says which commands there are, to whoever names none, or another one.
///
/// # Errors
/// It is no command.
pub fn parse<C: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    commands: &str,
) -> Result<C, NoCommand> {
    C::try_parse_from(arguments).map_err(|error| {
        let (kind, rendered) = (error.kind(), error.render().to_string());
        if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return NoCommand::Shown(rendered);
        }
        if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return NoCommand::Wrong(format!("a command is needed; {commands}"));
        }
        let line = one_line(&rendered);
        if kind == ErrorKind::InvalidSubcommand {
            return NoCommand::Wrong(format!("{line}; {commands}"));
        }
        if is_number_below_zero(&error) {
            return NoCommand::Wrong(format!("{line}; no number may be below zero there"));
        }
        NoCommand::Wrong(line)
    })
}

/// Whether a number below zero was taken for a flag, where no word could be that clap would know how to pass.
fn is_number_below_zero(error: &clap::Error) -> bool {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument,
        Some(_) | None => return false,
    };
    error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::Suggested).is_none()
        && argument.starts_with('-')
        && argument.parse::<f64>().is_ok()
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
    use clap::Subcommand;

    #[derive(Debug, PartialEq, Parser)]
    #[command(version)]
    struct Cli {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, PartialEq, Subcommand)]
    enum Command {
        /// Goes.
        Go {
            /// How far.
            #[arg(long)]
            far: u32,
        },
    }

    fn of(arguments: &[&str]) -> Result<Cli, NoCommand> {
        let arguments = ["program"].iter().chain(arguments).map(OsString::from);
        parse(arguments, "there is go")
    }

    #[test]
    fn each_mistake_is_one_line_that_says_what_is_wrong() {
        for (arguments, expected) in [
            (&[][..], "a command is needed; there is go"),
            (&["fly"], "unrecognized subcommand 'fly'; there is go"),
            (
                &["go"],
                "the following required arguments were not provided: --far <FAR>",
            ),
            (
                &["go", "--far", "x"],
                "invalid value 'x' for '--far <FAR>': invalid digit found in string",
            ),
            (
                &["go", "--fa", "1"],
                "unexpected argument '--fa' found; a similar argument exists: '--far'",
            ),
            (
                &["go", "--far", "-1"],
                "unexpected argument '-1' found; no number may be below zero there",
            ),
        ] {
            assert_eq!(of(arguments), Err(NoCommand::Wrong(expected.to_owned())));
        }
    }

    #[test]
    fn help_and_version_are_shown_and_a_command_is_understood() {
        for argument in ["--help", "--version"] {
            assert!(matches!(of(&[argument]), Err(NoCommand::Shown(_))), "{argument}");
        }
        let command = Command::Go { far: 1 };
        assert_eq!(of(&["go", "--far", "1"]), Ok(Cli { command }));
    }
}
