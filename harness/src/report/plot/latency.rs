//! How long operations took.

use super::frame::{Frame, Plane, line};
use super::{Load, class, ended};
use crate::report::duration;
use checker::history::{Call, End};
use hdrhistogram::Histogram;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// How large a cell of the grid of marks is, in pixels.
const CELL: f64 = 3.0;
/// For how many parts of the time percentiles are drawn.
const PARTS: u64 = 60;
/// The longest latency that is told from longer ones, in microseconds.
const MICROSECONDS_MAX: u64 = 600_000_000;

/// The plot, with a panel for each of `kinds`.
pub(super) fn draw(load: &Load<'_>, kinds: &[&str]) -> String {
    let paced = load.calls().any(|call| call.intended < call.invoked);
    let mut legend = vec![
        ("marks ok", "ok"),
        ("marks fail", "failed"),
        ("marks info", "outcome unknown"),
        ("half", "half are faster"),
        ("upper", "99 of 100 are"),
    ];
    if paced {
        legend.push(("turn", "99 of 100, from their turn on"));
    }
    legend.push(("fault", "fault"));
    let title = "Latency of operations of the load, from when they were sent";
    let mut frame = Frame::new(load, title, kinds.len(), &legend);
    let scale = Scale::of(load);
    for (number, kind) in kinds.iter().enumerate() {
        let calls = || load.calls().filter(|call| &*call.f == *kind);
        let plane = frame.panel(number, &format!("{kind}, from when sent to the answer"));
        for power in scale.low..=scale.high {
            let y = scale.y(plane, 10_u64.pow(power));
            frame.level(plane, y, &duration(Duration::from_micros(10_u64.pow(power))));
        }
        for end in [End::Ok, End::Fail, End::Info] {
            let path = marks(&frame, plane, scale, calls().filter(|call| call.end == end));
            frame.path(&format!("marks {}", class(end)), &path);
        }
        let succeeded = || calls().filter(|call| call.end == End::Ok);
        let parts = Parts::of(&frame, succeeded(), |call| call.invoked);
        frame.path("half", &parts.line(&frame, plane, scale, 0.5));
        frame.path("upper", &parts.line(&frame, plane, scale, 0.99));
        if paced {
            let parts = Parts::of(&frame, succeeded(), |call| call.intended);
            frame.path("turn", &parts.line(&frame, plane, scale, 0.99));
        }
    }
    frame.finish()
}

/// How long a call took since `begun`, in microseconds, at least one.
fn microseconds(call: &Call, begun: u64) -> Option<u64> {
    let ended = ended(call)?;
    Some((ended.saturating_sub(begun) / 1000).clamp(1, MICROSECONDS_MAX))
}

/// A logarithmic axis, between powers of ten, in microseconds.
#[derive(Clone, Copy)]
struct Scale {
    low: u32,
    high: u32,
}

impl Scale {
    /// Reaches from the shortest latency of what succeeded to the longest of all. What is refused at once is drawn at the bottom.
    fn of(load: &Load<'_>) -> Scale {
        let (mut low, mut high) = (MICROSECONDS_MAX, 1);
        for call in load.calls() {
            // From its turn on it took longer than from when it was sent.
            for took in [
                microseconds(call, call.intended),
                microseconds(call, call.invoked),
            ] {
                high = high.max(took.unwrap_or(high));
                if call.end == End::Ok {
                    low = low.min(took.unwrap_or(low));
                }
            }
        }
        let low = low.min(high).ilog10();
        Scale {
            low,
            high: ((high as f64).log10().ceil() as u32).max(low + 1),
        }
    }

    fn y(self, plane: Plane, microseconds: u64) -> f64 {
        let share = ((microseconds as f64).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        plane.bottom - share.max(0.0) * (plane.bottom - plane.top)
    }
}

/// A mark for each call where it was sent; those in one cell are one.
fn marks<'a>(frame: &Frame, plane: Plane, scale: Scale, calls: impl Iterator<Item = &'a Call>) -> String {
    let cells: BTreeSet<(u32, u32)> = calls
        .filter_map(|call| {
            let y = scale.y(plane, microseconds(call, call.invoked)?);
            Some(((frame.x(call.invoked) / CELL) as u32, (y / CELL) as u32))
        })
        .collect();
    let mut path = String::new();
    for (x, y) in cells {
        let middle = |cell: u32| (f64::from(cell) + 0.5) * CELL;
        let _ = write!(path, "M{} {}h0", middle(x), middle(y));
    }
    path
}

/// The latencies of each part of the time.
struct Parts(Vec<Histogram<u32>>);

impl Parts {
    fn of<'a>(frame: &Frame, calls: impl Iterator<Item = &'a Call>, begun: impl Fn(&Call) -> u64) -> Parts {
        let (from, to) = frame.span();
        let mut parts: Vec<Histogram<u32>> = (0..PARTS)
            .map(|_| {
                Histogram::new_with_max(MICROSECONDS_MAX, 2)
                    .expect("two digits are one of the precisions it has")
            })
            .collect();
        for call in calls {
            let begun = begun(call);
            if let Some(took) = microseconds(call, begun) {
                let part =
                    u128::from(begun.saturating_sub(from)) * u128::from(PARTS) / u128::from(to - from + 1);
                parts[part as usize].saturating_record(took);
            }
        }
        Parts(parts)
    }

    /// A percentile over the time.
    fn line(&self, frame: &Frame, plane: Plane, scale: Scale, quantile: f64) -> String {
        let (from, to) = frame.span();
        line(self.0.iter().zip(0_u64..).map(|(part, number)| {
            let middle = from + (to - from) / PARTS * number + (to - from) / PARTS / 2;
            let took = part.value_at_quantile(quantile);
            (!part.is_empty()).then(|| (frame.x(middle), scale.y(plane, took.max(1))))
        }))
    }
}
