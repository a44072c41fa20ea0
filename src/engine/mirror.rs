//! The deletion policy `mirror`: at the end of a sync, what is in the data source and did not come is deleted.
//!
//! Owns what came (8 bytes a name), the conditions, and the deletions, which are no record's outcome. Does not own by which
//! names a record and an entry tell that they are the same (`objects`), nor the limits ([`super::deletions`]).
//!
//! Every doubt ends in deleting less. What came or is referred to by what came stays, rejected records among it. What others
//! made since the sync began stays where the API shows when a thing was made: of the objects that are mirrored, events only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::pin::pin;

use futures_util::future::{Either, select};
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use jiff::Timestamp;
use serde_json::Value;

use super::conductor::{Ending, Sync};
use super::deletions::Doomed;
use super::execute::World;
use super::stop::{GRACE, Stop};
use crate::account::Trouble;
use crate::binding::{Binding, Bindings};
use crate::client::{Call, Refusal, Reply, Trial};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::mirrored::{Named, names_of};
use crate::objects::request::{Request, Scope};
use crate::objects::{At, Existing, How, OBJECTS, Object};
use crate::outcome::Outcome;
use crate::plan::{Body, Known, Mode, Plan, Target};

/// Deletions under way at once: as many as the API takes requests, so that few are left to finish once asked to stop.
const MOST_AT_ONCE: usize = 20;

/// Which attempt of its host a sync is, and when it began.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    first: bool,
    began: Option<Timestamp>,
}

impl Attempt {
    /// The host's number of the attempt, from 0, where it tells one; what is no such number is not taken for the first.
    pub fn new(number: Option<&str>, began: Option<Timestamp>) -> Self {
        let number = number.map(str::trim).filter(|number| !number.is_empty());
        Self { first: number.is_none_or(|number| number.parse() == Ok(0_u64)), began }
    }
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    names: HashSet<Scope>,
    /// By stream: records of this data source.
    came: Vec<u64>,
    /// Streams whose records hold entries of other objects.
    holds: BTreeSet<(usize, &'static str)>,
    /// How many records of a stream are or hold objects that no key tells.
    unnamed: BTreeMap<(usize, &'static str), u64>,
    /// Whether any stream can be mirrored as far as the catalog tells, so that anything has to be kept.
    wanted: bool,
}

impl Seen {
    pub(super) fn new(bindings: &Bindings) -> Self {
        let wanted = bindings.iter().any(|binding| binding.mirroring.as_ref().is_some_and(Vec::is_empty));
        Self { came: vec![0; bindings.len()], wanted, ..Self::default() }
    }

    /// A record came that names this.
    pub(super) fn take(&mut self, stream: usize, named: Option<&Named>) {
        let Some(named) = named else { return };
        self.came[stream] += 1;
        if !self.wanted {
            return;
        }
        self.names.extend(named.names.iter().copied());
        self.holds.extend(named.holds.iter().map(|object| (stream, *object)));
        for object in &named.unnamed {
            *self.unnamed.entry((stream, object)).or_default() += 1;
        }
    }
}

/// What is to be deleted of one object.
struct Missing<'b> {
    object: &'static dyn Object,
    how: &'b How,
    /// Identities of what did not come; no more of them than may be deleted, and one.
    uuids: BTreeSet<Box<str>>,
    count: Doomed,
    /// Those that stand under several keys.
    merged: u64,
    /// Those that others made meanwhile.
    newer: u64,
}

impl Sync<'_> {
    /// All is settled: once all is kept and every STATE has left, what did not come is deleted where the policy says so.
    pub(super) async fn mirror(&mut self, world: &World<'_>, stop: &Stop<'_>) -> Result<Ending, Failure> {
        let engine = self.engine;
        if !engine.deletions.by_absence() {
            return Ok(Ending::Complete);
        }
        let stopped = match select(pin!(self.keep_all()), pin!(stop.asked())).await {
            Either::Left((kept, _)) => kept.map(|()| false)?,
            Either::Right(_) => true,
        };
        if stopped {
            return self.drain(world, FuturesUnordered::new(), 0, stop).await;
        }
        let objects = self.mirrored(world, &engine.bindings);
        if objects.is_empty() {
            return Ok(Ending::Complete);
        }
        let missing = match select(pin!(self.missing(world, objects)), pin!(stop.asked())).await {
            Either::Left((missing, _)) => missing.map_err(|trouble| ends(&trouble))?,
            Either::Right(_) => return Ok(Ending::Interrupted),
        };
        for Missing { count, merged, newer, .. } in &missing {
            let object = count.object;
            if *merged > 0 {
                let code = Code::DeleteMergedCustomer;
                tracing::warn!("{code}: {merged} {object} did not come and are not deleted: {} {}", code.cause(), code.remedy());
            }
            if *newer > 0 {
                tracing::info!("{newer} {object} that others made since the sync began are not deleted");
            }
        }
        let counts: Vec<Doomed> = missing.iter().map(|missing| missing.count).collect();
        world.deletions.borrow_mut().take_all(&counts)?;
        // Children before what they belong to.
        for missing in missing.into_iter().rev() {
            let deleted = pin!(self.delete(world, &missing, stop));
            match select(deleted, pin!(stop.over(GRACE))).await {
                Either::Left((deleted, _)) => deleted?,
                Either::Right(_) => return Ok(Ending::Interrupted),
            }
            if stop.was_asked() {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Complete)
    }

    /// The objects whose streams fulfil all conditions, in the order of the registry. What speaks against the others is logged.
    fn mirrored<'b>(&self, world: &World<'_>, bindings: &'b Bindings) -> Vec<(&'static dyn Object, &'b How)> {
        let mut objections: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut against: BTreeSet<&'static str> = BTreeSet::new();
        for (at, binding) in bindings.iter().enumerate() {
            let name = binding.object.resource().name;
            let Some(by_catalog) = &binding.mirroring else { continue };
            if binding.object.mirrored().is_none() {
                tracing::info!("stream {} is not mirrored: {name} never are", binding.id);
            }
            let holds = |object: &str| self.seen.holds.iter().any(|(stream, held)| *stream == at && *held == object);
            for object in OBJECTS.iter().filter(|object| object.mirrored().is_some()) {
                let of = object.resource().name;
                if of != name && !holds(of) {
                    continue;
                }
                let mut found: Vec<String> = by_catalog.iter().map(|words| (*words).to_owned()).collect();
                found.extend(self.objections(world, at, *object));
                if !found.is_empty() {
                    against.insert(of);
                    let known = objections.entry(at).or_default();
                    found.into_iter().for_each(|words| {
                        if !known.contains(&words) {
                            known.push(words);
                        }
                    });
                }
            }
        }
        for (at, words) in objections {
            tracing::warn!("stream {} is not mirrored: {}", bindings.at(at).id, words.join("; "));
        }
        let written = |object: &&dyn Object| bindings.iter().find(|binding| writes(binding, *object));
        let mirrored = OBJECTS.iter().filter(|object| object.mirrored().is_some());
        let mut holding = Vec::new();
        for (object, binding) in mirrored.filter_map(|object| Some((object, written(object)?))) {
            let name = object.resource().name;
            match against.contains(name) {
                true => tracing::warn!("nothing of {name} is deleted: not every stream that writes them can be mirrored"),
                false => holding.push((*object, binding.how())),
            }
        }
        holding
    }

