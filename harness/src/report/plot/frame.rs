//! What the plots share: panels below each other with one clock, axes, faults, and a legend.

use super::{Load, ended};
use crate::report::faults::{Fault, faults};
use crate::report::xml::escaped;
use std::fmt::Write as _;

/// How wide a plot is, and how high one of its panels, in pixels.
const WIDTH: f64 = 960.0;
const PANEL: f64 = 202.0;
/// What is around a panel's plane.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const ABOVE: f64 = 48.0;
const BELOW: f64 = 24.0;
/// How high the legend is.
const LEGEND: f64 = 30.0;
/// How wide a letter is, about: of the legend, and of a fault's name.
const LETTER: f64 = 7.4;
const SMALL_LETTER: f64 = 6.2;
/// What is between two names of faults at least.
const APART: f64 = 4.0;
/// In how many rows the names of faults stand, in turns, and how high one is.
const ROWS: usize = 2;
const ROW: f64 = 12.0;
/// How many ticks there are about on an axis of time.
const TICKS: f64 = 10.0;

/// Its colours are those of the page, in daylight and in the dark.
const STYLE: &str = "\
.plot{--ok:#4b83c4;--info:#c9922e;--fail:#a9afb7;--bad:#d43d3d;--order:#7b4fc9;--text:#1d2125;--dim:#6b737c;--line:#e3e5e8;--fault:#d43d3d1f;\
font:12px system-ui,sans-serif;max-width:100%;height:auto;display:block}\
@media(prefers-color-scheme:dark){.plot{--ok:#5c9be0;--info:#dca94a;--fail:#5c646d;--bad:#f06464;--order:#ab86f0;--text:#e4e7ea;--dim:#8e97a1;--line:#2d3338;--fault:#f0646426}}\
.plot text{fill:var(--dim)}.plot .name{fill:var(--text);font-weight:600}.plot .grid{stroke:var(--line)}.plot .fault{fill:var(--fault)}.plot .fault-name{fill:var(--bad);font-size:11px}\
.plot path{fill:none;stroke-linecap:round;stroke-linejoin:round}.plot .ok{stroke:var(--ok)}.plot .fail{stroke:var(--fail)}.plot .info{stroke:var(--info)}\
.plot .marks{stroke-width:3}.plot .line{stroke-width:1.5}.plot .upper,.plot .half,.plot .turn{stroke:var(--text);stroke-width:1.3}.plot .half{stroke:var(--order)}.plot .turn{stroke-dasharray:4 4}";

/// The plane of a panel, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// A plot that is being drawn.
pub(super) struct Frame {
    svg: String,
    /// The time that is shown, in nanoseconds.
    from: u64,
    to: u64,
    faults: Vec<Fault>,
}

