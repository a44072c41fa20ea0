//! Records that wait for what they need: children for their parent, and what is incomplete for its parts. Pure.
//!
//! A parked job holds no lane and no connection; its STATE waits. It has its next try when the parent arrives or the input
//! ends. What comes later about the same thing waits behind it, so that a thing's records keep their order. Held in memory
//! up to a bound: what would pass it ends the sync rather than lose or wrongly reject a record.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::plan::{LaneKey, LaneKeys};

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
    waiting: HashMap<LaneKey, Vec<Waiting<J>>>,
    /// By the names of the things that parked jobs are about: where those wait.
    held: HashMap<LaneKey, SmallVec<[LaneKey; 1]>>,
    jobs: usize,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Waiting<J> {
    part: Part,
    /// The names of the thing that it is about.
    own: LaneKeys,
    job: J,
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
        Self { waiting: HashMap::new(), held: HashMap::new(), jobs: 0, bytes: 0, limit }
    }

    /// Puts a job aside until the thing of the lane arrives. `own` are the names of the thing that the job is about. Answers
    /// whether all is there to make the thing of the lane now.
    ///
    /// # Errors
    /// When there is no room.
    pub fn park(&mut self, lane: LaneKey, part: Part, own: LaneKeys, job: J, bytes: usize) -> Result<bool, Full> {
        if self.bytes + bytes > self.limit {
            return Err(Full { jobs: self.jobs });
        }
        self.bytes += bytes;
        self.jobs += 1;
        for name in &own {
            self.held.entry(*name).or_default().push(lane);
        }
        let waiting = self.waiting.entry(lane).or_default();
        waiting.push(Waiting { part, own, job });
        let has = |wanted| waiting.iter().any(|other| other.part == wanted);
        Ok(part != Part::Other && has(Part::Incomplete) && has(Part::Completing))
    }

    /// The lane on which a job waits that is about one of these things: what comes later about it waits there too.
    pub fn holder(&self, own: &[LaneKey]) -> Option<LaneKey> {
        own.iter().find_map(|name| self.held.get(name)?.first().copied())
    }

    /// Whether the thing of this lane itself waits on it for its parts.
    pub fn is_incomplete(&self, lane: &LaneKey) -> bool {
        self.waiting.get(lane).is_some_and(|waiting| waiting.iter().any(|other| other.part == Part::Incomplete))
    }

    /// Whether a job waits on this lane.
    pub fn waits_for(&self, lane: &LaneKey) -> bool {
        self.waiting.contains_key(lane)
    }

    /// The jobs that wait on this lane: the thing itself first, then the others in the order they came.
    pub fn arrived(&mut self, lane: &LaneKey, bytes: impl Fn(&J) -> usize) -> Vec<J> {
        let mut waiting = self.waiting.remove(lane).unwrap_or_default();
        waiting.sort_by_key(|waiting| waiting.part != Part::Incomplete);
        for other in &waiting {
            self.forget(lane, &other.own);
        }
        let jobs: Vec<J> = waiting.into_iter().map(|waiting| waiting.job).collect();
        self.jobs -= jobs.len();
        self.bytes -= jobs.iter().map(bytes).sum::<usize>();
        jobs
    }

    /// Takes those of the jobs that wait on this lane and are wanted, in the order they came; none that stands behind an unwanted
    /// one about the same thing.
    pub fn take(&mut self, lane: &LaneKey, bytes: impl Fn(&J) -> usize, wanted: impl Fn(&J) -> bool) -> Vec<J> {
        let Some(waiting) = self.waiting.remove(lane) else { return Vec::new() };
        let mut left: Vec<Waiting<J>> = Vec::new();
        let mut taken = Vec::new();
        for next in waiting {
            let overtakes = left.iter().any(|other| other.own.iter().any(|name| next.own.contains(name)));
            if next.part == Part::Incomplete || overtakes || !wanted(&next.job) {
                left.push(next);
            } else {
                self.forget(lane, &next.own);
                taken.push(next.job);
            }
        }
        if !left.is_empty() {
            self.waiting.insert(*lane, left);
        }
        self.jobs -= taken.len();
        self.bytes -= taken.iter().map(bytes).sum::<usize>();
        taken
    }

    /// A job about things of these names waits on this lane no longer.
    fn forget(&mut self, lane: &LaneKey, own: &[LaneKey]) {
        for name in own {
            let Some(lanes) = self.held.get_mut(name) else { continue };
            if let Some(at) = lanes.iter().position(|other| other == lane) {
                lanes.remove(at);
            }
            if lanes.is_empty() {
                self.held.remove(name);
            }
        }
    }

    /// All jobs, in no order that means anything.
    pub fn all(&mut self) -> Vec<J> {
        self.jobs = 0;
        self.bytes = 0;
        self.held.clear();
        self.waiting.drain().flat_map(|(_, waiting)| waiting).map(|waiting| waiting.job).collect()
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

    fn none() -> LaneKeys {
        LaneKeys::new()
    }

    #[test]
    fn children_come_back_in_order_when_their_parent_arrives_and_the_bound_holds() {
        let mut parking = Parking::new(10);
        let parent = LaneKey::key("customers", "p");
        assert_eq!(parking.park(parent, Part::Other, none(), "a", 4), Ok(false));
        assert_eq!(parking.park(parent, Part::Other, none(), "b", 4), Ok(false));
        assert_eq!(parking.park(LaneKey::key("customers", "q"), Part::Other, none(), "c", 4), Err(Full { jobs: 2 }));
        assert_eq!(parking.arrived(&parent, |_| 4), ["a", "b"]);
        assert!(parking.is_empty() && parking.arrived(&parent, |_| 4).is_empty());
        assert_eq!(parking.park(parent, Part::Other, none(), "d", 10), Ok(false));
        assert_eq!(parking.all(), ["d"]);
    }

    #[test]
    fn a_thing_can_be_made_once_it_and_a_completing_part_are_there() {
        let mut parking = Parking::new(100);
        let lane = LaneKey::key("invoices", "i");
        assert_eq!(parking.park(lane, Part::Other, none(), "payment", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Completing, none(), "item", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Incomplete, none(), "invoice", 1), Ok(true));
        assert_eq!(parking.arrived(&lane, |_| 1), ["invoice", "payment", "item"]);
        assert_eq!(parking.park(lane, Part::Incomplete, none(), "invoice", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Other, none(), "payment", 1), Ok(false));
        assert_eq!(parking.park(lane, Part::Completing, none(), "item", 1), Ok(true));
    }

    #[test]
    fn what_is_about_a_thing_that_waits_is_known_until_the_last_of_it_goes() {
        let mut parking = Parking::new(100);
        let (own, [one, other]) = (LaneKey::key("invoices", "i"), ["p1", "p2"].map(|key| LaneKey::key("plans", key)));
        let about = || LaneKeys::from_slice(&[own]);
        assert_eq!(parking.holder(&[own]), None);
        parking.park(one, Part::Other, about(), "a", 1).unwrap();
        parking.park(other, Part::Other, about(), "b", 1).unwrap();
        parking.park(one, Part::Other, about(), "c", 1).unwrap();
        assert_eq!((parking.holder(&[other, own]), parking.is_incomplete(&one)), (Some(one), false));
        assert_eq!(parking.arrived(&one, |_| 1), ["a", "c"]);
        assert_eq!(parking.holder(&[own]), Some(other));
        parking.arrived(&other, |_| 1);
        assert_eq!(parking.holder(&[own]), None);
        parking.park(own, Part::Incomplete, about(), "d", 1).unwrap();
        assert!(parking.is_incomplete(&own));
        parking.all();
        assert_eq!(parking.holder(&[own]), None);
    }
}
