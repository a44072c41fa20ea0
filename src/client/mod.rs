//! The one road to the API.
//!
//! Owns everything between "this request" and "this is what the API said": limits, attempts, waiting, what is counted and
//! what is logged. Does not own tasks (callers run as many calls side by side as they like), nor what is asked and what
//! an answer means for a record.
//!
//! Laws: one attempt is one connection and one token, taken in this order; nothing is held while waiting; every answer is
//! judged once, in `verdict`; no text that leaves this room holds the key, and the log holds no words of the API.

mod call;
mod faults;
mod in_process;
mod limit;
mod retry;
mod transport;
mod trial;
mod verdict;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

pub use call::{Answer, ApiFault, Call, Method, Refusal, Repeat, Reply};
pub use in_process::InProcess;
pub use limit::Spell;
pub use transport::{HttpRequest, HttpResponse, HttpTransport, Transport, TransportError, USER_AGENT};
pub use trial::Trial;

use crate::errors::Code;
use crate::failure::Failure;
use crate::plan::hide::Values;
use limit::{Limiter, lock};
use retry::Random;
use trial::{Health, Judgement};
use verdict::{Again, Verdict, Why};

/// A throttled or failing API is worth a line in the log this often, not with every answer.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// What the client may do, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Documented: 40. Zero counts as one.
    pub requests_per_second: u32,
    /// Requests under way at once. Documented: 20. Zero counts as one.
    pub connections: u32,
    /// How long the API may be unwell before the sync ends.
    pub give_up_after: Duration,
    /// Bodies above this many bytes are refused unsent. Documented for bulk imports: 5 MB; unknown elsewhere.
    pub longest_body: usize,
    /// Where jitter starts from.
    pub seed: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            requests_per_second: 40,
            connections: 20,
            give_up_after: Duration::from_secs(15 * 60),
            longest_body: 5_000_000,
            seed: 0,
        }
    }
}

/// What happened so far, and how things stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Requests sent, by [`Call::kind`]. Every attempt counts, as it does for the API's limits.
    pub requests_by_kind: BTreeMap<&'static str, u64>,
    /// All requests sent.
    pub attempts: u64,
    /// Those among them that repeat an earlier one.
    pub retries: u64,
    /// Answers 429.
    pub throttled_429: u64,
    /// Answers 503 that ask for fewer connections.
    pub throttled_503: u64,
    /// Attempts that failed: server errors, broken connections, time limits.
    pub failed: u64,
    /// Attempts that came back to the caller as [`Reply::Lost`].
    pub lost: u64,
    /// For how long all requests were, or still will be, paused because of 429.
    pub time_throttled: Duration,
    /// The same because of 503 alone.
    pub time_short_of_connections: Duration,
    /// Requests a second that are allowed at present.
    pub rate: f64,
    /// Requests at once that are allowed at present.
    pub connections: u32,
}

/// The client. Any number of calls may be under way at once; all share its limits.
pub struct Client {
    transport: Arc<dyn Transport>,
    policy: Policy,
    limiter: Limiter,
    state: Mutex<State>,
}

struct State {
    health: Health,
    counts: Stats,
    random: Random,
    logged: Option<Instant>,
    unlogged: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has sent nothing yet.
    pub fn new(transport: Arc<dyn Transport>, policy: Policy) -> Self {
        let limiter = Limiter::new(policy.requests_per_second, policy.connections, policy.seed);
        let state = State {
            health: Health::default(),
            counts: Stats::default(),
            random: Random::new(policy.seed),
            logged: None,
            unlogged: 0,
        };
        Self { transport, policy, limiter, state: Mutex::new(state) }
    }

