//! What records refer to: looked for by key or UUID, and where it was absent, once more at the end.

use std::rc::Rc;

use super::lookup::{Account, Found, Trouble, named};
use crate::objects;
use crate::plan::{By, Kin, Known};

impl Account<'_> {
    /// Something that a record refers to.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn refer(&self, kin: Kin, by: &By, fresh: bool) -> Result<Found<Rc<Known>>, Trouble> {
        let Some(object) = objects::find(kin.object()) else { return Ok(Found::Absent) };
        let key = match by {
            By::Uuid(uuid) => {
                let uuid = self.now(uuid);
                if let Some(known) = self.index.borrow().entry(&uuid).filter(|_| !fresh) {
                    return Ok(Found::Present(known));
                }
                return self.read(object, &uuid).await;
            }
            By::Key(key) => key,
        };
        let Some(look) = object.look_by_key(key, &self.data_source) else { return Ok(Found::Absent) };
        // Many records may refer to one thing at once: it is looked at once.
        let alone = match look.scope {
            Some(scope) if !self.index.borrow().has(scope) => Some(self.alone_with(scope).await),
            _ => None,
        };
        let entries = self.look(object, &look, fresh).await?;
        drop(alone);
        Ok(named(by, &entries))
    }

    /// Something that a record refers to and that was absent when it was looked for, looked at once more, since others write too:
    /// once a run, however many records refer to it.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn refer_again(&self, kin: Kin, by: &By) -> Result<Found<Rc<Known>>, Trouble> {
        let By::Key(key) = by else { return self.refer(kin, by, true).await };
        let Some(object) = objects::find(kin.object()) else { return Ok(Found::Absent) };
        let Some(look) = object.look_by_key(key, &self.data_source) else { return Ok(Found::Absent) };
        let Some(scope) = look.scope else { return Ok(named(by, &self.look(object, &look, true).await?)) };
        let _alone = self.alone_with(scope).await;
        let fresh = !self.seen_again.borrow().contains(&scope);
        let entries = self.look(object, &look, fresh).await?;
        self.seen_again.borrow_mut().insert(scope);
        Ok(named(by, &entries))
    }

    /// Something that a record refers to and that belongs to the thing of this UUID. Such things come into being by what is
    /// written elsewhere: what is known shows which there are, and never which there are not.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn refer_within(&self, kin: Kin, by: &By, parent: &str) -> Result<Found<Rc<Known>>, Trouble> {
        let Some(object) = objects::reader(kin.object()) else { return Ok(Found::Absent) };
        let Some(look) = object.look_within(parent) else { return Ok(Found::Absent) };
        let _alone = match look.scope {
            Some(scope) => Some(self.alone_with(scope).await),
            None => None,
        };
        if let Some(known) = look.scope.and_then(|scope| self.known(scope))
            && let found @ (Found::Present(_) | Found::Ambiguous(_)) = named(by, &known)
        {
            return Ok(found);
        }
        Ok(named(by, &self.look(object, &look, true).await?))
    }
}
