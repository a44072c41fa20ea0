//! When requests may leave, and how that pace is found where others use the same account. Pure, with the time handed in.
//!
//! Nobody says how many connectors share an account. What is known is a 429, and who sends more meets more of them: so each
//! 429 costs a share of the rate, and each quiet while gains a little of it, the same little for all. That is how everybody
//! comes to the same rate. Three things keep what is lost on the way small. All 429s of one second are one event and are paid
//! once. A client that finds the account full, or that is refused after the second that was too full is over, gives up its
//! rate at once and feels its way up from below. And the dearer a pause is (`Retry-After` has whole seconds), the more
//! slowly the next one is risked.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::retry::Random;

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

/// No thread is busy for longer; at a low rate what looks late was not wanted before.
const LATE: Duration = Duration::from_millis(50);

/// How far catching up reaches when intervals are shorter than the runtime's clock ticks (1 ms): a cap of 100,000 a second,
/// as on a sandbox, needs a hundred requests to become due at each tick.
const CATCH_UP_TICKS: Duration = Duration::from_millis(5);

/// The API counts by the second: a 429 within a second of another may be about the same requests.
const SECOND: Duration = Duration::from_secs(1);

/// After a 429 without Retry-After everybody pauses about this long, drawn from half of it to one and a half, so that those
/// who met do not meet again. It doubles with every 429 that no good answer came between, for the budget that is counted
/// per minute.
const PAUSE: Duration = Duration::from_millis(300);

/// So a minute's budget is found to be there again at most this much too late.
const PAUSE_CEILING: Duration = Duration::from_secs(20);

/// After Retry-After, at most this much more is waited: others were told the same number.
const SCATTER: Duration = Duration::from_millis(200);

/// The parts of the rate that a 429 costs: of any rate, and of the full rate besides. The faster a client is, the larger is
/// the share that it gives up.
const CUT: f64 = 0.07;
const CUT_OF_FULL: f64 = 0.05;

/// The part of the cap that a client comes down to which finds the account full: below the fair share of all but many.
const FOOT: f64 = 0.1;

/// The rate falls no lower than this part of the cap: 1 a second.
const SLOWEST: f64 = 1.0 / 40.0;

/// While feeling its way up, the rate grows by this part of itself a second: doubling takes 6 s.
const CLIMB: f64 = 0.12;

/// So many 429s end the climb: one alone may have met the wrong client. Where pauses are dear each counts double.
const CLIMB_ENDS: u8 = 3;

/// Otherwise it grows each second by this part of the cap and this part of itself.
const GAIN_OF_FULL: f64 = 0.0005;
const GAIN: f64 = 0.0025;

/// A pause is dear that is longer than this many times [`PAUSE`].
const DEAR: f64 = 2.0;

/// The dearer the last pause was, the more slowly the next is risked: growth is slower by this power of how many times
/// [`PAUSE`] it was, and that of the climb by the other.
const THRIFT: f64 = 1.5;
const THRIFT_OF_CLIMB: f64 = 0.5;

/// But only from this part of the rate on at which the last 429 came: what it took is had back as fast as anywhere.
const NEAR: f64 = 0.96;

/// After so long without a 429 others have gone, and the rate climbs; twice as long where pauses are dear.
const QUIET: Duration = Duration::from_secs(50);

/// When requests may leave.
#[derive(Debug)]
pub(super) struct Pace {
    cap: usize,
    /// Requests a second.
    full: f64,
    rate: f64,
    /// When the next request is due.
    next: Instant,
    paused_until: Option<Instant>,
    /// The times of the last `cap` requests, oldest first.
    recent: VecDeque<Instant>,
    /// When the last 429 was taken to heart. Requests that left before say nothing about what was learned then.
    learned: Option<Instant>,
    /// The first 429 since which there was no good answer.
    spell: Option<Instant>,
    /// When the rate was last lowered in this spell.
    lowered: Option<Instant>,
    /// 429s taken to heart in this spell.
    streak: u32,
    /// 429s until the climb ends; none while not climbing.
    climbing: u8,
    /// When the rate begins to climb by itself.
    quiet_at: Instant,
    /// How many times the usual pause the last one was; never less than 1.
    price: f64,
    /// The rate at which the last 429 came.
    met: f64,
    /// Good answers so far.
    good: u64,
    last_good: Instant,
    paused: Paused,
    random: Random,
}

