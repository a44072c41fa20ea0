//! Records that wait for what they need: children for their parent, and what is incomplete for its parts. Pure.
//!
//! A parked job holds no lane and no connection; its STATE waits. It has its next try when the parent arrives or the input
//! ends. What comes later about the same thing waits behind it, so that a thing's records keep their order.
//!
//! Bounded: jobs are held in memory up to one bound, the others go where the [`Keeper`] puts them, and of those a few bytes stay
//! here. They come back as they are kept, so that what was put away is read when its turn comes and never all at once. What would
//! pass the bounds ends the sync rather than lose or wrongly reject a record.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use crate::errors::Code;
use crate::failure::Failure;
use crate::plan::{LaneKey, LaneKeys};

/// Memory for each job that waits, whether it is here or put away, near enough, and for its place in the row of those that have
/// their last chance. Measured.
const JOB: usize = 80;
/// Memory for each of the jobs that come back when one thing arrives, besides: they are queued at once. Measured.
const BACK: usize = 300;
/// The same for each thing that is waited for, and once more where it waits for its own parts.
const LANE: usize = 75;
/// The same for each name of a thing that a parked job is about.
const NAME: usize = 95;

/// What a parked job is to the thing of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The thing itself, which can not be made before a completing part is there.
    Incomplete,
    /// A part that completes it.
    Completing,
    /// A later row about the thing itself that makes nothing.
    Behind,
    /// Something else that waits for it.
    Other,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of jobs that are held in memory.
    pub here: usize,
    /// Bytes of memory altogether: those jobs, and what is noted of every job.
    pub memory: usize,
    /// Bytes that are put away.
    pub away: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { here: 16 << 20, memory: 256 << 20, away: 4 << 30 }
    }
}

/// Where a job was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub at: u32,
    /// Its bytes.
    pub len: u32,
}

/// A job, or where it was put.
#[derive(Debug)]
pub enum Kept<J> {
    /// In memory.
    Here(Box<J>),
    /// Put away.
    Away(Place),
}

/// What has to be known of jobs, and where those go for which memory has no room.
pub trait Keeper<J> {
    /// Size of a job in memory.
    fn bytes(&self, job: &J) -> usize;
    /// The names of the thing that a job is about.
    fn own(&self, job: &J) -> LaneKeys;
    /// Puts a job away; `None` where there is no room.
    ///
    /// # Errors
    /// When that fails.
    fn put(&mut self, job: &J) -> Result<Option<Place>, Failure>;
    /// Reads a job that was put away. It is there until it is freed.
    ///
    /// # Errors
    /// When that fails.
    fn get(&self, place: Place) -> Result<J, Failure>;
    /// Gives a place back.
    fn free(&mut self, place: Place);
}

/// See the module's header.
#[derive(Debug)]
pub struct Parking<J, K> {
    keeper: K,
    bounds: Bounds,
    waiting: HashMap<LaneKey, Lane<J>>,
    /// By the names of the things that parked jobs are about: where those wait, and how many.
    held: HashMap<LaneKey, SmallVec<[(LaneKey, u32); 1]>>,
    /// Lanes on which the thing itself waits for its parts, and how many records of it.
    incomplete: HashMap<LaneKey, u32>,
    jobs: usize,
    /// Bytes of the jobs in memory.
    here: usize,
}

/// What waits on one lane.
type Lane<J> = SmallVec<[Waiting<J>; 1]>;

/// A job, in 16 bytes.
#[derive(Debug)]
enum Waiting<J> {
    Here(Part, Box<J>),
    Away(Part, Place),
}

impl<J> Waiting<J> {
    fn part(&self) -> Part {
        match self {
            Self::Here(part, _) | Self::Away(part, _) => *part,
        }
    }
}

impl<J, K: Keeper<J>> Parking<J, K> {
    /// Room for so much.
    pub fn new(bounds: Bounds, keeper: K) -> Self {
        Self { keeper, bounds, waiting: HashMap::new(), held: HashMap::new(), incomplete: HashMap::new(), jobs: 0, here: 0 }
    }

