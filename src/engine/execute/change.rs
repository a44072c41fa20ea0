//! Changing an object that exists, and seeing to what the answer shows was not taken.

use serde_json::Value;

use super::super::kept::{attributes_not_taken, differences};
use super::create::{Created, LOOKS};
use super::{Existing, Settled, Turn, ambiguous, never_lost, read, rejected};
use crate::account::{Found, Trouble};
use crate::client::{Method, Repeat, Reply};
use crate::errors::Code;
use crate::mapping::attributes::type_word;
use crate::objects::Known;
use crate::objects::resource::AttributeForm;
use crate::outcome::{Fault, Outcome, Skip};
use crate::plan::{Mode, Target};

impl Turn<'_> {
    /// Upsert, update, and insert where the API itself refuses no duplicates. `None`: the parent is not there after all.
    pub(super) async fn write(&self, customer: Option<&str>) -> Result<Option<Settled>, Trouble> {
        let mut found = self.locate(customer, false).await?;
        // What was known can prove wrong once: a UUID that is gone, or a thing that somebody made since we looked.
        for fresh in [false, true] {
            match found {
                Found::Ambiguous(many) => return Ok(Some(Outcome::rejected(ambiguous(self.key_field(), many)).into())),
                Found::Present(_) if self.plan.mode == Mode::Insert => return Ok(Some(Outcome::Skipped(Skip::Exists).into())),
                Found::Present(existing) => match self.change(&existing, customer).await? {
                    Some(outcome) => return Ok(Some(outcome.into())),
                    None => {
                        self.gone(&existing.uuid);
                        found = self.locate(customer, true).await?;
                    }
                },
                Found::Absent if self.plan.mode == Mode::Update => return Ok(Some(Outcome::Skipped(Skip::NoMatch).into())),
                Found::Absent if matches!(self.plan.target, Target::Uuid(_, None)) => {
                    let text = "is of no object that exists, and the record gives no other key to make it by";
                    return Ok(Some(Outcome::rejected(Fault::field(Code::KeyMissing, "uuid", text)).into()));
                }
                Found::Absent => match self.create(customer).await? {
                    Created::Settled(settled) => return Ok(Some(settled)),
                    Created::NoParent => return Ok(None),
                    Created::Exists(refusal) if fresh => return Ok(Some(rejected(refusal).into())),
                    Created::Exists(refusal) => match self.look(customer, &LOOKS).await? {
                        Some(existing) => found = Found::Present(existing),
                        None => return Ok(Some(rejected(refusal).into())),
                    },
                },
            }
        }
        Ok(Some(
            Outcome::rejected(Fault::field(Code::ApiRefused, self.key_field(), "is in the lists but can not be changed")).into(),
        ))
    }

    /// Changes an existing object; `None` when its UUID is gone.
    pub(super) async fn change(&self, existing: &Existing, customer: Option<&str>) -> Result<Option<Outcome>, Trouble> {
        let resource = self.object.resource();
        let path = format!("{}/{}", resource.path, existing.uuid);
        let tags = existing.customer.as_ref().map(|customer| &customer.tags[..]);
        let change = self.object.change(self.plan, Known { tags });
        let mut outcome = Outcome::Unchanged;
        if let Some(body) = change.patch {
            let call = self.call(Method::Patch, path.clone(), Some(body), Repeat::Harmless, resource.calls.update);
            match self.world.client.ask(&call).await? {
                Reply::Done(answer) => {
                    let entry = read(&answer);
                    self.learn(&entry, customer, false);
                    outcome = self.see_to(&entry, Outcome::Updated).await?;
                }
                Reply::Missing(_) => return Ok(None),
                Reply::Exists(refusal) | Reply::Refused(refusal) => return Ok(Some(rejected(refusal))),
                Reply::Lost(why) => return Err(never_lost(&why)),
            }
        }
        let mut extra = Vec::new();
        if !change.add_tags.is_empty() {
            let body = serde_json::json!({"tags": change.add_tags}).to_string();
            extra.push(self.call(Method::Post, format!("{path}/attributes/tags"), Some(body), Repeat::Harmless, "add tags"));
        }
        if !change.remove_attributes.is_empty() {
            let body = serde_json::json!({"custom": change.remove_attributes}).to_string();
            extra.push(self.call(
                Method::Delete,
                format!("{path}/attributes/custom"),
                Some(body),
                Repeat::Harmless,
                "remove attributes",
            ));
        }
        for call in extra {
            match self.world.client.ask(&call).await? {
                Reply::Done(_) if !outcome.is_rejected() => outcome = Outcome::Updated,
                Reply::Done(_) => {}
                // What the API answers to the removal of a key that is not there is unknown; it is gone either way.
                Reply::Missing(_) if call.method == Method::Delete => {}
                Reply::Missing(_) => return Ok(None),
                Reply::Exists(refusal) | Reply::Refused(refusal) => return Ok(Some(rejected(refusal))),
                Reply::Lost(why) => return Err(never_lost(&why)),
            }
        }
        Ok(Some(outcome))
    }

    /// Compares an answer with what was sent: attributes that were not taken go to the attributes endpoint, what else was not
    /// kept is a warning.
    pub(super) async fn see_to(&self, entry: &Value, outcome: Outcome) -> Result<Outcome, Trouble> {
        let resource = self.object.resource();
        for difference in differences(self.object, self.plan, entry) {
            let code = if difference.null { Code::NullNotCleared } else { Code::FieldNotKept };
            self.world.warnings.once(code, resource.name, difference.field);
        }
        let Some(held) = self.object.answered_attributes(entry) else { return Ok(outcome) };
        let missing = attributes_not_taken(self.plan, held);
        let uuid = entry["uuid"].as_str();
        let (Some(AttributeForm::Typed), Some(uuid), false) = (resource.attributes, uuid, missing.is_empty()) else {
            for attribute in missing {
                self.world.warnings.once(Code::FieldNotKept, resource.name, &format!("custom.{}", attribute.key));
            }
            return Ok(outcome);
        };
        // Recorded 2023: a PATCH with a Boolean set to false answers 200 and keeps true, while PUT sets it. PUT needs the
        // attribute to exist; POST makes it.
        let (present, absent): (Vec<_>, Vec<_>) = missing.into_iter().partition(|attribute| held.contains_key(attribute.key));
        let mut calls = Vec::new();
        let path = format!("{}/{uuid}/attributes/custom", resource.path);
        if !present.is_empty() {
            let map: Vec<String> = present.iter().map(|attribute| format!("{:?}:{}", attribute.key, attribute.value)).collect();
            calls.push((Method::Put, format!("{{\"custom\":{{{}}}}}", map.join(","))));
        }
        if !absent.is_empty() {
            let list: Vec<String> = absent
                .iter()
                .filter_map(|a| {
                    a.kind.map(|kind| format!(r#"{{"type":"{}","key":"{}","value":{}}}"#, type_word(kind), a.key, a.value))
                })
                .collect();
            calls.push((Method::Post, format!("{{\"custom\":[{}]}}", list.join(","))));
        }
        for (method, body) in calls {
            let call = self.call(method, path.clone(), Some(body), Repeat::Harmless, "set attributes");
            match self.world.client.ask(&call).await? {
                Reply::Done(answer) => {
                    if let Some(held) = read(&answer)["custom"].as_object() {
                        let sent: &[_] = if method == Method::Put { &present } else { &absent };
                        for attribute in attributes_not_taken(self.plan, held) {
                            if sent.iter().any(|sent| sent.key == attribute.key) {
                                self.world.warnings.once(Code::FieldNotKept, resource.name, &format!("custom.{}", attribute.key));
                            }
                        }
                    }
                }
                Reply::Missing(refusal) | Reply::Exists(refusal) | Reply::Refused(refusal) => return Ok(rejected(refusal)),
                Reply::Lost(why) => return Err(never_lost(&why)),
            }
        }
        Ok(outcome)
    }
}