impl Pace {
    pub(super) fn new(requests_per_second: u32, now: Instant, random: Random) -> Self {
        let cap = requests_per_second.max(1);
        Self {
            cap: cap as usize,
            full: f64::from(cap),
            rate: f64::from(cap),
            next: now,
            paused_until: None,
            recent: VecDeque::new(),
            learned: None,
            spell: None,
            lowered: None,
            streak: 0,
            climbing: 0,
            quiet_at: now,
            price: 1.0,
            met: 0.0,
            good: 0,
            last_good: now,
            paused: Paused::default(),
            random,
        }
    }

    fn interval(&self) -> Duration {
        SPREAD.div_f64(self.rate)
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
        let reach = (interval.min(LATE) * CATCH_UP).max(CATCH_UP_TICKS);
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
            self.pause(now, after);
        }
        if self.learned.is_some_and(|learned| sent <= learned) {
            return;
        }
        self.learned = Some(now);
        self.spell.get_or_insert(now);
        self.slow_down(now);
        let drawn = self.random.unit();
        let pause = match after {
            Some(after) => after + SCATTER.mul_f64(drawn),
            None => PAUSE.saturating_mul(2_u32.saturating_pow(self.streak)).min(PAUSE_CEILING).mul_f64(0.5 + drawn),
        };
        self.streak = self.streak.saturating_add(1);
        self.pause(now, pause);
        self.price = pause.max(PAUSE).div_duration_f64(PAUSE);
        let quiet = if self.price > DEAR { 2 * QUIET } else { QUIET };
        self.quiet_at = now + pause + quiet.mul_f64(0.75 + 0.5 * self.random.unit());
    }

    /// What a 429 costs, once for each second that was too full.
    fn slow_down(&mut self, now: Instant) {
        let foot = self.full * FOOT;
        if self.good < self.cap as u64 {
            // It was full before we came.
            self.rate = self.rate.min(foot);
            self.climbing = CLIMB_ENDS;
        } else if self.lowered.is_none() {
            self.met = self.rate;
            self.rate -= self.rate * (CUT + CUT_OF_FULL * self.rate / self.full);
            self.climbing = self.climbing.saturating_sub(if self.price > DEAR { 2 } else { 1 });
        } else if self.lowered.is_some_and(|lowered| now - lowered > SECOND) {
            // That second is over, and still there is no room.
            self.rate = self.rate.min((self.rate / 2.0).max(foot));
            self.climbing = CLIMB_ENDS;
        } else {
            return;
        }
        self.rate = self.rate.max(self.full * SLOWEST);
        self.lowered = Some(now);
    }

    fn pause(&mut self, now: Instant, pause: Duration) {
        self.rest(now, now + pause, Why::Rate);
    }

    /// Nothing leaves until then.
    pub(super) fn rest(&mut self, now: Instant, until: Instant, why: Why) {
        let from = self.paused_until.map_or(now, |already| already.max(now));
        if until > from {
            self.paused_until = Some(until);
            // Nobody catches up on a pause.
            self.next = self.next.max(until);
            self.paused.add(now, from, until, why);
        }
    }

    /// The API answered properly.
    pub(super) fn good(&mut self, sent: Instant, now: Instant) {
        self.good += 1;
        let since = now.saturating_duration_since(self.last_good).min(SECOND);
        self.last_good = now;
        if self.learned.is_some_and(|learned| sent <= learned) {
            return;
        }
        (self.spell, self.lowered, self.streak) = (None, None, 0);
        let gain = if self.climbing > 0 {
            CLIMB * self.rate / self.price.powf(THRIFT_OF_CLIMB)
        } else if now >= self.quiet_at {
            CLIMB * self.rate
        } else {
            let thrift = if self.rate < NEAR * self.met { 1.0 } else { self.price.powf(THRIFT) };
            (GAIN_OF_FULL * self.full + GAIN * self.rate) / thrift
        };
        self.rate = (self.rate + gain * since.as_secs_f64()).min(self.full);
        if self.rate >= self.full {
            self.climbing = 0;
        }
    }

    /// Requests a second at present.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// The first 429 since which there was no good answer.
    pub(super) fn spell(&self) -> Option<Instant> {
        self.spell
    }

    /// How long everybody was paused so far: because of 429, and because of 503.
    pub(super) fn time_paused(&self, now: Instant) -> (Duration, Duration) {
        self.paused.so_far(now)
    }
}

/// What a pause is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Too many requests in a second.
    Rate,
    /// Too many at once.
    Connections,
}

