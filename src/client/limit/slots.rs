//! How many requests may be under way, and how that number is found where others use the same account. Pure, with the time
//! handed in.
//!
//! As with the rate, a 503 costs a share and a quiet while gains one connection. What counts is how many were under way, not
//! how many were allowed: while the answers are quick, few are, whatever the limit.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::retry::Random;

/// After a 503 without Retry-After nothing leaves for about this long, drawn from half of it to one and a half. It doubles with
/// every 503 that no good answer came between.
const PAUSE: Duration = Duration::from_millis(200);

/// A place that others leave is soon taken: whoever has none has to ask often.
const PAUSE_CEILING: Duration = Duration::from_secs(1);

/// What is left, in percent, of the connections that were under way.
const KEPT: u32 = 80;

/// One more connection is tried after this long without a 503, the next after half of that, and so on: where others have
/// gone, all connections are back in less than two minutes.
const RAISE: Duration = Duration::from_secs(30);
const RAISE_FLOOR: Duration = Duration::from_secs(1);

/// Whoever has fewer tries sooner, in proportion.
const FEW: u32 = 5;

/// How many requests may be under way.
#[derive(Debug)]
pub(super) struct Slots {
    most: u32,
    limit: u32,
    /// Requests that were sent and not yet answered.
    under_way: u32,
    /// Permits that are out although the limit has fallen below them: they are kept when they come back.
    owed: u32,
    /// When the last 503 was taken to heart. Requests that left before say nothing about what was learned then.
    learned: Option<Instant>,
    /// The first 503 since which there was no good answer.
    spell: Option<Instant>,
    streak: u32,
    raise_at: Instant,
    raise_after: Duration,
    random: Random,
}

/// What a 503 leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fewer {
    /// Permits to be withdrawn.
    pub(super) permits: u32,
    /// Until when nothing leaves.
    pub(super) rest_until: Instant,
}

impl Slots {
    pub(super) fn new(connections: u32, now: Instant, random: Random) -> Self {
        let most = connections.max(1);
        Self {
            most,
            limit: most,
            under_way: 0,
            owed: 0,
            learned: None,
            spell: None,
            streak: 0,
            raise_at: now,
            raise_after: RAISE,
            random,
        }
    }

    /// A request was sent.
    pub(super) fn sent(&mut self) {
        self.under_way += 1;
    }

    /// It was answered, or given up.
    pub(super) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The API said: too many at once. The request it said so of still counts as under way.
    pub(super) fn throttled(&mut self, sent: Instant, now: Instant, after: Option<Duration>) -> Option<Fewer> {
        let told = after.map(|after| now + after);
        if self.learned.is_some_and(|learned| sent <= learned) {
            return told.map(|rest_until| Fewer { permits: 0, rest_until });
        }
        self.learned = Some(now);
        self.spell.get_or_insert(now);
        let limit = (self.limit.min(self.under_way) * KEPT / 100).max(1);
        let permits = self.limit - limit;
        self.limit = limit;
        let pause = PAUSE.saturating_mul(2_u32.saturating_pow(self.streak)).min(PAUSE_CEILING);
        let pause = pause.mul_f64(0.5 + self.random.unit());
        self.streak = self.streak.saturating_add(1);
        self.raise_after = (RAISE * limit.min(FEW) / FEW).mul_f64(0.75 + 0.5 * self.random.unit());
        self.raise_at = now + self.raise_after;
        Some(Fewer { permits, rest_until: told.unwrap_or(now + pause) })
    }

    /// Permits that should have been withdrawn and are still out.
    pub(super) fn owe(&mut self, permits: u32) {
        self.owed += permits;
    }

    /// Whether a permit that comes back is to be kept.
    pub(super) fn keep(&mut self) -> bool {
        let keep = self.owed > 0;
        self.owed -= u32::from(keep);
        keep
    }

    /// The API answered properly. Returns how many permits to add.
    pub(super) fn good(&mut self, sent: Instant, now: Instant) -> u32 {
        if self.learned.is_some_and(|learned| sent <= learned) {
            return 0;
        }
        (self.spell, self.streak) = (None, 0);
        if self.limit == self.most || now < self.raise_at {
            return 0;
        }
        self.raise_after = (self.raise_after / 2).max(RAISE_FLOOR);
        self.raise_at = now + self.raise_after;
        self.limit += 1;
        u32::from(!self.keep())
    }

