//! From stdin to plans, in order, on as many threads as it pays.
//!
//! One thread reads blocks of whole lines; mappers parse, map and plan a block each, side by side; blocks come out in the
//! order they were read. What is read ahead is bounded by the number of blocks under way, so that a slow API stops the
//! reading. Does not own what becomes of a plan.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, mpsc as blocking};

use memchr::{memchr, memchr_iter, memrchr};
use tokio::sync::{mpsc, oneshot};

use crate::binding::{Bindings, Planned};
use crate::errors::Code;
use crate::failure::Failure;
use crate::mapping::Mapped;
use crate::objects::mirrored::Named;
use crate::outcome::Outcome;
use crate::protocol::{Inbound, Record, StateMessage, StreamStatus, inbound};
use crate::store::Origin;

/// Bytes asked of stdin at once; a pipe holds 64 KiB, a file gives all of it.
const BLOCK: usize = 256 * 1024;
/// Blocks under way between the reader and the engine.
const BLOCKS_AHEAD: usize = 4;
/// The longest line that is read: six times the largest record that Airbyte's platform passes on.
const MAX_LINE: usize = 128 * 1024 * 1024;

/// One thing that stdin asked for.
#[derive(Debug)]
pub enum Item {
    /// A record of the stream at this place of the catalog.
    Record {
        /// Line of the input, from 1.
        line: u64,
        /// Place of the stream.
        stream: usize,
        /// What the record asks for, or what became of it already.
        planned: PlannedRecord,
        /// As it came, where rejected records are kept.
        origin: Option<Box<Origin>>,
        /// What it names, where what is not named is to be deleted.
        named: Option<Box<Named>>,
    },
    /// A checkpoint.
    State(StateMessage),
    /// A stream's status; its places.
    Status(Vec<usize>, StreamStatus),
    /// A message of a type that is not known.
    UnknownType(String),
    /// The input can not be read on from here.
    Broken(Failure),
}

/// A record after mapping.
#[derive(Debug)]
pub enum PlannedRecord {
    /// To be carried out.
    Plan(Box<crate::plan::Plan>),
    /// Settled without a request; the record's key, as far as it gives one.
    Settled(Outcome, String),
}

/// The items of one block.
type Batch = VecDeque<Item>;

/// Reads a block of whole lines, the first of which has this number.
pub fn read_block(bindings: &Bindings, block: &[u8], first_line: u64) -> Batch {
    let mut items = Batch::with_capacity(block.len() / 256 + 1);
    let mut mapped = Mapped::default();
    let mut rest = block;
    let mut line = first_line;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let text = &rest[..end];
        rest = &rest[(end + 1).min(rest.len())..];
        if let Some(item) = read_line(bindings, text, line, &mut mapped) {
            let broken = matches!(item, Item::Broken(_));
            items.push_back(item);
            if broken {
                break;
            }
        }
        line += 1;
    }
    items
}

fn read_line<'a>(bindings: &'a Bindings, text: &'a [u8], line: u64, mapped: &mut Mapped<'a>) -> Option<Item> {
    match inbound::parse(text) {
        Ok(Inbound::Record(record)) => {
            let Some(stream) = bindings.find(record.stream_ref()) else {
                return Some(Item::Broken(unknown_stream(line, "a record")));
            };
            let mut keeps = bindings.keeps_rejects();
            let (planned, named) = bindings.at(stream).plan_and_name(record.data, mapped);
            let planned = match planned {
                Planned::Plan(plan) => PlannedRecord::Plan(Box::new(plan)),
                Planned::Skip(skip) => {
                    keeps = false;
                    PlannedRecord::Settled(Outcome::Skipped(skip), String::new())
                }
                Planned::Reject(rejection, key) => PlannedRecord::Settled(Outcome::Rejected(rejection), key),
                Planned::Stop(failure) => return Some(Item::Broken(failure)),
            };
            let (origin, named) = (keeps.then(|| Box::new(origin(&record))), named.map(Box::new));
            Some(Item::Record { line, stream, planned, origin, named })
        }
        Ok(Inbound::State(state)) => Some(Item::State(state)),
        Ok(Inbound::StreamStatus { stream, status }) => {
            let places = bindings.find_leniently(stream.as_ref());
            if places.is_empty() && matches!(status, StreamStatus::Complete | StreamStatus::Incomplete) {
                return Some(Item::Broken(unknown_stream(line, "a stream status")));
            }
            Some(Item::Status(places, status))
        }
        Ok(Inbound::Unknown(kind)) => Some(Item::UnknownType(kind)),
        Ok(Inbound::Ignored(_) | Inbound::Blank) => None,
        Err(malformed) => Some(Item::Broken(malformed.failure(line))),
    }
}

/// A record as it came.
fn origin(record: &Record<'_>) -> Origin {
    let changes = record.changes().map(|changes| changes.get().into());
    Origin { data: record.data.get().into(), emitted_at: record.emitted_at_ms(), changes }
}

fn unknown_stream(line: u64, what: &str) -> Failure {
    Failure::system(
        Code::StreamUnknown,
        format!(
            "Line {line} of the input has {what} of a stream that is not in the configured catalog. {}",
            Code::StreamUnknown.remedy()
        ),
    )
}