/// The pauses so far, each counted for what made it begin, or longer.
#[derive(Debug, Default)]
struct Paused {
    /// Of those that are over: for the rate, and for the connections.
    over: (Duration, Duration),
    /// Those that are not: why, from when and until when. They do not overlap.
    others: Vec<(Why, Instant, Instant)>,
}

impl Paused {
    fn add(&mut self, now: Instant, from: Instant, until: Instant, why: Why) {
        let of = |this: &Self, is_over: bool| this.sum(now, |(_, _, until)| (*until <= now) == is_over);
        let (rate, connections) = of(self, true);
        self.over = (self.over.0 + rate, self.over.1 + connections);
        self.others.retain(|(_, _, until)| *until > now);
        self.others.push((why, from, until));
    }

    fn so_far(&self, now: Instant) -> (Duration, Duration) {
        let (rate, connections) = self.sum(now, |_| true);
        (self.over.0 + rate, self.over.1 + connections)
    }

    fn sum(&self, now: Instant, which: impl Fn(&(Why, Instant, Instant)) -> bool) -> (Duration, Duration) {
        let of = |wanted: Why| {
            let those = self.others.iter().filter(|other| other.0 == wanted && which(other));
            those.map(|(_, from, until)| (*until).min(now).saturating_duration_since(*from)).sum()
        };
        (of(Why::Rate), of(Why::Connections))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(cap: u32, now: Instant) -> Pace {
        Pace::new(cap, now, Random::new(1))
    }

    /// One that has had good answers for a while.
    fn proven(now: Instant) -> Pace {
        let mut pace = pace(40, now);
        (0..100).for_each(|_| pace.good(now, now));
        pace
    }

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

    /// How long it takes until the rate is so high, with a good answer now and then.
    fn climb(pace: &mut Pace, mut now: Instant, to: f64) -> Duration {
        let start = now;
        while pace.rate < to {
            now += 100 * MS;
            pace.good(now, now);
            assert!(now - start < 100 * QUIET, "stuck at {}", pace.rate);
        }
        now - start
    }

    #[test]
    fn a_minute_at_the_cap_uses_98_percent_of_it_and_is_even() {
        let start = Instant::now();
        let sent = run(&mut pace(40, start), start, 60 * SECOND, || Duration::ZERO);
        assert!((2_352..=2_356).contains(&sent.len()), "{}", sent.len());
        assert!(sent[10..].windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(25_500)));
    }

    #[test]
    fn the_rate_of_a_sandbox_is_reached_with_a_clock_of_milliseconds() {
        for cap in [1_000, 10_000, 100_000] {
            let start = Instant::now();
            let sent = run(&mut pace(cap, start), start, 5 * SECOND, || MS);
            let most = most_within(&sent, SECOND);
            assert!(sent.len() >= cap as usize * 5 * 97 / 100, "{} of {cap}", sent.len() / 5);
            assert!(most <= cap as usize, "{most} of {cap}");
        }
    }

