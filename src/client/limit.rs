//! The API's limits: requests a second and requests at once.
//!
//! Owns when a request may leave and what is learned from being throttled. Does not own what counts as throttling (that is
//! `verdict`) nor how long a single call waits for its next attempt (`retry`, `trial`). The arithmetic ([`Pace`],
//! [`Slots`]) is pure, with the time handed in; [`Limiter`] puts waiting around it.
//!
//! Documented: 40 requests a second, else 429; 20 parallel connections, else 503; a compute budget per minute, else 429.
//! Unknown: whether the limits hold per key or per account, so other programs may use up a part of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// The time over which as many requests are spread as the API takes in one second. At 40 a second that is one every
/// 25.5 ms: 98% of the cap, and 20 ms by which the network may squeeze a second's worth of requests together before the
/// server sees 41 in one second.
const SPREAD: Duration = Duration::from_millis(1_020);

/// No more than the cap leave within this time, whatever else happens. Half of the 20 ms of spreading is kept for the
/// network even while late requests catch up.
const WINDOW: Duration = Duration::from_millis(1_010);

/// How many intervals a late request may catch up on. The clock of the runtime and a busy thread make requests late; what
/// is not caught up on is lost rate.
const CATCH_UP: u32 = 2;

/// How far catching up reaches when intervals are shorter than the runtime's clock ticks (1 ms): a cap of 100,000 a second,
/// as on a sandbox, needs a hundred requests to become due at each tick.
const CATCH_UP_TICKS: Duration = Duration::from_millis(5);

/// After a 429 without Retry-After everybody pauses this long: by then the second that was too full is over. It doubles
/// with every further 429 that no good answer came between, for the budget that is counted per minute.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_CEILING: Duration = Duration::from_secs(60);

/// The rate falls no lower than this many requests in a thousand seconds: 1 a second.
const SLOWEST: u64 = 1_000;

/// The rate regains this part of the cap with each second's worth of good answers: from half to full in about 20 s.
const REGAIN: u64 = 40;

/// One more connection is tried after this many good answers.
const GOOD_PER_CONNECTION: u32 = 25;

/// When requests may leave.
#[derive(Debug)]
pub(super) struct Pace {
    cap: usize,
    /// Requests in a thousand seconds: integers, so that slowing down and recovering lose nothing.
    full: u64,
    rate: u64,
    /// When the next request is due.
    next: Instant,
    paused_until: Option<Instant>,
    /// The times of the last `cap` requests, oldest first.
    recent: VecDeque<Instant>,
    /// When the rate was last lowered. Requests that left before say nothing about the lower rate.
    lowered: Option<Instant>,
    /// Lowered so many times without a good answer in between.
    streak: u32,
    good: u64,
    time_paused: Duration,
}

impl Pace {
    pub(super) fn new(requests_per_second: u32, now: Instant) -> Self {
        let cap = requests_per_second.max(1);
        let full = u64::from(cap) * 1_000;
        Self {
            cap: cap as usize,
            full,
            rate: full,
            next: now,
            paused_until: None,
            recent: VecDeque::new(),
            lowered: None,
            streak: 0,
            good: 0,
            time_paused: Duration::ZERO,
        }
    }

    fn interval(&self) -> Duration {
        let nanos = u64::try_from(SPREAD.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos.saturating_mul(1_000) / self.rate)
    }

