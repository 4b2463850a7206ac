//! A violation in words and pictures, and the smallest history that still shows it.

mod case;
mod grounds;
mod picture;
mod prefix;
mod shrink;
mod states;
mod words;

pub use shrink::shrink;
pub use words::Setting;

use crate::engine::Limits;
use crate::history::short;
use crate::model::Model;
use crate::object::Operation;
use crate::order::sort_places;
use case::{Case, History};
use states::Possible;
use std::fmt::Write as _;
use words::Told;

/// How many states are named in a report.
const STATES_SHOWN_MAX: usize = 8;
/// How many operations before the violation are shown around it.
const AROUND_MAX: usize = 12;
/// How wide the picture in a text is, in characters.
const PICTURE_WIDTH: usize = 80;

/// A violation, explained. Operations are named by their places: among those handed to [`explain`], or, in what
/// [`check_log`](crate::check_log) reports, among the calls of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The object, by name.
    pub object: String,
    /// The operation that no order explains, in words.
    pub operation: String,
    /// The states that the object could have been in instead, in words; where it falls into [parts](Model::partition), those of the part
    /// that the operation is about.
    pub states: Vec<String>,
    /// Whether it could have been in none but those.
    pub states_are_all: bool,
    /// When that operation returned, in nanoseconds since the run began; where times are the numbers of lines, at which line.
    pub time: u64,
    /// How many operations the smallest core has.
    pub core_operations: usize,
    /// The operation that no order explains; `None` where the violation is not of one operation.
    pub culprit: Option<usize>,
    /// The operations of the smallest core, in the order of their invocations.
    pub core: Vec<usize>,
    /// Orders that explain as many operations as any that were found, the longest first.
    pub prefixes: Vec<Vec<usize>>,
    /// The core drawn as text: a lane for each process. Empty where it would be too wide.
    pub picture: String,
    /// All of it as a text of several lines.
    pub text: String,
}

impl Explanation {
    /// The same with operations named by what `name` makes of their places.
    pub(crate) fn renamed(mut self, name: impl Fn(usize) -> usize) -> Explanation {
        let places = self.culprit.iter_mut().chain(&mut self.core);
        for place in places.chain(self.prefixes.iter_mut().flatten()) {
            *place = name(*place);
        }
        self
    }
}

/// Explains why no order explains `operations[rejected]` on the object called `object`. Some `states` are known that it could have been
/// in then; they are told where it would take too long to find all. The [`Setting`] may be the remarks of a history that has times.
pub fn explain<'a, M: Model>(
    init: &M,
    object: &str,
    operations: &[Operation<M>],
    rejected: usize,
    states: &[M],
    setting: impl Into<Setting<'a>>,
    limits: Limits<'_>,
) -> Explanation {
    let case = History {
        init,
        operations,
        limits,
    };
    let possible = || {
        let possible = states::possible(init, operations, rejected, states, limits);
        possible.map(|state| short(state.describe_state()))
    };
    told(&case, object, rejected, &possible, setting.into())
}

/// Explains why no order explains the operation at the place `rejected`, when the object could have been in `possible` states.
fn told(
    case: &dyn Case,
    object: &str,
    rejected: usize,
    possible: &dyn Fn() -> Possible<String>,
    setting: Setting<'_>,
) -> Explanation {
    let culprit = case.span(rejected);
    let before: Vec<usize> = (0..case.count())
        .filter(|place| case.span(*place).invoked <= culprit.returned)
        .collect();
    let (mut core, smallest) = shrink::within(case, &before, Some(rejected));
    let by_time = |place: usize| {
        let span = case.span(place);
        (span.invoked, span.process)
    };
    sort_places(&mut core, &by_time);
    let marked = case.unexplained(&core);
    let mut around = before.clone();
    around.retain(|place| {
        let span = case.span(*place);
        span.is_lost || span.returned >= culprit.invoked
    });
    sort_places(&mut around, &by_time);
    around.drain(..around.len().saturating_sub(AROUND_MAX));
    let tell = |places: &[usize]| places.iter().map(|place| case.told(*place)).collect();
    let possible = possible();
    let story = Story {
        object,
        culprit: case.told(rejected),
        states: possible.states,
        states_are_all: possible.are_all,
        of_part: possible.of_part,
        core: tell(&core),
        smallest,
        of: before.len(),
        around: tell(&around),
    };
    let picture = picture::draw(&story.core, marked, PICTURE_WIDTH).unwrap_or_default();
    Explanation {
        object: object.to_owned(),
        operation: story.culprit.sentence(setting.timed),
        text: story.text(&picture, setting),
        states: story.states,
        states_are_all: story.states_are_all,
        time: culprit.returned,
        core_operations: core.len(),
        culprit: Some(rejected),
        core,
        prefixes: prefix::longest(case, &before),
        picture,
    }
}

/// A violation in words, whatever the model.
struct Story<'a> {
    object: &'a str,
    culprit: Told,
    states: Vec<String>,
    states_are_all: bool,
    /// Whether they are states of a part of the object.
    of_part: bool,
    core: Vec<Told>,
    /// Whether that is the smallest one.
    smallest: bool,
    /// Of how many operations.
    of: usize,
    /// Operations open at the same time as the culprit.
    around: Vec<Told>,
}

impl Story<'_> {
    fn text(&self, picture: &str, setting: Setting<'_>) -> String {
        let mut text = format!("{} is not linearizable.\n\n", self.object);
        let _ = writeln!(text, "  {}", self.culprit.sentence(setting.timed));
        let _ = writeln!(
            text,
            "  No order of the operations explains that{}.",
            self.alternatives()
        );
        let (these, of) = (self.core.len(), self.of);
        let _ = if self.smallest {
            writeln!(
                text,
                "\nThe smallest core, {these} of the {of} operations there: without any one of them the rest has an order.\n"
            )
        } else {
            writeln!(
                text,
                "\nA core, {these} of the {of} operations there; the check reached a limit before it found the smallest.\n"
            )
        };
        words::table(&mut text, &self.core, setting.timed);
        if !picture.is_empty() {
            let _ = write!(text, "\n{picture}");
        }
        let _ = writeln!(text, "\nThat operation and those open at the same time:\n");
        words::table(&mut text, &self.around, setting.timed);
        words::faults(&mut text, &self.core, setting);
        text
    }

    /// `: the value could only have been 0 or 4 or 7`; not all of them where they are many, and nothing where none is known.
    fn alternatives(&self) -> String {
        if self.states.is_empty() {
            return String::new();
        }
        let shown = self.states.len().min(STATES_SHOWN_MAX);
        let named = self.states[..shown].join(" or ");
        let others = match self.states.len() - shown {
            0 => String::new(),
            _ if !self.states_are_all => String::from(" or others"),
            more => format!(" or {more} others"),
        };
        let value = if self.of_part {
            "the part of the value that it is about"
        } else {
            "the value"
        };
        if self.states_are_all {
            format!(": {value} could only have been {named}{others}")
        } else {
            format!("; when it returned, {value} could have been {named}{others}")
        }
    }
}
