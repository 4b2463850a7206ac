//! Transactions over lists, held against strict serializability in linear time.
//!
//! A transaction appends to lists and reads them whole; each append is unique to its list. Then a read tells the whole history of a
//! list, and with it in which order transactions must have come (Kingsbury and Alvaro, *Elle*, 2020):
//!
//! | | from | to |
//! |---|---|---|
//! | *ww* | who appended an element | who appended the next one |
//! | *wr* | who appended the last element that was read | who read it |
//! | *rw* | who read a list | who appended what comes next in it |
//! | *process* | a transaction | the next one of its process |
//! | *realtime* | who returned | who was invoked after that |
//!
//! An append that no read shows comes after all that reads of its list do show, and so after these reads. What failed did not happen;
//! what nobody learned the outcome of happened if anything of it was read, and otherwise need not have.
//!
//! **The history is strictly serializable if and only if no [`Anomaly`] is found.** A cycle of dependencies, or a read that no order
//! at all explains, leaves no order. Where there is neither, every order that fits the dependencies explains all reads: the elements
//! of each list come in their order, and each reader between those who appended the last element it saw and the next one.
//!
//! Anomalies have the names that Adya (1999) gave them, where he did, and otherwise those of Elle; see [`AnomalyKind`].
//!
//! # What is absent
//!
//! Edges between all pairs of transactions that real time orders: a chain of points in time stands for them, as one point stands for
//! the end of a list, so that the graph has a few edges for each step of a transaction.

mod anomaly;
mod components;
mod cycles;
mod graph;
mod lists;
mod reasons;
mod report;
mod transaction;
mod words;

pub use anomaly::{Anomaly, AnomalyKind, Beyond, Dependency, Phenomenon};
pub(crate) use report::check_lists;
pub use transaction::{Step, Transaction, transactions};

use crate::engine::{Limits, Refused};
use graph::Graph;
use lists::Lists;

/// What came of checking transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// They are strictly serializable.
    Strict,
    /// They are not: at least one anomaly, and of each kind one at the most. What is no cycle comes first.
    Violated(Vec<Anomaly>),
    /// The same value is appended to a list twice, so that reads don't tell the order: by these two transactions.
    Ambiguous(usize, usize),
    /// A limit was reached first.
    Unknown(Refused),
}

/// Checks transactions, given in any order.
pub fn check(transactions: &[Transaction<'_>], limits: Limits<'_>) -> Isolation {
    let mut anomalies = Vec::new();
    let lists = match Lists::of(transactions, &mut anomalies) {
        Ok(lists) => lists,
        Err((earlier, later)) => return Isolation::Ambiguous(earlier, later),
    };
    if (limits.should_stop)() {
        return unless_found(anomalies, Refused::Stopped);
    }
    let bytes_max = limits.bytes_max;
    let Some(graph) = Graph::of(&lists, bytes_max) else {
        return unless_found(anomalies, Refused::Memory { bytes_max });
    };
    match cycles::worst(&graph, limits.should_stop) {
        Ok(None) if anomalies.is_empty() => Isolation::Strict,
        Ok(None) => Isolation::Violated(anomalies),
        Ok(Some(cycle)) => {
            anomalies.push(cycle.anomaly(&lists));
            Isolation::Violated(anomalies)
        }
        Err(refused) => unless_found(anomalies, refused),
    }
}

fn unless_found(anomalies: Vec<Anomaly>, refused: Refused) -> Isolation {
    if anomalies.is_empty() {
        Isolation::Unknown(refused)
    } else {
        Isolation::Violated(anomalies)
    }
}
