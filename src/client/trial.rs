//! When to stop repeating.
//!
//! Owns the memory of one call's failures and of how the API fares by kind of call, and the judgement drawn from both:
//! go on, ask whether the API lives, blame the record, or give up. Pure, with the time handed in. Does not own what is a
//! failure (`verdict`) nor how long to wait (`retry`).
//!
//! The hard part is to tell a record that breaks the server from a server that is broken. Reads that pass do not show that
//! writes would, so a call is first of all compared with others of its own kind; and while several calls of one kind fail
//! and none passes, that is an outage, however well everything else goes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Failures of one call before its record may be blamed.
const STRIKES: u32 = 6;

/// Good answers to others, since the call's first failure, that show the API itself is well.
const OTHERS: u64 = 3;

/// A record is blamed only when it is less likely than this to be bad luck. In a flapping outage, where every second attempt
/// of anybody fails, that takes 14 failures in a row.
const BAD_LUCK: f64 = 1e-4;

/// Failures before the record is blamed when no other call of its kind came along to compare with: about three minutes.
const LONE_STRIKES: u32 = 10;

/// What is remembered of one call between its attempts. The caller keeps it as long as it means to get the same thing done:
/// for a call that came back as lost, the next send of it goes on counting where the last one ended.
#[derive(Debug, Default)]
pub struct Trial {
    sent: u32,
    /// Attempts that failed by any cause, throttling left out.
    failures: u32,
    /// Those of them that reached the server, and so may be the record's fault.
    strikes: u32,
    throttled: u32,
    /// The first bad answer of any sort.
    since: Option<Instant>,
    /// The kind of the call that struck: what is to be done may come to another call once a part of it is found done.
    kind: Option<&'static str>,
    /// How things stood when the first strike came.
    marks: Marks,
}

impl Trial {
    /// How often it was tried. Being turned away for the sake of a limit is no attempt.
    pub const fn attempts(&self) -> u32 {
        self.sent.saturating_sub(self.throttled)
    }

    /// How many requests were sent for it, those included that were turned away.
    pub const fn requests(&self) -> u32 {
        self.sent
    }

    /// A request leaves. Says whether it repeats an earlier one.
    pub(super) const fn sent(&mut self) -> bool {
        self.sent += 1;
        self.sent > 1
    }

    /// The number that the next wait is reckoned from.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    good: u64,
    kind_good: u64,
    kind_strikes: u64,
}

/// What went wrong with an attempt that is to be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The API asked to slow down.
    Throttled,
    /// The request never reached the server.
    Unreached,
    /// The server failed over it, or the answer did not arrive.
    Failing,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Wait, at most so long, then try again.
    GoOn(Duration),
    /// The same, but first ask the API for a sign of life.
    Probe(Duration),
    /// It is this record: so many others have passed meanwhile.
    Blame(u64),
    /// It has been bad for too long; `unreached` when no attempt of this call got through to the server.
    GiveUp {
        /// Whether the network is at fault.
        unreached: bool,
    },
}

/// How the API fares.
#[derive(Debug, Default)]
pub(super) struct Health {
    good: u64,
    /// The first bad answer since the last good one, to whomever.
    bad_since: Option<Instant>,
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    requests: u64,
    good: u64,
    strikes: u64,
    last_good: Option<Instant>,
}

impl Health {
    pub(super) fn sent(&mut self, kind: &'static str) {
        self.kinds.entry(kind).or_default().requests += 1;
    }

    /// The API answered as itself: a refusal is as good a sign of life as a success.
    pub(super) fn good(&mut self, kind: &'static str, now: Instant) {
        self.good += 1;
        self.bad_since = None;
        let kind = self.kinds.entry(kind).or_default();
        kind.good += 1;
        kind.last_good = Some(now);
    }

    /// Whether the API ever answered as itself.
    pub(super) const fn proven(&self) -> bool {
        self.good > 0
    }

