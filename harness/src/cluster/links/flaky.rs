//! What befalls a link that is flaky, and when: drawn from a seed.

use super::Link;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Between two of them, in milliseconds.
const PAUSE_MS: RangeInclusive<u64> = 20..=200;
/// How long a connection is silent or a trap open, in milliseconds: up to more than an election time-out.
const LASTS_MS: RangeInclusive<u64> = 20..=500;
/// How long a newer connection speaks before an older one's last words arrive, in milliseconds.
const BEHIND_MS: RangeInclusive<u64> = 5..=100;

/// What becomes of the connections that a link has at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prank {
    /// They are reset.
    Reset,
    /// They are half-open: what is sent is swallowed for so long, and then they are reset. New ones work.
    Silence(Duration),
    /// They end, but the last that was said on them arrives later: so long after a newer one has begun to speak.
    Overtake(Duration),
}

/// Whether a link is flaky.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flakiness {
    /// It is not.
    Off,
    /// It is.
    On,
    /// And just now it takes connections, and swallows what they say.
    Trap,
}

/// Lets things befall the link until it is flaky no longer.
pub(super) async fn play(link: Arc<Link>, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut flaky = link.flaky.subscribe();
    loop {
        let pause = millis(&mut random, PAUSE_MS);
        let (lasts, behind) = (millis(&mut random, LASTS_MS), millis(&mut random, BEHIND_MS));
        let sort = random.random_range(0..4);
        let over = flaky.wait_for(|flaky| *flaky == Flakiness::Off);
        if tokio::time::timeout(pause, over).await.is_ok() {
            return;
        }
        let prank = match sort {
            0 => Prank::Silence(lasts),
            1 => Prank::Overtake(behind),
            _ => Prank::Reset,
        };
        // Where there is no connection, nobody hears of it.
        let _ = link.pranks.send(prank);
        // Those that come in the place of what was reset fall into it.
        if sort == 3 && link.turn_flaky(Flakiness::On, Flakiness::Trap) {
            let over = flaky.wait_for(|flaky| *flaky == Flakiness::Off);
            let is_over = tokio::time::timeout(lasts, over).await.is_ok();
            if is_over || !link.turn_flaky(Flakiness::Trap, Flakiness::On) {
                return;
            }
        }
    }
}

fn millis(random: &mut ChaCha8Rng, range: RangeInclusive<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}
