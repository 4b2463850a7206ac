//! The load-validity gate: whether a run was put to the test at all.
//!
//! A cluster that answers nobody is consistent, and so is one that nothing ever happened to. A verdict *valid* shall mean more, so
//! a run that was hardly loaded, or never hurt, is *unknown*.

use crate::nemesis::Kind;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many operations a second must be ok before the first fault,
pub const OK_PER_SECOND_MIN: f64 = 20.0;
/// or this part of the rate that was asked for, if that is less.
pub const OK_SHARE_MIN: f64 = 0.2;

/// What a run came to, as far as the gate looks at it.
#[derive(Clone, Debug)]
pub struct Load<'a> {
    /// How long it was loaded before the first fault.
    pub calm: Duration,
    /// How many operations were ok by then.
    pub ok_when_calm: u64,
    /// How many operations were ok between the first fault and the end of the last one.
    pub ok_when_hurt: u64,
    /// The rate that was asked for.
    pub rate: Option<u64>,
    /// How many operations were ok, for each kind that the workload needs.
    pub needed: &'a [(&'static str, u64)],
    /// The kinds of faults that were asked for.
    pub asked: &'a [Kind],
    /// How many of each kind took effect.
    pub took_effect: &'a BTreeMap<Kind, u32>,
}

/// Why the run proves nothing; `None` if it does.
pub fn objection(load: &Load<'_>) -> Option<String> {
    let seconds = load.calm.as_secs_f64();
    let floor = load.rate.map_or(OK_PER_SECOND_MIN, |rate| {
        OK_PER_SECOND_MIN.min(OK_SHARE_MIN * rate as f64)
    });
    let rate = if seconds > 0.0 {
        load.ok_when_calm as f64 / seconds
    } else {
        0.0
    };
    if load.ok_when_calm == 0 || rate < floor {
        return Some(format!(
            "too little load: {} operations were ok in the {seconds:.2} s before the first fault, fewer than {floor} a second",
            load.ok_when_calm
        ));
    }
    if let Some((kind, _)) = load.needed.iter().find(|(_, ok)| *ok == 0) {
        return Some(format!("no {kind} was ever ok"));
    }
    let missing = load
        .asked
        .iter()
        .find(|kind| load.took_effect.get(kind).copied().unwrap_or(0) == 0);
    if let Some(missing) = missing {
        return Some(format!("no {missing} ever took effect"));
    }
    if !load.asked.is_empty() && load.ok_when_hurt == 0 {
        return Some(String::from("no operation was ok from the first fault on"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Load<'static> {
        static EFFECTS: std::sync::OnceLock<BTreeMap<Kind, u32>> = std::sync::OnceLock::new();
        Load {
            calm: Duration::from_secs(1),
            ok_when_calm: 900,
            ok_when_hurt: 1,
            rate: Some(1000),
            needed: &[("read", 500), ("write", 400)],
            asked: &[Kind::Kill, Kind::Pause],
            took_effect: EFFECTS.get_or_init(|| BTreeMap::from([(Kind::Kill, 2), (Kind::Pause, 1)])),
        }
    }

    #[test]
    fn a_run_under_load_and_under_fault_passes() {
        assert_eq!(objection(&good()), None);
    }

    #[test]
    fn nothing_ok_before_the_first_fault_is_an_objection_however_slow_the_rate() {
        let load = Load {
            ok_when_calm: 0,
            rate: Some(1),
            ..good()
        };
        assert!(objection(&load).unwrap().contains("too little load"));
    }

    #[test]
    fn a_trickle_is_an_objection_unless_a_trickle_was_asked_for() {
        let load = Load {
            ok_when_calm: 19,
            rate: None,
            ..good()
        };
        assert_eq!(
            objection(&load).unwrap(),
            "too little load: 19 operations were ok in the 1.00 s before the first fault, fewer than 20 a second"
        );
        assert_eq!(
            objection(&Load {
                ok_when_calm: 20,
                rate: None,
                ..good()
            }),
            None
        );
        assert_eq!(
            objection(&Load {
                ok_when_calm: 2,
                rate: Some(10),
                ..good()
            }),
            None
        );
        assert!(
            objection(&Load {
                ok_when_calm: 1,
                rate: Some(10),
                ..good()
            })
            .is_some()
        );
    }

    #[test]
    fn a_kind_of_operation_that_never_succeeded_is_an_objection() {
        let load = Load {
            needed: &[("read", 500), ("cas", 0)],
            ..good()
        };
        assert_eq!(objection(&load).unwrap(), "no cas was ever ok");
    }

    #[test]
    fn a_cluster_that_serves_nobody_once_it_is_hurt_was_not_tested() {
        let load = Load {
            ok_when_hurt: 0,
            ..good()
        };
        assert_eq!(
            objection(&load).unwrap(),
            "no operation was ok from the first fault on"
        );
        assert_eq!(objection(&Load { asked: &[], ..load }), None);
    }

    #[test]
    fn a_fault_that_never_took_effect_is_an_objection() {
        let none = BTreeMap::from([(Kind::Kill, 2), (Kind::Pause, 0)]);
        let load = Load {
            took_effect: &none,
            ..good()
        };
        assert_eq!(objection(&load).unwrap(), "no pause ever took effect");
        let load = Load {
            asked: &[Kind::Partition],
            ..good()
        };
        assert_eq!(objection(&load).unwrap(), "no partition ever took effect");
        assert_eq!(
            objection(&Load {
                asked: &[],
                took_effect: &BTreeMap::new(),
                ..good()
            }),
            None
        );
    }
}