    /// Requests at once that are allowed.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// The first 503 since which there was no good answer.
    pub(super) fn spell(&self) -> Option<Instant> {
        self.spell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn slots(most: u32, under_way: u32, now: Instant) -> Slots {
        let mut slots = Slots::new(most, now, Random::new(1));
        (0..under_way).for_each(|_| slots.sent());
        slots
    }

    proptest! {
        #[test]
        fn permits_are_neither_lost_nor_made(most in 1..30_u32, steps in proptest::collection::vec(0..4_u8, 0..400)) {
            let mut now = Instant::now();
            let mut slots = slots(most, 0, now);
            let (mut free, mut out) = (most, 0_u32);
            for step in steps {
                now += MS;
                match step {
                    0 if free > 0 => {
                        (free, out) = (free - 1, out + 1);
                        slots.sent();
                    }
                    1 if out > 0 => {
                        out -= 1;
                        slots.ended();
                        free += u32::from(!slots.keep());
                    }
                    2 => {
                        let fewer = slots.throttled(now, now, None).map_or(0, |fewer| fewer.permits);
                        let withdrawn = fewer.min(free);
                        free -= withdrawn;
                        slots.owe(fewer - withdrawn);
                    }
                    _ => {
                        now += RAISE * 2;
                        free += slots.good(now, now);
                    }
                }
                prop_assert_eq!(free + out, slots.limit + slots.owed);
                prop_assert!(slots.limit >= 1 && slots.limit <= most);
            }
        }
    }

    #[test]
    fn a_burst_of_503_is_paid_once_and_by_what_was_under_way() {
        let start = Instant::now();
        let mut slots = slots(20, 10, start);
        let fewer = slots.throttled(start + MS, start + MS, None).unwrap();
        assert_eq!((fewer.permits, slots.limit), (12, 8));
        assert!((PAUSE / 2..=PAUSE * 3 / 2 + MS).contains(&(fewer.rest_until - start)));
        assert_eq!(slots.throttled(start, start + 2 * MS, None), None);
        let told = slots.throttled(start, start + 2 * MS, Some(SECOND));
        assert_eq!(told, Some(Fewer { permits: 0, rest_until: start + 2 * MS + SECOND }));
        assert_eq!(slots.limit, 8);
    }

    #[test]
    fn one_connection_is_always_left_and_the_pause_grows_to_its_ceiling() {
        let mut now = Instant::now();
        let mut slots = slots(20, 1, now);
        for nth in 0..8 {
            now += MS;
            let fewer = slots.throttled(now, now, None).unwrap();
            assert_eq!(slots.limit, 1);
            let middle = (PAUSE * 2_u32.pow(nth)).min(PAUSE_CEILING);
            assert!((middle / 2..=middle * 3 / 2).contains(&(fewer.rest_until - now)), "{nth}");
            now = fewer.rest_until;
        }
    }

    #[test]
    fn connections_come_back_one_by_one_and_ever_faster() {
        let start = Instant::now();
        let mut slots = slots(20, 3, start);
        slots.throttled(start + MS, start + MS, None);
        assert_eq!(slots.limit, 2);
        let few = slots.raise_after;
        let mut many = Slots::new(20, start, Random::new(1));
        (0..20).for_each(|_| many.sent());
        many.throttled(start + MS, start + MS, None);
        assert_eq!(many.limit, 16);
        assert!(few < many.raise_after, "{few:?}: whoever has few tries sooner");
        let (mut now, mut raises) = (start + SECOND, Vec::new());
        while slots.limit < 20 {
            now += 100 * MS;
            if slots.good(now, now) > 0 {
                raises.push(now - start);
            }
        }
        assert!(raises.len() == 18 && raises[0] >= RAISE * 3 / 10, "{raises:?}");
        assert!(*raises.last().unwrap() < 110 * SECOND, "{raises:?}");
        assert!(raises.windows(3).all(|three| three[2] - three[1] <= three[1] - three[0] + 100 * MS), "{raises:?}");
    }
}
