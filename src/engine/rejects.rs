//! The guard of `stop_when_rejected`: how many rejects end a sync.

use super::report::Report;
use crate::config::StopWhenRejected;
use crate::errors::Code;
use crate::failure::Failure;

/// Counts records and outcomes. Once passed it stays so: what is still under way then may be settled, but no further reject passes.
///
/// Rejects that need no request are there long before the outcome of the records around them. So the part is one of all that were
/// read: what is under way goes well, until `after` of those that had a turn have an outcome; from then on it ends as they did.
#[derive(Debug)]
pub(super) struct RejectLimit {
    limit: StopWhenRejected,
    read: u64,
    /// Of what was settled as soon as it was read.
    at_once: Outcomes,
    /// Of what had a turn.
    in_turn: Outcomes,
    passed: bool,
}

#[derive(Debug, Default)]
struct Outcomes {
    settled: u64,
    rejected: u64,
}

impl RejectLimit {
    pub(super) fn new(limit: StopWhenRejected) -> Self {
        Self { limit, read: 0, at_once: Outcomes::default(), in_turn: Outcomes::default(), passed: false }
    }

    /// One more record was read.
    pub(super) fn read(&mut self) {
        self.read += 1;
    }

    /// One more outcome, which the report holds already; a failure where it is a reject that passes the limit. `in_turn`: it had
    /// a turn, and was not settled as soon as it was read.
    pub(super) fn count(&mut self, rejected: bool, in_turn: bool, report: &Report) -> Option<Failure> {
        let outcomes = if in_turn { &mut self.in_turn } else { &mut self.at_once };
        outcomes.settled += 1;
        if !rejected {
            return None;
        }
        outcomes.rejected += 1;
        self.passed |= self.passes();
        self.passed.then(|| self.failure(report))
    }

    fn passes(&self) -> bool {
        let StopWhenRejected { percent, after } = self.limit;
        let under_way = self.read.saturating_sub(self.settled());
        let expected = match &self.in_turn {
            Outcomes { settled, rejected } if *settled >= after => under_way as f64 * (*rejected as f64 / *settled as f64),
            _ => 0.0,
        };
        self.rejected() >= after && (self.rejected() as f64 + expected) * 100.0 >= percent * self.read as f64
    }

    fn settled(&self) -> u64 {
        self.at_once.settled + self.in_turn.settled
    }

    fn rejected(&self) -> u64 {
        self.at_once.rejected + self.in_turn.rejected
    }

    fn failure(&self, report: &Report) -> Failure {
        let StopWhenRejected { percent, after } = self.limit;
        let (rejected, settled) = (self.rejected(), self.settled());
        let mut codes: Vec<(Code, u64)> = report.total().rejects.into_iter().collect();
        codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{count} with {code}")).collect();
        Failure::config(
            Code::RejectLimit,
            format!(
                "{rejected} of {settled} records were rejected ({}); `stop_when_rejected` says {percent} percent after {after}.",
                codes.join(", ")
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these outcomes pass before one is stopped; `r` is a reject.
    fn passed(percent: f64, after: u64, outcomes: &str) -> Option<usize> {
        let mut limit = RejectLimit::new(StopWhenRejected { percent, after });
        outcomes.chars().position(|outcome| {
            limit.read();
            limit.count(outcome == 'r', true, &Report::default()).is_some()
        })
    }

    /// Records that were read, those of them that were rejected at once, those that had a turn, and those of them that were rejected.
    fn stops(percent: f64, after: u64, [read, at_once, in_turn, rejected]: [u64; 4]) -> bool {
        let mut limit = RejectLimit::new(StopWhenRejected { percent, after });
        (0..read).for_each(|_| limit.read());
        let report = Report::default();
        let turns = (0..in_turn).map(|at| (at >= in_turn - rejected, true));
        turns.chain((0..at_once).map(|_| (true, false))).filter(|(is, turn)| limit.count(*is, *turn, &report).is_some()).count()
            > 0
    }

    #[test]
    fn rejects_that_are_there_first_do_not_stand_for_what_is_under_way() {
        assert!(!stops(100.0, 1000, [4000, 1000, 0, 0]), "3,000 are under way");
        assert!(!stops(50.0, 10, [60, 10, 0, 0]));
        assert!(stops(50.0, 10, [20, 10, 0, 0]));
        assert!(stops(100.0, 1000, [1000, 1000, 0, 0]), "there is no other");
        assert!(stops(0.0, 1, [4000, 1, 0, 0]), "the first reject");
    }

    #[test]
    fn what_is_under_way_is_taken_to_end_as_what_had_its_turn() {
        assert!(stops(100.0, 1000, [5000, 0, 1000, 1000]), "all were refused");
        assert!(stops(100.0, 1000, [5000, 500, 1000, 1000]));
        assert!(!stops(100.0, 1000, [5000, 500, 999, 999]), "one less is not enough to tell");
        assert!(!stops(100.0, 1000, [5000, 500, 1000, 999]), "one went well");
        assert!(stops(20.0, 100, [1000, 100, 100, 12]), "100 and 12 of each 100 of the other 900");
        assert!(!stops(21.0, 100, [1000, 100, 100, 12]));
    }

    #[test]
    fn both_bounds_have_to_be_reached() {
        assert_eq!(passed(0.0, 1, "..r"), Some(2), "the first reject");
        assert_eq!(passed(0.0, 2, "r..r"), Some(3));
        assert_eq!(passed(100.0, 3, "rrr"), Some(2));
        assert_eq!(passed(100.0, 3, ".rrrrrrrrrr"), None, "one good record is enough");
        assert_eq!(passed(50.0, 2, "..rr"), Some(3), "exactly the part");
        assert_eq!(passed(50.0, 2, "...rr.r.r"), None);
    }

    #[test]
    fn once_passed_no_further_reject_passes() {
        let mut limit = RejectLimit::new(StopWhenRejected { percent: 100.0, after: 1 });
        let report = Report::default();
        (0..3).for_each(|_| limit.read());
        assert!(limit.count(true, true, &report).is_some());
        assert!(limit.count(false, true, &report).is_none());
        assert!(limit.count(true, true, &report).is_some(), "though two of three are less than all");
    }
}