    /// Sends a call, as often as it takes, and says what the API said.
    ///
    /// `trial` is the call's memory. Start with a new one; when the reply is [`Reply::Lost`] and the thing is not there,
    /// send again with the same one, so that attempts add up and a record that breaks the server every time is found out.
    /// May be dropped at any time.
    ///
    /// # Errors
    /// When the sync has to end: the key, the account or the address is wrong, or the API was unwell for too long.
    pub async fn send(&self, call: &Call, trial: &mut Trial) -> Result<Reply, Failure> {
        if let Some(body) = call.body.as_ref().filter(|body| body.len() > self.policy.longest_body) {
            let words = format!("The request has {} bytes; at most {} are sent.", body.len(), self.policy.longest_body);
            let faults = vec![ApiFault::words(words)];
            return Ok(Reply::Refused(Refusal { status: None, code: Code::RecordTooLarge, faults }));
        }
        let request = HttpRequest::from(call);
        loop {
            let again = match self.attempt(call, &request, trial).await {
                Verdict::Done(answer) => return Ok(Reply::Done(answer)),
                Verdict::Missing(refusal) => return Ok(Reply::Missing(refusal)),
                Verdict::Exists(refusal) => return Ok(Reply::Exists(refusal)),
                Verdict::Refused(refusal) => return Ok(Reply::Refused(refusal)),
                Verdict::Stop(failure, words) => return Err(saying(failure, words.as_deref(), call)),
                Verdict::Again(again) => again,
            };
            if let Some(reply) = self.endure(call, trial, &again).await? {
                return Ok(reply);
            }
        }
    }

    /// Sends a call whose reply stands for itself: one that is harmless to repeat and belongs to no longer story.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn ask(&self, call: &Call) -> Result<Reply, Failure> {
        debug_assert_eq!(call.repeat, Repeat::Harmless, "a call that may be lost needs a trial that outlives it");
        self.send(call, &mut Trial::default()).await
    }

    /// How long the API may be unwell before the sync ends.
    pub fn patience(&self) -> Duration {
        self.policy.give_up_after
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let (rate, connections) = self.limiter.allowed();
        let (time_throttled, time_short_of_connections) = self.limiter.time_paused();
        let state = lock(&self.state);
        Stats {
            requests_by_kind: state.health.requests(),
            time_throttled,
            time_short_of_connections,
            rate,
            connections,
            ..state.counts.clone()
        }
    }

    /// Resolves when a pause of all requests began, or grew, since this was last asked for; [`Client::spell`] says how long
    /// it lasts. For one listener.
    pub async fn paused(&self) {
        self.limiter.paused().await;
    }

    /// The spell in which the API lets nothing through, while nothing is sent because of it.
    pub fn spell(&self) -> Option<Spell> {
        self.limiter.spell()
    }

    /// One request. What it teaches about the limits is learned before its connection is free for another.
    async fn attempt(&self, call: &Call, request: &HttpRequest, trial: &mut Trial) -> Verdict {
        let pass = self.limiter.enter().await;
        let proven = self.count(call, trial);
        let outcome = self.transport.exchange(request).await;
        let status = outcome.as_ref().ok().map(|response| response.status);
        let verdict = verdict::judge(outcome, call.repeat, proven, SystemTime::now());
        tracing::debug!(
            method = call.method.as_str(),
            path = call.shown_path(),
            kind = call.kind,
            attempt = trial.attempts(),
            status,
            millis = u64::try_from(pass.sent.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        let mut state = lock(&self.state);
        match &verdict {
            Verdict::Again(again) => match again.why {
                Why::Rate => {
                    state.counts.throttled_429 += 1;
                    self.limiter.throttled_rate(pass.sent, again.after);
                }
                Why::Connections => {
                    state.counts.throttled_503 += 1;
                    self.limiter.throttled_connections(pass.sent, again.after);
                }
                Why::Unreached | Why::Failing => state.counts.failed += 1,
            },
            Verdict::Stop(..) => {}
            Verdict::Done(_) | Verdict::Missing(_) | Verdict::Exists(_) | Verdict::Refused(_) => {
                self.limiter.good(pass.sent);
                state.health.good(call.kind, Instant::now());
            }
        }
        verdict
    }

    /// Counts a request as it leaves; says whether the API ever answered before.
    fn count(&self, call: &Call, trial: &mut Trial) -> bool {
        let mut state = lock(&self.state);
        let repeats = trial.sent();
        state.health.sent(call.kind);
        state.counts.attempts += 1;
        state.counts.retries += u64::from(repeats);
        state.health.proven()
    }

    /// After an attempt that does not count: waits until it is time for the next one, or ends the matter.
    async fn endure(&self, call: &Call, trial: &mut Trial, again: &Again) -> Result<Option<Reply>, Failure> {
        let (judgement, random) = self.judge(call, trial, again);
        let left = match judgement {
            Judgement::Blame(others) => return Ok(Some(Reply::Refused(blame(trial, again, others)))),
            Judgement::GiveUp { unreached } => return Err(self.give_up(call, trial, again, unreached)),
            Judgement::GoOn(left) => left,
            Judgement::Probe(left) => {
                self.probe().await?;
                left
            }
        };
        // The pause after a 429 or a 503 is the limiter's, for everybody: the call only queues again.
        if again.why.trouble() != trial::Trouble::Throttled {
            let wait = retry::delay(trial.failures(), None, random).min(left).max(again.after.unwrap_or_default());
            sleep(wait).await;
        }
        if !again.lost {
            return Ok(None);
        }
        lock(&self.state).counts.lost += 1;
        Ok(Some(Reply::Lost(again.text.clone())))
    }

    fn judge(&self, call: &Call, trial: &mut Trial, again: &Again) -> (Judgement, u64) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let judgement = state.health.judge(call.kind, trial, again.why.trouble(), now, self.policy.give_up_after);
        if state.logged.is_some_and(|logged| now - logged < LOG_EVERY) {
            state.unlogged += 1;
        } else {
            let unlogged = std::mem::take(&mut state.unlogged);
            state.logged = Some(now);
            tracing::warn!(
                method = call.method.as_str(),
                path = call.shown_path(),
                kind = call.kind,
                attempt = trial.attempts(),
                cause = %again.text,
                not_shown_before = unlogged,
                "{}",
                if again.why.trouble() == trial::Trouble::Throttled { "the API asks to slow down" } else { "request failed" }
            );
        }
        (judgement, state.random.next())
    }

    /// Asks for a sign of life, once; the answer is noted by [`Self::attempt`]. Recorded: `GET /ping` answers 200.
    async fn probe(&self) -> Result<(), Failure> {
        let call = Call {
            method: Method::Get,
            path: "/ping".to_owned(),
            query: Vec::new(),
            body: None,
            repeat: Repeat::Harmless,
            kind: "probe",
            hides_path: false,
        };
        match self.attempt(&call, &HttpRequest::from(&call), &mut Trial::default()).await {
            Verdict::Stop(failure, words) => Err(saying(failure, words.as_deref(), &call)),
            _ => Ok(()),
        }
    }

    fn give_up(&self, call: &Call, trial: &Trial, again: &Again, unreached: bool) -> Failure {
        let patience = self.policy.give_up_after.as_secs();
        let (code, what) = if unreached {
            (Code::HostUnreachable, "ChartMogul could not be reached")
        } else {
            (Code::ApiOutage, "ChartMogul did not answer properly")
        };
        Failure::transient(code, format!("{what} for {patience} s; the last attempt ended with: {}.", again.text))
            .with_internal(format!("{}, {} requests", call.kind, trial.requests()))
    }
}