    pub(super) fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.kinds.iter().map(|(name, kind)| (*name, kind.requests)).collect()
    }

    /// Notes a bad answer and says what to do about it.
    pub(super) fn judge(
        &mut self,
        kind: &'static str,
        trial: &mut Trial,
        trouble: Trouble,
        now: Instant,
        give_up_after: Duration,
    ) -> Judgement {
        let good = self.good;
        if trial.kind.is_some_and(|other| other != kind) {
            (trial.strikes, trial.marks) = (0, Marks::default());
        }
        trial.kind = Some(kind);
        let kind = self.kinds.entry(kind).or_default();
        let since = *trial.since.get_or_insert(now);
        let all_bad_since = *self.bad_since.get_or_insert(now);
        match trouble {
            Trouble::Throttled => trial.throttled = trial.throttled.saturating_add(1),
            Trouble::Unreached => trial.failures = trial.failures.saturating_add(1),
            Trouble::Failing => {
                if trial.strikes == 0 {
                    trial.marks = Marks { good, kind_good: kind.good, kind_strikes: kind.strikes };
                }
                trial.failures = trial.failures.saturating_add(1);
                trial.strikes = trial.strikes.saturating_add(1);
                kind.strikes += 1;
            }
        }
        let others = good - trial.marks.good;
        let alike = kind.good - trial.marks.kind_good;
        let failed_alike = kind.strikes - trial.marks.kind_strikes - u64::from(trial.strikes);
        let others_like_it_pass =
            trial.strikes >= STRIKES && alike >= OTHERS && bad_luck(trial.strikes, failed_alike, alike) < BAD_LUCK;
        let alone = alike == 0 && failed_alike == 0;
        if others_like_it_pass || trial.strikes >= LONE_STRIKES && alone && others >= OTHERS {
            // What was bad was the record's, and says nothing of how long the API has been so.
            self.bad_since = None;
            return Judgement::Blame(if others_like_it_pass { alike } else { others });
        }
        // While others of its kind pass, this is no outage: the time counts from the last of them. While nobody gets a good
        // answer it counts for all at once: under a 429 one call waits for the turns of all others.
        let bad_since = kind.last_good.map_or(since, |last| last.max(since)).min(all_bad_since);
        let left = (bad_since + give_up_after).saturating_duration_since(now);
        if left.is_zero() {
            return Judgement::GiveUp { unreached: trial.strikes == 0 && trial.throttled == 0 };
        }
        if trial.strikes >= STRIKES && others < OTHERS { Judgement::Probe(left) } else { Judgement::GoOn(left) }
    }
}

