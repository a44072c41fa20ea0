//! The two published limits: requests within a second, requests at once.
//!
//! Owns the arithmetic only; what a refused request is answered stands in `mod.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Documented: 40 requests per second ("Rate limits"). How the second is cut is unknown; the strict reading is any window
/// of one second, both ends included, wherever it begins.
const WINDOW: Duration = Duration::from_secs(1);

/// What counts of the requests so far.
#[derive(Debug)]
pub(super) struct Limits {
    requests_per_second: usize,
    connections: u32,
    arrivals: VecDeque<Instant>,
    in_flight: u32,
}

/// One request's arrival against the limits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Requests in the window that ends now, this one included.
    pub(super) in_window: usize,
    /// Requests in flight now, this one included.
    pub(super) in_flight: u32,
    pub(super) too_fast: bool,
    pub(super) too_many_at_once: bool,
}

impl Limits {
    pub(super) fn new(requests_per_second: u32, connections: u32) -> Limits {
        Limits {
            requests_per_second: usize::try_from(requests_per_second).unwrap_or(usize::MAX),
            connections,
            arrivals: VecDeque::new(),
            in_flight: 0,
        }
    }

    /// Counts a request in. Documented: every request counts; that refused ones do as well is the strict reading.
    pub(super) fn arrive(&mut self, now: Instant) -> Arrival {
        while self.arrivals.front().is_some_and(|arrival| now.duration_since(*arrival) > WINDOW) {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        self.in_flight += 1;
        Arrival {
            in_window: self.arrivals.len(),
            in_flight: self.in_flight,
            too_fast: self.arrivals.len() > self.requests_per_second,
            too_many_at_once: self.in_flight > self.connections,
        }
    }

    /// Counts a request out.
    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Requests in the window that ends now.
    pub(super) fn in_window(&self, now: Instant) -> usize {
        self.arrivals.iter().filter(|arrival| now.duration_since(**arrival) <= WINDOW).count()
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn carry_over(&mut self, in_flight: u32) {
        self.in_flight = in_flight;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_second_slides_and_both_its_ends_belong_to_it() {
        let mut limits = Limits::new(2, 100);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!limits.arrive(at(0)).too_fast);
        assert!(!limits.arrive(at(900)).too_fast);
        assert!(limits.arrive(at(1000)).too_fast, "0, 900 and 1000 ms lie in one second");
        assert!(limits.arrive(at(1001)).too_fast, "900, 1000 and 1001 ms: the refused one counts");
        assert!(limits.arrive(at(2000)).too_fast);
        assert!(!limits.arrive(at(3001)).too_fast);
    }

    #[test]
    fn one_more_than_the_connections_is_too_many_until_one_leaves() {
        let mut limits = Limits::new(100, 2);
        let now = Instant::now();
        assert!(!limits.arrive(now).too_many_at_once);
        assert!(!limits.arrive(now).too_many_at_once);
        assert!(limits.arrive(now).too_many_at_once);
        limits.leave();
        limits.leave();
        assert!(!limits.arrive(now).too_many_at_once);
    }

    proptest! {
        /// The count by deque equals the count by definition, whatever the gaps between arrivals.
        #[test]
        fn the_window_counts_what_its_definition_says(gaps in prop::collection::vec(0u64..1500, 1..80), limit in 1u32..10) {
            let mut limits = Limits::new(limit, u32::MAX);
            let start = Instant::now();
            let mut times = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                times.push(now);
                let arrival = limits.arrive(start + Duration::from_millis(now));
                let expected = times.iter().filter(|time| now - **time <= 1000).count();
                prop_assert_eq!(arrival.in_window, expected);
                let later = now + gap / 2;
                let expected_later = times.iter().filter(|time| later - **time <= 1000).count();
                prop_assert_eq!(limits.in_window(start + Duration::from_millis(later)), expected_later);
                prop_assert_eq!(arrival.too_fast, expected > limit as usize);
            }
        }
    }
}
