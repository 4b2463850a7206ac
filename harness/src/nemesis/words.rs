//! What is said of a fault in a report.

use super::{Aim, Fault};
use crate::cluster::{CrashPoint, Damage, Since, Skew};
use crate::node_number::NodeNumber;
use disk::{Done, Errors};
use std::fmt::Write as _;
use std::time::Duration;

impl Fault {
    /// In words: `leader n3`, `halves, cut 1→2 2→1`.
    pub(super) fn describe(&self, aim: Aim) -> String {
        let mut text = aim.name().to_owned();
        match self {
            Fault::Kill(nodes)
            | Fault::Pause(nodes)
            | Fault::Wipe(nodes)
            | Fault::Power(_, nodes)
            | Fault::Full(nodes)
            | Fault::Stall(nodes) => describe_nodes(&mut text, nodes),
            Fault::Transfer(node) => {
                let _ = write!(text, " to n{node}");
            }
            Fault::Member(shape, nodes) => {
                describe_nodes(&mut text, nodes);
                let _ = write!(text, " {}", shape.name());
            }
            Fault::Disk(damage, _, nodes) => {
                describe_nodes(&mut text, nodes);
                text.push_str(match damage {
                    Damage::Torn => ", a torn tail",
                    Damage::Log => ", a bit of the log flipped",
                    Damage::Snapshot => ", a bit of the snapshot flipped",
                });
            }
            Fault::Clock(skew, is_cut_off, nodes) => {
                describe_nodes(&mut text, nodes);
                describe_skew(&mut text, *skew);
                if *is_cut_off {
                    text.push_str(", cut off");
                }
            }
            Fault::CrashPoint(CrashPoint { nth, since, done }, nodes) => {
                describe_nodes(&mut text, nodes);
                let done = match done {
                    Done::Before => "before",
                    Done::After => "after",
                };
                let since = match since {
                    Since::Now => "from now on",
                    Since::Start => "of its next start",
                };
                let _ = write!(text, ", {done} operation {nth} {since}");
            }
            Fault::IoError(errors, _, nodes) => {
                describe_nodes(&mut text, nodes);
                text.push_str(match errors {
                    Errors::Writes => ", writes fail",
                    Errors::Syncs => ", syncs fail",
                });
            }
            Fault::Partition(links) => {
                text.push_str(", cut");
                describe_links(&mut text, links);
            }
            Fault::Slow(pace, links) => {
                let delay_ms_max = pace.delay_ms.saturating_add(pace.jitter_ms);
                if delay_ms_max > 0 {
                    let _ = write!(text, ", {} to {delay_ms_max} ms", pace.delay_ms);
                }
                if let Some(rate) = pace.bytes_per_second {
                    let _ = write!(text, ", {rate} bytes/s");
                }
                text.push(',');
                describe_links(&mut text, links);
            }
            Fault::Flaky(_, links) => {
                text.push(',');
                describe_links(&mut text, links);
            }
        }
        text
    }
}

/// Adds ` n1 n2`.
fn describe_nodes(text: &mut String, nodes: &[NodeNumber]) {
    for node in nodes {
        let _ = write!(text, " n{node}");
    }
}

/// Adds what is wrong with clocks: `, at 0.25 of the usual rate`, `, 2s ahead`.
fn describe_skew(text: &mut String, skew: Skew) {
    let shown = |ms| humantime::format_duration(Duration::from_millis(u64::from(ms)));
    let _ = match skew {
        Skew::Rate(thousandths) => write!(
            text,
            ", clocks at {} times the usual rate",
            f64::from(thousandths) / 1000.0
        ),
        Skew::Jump(ms) => write!(text, ", clocks {} ahead", shown(ms)),
        Skew::Wall(ms) => {
            let way = if ms < 0 { "back" } else { "ahead" };
            write!(text, ", the time of day {} {way}", shown(ms.unsigned_abs()))
        }
    };
}

/// Adds ` 1↔2` for a link in both directions, ` 1→2` for one.
fn describe_links(text: &mut String, links: &[(NodeNumber, NodeNumber)]) {
    for (from, to) in links {
        let both = links.contains(&(*to, *from));
        if both && from < to {
            let _ = write!(text, " {from}↔{to}");
        } else if !both {
            let _ = write!(text, " {from}→{to}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manner;
    use super::*;
    use crate::cluster::Pace;

    #[test]
    fn what_is_slow_says_how_slow() {
        let slow = |delay_ms, jitter_ms, rate| {
            let bytes_per_second = std::num::NonZeroU32::new(rate);
            let pace = Pace {
                delay_ms,
                jitter_ms,
                bytes_per_second,
            };
            Fault::Slow(pace, vec![(1, 2), (2, 1), (1, 3)]).describe(Aim::One)
        };
        assert_eq!(slow(20, 5, 0), "one, 20 to 25 ms, 1↔2 1→3");
        assert_eq!(slow(0, 0, 10_000), "one, 10000 bytes/s, 1↔2 1→3");
        assert_eq!(slow(20, 5, 10_000), "one, 20 to 25 ms, 10000 bytes/s, 1↔2 1→3");
    }

    #[test]
    fn clocks_that_are_wrong_say_how_and_only_leaders_that_lose_time_are_cut_off() {
        let clock = |skew, aim| Fault::new(Manner::Clock(skew, true), aim, &[3, 1, 2]).describe(aim);
        let slow = Skew::Rate(250);
        assert_eq!(
            clock(slow, Aim::Leader),
            "leader n3, clocks at 0.25 times the usual rate, cut off"
        );
        assert_eq!(
            clock(slow, Aim::Majority),
            "majority n3 n1, clocks at 0.25 times the usual rate"
        );
        assert_eq!(
            clock(Skew::Jump(60_000), Aim::Leader),
            "leader n3, clocks 1m ahead"
        );
        assert_eq!(
            clock(Skew::Wall(-200), Aim::One),
            "one n2, the time of day 200ms back"
        );
        assert_eq!(
            clock(Skew::Wall(7_200_000), Aim::One),
            "one n2, the time of day 2h ahead"
        );
        let alone = Fault::new(Manner::Clock(slow, true), Aim::Leader, &[1]);
        assert_eq!(alone, Fault::Clock(slow, false, vec![1]));
    }
}
