//! Records that wait for what they need: children for their parent, and what is incomplete for its parts. Pure.
//!
//! A parked job holds no lane and no connection; its STATE waits. It has its next try when the parent arrives or the input
//! ends. Held in memory up to a bound: what would pass it ends the sync rather than lose or wrongly reject a record.

use std::collections::HashMap;

use crate::plan::LaneKey;

/// What a parked job is to the thing of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The thing itself, which can not be made before a completing part is there.
    Incomplete,
    /// A part that completes it.
    Completing,
    /// Something else that waits for it.
    Other,
}

/// See the module's header.
#[derive(Debug)]
pub struct Parking<J> {
    waiting: HashMap<LaneKey, Vec<(Part, J)>>,
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

    /// Puts a job aside until the thing of the lane arrives. Answers whether all is there to make it now.
    ///
    /// # Errors
    /// When there is no room.
    pub fn park(&mut self, lane: LaneKey, part: Part, job: J, bytes: usize) -> Result<bool, Full> {
        if self.bytes + bytes > self.limit {
            return Err(Full { jobs: self.jobs });
        }
        self.bytes += bytes;
        self.jobs += 1;
        let waiting = self.waiting.entry(lane).or_default();
        waiting.push((part, job));
        let has = |wanted| waiting.iter().any(|(part, _)| *part == wanted);
        Ok(part != Part::Other && has(Part::Incomplete) && has(Part::Completing))
    }

    /// Whether a job waits on this lane.
    pub fn waits_for(&self, lane: &LaneKey) -> bool {
        self.waiting.contains_key(lane)
    }

    /// The jobs that wait on this lane: the thing itself first, then the others in the order they came.
    pub fn arrived(&mut self, lane: &LaneKey, bytes: impl Fn(&J) -> usize) -> Vec<J> {
        let mut jobs = self.waiting.remove(lane).unwrap_or_default();
        jobs.sort_by_key(|(part, _)| *part != Part::Incomplete);
        let jobs: Vec<J> = jobs.into_iter().map(|(_, job)| job).collect();
        self.jobs -= jobs.len();
        self.bytes -= jobs.iter().map(bytes).sum::<usize>();
        jobs
    }

    /// Takes those of the jobs that wait on this lane and are wanted, in the order they came.
    pub fn take(&mut self, lane: &LaneKey, bytes: impl Fn(&J) -> usize, wanted: impl Fn(&J) -> bool) -> Vec<J> {
        let Some(waiting) = self.waiting.get_mut(lane) else { return Vec::new() };
        let taken: Vec<J> =
            waiting.extract_if(.., |(part, job)| *part != Part::Incomplete && wanted(job)).map(|(_, job)| job).collect();
        if waiting.is_empty() {
            self.waiting.remove(lane);
        }
        self.jobs -= taken.len();
        self.bytes -= taken.iter().map(bytes).sum::<usize>();
        taken
    }

    /// All jobs, in no order that means anything.
    pub fn all(&mut self) -> Vec<J> {
        self.jobs = 0;
        self.bytes = 0;
        self.waiting.drain().flat_map(|(_, jobs)| jobs).map(|(_, job)| job).collect()
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
        assert_eq!(parking.park(parent, Part::Other, "a", 4), Ok(false));
        assert_eq!(parking.park(parent, Part::Other, "b", 4), Ok(false));
        assert_eq!(parking.park(LaneKey::key("customers", "q"), Part::Other, "c", 4), Err(Full { jobs: 2 }));
        assert_eq!(parking.arrived(&parent, |_| 4), ["a", "b"]);
        assert!(parking.is_empty() && parking.arrived(&parent, |_| 4).is_empty());
        assert_eq!(parking.park(parent, Part::Other, "d", 10), Ok(false));
        assert_eq!(parking.all(), ["d"]);
    }

    #[test]
    fn a_thing_can_be_made_once_it_and_a_completing_part_are_there() {
        let mut parking = Parking::new(100);
        let lane = LaneKey::key("invoices", "i");
        assert_eq!(parking.park(lane, Part::Other, "payment", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Completing, "item", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Incomplete, "invoice", 1), Ok(true));
        assert_eq!(parking.arrived(&lane, |_| 1), ["invoice", "payment", "item"]);
        assert_eq!(parking.park(lane, Part::Incomplete, "invoice", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Other, "payment", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Completing, "item", 1), Ok(true));
    }
}