    /// Puts a job aside until the thing of the lane arrives. Answers whether all is there to make the thing of the lane now.
    ///
    /// # Errors
    /// When there is no room.
    pub fn park(&mut self, lane: LaneKey, part: Part, job: J) -> Result<bool, Failure> {
        self.put(lane, part, job, false)
    }

    /// Puts a job that was taken back to where it was: before what waits on the lane. Of several the last one first.
    ///
    /// # Errors
    /// When there is no room.
    pub fn park_again(&mut self, lane: LaneKey, part: Part, job: J) -> Result<bool, Failure> {
        self.put(lane, part, job, true)
    }

    fn put(&mut self, lane: LaneKey, part: Part, job: J, first: bool) -> Result<bool, Failure> {
        let (bytes, own) = (self.keeper.bytes(&job), self.keeper.own(&job));
        let stays = self.here + bytes <= self.bounds.here;
        let notes = JOB + NAME * own.len() + if self.waiting.contains_key(&lane) { 0 } else { LANE };
        let back = BACK * (1 + self.waiting.get(&lane).map_or(0, SmallVec::len));
        if self.memory() + notes + back + if stays { bytes } else { 0 } > self.bounds.memory {
            return Err(self.full());
        }
        let next = match stays {
            true => {
                self.here += bytes;
                Waiting::Here(part, Box::new(job))
            }
            false => Waiting::Away(part, self.keeper.put(&job)?.ok_or_else(|| self.full())?),
        };
        self.jobs += 1;
        for name in own {
            let lanes = self.held.entry(name).or_default();
            match lanes.iter_mut().find(|(other, _)| *other == lane) {
                Some((_, count)) => *count += 1,
                None => lanes.push((lane, 1)),
            }
        }
        let waiting = self.waiting.entry(lane).or_default();
        match first {
            true => waiting.insert(0, next),
            false => waiting.push(next),
        }
        let is_completed = |waiting: &Lane<J>| waiting.iter().any(|other| other.part() == Part::Completing);
        Ok(match part {
            Part::Behind | Part::Other => false,
            Part::Completing => self.incomplete.contains_key(&lane),
            Part::Incomplete => {
                *self.incomplete.entry(lane).or_default() += 1;
                is_completed(waiting)
            }
        })
    }

    /// The lane on which a job waits that is about one of these things: what comes later about it waits there too.
    pub fn holder(&self, own: &[LaneKey]) -> Option<LaneKey> {
        own.iter().find_map(|name| Some(self.held.get(name)?.first()?.0))
    }

    /// Whether the thing of this lane itself waits on it for its parts.
    pub fn is_incomplete(&self, lane: &LaneKey) -> bool {
        self.incomplete.contains_key(lane)
    }

    /// Whether a row about the thing of this lane waits behind the thing itself.
    pub fn is_followed(&self, lane: &LaneKey) -> bool {
        self.waiting.get(lane).is_some_and(|waiting| waiting.iter().any(|other| other.part() == Part::Behind))
    }

    /// Whether a job waits on this lane.
    pub fn waits_for(&self, lane: &LaneKey) -> bool {
        self.waiting.contains_key(lane)
    }

    /// The jobs that wait on this lane, each with what `note` says of it: the thing itself first, then the others in the order they
    /// came. What was put away is still, until it is fetched.
    ///
    /// # Errors
    /// When what was put away can not be read.
    pub fn arrived<N>(&mut self, lane: &LaneKey, mut note: impl FnMut(&J) -> N) -> Result<Vec<(N, Kept<J>)>, Failure> {
        let mut waiting = self.waiting.remove(lane).unwrap_or_default();
        waiting.sort_by_key(|waiting| waiting.part() != Part::Incomplete);
        waiting.into_iter().map(|next| self.unpark(lane, next, &mut note)).collect()
    }

