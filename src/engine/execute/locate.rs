//! Finding the object of a plan in the account, and where what is written of it is kept.

use std::rc::Rc;

use super::Turn;
use super::create::LOOKS;
use crate::account::{Found, Trouble};
use crate::objects::request::{Look, Scope};
use crate::objects::{At, Existing, Pick};
use crate::plan::{Known, Mode, Target};

impl Turn<'_> {
    /// Finds the object. With `fresh`, whatever is known is looked at again.
    pub(super) async fn locate(&self, at: &At<'_>, look: Option<&Look>, fresh: bool) -> Result<Found<Existing>, Trouble> {
        let target = match &self.plan.target {
            Target::Uuid(uuid, _) if !fresh => {
                return Ok(Found::Present(Existing { uuid: self.world.account.now(uuid), known: None }));
            }
            Target::Uuid(_, None) => return Ok(Found::Absent),
            Target::Uuid(_, Some(other)) => other,
            Target::Part => {
                let Some(whole) = at.refs.first() else { return Ok(Found::Absent) };
                self.note_uuid(&whole.uuid);
                return Ok(Found::Present(Existing { uuid: whole.uuid.clone(), known: whole.known.clone() }));
            }
            target => target,
        };
        if self.object.is_addressed_by_key(self.plan) {
            return self.locate_by_key(at, target, fresh).await;
        }
        let Some(look) = look else { return Ok(Found::Absent) };
        if let (None, false, Some(seen)) = (look.scope, fresh, self.seen) {
            return Ok(seen.clone());
        }
        // What this run made without having seen it may be listed late.
        let account = &self.world.account;
        let is_unseen = target.key().is_some_and(|key| account.is_unseen(self.object, key));
        let mut entries = Vec::new();
        for wait in if is_unseen { &LOOKS[..] } else { &LOOKS[..1] } {
            tokio::time::sleep(*wait).await;
            let seen = account.look(self.object, look, fresh || !wait.is_zero()).await?;
            entries = self.object.found(target, &seen);
            if !entries.is_empty() {
                break;
            }
        }
        self.world.answered(self.object, self.plan);
        Ok(match self.object.pick(self.plan, target, &entries) {
            Pick::Nothing => Found::Absent,
            Pick::Many(many) => Found::Ambiguous(many),
            Pick::One(place) => {
                let known = &entries[place];
                self.note_uuid(&known.uuid);
                Found::Present(Existing { uuid: known.uuid.clone(), known: Some(Rc::clone(known)) })
            }
        })
    }

    /// Finds an object that is addressed by its key. Only what is to be changed is read for it, so that what does not differ is
    /// not sent.
    async fn locate_by_key(&self, at: &At<'_>, target: &Target, fresh: bool) -> Result<Found<Existing>, Trouble> {
        let present = |known: Rc<Known>| Found::Present(Existing { uuid: known.uuid.clone(), known: Some(known) });
        let unread = Ok(Found::Present(Existing { uuid: Box::default(), known: None }));
        let Some(key) = target.key().filter(|_| self.plan.mode == Mode::Update) else { return unread };
        let home = self.home_by_key();
        let seen = home.filter(|_| !fresh).and_then(|home| self.world.account.known(home)).unwrap_or_default();
        let parts = self.object.found(target, &seen);
        if let Pick::One(place) = self.object.pick(self.plan, target, &parts) {
            return Ok(present(Rc::clone(&parts[place])));
        }
        match self.world.account.entry_by_key(self.object, key).await {
            Ok(Some(entry)) => Ok(self.saw(&entry, at, home).map_or(Found::Absent, present)),
            Ok(None) => Ok(Found::Absent),
            // What may not be read may be written all the same.
            Err(Trouble::Refused(_)) if self.how.only_if_empty.is_empty() => unread,
            Err(trouble) => Err(trouble),
        }
    }

    /// Where the object stands that is addressed by its key, as far as this run has seen it.
    pub(super) fn home_by_key(&self) -> Option<Scope> {
        let key = self.plan.target.key().filter(|_| self.object.is_addressed_by_key(self.plan))?;
        self.world.account.home_of(self.object, key)
    }

    /// Where what is written is kept, beside the keys that it shows itself.
    pub(super) fn home(&self, at: &At<'_>) -> Option<Scope> {
        self.object.look(self.plan, self.other_target(), at)?.scope
    }
}
