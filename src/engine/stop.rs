//! When the process was asked to end, and how much of its time has gone by since.
//!
//! Does not own how that is heard (`commands`), nor what is still done then (`ending`, `keeping`).

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use tokio::time::{Instant, sleep_until};

/// How long requests under way may take then, and whatever else is to be finished.
pub(super) const GRACE: Duration = Duration::from_secs(25);
/// How long what they brought may take to be kept.
pub(super) const GRACE_TO_KEEP: Duration = Duration::from_secs(27);

/// See the module's header. May be asked by several, and again after it was.
pub(super) struct Stop<'s>(Shared<LocalBoxFuture<'s, Instant>>);

impl<'s> Stop<'s> {
    /// `stop` resolves when the process is asked to end.
    pub(super) fn new(stop: impl Future<Output = ()> + 's) -> Self {
        let asked = async move {
            stop.await;
            Instant::now()
        };
        Self(asked.boxed_local().shared())
    }

    /// Resolves when the process is asked to end, or was.
    pub(super) async fn asked(&self) {
        self.0.clone().await;
    }

    /// Whether it was, as far as anybody waited for it.
    pub(super) fn was_asked(&self) -> bool {
        self.0.peek().is_some()
    }

    /// Resolves so long after the process was asked to end.
    pub(super) async fn over(&self, grace: Duration) {
        sleep_until(self.0.clone().await + grace).await;
    }
}

impl fmt::Debug for Stop<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Stop").field(&self.was_asked()).finish()
    }
}
