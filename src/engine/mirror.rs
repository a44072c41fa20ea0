//! The deletion policy `mirror`: at the end of a sync, what is in the data source and did not come is deleted.
//!
//! Owns the conditions, and the deletions, which are no record's outcome. Does not own what came ([`super::seen`]), what did not
//! ([`super::missing`]), nor the limits ([`super::deletions`]). Every doubt ends in deleting less.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures_util::future::{Either, select};
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use jiff::Timestamp;

use super::conductor::{Ending, Sync};
use super::deletions::Doomed;
use super::execute::World;
use super::missing::Missing;
pub(super) use super::seen::Seen;
use super::stop::{GRACE, Stop};
use crate::account::Trouble;
use crate::binding::{Binding, Bindings};
use crate::client::{Call, Refusal, Reply, Trial};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::request::Request;
use crate::objects::{At, Existing, How, OBJECTS, Object};
use crate::plan::{Body, Mode, Plan, Target};

/// Deletions under way at once: as many as the API takes requests, so that few are left to finish once asked to stop.
const MOST_AT_ONCE: usize = 20;

/// Which attempt of its host a sync is, and when it began.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    first: bool,
    pub(super) began: Option<Timestamp>,
}

impl Attempt {
    /// The host's number of the attempt, from 0, where it tells one; what is no such number is not taken for the first.
    pub fn new(number: Option<&str>, began: Option<Timestamp>) -> Self {
        let number = number.map(str::trim).filter(|number| !number.is_empty());
        Self { first: number.is_none_or(|number| number.parse() == Ok(0_u64)), began }
    }
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
            for object in OBJECTS.iter().filter(|object| object.mirrored().is_some()) {
                let of = object.resource().name;
                let mut found = self.untold(at, of);
                if of == name || self.seen.holds(at, of) {
                    found.extend(by_catalog.iter().map(|words| (*words).to_owned()));
                    found.extend(self.objections(world, at, *object));
                }
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

    /// What a stream left open of an object: any of its entries may be meant.
    fn untold(&self, at: usize, of: &'static str) -> Vec<String> {
        let unnamed = self.seen.unnamed(at, of);
        let lacking = format!("{unnamed} of its records tell {of} by neither external_id nor UUID");
        let silent = format!("its records do not tell the {of} that they belong to");
        let conditions = [(unnamed == 0, lacking), (!self.seen.is_silent_about(at, of), silent)];
        conditions.into_iter().filter(|(holds, _)| !holds).map(|(_, words)| words).collect()
    }

    /// What the sync itself tells against mirroring what a stream writes of an object.
    fn objections(&self, world: &World<'_>, at: usize, object: &dyn Object) -> Vec<String> {
        let conditions = [
            (self.complete[at], "the host did not say that it is complete (COMPLETE)"),
            (
                !self.complete[at] || self.seen.is_complete(at),
                "the host said COMPLETE without a namespace, and fewer times than there are streams of the name",
            ),
            (
                self.engine.attempt.first,
                "the host says that this is not the first attempt (WORKER_JOB_ATTEMPT), which did not see all records",
            ),
            (self.seen.came(at) > 0, "no record came that is not marked as deleted"),
            (
                object.mirrored().is_none_or(|mirrored| mirrored.within.is_none()) || !world.account.names_moved(),
                "things that its records name became part of others in this sync",
            ),
        ];
        conditions.iter().filter(|(holds, _)| !holds).map(|(_, words)| (*words).to_owned()).collect()
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