/// Where items come from.
#[derive(Debug)]
pub struct Intake {
    source: Source,
    batch: Batch,
}

enum Source {
    Threads {
        batches: mpsc::Receiver<oneshot::Receiver<Batch>>,
        /// The batch that is waited for: kept here, so that giving up the wait does not lose it.
        head: Option<oneshot::Receiver<Batch>>,
    },
    /// Everything on the caller's thread: for runs on a paused clock, which would run on while another thread works.
    Inline(Box<Lines>),
}

struct Lines {
    bindings: Arc<Bindings>,
    blocks: Blocks<Box<dyn Read + Send>>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Threads { .. } => "Threads",
            Self::Inline(_) => "Inline",
        })
    }
}

impl Intake {
    /// Reads and maps on threads of its own, which end with the input or when this is dropped.
    pub fn threads(bindings: &Arc<Bindings>, input: Box<dyn Read + Send>) -> Self {
        let mappers = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
        let (ordered, batches) = mpsc::channel(BLOCKS_AHEAD);
        let (to_map, work) = blocking::sync_channel::<(Block, oneshot::Sender<Batch>)>(1);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..mappers {
            let (work, bindings) = (Arc::clone(&work), Arc::clone(bindings));
            std::thread::spawn(move || {
                loop {
                    let next = work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
                    let Ok((block, reply)) = next else { return };
                    // The engine may be gone: then nobody wants the block any more.
                    let _ = reply.send(block.read(&bindings));
                }
            });
        }
        std::thread::spawn(move || {
            let mut blocks = Blocks::new(input);
            while let Some(block) = blocks.next() {
                let (reply, batch) = oneshot::channel();
                if ordered.blocking_send(batch).is_err() || to_map.send((block, reply)).is_err() {
                    return;
                }
            }
        });
        Self { source: Source::Threads { batches, head: None }, batch: Batch::new() }
    }

    /// Reads and maps on the caller's thread.
    pub fn inline(bindings: Arc<Bindings>, input: Box<dyn Read + Send>) -> Self {
        Self { source: Source::Inline(Box::new(Lines { bindings, blocks: Blocks::new(input) })), batch: Batch::new() }
    }

    /// The next item; `None` at the end of the input. Safe to drop while waiting: nothing is lost.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.batch.pop_front() {
                return Some(item);
            }
            self.batch = match &mut self.source {
                Source::Inline(lines) => lines.blocks.next()?.read(&lines.bindings),
                Source::Threads { batches, head } => {
                    let waited_for = match head {
                        Some(waited_for) => waited_for,
                        None => head.insert(batches.recv().await?),
                    };
                    let batch = waited_for.await;
                    *head = None;
                    batch.unwrap_or_else(|_| Batch::from([Item::Broken(mapper_gone())]))
                }
            };
        }
    }

    /// An item that is there already.
    pub fn ready(&mut self) -> Option<Item> {
        self.batch.pop_front()
    }
}

fn mapper_gone() -> Failure {
    Failure::system(Code::Internal, "A mapper ended before its block was read.")
}

/// A block of whole lines, or what went wrong after the last of them.
enum Block {
    Lines(Vec<u8>, u64),
    Broken(Failure),
}

impl Block {
    fn read(self, bindings: &Bindings) -> Batch {
        match self {
            Self::Lines(bytes, first) => read_block(bindings, &bytes, first),
            Self::Broken(failure) => Batch::from([Item::Broken(failure)]),
        }
    }
}

/// Cuts an input into blocks of whole lines.
struct Blocks<R> {
    input: R,
    /// The beginning of a line whose end was not read yet.
    rest: Vec<u8>,
    line: u64,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    fn new(input: R) -> Self {
        Self { input, rest: Vec::new(), line: 1, ended: false }
    }

    fn next(&mut self) -> Option<Block> {
        let mut buffer = std::mem::take(&mut self.rest);
        while !self.ended {
            let kept = buffer.len();
            buffer.resize(kept + BLOCK, 0);
            let read = match self.input.read(&mut buffer[kept..]) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    buffer.truncate(kept);
                    continue;
                }
                Err(error) => {
                    self.ended = true;
                    let failure =
                        Failure::system(Code::InputMalformed, "Reading the input failed.").with_internal(error.to_string());
                    return Some(Block::Broken(failure));
                }
            };
            buffer.truncate(kept + read);
            if read == 0 {
                self.ended = true;
            } else if let Some(end) = memrchr(b'\n', &buffer[kept..]) {
                self.rest = buffer.split_off(kept + end + 1);
                break;
            } else if buffer.len() > MAX_LINE {
                self.ended = true;
                return Some(Block::Broken(Failure::system(
                    Code::InputTooLong,
                    format!("Line {} of the input is longer than {MAX_LINE} bytes. {}", self.line, Code::InputTooLong.remedy()),
                )));
            }
        }
        if buffer.is_empty() {
            return None;
        }
        let first = self.line;
        self.line += memchr_iter(b'\n', &buffer).count() as u64;
        Some(Block::Lines(buffer, first))
    }
}
