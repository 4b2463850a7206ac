//! The time under fault, from what the nemesis remarked.

use checker::history::Remark;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the nemesis did, and when.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// What, and to whom.
    pub(super) name: String,
    /// In nanoseconds since the run began.
    pub(super) from: u64,
    /// `None`: it was never stopped.
    pub(super) to: Option<u64>,
}

/// From each `X start` to the next `X stop`; any other remark is a moment.
pub(super) fn faults(remarks: &[Remark]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for remark in remarks {
        if let Some(kind) = remark.f.strip_suffix("stop").map(str::trim_end) {
            if let Some(fault) = open.remove(kind) {
                faults[fault].to = Some(remark.time);
            }
            continue;
        }
        let begun = remark.f.strip_suffix("start").map(str::trim_end);
        if let Some(kind) = begun {
            open.insert(kind, faults.len());
        }
        faults.push(Fault {
            name: format!("{} {}", begun.unwrap_or(&remark.f), remark.value),
            from: remark.time,
            to: begun.is_none().then_some(remark.time),
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lasts_until_it_is_stopped() {
        let remark = |time, f: &str| Remark {
            time,
            f: f.to_owned(),
            value: String::from("n1"),
        };
        let fault = |name: &str, from, to| Fault {
            name: name.to_owned(),
            from,
            to,
        };
        let remarks = [
            remark(1, "kill start"),
            remark(2, "bump"),
            remark(3, "kill stop"),
            remark(4, "pause start"),
        ];
        assert_eq!(
            faults(&remarks),
            [
                fault("kill n1", 1, Some(3)),
                fault("bump n1", 2, Some(2)),
                fault("pause n1", 4, None)
            ]
        );
    }
}
