//! What became of the records of a bulk import, and what that means for each of them.
//!
//! A record that the import made has its outcome; one that it did not make, or made without something that the record says, is
//! sent singly, where the API says why. Does not own sending an import, nor looking for what it made (`import`).

use tokio::time::sleep;

use super::create::LOOKS;
use super::group::{Member, share};
use super::{Step, World, Wrote};
use crate::account::Trouble;
use crate::failure::Failure;
use crate::objects::Object;
use crate::outcome::{Fault, Outcome, Rejection};
use crate::plan::{LaneKey, Plan};

/// What became of one record of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Imported {
    /// It is there.
    Made,
    /// It is there, and the API says itself that it counts for nothing.
    Invalid(Rejection),
    /// It is there without some of its parts: sent singly the API says why.
    Lacking(Lacking),
    /// It is not there: sent singly the API says why.
    Absent,
    /// The import never arrived.
    Lost,
}

/// What an import made in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Lacking {
    /// The objects and keys of the parts that are not there.
    pub(super) parts: Vec<(&'static str, Box<str>)>,
    /// Whether there are fewer parts than the import had: of those without a key it can not be told which.
    pub(super) fewer: bool,
    /// What the API says against what is.
    pub(super) rejection: Option<Rejection>,
}

impl World<'_> {
    /// Whether an import made a part of what a record is about, and the record has yet to say the rest.
    pub(super) fn is_half_made(&self, object: &dyn Object, plan: &Plan) -> bool {
        let imports = self.imports.borrow();
        !imports.half_made.is_empty() && lane(object, plan).is_some_and(|lane| imports.half_made.contains(&lane))
    }

    /// The record has said it.
    pub(super) fn is_said(&self, object: &dyn Object, plan: &Plan) {
        let lane = lane(object, plan);
        lane.map(|lane| self.imports.borrow_mut().half_made.remove(&lane));
    }

    /// Whether the API has nothing against an entry any longer. A list may lag.
    async fn is_sound(&self, member: &Member<'_>) -> Result<bool, Trouble> {
        let source = self.account.data_source();
        let Some(look) = member.plan.target.key().and_then(|key| member.object.look_by_key(key, source)) else {
            return Ok(false);
        };
        for wait in LOOKS {
            sleep(wait).await;
            if self.account.look(member.object, &look, true).await?.first().is_some_and(|known| known.is_sound) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn lane(object: &dyn Object, plan: &Plan) -> Option<LaneKey> {
    Some(LaneKey::key(object.resource().name, plan.target.key()?))
}

/// The step of a record that went in an import; `None` where it has to be sent by itself.
pub(in crate::engine) fn import_step(world: &World<'_>, member: &Member<'_>, imported: Imported) -> Option<Step> {
    // The import, which many others went in too.
    let wrote = Wrote { attempts: 1, ..Wrote::default() };
    let rejection = match imported {
        Imported::Made => None,
        Imported::Invalid(rejection) => Some(rejection),
        Imported::Lacking(lacking) if lacking.is_of(member) => {
            if !member.object.is_part() {
                world.imports.borrow_mut().half_made.extend(lane(member.object, member.plan));
            }
            return None;
        }
        Imported::Lacking(lacking) => lacking.rejection,
        Imported::Absent | Imported::Lost => return None,
    };
    let Some(rejection) = rejection else { return Some(share(world, member, &Outcome::Created, &wrote)) };
    Some(match of_part(member, &rejection) {
        Some(faults) if faults.is_empty() => share(world, member, &Outcome::Created, &wrote),
        Some(faults) => share(world, member, &Outcome::Rejected(Rejection { faults, ..rejection }), &wrote),
        None => share(world, member, &Outcome::Rejected(rejection), &wrote),
    })
}

impl Lacking {
    /// Whether what is not there is the record's own: it is that part, or it brought it within itself.
    fn is_of(&self, member: &Member<'_>) -> bool {
        let named = |(object, key): &(&str, Box<str>)| match member.object.is_part() {
            true => *object == member.object.resource().name && member.plan.target.key() == Some(key),
            false => {
                member.object.import(member.plan).is_some_and(|import| import.parts().any(|part| part == (*object, key.clone())))
            }
        };
        self.parts.iter().any(named)
            || (self.fewer && member.object.import(member.plan).is_some_and(|import| import.has_keyless_parts()))
    }
}

/// Whether what is said against a whole is to be asked once more when its parts, which are others' records, have been sent.
pub(in crate::engine) fn is_to_be_judged(member: &Member<'_>, imported: &Imported) -> bool {
    matches!(imported, Imported::Lacking(lacking) if lacking.rejection.is_some() && !member.object.is_part() && !lacking.is_of(member))
}

/// What became of a whole, at this place among the members, against which something was said for its parts: asked once more where
/// some of these went `singly` since, and were taken.
///
/// # Errors
/// What ends the sync.
pub(in crate::engine) async fn judge(
    world: &World<'_>,
    members: &[Member<'_>],
    steps: &mut [Option<Step>],
    singly: &[bool],
    at: usize,
) -> Result<(), Failure> {
    let whole = &members[at];
    let came = |other: usize| {
        let part = &members[other];
        let joins = part.object.is_part() && whole.object.joins(whole.plan, part.object.resource().name, part.plan);
        joins && singly[other] && matches!(&steps[other], Some(Step::Settled(settled)) if !settled.outcome.is_rejected())
    };
    if !(0..members.len()).any(came) {
        return Ok(());
    }
    let wrote = Wrote { attempts: 1, ..Wrote::default() };
    match world.is_sound(whole).await {
        Ok(true) => steps[at] = Some(share(world, whole, &Outcome::Created, &wrote)),
        Ok(false) | Err(Trouble::Refused(_)) => {}
        Err(Trouble::Stop(failure)) => return Err(failure),
    }
    Ok(())
}

/// Those of the faults of a whole that are a part's own; `None` for the whole itself.
fn of_part(member: &Member<'_>, rejection: &Rejection) -> Option<Vec<Fault>> {
    let list = member.object.is_part().then(|| format!("{}.", member.object.resource().list_root))?;
    let own = rejection.faults.iter().filter_map(|fault| {
        let field = fault.field.as_deref()?.strip_prefix(&list)?;
        Some(Fault { field: Some(field.to_owned()), ..fault.clone() })
    });
    Some(own.collect())
}
