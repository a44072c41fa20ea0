//! Trying again until something is kept, for a bounded time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::errors::Code;
use crate::failure::Failure;

/// A refusal that waiting does not mend is believed after so many: a bucket that was just made, and a key that was just
/// given, are not known everywhere at once.
const REFUSALS: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What became of a file that was to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there, and durable.
    There,
    /// Something else has its name, and stands as it was.
    Taken,
}

/// Why something was not kept this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Somebody has to change something.
    pub(super) refused: bool,
    /// In words, without secrets and without values.
    pub(super) text: String,
}

impl Trouble {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { refused: true, text: text.into() }
    }

    pub(super) fn passing(text: impl Into<String>) -> Self {
        Self { refused: false, text: text.into() }
    }

    /// By the status of an answer: what the request itself is to blame for does not pass.
    pub(super) fn status(status: u16, text: String) -> Self {
        let passing = matches!(status, 408 | 409 | 425 | 429 | 500..);
        Self { refused: !passing, text }
    }

    /// The failure that ends the sync over it.
    pub(super) fn failure(&self, what: &str, place: &str) -> Failure {
        let text = format!("{what} could not be kept in {place}: {}.", self.text.trim_end_matches('.'));
        let text = text.chars().next().map_or_else(String::new, |first| first.to_uppercase().to_string()) + &text[1..];
        match self.refused {
            true => Failure::config(Code::StoreRefused, text),
            false => Failure::transient(Code::StoreUnavailable, text),
        }
    }
}

/// Tries until it is done, it was refused for good, or patience is at its end.
pub(super) async fn persist<T>(
    what: &str,
    place: &str,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    let mut wait = FIRST_WAIT;
    let mut refusals = 0;
    let mut told = false;
    loop {
        let trouble = match attempt().await {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        refusals += u32::from(trouble.refused);
        if refusals >= REFUSALS || begun.elapsed() >= patience {
            return Err(trouble.failure(what, place));
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!("{what} could not be kept in {place} yet: {}; trying again", trouble.text);
        }
        sleep(wait.min(patience.saturating_sub(begun.elapsed()))).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureType;

    async fn after(troubles: Vec<Trouble>, patience: u64) -> (Result<(), Failure>, usize) {
        let mut tries = 0;
        let ended = persist("receipts", "the folder /x", Duration::from_secs(patience), async || {
            tries += 1;
            troubles.get(tries - 1).cloned().map_or(Ok(()), Err)
        })
        .await;
        (ended, tries)
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_what_was_refused_for_good_is_not() {
        let passing = || Trouble::passing("HTTP 500");
        assert_eq!(after(vec![passing(); 5], 60).await, (Ok(()), 6));
        let begun = Instant::now();
        let (ended, tries) = after(vec![passing(); 500], 60).await;
        let failure = ended.unwrap_err();
        assert_eq!((failure.kind, failure.code), (FailureType::Transient, Code::StoreUnavailable));
        assert_eq!(failure.message, "Receipts could not be kept in the folder /x: HTTP 500.");
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
        assert!((8..20).contains(&tries), "{tries}");

        let refused = || Trouble::refused("HTTP 403");
        assert_eq!(after(vec![refused(), passing(), refused()], 60).await, (Ok(()), 4), "it may be known elsewhere already");
        let (ended, tries) = after(vec![refused(); 9], 60).await;
        let failure = ended.unwrap_err();
        assert_eq!((failure.kind, failure.code, tries), (FailureType::Config, Code::StoreRefused, 3));
        assert_eq!(after(vec![passing(); 9], 0).await.1, 1, "no patience is one attempt");
    }

    #[test]
    fn statuses_tell_who_has_to_act() {
        for (status, refused) in [(400, true), (403, true), (404, true), (301, true), (408, false), (429, false), (503, false)] {
            assert_eq!(Trouble::status(status, String::new()).refused, refused, "{status}");
        }
    }
}
