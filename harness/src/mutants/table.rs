//! The table of what finds what, and the score.

use super::layers::{Hunt, Layer};
use crate::report::print;
use serde::Serialize;

/// One bug, and what became of the hunts for it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) mutant: String,
    /// There is no bug: nothing may be found.
    pub(super) is_clean: bool,
    pub(super) breaks_safety: bool,
    pub(super) hunts: Vec<Hunt>,
}

impl Row {
    /// Whether any layer found something.
    pub(super) fn is_found(&self) -> bool {
        self.found().is_some()
    }

    /// Why nobody can say that there is nothing in the node as it is, where nothing was found: a layer has not looked at all that it
    /// has to.
    pub(super) fn untold(&self) -> Option<String> {
        if !self.is_clean || self.is_found() {
            return None;
        }
        if self.hunts.is_empty() {
            return Some(String::from("no layer looked"));
        }
        let shortfalls = self
            .hunts
            .iter()
            .filter_map(|hunt| Some((hunt.layer, hunt.shortfall.as_deref()?)));
        let words: Vec<String> = shortfalls.map(|(layer, why)| format!("{layer}: {why}")).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    fn found(&self) -> Option<&Hunt> {
        self.hunts.iter().find(|hunt| hunt.found.is_some())
    }

    /// Whether a bug was found, a safety bug by the model or the simulation; and whether nothing was found where nothing is. Where
    /// not all layers looked (`complete`), a safety bug may be found by any.
    pub(super) fn is_as_it_should(&self, complete: bool) -> bool {
        match self.found() {
            None => self.is_clean,
            Some(hunt) => !self.is_clean && (!self.breaks_safety || !complete || hunt.layer != Layer::Run),
        }
    }
}

/// What `--json` prints of a bug.
#[derive(Debug, Serialize)]
struct Line<'a> {
    mutant: &'a str,
    found: bool,
    by: Option<&'static str>,
    seconds: f64,
    trace_steps: Option<u64>,
    effort: Option<&'a str>,
    what: Option<&'a str>,
    replay: Option<&'a str>,
    layers: Vec<LayerLine<'a>>,
}

#[derive(Debug, Serialize)]
struct LayerLine<'a> {
    layer: &'static str,
    found: bool,
    seconds: f64,
    effort: &'a str,
    trace_steps: Option<u64>,
    what: Option<&'a str>,
    replay: Option<&'a str>,
    shortfall: Option<&'a str>,
}

pub(super) fn print_title() {
    print(&format!(
        "{:<26} {:<9} {:>8}  {:<28} {:>6}  what broke\n",
        "mutant", "layer", "seconds", "effort", "trace"
    ));
}

pub(super) fn print_row(row: &Row, json: bool) {
    if json {
        let text = serde_json::to_string(&line(row)).expect("a line has string keys");
        return print(&format!("{text}\n"));
    }
    let mut name = row.mutant.as_str();
    for hunt in &row.hunts {
        let (trace, what) = match &hunt.found {
            Some(found) => (
                found
                    .trace_steps
                    .map_or(String::from("-"), |steps| steps.to_string()),
                found.what.as_str(),
            ),
            None => (String::from("-"), "nothing"),
        };
        print(&format!(
            "{name:<26} {:<9} {:>8.1}  {:<28} {trace:>6}  {what}\n",
            hunt.layer, hunt.seconds, hunt.effort
        ));
        name = "";
    }
}

fn line(row: &Row) -> Line<'_> {
    let hunt = row.found();
    let found = hunt.and_then(|hunt| hunt.found.as_ref());
    Line {
        mutant: &row.mutant,
        found: found.is_some(),
        by: hunt.map(|hunt| hunt.layer.name()),
        seconds: hunt.map_or_else(
            || row.hunts.iter().map(|hunt| hunt.seconds).sum(),
            |hunt| hunt.seconds,
        ),
        trace_steps: found.and_then(|found| found.trace_steps),
        effort: hunt.map(|hunt| hunt.effort.as_str()),
        what: found.map(|found| found.what.as_str()),
        replay: found.map(|found| found.replay.as_str()),
        layers: row
            .hunts
            .iter()
            .map(|hunt| LayerLine {
                layer: hunt.layer.name(),
                found: hunt.found.is_some(),
                seconds: hunt.seconds,
                effort: &hunt.effort,
                trace_steps: hunt.found.as_ref().and_then(|found| found.trace_steps),
                what: hunt.found.as_ref().map(|found| found.what.as_str()),
                replay: hunt.found.as_ref().map(|found| found.replay.as_str()),
                shortfall: hunt.shortfall.as_deref(),
            })
            .collect(),
    }
}

