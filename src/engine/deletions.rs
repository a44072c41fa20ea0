//! The guard of the deletion policies: how many deletions may be sent.

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

/// What a mirror would delete of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doomed {
    pub(super) object: &'static str,
    pub(super) deletions: u64,
    /// Entries in the data source now.
    pub(super) entries: u64,
    /// Records of which the outcome says that they were made.
    pub(super) created: u64,
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
        // No share of any number is none of it.
        if max_percent <= 0.0 {
            return None;
        }
        let enough = (max_deletes as f64 * 100.0 / max_percent).ceil() as usize;
        let created = self.by_object.get(object).map_or(0, |entry| entry.created);
        Some(enough.saturating_add(usize::try_from(created).unwrap_or(usize::MAX)))
    }

    /// So many entries were counted, while none was being made.
    pub(super) fn counted(&mut self, object: &'static str, entries: usize) {
        let entry = self.by_object.entry(object).or_default();
        entry.at_start = Some((entries as u64).saturating_sub(entry.created));
    }

    pub(super) fn created(&mut self, object: &'static str) {
        self.created_many(object, 1);
    }

    pub(super) fn created_many(&mut self, object: &'static str, many: u64) {
        self.by_object.entry(object).or_default().created += many;
    }

    /// Of so many objects some are to be deleted, of each kind: all of them are within the limits, or none is sent.
    pub(super) fn take_all(&mut self, doomed: &[Doomed]) -> Result<(), Failure> {
        let Deletions::Mirror { max_deletes, max_percent } = self.policy else { return Err(ignored()) };
        let total: u64 = doomed.iter().map(|doomed| doomed.deletions).sum();
        if total > max_deletes {
            return Err(none_sent(&format!("`max_deletes` is {max_deletes}, and {total} objects did not come")));
        }
        for Doomed { object, deletions, entries, created } in doomed {
            let created = self.by_object.get(object).map_or(0, |entry| entry.created).max(*created);
            let at_start = entries.saturating_sub(created);
            if *deletions as f64 * 100.0 > max_percent * at_start as f64 {
                return Err(none_sent(&format!(
                    "`max_percent` is {max_percent}, and {deletions} of the {at_start} {object} that were in the data source did not come"
                )));
            }
        }
        self.sent += total;
        Ok(())
    }

    /// So many deletions can be sent at all.
    pub(super) fn most(&self) -> u64 {
        match self.policy {
            Deletions::Delete { max_deletes, .. } | Deletions::Mirror { max_deletes, .. } => max_deletes,
            Deletions::Ignore => 0,
        }
    }

    /// Takes leave to send one deletion.
    pub(super) fn take(&mut self, object: &'static str) -> Result<(), Failure> {
        let Deletions::Delete { max_deletes, max_percent } = self.policy else { return Err(ignored()) };
        self.within(max_deletes, max_percent)?;
        let entry = self.by_object.entry(object).or_default();
        let at_start = entry.at_start.unwrap_or_default();
        // All of what was there is no limit, also where that was nothing: what goes then was made by this run.
        if max_percent < 100.0 && (entry.sent + 1) as f64 * 100.0 > max_percent * at_start as f64 {
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
        self.within(max_deletes, max_percent)?;
        self.sent += 1;
        Ok(())
    }

    fn within(&self, max_deletes: u64, max_percent: f64) -> Result<(), Failure> {
        if max_percent <= 0.0 {
            return Err(limit("`max_percent` is 0"));
        }
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

fn none_sent(what: &str) -> Failure {
    Failure::config(
        Code::DeleteLimit,
        format!(
            "Nothing was deleted: {what}. Everything else was written, and STATEs that were emitted stand. {}",
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
    fn all_of_what_was_there_is_no_limit() {
        let mut guard = DeleteGuard::new(Deletions::Delete { max_deletes: 2, max_percent: 100.0 });
        guard.counted("customers", 0);
        assert_eq!((guard.take("customers"), guard.take("customers")), (Ok(()), Ok(())));
        assert!(guard.take("customers").unwrap_err().message.contains("`max_deletes` is 2"));
    }

    #[test]
    fn a_mirror_sends_all_of_its_deletions_or_none() {
        let mut guard = DeleteGuard::new(Deletions::Mirror { max_deletes: 3, max_percent: 10.0 });
        let of = |object, deletions, entries, created| Doomed { object, deletions, entries, created };
        assert_eq!(guard.take_all(&[of("customers", 2, 20, 0), of("contacts", 1, 10, 0)]), Ok(()));
        let refused = |guard: &mut DeleteGuard, doomed: &[Doomed]| guard.take_all(doomed).unwrap_err().message;
        let message = refused(&mut guard, &[of("customers", 2, 20, 0), of("contacts", 2, 20, 0)]);
        assert!(message.contains("`max_deletes` is 3, and 4 objects"), "{message}");
        let message = refused(&mut guard, &[of("customers", 2, 24, 5), of("contacts", 0, 0, 0)]);
        assert!(message.contains("`max_percent` is 10, and 2 of the 19 customers"), "{message}");
        guard.created_many("customers", 6);
        assert!(refused(&mut guard, &[of("customers", 2, 25, 5)]).contains("of the 19 customers"));
        assert!(guard.take("customers").is_err(), "no record deletes under a mirror");
        let mut none = DeleteGuard::new(Deletions::Mirror { max_deletes: 3, max_percent: 0.0 });
        assert!(none.take_all(&[of("plans", 1, 1000, 0)]).is_err());
        assert_eq!(none.take_all(&[of("plans", 0, 0, 0)]), Ok(()));
    }

    #[test]
    fn what_can_not_be_counted_is_held_to_the_number_alone() {
        let mut guard = DeleteGuard::new(Deletions::Delete { max_deletes: 2, max_percent: 10.0 });
        assert_eq!(guard.take_uncounted(), Ok(()));
        assert_eq!(guard.take_uncounted(), Ok(()));
        assert!(guard.take_uncounted().unwrap_err().message.contains("`max_deletes` is 2"));
        let mut none = DeleteGuard::new(Deletions::Delete { max_deletes: 2, max_percent: 0.0 });
        assert!(none.take_uncounted().unwrap_err().message.contains("`max_percent` is 0"));
        let mut endless = DeleteGuard::new(Deletions::Delete { max_deletes: u64::MAX, max_percent: 10.0 });
        endless.created("customers");
        assert_eq!(endless.must_count("customers"), Some(usize::MAX));
        assert_eq!(DeleteGuard::new(Deletions::Ignore).take_uncounted().unwrap_err().code, Code::Internal);
    }
}
