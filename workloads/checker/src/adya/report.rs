//! From a history of transactions to a report.

use super::transaction::{Step, Transaction, transactions};
use super::words::explain;
use super::{Isolation, check};
use crate::check::{CheckError, CheckOptions, EngineChoice, check_with};
use crate::history::{End, Log, Value};
use crate::models::ListAppend;
use crate::verdict::{Report, Verdict};
use crate::vocabulary::Vocabulary;
use rustc_hash::FxHashSet;

/// Holds the transactions of a history against strict serializability: by their dependencies, which takes linear time; or, where a value
/// is appended to a list twice so that reads don't tell these, by the general engine.
pub(crate) fn check_lists(log: &Log, options: &CheckOptions<'_>) -> Result<Report, CheckError> {
    let general = match options.engine {
        EngineChoice::Auto => options.init.is_some(),
        EngineChoice::General => true,
        EngineChoice::Linear if options.init.is_some() => {
            let reason = "with the linear engine, lists are empty at the beginning";
            return Err(CheckError::Options(String::from(reason)));
        }
        EngineChoice::Linear => false,
    };
    if general {
        return check_with::<ListAppend>(log, options);
    }
    let transactions = transactions(log)?;
    let judged = transactions.iter().filter(|it| says_something(it));
    let operations = judged.clone().count();
    let stores: FxHashSet<Option<&Value>> = judged.map(|it| it.store).collect();
    let verdict = match check(&transactions, options.limits) {
        _ if operations == 0 => Verdict::Unknown(String::from("the history has no operation to judge")),
        Isolation::Strict => Verdict::Valid,
        Isolation::Violated(anomalies) => Verdict::Violation(Box::new(explain(
            ListAppend::NAME,
            &transactions,
            &anomalies,
            log.timed,
        ))),
        Isolation::Unknown(refused) => Verdict::Unknown(refused.to_string()),
        Isolation::Ambiguous(..) if options.engine == EngineChoice::Auto => {
            return check_with::<ListAppend>(log, options);
        }
        Isolation::Ambiguous(earlier, later) => Verdict::Unknown(format!(
            "the transactions of lines {} and {} append the same value to a list, so that reads don't tell their order",
            transactions[earlier].line, transactions[later].line
        )),
    };
    Ok(Report {
        verdict,
        further: Vec::new(),
        unexplained: 0,
        model: ListAppend::NAME,
        engine: "cycles",
        operations,
        partitions: stores.len(),
    })
}

fn says_something(transaction: &Transaction<'_>) -> bool {
    match transaction.end {
        End::Ok => true,
        End::Fail => false,
        End::Info => transaction
            .steps
            .iter()
            .any(|step| matches!(step, Step::Append(..))),
    }
}