/// How likely it is that a call fails so often in a row when it fails as others do that failed and passed so often. (One
/// more of each is assumed, so that few observations prove little.)
fn bad_luck(strikes: u32, failed: u64, passed: u64) -> f64 {
    let share = (failed + 1) as f64 / (failed + passed + 2) as f64;
    share.powi(i32::try_from(strikes).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);
    const STEP: Duration = Duration::from_secs(10);

    struct Scene {
        health: Health,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self { health: Health::default(), now: Instant::now() }
        }

        fn fail(&mut self, kind: &'static str, trial: &mut Trial) -> Judgement {
            self.now += STEP;
            self.health.judge(kind, trial, Trouble::Failing, self.now, PATIENCE)
        }

        fn good(&mut self, kind: &'static str) {
            self.health.good(kind, self.now);
        }
    }

    #[test]
    fn the_strikes_of_one_kind_say_nothing_of_another() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        (0..100).for_each(|_| scene.good("add"));
        for _ in 1..STRIKES {
            scene.fail("add", &mut trial);
        }
        // What was to be added is found there, and what is left to do is a change.
        (0..3).for_each(|_| scene.good("change"));
        for strike in 1..STRIKES {
            assert!(matches!(scene.fail("change", &mut trial), Judgement::GoOn(_)), "{strike}");
            scene.good("change");
        }
    }

    #[test]
    fn a_record_is_blamed_when_others_of_its_kind_pass() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        (0..100).for_each(|_| scene.good("create"));
        for strike in 1..STRIKES {
            assert!(matches!(scene.fail("create", &mut trial), Judgement::GoOn(_)), "{strike}");
            scene.good("create");
        }
        assert_eq!(scene.fail("create", &mut trial), Judgement::Blame(5));
    }

    #[test]
    fn what_passed_before_the_first_failure_is_no_evidence() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        (0..100).for_each(|_| scene.good("create"));
        (1..STRIKES).for_each(|_| assert!(matches!(scene.fail("create", &mut trial), Judgement::GoOn(_))));
        assert!(matches!(scene.fail("create", &mut trial), Judgement::Probe(_)));
    }

    #[test]
    fn writes_that_all_fail_while_reads_pass_are_an_outage_and_blame_nobody() {
        let mut scene = Scene::new();
        let mut trials = [Trial::default(), Trial::default()];
        let ended = (0..1_000).find_map(|_| {
            scene.good("look up");
            let judgements = trials.each_mut().map(|trial| scene.fail("create", trial));
            judgements.into_iter().find(|judgement| !matches!(judgement, Judgement::GoOn(_) | Judgement::Probe(_)))
        });
        assert_eq!(ended, Some(Judgement::GiveUp { unreached: false }));
    }

    #[test]
    fn a_record_without_company_is_blamed_later_and_only_if_the_api_lives() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        for strike in 1..LONE_STRIKES {
            let judgement = scene.fail("create", &mut trial);
            assert_eq!(matches!(judgement, Judgement::Probe(_)), (STRIKES..STRIKES + 3).contains(&strike), "{strike}");
            if matches!(judgement, Judgement::Probe(_)) {
                scene.good("probe");
            }
        }
        assert_eq!(scene.fail("create", &mut trial), Judgement::Blame(3));

        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        let last = (0..1_000)
            .map(|_| scene.fail("create", &mut trial))
            .find(|judgement| !matches!(judgement, Judgement::GoOn(_) | Judgement::Probe(_)));
        assert_eq!(last, Some(Judgement::GiveUp { unreached: false }));
    }

    #[test]
    fn in_a_flapping_outage_it_takes_longer_to_blame_a_record() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        let strikes = (1..100).find(|_| {
            scene.good("create");
            scene.fail("create", &mut Trial::default());
            matches!(scene.fail("create", &mut trial), Judgement::Blame(_))
        });
        assert!(strikes.is_some_and(|strikes| (12..=16).contains(&strikes)), "{strikes:?}");
    }

    #[test]
    fn the_time_to_give_up_counts_from_the_last_good_answer_of_the_kind() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        let mut judge = |scene: &mut Scene, seconds| {
            scene.now += Duration::from_secs(seconds);
            scene.health.judge("create", &mut trial, Trouble::Throttled, scene.now, PATIENCE)
        };
        assert_eq!(judge(&mut scene, 0), Judgement::GoOn(PATIENCE));
        assert_eq!(judge(&mut scene, 500), Judgement::GoOn(Duration::from_secs(100)));
        scene.good("create");
        assert_eq!(judge(&mut scene, 500), Judgement::GoOn(Duration::from_secs(100)));
        scene.good("look up");
        assert_eq!(judge(&mut scene, 100), Judgement::GiveUp { unreached: false });
    }

    #[test]
    fn while_nothing_passes_the_time_to_give_up_counts_for_all_calls_at_once() {
        let mut scene = Scene::new();
        let fail = |scene: &mut Scene| {
            scene.now += PATIENCE / 2;
            scene.health.judge("create", &mut Trial::default(), Trouble::Throttled, scene.now, PATIENCE)
        };
        assert_eq!(fail(&mut scene), Judgement::GoOn(PATIENCE));
        assert_eq!(fail(&mut scene), Judgement::GoOn(PATIENCE / 2));
        scene.good("look up");
        assert_eq!(fail(&mut scene), Judgement::GoOn(PATIENCE));
        assert_eq!(fail(&mut scene), Judgement::GoOn(PATIENCE / 2));
        assert_eq!(fail(&mut scene), Judgement::GiveUp { unreached: false });
    }

    #[test]
    fn a_record_that_was_blamed_leaves_no_outage_behind() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        let mut others = 0;
        while !matches!(scene.fail("create", &mut trial), Judgement::Blame(_)) {
            others += 1;
            scene.good("create");
        }
        assert!(others > 0);
        scene.now += PATIENCE;
        assert_eq!(scene.fail("change", &mut Trial::default()), Judgement::GoOn(PATIENCE));
    }

    #[test]
    fn a_network_that_is_down_is_nobodys_record() {
        let (mut scene, mut trial) = (Scene::new(), Trial::default());
        for _ in 0..20 {
            scene.good("create");
            scene.health.judge("create", &mut trial, Trouble::Unreached, scene.now, PATIENCE);
        }
        scene.now += PATIENCE;
        let judgement = scene.health.judge("create", &mut trial, Trouble::Unreached, scene.now, PATIENCE);
        assert_eq!(judgement, Judgement::GiveUp { unreached: true });
    }
}