    /// A request leaves now, or else it is told when to ask again.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Err(until);
        }
        while self.recent.front().is_some_and(|sent| *sent + WINDOW <= now) {
            self.recent.pop_front();
        }
        if let Some(oldest) = self.recent.front().filter(|_| self.recent.len() >= self.cap) {
            return Err(*oldest + WINDOW);
        }
        let interval = self.interval();
        let reach = (interval * CATCH_UP).max(CATCH_UP_TICKS);
        let earliest = now.checked_sub(reach).unwrap_or(now);
        self.next = self.next.max(earliest);
        if self.next > now {
            return Err(self.next);
        }
        self.next += interval;
        self.recent.push_back(now);
        Ok(())
    }

    /// The API said: too many a second. All callers slow down at once.
    pub(super) fn throttled(&mut self, sent: Instant, now: Instant, after: Option<Duration>) {
        if let Some(after) = after {
            self.pause(now, now + after);
        }
        if self.lowered.is_some_and(|lowered| sent <= lowered) {
            return;
        }
        self.rate = (self.rate / 2).max(SLOWEST.min(self.full));
        self.lowered = Some(now);
        self.good = 0;
        if after.is_none() {
            let pause = PAUSE.saturating_mul(2_u32.saturating_pow(self.streak)).min(PAUSE_CEILING);
            self.pause(now, now + pause);
        }
        self.streak = self.streak.saturating_add(1);
    }

    fn pause(&mut self, now: Instant, until: Instant) {
        let from = self.paused_until.map_or(now, |already| already.max(now));
        if until > from {
            self.time_paused += until - from;
            self.paused_until = Some(until);
            // Nobody catches up on a pause.
            self.next = self.next.max(until);
        }
    }

    /// The API answered properly.
    pub(super) fn good(&mut self, sent: Instant) {
        if self.rate == self.full || self.lowered.is_some_and(|lowered| sent <= lowered) {
            return;
        }
        self.streak = 0;
        self.good += 1;
        if self.good * 1_000 >= self.rate {
            self.good = 0;
            self.rate = (self.rate + (self.full / REGAIN).max(1)).min(self.full);
        }
    }
}

/// How many requests may be under way.
#[derive(Debug)]
pub(super) struct Slots {
    most: u32,
    limit: u32,
    /// Permits that are out although the limit has fallen below them: they are kept when they come back.
    owed: u32,
    lowered: Option<Instant>,
    good: u32,
}

impl Slots {
    pub(super) fn new(connections: u32) -> Self {
        let most = connections.max(1);
        Self { most, limit: most, owed: 0, lowered: None, good: 0 }
    }

    /// The API said: too many at once. Halves the limit; returns how many permits are to be withdrawn.
    pub(super) fn throttled(&mut self, sent: Instant, now: Instant) -> u32 {
        if self.lowered.is_some_and(|lowered| sent <= lowered) {
            return 0;
        }
        let limit = (self.limit / 2).max(1);
        let fewer = self.limit - limit;
        self.limit = limit;
        self.lowered = Some(now);
        self.good = 0;
        fewer
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
    pub(super) fn good(&mut self, sent: Instant) -> u32 {
        if self.limit == self.most || self.lowered.is_some_and(|lowered| sent <= lowered) {
            return 0;
        }
        self.good += 1;
        if self.good < GOOD_PER_CONNECTION {
            return 0;
        }
        self.good = 0;
        self.limit += 1;
        u32::from(!self.keep())
    }
}

/// The door that every request goes through.
#[derive(Debug)]
pub(super) struct Limiter {
    slots: Mutex<Slots>,
    connections: Semaphore,
    pace: Mutex<Pace>,
    /// One at a time waits for the next token, the others queue in the order they came: tokio's mutex is fair.
    turnstile: tokio::sync::Mutex<()>,
}

/// The right to have one request under way, and the time it was let through.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    limiter: &'a Limiter,
    permit: Option<SemaphorePermit<'a>>,
    pub(super) sent: Instant,
}

