//! Merges of customers. Vendor page: "Merge Customers".
//!
//! Quirks. A merge is answered with a 202 and an empty object (recorded), so that it happens later; how much later is
//! unknown. What it leaves (recorded 2023): one customer, that keeps its own fields and stands under the keys of both. So a
//! merge that was made shows by both external ids leading to one customer. By UUIDs it does not show: what the API says of a
//! UUID that was merged away is unknown, and it can not be told from one that never was.

use super::common::{self, refer};
use super::json::JsonObject;
use super::request::{Look, Method, Request, Shows};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::plan::{Kin, MatchBy, Mode, Need, Plan, Record, Role, Target};

/// The object.
#[derive(Debug)]
pub struct CustomerMerges;

const FROM: (&str, &str) = ("from_uuid", "from_external_id");
const INTO: (&str, &str) = ("into_uuid", "into_external_id");

impl Object for CustomerMerges {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Upsert, Mode::Insert]
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["from_external_id"], &["from_uuid"]]
    }

    fn required(&self, _mode: Mode) -> &'static [&'static [&'static str]] {
        &[&["from_external_id", "from_uuid"], &["into_external_id", "into_uuid"]]
    }

    fn requests(&self, _mode: Mode) -> &'static str {
        "1 look-up per customer, then 1; 0 when they are one already"
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        match fields {
            ["from_external_id"] => Some(MatchBy::ExternalId),
            ["from_uuid"] => Some(MatchBy::Uuid),
            _ => None,
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn makes_parents(&self) -> bool {
        false
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let [from, into] = [FROM, INTO].map(|names| {
            let side = refer(&record, Kin::Customer, names, Role::Parent, Need::Values);
            if side.is_none() && !record.is_faulty(names.0) {
                record.require(names.1, "a merge names two customers");
            }
            side
        });
        if let (Some(from), Some(into)) = (&from, &into)
            && from.by == into.by
        {
            record.refuse(into.field, format!("names the same customer as {}", from.field));
        }
        common::finish(record, how.mode, Some(Target::Part), from.into_iter().chain(into))
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        None
    }

    fn create(&self, _plan: &Plan, _at: &At<'_>) -> Asked<Option<Request>> {
        Ok(None)
    }

    fn change(&self, _plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let Some(into) = at.refs.get(1).filter(|into| into.uuid != existing.uuid) else { return Ok(Vec::new()) };
        let mut body = JsonObject::new();
        for (name, uuid) in [("from", &existing.uuid), ("into", &into.uuid)] {
            let mut side = JsonObject::new();
            side.text("customer_uuid", uuid);
            body.raw(name, &side.finish());
        }
        let request = Request::new(Method::Post, RESOURCE.path, Some(body.finish()), RESOURCE.calls.create);
        Ok(vec![request.shows(Shows::Nothing).absorbed_by(&into.uuid)])
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, _existing: &Existing) -> Vec<Request> {
        Vec::new()
    }

    fn apart(&self) -> &'static [&'static str] {
        &["from_uuid", "into_uuid"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"from_external_id":"c-1002","into_external_id":"c-1001"}"#,
            r#"{"from_uuid":"cus_c10aa086-5298-11ee-82da-ebac6f7a03c3","into_external_id":"c-1001"}"#,
        ]
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "customer_merges",
    summary: "Merges of one customer into another: the second keeps its fields and stands under the keys of both.",
    path: "/customers/merges",
    id: "uuid",
    uuid_prefix: "cus_",
    list_root: "entries",
    filters: &[],
    calls: Calls { create: "merge customers", read: "", look_up: "", list: "", update: "", delete: "" },
    statuses: Statuses { created: 202, updated: 202, deleted: 202 },
    references: &[
        field("from_external_id", Kind::ExternalId, "Your key of the customer that goes into the other.", "\"c-1002\""),
        field(
            "from_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of it, instead of your key. Gone after the merge: a second sync of the record is rejected.",
            "\"cus_c10aa086-5298-11ee-82da-ebac6f7a03c3\"",
        ),
        field("into_external_id", Kind::ExternalId, "Your key of the customer that stays.", "\"c-1001\""),
        field(
            "into_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of it, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[],
    attributes: None,
    pages: &["Merge Customers"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Resolved;
    use crate::objects::tests::{SOURCE, how, plan};
    use serde_json::{Value, json};

    fn named(row: &Value) -> Vec<String> {
        plan(&CustomerMerges, row).unwrap_err().into_iter().filter_map(|fault| fault.field).collect()
    }

    #[test]
    fn both_customers_are_needed_and_they_are_two() {
        assert_eq!(named(&json!({})), ["from_external_id", "into_external_id"]);
        assert_eq!(named(&json!({"from_external_id": "a", "into_external_id": "a"})), ["into_external_id"]);
        let uuid = "cus_c10aa086-5298-11ee-82da-ebac6f7a03c3";
        assert_eq!(named(&json!({"from_uuid": uuid, "into_uuid": uuid})), ["into_uuid"]);
        assert_eq!(named(&json!({"from_uuid": "x", "into_external_id": "a"})), ["from_uuid"]);
    }

    #[test]
    fn customers_that_are_one_already_are_left_alone_and_a_merge_says_who_stays() {
        let wanted = plan(&CustomerMerges, &json!({"from_external_id": "a", "into_external_id": "b"})).unwrap();
        let of = |uuid: &str| Resolved { uuid: uuid.into(), key: None, known: None };
        let asked = |from: &str, into: &str| {
            let (refs, how) = ([of(from), of(into)], how(Mode::Upsert));
            let at = At { data_source: SOURCE, refs: &refs, how: &how };
            CustomerMerges.change(&wanted, &at, &Existing { uuid: from.into(), known: None }).unwrap()
        };
        assert_eq!(asked("u1", "u1"), []);
        let [merge] = &asked("u1", "u2")[..] else { panic!() };
        assert_eq!(merge.body.as_deref(), Some(r#"{"from":{"customer_uuid":"u1"},"into":{"customer_uuid":"u2"}}"#));
        assert_eq!(merge.absorbed_by.as_deref(), Some("u2"));
    }
}
