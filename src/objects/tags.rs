//! Tags of customers, one a record. Vendor pages: "Add Tags to a Customer", "Remove Tags".
//!
//! Quirks. A tag is no object of its own but a word on a customer. Adding is additive and harmless to repeat (documented);
//! what removing an absent tag does is unknown, so that it is not asked for where the tags are known. Tags that others put
//! there stay: ChartMogul sets some itself (recorded).

use serde_json::Value;

use super::common;
use super::customers::{self, tags_request};
use super::request::{Look, Method, Request};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::mapping::Slot;
use crate::mapping::values::push_json_text;
use crate::plan::{Body, MatchBy, Mode, Need, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct Tags;

impl Object for Tags {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["customer_external_id", "tag"], &["customer_uuid", "tag"]]
    }

    fn required(&self, _mode: Mode) -> &'static [&'static [&'static str]] {
        &[common::CUSTOMER_NAMES, &["tag"]]
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1 look-up per customer, then 1 for all that stand together; 0 when the customer has the tag",
            Mode::Upsert => "1 look-up per customer, then 1 for all that stand together; 0 when nothing differs",
            Mode::Update => "1 look-up per customer, then 1 for all that stand together; 0 where no tag is removed",
            Mode::Delete => "1 look-up per customer, then 1; 0 when the customer lacks the tag",
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        common::match_part(fields, "tag")
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let customer = common::customer(&mut record, Need::Values, "a tag is put on a customer");
        let tag = record.text("tag").map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty());
        if tag.is_none() {
            record.require("tag", "the record is about one tag");
        }
        let remove = record.value("remove") == Some("true");
        record.body = body(tag.iter().map(String::as_str), remove);
        common::finish(record, how.mode, Some(Target::Part), customer)
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        None
    }

    fn is_there(&self, plan: &Plan, existing: &Existing) -> bool {
        !removes(plan) && tags_of(plan).iter().all(|tag| has(existing, tag) == Some(true))
    }

    fn can_be_updated(&self, plan: &Plan, existing: &Existing) -> bool {
        removes(plan) || tags_of(plan).iter().all(|tag| has(existing, tag) != Some(false))
    }

    fn create(&self, _plan: &Plan, _at: &At<'_>) -> Asked<Option<Request>> {
        Ok(None)
    }

    fn change(&self, plan: &Plan, _at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let remove = removes(plan);
        let mut tags = tags_of(plan);
        tags.retain(|tag| has(existing, tag).is_none_or(|there| there == remove));
        let method = if remove { Method::Delete } else { Method::Post };
        Ok(if tags.is_empty() { Vec::new() } else { vec![tags_request(method, &existing.uuid, &tags)] })
    }

    fn delete(&self, plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        let mut tags = tags_of(plan);
        tags.retain(|tag| has(existing, tag) != Some(false));
        if tags.is_empty() { Vec::new() } else { vec![tags_request(Method::Delete, &existing.uuid, &tags)] }
    }

    /// Each row of an update depends on whether its own tag is there, unless it is to be removed.
    fn joins(&self, plan: &Plan, object: &str, next: &Plan) -> bool {
        let each = plan.mode == Mode::Update && !removes(plan);
        object == RESOURCE.name && !each && common::alike(plan, next) && removes(plan) == removes(next)
    }

    fn join(&self, plan: &Plan, others: &[(&str, &Plan)]) -> Option<Plan> {
        let mut tags = tags_of(plan);
        for tag in others.iter().flat_map(|(_, other)| tags_of(other)) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Some(Plan { body: body(tags.iter().map(String::as_str), removes(plan)), ..plan.clone() })
    }

    fn counted_in(&self) -> (&'static Resource, fn(&Value) -> usize) {
        (&customers::RESOURCE, |customer| customer["attributes"]["tags"].as_array().map_or(0, Vec::len))
    }

    fn apart(&self) -> &'static [&'static str] {
        &["customer_uuid", "remove"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","tag":"vip"}"#,
            r#"{"customer_uuid":"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb","tag":"trial","remove":true}"#,
        ]
    }
}

fn slot(name: &str) -> Slot {
    Slot { field: RESOURCE.slot(name).unwrap_or_default(), inner: None }
}

/// What is written: the tags, and whether they are to be removed.
fn body<'t>(tags: impl Iterator<Item = &'t str>, remove: bool) -> Body {
    let mut body = Body::default();
    let mut push = |name, text: &str, quoted: bool| {
        let pushed: Result<(), ()> = body.push(slot(name), |out| {
            if quoted {
                push_json_text(text, out);
            } else {
                out.push_str(text);
            }
            Ok(())
        });
        debug_assert!(pushed.is_ok());
    };
    for tag in tags {
        push("tag", tag, true);
    }
    if remove {
        push("remove", "true", false);
    }
    body
}

/// The tags of a plan: one, or those of several records that were joined.
fn tags_of(plan: &Plan) -> Vec<String> {
    let at = slot("tag");
    plan.body.fields().filter(|(slot, _)| *slot == at).filter_map(|(_, text)| serde_json::from_str(text).ok()).collect()
}

fn removes(plan: &Plan) -> bool {
    plan.body.get(slot("remove")) == Some("true")
}