impl Limiter {
    pub(super) fn new(requests_per_second: u32, connections: u32) -> Self {
        let slots = Slots::new(connections);
        Self {
            connections: Semaphore::new(slots.most as usize),
            slots: Mutex::new(slots),
            pace: Mutex::new(Pace::new(requests_per_second, Instant::now())),
            turnstile: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits for a connection, then for a token; in this order, since a token that waits is a token lost. Nobody may hold
    /// the pass while backing off.
    pub(super) async fn enter(&self) -> Pass<'_> {
        // The semaphore is never closed; without a permit there would only be one request too many.
        let permit = self.connections.acquire().await.ok();
        let mut pass = Pass { limiter: self, permit, sent: Instant::now() };
        let _turn = self.turnstile.lock().await;
        loop {
            let now = Instant::now();
            let taken = lock(&self.pace).take(now);
            match taken {
                Ok(()) => {
                    pass.sent = now;
                    return pass;
                }
                Err(until) => sleep_until(until).await,
            }
        }
    }

    /// 429.
    pub(super) fn throttled_rate(&self, sent: Instant, after: Option<Duration>) {
        lock(&self.pace).throttled(sent, Instant::now(), after);
    }

    /// 503.
    pub(super) fn throttled_connections(&self, sent: Instant) {
        let mut slots = lock(&self.slots);
        let fewer = slots.throttled(sent, Instant::now());
        let withdrawn = self.connections.forget_permits(fewer as usize);
        slots.owe(fewer - u32::try_from(withdrawn).unwrap_or(fewer));
    }

    /// A proper answer.
    pub(super) fn good(&self, sent: Instant) {
        lock(&self.pace).good(sent);
        let more = lock(&self.slots).good(sent);
        self.connections.add_permits(more as usize);
    }

    /// For how long all requests have been paused so far, the rest of a running pause included.
    pub(super) fn time_paused(&self) -> Duration {
        lock(&self.pace).time_paused
    }

    /// How long the running pause still lasts, if there is one.
    pub(super) fn pause_left(&self) -> Option<Duration> {
        let until = lock(&self.pace).paused_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Requests a second at present, and connections.
    pub(super) fn allowed(&self) -> (f64, u32) {
        let rate = lock(&self.pace).rate as f64 / 1_000.0;
        (rate, lock(&self.slots).limit)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && lock(&self.limiter.slots).keep()
        {
            permit.forget();
        }
    }
}

/// Nothing here can be left half done by a panic, so a poisoned lock is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// Takes as many tokens as it gets for `time`, waking up late by what `late` says.
    fn run(pace: &mut Pace, start: Instant, time: Duration, mut late: impl FnMut() -> Duration) -> Vec<Instant> {
        let (mut now, mut sent) = (start, Vec::new());
        while now < start + time {
            match pace.take(now) {
                Ok(()) => sent.push(now),
                Err(until) => {
                    assert!(until > now, "to ask again at once is to spin");
                    now = until + late();
                }
            }
        }
        sent
    }

    fn most_within(sent: &[Instant], window: Duration) -> usize {
        let mut from = 0;
        (0..sent.len())
            .map(|at| {
                while sent[at] - sent[from] >= window {
                    from += 1;
                }
                at - from + 1
            })
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_minute_at_the_cap_uses_98_percent_of_it_and_is_even() {
        let start = Instant::now();
        let sent = run(&mut Pace::new(40, start), start, 60 * PAUSE, || Duration::ZERO);
        assert!((2_352..=2_356).contains(&sent.len()), "{}", sent.len());
        assert!(sent[10..].windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(25_500)));
    }

    #[test]
    fn the_rate_of_a_sandbox_is_reached_with_a_clock_of_milliseconds() {
        for cap in [1_000, 10_000, 100_000] {
            let start = Instant::now();
            let sent = run(&mut Pace::new(cap, start), start, 5 * PAUSE, || MS);
            let most = most_within(&sent, PAUSE);
            assert!(sent.len() >= cap as usize * 5 * 97 / 100, "{} of {cap}", sent.len() / 5);
            assert!(most <= cap as usize, "{most} of {cap}");
        }
    }

    #[test]
    fn a_rest_is_not_saved_up() {
        let start = Instant::now();
        let mut pace = Pace::new(40, start);
        let sent = run(&mut pace, start + 3_600 * PAUSE, 50 * MS, || Duration::ZERO);
        assert!(sent.len() <= 4 + CATCH_UP as usize, "{}", sent.len());
    }

    proptest! {
        #[test]
        fn never_more_than_the_cap_within_a_second(
            cap in 1..200_u32,
            lates in proptest::collection::vec(0..400_u32, 1..50),
            blows in proptest::collection::vec(0..40_u32, 0..5),
        ) {
            let start = Instant::now();
            let mut pace = Pace::new(cap, start);
            let mut lates = lates.into_iter().cycle();
            let (mut sent, mut from) = (Vec::new(), start);
            for blow in blows {
                sent.extend(run(&mut pace, from, 3 * PAUSE, || MS * lates.next().unwrap()));
                from = *sent.last().unwrap();
                pace.throttled(from, from, (blow % 2 == 0).then_some(MS * 100 * blow));
                pace.good(from + MS);
            }
            sent.extend(run(&mut pace, from, 3 * PAUSE, || MS * lates.next().unwrap()));
            prop_assert!(most_within(&sent, PAUSE) <= cap as usize);
        }

        #[test]
        fn permits_are_neither_lost_nor_made(most in 1..30_u32, steps in proptest::collection::vec(0..4_u8, 0..400)) {
            let now = Instant::now();
            let mut slots = Slots::new(most);
            let (mut free, mut out) = (most, 0_u32);
            for (at, step) in steps.into_iter().enumerate() {
                let sent = now + MS * u32::try_from(at).unwrap();
                match step {
                    0 if free > 0 => (free, out) = (free - 1, out + 1),
                    1 if out > 0 => {
                        out -= 1;
                        free += u32::from(!slots.keep());
                    }
                    2 => {
                        let fewer = slots.throttled(sent, sent);
                        let withdrawn = fewer.min(free);
                        free -= withdrawn;
                        slots.owe(fewer - withdrawn);
                    }
                    _ => (0..GOOD_PER_CONNECTION).for_each(|_| free += slots.good(sent + MS)),
                }
                prop_assert_eq!(free + out, slots.limit + slots.owed);
                prop_assert!(slots.limit >= 1 && slots.limit <= most);
            }
        }
    }

    #[test]
    fn one_burst_of_429_halves_the_rate_once_and_good_answers_bring_it_back() {
        let start = Instant::now();
        let mut pace = Pace::new(40, start);
        for n in 0..20 {
            pace.throttled(start, start + MS * n, None);
        }
        assert_eq!(pace.rate, 20_000);
        assert_eq!(pace.take(start + MS), Err(start + PAUSE), "everybody waits until that second is over");
        let later = start + PAUSE;
        for answers in 0.. {
            pace.good(later);
            if pace.rate == 40_000 {
                // 20 steps of a second's worth each: 20 + 21 + … + 39.
                assert_eq!(answers + 1, (20..40).sum::<u32>());
                break;
            }
        }
    }

    #[test]
    fn pauses_double_while_nothing_else_is_answered_and_the_rate_has_a_floor() {
        let mut now = Instant::now();
        let mut pace = Pace::new(40, now);
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                now += MS;
                pace.throttled(now, now, None);
                let until = pace.paused_until.unwrap();
                let pause = until - now;
                now = until;
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pace.rate, SLOWEST);
        assert_eq!(pace.time_paused, Duration::from_secs(pauses.iter().sum()));
    }

