//! The checkpoint ledger: which STATE may leave. Pure; owned by one task; no locks, no async, no I/O.
//!
//! Laws, property-tested below over random interleavings:
//! 1. no STATE leaves before every earlier record of its scope is settled;
//! 2. every STATE leaves exactly once, in the order of its scope;
//! 3. the counts of the states add up to the records settled before them, none twice;
//! 4. a STATE tells how far all has to be kept that is kept of these records;
//! 5. memory is bounded by the open states and the streams, not by the records.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::store::Mark;

/// What a STATE speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One stream, by its place in the catalog.
    Stream(usize),
    /// A stream that is not in the catalog: nothing of ours can be pending for it.
    Foreign,
    /// All streams: GLOBAL and LEGACY.
    All,
}

/// A record's claim on the ledger. Not `Clone`: it is given back once, with the outcome.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a ticket that is not settled holds its STATE back for ever"]
pub struct Ticket {
    stream: usize,
    segment: u64,
}

/// A STATE that may leave, with the records that it covers since the one before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Ready<S> {
    /// The state as it came.
    pub state: S,
    /// Records settled that were not rejected.
    pub loaded: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Up to here things have to be kept before it leaves.
    pub mark: Mark,
}

/// A STATE that has to wait, for the report at the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Waiting<'a, S> {
    /// The state.
    pub state: &'a S,
    /// How many records of its scope before it have no outcome.
    pub records: u64,
}

/// STREAM and GLOBAL states came in one sync.
#[derive(Debug, PartialEq, Eq)]
pub struct MixedStates;

/// The records of one stream between two states.
#[derive(Debug, Default)]
struct Segment {
    outstanding: u64,
    loaded: u64,
    rejected: u64,
    mark: Mark,
    /// The state that closed it.
    state: Option<u64>,
}

#[derive(Debug, Default)]
struct Stream {
    /// Number of the first segment kept; the last one is open.
    base: u64,
    segments: VecDeque<Segment>,
}

#[derive(Debug)]
struct Pending<S> {
    sequence: u64,
    state: S,
    /// Segments it closed that still have records outstanding.
    open_segments: usize,
    loaded: u64,
    rejected: u64,
    mark: Mark,
}

/// See the module's header.
#[derive(Debug)]
pub struct Ledger<S> {
    streams: Vec<Stream>,
    /// Pending states in order: one queue per stream, the last one for all.
    queues: Vec<VecDeque<Pending<S>>>,
    next_sequence: u64,
    kind: Option<Kind>,
    outstanding: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    All,
}

impl<S> Ledger<S> {
    /// A ledger for so many streams.
    pub fn new(streams: usize) -> Self {
        Self {
            streams: (0..streams).map(|_| Stream { base: 0, segments: VecDeque::from([Segment::default()]) }).collect(),
            queues: (0..=streams).map(|_| VecDeque::new()).collect(),
            next_sequence: 0,
            kind: None,
            outstanding: 0,
        }
    }

    /// Takes in a record of a stream.
    pub fn admit(&mut self, stream: usize) -> Ticket {
        let entry = &mut self.streams[stream];
        let segment = entry.base + entry.segments.len() as u64 - 1;
        if let Some(open) = entry.segments.back_mut() {
            open.outstanding += 1;
        }
        self.outstanding += 1;
        Ticket { stream, segment }
    }

