//! `latency.svg`: how long requests took, by percentile; a panel for each point, a curve for each system.
//!
//! The horizontal axis stretches with each nine (50 %, 90 %, 99 %, …), the vertical one with each power of ten.

use hdrhistogram::Histogram;
use std::fmt::Write as _;

const PANEL_WIDTH: f64 = 760.0;
const PANEL_HEIGHT: f64 = 320.0;
/// Around the curves, for the axes' labels.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 150.0;
const ABOVE: f64 = 36.0;
const BELOW: f64 = 34.0;

/// The last percentile that is drawn, as nines: 99.99 %.
const NINES_MAX: f64 = 4.0;
/// How many points a curve has.
const STEPS: u32 = 160;

/// Told apart by people who don't see colours as most do, too (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Curves of the systems at one point.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    title: String,
    curves: Vec<(String, Histogram<u64>)>,
}

impl Panel {
    pub(super) fn new(title: String) -> Panel {
        Panel {
            title,
            curves: Vec::new(),
        }
    }

    /// Adds a system by the latencies of all its rounds, in nanoseconds.
    pub(super) fn add<'a>(&mut self, system: String, mut rounds: impl Iterator<Item = &'a Histogram<u64>>) {
        let Some(mut all) = rounds.next().cloned() else {
            return;
        };
        for round in rounds {
            all.add(round).expect("all histograms have the same bounds");
        }
        self.curves.push((system, all));
    }
}

/// All panels, one below the other.
pub(super) fn svg(panels: &[Panel]) -> String {
    let height = PANEL_HEIGHT * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {PANEL_WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<g transform=\"translate(0 {})\">",
            PANEL_HEIGHT * number as f64
        );
        draw(panel, &mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(panel: &Panel, svg: &mut String) {
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>",
        panel.title
    );
    let scale = Scale::of(panel);
    for (nines, label) in [
        (0.301, "50 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
    ] {
        let (x, bottom) = (Scale::x(nines), PANEL_HEIGHT - BELOW);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {ABOVE}V{bottom}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{label}</text>",
            bottom + 18.0
        );
    }
    for power in scale.low..=scale.high {
        let (y, right) = (scale.y(10_f64.powi(power)), PANEL_WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            duration(power)
        );
    }
    for (number, (system, latencies)) in panel.curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let (x, y) = (PANEL_WIDTH - RIGHT + 14.0, ABOVE + 12.0 + 18.0 * number as f64);
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{}\"/>\n\
             <text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{system}</text>",
            curve(&scale, latencies)
        );
    }
}

fn curve(scale: &Scale, latencies: &Histogram<u64>) -> String {
    let mut points = String::new();
    for step in 0..=STEPS {
        let nines = NINES_MAX * f64::from(step) / f64::from(STEPS);
        let latency = latencies.value_at_quantile(1.0 - 10_f64.powf(-nines));
        let _ = write!(points, "{:.1},{:.1} ", Scale::x(nines), scale.y(latency as f64));
    }
    points.trim_end().to_owned()
}

/// The vertical axis, from one power of ten of nanoseconds to another.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    /// Wide enough for all curves.
    fn of(panel: &Panel) -> Scale {
        let histograms = || panel.curves.iter().map(|(_, latencies)| latencies);
        let low = histograms().map(Histogram::min).min().unwrap_or(1).max(1);
        let last = 1.0 - 10_f64.powf(-NINES_MAX);
        let high = histograms()
            .map(|latencies| latencies.value_at_quantile(last))
            .max();
        let low = i32::try_from(low.ilog10()).expect("it is 19 at most");
        let high = i32::try_from(high.unwrap_or(1).max(1).ilog10()).expect("it is 19 at most") + 1;
        Scale { low, high }
    }

    fn x(nines: f64) -> f64 {
        LEFT + nines / NINES_MAX * (PANEL_WIDTH - LEFT - RIGHT)
    }

    fn y(&self, nanoseconds: f64) -> f64 {
        let share = (nanoseconds.max(1.0).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        PANEL_HEIGHT - BELOW - share * (PANEL_HEIGHT - ABOVE - BELOW)
    }
}

/// A power of ten of nanoseconds in words.
fn duration(power: i32) -> String {
    let units = ["ns", "µs", "ms", "s"];
    let unit = usize::try_from(power / 3).unwrap_or(0).min(units.len() - 1);
    let rest = power - 3 * i32::try_from(unit).expect("there are few units");
    format!("{} {}", 10_u64.pow(u32::try_from(rest).unwrap_or(0)), units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut latencies = Histogram::new(3).unwrap();
        for value in values {
            latencies.record(value).unwrap();
        }
        latencies
    }

    #[test]
    fn powers_of_ten_have_units() {
        let said = [0, 2, 3, 5, 6, 9, 10].map(duration);
        assert_eq!(said, ["1 ns", "100 ns", "1 µs", "100 µs", "1 ms", "1 s", "10 s"]);
    }

    #[test]
    fn a_curve_rises_from_the_least_to_the_greatest_within_its_panel() {
        let mut panel = Panel::new(String::from("put"));
        let rounds = [latencies(100..600), latencies(600..90_000)];
        panel.add(String::from("node"), rounds.iter());
        panel.add(String::from("none"), std::iter::empty());
        assert_eq!(panel.curves.len(), 1);
        let scale = Scale::of(&panel);
        assert_eq!((scale.low, scale.high), (2, 5));
        let curve = curve(&scale, &panel.curves[0].1);
        let heights: Vec<f64> = curve
            .split(' ')
            .map(|point| point.split_once(',').unwrap().1.parse().unwrap())
            .collect();
        assert!(heights.is_sorted_by(|one, next| one >= next), "{heights:?}");
        assert_eq!(heights[0], PANEL_HEIGHT - BELOW);
        assert!(heights.iter().all(|height| *height > ABOVE), "{heights:?}");
    }

    #[test]
    fn a_picture_has_a_panel_for_each_point_even_if_nothing_was_measured() {
        let panels = [Panel::new(String::from("a")), Panel::new(String::from("b"))];
        let svg = svg(&panels);
        assert_eq!(svg.matches("<g ").count(), 2);
        assert_eq!(svg.matches("</g>").count(), 2);
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