/// Whether the customer has the tag; `None` when its tags are not known.
fn has(existing: &Existing, tag: &str) -> Option<bool> {
    let tags = existing.known.as_ref()?.members()?;
    Some(tags.iter().any(|known| known.as_ref() == tag))
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "tags",
    summary: "Tags of customers, one a record.",
    path: "/customers",
    id: "uuid",
    uuid_prefix: "",
    list_root: "entries",
    filters: &[],
    calls: Calls {
        create: "add tags",
        read: "",
        look_up: "look up customers",
        list: "",
        update: "add tags",
        delete: "remove tags",
    },
    statuses: Statuses { created: 200, updated: 200, deleted: 200 },
    references: &[
        field("customer_external_id", Kind::ExternalId, "Your key of the customer.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("tag", Kind::Text, "The tag.", "\"vip\"").required(),
        field("remove", Kind::Boolean, "Whether the tag is taken away instead of put there.", "true"),
    ],
    attributes: None,
    pages: &["Add Tags to a Customer", "Remove Tags"],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::errors::Code;
    use crate::objects::tests::{how, plan_with, refs};
    use crate::plan::Nulls;

    fn plan(mode: Mode, row: &Value) -> Plan {
        plan_with(&Tags, mode, Nulls::Ignore, row).unwrap()
    }

    fn row(tag: &str, remove: bool) -> Value {
        json!({"customer_external_id": "a", "tag": tag, "remove": remove})
    }

    fn customer(tags: Option<&Value>) -> Existing {
        let known = tags.map(|tags| {
            let entry = json!({"uuid": "cus", "attributes": {"tags": tags, "custom": {}}});
            std::rc::Rc::new(customers::Customers.know(&entry, "").unwrap())
        });
        Existing { uuid: "cus".into(), known }
    }

    /// What a plan sends for a customer.
    fn sent(plan: &Plan, existing: &Existing) -> Vec<String> {
        let (refs, how) = (refs(plan), how(plan.mode));
        let at = At { data_source: "", refs: &refs, how: &how };
        let requests = match plan.mode {
            Mode::Delete => Tags.delete(plan, &at, existing),
            _ => Tags.change(plan, &at, existing).unwrap(),
        };
        requests.iter().map(|request| format!("{} {}", request.method.as_str(), request.body.as_deref().unwrap())).collect()
    }

    #[test]
    fn a_tag_is_sent_only_where_it_changes_something() {
        let has = json!(["vip", "old"]);
        let add = plan(Mode::Upsert, &row(" vip ", false));
        let remove = plan(Mode::Update, &row("vip", true));
        let delete = plan(Mode::Delete, &row("vip", false));
        assert_eq!(sent(&add, &customer(Some(&has))), [""; 0]);
        assert_eq!(sent(&add, &customer(Some(&json!(["old"])))), [r#"POST {"tags":["vip"]}"#]);
        assert_eq!(sent(&add, &customer(None)), [r#"POST {"tags":["vip"]}"#]);
        for plan in [&remove, &delete] {
            assert_eq!(sent(plan, &customer(Some(&has))), [r#"DELETE {"tags":["vip"]}"#]);
            assert_eq!(sent(plan, &customer(Some(&json!([])))), [""; 0]);
            assert_eq!(sent(plan, &customer(None)), [r#"DELETE {"tags":["vip"]}"#]);
        }
        assert!(Tags.is_there(&add, &customer(Some(&has))) && !Tags.is_there(&add, &customer(Some(&json!(["old"])))));
        assert!(!Tags.is_there(&remove, &customer(Some(&has))));
    }

    #[test]
    fn an_empty_tag_is_none() {
        let faults = plan_with(&Tags, Mode::Upsert, Nulls::Ignore, &row("  ", false)).unwrap_err();
        assert_eq!((faults[0].field.as_deref(), faults[0].code), (Some("tag"), Code::FieldMissing));
    }

    #[test]
    fn records_of_one_customer_go_together_unless_one_adds_and_another_removes() {
        let add = |tag: &str| plan(Mode::Upsert, &row(tag, false));
        let joins = |plan: &Plan, next: &Plan| Tags.joins(plan, "tags", next);
        let (a, b, again) = (add("a"), add("b"), add("a"));
        assert!(joins(&a, &b) && joins(&a, &again) && !Tags.joins(&a, "contacts", &b));
        let joined = Tags.join(&a, &[("tags", &b), ("tags", &again)]).unwrap();
        assert_eq!(sent(&joined, &customer(Some(&json!(["x"])))), [r#"POST {"tags":["a","b"]}"#]);
        assert_eq!(sent(&joined, &customer(Some(&json!(["a"])))), [r#"POST {"tags":["b"]}"#]);
        assert_eq!((&joined.refs, &joined.target, joined.mode), (&a.refs, &a.target, a.mode));
        let removes = [plan(Mode::Upsert, &row("a", true)), plan(Mode::Upsert, &row("b", true))];
        assert!(!joins(&a, &removes[0]) && joins(&removes[0], &removes[1]));
        let joined = Tags.join(&removes[0], &[("tags", &removes[1])]).unwrap();
        assert_eq!(sent(&joined, &customer(None)), [r#"DELETE {"tags":["a","b"]}"#]);
        let other = plan(Mode::Upsert, &json!({"customer_external_id": "z", "tag": "a"}));
        let deletes = [plan(Mode::Delete, &row("a", false)), plan(Mode::Delete, &row("b", false))];
        assert!(!joins(&a, &other) && !joins(&deletes[0], &deletes[1]));
    }

    #[test]
    fn tags_are_counted_within_customers() {
        let (resource, count) = Tags.counted_in();
        assert_eq!(resource.name, "customers");
        assert_eq!((count(&json!({"attributes": {"tags": ["a", "b"]}})), count(&json!({}))), (2, 0));
    }
}