    #[test]
    fn a_rest_is_not_saved_up_at_any_rate() {
        let start = Instant::now();
        let mut pace = pace(40, start);
        let sent = run(&mut pace, start + 3_600 * SECOND, 50 * MS, || Duration::ZERO);
        assert!(sent.len() <= 4 + CATCH_UP as usize, "{}", sent.len());
        pace.rate = 1.0;
        let sent = run(&mut pace, start + 7_200 * SECOND, 50 * MS, || Duration::ZERO);
        assert_eq!(sent.len(), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_the_cap_within_a_second(
            cap in 1..200_u32,
            lates in proptest::collection::vec(0..400_u32, 1..50),
            blows in proptest::collection::vec(0..40_u32, 0..5),
        ) {
            let start = Instant::now();
            let mut pace = pace(cap, start);
            let mut lates = lates.into_iter().cycle();
            let (mut sent, mut from) = (Vec::new(), start);
            for blow in blows {
                sent.extend(run(&mut pace, from, 3 * SECOND, || MS * lates.next().unwrap()));
                from = *sent.last().unwrap();
                pace.throttled(from, from, (blow % 2 == 0).then_some(MS * 100 * blow));
                pace.good(from + MS, from + MS);
            }
            sent.extend(run(&mut pace, from, 3 * SECOND, || MS * lates.next().unwrap()));
            prop_assert!(most_within(&sent, SECOND) <= cap as usize);
        }

        #[test]
        fn the_rate_stays_within_its_bounds(steps in proptest::collection::vec((0..3_u8, 0..5_000_u64), 0..200)) {
            let mut now = Instant::now();
            let mut pace = pace(40, now);
            for (step, millis) in steps {
                now += Duration::from_millis(millis);
                match step {
                    0 => pace.good(now, now),
                    1 => pace.throttled(now, now, None),
                    _ => pace.throttled(now, now, Some(MS * 500)),
                }
                prop_assert!((40.0 * SLOWEST..=40.0).contains(&pace.rate), "{}", pace.rate);
            }
        }
    }

    #[test]
    fn a_burst_of_429_is_paid_once_and_the_rate_comes_back_in_small_steps() {
        let start = Instant::now();
        let mut pace = proven(start);
        for n in 1..20 {
            pace.throttled(start + MS, start + MS * n, None);
        }
        assert!((pace.rate - 40.0 * (1.0 - CUT - CUT_OF_FULL)).abs() < 1e-9, "{}", pace.rate);
        let until = pace.take(start + 10 * MS).unwrap_err();
        assert!((PAUSE / 2..=PAUSE * 3 / 2 + MS).contains(&(until - start)), "{:?}", until - start);
        let took = climb(&mut pace, until, 40.0);
        assert!((20 * SECOND..QUIET).contains(&took), "{took:?}");
    }

    #[test]
    fn whoever_is_fast_gives_up_a_larger_share() {
        let start = Instant::now();
        let kept = [40.0, 20.0, 5.0].map(|rate| {
            let mut pace = proven(start);
            pace.rate = rate;
            pace.throttled(start + MS, start + MS, None);
            pace.rate / rate
        });
        assert!(kept[0] < kept[1] && kept[1] < kept[2] && kept[2] < 0.95, "{kept:?}");
    }

    #[test]
    fn refused_again_within_the_second_costs_patience_and_after_it_half_of_the_rate() {
        let start = Instant::now();
        let mut pace = proven(start);
        pace.throttled(start + MS, start + MS, None);
        let (rate, until) = (pace.rate, pace.paused_until.unwrap());
        pace.throttled(until, until, None);
        assert!(pace.rate >= rate && pace.paused_until.unwrap() > until, "the same second");
        let later = start + 1_100 * MS;
        pace.throttled(later, later, None);
        assert!((pace.rate - rate / 2.0).abs() < 1e-9, "{}", pace.rate);
        assert!(climb(&mut pace, later + 10 * SECOND, rate) < 15 * SECOND, "what was given up at once comes back fast");
    }

    #[test]
    fn a_newcomer_to_a_full_account_starts_at_the_foot_and_climbs() {
        let start = Instant::now();
        let mut pace = pace(40, start);
        pace.good(start, start);
        pace.throttled(start + MS, start + MS, None);
        assert!((pace.rate - 4.0).abs() < 1e-9, "{}", pace.rate);
        let took = climb(&mut pace, start + SECOND, 20.0);
        assert!((10 * SECOND..20 * SECOND).contains(&took), "{took:?}");
        // The climb bears two, the third ends it.
        for (nth, end) in [(1, false), (2, false), (3, true)] {
            let now = pace.last_good + 2 * SECOND;
            pace.throttled(now, now, None);
            assert_eq!(pace.climbing == 0, end, "{nth}");
            pace.good(now + SECOND, now + SECOND);
        }
    }

    #[test]
    fn where_pauses_are_dear_a_newcomer_climbs_more_slowly_and_bears_less() {
        let start = Instant::now();
        let mut pace = pace(40, start);
        pace.good(start, start);
        pace.throttled(start + MS, start + MS, Some(SECOND));
        let took = climb(&mut pace, start + 2 * SECOND, 20.0);
        assert!((22 * SECOND..32 * SECOND).contains(&took), "{took:?}");
        for (nth, end) in [(1, false), (2, true)] {
            let now = pace.last_good + 2 * SECOND;
            pace.throttled(now, now, Some(SECOND));
            assert_eq!(pace.climbing == 0, end, "{nth}");
            pace.good(now + 2 * SECOND, now + 2 * SECOND);
        }
    }

    #[test]
    fn the_cap_comes_back_when_the_others_have_gone() {
        for (after, most) in [(None, 100), (Some(SECOND), 160)] {
            let start = Instant::now();
            let mut pace = proven(start);
            pace.rate = 5.0;
            pace.throttled(start + MS, start + MS, after);
            let took = climb(&mut pace, start + 2 * SECOND, 40.0);
            assert!(took < most * SECOND, "{after:?}: {took:?}");
        }
    }

    #[test]
    fn dear_pauses_are_risked_more_rarely() {
        let start = Instant::now();
        let gains = |part: f64| {
            [None, Some(SECOND)].map(|after| {
                let mut pace = proven(start);
                pace.rate = 20.0;
                pace.throttled(start + MS, start + MS, after);
                pace.rate = part * 20.0;
                pace.good(start + 2 * SECOND, start + 2 * SECOND);
                pace.rate - part * 20.0
            })
        };
        let [cheap, dear] = gains(0.98);
        assert!(cheap > 3.0 * dear && dear > 0.0, "{cheap} {dear}");
        let [cheap, dear] = gains(0.9);
        assert!((cheap - dear).abs() < 1e-9, "{cheap} {dear}: far below what was met");
    }

    #[test]
    fn pauses_double_while_nothing_else_is_answered_and_the_rate_has_a_floor() {
        let start = Instant::now();
        let (mut now, mut pace) = (start, proven(start));
        let mut pauses = Vec::new();
        for _ in 0..10 {
            now += MS;
            pace.throttled(now, now, None);
            pauses.push(pace.paused_until.unwrap() - now);
            now = pace.paused_until.unwrap();
        }
        for (nth, pause) in pauses.iter().enumerate() {
            let middle = (PAUSE * 2_u32.pow(nth as u32)).min(PAUSE_CEILING);
            assert!((middle / 2..=middle * 3 / 2).contains(pause), "{nth}: {pause:?}");
        }
        assert!((pace.rate - 4.0).abs() < 1e-9, "{}", pace.rate);
        assert_eq!(pace.time_paused(now), (pauses.iter().sum(), Duration::ZERO));
        assert_eq!(pace.spell, Some(start + MS));
        pace.good(now, now);
        assert_eq!((pace.spell, pace.streak), (None, 0));
    }

    #[test]
    fn those_who_met_at_a_429_do_not_come_back_together() {
        let start = Instant::now();
        let backs: std::collections::BTreeSet<Instant> = (0..20)
            .map(|seed| {
                let mut pace = Pace::new(40, start, Random::new(seed));
                pace.throttled(start + MS, start + MS, Some(SECOND));
                pace.paused_until.unwrap()
            })
            .collect();
        assert_eq!(backs.len(), 20);
        assert!(backs.iter().all(|back| (SECOND..=SECOND + SCATTER + MS).contains(&(*back - start))));
    }

    #[test]
    fn retry_after_pauses_everybody_and_a_shorter_one_does_not_shorten_it() {
        let start = Instant::now();
        let mut pace = pace(40, start);
        pace.throttled(start, start, Some(30 * SECOND));
        pace.throttled(start, start + MS, Some(10 * SECOND));
        let until = pace.take(start + 29 * SECOND).unwrap_err();
        assert!(until >= start + 30 * SECOND && until <= start + 30 * SECOND + SCATTER);
        assert_eq!(pace.take(until), Ok(()));
        assert_eq!(pace.time_paused(until), (until - start, Duration::ZERO));
        assert_eq!(pace.time_paused(until + SECOND), pace.time_paused(until));
    }

    #[test]
    fn of_a_pause_only_what_is_over_is_counted_each_part_for_its_own_cause() {
        let start = Instant::now();
        let mut pace = pace(40, start);
        let seconds = |rate: u32, connections: u32| (rate * SECOND, connections * SECOND);
        pace.rest(start, start + 10 * SECOND, Why::Rate);
        pace.rest(start + SECOND, start + 5 * SECOND, Why::Connections);
        pace.rest(start + SECOND, start + 14 * SECOND, Why::Connections);
        pace.rest(start + 2 * SECOND, start + 15 * SECOND, Why::Rate);
        for (at, paused) in
            [(0, seconds(0, 0)), (4, seconds(4, 0)), (12, seconds(10, 2)), (15, seconds(11, 4)), (20, seconds(11, 4))]
        {
            assert_eq!(pace.time_paused(start + at * SECOND), paused, "{at}");
        }
        pace.rest(start + 20 * SECOND, start + 30 * SECOND, Why::Connections);
        assert_eq!(pace.time_paused(start + 21 * SECOND), seconds(11, 5));
    }
}
