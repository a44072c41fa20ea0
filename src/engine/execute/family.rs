//! What goes in a bulk import together: which records of a group, and whether they may.
//!
//! Nothing goes in an import that is not known to be absent, or that refers to what is neither there nor in the same import. Does
//! not own sending it (`import`), nor when it goes (`bulk`).

use smallvec::SmallVec;

use super::super::bulk::MOST_BYTES;
use super::World;
use super::group::Member;
use super::imported::Imported;
use crate::account::{Found, Trouble};
use crate::failure::Failure;
use crate::objects::imports::Import;
use crate::objects::{self, Object};
use crate::plan::{By, Kin, Known, LaneKeys, Mode, Plan, Reference};

/// What of a group of records goes in an import: all of one customer, or one plan.
#[derive(Debug, Default)]
pub(in crate::engine) struct Family {
    pub(super) customer: Option<Box<str>>,
    pub(super) units: Vec<Unit>,
}

/// What is made by an import as one, with the records that say it.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) object: &'static dyn Object,
    pub(super) key: Box<str>,
    pub(super) import: Import,
    /// Their places in the group.
    pub(super) members: SmallVec<[usize; 1]>,
}

impl Unit {
    /// The objects and keys of its parts that are not in the entry that stands for it.
    pub(super) fn lacks(&self, known: &Known) -> Vec<(&'static str, Box<str>)> {
        let is_there = |(object, key): &(&str, Box<str>)| {
            known.parts().iter().any(|part| part.object == *object && part.known.keys().any(|held| held == key.as_ref()))
        };
        self.import.parts().filter(|part| !is_there(part)).collect()
    }

