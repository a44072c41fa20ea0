//! The guard of `stop_when_rejected`: how many rejects end a sync.

use super::report::Report;
use crate::config::StopWhenRejected;
use crate::errors::Code;
use crate::failure::Failure;

/// Counts outcomes. Once passed it stays so: what is still under way then may be settled, but no further reject passes.
#[derive(Debug)]
pub(super) struct RejectLimit {
    limit: StopWhenRejected,
    settled: u64,
    rejected: u64,
    passed: bool,
}

impl RejectLimit {
    pub(super) fn new(limit: StopWhenRejected) -> Self {
        Self { limit, settled: 0, rejected: 0, passed: false }
    }

    /// Whether the limit is a part of the records, so that the others matter.
    pub(super) fn is_a_part(&self) -> bool {
        self.limit.percent > 0.0
    }

    /// One more outcome, which the report holds already; a failure where it is a reject that passes the limit.
    pub(super) fn count(&mut self, rejected: bool, report: &Report) -> Option<Failure> {
        self.settled += 1;
        if !rejected {
            return None;
        }
        self.rejected += 1;
        let StopWhenRejected { percent, after } = self.limit;
        self.passed |= self.rejected >= after && self.rejected as f64 * 100.0 >= percent * self.settled as f64;
        self.passed.then(|| self.failure(report))
    }

    fn failure(&self, report: &Report) -> Failure {
        let StopWhenRejected { percent, after } = self.limit;
        let (rejected, settled) = (self.rejected, self.settled);
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
        outcomes.chars().position(|outcome| limit.count(outcome == 'r', &Report::default()).is_some())
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
        assert!(limit.count(true, &report).is_some());
        assert!(limit.count(false, &report).is_none());
        assert!(limit.count(true, &report).is_some(), "though two of three are less than all");
    }
}
