//! Ordered lanes: which job may run. Pure.
//!
//! Jobs that share a key run one after another, in the order they came; jobs that share none run side by side. A job may
//! hold several keys: it runs when it stands at the head of all of them. Since every job joins all its queues at one moment,
//! no two jobs can wait for each other.

use std::collections::VecDeque;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::plan::{LaneKey, LaneKeys};

/// A job's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u64);

#[cfg(test)]
impl JobId {
    pub(super) fn of(number: u64) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct Job<J> {
    keys: LaneKeys,
    /// In how many of its queues another job stands before it.
    behind: usize,
    /// Taken once, when the job starts.
    work: Option<J>,
}

/// The jobs of one key: mostly a single one, which costs no allocation.
#[derive(Debug)]
struct Queue {
    head: JobId,
    others: VecDeque<JobId>,
}

/// See the module's header.
#[derive(Debug)]
pub struct Lanes<J> {
    queues: HashMap<LaneKey, Queue>,
    jobs: HashMap<JobId, Job<J>>,
    ready: VecDeque<JobId>,
    next: u64,
}

impl<J> Default for Lanes<J> {
    fn default() -> Self {
        Self { queues: HashMap::new(), jobs: HashMap::new(), ready: VecDeque::new(), next: 0 }
    }
}

impl<J> Lanes<J> {
    /// Queues a job behind all that share a key with it.
    pub fn push(&mut self, keys: LaneKeys, work: J) {
        let id = self.number();
        let keys = distinct(keys);
        let mut behind = 0;
        for key in &keys {
            match self.queues.entry(*key) {
                Entry::Vacant(empty) => {
                    empty.insert(Queue { head: id, others: VecDeque::new() });
                }
                Entry::Occupied(mut queue) => {
                    behind += 1;
                    queue.get_mut().others.push_back(id);
                }
            }
        }
        self.jobs.insert(id, Job { keys, behind, work: Some(work) });
        if behind == 0 {
            self.ready.push_back(id);
        }
    }

    /// Queues jobs before all that have not started, in the order given: for jobs that had their turn before and were put
    /// aside. In each queue they go behind the running job, if there is one.
    pub fn push_first(&mut self, jobs: Vec<(LaneKeys, J)>) {
        for (keys, work) in jobs.into_iter().rev() {
            let id = self.number();
            let keys = distinct(keys);
            let mut behind = 0;
            for key in &keys {
                if !self.stand_first(*key, id) {
                    behind += 1;
                    if let Some(queue) = self.queues.get_mut(key) {
                        queue.others.push_front(id);
                    }
                }
            }
            self.jobs.insert(id, Job { keys, behind, work: Some(work) });
            if behind == 0 {
                self.ready.push_front(id);
            }
        }
    }

    /// A job that may start now.
    pub fn start(&mut self) -> Option<(JobId, J)> {
        while let Some(id) = self.ready.pop_front() {
            // A job that became ready and was overtaken since waits again; it is put here anew when its turn comes.
            if let Some(job) = self.jobs.get_mut(&id)
                && job.behind == 0
                && let Some(work) = job.work.take()
            {
                return Some((id, work));
            }
        }
        None
    }

    /// Takes jobs that stand right behind a started one in all the queues that they share with it, and before everybody else
    /// in their other queues, which the started job then holds for them. Front ones first; none is overtaken.
    pub fn absorb(&mut self, leader: JobId, most: usize, wanted: impl Fn(&J) -> bool) -> Vec<J> {
        let mut taken = Vec::new();
        let mut at = 0;
        while taken.len() < most {
            let Some(key) = self.jobs.get(&leader).and_then(|job| job.keys.get(at)).copied() else { break };
            let next = self.queues.get(&key).and_then(|queue| queue.others.front()).copied();
            match next.filter(|next| self.is_next_to(leader, *next, &wanted)) {
                Some(next) => taken.extend(self.take_over(leader, next)),
                None => at += 1,
            }
        }
        taken
    }

    fn is_next_to(&self, leader: JobId, next: JobId, wanted: &impl Fn(&J) -> bool) -> bool {
        let Some(job) = self.jobs.get(&next) else { return false };
        job.work.as_ref().is_some_and(wanted)
            && job.keys.iter().all(|key| {
                self.queues
                    .get(key)
                    .is_some_and(|queue| queue.head == next || (queue.head == leader && queue.others.front() == Some(&next)))
            })
    }

