//! The words of golden scripts: what is read from a line, and how things are shown.

use bytes::Bytes;
use raft::{Change, Entry, EntryData, HardState, Index, NodeId, Term, Write};

/// Which of the messages in flight.
pub(super) struct Selection {
    pub(super) link: Option<(NodeId, NodeId)>,
    /// Only one of them.
    pub(super) one: Option<One>,
    /// Whether they stay in flight, too.
    pub(super) keep: bool,
}

/// One of several messages.
#[derive(Clone, Copy)]
pub(super) enum One {
    First,
    Last,
    /// Counted from 1.
    At(usize),
}

/// `5@2:x`, or `5@2` for a no-op.
pub(super) fn show(entry: &Entry<Bytes>) -> String {
    match &entry.data {
        EntryData::Noop => format!("{}", entry.position()),
        EntryData::Configuration(configuration) => format!("{}:({configuration})", entry.position()),
        EntryData::Command(command) => {
            format!("{}:{}", entry.position(), String::from_utf8_lossy(command))
        }
    }
}

pub(super) fn show_write(write: &Write<Bytes>) -> String {
    let HardState { term, vote, commit } = write.hard_state;
    let vote = vote.map_or("-".to_owned(), |vote| vote.to_string());
    let entries: Vec<String> = write.entries.iter().map(show).collect();
    let snapshot = write.snapshot.as_ref();
    let snapshot = snapshot.map_or(String::new(), |snapshot| format!(" snapshot={}", snapshot.last));
    format!(
        "term={term} vote={vote} commit={commit}{snapshot} entries=[{}]",
        entries.join(" ")
    )
}

pub(super) fn given_log(terms: &str) -> Vec<Entry<Bytes>> {
    let terms = terms.split(',').map(|term| Term(number(term)));
    let entry = |(place, term)| Entry {
        term,
        index: Index(0).plus(place + 1),
        data: EntryData::Noop,
    };
    terms.enumerate().map(entry).collect()
}

pub(super) fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(word: &str) -> T {
    word.parse()
        .unwrap_or_else(|error| panic!("{word:?} is no number: {error}"))
}

pub(super) fn node(word: &str) -> NodeId {
    NodeId(number(word))
}

/// `+4` adds a voter, `~4` a learner, `-4` removes.
pub(super) fn change(word: &str) -> Change {
    let (sign, id) = word.split_at(1);
    match sign {
        "+" => Change::AddVoter(node(id)),
        "~" => Change::AddLearner(node(id)),
        "-" => Change::Remove(node(id)),
        _ => panic!("{word:?} is no change"),
    }
}

pub(super) fn selection(args: &[&str]) -> Selection {
    let (args, keep) = match args.split_last() {
        Some((&"keep", rest)) => (rest, true),
        _ => (args, false),
    };
    let (args, one) = match args.split_last() {
        Some((&"first", rest)) => (rest, Some(One::First)),
        Some((&"last", rest)) => (rest, Some(One::Last)),
        Some((word, rest)) if word.starts_with("at=") => (rest, Some(One::At(number(&word[3..])))),
        _ => (args, None),
    };
    let link = match args {
        [] => None,
        [from, to] => Some((node(from), node(to))),
        _ => panic!("a link has two ends: {args:?}"),
    };
    Selection { link, one, keep }
}
