//! What is said while a run goes on, on stderr: on a terminal one line that stays up to date, elsewhere a line now and then.

use crate::record::Counts;
use crate::report::text::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two status lines where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// A check that is behind by fewer operations than this is not worth a word: so many are in flight, or have just been.
const BEHIND_SHOWN_MIN: u64 = 1_000;

/// See the module's documentation.
pub struct Live {
    /// The line that stays up to date, on a terminal.
    line: Option<ProgressBar>,
    /// Whether faults and elections are told as they happen.
    tells: bool,
    said: Mutex<Instant>,
}

/// How a run is at the moment.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Which test of how many; empty if there is only one.
    pub test: String,
    /// Since the load began.
    pub elapsed: Duration,
    /// Operations completed a second, lately.
    pub rate: u64,
    /// Operations completed.
    pub counts: Counts,
    /// Who leads.
    pub leader: Option<u64>,
    /// The current term.
    pub term: u64,
    /// The fault in force.
    pub fault: Option<String>,
    /// How many operations the check beside the run is behind.
    pub behind: u64,
}

impl Live {
    /// Begins. A series of tests is told less of than a single one.
    pub fn new(tells: bool) -> Live {
        let line = std::io::stderr().is_terminal().then(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            line.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is well-formed"));
            line
        });
        Live {
            line,
            tells,
            said: Mutex::new(Instant::now()),
        }
    }

    /// Something happened, `at` a time since the load began.
    pub fn event(&self, at: Duration, what: &str) {
        if self.tells {
            self.say(&format!("{:>8.2} s  {what}", at.as_secs_f64()));
        }
    }

    /// A line that matters.
    pub fn say(&self, text: &str) {
        match &self.line {
            Some(line) => line.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// How it is at the moment.
    pub fn status(&self, moment: &Moment) {
        match &self.line {
            Some(line) => line.set_message(moment.to_string()),
            None => {
                let mut said = self.said.lock().expect("nothing panics while it holds the lock");
                if said.elapsed() >= PLAIN_INTERVAL {
                    *said = Instant::now();
                    eprintln!("{moment}");
                }
            }
        }
    }

    /// What goes on in place of a status.
    pub fn doing(&self, what: &str) {
        if let Some(line) = &self.line {
            line.set_message(format!("{what} …"));
        }
    }

    /// Takes the line away, before a result is printed.
    pub fn clear(&self) {
        if let Some(line) = &self.line {
            line.set_message("");
            line.finish_and_clear();
            line.reset();
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}{:>8.1} s  {}/s  ok {} · fail {} · info {}  ",
            self.test,
            self.elapsed.as_secs_f64(),
            grouped(self.rate),
            grouped(self.counts.ok),
            grouped(self.counts.fail),
            grouped(self.counts.info)
        )?;
        match self.leader {
            Some(leader) => write!(f, "n{leader} leads, term {}", self.term)?,
            None => write!(f, "no leader, term {}", self.term)?,
        }
        if let Some(fault) = &self.fault {
            write!(f, "  [{fault}]")?;
        }
        if self.behind >= BEHIND_SHOWN_MIN {
            write!(f, "  check {} behind", grouped(self.behind))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_behind_by_more_than_a_little_is_told_of() {
        let moment = |behind| Moment {
            fault: Some(String::from("kill leader n1")),
            behind,
            ..Moment::default()
        };
        let calm = moment(999).to_string();
        assert!(calm.ends_with("no leader, term 0  [kill leader n1]"), "{calm}");
        assert_eq!(moment(12_345).to_string(), calm + "  check 12,345 behind");
    }
}
