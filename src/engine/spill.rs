//! Where parked records go for which memory has no room: a temporary file.
//!
//! The file has no name from the moment it is made, so that nothing is left of it when the process is killed, and nobody else
//! may read it, since it holds record values. Room that was given back is used again before the file grows. Reads and writes
//! are a few hundred bytes that the system's cache takes: they are done in place, beside nothing.
//!
//! Does not own which records go here and when they come back ([`super::parking`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::conductor::Job;
use super::in_turn;
use super::ledger::Ticket;
use super::parking::{Keeper, Place};
use crate::binding::Bindings;
use crate::errors::Code;
use crate::failure::Failure;
use crate::plan::{LaneKeys, Plan};
use crate::store::Origin;

/// What is given out at once, in bytes: places are told in these, so that four bytes tell any place.
const UNIT: u64 = 64;

/// A record as it stands in the file. Written from what is lent, read as what is owned.
#[derive(Serialize, Deserialize)]
struct Row<T, P, O> {
    ticket: T,
    stream: u32,
    line: u64,
    part: u64,
    stood_behind: bool,
    plan: P,
    /// Which names of fields its references have.
    fields: Vec<u32>,
    origin: Option<O>,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Spill {
    bindings: Arc<Bindings>,
    /// Made when it is needed.
    file: Option<File>,
    units: Units,
    /// Names of fields that references have: a few of those in the tables.
    names: Vec<&'static str>,
    buffer: Vec<u8>,
}

impl Spill {
    /// Room for so many bytes.
    pub(super) fn new(bindings: &Arc<Bindings>, limit: u64) -> Self {
        Self {
            bindings: Arc::clone(bindings),
            file: None,
            units: Units::new(limit / UNIT),
            names: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn name(&mut self, field: &'static str) -> u32 {
        let known = self.names.iter().position(|name| *name == field);
        known.unwrap_or_else(|| {
            self.names.push(field);
            self.names.len() - 1
        }) as u32
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = match &self.file {
            Some(file) => file,
            None => self.file.insert(open()?),
        };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }
}

/// A file that nobody else can open or read.
fn open() -> io::Result<File> {
    tracing::info!("records that wait for their parents go to a temporary file, since there are many");
    let file = tempfile::tempfile()?;
    // It is made with the rights that any file has.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

impl Keeper<Job> for Spill {
    fn bytes(&self, job: &Job) -> usize {
        job.bytes()
    }

    fn own(&self, job: &Job) -> LaneKeys {
        job.own(&self.bindings)
    }

    fn put(&mut self, job: &Job) -> Result<Option<Place>, Failure> {
        let row = Row {
            ticket: &job.ticket,
            stream: job.stream as u32,
            line: job.line,
            part: job.part,
            stood_behind: job.stood_behind,
            plan: &*job.plan,
            fields: job.plan.refs.iter().map(|reference| self.name(reference.field)).collect(),
            origin: job.origin.as_deref(),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let buffer = postcard::to_extend(&row, buffer).map_err(|error| broken(&error))?;
        let len = u32::try_from(buffer.len()).map_err(|error| broken(&error))?;
        let place = self.units.take(u64::from(len).div_ceil(UNIT)).map(|at| Place { at, len });
        if let Some(place) = place {
            self.write(u64::from(place.at) * UNIT, &buffer).map_err(|error| unusable(&error))?;
        }
        self.buffer = buffer;
        Ok(place)
    }

    fn get(&self, place: Place) -> Result<Job, Failure> {
        let mut buffer = vec![0; place.len as usize];
        self.read(u64::from(place.at) * UNIT, &mut buffer).map_err(|error| unusable(&error))?;
        let row: Row<Ticket, Box<Plan>, Box<Origin>> = postcard::from_bytes(&buffer).map_err(|error| broken(&error))?;
        let Row { ticket, stream, line, part, stood_behind, mut plan, fields, origin } = row;
        for (reference, name) in plan.refs.iter_mut().zip(fields) {
            reference.field = self.names.get(name as usize).copied().unwrap_or_default();
        }
        let job = Job::new(ticket, (stream as usize, line), plan, origin, part, in_turn::Place::NONE);
        Ok(Job { stood_behind, ..job })
    }

    fn free(&mut self, place: Place) {
        self.units.give_back(place.at, u64::from(place.len).div_ceil(UNIT));
        // Nothing of it is wanted any more: the disk has it back.
        if self.units.is_empty()
            && let Some(file) = &self.file
            && let Err(error) = file.set_len(0)
        {
            tracing::warn!("the temporary file of parked records could not be made smaller: {error}");
        }
    }
}

fn unusable(error: &io::Error) -> Failure {
    let text = format!(
        "The temporary file in {} for records that wait for parents can not be used: {error}. {}",
        std::env::temp_dir().display(),
        Code::ParkingDisk.remedy()
    );
    Failure::system(Code::ParkingDisk, text)
}

fn broken(error: &impl ToString) -> Failure {
    Failure::system(Code::Internal, "A record that waited for its parent could not be read back.")
        .with_internal(error.to_string())
}

/// Which units of a file are in use.
#[derive(Debug)]
struct Units {
    limit: u64,
    /// Units from the beginning that were ever in use since none was.
    end: u64,
    used: u64,
    /// What was given back, by length.
    free: BTreeMap<u64, Vec<u32>>,
}

impl Units {
    fn new(limit: u64) -> Self {
        Self { limit: limit.min(u64::from(u32::MAX)), end: 0, used: 0, free: BTreeMap::new() }
    }

    /// The first of so many units side by side; `None` when there are none left.
    fn take(&mut self, len: u64) -> Option<u32> {
        let fits = if self.free.contains_key(&len) {
            Some(len)
        } else if self.end + len <= self.limit {
            None
        } else {
            // The file is as long as it may be: a longer piece is cut.
            Some(*self.free.range(len..).next()?.0)
        };
        self.used += len;
        let Some(piece) = fits else {
            self.end += len;
            return Some((self.end - len) as u32);
        };
        let pieces = self.free.get_mut(&piece)?;
        let at = pieces.pop()?;
        if pieces.is_empty() {
            self.free.remove(&piece);
        }
        if piece > len {
            self.free.entry(piece - len).or_default().push(at + len as u32);
        }
        Some(at)
    }

    fn give_back(&mut self, at: u32, len: u64) {
        self.used -= len;
        if self.used == 0 {
            (self.end, self.free) = (0, BTreeMap::new());
        } else {
            self.free.entry(len).or_default().push(at);
        }
    }

    fn is_empty(&self) -> bool {
        self.used == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::engine::company_chaos_tests::{all_streams, prepared};
    use crate::engine::company_tests::{Shape, company};
    use crate::engine::intake::{Item, PlannedRecord, read_block};
    use crate::engine::ledger::Ledger;
    use crate::engine::testing::settings;
    use crate::protocol::ConfiguredCatalog;

    #[tokio::test(start_paused = true)]
    async fn every_object_comes_back_as_it_went() {
        let (_, uuids) = prepared(3).await;
        let settings = settings(&json!({"object_storage_config": {"storage_type": "Local", "path": "/nowhere"}}));
        let catalog = ConfiguredCatalog::parse(&all_streams().to_string()).unwrap();
        let bindings = Arc::new(Bindings::new(&catalog, &settings).unwrap());
        let mut spill = Spill::new(&bindings, 1 << 20);
        let shape = Shape { seed: 3, records: 400, steady: false, deletes: false, global: false, whole: false };
        let text: String = company(shape, uuids).into_iter().map(|line| line.text).collect();
        let mut ledger: Ledger<()> = Ledger::new(bindings.len());
        let mut jobs = Vec::new();
        for item in read_block(&bindings, text.as_bytes(), 1) {
            if let Item::Record { line, stream, planned: PlannedRecord::Plan(plan), origin, .. } = item {
                let (ticket, stood_behind) = (ledger.admit(stream), line % 2 == 0);
                let (part, place) = (line / 7, in_turn::Place::NONE);
                jobs.push(Job { stood_behind, ..Job::new(ticket, (stream, line), plan, origin, part, place) });
            }
        }
        let streams: std::collections::BTreeSet<usize> = jobs.iter().map(|job| job.stream).collect();
        assert!(streams.len() > 9 && jobs.iter().any(|job| job.plan.refs.len() > 1), "{streams:?}");
        let places: Vec<Place> = jobs.iter().map(|job| spill.put(job).unwrap().unwrap()).collect();
        for (job, place) in jobs.iter().zip(&places).rev() {
            let back = spill.get(*place).unwrap();
            // Room to grow is no part of what it says.
            assert_eq!(format!("{back:?}"), format!("{job:?}"));
            assert!(job.origin.is_some() && back.plan.refs.iter().all(|reference| !reference.field.is_empty()));
            spill.free(*place);
        }
        assert!(spill.units.is_empty());
        assert_eq!(spill.file.unwrap().metadata().unwrap().len(), 0, "the disk has it back");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_file_and_it_has_no_name() {
        use std::os::unix::fs::MetadataExt;
        let facts = open().unwrap().metadata().unwrap();
        assert_eq!((facts.mode() & 0o077, facts.nlink()), (0, 0));
    }

    proptest! {
        /// No unit is given out twice, none beyond the limit, and what was given back is used before the file grows.
        #[test]
        fn units_are_given_out_once(steps in prop::collection::vec((any::<bool>(), 1u64..9, any::<prop::sample::Index>()), 0..200)) {
            let mut units = Units::new(64);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (gives_back, len, which) in steps {
                if gives_back && !taken.is_empty() {
                    let (at, len) = taken.swap_remove(which.index(taken.len()));
                    units.give_back(at as u32, len);
                } else {
                    let end = units.end;
                    let again = units.free.contains_key(&len);
                    match units.take(len) {
                        Some(at) => {
                            let at = u64::from(at);
                            prop_assert!(at + len <= 64 && taken.iter().all(|(other, many)| at + len <= *other || other + many <= at));
                            prop_assert!(!again || units.end == end);
                            taken.push((at, len));
                        }
                        None => prop_assert!(end + len > 64 && units.free.keys().all(|free| *free < len)),
                    }
                }
                prop_assert_eq!(units.used, taken.iter().map(|(_, len)| len).sum::<u64>());
                prop_assert_eq!(units.is_empty(), taken.is_empty());
            }
        }
    }
}