    /// Takes in a STATE; answers those that may leave now, this one among them when nothing is pending before it.
    ///
    /// # Errors
    /// When states of both kinds come in one sync.
    pub fn barrier(&mut self, scope: Scope, state: S) -> Result<Vec<Ready<S>>, MixedStates> {
        let kind = if scope == Scope::All { Kind::All } else { Kind::Stream };
        if *self.kind.get_or_insert(kind) != kind {
            return Err(MixedStates);
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let mut pending = Pending { sequence, state, open_segments: 0, loaded: 0, rejected: 0, mark: Mark::default() };
        let queue = match scope {
            Scope::Foreign => return Ok(vec![Ready { state: pending.state, loaded: 0, rejected: 0, mark: pending.mark }]),
            Scope::Stream(stream) => {
                close(&mut self.streams[stream], &mut pending);
                stream
            }
            Scope::All => {
                for stream in &mut self.streams {
                    close(stream, &mut pending);
                }
                self.streams.len()
            }
        };
        self.queues[queue].push_back(pending);
        Ok(self.release(queue))
    }

    /// Gives a ticket back, with how far what is kept of its record stands; answers the states that may leave because of it.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is given back once")]
    pub fn settle(&mut self, ticket: Ticket, rejected: bool, mark: Mark) -> Vec<Ready<S>> {
        let Ticket { stream, segment } = ticket;
        self.outstanding -= 1;
        let entry = &mut self.streams[stream];
        let at = (segment - entry.base) as usize;
        let part = &mut entry.segments[at];
        part.outstanding -= 1;
        if rejected {
            part.rejected += 1;
        } else {
            part.loaded += 1;
        }
        part.mark = part.mark.and(mark);
        let (Some(sequence), 0) = (part.state, part.outstanding) else { return Vec::new() };
        let (loaded, rejected, mark) = (part.loaded, part.rejected, part.mark);
        while entry.segments.len() > 1 && entry.segments[0].outstanding == 0 && entry.segments[0].state.is_some() {
            entry.segments.pop_front();
            entry.base += 1;
        }
        let queue = if self.kind == Some(Kind::All) { self.streams.len() } else { stream };
        if let Some(pending) = self.queues[queue].iter_mut().find(|pending| pending.sequence == sequence) {
            pending.open_segments -= 1;
            pending.loaded += loaded;
            pending.rejected += rejected;
            pending.mark = pending.mark.and(mark);
        }
        self.release(queue)
    }

    /// Records taken in and not settled.
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// The states that have not left, with what they wait for.
    pub fn waiting(&self) -> Vec<Waiting<'_, S>> {
        let mut waiting: Vec<(u64, Waiting<'_, S>)> = self
            .queues
            .iter()
            .flat_map(|queue| {
                queue.iter().scan(0, |records, pending| {
                    *records += self.awaited_by(pending.sequence);
                    Some((pending.sequence, Waiting { state: &pending.state, records: *records }))
                })
            })
            .collect();
        waiting.sort_by_key(|(sequence, _)| *sequence);
        waiting.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// Records without an outcome that came since the state before this one.
    fn awaited_by(&self, sequence: u64) -> u64 {
        let segments = self.streams.iter().flat_map(|stream| &stream.segments);
        segments.filter(|segment| segment.state == Some(sequence)).map(|segment| segment.outstanding).sum()
    }

    fn release(&mut self, queue: usize) -> Vec<Ready<S>> {
        let queue = &mut self.queues[queue];
        let mut ready = Vec::new();
        while queue.front().is_some_and(|pending| pending.open_segments == 0) {
            if let Some(Pending { state, loaded, rejected, mark, .. }) = queue.pop_front() {
                ready.push(Ready { state, loaded, rejected, mark });
            }
        }
        ready
    }
}

/// Closes a stream's open segment for a state.
fn close<S>(stream: &mut Stream, pending: &mut Pending<S>) {
    let Some(open) = stream.segments.back_mut() else { return };
    if open.outstanding == 0 {
        // Complete already: its counts go to the state at once, and the same segment goes on as the open one.
        pending.loaded += open.loaded;
        pending.rejected += open.rejected;
        pending.mark = pending.mark.and(open.mark);
        (open.loaded, open.rejected, open.mark) = (0, 0, Mark::default());
    } else {
        open.state = Some(pending.sequence);
        pending.open_segments += 1;
        stream.segments.push_back(Segment::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a model of the input knows of a state: its scope, and the records it covers.
    struct Expected {
        queue: usize,
        records: Vec<usize>,
    }

    /// One step of an interleaving. Numbers pick among what is possible.
    #[derive(Debug, Clone)]
    enum Step {
        Record(usize),
        State(usize),
        Settle(usize, bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..64).prop_map(Step::Record),
            1 => (0usize..64).prop_map(Step::State),
            4 => (any::<usize>(), any::<bool>()).prop_map(|(at, rejected)| Step::Settle(at, rejected)),
        ];
        prop::collection::vec(step, 1..120)
    }

    /// Of every third record nothing is kept.
    fn numbered(record: usize) -> Mark {
        if record.is_multiple_of(3) { Mark::default() } else { Mark::of_receipt(record as u64) }
    }

    /// Runs an interleaving to its end and checks all five laws.
    fn obeys_the_laws(streams: usize, global: bool, steps: &[Step]) -> Result<(), TestCaseError> {
        let mut ledger: Ledger<usize> = Ledger::new(streams);
        let mut since: Vec<Vec<usize>> = vec![Vec::new(); streams];
        let mut expected: Vec<Expected> = Vec::new();
        let mut held: Vec<(usize, Ticket)> = Vec::new();
        let mut settled: Vec<Option<bool>> = Vec::new();
        let mut left: Vec<usize> = Vec::new();

        let mut check =
            |ready: Vec<Ready<usize>>, settled: &[Option<bool>], expected: &[Expected]| -> Result<(), TestCaseError> {
                for Ready { state, loaded, rejected, mark } in ready {
                    let records = &expected[state].records;
                    prop_assert!(!left.contains(&state), "law 2: state {} left twice", state);
                    let before = expected[..state].iter().enumerate().filter(|(_, other)| other.queue == expected[state].queue);
                    for (earlier, other) in before {
                        prop_assert!(left.contains(&earlier), "law 2: {} left before {}", state, earlier);
                        prop_assert!(other.records.iter().all(|at| settled[*at].is_some()), "law 1, earlier states");
                    }
                    prop_assert!(records.iter().all(|at| settled[*at].is_some()), "law 1: state {} left early", state);
                    let lost = records.iter().filter(|at| settled[**at] == Some(true)).count() as u64;
                    prop_assert_eq!(rejected, lost, "law 3");
                    prop_assert_eq!(loaded, records.len() as u64 - lost, "law 3");
                    let last = records.iter().map(|at| numbered(*at)).fold(Mark::default(), Mark::and);
                    prop_assert_eq!(mark, last, "law 4");
                    left.push(state);
                }
                Ok(())
            };

        for step in steps {
            match step {
                Step::Record(stream) => {
                    let stream = stream % streams;
                    since[stream].push(settled.len());
                    held.push((settled.len(), ledger.admit(stream)));
                    settled.push(None);
                }
                Step::State(stream) => {
                    let stream = stream % streams;
                    let (scope, queue) = if global { (Scope::All, 0) } else { (Scope::Stream(stream), stream) };
                    let records = if global {
                        since.iter_mut().flat_map(std::mem::take).collect()
                    } else {
                        std::mem::take(&mut since[stream])
                    };
                    expected.push(Expected { queue, records });
                    let ready = ledger.barrier(scope, expected.len() - 1).expect("one kind");
                    check(ready, &settled, &expected)?;
                }
                Step::Settle(at, rejected) if !held.is_empty() => {
                    let (record, ticket) = held.swap_remove(at % held.len());
                    settled[record] = Some(*rejected);
                    check(ledger.settle(ticket, *rejected, numbered(record)), &settled, &expected)?;
                }
                Step::Settle(..) => {}
            }
            prop_assert_eq!(ledger.outstanding(), held.len() as u64);
            let open: usize = ledger.streams.iter().map(|stream| stream.segments.len()).sum();
            let states: usize = ledger.queues.iter().map(VecDeque::len).sum();
            prop_assert!(open <= streams * (states + 1), "law 5: {} segments for {} open states", open, states);
            prop_assert!(ledger.waiting().iter().all(|waiting| waiting.records <= held.len() as u64));
        }
        for (record, ticket) in held.drain(..) {
            settled[record] = Some(false);
            check(ledger.settle(ticket, false, numbered(record)), &settled, &expected)?;
        }
        prop_assert_eq!(left.len(), expected.len(), "law 2: every state leaves");
        prop_assert!(ledger.waiting().is_empty());
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn the_laws_hold_over_random_interleavings(streams in 1usize..6, global: bool, steps in steps()) {
            obeys_the_laws(streams, global, &steps)?;
        }
    }

    fn ready<S>(state: S, loaded: u64) -> Ready<S> {
        Ready { state, loaded, rejected: 0, mark: Mark::default() }
    }

    #[test]
    fn a_slow_stream_does_not_hold_up_another() {
        let mut ledger = Ledger::new(2);
        let _slow = ledger.admit(0);
        let quick = ledger.admit(1);
        assert_eq!(ledger.barrier(Scope::Stream(0), "a"), Ok(vec![]));
        assert_eq!(ledger.barrier(Scope::Stream(1), "b"), Ok(vec![]));
        assert_eq!(ledger.settle(quick, false, Mark::default()), vec![ready("b", 1)]);
        assert_eq!(ledger.waiting(), vec![Waiting { state: &"a", records: 1 }]);
        let _waits = ledger.admit(0);
        let _waits = ledger.admit(0);
        assert_eq!(ledger.barrier(Scope::Stream(0), "c"), Ok(vec![]));
        let told = [Waiting { state: &"a", records: 1 }, Waiting { state: &"c", records: 3 }];
        assert_eq!(ledger.waiting(), told, "all that came before a state, not what came since the one before it");
    }

    #[test]
    fn a_state_without_records_leaves_at_once_and_kinds_do_not_mix() {
        let mut ledger = Ledger::new(1);
        assert_eq!(ledger.barrier(Scope::Stream(0), 1), Ok(vec![ready(1, 0)]));
        assert_eq!(ledger.barrier(Scope::Foreign, 2), Ok(vec![ready(2, 0)]));
        assert_eq!(ledger.barrier(Scope::All, 3), Err(MixedStates));
    }
}
