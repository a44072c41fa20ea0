//! Custom attributes of customers, one a record. Vendor pages: "Add Custom Attributes to a Customer", "Update Custom Attributes
//! of a Customer", "Remove Custom Attributes from a Customer".
//!
//! Quirks. The POST that first makes a key in the account fixes its type (documented), so that every POST says one. A POST
//! leaves keys that it does not name alone (documented by its examples); that it overwrites a value of a key that is there is
//! not documented: where its answer shows the old value, PUT sets it (recorded), as it does where a PATCH of the customer
//! leaves a Boolean at true.

use serde_json::Value;

use super::common;
use super::customers::{self, remove_attributes, set_attributes};
use super::json::{attribute_list, attribute_map};
use super::request::{Look, Method, Request};
use super::resource::{AttributeType, Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::mapping::attributes::{key_is_legal, push_typed};
use crate::mapping::values::push_json_text;
use crate::outcome::Fault;
use crate::plan::{Attribute, Body, MatchBy, Mode, Need, Plan, Record, Target, attributes_not_taken};

/// The object.
#[derive(Debug)]
pub struct CustomAttributes;

impl Object for CustomAttributes {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["customer_external_id", "key"], &["customer_uuid", "key"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert | Mode::Update => &[common::CUSTOMER_NAMES, &["key"], &["value"]],
            Mode::Delete => &[common::CUSTOMER_NAMES, &["key"]],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1 look-up per customer, then 1 for all that stand together; 0 when the customer has the key",
            Mode::Upsert => "1 look-up per customer, then 1 for all that stand together; 0 when nothing differs",
            Mode::Update => "1 look-up per customer, then 1; 0 when nothing differs or the customer lacks the key",
            Mode::Delete => "1 look-up per customer, then 1; 0 when the customer lacks the key",
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        common::match_part(fields, "key")
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let customer = common::customer(&mut record, Need::Values, "an attribute belongs to a customer");
        let key = record.text("key");
        match &key {
            None => record.require("key", "the record is about one attribute"),
            Some(key) if !key_is_legal(key) => {
                let text = "an attribute's key has letters, digits and underscores only";
                record.faults.push(Fault::field(Code::AttributeKey, "key", text));
            }
            Some(_) => {}
        }
        let set = if how.mode == Mode::Delete { Some(Set::Nothing) } else { set(&mut record) };
        let mut body = Body::default();
        if let (Some(key), Some(set)) = (&key, &set) {
            push(&mut body, set.of(key));
        }
        record.body = body;
        common::finish(record, how.mode, Some(Target::Part), customer)
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        None
    }

    fn is_there(&self, plan: &Plan, existing: &Existing) -> bool {
        let mut attributes = plan.body.attributes().peekable();
        let there = |attribute: Attribute<'_>| attribute.kind.is_some() && has(existing, attribute.key) == Some(true);
        attributes.peek().is_some() && attributes.all(there)
    }

    fn can_be_updated(&self, plan: &Plan, existing: &Existing) -> bool {
        plan.body.attributes().all(|attribute| attribute.kind.is_none() || has(existing, attribute.key) != Some(false))
    }

    fn create(&self, _plan: &Plan, _at: &At<'_>) -> Asked<Option<Request>> {
        Ok(None)
    }

    fn change(&self, plan: &Plan, _at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let known = existing.known.as_deref();
        let wanted = |attribute: &Attribute<'_>| match plan.mode {
            Mode::Insert if attribute.kind.is_some() => has(existing, attribute.key) != Some(true),
            _ => known.and_then(|known| known.holds_attribute(attribute)) != Some(true),
        };
        let (set, removed): (Vec<_>, Vec<_>) =
            plan.body.attributes().filter(wanted).partition(|attribute| attribute.kind.is_some());
        let set = attribute_list(set.into_iter(), true).map(|list| set_attributes(Method::Post, &existing.uuid, &list));
        let removed: Vec<&str> = removed.iter().map(|attribute| attribute.key).collect();
        let removed = (!removed.is_empty()).then(|| remove_attributes(&existing.uuid, &removed));
        Ok(set.into_iter().chain(removed).collect())
    }

    fn delete(&self, plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        let keys: Vec<&str> =
            plan.body.attributes().map(|attribute| attribute.key).filter(|key| has(existing, key) != Some(false)).collect();
        if keys.is_empty() { Vec::new() } else { vec![remove_attributes(&existing.uuid, &keys)] }
    }

    /// PUT needs the attribute to exist (documented): one that the answer does not show at all can only be told.
    fn repair(&self, plan: &Plan, at: &At<'_>, entry: &Value) -> Vec<Request> {
        let Some(held) = entry["custom"].as_object() else { return Vec::new() };
        let left = attributes_not_taken(plan, held).into_iter().filter(|attribute| held.contains_key(attribute.key));
        attribute_map(left).map(|map| set_attributes(Method::Put, at.parent(), &map)).into_iter().collect()
    }

    fn attributes_on(&self) -> Option<&'static Resource> {
        Some(&customers::RESOURCE)
    }

    fn attribute_field(&self, _key: &str) -> String {
        // The key is a value of the record.
        "value".to_owned()
    }

    /// Each row of an update depends on whether its own key is there.
    fn joins(&self, plan: &Plan, object: &str, next: &Plan) -> bool {
        object == RESOURCE.name && plan.mode != Mode::Update && common::alike(plan, next)
    }

    fn join(&self, plan: &Plan, others: &[(&str, &Plan)]) -> Option<Plan> {
        let mut body = plan.body.clone();
        for attribute in others.iter().flat_map(|(_, other)| other.body.attributes()) {
            if body.attributes().any(|earlier| earlier.key == attribute.key && !attribute.stands_for(&earlier)) {
                return None;
            }
            // What an earlier row inserted is there for a later one.
            if plan.mode == Mode::Insert && body.attributes().any(|known| known.key == attribute.key && known.kind.is_some()) {
                continue;
            }
            push(&mut body, attribute);
        }
        Some(Plan { body, ..plan.clone() })
    }

    fn counted_in(&self) -> (&'static Resource, fn(&Value) -> usize) {
        (&customers::RESOURCE, |customer| customer["attributes"]["custom"].as_object().map_or(0, serde_json::Map::len))
    }

    fn apart(&self) -> &'static [&'static str] {
        &["customer_uuid"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","key":"seats","type":"Integer","value":3}"#,
            r#"{"customer_uuid":"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb","key":"channel","value":"ads"}"#,
        ]
    }
}