    fn take_over(&mut self, leader: JobId, next: JobId) -> Option<J> {
        let job = self.jobs.remove(&next)?;
        for key in job.keys {
            let Some(queue) = self.queues.get_mut(&key) else { continue };
            if queue.head == next {
                queue.head = leader;
                if let Some(leader) = self.jobs.get_mut(&leader) {
                    leader.keys.push(key);
                }
            } else {
                queue.others.pop_front();
            }
        }
        job.work
    }

    /// A started job holds these keys too, as what it took from elsewhere would: before all that have not started. A key that another
    /// started job holds stays with that one.
    pub fn hold(&mut self, id: JobId, keys: &[LaneKey]) {
        for key in keys {
            if self.stand_first(*key, id)
                && let Some(job) = self.jobs.get_mut(&id)
            {
                job.keys.push(*key);
            }
        }
    }

    /// Puts a job at the head of a queue, before one that has not started. Answers whether it stands there now: not where another
    /// one runs, or it is there already.
    fn stand_first(&mut self, key: LaneKey, id: JobId) -> bool {
        match self.queues.entry(key) {
            Entry::Vacant(empty) => {
                empty.insert(Queue { head: id, others: VecDeque::new() });
                true
            }
            Entry::Occupied(mut queue) => {
                let Queue { head, others } = queue.get_mut();
                let Some(overtaken) = self.jobs.get_mut(head).filter(|overtaken| overtaken.work.is_some()) else { return false };
                overtaken.behind += 1;
                others.push_front(*head);
                *head = id;
                true
            }
        }
    }

    /// Whether a started job holds all of these keys.
    pub fn holds(&self, id: JobId, keys: &[LaneKey]) -> bool {
        self.jobs.get(&id).is_some_and(|job| keys.iter().all(|key| job.keys.contains(key)))
    }

    /// Ends a started job: those behind it move up.
    pub fn done(&mut self, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        for key in job.keys {
            let Entry::Occupied(mut queue) = self.queues.entry(key) else { continue };
            debug_assert_eq!(queue.get().head, id, "only a head can be running");
            let Some(next) = queue.get_mut().others.pop_front() else {
                queue.remove();
                continue;
            };
            queue.get_mut().head = next;
            if let Some(job) = self.jobs.get_mut(&next) {
                job.behind -= 1;
                if job.behind == 0 {
                    self.ready.push_back(next);
                }
            }
        }
    }

    /// Jobs queued or running.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether no job is queued or running.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    fn number(&mut self) -> JobId {
        self.next += 1;
        JobId(self.next)
    }
}

