//! Connections of a customer's subscriptions. Vendor pages: "Connect Subscriptions", "Disconnect Subscriptions".
//!
//! Quirks. Both are answered with a 202 and an empty object (recorded), and no answer of the API shows which subscriptions
//! are connected: every record is sent, and is an update of its customer. What the API says to a subscription that does not
//! exist is unknown, so that they are looked for first. That a second sending of one connection changes nothing is assumed.

use super::common;
use super::request::{Look, Method, Request, Shows};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object, customers};
use crate::mapping::Slot;
use crate::plan::{By, Kin, MatchBy, Mode, Need, Plan, Record, Reference, Role, Target};

/// The object.
#[derive(Debug)]
pub struct SubscriptionConnections;

const SUBSCRIPTIONS: &str = "subscription_external_ids";
const DISCONNECT: &str = "disconnect";

impl Object for SubscriptionConnections {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Upsert, Mode::Insert]
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&[SUBSCRIPTIONS]]
    }

    fn required(&self, _mode: Mode) -> &'static [&'static [&'static str]] {
        &[common::CUSTOMER_NAMES, &[SUBSCRIPTIONS]]
    }

    fn requests(&self, _mode: Mode) -> &'static str {
        "1 look-up per customer, then 1"
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        let own: Vec<&str> = fields.iter().copied().filter(|name| !common::CUSTOMER_NAMES.contains(name)).collect();
        (own == [SUBSCRIPTIONS]).then_some(MatchBy::ExternalId)
    }

    fn has_own_key(&self) -> bool {
        true
    }

    /// A customer made now has no subscription.
    fn makes_parents(&self) -> bool {
        false
    }

    fn read_by(&self) -> &'static str {
        Kin::Subscription.object()
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let customer = common::customer(&mut record, Need::Uuid, "the subscriptions are those of a customer");
        let mention = |key| Reference {
            kin: Kin::Subscription,
            by: By::Key(key),
            role: Role::Mention,
            need: Need::Uuid,
            field: SUBSCRIPTIONS,
        };
        let subscriptions: Vec<Reference> = record.texts(SUBSCRIPTIONS).into_iter().map(mention).collect();
        match subscriptions.len() {
            0 => record.require(SUBSCRIPTIONS, "a connection is made of subscriptions"),
            1 => record.refuse(SUBSCRIPTIONS, "takes at least two subscriptions"),
            _ => {}
        }
        common::finish(record, how.mode, Some(Target::Part), customer.into_iter().chain(subscriptions))
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

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let subscriptions: Vec<serde_json::Value> = at
            .refs
            .iter()
            .skip(1)
            .map(|found| serde_json::json!({"data_source_uuid": at.data_source, "external_id": found.key}))
            .collect();
        let body = serde_json::json!({"subscriptions": subscriptions}).to_string();
        let slot = RESOURCE.slot(DISCONNECT).map(|field| Slot { field, inner: None });
        let (action, name) = match slot.and_then(|slot| plan.body.get(slot)) {
            Some("true") => ("disconnect_subscriptions", "disconnect subscriptions"),
            _ => ("connect_subscriptions", RESOURCE.calls.create),
        };
        let path = format!("{}/{action}", common::own_path(&customers::RESOURCE, &existing.uuid));
        Ok(vec![Request::new(Method::Post, path, Some(body), name).shows(Shows::Nothing)])
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, _existing: &Existing) -> Vec<Request> {
        Vec::new()
    }

    fn apart(&self) -> &'static [&'static str] {
        &["customer_uuid", DISCONNECT]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","subscription_external_ids":["s-77","s-78"]}"#,
            r#"{"customer_external_id":"c-1001","subscription_external_ids":["s-77","s-78"],"disconnect":true}"#,
        ]
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "subscription_connections",
    summary: "Connects subscriptions of a customer, so that they count as one, or disconnects them. Sent every time.",
    path: "/customers",
    id: "uuid",
    uuid_prefix: "",
    list_root: "subscriptions",
    filters: &[],
    calls: Calls { create: "connect subscriptions", read: "", look_up: "", list: "", update: "", delete: "" },
    statuses: Statuses { created: 202, updated: 202, deleted: 202 },
    references: &[
        field("customer_external_id", Kind::ExternalId, "Your key of the customer whose subscriptions they are.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field(
            SUBSCRIPTIONS,
            Kind::Many(&Kind::ExternalId),
            "Your keys of the subscriptions, at least two, all in the data source.",
            "[\"s-77\",\"s-78\"]",
        ),
    ],
    fields: &[field(DISCONNECT, Kind::Boolean, "Whether they are taken apart; false when left out.", "false")],
    attributes: None,
    pages: &["Connect Subscriptions", "Disconnect Subscriptions"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::tests::plan;
    use serde_json::{Value, json};

    fn named(row: &Value) -> Vec<String> {
        plan(&SubscriptionConnections, row).unwrap_err().into_iter().filter_map(|fault| fault.field).collect()
    }

    #[test]
    fn a_connection_takes_a_customer_and_two_different_subscriptions() {
        assert_eq!(named(&json!({})), ["customer_external_id", SUBSCRIPTIONS]);
        assert_eq!(named(&json!({"customer_external_id": "c", "subscription_external_ids": ["s", "s", ""]})), [SUBSCRIPTIONS]);
        assert!(
            plan(&SubscriptionConnections, &json!({"customer_external_id": "c", "subscription_external_ids": [1, "2"]})).is_ok()
        );
    }
}
