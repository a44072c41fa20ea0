//! The guard of the deletion policy `delete`: how many deletions may still be sent.

use std::collections::BTreeMap;

use crate::config::Deletions;
use crate::errors::Code;
use crate::failure::Failure;

/// Counts deletions before they are sent, and stops the sync before the one that would pass a limit.
#[derive(Debug)]
pub(super) struct DeleteGuard {
    policy: Deletions,
    sent: u64,
    by_object: BTreeMap<&'static str, PerObject>,
}

#[derive(Debug, Default)]
struct PerObject {
    sent: u64,
    created: u64,
    /// Entries in the data source when the first deletion came, those that this run made left out.
    at_start: Option<u64>,
}

impl DeleteGuard {
    pub(super) fn new(policy: Deletions) -> Self {
        Self { policy, sent: 0, by_object: BTreeMap::new() }
    }

    /// The number of entries from which on only `max_deletes` can be passed, when the object was not counted yet.
    pub(super) fn must_count(&self, object: &'static str) -> Option<usize> {
        let Deletions::Delete { max_deletes, max_percent } = self.policy else { return None };
        if self.by_object.get(object).is_some_and(|entry| entry.at_start.is_some()) {
            return None;
        }
        let enough = if max_percent > 0.0 { (max_deletes as f64 * 100.0 / max_percent).ceil() as usize } else { 0 };
        let created = self.by_object.get(object).map_or(0, |entry| entry.created);
        Some(enough + created as usize)
    }

    /// So many entries were counted, while none was being made.
    pub(super) fn counted(&mut self, object: &'static str, entries: usize) {
        let entry = self.by_object.entry(object).or_default();
        entry.at_start = Some((entries as u64).saturating_sub(entry.created));
    }

    pub(super) fn created(&mut self, object: &'static str) {
        self.by_object.entry(object).or_default().created += 1;
    }

    /// Takes leave to send one deletion.
    pub(super) fn take(&mut self, object: &'static str) -> Result<(), Failure> {
        let Deletions::Delete { max_deletes, max_percent } = self.policy else { return Err(ignored()) };
        self.within(max_deletes)?;
        let entry = self.by_object.entry(object).or_default();
        let at_start = entry.at_start.unwrap_or_default();
        if (entry.sent + 1) as f64 * 100.0 > max_percent * at_start as f64 {
            return Err(limit(&format!(
                "`max_percent` is {max_percent}, and {} of the {at_start} {object} in the data source were deleted",
                entry.sent
            )));
        }
        self.sent += 1;
        entry.sent += 1;
        Ok(())
    }

    /// The same for what can not be counted, so that only `max_deletes` can be meant, unless nothing is to be deleted at all.
    pub(super) fn take_uncounted(&mut self) -> Result<(), Failure> {
        let Deletions::Delete { max_deletes, max_percent } = self.policy else { return Err(ignored()) };
        self.within(max_deletes)?;
        // No share of any number is none of it.
        if max_percent <= 0.0 {
            return Err(limit("`max_percent` is 0"));
        }
        self.sent += 1;
        Ok(())
    }

    fn within(&self, max_deletes: u64) -> Result<(), Failure> {
        if self.sent < max_deletes {
            return Ok(());
        }
        Err(limit(&format!("`max_deletes` is {max_deletes} and so many were deleted")))
    }
}

fn ignored() -> Failure {
    Failure::system(Code::Internal, "A deletion was planned while deletions are ignored.")
}

fn limit(what: &str) -> Failure {
    Failure::config(
        Code::DeleteLimit,
        format!(
            "The sync was stopped before the next deletion: {what}. STATEs that were emitted stand. {}",
            Code::DeleteLimit.remedy()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deletion_that_would_pass_a_limit_is_not_sent() {
        let mut guard = DeleteGuard::new(Deletions::Delete { max_deletes: 3, max_percent: 10.0 });
        assert_eq!(guard.must_count("customers"), Some(30));
        guard.created("customers");
        assert_eq!(guard.must_count("customers"), Some(31));
        guard.counted("customers", 21);
        assert_eq!(guard.must_count("customers"), None);
        assert_eq!(guard.take("customers"), Ok(()));
        assert_eq!(guard.take("customers"), Ok(()));
        let failure = guard.take("customers").unwrap_err();
        assert_eq!(failure.code, Code::DeleteLimit);
        assert!(failure.message.contains("`max_percent` is 10, and 2 of the 20 customers"), "{failure}");
        guard.counted("contacts", 1000);
        assert_eq!(guard.take("contacts"), Ok(()));
        assert!(guard.take("contacts").unwrap_err().message.contains("`max_deletes` is 3"));
    }

    #[test]
    fn what_can_not_be_counted_is_held_to_the_number_alone() {
        let mut guard = DeleteGuard::new(Deletions::Delete { max_deletes: 2, max_percent: 10.0 });
        assert_eq!(guard.take_uncounted(), Ok(()));
        assert_eq!(guard.take_uncounted(), Ok(()));
        assert!(guard.take_uncounted().unwrap_err().message.contains("`max_deletes` is 2"));
        let mut none = DeleteGuard::new(Deletions::Delete { max_deletes: 2, max_percent: 0.0 });
        assert!(none.take_uncounted().unwrap_err().message.contains("`max_percent` is 0"));
        assert_eq!(DeleteGuard::new(Deletions::Ignore).take_uncounted().unwrap_err().code, Code::Internal);
    }
}