    /// The jobs of this lane that together make its thing: the thing itself first and right behind it what completes it, then the
    /// other rows about it. What else waits for it still does. Otherwise as [`Self::arrived`].
    ///
    /// # Errors
    /// When what was put away can not be read.
    pub fn completed<N>(&mut self, lane: &LaneKey, mut note: impl FnMut(&J) -> N) -> Result<Vec<(N, Kept<J>)>, Failure> {
        let waiting = self.waiting.remove(lane).unwrap_or_default();
        let (left, making): (Lane<J>, Lane<J>) = waiting.into_iter().partition(|waiting| waiting.part() == Part::Other);
        if !left.is_empty() {
            self.waiting.insert(*lane, left);
        }
        let mut is_first = true;
        let rank = |waiting: Waiting<J>| match waiting.part() {
            Part::Incomplete if std::mem::take(&mut is_first) => (0, waiting),
            Part::Completing => (1, waiting),
            Part::Incomplete => (2, waiting),
            Part::Behind | Part::Other => (3, waiting),
        };
        let mut making: Vec<(u8, Waiting<J>)> = making.into_iter().map(rank).collect();
        making.sort_by_key(|(rank, _)| *rank);
        making.into_iter().map(|(_, next)| self.unpark(lane, next, &mut note)).collect()
    }

    /// All jobs, in no order that means anything; otherwise as [`Self::arrived`].
    ///
    /// # Errors
    /// When what was put away can not be read.
    pub fn all<N>(&mut self, mut note: impl FnMut(&J) -> N) -> Result<Vec<(N, Kept<J>)>, Failure> {
        let mut all = Vec::with_capacity(self.jobs);
        for (lane, waiting) in std::mem::take(&mut self.waiting) {
            for next in waiting {
                all.push(self.unpark(&lane, next, &mut note)?);
            }
        }
        Ok(all)
    }

    /// Takes up to so many of the jobs that wait on this lane and are wanted, in the order they came; none that stands behind an
    /// unwanted one about the same thing.
    ///
    /// # Errors
    /// When what was put away can not be read.
    pub fn take(&mut self, lane: &LaneKey, most: usize, wanted: impl Fn(&J) -> bool) -> Result<Vec<J>, Failure> {
        let mut left: Lane<J> = SmallVec::new();
        let mut before = HashSet::new();
        let (mut taken, mut read) = (Vec::new(), 0);
        for next in self.waiting.remove(lane).unwrap_or_default() {
            // What is not wanted is read in vain: no more is read than may be taken.
            if taken.len() >= most || read >= most {
                left.push(next);
                continue;
            }
            let fetched;
            let job = match &next {
                Waiting::Here(_, job) => &**job,
                Waiting::Away(_, place) => {
                    read += 1;
                    fetched = self.keeper.get(*place)?;
                    &fetched
                }
            };
            let own = self.keeper.own(job);
            if next.part() == Part::Incomplete || own.iter().any(|name| before.contains(name)) || !wanted(job) {
                before.extend(own);
                left.push(next);
            } else {
                let ((), kept) = self.unpark(lane, next, &mut |_| ())?;
                taken.push(self.fetch(kept)?);
            }
        }
        if !left.is_empty() {
            self.waiting.insert(*lane, left);
        }
        Ok(taken)
    }

    /// A job that came back, to be held in memory from now on.
    ///
    /// # Errors
    /// When it was put away and can not be read.
    pub fn fetch(&mut self, kept: Kept<J>) -> Result<J, Failure> {
        match kept {
            Kept::Here(job) => Ok(*job),
            Kept::Away(place) => {
                let job = self.keeper.get(place)?;
                self.keeper.free(place);
                Ok(job)
            }
        }
    }

    /// Looks at a job that came back and stays where it is.
    ///
    /// # Errors
    /// When it was put away and can not be read.
    pub fn look<T>(&self, kept: &Kept<J>, at: impl FnOnce(&J) -> T) -> Result<T, Failure> {
        match kept {
            Kept::Here(job) => Ok(at(job)),
            Kept::Away(place) => self.keeper.get(*place).map(|job| at(&job)),
        }
    }