    #[test]
    fn retry_after_pauses_everybody_and_a_shorter_one_does_not_shorten_it() {
        let start = Instant::now();
        let mut pace = Pace::new(40, start);
        pace.throttled(start, start, Some(30 * PAUSE));
        pace.throttled(start, start + MS, Some(10 * PAUSE));
        assert_eq!(pace.take(start + 29 * PAUSE), Err(start + 30 * PAUSE));
        assert_eq!(pace.take(start + 30 * PAUSE), Ok(()));
        assert_eq!(pace.time_paused, 30 * PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_handed_out_in_the_order_they_were_asked_for() {
        let limiter = Limiter::new(40, 3);
        let order = Mutex::new(Vec::new());
        join_all((0..50).map(|n| {
            let (limiter, order) = (&limiter, &order);
            async move {
                let _pass = limiter.enter().await;
                lock(order).push(n);
                tokio::time::sleep(100 * MS).await;
            }
        }))
        .await;
        assert_eq!(*lock(&order), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_shrink_while_they_are_in_use_and_grow_back_one_by_one() {
        let limiter = Limiter::new(1_000, 4);
        let mut passes = vec![limiter.enter().await, limiter.enter().await, limiter.enter().await];
        tokio::time::advance(MS).await;
        limiter.throttled_connections(passes[0].sent);
        limiter.throttled_connections(passes[1].sent);
        assert_eq!((limiter.allowed().1, limiter.connections.available_permits()), (2, 0));
        passes.pop();
        assert_eq!(limiter.connections.available_permits(), 0, "three were out and two are allowed: the first back is kept");
        passes.pop();
        assert_eq!(limiter.connections.available_permits(), 1);
        passes.clear();
        assert_eq!(limiter.connections.available_permits(), 2);
        tokio::time::advance(MS).await;
        (0..GOOD_PER_CONNECTION).for_each(|_| limiter.good(Instant::now()));
        assert_eq!(limiter.connections.available_permits(), 3);
        (0..1_000).for_each(|_| limiter.good(Instant::now()));
        assert_eq!(limiter.connections.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_in_the_queue_takes_nothing_with_it() {
        let limiter = Limiter::new(1, 2);
        let first = limiter.enter().await;
        for _ in 0..10 {
            assert!(tokio::time::timeout(MS, limiter.enter()).await.is_err());
        }
        drop(first);
        assert_eq!(limiter.connections.available_permits(), 2);
        let _again = limiter.enter().await;
    }
}