/// What an attribute is set to.
enum Set {
    /// A value of this type, as JSON, and as it came where the row does not say the type.
    Value(AttributeType, String, Option<String>),
    /// It is removed.
    Nothing,
}

impl Set {
    fn of<'s>(&'s self, key: &'s str) -> Attribute<'s> {
        match self {
            Self::Value(kind, value, given) => Attribute { key, value, kind: Some(*kind), given: given.as_deref() },
            Self::Nothing => Attribute { key, value: "null", kind: None, given: None },
        }
    }
}

/// What the record sets its attribute to; `None` when to nothing at all, or when a fault was found.
fn set(record: &mut Record) -> Option<Set> {
    if record.is_faulty("value") || record.is_faulty("type") {
        return None;
    }
    if !record.has("value") {
        record.require("value", "an attribute is set to a value; null removes it where `nulls` is `clear`");
        return None;
    }
    let wanted: Option<AttributeType> = record.value("type").and_then(|text| serde_json::from_str(text).ok());
    // As for attributes in columns: an empty text stands for null wherever a text is not what is wanted.
    let empty = |raw: &str| raw == "\"\"" && wanted.is_some_and(|wanted| wanted != AttributeType::String);
    let Some(raw) = record.value("value").filter(|raw| !empty(raw)) else {
        return record.clears().then_some(Set::Nothing);
    };
    let mut out = String::with_capacity(raw.len() + 4);
    match push_typed("value", raw, wanted, &mut out) {
        Ok(kind) => {
            let given = wanted.is_none().then(|| raw.to_owned());
            Some(Set::Value(kind, out, given))
        }
        Err(fault) => {
            record.faults.push(fault);
            None
        }
    }
}

/// The last of equal keys counts. The key is a value of the record too, that the log must not show.
fn push(body: &mut Body, attribute: Attribute<'_>) {
    let Attribute { key, value, kind, given } = attribute;
    let pushed: Result<(), ()> = body.push_attribute(key, given, |out| {
        out.push_str(value);
        Ok(kind)
    });
    let noted: Result<(), ()> = body.push(Slot { field: RESOURCE.slot("key").unwrap_or_default(), inner: None }, |out| {
        push_json_text(key, out);
        Ok(())
    });
    debug_assert!(pushed.is_ok() && noted.is_ok());
}