fn distinct(mut keys: LaneKeys) -> LaneKeys {
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smallvec::smallvec;

    fn key(n: usize) -> LaneKey {
        LaneKey::key("customers", &n.to_string())
    }

    #[test]
    fn one_key_runs_in_order_and_two_keys_side_by_side() {
        let mut lanes = Lanes::default();
        lanes.push(smallvec![key(1)], "a");
        lanes.push(smallvec![key(1)], "b");
        lanes.push(smallvec![key(2)], "c");
        let (a, work) = lanes.start().unwrap();
        assert_eq!(work, "a");
        assert_eq!(lanes.start().unwrap().1, "c");
        assert!(lanes.start().is_none());
        lanes.done(a);
        assert_eq!(lanes.start().unwrap().1, "b");
    }

    #[test]
    fn what_was_put_aside_goes_before_what_has_not_started() {
        let mut lanes = Lanes::default();
        lanes.push(smallvec![key(1)], "parent");
        lanes.push(smallvec![key(1)], "later");
        let (parent, _) = lanes.start().unwrap();
        lanes.push_first(vec![(smallvec![key(1)], "first"), (smallvec![key(1)], "second")]);
        assert!(lanes.start().is_none());
        lanes.done(parent);
        let mut order = Vec::new();
        while let Some((id, work)) = lanes.start() {
            order.push(work);
            lanes.done(id);
        }
        assert_eq!(order, ["first", "second", "later"]);
    }

    #[test]
    fn a_started_job_can_hold_more_before_what_has_not_started() {
        let mut lanes = Lanes::default();
        lanes.push(smallvec![key(1)], "leader");
        let (leader, _) = lanes.start().unwrap();
        lanes.push(smallvec![key(2), key(3)], "waits");
        lanes.push(smallvec![key(4)], "runs");
        lanes.push(smallvec![key(3)], "behind it");
        lanes.hold(leader, &[key(1), key(2), key(5)]);
        let (runs, work) = lanes.start().unwrap();
        assert_eq!(work, "runs", "what was ready is no longer");
        lanes.hold(leader, &[key(4)]);
        lanes.push(smallvec![key(5)], "later");
        assert!(lanes.start().is_none());
        lanes.done(runs);
        lanes.done(leader);
        let mut order = Vec::new();
        while let Some((id, work)) = lanes.start() {
            order.push(work);
            lanes.done(id);
        }
        assert_eq!(order, ["waits", "later", "behind it"]);
        assert!(lanes.is_empty() && lanes.queues.is_empty());
    }

    #[test]
    fn a_started_job_takes_over_what_stands_right_behind_it_and_no_other() {
        let mut lanes = Lanes::default();
        lanes.push(smallvec![key(1), key(9)], "leader");
        lanes.push(smallvec![key(1), key(2)], "next");
        lanes.push(smallvec![key(1)], "third");
        lanes.push(smallvec![key(2)], "behind next");
        lanes.push(smallvec![key(1)], "stop");
        lanes.push(smallvec![key(1)], "after the stop");
        lanes.push(smallvec![key(9)], "of the leader's other lane");
        let (leader, _) = lanes.start().unwrap();
        assert_eq!(
            lanes.absorb(leader, 9, |work| !matches!(*work, "stop" | "behind next")),
            ["next", "third", "of the leader's other lane"]
        );
        assert!(lanes.start().is_none(), "the leader holds their lanes");
        lanes.done(leader);
        let mut order = Vec::new();
        while let Some((id, work)) = lanes.start() {
            order.push(work);
            lanes.done(id);
        }
        order.sort_unstable();
        assert_eq!(order, ["after the stop", "behind next", "stop"]);
        assert!(lanes.is_empty() && lanes.queues.is_empty());
    }

    #[test]
    fn what_waits_for_another_is_not_taken_over() {
        let mut lanes = Lanes::default();
        lanes.push(smallvec![key(2)], "other");
        lanes.push(smallvec![key(1)], "leader");
        lanes.push(smallvec![key(1), key(2)], "next");
        let (_, other) = lanes.start().unwrap();
        let (leader, _) = lanes.start().unwrap();
        assert_eq!(other, "other");
        assert!(lanes.absorb(leader, 9, |_| true).is_empty());
    }

    proptest! {
        /// However jobs with several keys arrive, start and end: no key ever has two running jobs, jobs of one key start in
        /// their order, and all of them run.
        #[test]
        fn order_holds_per_key_and_nothing_is_stuck(
            jobs in prop::collection::vec((prop::collection::vec(0usize..5, 1..4), any::<bool>()), 1..40),
            picks in prop::collection::vec(any::<usize>(), 200),
        ) {
            let mut lanes = Lanes::default();
            let mut running: Vec<(JobId, usize)> = Vec::new();
            let mut started: Vec<usize> = Vec::new();
            let mut next = 0;
            let mut first: Vec<bool> = Vec::new();
            let total = jobs.len();
            let mut picks = picks.into_iter().cycle();
            while started.len() < total || !running.is_empty() {
                let pick = picks.next().unwrap();
                if next < total && pick % 3 == 0 {
                    let (keys, front) = &jobs[next];
                    let keys: LaneKeys = keys.iter().map(|k| key(*k)).collect();
                    first.push(*front);
                    if *front { lanes.push_first(vec![(keys, next)]); } else { lanes.push(keys, next); }
                    next += 1;
                } else if pick % 3 == 1 && !running.is_empty() {
                    let (id, _) = running.swap_remove(pick % running.len());
                    lanes.done(id);
                } else if let Some((id, job)) = lanes.start() {
                    for (_, other) in &running {
                        prop_assert!(!jobs[*other].0.iter().any(|k| jobs[job].0.contains(k)), "two running jobs share a key");
                    }
                    for (earlier, (keys, _)) in jobs[..job].iter().enumerate() {
                        let shares = keys.iter().any(|k| jobs[job].0.contains(k));
                        if shares && !first[job] && !first[earlier] {
                            prop_assert!(started.contains(&earlier), "job {} overtook {}", job, earlier);
                        }
                    }
                    started.push(job);
                    running.push((id, job));
                } else {
                    prop_assert!(next < total || !running.is_empty(), "stuck with {} jobs", lanes.len());
                }
            }
            prop_assert!(lanes.is_empty() && lanes.queues.is_empty());
        }
    }
}
