//! Between which rates clocks run that are wrong.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// In thousandths: what a rate may be.
const ALLOWED: RangeInclusive<u32> = 100..=10_000;

/// The least and the greatest rate of a clock that is wrong, as multiples of the usual one, to a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rates {
    /// In thousandths.
    least: u32,
    most: u32,
}

/// From a quarter of the usual rate to four times that: further apart than any promise about clocks allows.
impl Default for Rates {
    fn default() -> Rates {
        Rates {
            least: 250,
            most: 4000,
        }
    }
}

impl Rates {
    /// Rates at which two clocks, of which one is right, run apart by less than a tenth: what leases of the project's own node rest on.
    pub const WITHIN_LEASES: Rates = Rates {
        least: 920,
        most: 1080,
    };

    /// In thousandths, where `place`, from 0 to 1, tells: half of the way is the mean of the logarithms.
    pub(super) fn at(self, place: f64) -> u32 {
        let (least, most) = (f64::from(self.least), f64::from(self.most));
        let rate = least * (most / least).powf(place);
        // Both ends are whole numbers of 32 bits.
        rate.round().clamp(least, most) as u32
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, most] = [self.least, self.most].map(|rate| f64::from(rate) / 1000.0);
        write!(f, "{least}..{most}")
    }
}

/// A text that names no rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allowed are rates of clocks from 0.1 to 10, MIN..MAX, as in 0.5..2")]
pub struct UnknownRates;

impl FromStr for Rates {
    type Err = UnknownRates;

    fn from_str(text: &str) -> Result<Rates, UnknownRates> {
        let rate = |text: &str| {
            let rate = text.parse::<f64>().ok()? * 1000.0;
            let is_allowed = rate >= f64::from(*ALLOWED.start()) && rate <= f64::from(*ALLOWED.end());
            is_allowed.then(|| rate.round() as u32)
        };
        let (least, most) = text.split_once("..").ok_or(UnknownRates)?;
        let (least, most) = (rate(least).ok_or(UnknownRates)?, rate(most).ok_or(UnknownRates)?);
        (least <= most)
            .then_some(Rates { least, most })
            .ok_or(UnknownRates)
    }
}

impl From<Rates> for String {
    fn from(rates: Rates) -> String {
        rates.to_string()
    }
}

impl TryFrom<String> for Rates {
    type Error = UnknownRates;

    fn try_from(text: String) -> Result<Rates, UnknownRates> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_was_said() {
        for text in ["0.25..4", "0.92..1.08", "0.25..0.25", "0.1..10"] {
            assert_eq!(text.parse::<Rates>().unwrap().to_string(), text);
        }
        for text in [
            "", "1", "2..1", "0..1", "1..11", "a..b", "nan..2", "1..inf", "-1..1", "0.5,2",
        ] {
            assert_eq!(text.parse::<Rates>(), Err(UnknownRates), "{text}");
        }
    }

    #[test]
    fn slower_ones_are_as_frequent_as_faster_ones() {
        let rates = Rates::default();
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|place| rates.at(place)),
            [250, 500, 1000, 2000, 4000]
        );
        assert_eq!("0.25..0.25".parse::<Rates>().unwrap().at(0.7), 250);
    }
}
