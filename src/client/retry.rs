//! How long to wait before the next attempt.
//!
//! Owns the arithmetic of backing off, and nothing that sleeps or knows the time. Does not own whether there is a next
//! attempt (that is `trial`).

use std::time::Duration;

/// The first wait is at most this long. Half a second outlasts a restart of one worker behind a load balancer.
const BASE: Duration = Duration::from_millis(500);

/// No wait is longer of its own accord; the official clients stop at the same figure.
const CEILING: Duration = Duration::from_secs(60);

/// The wait after the `failures`-th failure in a row: doubling, drawn from the upper half of the span so that calls that
/// failed together do not come back together, and never shorter than the server asked for.
pub(super) fn delay(failures: u32, hint: Option<Duration>, random: u64) -> Duration {
    let span = BASE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(CEILING);
    let half = span / 2;
    let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    let drawn = half + Duration::from_nanos(random % spread.saturating_add(1));
    drawn.max(hint.unwrap_or_default())
}

/// `SplitMix64`: enough for jitter, seeded so that a simulated sync can be run again exactly.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub(super) const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_stays_within_its_bounds(failures: u32, random: u64) {
            let wait = delay(failures, None, random);
            prop_assert!(wait >= BASE / 2 && wait <= CEILING);
        }

        #[test]
        fn a_wait_is_never_shorter_than_the_server_asked(failures: u32, random: u64, hint in 0..10_000_000_u64) {
            let hint = Duration::from_millis(hint);
            prop_assert!(delay(failures, Some(hint), random) >= hint);
        }

        #[test]
        fn waits_grow_until_the_ceiling(failures in 1..60_u32, random: u64) {
            // The lower bound of the next span is the upper bound of this one.
            prop_assert!(delay(failures, None, random) <= delay(failures + 1, None, 0).max(CEILING));
            prop_assert!(delay(failures + 1, None, random) >= delay(failures, None, 0));
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_waits_and_another_seed_others() {
        let waits = |seed| {
            let mut random = Random::new(seed);
            (1..20).map(|failures| delay(failures, None, random.next())).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