    /// A job waits on this lane no longer.
    fn unpark<N>(&mut self, lane: &LaneKey, next: Waiting<J>, note: &mut impl FnMut(&J) -> N) -> Result<(N, Kept<J>), Failure> {
        if next.part() == Part::Incomplete
            && let Some(many) = self.incomplete.get_mut(lane)
        {
            *many -= 1;
            if *many == 0 {
                self.incomplete.remove(lane);
            }
        }
        let kept = match next {
            Waiting::Here(_, job) => {
                self.here -= self.keeper.bytes(&job);
                Kept::Here(job)
            }
            Waiting::Away(_, place) => Kept::Away(place),
        };
        self.jobs -= 1;
        let (own, noted) = self.look(&kept, |job| (self.keeper.own(job), note(job)))?;
        for name in own {
            let Some(lanes) = self.held.get_mut(&name) else { continue };
            if let Some(at) = lanes.iter().position(|(other, _)| other == lane) {
                lanes[at].1 -= 1;
                if lanes[at].1 == 0 {
                    lanes.remove(at);
                }
            }
            if lanes.is_empty() {
                self.held.remove(&name);
            }
        }
        Ok((noted, kept))
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.jobs
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.jobs == 0
    }

    fn memory(&self) -> usize {
        self.here + self.jobs * JOB + (self.waiting.len() + self.incomplete.len()) * LANE + self.held.len() * NAME
    }

