//! The workload `session`: clients that send again what was not answered, and whose commands take effect once all the same.
//!
//! A client opens a session and numbers what it appends. Where no answer comes, it sends the same command under the same number to another
//! node, again and again; and some commands it sends twice from the start. Every piece that is appended to a text is another one,
//! so that one that was carried out twice stands there twice, in every read from then on, and no order explains that.

use crate::op::Op;
use crate::rotation::{Rotation, TakingTurns, Turn, Turns};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// The part of the appends that are sent twice from the start.
const DOUBLED: f64 = 0.1;

/// See the module's documentation.
pub(crate) struct Session;

impl Workload for Session {
    fn name(&self) -> &'static str {
        "session"
    }

    fn about(&self) -> &'static str {
        "appends that clients send again, in sessions, until they are answered; each takes effect once"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(TakingTurns::<Session>::new(setting))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["append", "get"]
    }

    fn model(&self) -> &'static str {
        "kv-append"
    }
}

impl Turns for Session {
    /// Reads return all of a text, so it bounds what is recorded.
    const OPERATIONS_PER_KEY_MAX: u64 = 150;

    fn op(turn: Turn, rotation: &mut Rotation) -> Op {
        let key = turn.key;
        if rotation.is_look(turn) {
            return Session::look(key);
        }
        Op::AppendOnce {
            key,
            piece: rotation.number(turn.group),
            is_doubled: rotation.random.random_bool(DOUBLED),
        }
    }

    fn look(key: u64) -> Op {
        Op::Text { key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge;
    use crate::op::piece;
    use checker::{CheckOptions, Log, Verdict};
    use std::collections::BTreeSet;

    fn operations(seed: u64, count: usize) -> Vec<Op> {
        let mut generator = Session.generator(Setting {
            seed,
            nodes: 3,
            concurrency: 12,
        });
        (0..count).filter_map(|turn| generator.next(turn % 12)).collect()
    }

    #[test]
    fn the_seed_decides_and_every_piece_is_another_one() {
        let made = operations(7, 5000);
        assert_eq!(made, operations(7, 5000));
        assert_ne!(made, operations(8, 5000));
        let (mut pieces, mut twice) = (BTreeSet::new(), 0);
        for op in &made {
            if let Op::AppendOnce {
                key,
                piece,
                is_doubled,
            } = op
            {
                assert!(pieces.insert((*key, *piece)), "{op:?} comes twice");
                twice += usize::from(*is_doubled);
            }
        }
        assert!(
            (1500..2500).contains(&pieces.len()),
            "{} of 5000 append",
            pieces.len()
        );
        assert!((100..400).contains(&twice), "{twice} are sent twice");
    }

    /// A history of one append, and of a read that finds `text`.
    fn verdict(text: &str) -> Verdict {
        let lines = [
            String::from(r#"{"rustyraft-history":1,"workload":"session"}"#),
            format!(
                r#"{{"time":1,"process":0,"type":"invoke","f":"append","key":0,"value":"{}"}}"#,
                piece(1)
            ),
            String::from(r#"{"time":2,"process":0,"type":"ok","f":"append","key":0,"value":null}"#),
            String::from(r#"{"time":3,"process":0,"type":"invoke","f":"get","key":0,"value":null}"#),
            format!(r#"{{"time":4,"process":0,"type":"ok","f":"get","key":0,"value":"{text}"}}"#),
        ];
        let log = Log::read(lines.join("\n").as_bytes()).unwrap();
        judge(&log, &CheckOptions::default()).unwrap().verdict
    }

    #[test]
    fn a_doubled_effect_is_a_violation() {
        assert!(matches!(verdict("1 "), Verdict::Valid), "{:?}", verdict("1 "));
        assert!(
            matches!(verdict("1 1 "), Verdict::Violation { .. }),
            "{:?}",
            verdict("1 1 ")
        );
    }
}
