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
                match self.queues.entry(*key) {
                    Entry::Vacant(empty) => {
                        empty.insert(Queue { head: id, others: VecDeque::new() });
                    }
                    Entry::Occupied(mut queue) => {
                        let Queue { head, others } = queue.get_mut();
                        match self.jobs.get_mut(head) {
                            Some(overtaken) if overtaken.work.is_some() => {
                                overtaken.behind += 1;
                                others.push_front(*head);
                                *head = id;
                            }
                            _ => {
                                behind += 1;
                                others.push_front(id);
                            }
                        }
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