impl Frame {
    /// Begins a plot of `panels` panels, called `title`, with a legend of classes and words.
    pub(super) fn new(load: &Load<'_>, title: &str, panels: usize, legend: &[(&str, &str)]) -> Frame {
        let height = LEGEND + panels as f64 * PANEL;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\"><title>{title}</title><style>{STYLE}</style>\n"
        );
        let mut x = LEFT;
        for (class, words) in legend {
            let y = LEGEND / 2.0;
            let _ = match *class {
                "fault" => writeln!(
                    svg,
                    "<rect class=\"fault\" x=\"{x}\" y=\"{}\" width=\"18\" height=\"12\"/>",
                    y - 6.0
                ),
                class => writeln!(svg, "<path class=\"{class}\" d=\"M{x} {y}h18\"/>"),
            };
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{words}</text>", x + 24.0, y + 4.0);
            x += 24.0 + LETTER * words.chars().count() as f64 + 10.0;
        }
        let times = load.calls().filter_map(ended);
        Frame {
            svg,
            from: load.calls().map(|call| call.intended).min().unwrap_or(0),
            to: times.max().unwrap_or(0),
            faults: faults(&load.log.remarks),
        }
    }

    /// The times that are shown, in nanoseconds.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.from, self.to.max(self.from + 1))
    }

    /// Where a time is, in pixels.
    pub(super) fn x(&self, time: u64) -> f64 {
        let (from, to) = self.span();
        let share = (time.clamp(from, to) - from) as f64 / (to - from) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Draws the frame of a panel: its name, the clock, and the faults.
    pub(super) fn panel(&mut self, number: usize, name: &str) -> Plane {
        let above = LEGEND + number as f64 * PANEL;
        let plane = Plane {
            left: LEFT,
            right: WIDTH - RIGHT,
            top: above + ABOVE,
            bottom: above + PANEL - BELOW,
        };
        let (top, bottom) = (plane.top, plane.bottom);
        self.text("name", LEFT, above + 12.0, "start", name);
        for place in 0..self.faults.len() {
            self.fault(place, plane);
        }
        let (from, to) = self.span();
        let step = nice((to - from) as f64 / 1e9 / TICKS);
        let digits = if step < 1.0 {
            (-step.log10()).ceil() as usize
        } else {
            0
        };
        let first = (from as f64 / 1e9 / step).ceil() as u64;
        for tick in first..=(to as f64 / 1e9 / step) as u64 {
            let seconds = tick as f64 * step;
            let x = self.x((seconds * 1e9) as u64);
            let _ = writeln!(self.svg, "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/>");
            self.text(
                "tick",
                x,
                bottom + 16.0,
                "middle",
                &format!("{seconds:.digits$} s"),
            );
        }
        plane
    }

    /// Draws the time under a fault, and above it as much of its name as there is room for; pointing at it tells all of it.
    fn fault(&mut self, place: usize, plane: Plane) {
        let (_, end) = self.span();
        let fault = &self.faults[place];
        let (left, right) = (self.x(fault.from), self.x(fault.to.unwrap_or(end)));
        let (top, width, height) = (plane.top, (right - left).max(1.0), plane.bottom - plane.top);
        let next = self.faults.get(place + ROWS).map(|next| self.x(next.from));
        let room = next.map_or(plane.right, |next| next - APART) - left;
        let label = label(&fault.name, room);
        let name = escaped(&fault.name);
        let _ = writeln!(
            self.svg,
            "<rect class=\"fault\" x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\"><title>{name}</title></rect>"
        );
        if let Some(label) = label {
            let row = top - 6.0 - ROW * (place % ROWS) as f64;
            self.text("fault-name", left, row, "start", &label);
        }
    }

    /// Draws a line of the grid across a panel, with its value beside it.
    pub(super) fn level(&mut self, plane: Plane, y: f64, words: &str) {
        let (left, right) = (plane.left, plane.right);
        let _ = writeln!(self.svg, "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>");
        self.text("level", left - 8.0, y + 4.0, "end", words);
    }

    /// Draws a path.
    pub(super) fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let _ = writeln!(self.svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    /// The plot.
    pub(super) fn finish(self) -> String {
        self.svg + "</svg>\n"
    }

    fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
        // Names come from histories, and those from anywhere.
        let words = escaped(words);
        let _ = writeln!(
            self.svg,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        );
    }
}

/// As much of a fault's name as there is room for: all of it, some of its words, or nothing.
fn label(name: &str, room: f64) -> Option<String> {
    let shortened = name.rmatch_indices(' ');
    let shortened = shortened.map(|(end, _)| format!("{}…", name[..end].trim_end_matches(',')));
    let mut longest_first = [name.to_owned()].into_iter().chain(shortened);
    longest_first.find(|words| SMALL_LETTER * words.chars().count() as f64 <= room)
}

/// A line through points, in pixels; a `None` is a gap.
pub(super) fn line(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for point in points {
        match point {
            Some((x, y)) => {
                let _ = write!(path, "{pen}{x:.1} {y:.1}");
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    path
}

/// The least of 1, 2 and 5 times a power of ten that is no less than `least`.
pub(super) fn nice(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}
