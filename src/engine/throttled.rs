//! When to tell the platform that ChartMogul lets nothing through.
//!
//! Owns whether a pause is worth a word ([`Throttled`], pure, with the time handed in) and who hears of it: the streams of
//! which records wait. Does not own pauses (`client`). Airbyte shows a stream as rate limited until its next record, so that a
//! pause nobody would notice is better left unsaid.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::conductor::Sync;
use crate::client::{Client, Spell};
use crate::failure::Failure;
use crate::protocol::Outbound;

/// A shorter time without a good answer is not worth a word, in one pause or in several that follow each other.
const WORTH: Duration = Duration::from_secs(3);

/// When it is said, at least so much has to be left.
const LEFT: Duration = Duration::from_secs(1);

/// It is not said more often than this.
const EVERY: Duration = Duration::from_secs(30);

/// Remembers what was said.
#[derive(Debug, Default)]
pub(super) struct Throttled {
    /// When it was last said, and until when the pause was to last.
    said: Option<(Instant, Instant)>,
}

/// What to do about a pause.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// Tell that nothing is sent for so long from now.
    Tell(Duration),
    /// Ask again at this time.
    Later(Instant),
}

impl Throttled {
    /// Hears how things stand: when a pause begins or grows, and when it asked to be asked again.
    pub(super) fn hear(&mut self, now: Instant, spell: Option<Spell>) -> News {
        let Some(Spell { since, until }) = spell else { return News::None };
        let left = until.saturating_duration_since(now);
        if until - since < WORTH || left < LEFT {
            return News::None;
        }
        if let Some((at, known)) = self.said {
            if until < known + LEFT {
                return News::None;
            }
            if now < at + EVERY {
                return if at + EVERY + LEFT <= until { News::Later(at + EVERY) } else { News::None };
            }
        }
        self.said = Some((now, until));
        News::Tell(left)
    }
}

/// Resolves when there may be news.
pub(super) async fn news(client: &Client, later: Option<Instant>) {
    let later = async {
        match later {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = client.paused() => {}
        () = later => {}
    }
}

impl Sync<'_> {
    /// Tells of a pause, if it is worth it. Answers when to ask again.
    pub(super) fn tell_throttled(&mut self) -> Result<Option<Instant>, Failure> {
        let engine = self.engine;
        let left = match self.throttled.hear(Instant::now(), engine.client.spell()) {
            News::None => return Ok(None),
            News::Later(at) => return Ok(Some(at)),
            News::Tell(left) => left,
        };
        let waiting = engine.report.borrow().waiting();
        tracing::info!("ChartMogul lets nothing through: nothing is sent for {:.0} s", left.as_secs_f64());
        let reset = engine.emitter.now().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        for stream in waiting {
            engine.emitter.emit(&Outbound::RateLimited { stream, quota_reset: Some(reset) })?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Pauses that are heard of as they begin, as (from, until) in seconds; what was told, as (at, left) in seconds.
    fn told(pauses: &[(u64, u64, u64)]) -> Vec<(u64, u64)> {
        let start = Instant::now();
        let at = |seconds: u64| start + seconds as u32 * SECOND;
        let (mut throttled, mut told) = (Throttled::default(), Vec::new());
        for (since, from, until) in pauses {
            let spell = Spell { since: at(*since), until: at(*until) };
            let mut now = at(*from);
            loop {
                match throttled.hear(now, (now < spell.until).then_some(spell)) {
                    News::None => break,
                    News::Tell(left) => told.push(((now - start).as_secs(), left.as_secs())),
                    News::Later(later) => {
                        assert!(later > now);
                        now = later;
                    }
                }
            }
        }
        told
    }

    #[test]
    fn a_long_pause_is_told_once_as_it_begins_and_a_short_one_never() {
        assert_eq!(told(&[(0, 0, 30)]), [(0, 30)]);
        assert_eq!(told(&[(0, 0, 2), (5, 5, 7)]), []);
        assert_eq!(told(&[(0, 0, 30), (0, 1, 30), (0, 2, 30)]), [(0, 30)]);
    }

    #[test]
    fn short_pauses_that_follow_each_other_are_told_once_they_add_up() {
        assert_eq!(told(&[(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4)]), [(2, 1)]);
    }

    #[test]
    fn it_is_told_every_half_minute_at_most_and_later_where_the_pause_still_lasts_then() {
        assert_eq!(told(&[(0, 0, 5), (10, 10, 15), (20, 20, 25), (35, 35, 40)]), [(0, 5), (35, 5)]);
        assert_eq!(told(&[(0, 0, 5), (10, 10, 90)]), [(0, 5), (30, 60)]);
    }

    #[test]
    fn a_pause_that_grew_is_told_again_when_it_is_time() {
        assert_eq!(told(&[(0, 0, 40), (0, 20, 100)]), [(0, 40), (30, 70)]);
    }
}
