//! How many operations ended a second, by how they ended.

use super::frame::{Frame, line, nice};
use super::{Load, class, ended};
use crate::report::grouped;
use checker::history::End;

/// Into how many parts the time is cut, about.
const PARTS: f64 = 120.0;
/// How many levels there are about on the axis.
const LEVELS: f64 = 4.0;

/// The plot, with a panel for each of `kinds`.
pub(super) fn draw(load: &Load<'_>, kinds: &[&str]) -> String {
    let legend = [
        ("line ok", "ok"),
        ("line fail", "failed"),
        ("line info", "outcome unknown"),
        ("fault", "fault"),
    ];
    let mut frame = Frame::new(
        load,
        "Operations of the load a second, by how they ended",
        kinds.len(),
        &legend,
    );
    let (from, to) = frame.span();
    let part = (nice((to - from) as f64 / 1e9 / PARTS) * 1e9).max(1.0);
    // What is left of the time behind the last whole part would make a rate of next to nothing.
    let parts = (((to - from) as f64 / part) as usize).max(1);
    for (number, kind) in kinds.iter().enumerate() {
        let plane = frame.panel(number, &format!("{kind}, a second"));
        let rates = [End::Ok, End::Fail, End::Info].map(|end| {
            let mut rates = vec![0.0; parts];
            for call in load.calls().filter(|call| &*call.f == *kind && call.end == end) {
                let of = |time: u64| (time.saturating_sub(from) as f64 / part) as usize;
                if let Some(rate) = ended(call).and_then(|time| rates.get_mut(of(time))) {
                    *rate += 1e9 / part;
                }
            }
            (end, rates)
        });
        let highest = rates
            .iter()
            .flat_map(|(_, rates)| rates)
            .copied()
            .fold(1.0, f64::max);
        let step = nice(highest / LEVELS);
        let top = (highest / step).ceil() * step;
        let y = |rate: f64| plane.bottom - rate / top * (plane.bottom - plane.top);
        for level in 0..=(top / step).round() as u32 {
            let rate = f64::from(level) * step;
            let words = if step < 1.0 {
                format!("{rate:.1}")
            } else {
                grouped(rate as u64)
            };
            frame.level(plane, y(rate), &words);
        }
        // What happens most is drawn first, so that it hides nothing. What never happened is not drawn.
        for (end, rates) in rates {
            if rates.iter().all(|rate| *rate == 0.0) {
                continue;
            }
            let points = rates.iter().enumerate().map(|(place, rate)| {
                let middle = from + ((place as f64 + 0.5) * part) as u64;
                Some((frame.x(middle), y(*rate)))
            });
            let path = line(points);
            frame.path(&format!("line {}", class(end)), &path);
        }
    }
    frame.finish()
}
