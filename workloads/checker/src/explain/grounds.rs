//! What a core has to have in it for a model that does not say what operations owe to each other.
//!
//! A violation by itself says little if the reason for it was left out: that a counter reads 5 where nothing was added is none of the
//! counter's faults if there were adds. So a part of a history, with the operation that no order explains, the *culprit*, counts for
//! a core only if
//! - all of it but the culprit has an order;
//! - it is *sufficient*: the culprit stays unexplained, whichever of the operations that were left out took effect within their times;
//! - it is *telling*, as far as the whole history is: it shows what the culprit may have seen instead (see [`Account`]).

use super::case::{Case, Question};
use crate::engine::Limits;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So often one question looks at its limits before it is given up, and once more for each so many operations.
const LOOKS_MAX: u64 = 8;
const OPERATIONS_PER_LOOK: usize = 256;
/// So often all questions about one violation do.
const LOOKS_IN_ALL_MAX: u64 = 8192;

/// How it can have come to what the culprit returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    /// It was right once: it took effect before it was invoked.
    Stale,
    /// Of the others, some have not taken effect.
    Lost,
    /// Or some have twice.
    Doubled,
    /// Nobody knows.
    None,
}

/// See the module's documentation.
pub(super) struct Grounds<'a> {
    case: &'a dyn Case,
    /// The places of the whole history, sorted.
    all: Vec<usize>,
    culprit: usize,
    account: Account,
    looks_left: Cell<u64>,
    /// Whether all questions were answered so far.
    pub(super) is_certain: Cell<bool>,
}

impl<'a> Grounds<'a> {
    /// Those of a violation among the operations at `all`; and the places to begin with, sorted. Where the others have no order either,
    /// they are without those that return after the culprit and that nobody needs for an order up to then.
    pub(super) fn new(case: &'a dyn Case, all: &[usize], culprit: usize) -> (Self, Vec<usize>) {
        let mut grounds = Grounds {
            case,
            all: all.to_vec(),
            culprit,
            account: Account::None,
            looks_left: Cell::new(LOOKS_IN_ALL_MAX),
            is_certain: Cell::new(true),
        };
        grounds.all.sort_unstable();
        let returned = case.span(culprit).returned;
        let is_later = |place: &usize| {
            let span = case.span(*place);
            !span.is_lost && span.returned > returned
        };
        let (mut open, mut kept): (Vec<usize>, Vec<usize>) =
            grounds.all.iter().partition(|place| is_later(place));
        kept.retain(|place| *place != culprit);
        if grounds.has_order(&[&kept[..], &open].concat(), &[]) == Some(true) {
            kept.append(&mut open);
        }
        while let Some(one) = open.pop() {
            if grounds.has_order(&kept, &open) != Some(true) {
                kept.push(one);
            }
        }
        kept.push(culprit);
        kept.sort_unstable();
        let accounts = [Account::Stale, Account::Lost, Account::Doubled];
        let account = accounts
            .into_iter()
            .find(|account| grounds.accounts(*account, &kept));
        grounds.account = account.unwrap_or(Account::None);
        (grounds, kept)
    }

    /// Whether the operations at `kept`, sorted, count for a core.
    pub(super) fn hold(&self, kept: &[usize]) -> bool {
        let is_kept = |place: &usize| kept.binary_search(place).is_ok();
        if !is_kept(&self.culprit) {
            return false;
        }
        let left_out: Vec<usize> = self.all.iter().copied().filter(|place| !is_kept(place)).collect();
        // The cheap questions come first.
        self.has_order(kept, &[]) == Some(false)
            && self.has_order(&self.others(kept), &[]) == Some(true)
            && self.accounts(self.account, kept)
            && self.has_order(kept, &left_out) == Some(false)
    }

    fn others(&self, kept: &[usize]) -> Vec<usize> {
        kept.iter()
            .copied()
            .filter(|place| *place != self.culprit)
            .collect()
    }

    fn accounts(&self, account: Account, kept: &[usize]) -> bool {
        let has_order = match account {
            Account::Stale => {
                let mut required = self.others(kept);
                required.push(self.culprit);
                self.ask(&Question {
                    required: &required,
                    early: Some(self.culprit),
                    ..Question::default()
                })
            }
            Account::Lost => self.has_order(&[self.culprit], &self.others(kept)),
            Account::Doubled => {
                let others = self.others(kept);
                self.has_order(&[self.culprit], &[&others[..], &others].concat())
            }
            Account::None => Some(true),
        };
        has_order == Some(true)
    }

    fn has_order(&self, required: &[usize], optional: &[usize]) -> Option<bool> {
        let optional = optional.iter().copied();
        // What changes nothing makes no difference unless it must be explained.
        let optional: Vec<usize> = optional.filter(|place| !self.case.is_read_only(*place)).collect();
        self.ask(&Question {
            required,
            optional: &optional,
            early: None,
        })
    }

    fn ask(&self, question: &Question<'_>) -> Option<bool> {
        let operations = question.required.len() + question.optional.len();
        let looks_max = LOOKS_MAX + (operations / OPERATIONS_PER_LOOK) as u64;
        let allowed = self.looks_left.get().min(looks_max);
        let looks = AtomicU64::new(0);
        let limits = self.case.limits();
        let should_stop = || looks.fetch_add(1, Relaxed) >= allowed || (limits.should_stop)();
        let limits = Limits {
            should_stop: &should_stop,
            ..limits
        };
        let has_order = self.case.has_order(question, limits);
        self.looks_left
            .set(self.looks_left.get().saturating_sub(looks.load(Relaxed)));
        if has_order.is_none() {
            self.is_certain.set(false);
        }
        has_order
    }
}