/// The failure with the API's own words, in which what was sent is starred: they go to the log.
fn saying(mut failure: Failure, words: Option<&str>, call: &Call) -> Failure {
    if let Some(words) = words.filter(|words| !words.is_empty()) {
        // Of a path its UUIDs and keys, not the names of what the API has.
        let is_value = |part: &&str| call.hides_path || part.contains(|letter: char| letter.is_ascii_digit());
        let others = call.query.iter().map(|(_, value)| value.as_str()).chain(call.path.split('/').filter(is_value));
        failure.message = format!("{}: {}", failure.message, Values::of_request(call.body.as_deref(), others).hide(words));
    }
    failure
}

fn blame(trial: &Trial, again: &Again, others: u64) -> Refusal {
    let words =
        format!("All {} attempts failed, the last with {}, while {others} other requests passed.", trial.attempts(), again.text);
    Refusal { status: again.status, code: Code::RecordBreaksServer, faults: vec![ApiFault::words(words)] }
}

/// The one place where answers are classified, without the road to it.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    use super::{HttpResponse, Refusal, Repeat, SystemTime, Verdict, verdict};

    /// What the verdict of an answer says of a record, where it says something.
    pub(crate) fn refusal(response: HttpResponse, repeat: Repeat, proven: bool, now: SystemTime) -> Option<Refusal> {
        match verdict::judge(Ok(response), repeat, proven, now) {
            Verdict::Missing(refusal) | Verdict::Exists(refusal) | Verdict::Refused(refusal) => Some(refusal),
            Verdict::Done(_) | Verdict::Again(_) | Verdict::Stop(..) => None,
        }
    }
}

#[cfg(test)]
mod fairness_tests;
#[cfg(test)]
mod tests;
