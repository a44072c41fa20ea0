//! The API's limits: requests a second and requests at once.
//!
//! Owns when a request may leave and what is learned from being throttled. Does not own what counts as throttling (that is
//! `verdict`) nor how long a single call waits for its next attempt (`retry`, `trial`). The arithmetic ([`Pace`],
//! [`Slots`]) is pure, with the time and the chance handed in; [`Limiter`] puts waiting around it.
//!
//! Documented: 40 requests a second, else 429; 20 parallel connections, else 503; a compute budget per minute, else 429.
//! Unknown: whether the limits hold per key or per account, so other programs may use up a part of them; whether refused requests
//! count; whether `Retry-After` is sent.

mod pace;
mod slots;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::retry::Random;
use pace::{Pace, Why};
use slots::Slots;

/// The door that every request goes through.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
    connections: Semaphore,
    /// One at a time waits for the next token, the others queue in the order they came: tokio's mutex is fair.
    turnstile: tokio::sync::Mutex<()>,
    /// Told of each pause that begins or grows.
    pauses: Notify,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    slots: Slots,
}

/// The right to have one request under way, and the time it was let through.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    limiter: &'a Limiter,
    permit: Option<SemaphorePermit<'a>>,
    pub(super) sent: Instant,
    under_way: bool,
}

/// A time in which the API lets nothing through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// Its first refusal.
    pub since: Instant,
    /// When the next request leaves.
    pub until: Instant,
}

impl Limiter {
    pub(super) fn new(requests_per_second: u32, connections: u32, seed: u64) -> Self {
        let now = Instant::now();
        // Other streams than that of the waits of single calls.
        let random = |stream| Random::new(seed ^ stream);
        let pace = Pace::new(requests_per_second, now, random(0x9ace_0000));
        let slots = Slots::new(connections, now, random(0x5107_0000));
        Self {
            connections: Semaphore::new(slots.limit() as usize),
            state: Mutex::new(State { pace, slots }),
            turnstile: tokio::sync::Mutex::new(()),
            pauses: Notify::new(),
        }
    }