/// Whether the customer has a value of this key; `None` when its attributes are not known.
fn has(existing: &Existing, key: &str) -> Option<bool> {
    existing.known.as_ref()?.has_attribute(key)
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "custom_attributes",
    summary: "Custom attributes of customers, one a record.",
    path: "/customers",
    id: "uuid",
    uuid_prefix: "",
    list_root: "entries",
    filters: &[],
    calls: Calls {
        create: "set attributes",
        read: "",
        look_up: "look up customers",
        list: "list customers",
        update: "set attributes",
        delete: "remove attributes",
    },
    statuses: Statuses { created: 200, updated: 200, deleted: 204 },
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
        field("key", Kind::Text, "The attribute's key: letters, digits and underscores.", "\"seats\"").required(),
        field(
            "type",
            Kind::OneOf(&["String", "Integer", "Decimal", "Timestamp", "Boolean"]),
            "The attribute's type; left out, what the account shows of the attribute says it, else the JSON value.",
            "\"Integer\"",
        ),
        field("value", Kind::Scalar, "The value; null removes the attribute where `nulls` is `clear`.", "3").required(),
    ],
    attributes: None,
    pages: &[
        "Add Custom Attributes to a Customer",
        "Update Custom Attributes of a Customer",
        "Remove Custom Attributes from a Customer",
    ],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::tests::{how, plan_with, refs};
    use crate::plan::Nulls;

    fn row(key: &str, value: &Value) -> Value {
        json!({"customer_external_id": "a", "key": key, "value": value})
    }

    fn plan(mode: Mode, row: &Value) -> Plan {
        plan_with(&CustomAttributes, mode, Nulls::Clear, row).unwrap()
    }

    fn faults(row: &Value) -> Vec<(String, Code)> {
        let faults = plan_with(&CustomAttributes, Mode::Upsert, Nulls::Ignore, row).unwrap_err();
        faults.into_iter().map(|fault| (fault.field.unwrap(), fault.code)).collect()
    }

    fn customer(custom: Option<&Value>) -> Existing {
        let known = custom.map(|custom| {
            let entry = json!({"uuid": "cus", "attributes": {"tags": [], "custom": custom}});
            std::rc::Rc::new(customers::Customers.know(&entry, "").unwrap())
        });
        Existing { uuid: "cus".into(), known }
    }

    fn words(requests: &[Request]) -> Vec<String> {
        requests.iter().map(|request| format!("{} {}", request.method.as_str(), request.body.as_deref().unwrap())).collect()
    }

    /// What a plan sends for a customer with these attributes.
    fn sent(plan: &Plan, custom: Option<&Value>) -> Vec<String> {
        let (refs, how) = (refs(plan), how(plan.mode));
        let (at, existing) = (At { data_source: "", refs: &refs, how: &how }, customer(custom));
        words(&match plan.mode {
            Mode::Delete => CustomAttributes.delete(plan, &at, &existing),
            _ => CustomAttributes.change(plan, &at, &existing).unwrap(),
        })
    }

    #[test]
    fn a_value_is_set_with_its_type_where_it_is_not_held() {
        let set = plan(Mode::Upsert, &row("pro", &json!(false)));
        assert_eq!(
            sent(&set, Some(&json!({"pro": true}))),
            [r#"POST {"custom":[{"type":"Boolean","key":"pro","value":false}]}"#]
        );
        assert_eq!(sent(&set, Some(&json!({"pro": false}))), [""; 0]);
        assert_eq!(sent(&set, None).len(), 1);
        let mut typed = row("seats", &json!("12.0"));
        typed["type"] = json!("integer");
        let body = r#"POST {"custom":[{"type":"Integer","key":"seats","value":12}]}"#;
        assert_eq!(sent(&plan(Mode::Upsert, &typed), Some(&json!({}))), [body]);
        typed["value"] = json!("soon");
        assert_eq!(faults(&typed), [("value".to_owned(), Code::AttributeType)]);
    }

    #[test]
    fn what_an_answer_shows_was_not_taken_is_put_where_the_key_is_there() {
        let plan = plan(Mode::Upsert, &row("pro", &json!(false)));
        let (refs, how) = (refs(&plan), how(plan.mode));
        let at = At { data_source: "", refs: &refs, how: &how };
        let repair = |held: Value| words(&CustomAttributes.repair(&plan, &at, &json!({"custom": held})));
        assert_eq!(repair(json!({"pro": true, "x": 1})), [r#"PUT {"custom":{"pro":false}}"#]);
        assert_eq!(repair(json!({"pro": false})), [""; 0]);
        assert_eq!(repair(json!({"x": 1})), [""; 0]);
    }

    #[test]
    fn a_null_removes_only_where_nulls_clear_and_an_absent_value_is_a_fault() {
        let null = row("pro", &Value::Null);
        assert_eq!(sent(&plan(Mode::Upsert, &null), Some(&json!({"pro": 1}))), [r#"DELETE {"custom":["pro"]}"#]);
        assert_eq!(sent(&plan(Mode::Upsert, &null), Some(&json!({}))), [""; 0]);
        let ignored = plan_with(&CustomAttributes, Mode::Upsert, Nulls::Ignore, &null).unwrap();
        assert_eq!(sent(&ignored, Some(&json!({"pro": 1}))), [""; 0]);
        let mut empty = row("pro", &json!(""));
        assert_eq!(sent(&plan(Mode::Upsert, &empty), None), [r#"POST {"custom":[{"type":"String","key":"pro","value":""}]}"#]);
        empty["type"] = json!("Integer");
        assert_eq!(sent(&plan(Mode::Upsert, &empty), None), [r#"DELETE {"custom":["pro"]}"#]);
        assert_eq!(faults(&json!({"customer_external_id": "a", "key": "pro"})), [("value".to_owned(), Code::FieldMissing)]);
        assert_eq!(faults(&row("no-key", &json!(1))), [("key".to_owned(), Code::AttributeKey)]);
        assert_eq!(faults(&row("a", &json!([1]))), [("value".to_owned(), Code::FieldType)]);
    }

    #[test]
    fn an_insert_leaves_a_key_alone_that_is_there_and_a_delete_takes_it_away() {
        let insert = plan(Mode::Insert, &row("pro", &json!(5)));
        assert!(CustomAttributes.is_there(&insert, &customer(Some(&json!({"pro": 1})))));
        assert!(!CustomAttributes.is_there(&insert, &customer(Some(&json!({})))));
        assert_eq!(sent(&insert, Some(&json!({"pro": 1}))), [""; 0]);
        assert_eq!(sent(&insert, Some(&json!({}))).len(), 1);
        let delete = plan(Mode::Delete, &json!({"customer_external_id": "a", "key": "pro"}));
        assert_eq!(sent(&delete, Some(&json!({"pro": 1}))), [r#"DELETE {"custom":["pro"]}"#]);
        assert_eq!(sent(&delete, Some(&json!({}))), [""; 0]);
    }

    #[test]
    fn records_of_one_customer_go_together_and_the_last_of_one_key_counts() {
        let plans: Vec<Plan> = [("a", json!(1)), ("b", json!("x")), ("a", json!(2)), ("c", Value::Null)]
            .iter()
            .map(|(key, value)| plan(Mode::Upsert, &row(key, value)))
            .collect();
        let joins = |plan: &Plan, next: &Plan| CustomAttributes.joins(plan, "custom_attributes", next);
        let join = |plans: &[Plan]| {
            let others: Vec<(&str, &Plan)> = plans[1..].iter().map(|plan| ("custom_attributes", plan)).collect();
            CustomAttributes.join(&plans[0], &others).unwrap()
        };
        assert!(plans.iter().all(|plan| joins(&plans[0], plan)) && !CustomAttributes.joins(&plans[0], "tags", &plans[1]));
        let joined = join(&plans);
        assert_eq!(
            sent(&joined, Some(&json!({"c": 1}))),
            [
                r#"POST {"custom":[{"type":"Integer","key":"a","value":2},{"type":"String","key":"b","value":"x"}]}"#,
                r#"DELETE {"custom":["c"]}"#
            ]
        );
        assert_eq!(joined.refs, plans[0].refs);
        let other = plan(Mode::Upsert, &json!({"customer_external_id": "z", "key": "a", "value": 1}));
        let delete = plan(Mode::Delete, &row("a", &json!(1)));
        assert!(!joins(&plans[0], &other) && !joins(&delete, &delete));
        let inserts = [plan(Mode::Insert, &row("a", &json!(1))), plan(Mode::Insert, &row("a", &json!(2)))];
        assert!(sent(&join(&inserts), None)[0].contains("\"value\":1"));
    }
}
