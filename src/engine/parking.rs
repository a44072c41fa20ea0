//! Children whose parent has not come yet. Pure.
//!
//! A parked job holds no lane and no connection; its STATE waits. It has its next try when the parent arrives or the input
//! ends. Held in memory up to a bound: what would pass it ends the sync rather than lose or wrongly reject a record.

use std::collections::HashMap;

use crate::plan::LaneKey;

/// See the module's header.
#[derive(Debug)]
pub struct Parking<J> {
    waiting: HashMap<LaneKey, Vec<J>>,
    jobs: usize,
    bytes: usize,
    limit: usize,
}

/// The bound is reached.
#[derive(Debug, PartialEq, Eq)]
pub struct Full {
    /// Jobs that wait.
    pub jobs: usize,
}

impl<J> Parking<J> {
    /// Room for so many bytes of jobs.
    pub fn new(limit: usize) -> Self {
        Self { waiting: HashMap::new(), jobs: 0, bytes: 0, limit }
    }

    /// Puts a job aside until its parent arrives.
    ///
    /// # Errors
    /// When there is no room.
    pub fn park(&mut self, parent: LaneKey, job: J, bytes: usize) -> Result<(), Full> {
        if self.bytes + bytes > self.limit {
            return Err(Full { jobs: self.jobs });
        }
        self.bytes += bytes;
        self.jobs += 1;
        self.waiting.entry(parent).or_default().push(job);
        Ok(())
    }

    /// Whether a job waits for this parent.
    pub fn waits_for(&self, parent: &LaneKey) -> bool {
        self.waiting.contains_key(parent)
    }

    /// The jobs that wait for this parent, in the order they came.
    pub fn arrived(&mut self, parent: &LaneKey, bytes: impl Fn(&J) -> usize) -> Vec<J> {
        let jobs = self.waiting.remove(parent).unwrap_or_default();
        self.jobs -= jobs.len();
        self.bytes -= jobs.iter().map(bytes).sum::<usize>();
        jobs
    }

    /// All jobs, those of one parent together and in their order.
    pub fn all(&mut self) -> Vec<J> {
        self.jobs = 0;
        self.bytes = 0;
        let mut parents: Vec<_> = self.waiting.drain().collect();
        parents.sort_by_key(|(parent, _)| *parent);
        parents.into_iter().flat_map(|(_, jobs)| jobs).collect()
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.jobs
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.jobs == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_back_in_order_when_their_parent_arrives_and_the_bound_holds() {
        let mut parking = Parking::new(10);
        let parent = LaneKey::key("customers", "p");
        assert_eq!(parking.park(parent, "a", 4), Ok(()));
        assert_eq!(parking.park(parent, "b", 4), Ok(()));
        assert_eq!(parking.park(LaneKey::key("customers", "q"), "c", 4), Err(Full { jobs: 2 }));
        assert_eq!(parking.arrived(&parent, |_| 4), ["a", "b"]);
        assert!(parking.is_empty() && parking.arrived(&parent, |_| 4).is_empty());
        assert_eq!(parking.park(parent, "d", 10), Ok(()));
        assert_eq!(parking.all(), ["d"]);
    }
}
