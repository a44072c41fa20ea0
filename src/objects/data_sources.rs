//! Data sources of the account. Vendor pages: "Create a Source", "List Sources".
//!
//! Quirks. A data source has a name, unique in the account, and nothing else that can be written; there is no update
//! (documented). Deleting one deletes everything in it: that is not offered. The list does not come in pages (recorded); its
//! filter `name` is documented and in no recording, so that the whole list is read, once.

use serde_json::Value;

use super::common;
use super::request::{Look, Request, Scope};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::plan::{Known, MatchBy, Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct DataSources;

impl Object for DataSources {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Upsert, Mode::Insert]
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["name"]]
    }

    fn required(&self, _mode: Mode) -> &'static [&'static [&'static str]] {
        &[&["name"]]
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1",
            _ => "1 look-up per sync, then 1; 0 when it exists",
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        (fields == ["name"]).then_some(MatchBy::ExternalId)
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let name = record.text("name");
        if name.is_none() {
            record.require("name", "a data source is made with a name and found by it");
        }
        common::finish(record, how.mode, name.map(Target::Name), None)
    }

    /// "Has already been taken" (documented by the official clients).
    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        true
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up).scope(Scope::all(RESOURCE.name));
        Some(Look { paged: false, ..look })
    }

    fn know(&self, entry: &Value, data_source: &str) -> Option<Known> {
        let mut known = Known::read(&RESOURCE, entry)?;
        known.ours = known.uuid.eq_ignore_ascii_case(data_source);
        Some(known)
    }

    fn create(&self, plan: &Plan, _at: &At<'_>) -> Asked<Option<Request>> {
        common::create(&RESOURCE, plan, &[], &[])
    }

    fn change(&self, _plan: &Plan, _at: &At<'_>, _existing: &Existing) -> Asked<Vec<Request>> {
        // All that it has is the name by which it was found.
        Ok(Vec::new())
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, _existing: &Existing) -> Vec<Request> {
        Vec::new()
    }

    fn examples(&self) -> &'static [&'static str] {
        &[r#"{"name":"Warehouse"}"#]
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "data_sources",
    summary: "Data sources of the account. They can be made; what is in one is never deleted from here.",
    path: "/data_sources",
    id: "uuid",
    uuid_prefix: "ds_",
    list_root: "data_sources",
    filters: &["name", "system"],
    calls: Calls {
        create: "create data source",
        read: "read data source",
        look_up: "list data sources",
        list: "",
        update: "",
        delete: "",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[],
    fields: &[field("name", Kind::Text, "Name, unique in the account.", "\"Warehouse\"").required()],
    attributes: None,
    pages: &["Create a Source", "List Sources"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::tests::{SOURCE, plan, requests};
    use serde_json::json;

    #[test]
    fn one_that_exists_is_left_alone_and_a_name_is_needed() {
        let wanted = plan(&DataSources, &json!({"name": "Warehouse"})).unwrap();
        let entry = json!({"uuid": SOURCE, "name": "Warehouse", "system": "Custom"});
        let (create, change) = requests(&DataSources, &wanted, Some(&entry));
        assert_eq!((create.as_deref(), change.len()), (Some(r#"POST /data_sources {"name":"Warehouse"}"#), 0));
        let faults = plan(&DataSources, &json!({"name": ""})).unwrap_err();
        assert_eq!(faults[0].field.as_deref(), Some("name"));
    }

    #[test]
    fn only_the_configured_one_proves_itself() {
        let ours = |uuid: &str| DataSources.know(&json!({"uuid": uuid, "name": "a"}), SOURCE).unwrap().ours;
        assert!(ours(SOURCE) && !ours("ds_11111111-2222-11ee-8888-333333333333"));
    }
}