    /// Waits for a connection, then for a token; in this order, since a token that waits is a token lost. Nobody may hold
    /// the pass while backing off.
    pub(super) async fn enter(&self) -> Pass<'_> {
        // The semaphore is never closed; without a permit there would only be one request too many.
        let permit = self.connections.acquire().await.ok();
        let mut pass = Pass { limiter: self, permit, sent: Instant::now(), under_way: false };
        let _turn = self.turnstile.lock().await;
        loop {
            let now = Instant::now();
            let taken = {
                let mut state = lock(&self.state);
                state.pace.take(now).inspect(|()| state.slots.sent())
            };
            match taken {
                Ok(()) => {
                    (pass.sent, pass.under_way) = (now, true);
                    return pass;
                }
                Err(until) => sleep_until(until).await,
            }
        }
    }

    /// 429.
    pub(super) fn throttled_rate(&self, sent: Instant, after: Option<Duration>) {
        lock(&self.state).pace.throttled(sent, Instant::now(), after);
        self.pauses.notify_one();
    }

    /// 503.
    pub(super) fn throttled_connections(&self, sent: Instant, after: Option<Duration>) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let Some(fewer) = state.slots.throttled(sent, now, after) else { return };
        let withdrawn = self.connections.forget_permits(fewer.permits as usize);
        state.slots.owe(fewer.permits - u32::try_from(withdrawn).unwrap_or(fewer.permits));
        state.pace.rest(now, fewer.rest_until, Why::Connections);
        self.pauses.notify_one();
    }

    /// A proper answer.
    pub(super) fn good(&self, sent: Instant) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.pace.good(sent, now);
        let more = state.slots.good(sent, now);
        self.connections.add_permits(more as usize);
    }

    /// For how long all requests have been paused so far: because of 429, and because of 503.
    pub(super) fn time_paused(&self) -> (Duration, Duration) {
        lock(&self.state).pace.time_paused(Instant::now())
    }

    /// The spell that lasts, if there is one.
    pub(super) fn spell(&self) -> Option<Spell> {
        let state = lock(&self.state);
        let until = state.pace.paused_until().filter(|until| *until > Instant::now())?;
        let since = [state.pace.spell(), state.slots.spell()].into_iter().flatten().min()?;
        Some(Spell { since, until })
    }

    /// Resolves when a pause began, or grew, since this was last asked for.
    pub(super) async fn paused(&self) {
        self.pauses.notified().await;
    }

    /// Requests a second at present, and connections.
    pub(super) fn allowed(&self) -> (f64, u32) {
        let state = lock(&self.state);
        (state.pace.rate(), state.slots.limit())
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.limiter.state);
        if self.under_way {
            state.slots.ended();
        }
        if let Some(permit) = self.permit.take()
            && state.slots.keep()
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
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn tokens_are_handed_out_in_the_order_they_were_asked_for() {
        let limiter = Limiter::new(40, 3, 0);
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
        let limiter = Limiter::new(1_000, 4, 0);
        let mut passes = vec![limiter.enter().await, limiter.enter().await, limiter.enter().await];
        tokio::time::advance(MS).await;
        limiter.throttled_connections(passes[0].sent, None);
        limiter.throttled_connections(passes[1].sent, None);
        assert_eq!((limiter.allowed().1, limiter.connections.available_permits()), (2, 0));
        passes.pop();
        assert_eq!(limiter.connections.available_permits(), 0, "three were out and two are allowed: the first back is kept");
        passes.pop();
        assert_eq!(limiter.connections.available_permits(), 1);
        passes.clear();
        assert_eq!(limiter.connections.available_permits(), 2);
        for expected in [2, 3, 4, 4] {
            limiter.good(Instant::now());
            assert_eq!(limiter.connections.available_permits(), expected);
            tokio::time::advance(40_000 * MS).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_503_holds_back_everybody_for_a_moment_or_as_long_as_it_says() {
        let limiter = Limiter::new(1_000, 4, 0);
        let sent = limiter.enter().await.sent;
        tokio::time::advance(MS).await;
        limiter.throttled_connections(sent, None);
        let start = Instant::now();
        limiter.enter().await;
        assert!((100 * MS..=301 * MS).contains(&start.elapsed()), "{:?}", start.elapsed());
        let sent = limiter.enter().await.sent;
        tokio::time::advance(MS).await;
        limiter.throttled_connections(sent, Some(7_000 * MS));
        let start = Instant::now();
        limiter.enter().await;
        assert_eq!(start.elapsed(), 7_000 * MS);
        let (rate, short) = limiter.time_paused();
        assert_eq!(rate, Duration::ZERO);
        assert!((7_100 * MS..7_400 * MS).contains(&short), "{short:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_spell_lasts_from_the_first_refusal_to_the_end_of_the_pause_and_whoever_listens_is_told() {
        let limiter = Limiter::new(40, 4, 0);
        assert_eq!(limiter.spell(), None);
        assert_eq!(limiter.paused().now_or_never(), None);
        let since = Instant::now();
        for _ in 0..3 {
            let sent = limiter.enter().await.sent;
            limiter.throttled_rate(sent, Some(2_000 * MS));
            assert_eq!(limiter.paused().now_or_never(), Some(()));
            assert_eq!(limiter.paused().now_or_never(), None);
        }
        let spell = limiter.spell().unwrap();
        assert_eq!(spell.since, since);
        assert!((6_000 * MS..6_700 * MS).contains(&(spell.until - since)), "{spell:?}");
        let sent = limiter.enter().await.sent;
        assert_eq!(limiter.spell(), None, "nothing is held back now");
        limiter.good(sent);
        limiter.throttled_rate(limiter.enter().await.sent, None);
        assert_eq!(limiter.spell().unwrap().since, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_in_the_queue_takes_nothing_with_it() {
        let limiter = Limiter::new(1, 2, 0);
        let first = limiter.enter().await;
        for _ in 0..10 {
            assert!(tokio::time::timeout(MS, limiter.enter()).await.is_err());
        }
        drop(first);
        assert_eq!(limiter.connections.available_permits(), 2);
        let _again = limiter.enter().await;
    }
}