    /// What the sync itself tells against mirroring what a stream writes of an object.
    fn objections(&self, world: &World<'_>, at: usize, object: &dyn Object) -> Vec<String> {
        let name = object.resource().name;
        let unnamed = self.seen.unnamed.get(&(at, name)).copied().unwrap_or_default();
        let lacking = format!("{unnamed} of its records tell {name} by neither external_id nor UUID");
        let conditions = [
            (self.complete[at], "the host did not say that it is complete (COMPLETE)"),
            (
                self.engine.attempt.first,
                "the host says that this is not the first attempt (WORKER_JOB_ATTEMPT), which did not see all records",
            ),
            (self.seen.came[at] > 0, "no record came"),
            (unnamed == 0, lacking.as_str()),
            (
                object.mirrored().is_none_or(|mirrored| mirrored.within.is_none()) || !world.account.names_moved(),
                "things that its records name became part of others in this sync",
            ),
        ];
        conditions.iter().filter(|(holds, _)| !holds).map(|(_, words)| (*words).to_owned()).collect()
    }

    /// Lists the objects afresh and tells what did not come, in the order given.
    async fn missing<'b>(
        &self,
        world: &World<'_>,
        objects: Vec<(&'static dyn Object, &'b How)>,
    ) -> Result<Vec<Missing<'b>>, Trouble> {
        let account = &world.account;
        let most = world.deletions.borrow().most();
        let created = |of: &'static str| -> u64 {
            let report = self.engine.report.borrow();
            let streams = self.engine.bindings.iter().zip(&report.streams);
            let made = streams.filter(|(binding, _)| binding.object.resource().name == of);
            made.filter_map(|(_, (_, tally))| tally.outcomes.get(Outcome::Created.as_str())).sum()
        };
        let mut missing: Vec<Missing<'_>> = Vec::new();
        for (object, how) in objects {
            let count =
                Doomed { object: object.resource().name, deletions: 0, entries: 0, created: created(object.resource().name) };
            missing.push(Missing { object, how, uuids: BTreeSet::new(), count, merged: 0, newer: 0 });
        }
        // The other names of what things belong to, for objects whose keys are unique there only.
        let mut parents: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
        let within: Vec<&str> =
            missing.iter().filter_map(|missing| Some(missing.object.mirrored()?.within?.0.object())).collect();
        // In the order of the registry, so that what others belong to is read before them.
        for listed in OBJECTS {
            let name = listed.resource().name;
            let standing: Vec<usize> = (0..missing.len()).filter(|at| missing[*at].object.read_by() == name).collect();
            let is_parent = within.contains(&name);
            let listing = listed.listing(account.data_source()).filter(|_| is_parent || !standing.is_empty());
            let Some(all) = listing else { continue };
            account
                .each_entry(&all, |entry| {
                    let Some(whole) = listed.know(entry, account.data_source()).filter(|whole| whole.ours) else { return };
                    if is_parent {
                        parents.insert(whole.uuid.clone(), whole.keys().map(Box::from).collect());
                    }
                    for at in &standing {
                        let missing = &mut missing[*at];
                        match missing.object.is_part() {
                            false => self.judge(world, missing, entry, &whole, &parents, most),
                            true => {
                                let list = entry[missing.object.resource().list_root].as_array();
                                for part in list.into_iter().flatten() {
                                    if let Some(known) = missing.object.know(part, account.data_source()) {
                                        self.judge(world, missing, part, &known, &parents, most);
                                    }
                                }
                            }
                        }
                    }
                })
                .await?;
        }
        Ok(missing)
    }

    /// Whether an entry came.
    fn judge(
        &self,
        world: &World<'_>,
        missing: &mut Missing<'_>,
        entry: &Value,
        known: &Known,
        parents: &HashMap<Box<str>, Vec<Box<str>>>,
        most: u64,
    ) {
        let (object, account) = (missing.object, &world.account);
        let Some(mirrored) = object.mirrored().filter(|_| known.ours) else { return };
        missing.count.entries += 1;
        let other_names = |parent: &str| parents.get(parent).cloned().unwrap_or_default();
        let came = names_of(object, entry, known, other_names).iter().any(|name| self.seen.names.contains(name));
        if came || (mirrored.only_keyed && known.keys().next().is_none()) {
            return;
        }
        let made = entry.get("created_at").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        if made.zip(self.engine.attempt.began).is_some_and(|(made, began)| made >= began) {
            missing.newer += 1;
        } else if object.can_be_merged() && (known.pairs > 1 || account.has_absorbed(&known.uuid)) {
            missing.merged += 1;
        } else if missing.uuids.len() as u64 > most || missing.uuids.insert(known.uuid.clone()) {
            missing.count.deletions += 1;
        }
    }

    /// Deletes what did not come of one object. Once asked to stop, what is under way is finished and nothing new is sent.
    async fn delete(&self, world: &World<'_>, missing: &Missing<'_>, stop: &Stop<'_>) -> Result<(), Failure> {
        let Missing { object, how, uuids, .. } = missing;
        let name = object.resource().name;
        let requests = uuids.iter().flat_map(|uuid| requests(*object, how, world.account.data_source(), uuid));
        let asked = pin!(stop.asked());
        let mut ended = pin!(
            stream::iter(requests)
                .take_until(asked)
                .map(|request| async move {
                    let mut trial = Trial::default();
                    (world.client.send(&Call::from(request), &mut trial).await, trial.attempts())
                })
                .buffer_unordered(MOST_AT_ONCE)
        );
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        while let Some((reply, attempts)) = ended.next().await {
            match reply? {
                Reply::Done(_) => *self.engine.report.borrow_mut().mirrored.entry(name).or_default() += 1,
                // Gone at a second attempt: the first one did it and its answer was lost.
                Reply::Missing(_) if attempts > 1 => *self.engine.report.borrow_mut().mirrored.entry(name).or_default() += 1,
                // Somebody else deleted it, or it went with what it belonged to.
                Reply::Missing(_) => {}
                Reply::Exists(refusal) | Reply::Refused(refusal) => *refused.entry(words(&refusal)).or_default() += 1,
                Reply::Lost(why) => {
                    return Err(Failure::system(Code::Internal, "A deletion was handed back as lost.").with_internal(why));
                }
            }
        }
        for (words, many) in refused {
            tracing::warn!("{many} {name} did not come and were not deleted: {words}");
        }
        Ok(())
    }
}

