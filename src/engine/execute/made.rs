//! What this run makes, counted for the guard of deletions: it was not there at the start.
//!
//! Owns the count of what stands within other things. What was sent to be made counts, whatever became of it, so that a limit is not
//! read as larger than it is; but for a first contact within a change of its customer, of which that is unknown.

use serde_json::Value;
use tokio::sync::OwnedRwLockReadGuard;

use super::Turn;
use crate::mapping::{Slot, values};
use crate::objects::request::{Method, Request, Shows};
use crate::objects::resource::Kind;
use crate::objects::{self, Object};

impl Turn<'_> {
    /// The plan's object was made with all that stands in it, as far as `answer` or the plan tells.
    pub(super) fn count_made(&self, answer: &Value) {
        let mut guard = self.world.deletions.borrow_mut();
        guard.created(self.object.resource().name);
        for (field, part) in self.object.mirrored().map_or(&[][..], |mirrored| mirrored.nested) {
            let shown = answer[field].as_array().map_or(0, Vec::len);
            guard.created_many(part, shown.max(self.given_parts(field)) as u64);
        }
    }

    /// Holds off counts of what would be made within the plan's object and is not counted with it.
    pub(super) async fn making_within(&self) -> Vec<OwnedRwLockReadGuard<()>> {
        let mut making = Vec::new();
        let counted = |object: &dyn Object| object.counted_in().0.name;
        for (field, part) in self.object.mirrored().map_or(&[][..], |mirrored| mirrored.nested) {
            let is_apart = objects::find(part).is_some_and(|part| counted(part) != counted(self.object));
            if is_apart && self.given_parts(field) > 0 {
                making.push(self.world.account.making(part).read_owned().await);
            }
        }
        making
    }

    /// How many entries the plan gives in this field.
    fn given_parts(&self, name: &str) -> usize {
        let resource = self.object.resource();
        let Some((slot, field)) = resource.slot(name).zip(resource.field(name)) else { return 0 };
        match field.kind {
            Kind::List(_) => {
                let list = self.plan.body.get(Slot { field: slot, inner: None });
                list.map_or(0, |list| values::elements(list).count())
            }
            _ => usize::from(self.plan.body.fields().any(|(at, value)| at.field == slot && value != "null")),
        }
    }

    /// What a request that changes the plan's object makes within it. Whether a change of a first contact may make one is unknown; it is
    /// taken for none, or a sync that changes many customers could delete no contact.
    pub(super) fn makes_within(&self, request: &Request) -> Option<&'static str> {
        if let Shows::Part(part) = request.shows {
            return Some(part).filter(|_| request.method == Method::Post);
        }
        None
    }
}
