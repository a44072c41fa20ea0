//! Plans of the billing system. Vendor pages: "Create a Plan", "Update a Plan", "Delete a Plan", "List Plans".
//!
//! Quirks. A plan is changed with a 202 and deleted with a 204 (recorded). Its external id may be left out: then the server
//! makes one, equal to the UUID without its prefix (recorded); such a plan has no key that a record could know, and is found
//! by its other fields. What the API does with the deletion of a plan that invoices use is unknown.

use super::common::{self, check_data_source};
use super::imports::{self, Import};
use super::mirrored::Mirrored;
use super::request::{Look, Request, Scope};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::plan::{Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct Plans;

impl Object for Plans {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["external_id"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[&["name"], &["interval_count"], &["interval_unit"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1",
            Mode::Upsert | Mode::Update => "1 look-up per key, then 1; 0 when nothing differs",
            Mode::Delete => "1 look-up per key, then 1",
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        check_data_source(&mut record, how);
        let key = match record.text("external_id") {
            Some(key) => Some(Target::Key(key)),
            None if how.mode == Mode::Delete => None,
            None => common::by_equality(&mut record, &RESOURCE, how),
        };
        let target = common::by_uuid_or(&mut record, how, key, "external_id", "a plan is matched by its external_id");
        common::finish(record, how.mode, target, None)
    }

    fn mirrored(&self) -> Option<Mirrored> {
        Some(Mirrored::BY_KEY)
    }

    fn refuses_duplicates(&self, plan: &Plan) -> bool {
        plan.target.key().is_some()
    }

    fn look(&self, _plan: &Plan, target: &Target, at: &At<'_>) -> Option<Look> {
        match target {
            Target::Key(key) => self.look_by_key(key, at.data_source),
            Target::Equal(_) => {
                let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
                Some(look.filter("data_source_uuid", at.data_source).scope(Scope::all(RESOURCE.name)))
            }
            _ => None,
        }
    }

    fn look_by_key(&self, key: &str, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
        let look = look.filter("data_source_uuid", data_source).filter("external_id", key);
        Some(look.scope(Scope::key(RESOURCE.name, key)).listed())
    }

    fn listing(&self, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list);
        Some(look.filter("data_source_uuid", data_source))
    }

    fn import(&self, plan: &Plan) -> Option<Import> {
        imports::plan(&RESOURCE, plan)
    }

    fn has_refused_key(&self) -> bool {
        true
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        common::create(&RESOURCE, plan, &[("data_source_uuid", at.data_source)], &[])
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        common::check_key(plan, existing)?;
        Ok(common::change(&RESOURCE, plan, at, existing, &["external_id"]))
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn examples(&self) -> &'static [&'static str] {
        &[r#"{"external_id":"gold-monthly","name":"Gold, monthly","interval_count":1,"interval_unit":"month"}"#]
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "plans",
    summary: "Plans that line items and subscription events refer to.",
    path: "/plans",
    id: "uuid",
    uuid_prefix: "pl_",
    list_root: "plans",
    filters: &["data_source_uuid", "external_id", "system"],
    calls: Calls {
        create: "create plan",
        read: "read plan",
        look_up: "look up plans",
        list: "list plans",
        update: "update plan",
        delete: "delete plan",
    },
    statuses: Statuses { created: 201, updated: 202, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("pl_"),
            "ChartMogul's own UUID of the plan; no key is looked up for it.",
            "\"pl_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field(
            "data_source_uuid",
            Kind::Uuid("ds_"),
            "Must be the configured data source; may be left out.",
            "\"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46\"",
        ),
    ],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the plan, unique in the data source.", "\"gold-monthly\""),
        field("name", Kind::Text, "Display name.", "\"Gold, monthly\"").required(),
        field("interval_count", Kind::Integer(1, i64::MAX), "How many units one interval is.", "1").required(),
        field("interval_unit", Kind::OneOf(&["day", "month", "year"]), "Unit of the interval.", "\"month\"").required(),
    ],
    attributes: None,
    pages: &["Create a Plan", "Update a Plan", "Delete a Plan", "List Plans"],
};
