//! What a record refers to: found, waited for, made, or missing.

use std::rc::Rc;

use super::create::LOOKS;
use super::{OrEnd, Step, Turn, Waits, ambiguous};
use crate::account::{Found, Trouble};
use crate::errors::Code;
use crate::objects::Resolved;
use crate::outcome::{Fault, Outcome, Skip};
use crate::plan::{By, Kin, Known, Mode, Need, Parents, Reference, Role};

impl Turn<'_> {
    /// Finds what the record refers to. The inner error is a turn that ends here.
    pub(super) async fn resolve(
        &self,
        fresh: bool,
        wanted: impl Fn(&Reference) -> bool,
    ) -> Result<OrEnd<Vec<Resolved>>, Trouble> {
        let refs = &self.plan.refs;
        let mut resolved: Vec<Resolved> = refs.iter().map(|reference| unresolved(&reference.by)).collect();
        // What is to go and has a key of its own is found by that alone.
        let by_own_key = self.object.has_own_key() && !self.object.is_part() && self.other_target().key().is_some();
        // What is looked for within another thing comes after that.
        let (plain, within): (Vec<usize>, _) = (0..refs.len()).partition(|at| refs[*at].kin.within().is_none());
        for at in plain.into_iter().chain(within) {
            let reference = &refs[at];
            let needed = wanted(reference) && (self.plan.mode != Mode::Delete || (reference.role == Role::Parent && !by_own_key));
            match (&reference.by, reference.need, needed) {
                (_, _, false) => {}
                (By::Uuid(uuid), Need::Uuid, true) => resolved[at].uuid = self.world.account.now(uuid),
                _ => match self.find(reference, self.surrounds(reference, &resolved), fresh).await? {
                    Ok(known) => {
                        let key = match &reference.by {
                            By::Key(key) => Some(key.clone()),
                            By::Uuid(_) => known.keys().next().map(Into::into),
                        };
                        if reference.need == Need::Key && key.is_none() {
                            let text = "names something that has no external id in the data source";
                            let fault = Fault::field(Code::ParentNotFound, reference.field, text);
                            return Ok(Err(Step::Settled(Outcome::rejected(fault).into())));
                        }
                        resolved[at] = Resolved { uuid: known.uuid.clone(), key, known: Some(known) };
                    }
                    Err(step) => return Ok(Err(step)),
                },
            }
        }
        Ok(Ok(resolved))
    }

    /// The UUID of what a thing is looked for in, where it is not looked for by itself.
    fn surrounds<'a>(&self, reference: &Reference, resolved: &'a [Resolved]) -> Option<&'a str> {
        let kin = reference.kin.within()?;
        self.plan.refs.iter().zip(resolved).find(|(other, _)| other.kin == kin).map(|(_, found)| found.uuid.as_ref())
    }

    /// One thing that the record refers to.
    async fn find(&self, reference: &Reference, within: Option<&str>, fresh: bool) -> Result<OrEnd<Rc<Known>>, Trouble> {
        let account = &self.world.account;
        let found = match self.look_for(reference, within, fresh && reference.role == Role::Parent).await? {
            // At the end of the input an absence that was seen earlier is looked at once more: others write too.
            Found::Absent if self.last_chance && within.is_none() && !fresh && matches!(reference.by, By::Key(_)) => {
                account.refer_again(reference.kin, &reference.by).await?
            }
            found => found,
        };
        Ok(match found {
            Found::Present(known) => Ok(known),
            Found::Ambiguous(many) => Err(Step::Settled(Outcome::rejected(ambiguous(reference.field, many)).into())),
            Found::Absent => match (self.plan.mode, &reference.by) {
                (Mode::Update | Mode::Delete, _) if reference.role == Role::Parent => {
                    Err(Step::Settled(Outcome::Skipped(Skip::NoMatch).into()))
                }
                (_, By::Key(key)) if self.makes(reference) => {
                    return self.make_customer(reference, key).await;
                }
                (_, By::Key(_)) if !self.last_chance => Err(Step::Park(reference.lane(), Waits::ForIt)),
                _ => Err(Step::Settled(Outcome::rejected(self.no_parent(Some(reference))).into())),
            },
        })
    }

    /// Looks for one thing that the record refers to. What came into being by this run is waited for, once: a list may lag.
    async fn look_for(&self, reference: &Reference, within: Option<&str>, fresh: bool) -> Result<Found<Rc<Known>>, Trouble> {
        let (account, lane) = (&self.world.account, reference.lane());
        for wait in LOOKS {
            // Even a sleep of no time lasts until the clock of the runtime ticks: a millisecond for each record.
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let found = match within {
                Some(parent) => account.refer_within(reference.kin, &reference.by, parent).await?,
                None => account.refer(reference.kin, &reference.by, fresh || !wait.is_zero()).await?,
            };
            if found != Found::Absent {
                // It has been shown: should it be absent later, it is gone.
                self.world.brought.borrow_mut().remove(&lane);
                return Ok(found);
            }
            if !self.world.brought.borrow().contains(&lane) {
                return Ok(found);
            }
        }
        self.world.brought.borrow_mut().remove(&lane);
        Ok(Found::Absent)
    }

    /// Whether what a reference names is made where it does not exist.
    fn makes(&self, reference: &Reference) -> bool {
        reference.kin == Kin::Customer && self.how.parents == Parents::Create && self.object.makes_parents()
    }

    pub(super) fn no_parent(&self, reference: Option<&Reference>) -> Fault {
        let Some(reference) = reference else {
            return Fault::record(Code::ParentNotFound, "belongs to something that does not exist");
        };
        let what = reference.kin.words();
        Fault::field(
            Code::ParentNotFound,
            reference.field,
            format!("names {what} that does not exist in the data source and did not come in this sync"),
        )
    }
}

/// A thing of which nothing is known but the name that the record gives it.
fn unresolved(by: &By) -> Resolved {
    match by {
        By::Uuid(uuid) => Resolved { uuid: uuid.clone(), key: None, known: None },
        By::Key(key) => Resolved { uuid: Box::default(), key: Some(key.clone()), known: None },
    }
}