/// Whether a stream writes the object, and is asked to mirror it.
fn writes(binding: &Binding, object: &dyn Object) -> bool {
    binding.mirroring.is_some() && binding.object.resource().name == object.resource().name
}

/// The requests that delete the entry of this identity.
fn requests(object: &dyn Object, how: &How, data_source: &str, uuid: &str) -> Vec<Request> {
    let how = How { mode: Mode::Delete, ..how.clone() };
    let plan =
        Plan { mode: Mode::Delete, target: Target::Uuid(uuid.into(), None), refs: Default::default(), body: Body::default() };
    let at = At { data_source, refs: &[], how: &how };
    object.delete(&plan, &at, &Existing { uuid: uuid.into(), known: None })
}

/// Why a deletion was refused, without the API's own words: they may quote values.
fn words(refusal: &Refusal) -> String {
    match refusal.status {
        Some(status) => format!("{} (HTTP {status})", refusal.code),
        None => refusal.code.to_string(),
    }
}

/// A listing that can not be read ends the sync: what did not come is not known.
fn ends(trouble: &Trouble) -> Failure {
    match trouble {
        Trouble::Stop(failure) => failure.clone(),
        Trouble::Refused(refusal) => Failure::system(
            Code::UnexpectedAnswer,
            format!("A list of the data source was refused, so that nothing was deleted. {}", Code::UnexpectedAnswer.remedy()),
        )
        .with_internal(words(refusal)),
    }
}