    /// Whether of some kind of part there are fewer than the import had, beside those that it `lacks`: parts without a key can
    /// only be counted.
    pub(super) fn has_fewer(&self, known: &Known, lacks: &[(&'static str, Box<str>)]) -> bool {
        let there = |object: &str| known.parts().iter().filter(|part| part.object == object).count();
        let missed = |object: &str| lacks.iter().filter(|(of, _)| *of == object).count();
        self.import.counts().any(|(object, count)| there(object) + missed(object) < count)
    }
}

impl Family {
    pub(in crate::engine) fn bytes(&self) -> usize {
        self.units.iter().map(|unit| unit.import.bytes()).sum()
    }

    /// How many records it holds.
    pub(in crate::engine) fn records(&self) -> usize {
        self.units.iter().map(|unit| unit.members.len()).sum()
    }

    /// One of so many bytes.
    #[cfg(test)]
    pub(in crate::engine) fn of(bytes: usize) -> Self {
        let import = Import { customer: None, entries: vec![("customers", "x".repeat(bytes - 1))] };
        let object = objects::OBJECTS[0];
        Self { customer: None, units: vec![Unit { object, key: "k".into(), import, members: SmallVec::new() }] }
    }

    fn has(&self, object: &str, key: &str) -> bool {
        self.units.iter().any(|unit| unit.object.resource().name == object && unit.key.as_ref() == key)
    }

    /// What became of the records at their places in the group, and what of it has to go in another import.
    pub(in crate::engine) fn spread(self, found: Vec<Imported>) -> (Vec<(usize, Imported)>, Self) {
        let mut spread = Vec::new();
        let mut again = Self { customer: self.customer.clone(), units: Vec::new() };
        for (unit, found) in self.units.into_iter().zip(found) {
            match found {
                Imported::Lost => again.units.push(unit),
                found => spread.extend(unit.members.iter().map(|member| (*member, found.clone()))),
            }
        }
        (spread, again)
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

/// Whether a plan may go in an import, alone or with what it is a part of, as far as it can be told without a look.
pub(in crate::engine) fn may_go(member: &Member<'_>) -> bool {
    let makes = matches!(member.plan.mode, Mode::Insert | Mode::Upsert) && member.plan.target.key().is_some();
    let with_others = member.object.is_part() || member.object.is_incomplete(member.plan);
    makes && (with_others || member.object.import(member.plan).is_some())
}

/// What of those of a group that may go goes in an import; `None` where nothing does.
///
/// # Errors
/// What ends the sync.
pub(in crate::engine) async fn family(
    world: &World<'_>,
    members: &[Member<'_>],
    may_go: impl Fn(usize) -> bool,
) -> Result<Option<Family>, Failure> {
    let mut family = Family::default();
    let mut taken: Vec<bool> = (0..members.len()).map(|at| !may_go(at)).collect();
    // What a record that does not go is about: what comes later about it does not go before it.
    let mut stays = LaneKeys::new();
    for at in 0..members.len() {
        if taken[at] {
            continue;
        }
        let stands_behind = |place: &usize| members[*place].own().iter().any(|lane| stays.contains(lane));
        // Parts that have been read go with their whole.
        let is_part = |other: &usize| {
            let (object, plan) = (members[*other].object, members[*other].plan);
            let joins = members[at].object.joins(members[at].plan, object.resource().name, plan);
            !taken[*other] && object.is_part() && joins && !stands_behind(other)
        };
        let parts: Vec<usize> = (at + 1..members.len()).filter(is_part).collect();
        let unit = if stands_behind(&at) { None } else { unit(world, members, at, parts, &family).await? };
        match unit {
            Some(unit) => {
                unit.members.iter().for_each(|place| taken[*place] = true);
                family.customer.clone_from(&unit.import.customer);
                family.units.push(unit);
            }
            None => stays.extend(members[at].own()),
        }
    }
    Ok((!family.units.is_empty()).then_some(family))
}

/// What a record makes with its parts, if it may go with the family.
async fn unit(
    world: &World<'_>,
    members: &[Member<'_>],
    at: usize,
    parts: Vec<usize>,
    family: &Family,
) -> Result<Option<Unit>, Failure> {
    let Member { object, plan, .. } = members[at];
    let Some(key) = plan.target.key() else { return Ok(None) };
    let named: Vec<(&str, &Plan)> =
        parts.iter().map(|part| (members[*part].object.resource().name, members[*part].plan)).collect();
    let joined = if parts.is_empty() { Some(plan.clone()) } else { object.join(plan, &named) };
    let Some((import, plan)) = joined.and_then(|plan| Some((object.import(&plan)?, plan))) else { return Ok(None) };
    let is_kin = family.units.is_empty() || import.customer == family.customer;
    if !is_kin || family.has(object.resource().name, key) || family.bytes() + import.bytes() > MOST_BYTES {
        return Ok(None);
    }
    let fits = async { Ok(is_absent(world, object, key).await? && refers_to_what_is_there(world, &plan, family).await?) };
    match fits.await {
        Ok(true) => {}
        Ok(false) | Err(Trouble::Refused(_)) => return Ok(None),
        Err(Trouble::Stop(failure)) => return Err(failure),
    }
    Ok(Some(Unit { object, key: key.into(), import, members: std::iter::once(at).chain(parts).collect() }))
}

/// Whether nothing of this key is there.
async fn is_absent(world: &World<'_>, object: &'static dyn Object, key: &str) -> Result<bool, Trouble> {
    let account = &world.account;
    let Some(look) = object.look_by_key(key, account.data_source()) else { return Ok(false) };
    Ok(!account.is_unseen(object, key) && account.look(object, &look, false).await?.is_empty())
}

/// Whether all that a plan refers to is in the account, or goes in the same import.
async fn refers_to_what_is_there(world: &World<'_>, plan: &Plan, family: &Family) -> Result<bool, Trouble> {
    for Reference { kin, by, .. } in &plan.refs {
        let (Some(object), By::Key(key)) = (objects::find(kin.object()), by) else { return Ok(false) };
        let comes = *kin == Kin::Customer && family.has(object.resource().name, key);
        if !comes
            && !world.account.is_unseen(object, key)
            && !matches!(world.account.refer(*kin, by, false).await?, Found::Present(_))
        {
            return Ok(false);
        }
    }
    Ok(true)
}
