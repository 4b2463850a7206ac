//! The ticks of `node serve`: when a node stands for election, and how often a leader lets itself be heard.

use raft::Timing;
use serde::Deserialize;
use std::str::FromStr;

const ELECTION_TICKS: ElectionTicks = ElectionTicks { min: 15, max: 30 };
const HEARTBEAT_TICKS: u32 = 4;

/// The range of election time-outs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ElectionTicks {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl FromStr for ElectionTicks {
    type Err = String;

    fn from_str(text: &str) -> Result<ElectionTicks, String> {
        let parse = |(min, max): (&str, &str)| {
            Some(ElectionTicks {
                min: min.parse().ok()?,
                max: max.parse().ok()?,
            })
        };
        let ticks = text
            .split_once("..")
            .and_then(parse)
            .ok_or_else(|| format!("{text:?} is not MIN..MAX, as in 15..30"))?;
        if ticks.min >= ticks.max {
            return Err("MAX must be more than MIN, as in 15..30".to_string());
        }
        Ok(ticks)
    }
}

impl TryFrom<String> for ElectionTicks {
    type Error = String;

    fn try_from(text: String) -> Result<ElectionTicks, String> {
        text.parse()
    }
}

/// What `--election-ticks` and `--heartbeat-ticks` come to, where they were given.
///
/// # Errors
/// They don't go together; in words.
pub(super) fn timing(election: Option<ElectionTicks>, heartbeat: Option<u32>) -> Result<Timing, String> {
    let ElectionTicks { min, max } = election.unwrap_or(ELECTION_TICKS);
    let heartbeat_ticks = heartbeat.unwrap_or(HEARTBEAT_TICKS);
    if heartbeat_ticks == 0 {
        return Err("--heartbeat-ticks must be at least 1".to_string());
    }
    if heartbeat_ticks >= min {
        let by_default = |is_given: bool, default: &'static str| if is_given { "" } else { default };
        return Err(format!(
            "--heartbeat-ticks {heartbeat_ticks}{} must be less than the MIN of --election-ticks {min}..{max}{}",
            by_default(heartbeat.is_some(), ", the default,"),
            by_default(election.is_some(), ", the default"),
        ));
    }
    let timing = Timing {
        election_ticks_min: min,
        election_ticks_max: max,
        heartbeat_ticks,
    };
    timing.validate().map_err(|error| error.to_string())?;
    Ok(timing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_go_from_less_to_more() {
        for (text, part) in [
            ("5..3", "MAX must be more than MIN"),
            ("5..5", "MAX must be more than MIN"),
            ("5", "\"5\" is not MIN..MAX"),
            ("5..x", "\"5..x\" is not MIN..MAX"),
        ] {
            let error = text.parse::<ElectionTicks>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_told_by_the_flags_that_set_it() {
        let ticks = |text: &str| text.parse::<ElectionTicks>().ok();
        for (election, heartbeat, expected) in [
            (None, Some(0), "--heartbeat-ticks must be at least 1"),
            (
                None,
                Some(15),
                "--heartbeat-ticks 15 must be less than the MIN of --election-ticks 15..30, the default",
            ),
            (
                ticks("4..8"),
                None,
                "--heartbeat-ticks 4, the default, must be less than the MIN of --election-ticks 4..8",
            ),
        ] {
            assert_eq!(timing(election, heartbeat), Err(expected.to_string()));
        }
        assert!(timing(None, None).is_ok());
    }
}