    fn full(&self) -> Failure {
        let text = format!("{} records wait for parents that have not come. {}", self.jobs, Code::ParkingFull.remedy());
        Failure::system(Code::ParkingFull, text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A job: its number, the names of what it is about, its bytes.
    type Job = (u64, Vec<LaneKey>, usize);

    /// Puts jobs away in memory, up to so many.
    #[derive(Debug, Default)]
    struct Shelf {
        room: usize,
        jobs: HashMap<u32, Job>,
        next: u32,
    }

    impl Keeper<Job> for Shelf {
        fn bytes(&self, job: &Job) -> usize {
            job.2
        }
        fn own(&self, job: &Job) -> LaneKeys {
            LaneKeys::from_slice(&job.1)
        }
        fn put(&mut self, job: &Job) -> Result<Option<Place>, Failure> {
            if self.jobs.len() == self.room {
                return Ok(None);
            }
            self.next += 1;
            self.jobs.insert(self.next, job.clone());
            Ok(Some(Place { at: self.next, len: 1 }))
        }
        fn get(&self, place: Place) -> Result<Job, Failure> {
            Ok(self.jobs[&place.at].clone())
        }
        fn free(&mut self, place: Place) {
            self.jobs.remove(&place.at).unwrap();
        }
    }

    fn parking(here: usize, away: usize) -> Parking<Job, Shelf> {
        let bounds = Bounds { here, memory: usize::MAX, away: 0 };
        Parking::new(bounds, Shelf { room: away, ..Shelf::default() })
    }

    fn lane(name: &str) -> LaneKey {
        LaneKey::key("customers", name)
    }

    fn job(number: u64) -> Job {
        (number, Vec::new(), 4)
    }

    fn about(number: u64, name: LaneKey) -> Job {
        (number, vec![name], 4)
    }

    fn numbers_of(parking: &mut Parking<Job, Shelf>, back: Vec<((), Kept<Job>)>) -> Vec<u64> {
        back.into_iter().map(|((), kept)| parking.fetch(kept).unwrap().0).collect()
    }

    fn back(parking: &mut Parking<Job, Shelf>, lane: &LaneKey) -> Vec<u64> {
        let back = parking.arrived(lane, |_| ()).unwrap();
        numbers_of(parking, back)
    }

    fn all(parking: &mut Parking<Job, Shelf>) -> Vec<u64> {
        let back = parking.all(|_| ()).unwrap();
        let mut all = numbers_of(parking, back);
        all.sort_unstable();
        all
    }

    #[test]
    fn children_come_back_in_order_when_their_parent_arrives_and_the_bounds_hold() {
        let mut parking = parking(8, 1);
        for number in 1..=3 {
            assert_eq!(parking.park(lane("p"), Part::Other, job(number)), Ok(false));
        }
        let full = parking.park(lane("q"), Part::Other, job(4)).unwrap_err();
        assert_eq!((full.code, full.kind), (Code::ParkingFull, crate::failure::FailureType::System));
        assert_eq!((parking.len(), parking.here, parking.keeper.jobs.len()), (3, 8, 1));
        assert_eq!(back(&mut parking, &lane("p")), [1, 2, 3]);
        assert!(back(&mut parking, &lane("p")).is_empty());
        assert!(parking.is_empty() && parking.keeper.jobs.is_empty() && parking.here == 0);
        parking.park(lane("p"), Part::Other, job(5)).unwrap();
        assert_eq!(all(&mut parking), [5]);
    }

    #[test]
    fn what_is_noted_of_each_counts_too() {
        let bounds = Bounds { here: 0, memory: 10 * (JOB + LANE + NAME) + BACK, away: 0 };
        let mut parking = Parking::new(bounds, Shelf { room: usize::MAX, ..Shelf::default() });
        for number in 0..10 {
            parking.park(lane(&number.to_string()), Part::Other, about(number, lane(&format!("own {number}")))).unwrap();
        }
        assert_eq!(parking.park(lane("0"), Part::Other, job(11)).unwrap_err().code, Code::ParkingFull);
    }

    #[test]
    fn a_thing_can_be_made_once_it_and_a_completing_part_are_there() {
        for here in [0, 100] {
            let mut parking = parking(here, 9);
            let lane = LaneKey::key("invoices", "i");
            assert_eq!(parking.park(lane, Part::Other, job(1)), Ok(false));
            assert_eq!(parking.park(lane, Part::Completing, job(2)), Ok(false));
            assert_eq!(parking.park(lane, Part::Incomplete, job(3)), Ok(true));
            let making = parking.completed(&lane, |_| ()).unwrap();
            assert_eq!(numbers_of(&mut parking, making), [3, 2], "the invoice first, and nothing that does not make it");
            assert_eq!((parking.is_incomplete(&lane), back(&mut parking, &lane)), (false, vec![1]));
            assert_eq!(parking.park(lane, Part::Incomplete, job(4)), Ok(false));
            assert_eq!(parking.park(lane, Part::Other, job(5)), Ok(false));
            assert_eq!(parking.park(lane, Part::Completing, job(6)), Ok(true));
        }
    }

    #[test]
    fn what_was_taken_and_waits_again_stands_where_it_stood() {
        let mut parking = parking(8, 9);
        let lane = lane("i");
        for number in 1..=4 {
            parking.park(lane, Part::Other, about(number, LaneKey::key("own", &(number % 2).to_string()))).unwrap();
        }
        let taken = parking.take(&lane, 2, |job| job.0 < 3).unwrap();
        assert_eq!(taken.iter().map(|job| job.0).collect::<Vec<_>>(), [1, 2]);
        for job in taken.into_iter().rev() {
            parking.park_again(lane, Part::Other, job).unwrap();
        }
        assert_eq!(back(&mut parking, &lane), [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_about_a_thing_that_waits_is_known_until_the_last_of_it_goes() {
        let mut parking = parking(4, 100);
        let (own, [one, other]) = (LaneKey::key("invoices", "i"), ["p1", "p2"].map(lane));
        assert_eq!(parking.holder(&[own]), None);
        parking.park(one, Part::Other, about(1, own)).unwrap();
        parking.park(other, Part::Other, about(2, own)).unwrap();
        parking.park(one, Part::Other, about(3, own)).unwrap();
        assert_eq!((parking.holder(&[other, own]), parking.is_incomplete(&one)), (Some(one), false));
        assert_eq!(back(&mut parking, &one), [1, 3]);
        assert_eq!(parking.holder(&[own]), Some(other));
        assert_eq!(back(&mut parking, &other), [2]);
        assert_eq!(parking.holder(&[own]), None);
        parking.park(own, Part::Incomplete, about(4, own)).unwrap();
        assert!(parking.is_incomplete(&own));
        assert_eq!(all(&mut parking), [4]);
        assert_eq!(parking.holder(&[own]), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Park(usize, Part, Vec<usize>, usize),
        Completed(usize),
        Arrived(usize),
        Take(usize, usize, u64),
        All,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let part = prop_oneof![Just(Part::Incomplete), Just(Part::Completing), Just(Part::Behind), Just(Part::Other)];
        let step = prop_oneof![
            9 => (0usize..4, part, prop::collection::vec(0usize..6, 0..3), 1usize..9).prop_map(|(l, p, o, b)| Step::Park(l, p, o, b)),
            3 => (0usize..4).prop_map(Step::Arrived),
            2 => (0usize..4).prop_map(Step::Completed),
            3 => (0usize..4, 1usize..4, 2u64..4).prop_map(|(l, m, d)| Step::Take(l, m, d)),
            1 => Just(Step::All),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Whatever is put away: the answers are those of a parking that holds all in memory, nothing is lost or doubled, and
        /// no place stays in use.
        #[test]
        fn putting_away_changes_no_answer(steps in steps(), here in 0usize..20) {
            let (mut small, mut large) = (parking(here, usize::MAX), parking(usize::MAX, 0));
            let lane = |at: usize| lane(&at.to_string());
            let own = |at: &usize| LaneKey::key("own", &at.to_string());
            let (mut parked, mut came) = (0, 0);
            for (number, step) in steps.into_iter().enumerate() {
                let numbers = |jobs: Vec<Job>| -> Vec<u64> { jobs.into_iter().map(|job| job.0).collect() };
                match step {
                    Step::Park(at, part, owns, bytes) => {
                        let job = (number as u64, owns.iter().map(own).collect(), bytes);
                        prop_assert_eq!(small.park(lane(at), part, job.clone()), large.park(lane(at), part, job));
                        parked += 1;
                    }
                    Step::Arrived(at) => {
                        let some = back(&mut large, &lane(at));
                        prop_assert_eq!(&back(&mut small, &lane(at)), &some);
                        came += some.len();
                    }
                    Step::Completed(at) => {
                        let some = large.completed(&lane(at), |_| ()).unwrap();
                        let some = numbers_of(&mut large, some);
                        let same = small.completed(&lane(at), |_| ()).unwrap();
                        prop_assert_eq!(&numbers_of(&mut small, same), &some);
                        came += some.len();
                    }
                    Step::Take(at, most, divisor) => {
                        let wanted = |job: &Job| !job.0.is_multiple_of(divisor);
                        let taken = numbers(large.take(&lane(at), most, wanted).unwrap());
                        // What is read in vain is bounded, so that it may take fewer; never others.
                        let fewer = numbers(small.take(&lane(at), most, wanted).unwrap());
                        prop_assert_eq!(&fewer[..], &taken[..fewer.len()]);
                        while small.len() > large.len() {
                            let before = small.len();
                            numbers(small.take(&lane(at), usize::MAX, |job| taken.contains(&job.0)).unwrap());
                            prop_assert!(small.len() < before);
                        }
                        came += taken.len();
                    }
                    Step::All => {
                        let some = all(&mut large);
                        prop_assert_eq!(&all(&mut small), &some);
                        came += some.len();
                    }
                }
                prop_assert_eq!((small.len(), large.len()), (parked - came, parked - came));
                prop_assert!(small.here <= here);
                for at in 0..6 {
                    prop_assert_eq!(small.holder(&[own(&at)]), large.holder(&[own(&at)]));
                }
                for at in 0..4 {
                    prop_assert_eq!(small.is_incomplete(&lane(at)), large.is_incomplete(&lane(at)));
                    prop_assert_eq!(small.waits_for(&lane(at)), large.waits_for(&lane(at)));
                }
            }
            all(&mut small);
            prop_assert!(small.keeper.jobs.is_empty() && small.incomplete.is_empty() && small.held.is_empty() && small.waiting.is_empty() && small.here == 0);
        }
    }
}
