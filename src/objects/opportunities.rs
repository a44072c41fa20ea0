//! Opportunities of customers. Vendor pages: "Create an Opportunity", "Update an Opportunity", "Delete an Opportunity",
//! "List Opportunities".
//!
//! Quirks. Its UUID has no prefix (recorded). It has no key of its own and hangs on the customer as a whole, not on one data
//! source. Attributes are sent without a type; whether keys that were not defined in the app are dropped, as they are for
//! contacts (recorded 2023), is unknown here, so that they are taken to be. What the API says of an unknown owner, pipeline or
//! stage is unknown: it is left to the API.

use serde_json::Value;

use super::common;
use super::request::{Look, Request, Scope};
use super::resource::{AttributeForm, Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::plan::{Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct Opportunities;

impl Object for Opportunities {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["pipeline", "estimated_close_date"], &["pipeline"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[
                common::CUSTOMER_NAMES,
                &["owner"],
                &["pipeline"],
                &["pipeline_stage"],
                &["estimated_close_date"],
                &["currency"],
                &["amount_in_cents"],
            ],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        common::requests_of_child(mode)
    }

    fn is_keyless(&self) -> bool {
        true
    }

    fn plan(&self, record: Record, how: &How) -> Asked<Plan> {
        common::keyless_child(record, &RESOURCE, how, "an opportunity belongs to a customer")
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, at: &At<'_>) -> Option<Look> {
        Some(common::look_of_customer(&RESOURCE, at.parent()))
    }

    fn listing(&self, _data_source: &str) -> Option<Look> {
        Some(Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list))
    }

    fn listed_under(&self, entry: &Value) -> Option<Scope> {
        entry["customer_uuid"].as_str().map(|customer| Scope::of(RESOURCE.name, customer))
    }

    /// One that stays as it is is not written.
    fn needs_known(&self, _plan: &Plan) -> bool {
        true
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        common::create(&RESOURCE, plan, &[("customer_uuid", at.parent())], &[])
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        Ok(common::change(&RESOURCE, plan, at, existing, &[]))
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","owner":"owner@example.com","pipeline":"New Business","pipeline_stage":"Discovery","estimated_close_date":"2026-03-30","currency":"USD","amount_in_cents":200000,"type":"recurring","forecast_category":"pipeline","win_likelihood":30,"from_campaign":true}"#,
        ]
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "opportunities",
    summary: "Opportunities of customers in a sales pipeline.",
    path: "/opportunities",
    id: "uuid",
    uuid_prefix: "",
    list_root: "entries",
    filters: &["customer_uuid", "owner", "pipeline", "pipeline_stage"],
    calls: Calls {
        create: "create opportunity",
        read: "read opportunity",
        look_up: "look up opportunities",
        list: "list opportunities",
        update: "update opportunity",
        delete: "delete opportunity",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 200 },
    references: &[
        field(
            "uuid",
            Kind::Uuid(""),
            "ChartMogul's own UUID of the opportunity; no key is looked up for it.",
            "\"23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("owner", Kind::Email, "E-mail address of the ChartMogul user who owns it.", "\"owner@example.com\"").required(),
        field("pipeline", Kind::Text, "Name of the pipeline.", "\"New Business\"").required(),
        field("pipeline_stage", Kind::Text, "Name of the pipeline's stage.", "\"Discovery\"").required(),
        field("estimated_close_date", Kind::Date, "When it is expected to close.", "\"2026-03-30\"").required(),
        field("currency", Kind::Currency, "Currency of the amount.", "\"USD\"").required(),
        field("amount_in_cents", Kind::Cents, "Amount.", "200000").required(),
        field("type", Kind::OneOf(&["recurring", "one-time", "arr"]), "What the amount is.", "\"recurring\""),
        field(
            "forecast_category",
            Kind::OneOf(&["pipeline", "best_case", "committed", "lost", "won"]),
            "Where it stands in the forecast.",
            "\"pipeline\"",
        ),
        field("win_likelihood", Kind::Integer(0, 100), "Likelihood of winning it, in per cent.", "30"),
        field(
            "custom",
            Kind::Attributes,
            "Attributes of opportunities that were defined in the app.",
            "{\"from_campaign\":true}",
        )
        .not_kept(),
    ],
    attributes: Some(AttributeForm::Untyped),
    pages: &["Create an Opportunity", "Update an Opportunity", "Delete an Opportunity", "List Opportunities"],
};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::errors::Code;
    use crate::objects::tests::{plan_with, requests};
    use crate::plan::Nulls;

    fn row() -> Value {
        serde_json::from_str(Opportunities.examples()[0]).unwrap()
    }

    fn change(row: &Value, entry: &Value) -> Vec<String> {
        requests(&Opportunities, &plan_with(&Opportunities, Mode::Upsert, Nulls::Clear, row).unwrap(), Some(entry)).1
    }

    fn entry(custom: &Value) -> Value {
        let mut entry = row();
        let map = entry.as_object_mut().unwrap();
        map.remove("from_campaign");
        map.insert("uuid".to_owned(), json!("23740208-2c7e-11ee-9ea2-ffd2435982bb"));
        map.insert("custom".to_owned(), custom.clone());
        entry
    }

    #[test]
    fn all_that_a_create_needs_is_named_at_once_before_anything_is_looked_up() {
        let faults = plan_with(&Opportunities, Mode::Insert, Nulls::Ignore, &json!({"win_likelihood": 101})).unwrap_err();
        let mut named: Vec<(&str, Code)> = faults.iter().map(|fault| (fault.field.as_deref().unwrap(), fault.code)).collect();
        named.sort_unstable();
        assert_eq!(
            named,
            [
                ("amount_in_cents", Code::FieldMissing),
                ("currency", Code::FieldMissing),
                ("customer_external_id", Code::FieldMissing),
                ("estimated_close_date", Code::FieldMissing),
                ("owner", Code::FieldMissing),
                ("pipeline", Code::FieldMissing),
                ("pipeline_stage", Code::FieldMissing),
                ("win_likelihood", Code::FieldValue),
            ]
        );
        assert!(
            plan_with(&Opportunities, Mode::Update, Nulls::Ignore, &json!({"customer_external_id": "a", "owner": "a@b.test"}))
                .is_ok()
        );
    }

    #[test]
    fn an_attribute_goes_alone_only_where_its_key_is_seen_to_be_kept() {
        let same = row();
        assert_eq!(change(&same, &entry(&json!({"from_campaign": true}))), [""; 0]);
        assert_eq!(change(&same, &entry(&json!({}))), [""; 0]);
        let patch = "PATCH /opportunities/the-uuid ";
        let custom = r#""custom":[{"key":"from_campaign","value":true}]"#;
        assert_eq!(change(&same, &entry(&json!({"from_campaign": false}))), [format!("{patch}{{{custom}}}")]);
        let mut other = row();
        other["amount_in_cents"] = json!(5);
        assert_eq!(change(&other, &entry(&json!({}))), [format!("{patch}{{\"amount_in_cents\":5,{custom}}}")]);
        let mut removed = row();
        removed["from_campaign"] = Value::Null;
        assert_eq!(change(&removed, &entry(&json!({}))), [""; 0]);
        let null = r#""custom":[{"key":"from_campaign","value":null}]"#;
        assert_eq!(change(&removed, &entry(&json!({"from_campaign": true}))), [format!("{patch}{{{null}}}")]);
    }
}