/// How many bugs were found, and by what, in words.
pub(super) fn score(rows: &[Row]) -> String {
    let mut words = String::new();
    let mut say = |text: &str| words.push_str(text);
    let bugs: Vec<&Row> = rows.iter().filter(|row| !row.is_clean).collect();
    let found = bugs.iter().filter(|row| row.found().is_some()).count();
    say(&format!("\n{found} of {} seeded bugs were found", bugs.len()));
    for layer in Layer::ALL {
        let looked = bugs
            .iter()
            .flat_map(|row| &row.hunts)
            .filter(|hunt| hunt.layer == layer);
        let (all, found): (Vec<&Hunt>, Vec<&Hunt>) = (
            looked.clone().collect(),
            looked.filter(|hunt| hunt.found.is_some()).collect(),
        );
        if !all.is_empty() {
            say(&format!(
                "; {layer} found {} of the {} it looked for",
                found.len(),
                all.len()
            ));
        }
    }
    say("\n");
    for row in bugs.iter().filter(|row| row.found().is_none()) {
        say(&format!("not found: {}\n", row.mutant));
    }
    for row in rows.iter().filter(|row| row.is_clean) {
        say(&match row.untold() {
            Some(why) => format!("whether the node as it is passes is not told: {why}\n"),
            None if row.is_found() => String::from("the node as it is was found to be broken\n"),
            None => String::from("the node as it is passed\n"),
        });
    }
    // Of layers that were not asked nothing is known.
    let asked_all = |row: &Row| {
        let asked = |layer: &Layer| row.hunts.iter().any(|hunt| hunt.layer == *layer);
        Layer::ALL.iter().all(asked)
    };
    let late = |row: &&&Row| {
        let by_run = row.found().is_some_and(|hunt| hunt.layer == Layer::Run);
        row.breaks_safety && by_run && asked_all(row)
    };
    for row in bugs.iter().filter(late) {
        say(&format!(
            "only real processes found {}, which breaks safety\n",
            row.mutant
        ));
    }
    for hunt in bugs.iter().filter_map(|row| row.found()) {
        if let Some(found) = &hunt.found {
            say(&format!("again: {}\n", found.replay));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::layers::Found;
    use super::*;

    fn hunt(layer: Layer, found: bool) -> Hunt {
        Hunt {
            layer,
            seconds: 1.5,
            effort: String::from("seed 7"),
            found: found.then(|| Found {
                what: String::from("durability: n1 forgets"),
                trace_steps: Some(12),
                replay: String::from("harness simulate --seed 7"),
            }),
            shortfall: None,
        }
    }

    fn row(is_clean: bool, breaks_safety: bool, hunts: Vec<Hunt>) -> Row {
        Row {
            mutant: String::from("some-bug"),
            is_clean,
            breaks_safety,
            hunts,
        }
    }

    #[test]
    fn a_bug_must_be_found_and_a_safety_bug_before_there_are_processes() {
        let by = |layer| vec![hunt(Layer::Model, false), hunt(layer, true)];
        assert!(row(false, true, by(Layer::Simulate)).is_as_it_should(true));
        assert!(!row(false, true, by(Layer::Run)).is_as_it_should(true));
        assert!(row(false, true, by(Layer::Run)).is_as_it_should(false));
        assert!(row(false, false, by(Layer::Run)).is_as_it_should(true));
        assert!(!row(false, false, vec![hunt(Layer::Run, false)]).is_as_it_should(true));
    }

    #[test]
    fn only_processes_found_what_the_other_layers_were_asked_for_in_vain() {
        let only = |hunts| score(&[row(false, true, hunts)]).contains("only real processes found some-bug");
        let by_run = hunt(Layer::Run, true);
        assert!(!only(vec![by_run.clone()]));
        assert!(!only(vec![hunt(Layer::Model, false), by_run.clone()]));
        assert!(only(vec![
            hunt(Layer::Model, false),
            hunt(Layer::Simulate, false),
            by_run
        ]));
    }

    #[test]
    fn where_there_is_no_bug_nothing_may_be_found() {
        assert!(row(true, true, vec![hunt(Layer::Model, false)]).is_as_it_should(true));
        assert!(!row(true, true, vec![hunt(Layer::Model, true)]).is_as_it_should(true));
    }

    #[test]
    fn the_node_as_it_is_has_passed_only_if_all_was_looked_at() {
        let whole = row(true, true, vec![hunt(Layer::Model, false)]);
        assert_eq!(whole.untold(), None);
        assert!(score(std::slice::from_ref(&whole)).contains("the node as it is passed"));
        let mut cut = whole;
        cut.hunts.push(Hunt {
            shortfall: Some(String::from("no seed was run")),
            ..hunt(Layer::Simulate, false)
        });
        assert_eq!(cut.untold().unwrap(), "simulate: no seed was run");
        assert!(!score(std::slice::from_ref(&cut)).contains("passed"));
        assert!(row(true, true, Vec::new()).untold().is_some());
        // Of a bug that says that it was not found; and what was found is told.
        cut.is_clean = false;
        assert_eq!(cut.untold(), None);
        assert_eq!(row(true, true, vec![hunt(Layer::Model, true)]).untold(), None);
    }

    #[test]
    fn the_line_of_a_bug_has_the_documented_fields() {
        let found = row(
            false,
            true,
            vec![hunt(Layer::Model, false), hunt(Layer::Simulate, true)],
        );
        assert_eq!(
            serde_json::to_string(&line(&found)).unwrap(),
            r#"{"mutant":"some-bug","found":true,"by":"simulate","seconds":1.5,"trace_steps":12,"effort":"seed 7","what":"durability: n1 forgets","replay":"harness simulate --seed 7","layers":[{"layer":"model","found":false,"seconds":1.5,"effort":"seed 7","trace_steps":null,"what":null,"replay":null,"shortfall":null},{"layer":"simulate","found":true,"seconds":1.5,"effort":"seed 7","trace_steps":12,"what":"durability: n1 forgets","replay":"harness simulate --seed 7","shortfall":null}]}"#
        );
        let missed = row(
            false,
            true,
            vec![hunt(Layer::Model, false), hunt(Layer::Run, false)],
        );
        assert!(
            serde_json::to_string(&line(&missed)).unwrap().starts_with(
                r#"{"mutant":"some-bug","found":false,"by":null,"seconds":3.0,"trace_steps":null"#
            )
        );
    }
}
