//! Short forms for the tests of the billing side.

use serde_json::{Value, json};

use crate::sandbox::testing::{customer, must, send, unlimited};
use crate::sandbox::{DATA_SOURCE_UUID, Options, Sandbox};

/// A sandbox of two data sources, with customer `c` and the monthly plan `p` in the first, and their UUIDs.
pub(super) struct Account {
    pub(super) sandbox: Sandbox,
    pub(super) customer: String,
    pub(super) plan: String,
}

impl Account {
    pub(super) async fn new() -> Account {
        let sandbox = unlimited(Options { data_sources: vec!["Sandbox".into(), "Other".into()], ..Options::default() });
        let customer = customer(&sandbox, "c", json!({})).await;
        let account = Account { sandbox, customer, plan: String::new() };
        let plan = account.plan("p").await;
        Account { plan, ..account }
    }

    pub(super) async fn send(&self, line: &str, body: impl Into<Option<Value>>) -> (u16, Value) {
        send(&self.sandbox, line, body).await
    }

    pub(super) async fn must(&self, line: &str, body: impl Into<Option<Value>>) -> Value {
        must(&self.sandbox, line, body).await
    }

    /// Makes a monthly plan and gives its UUID.
    pub(super) async fn plan(&self, external_id: &str) -> String {
        let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": external_id, "name": "Pro",
            "interval_count": 1, "interval_unit": "month"});
        self.must("POST /v1/plans", body).await["uuid"].as_str().unwrap().to_owned()
    }

    /// A line item of subscription `s`.
    pub(super) fn line_item(&self, more: Value) -> Value {
        let body = json!({"type": "subscription", "external_id": "l", "amount_in_cents": 9900, "plan_uuid": self.plan,
            "subscription_external_id": "s", "service_period_start": "2026-01-01", "service_period_end": "2026-02-01"});
        with(body, more)
    }

    /// An invoice with that line item.
    pub(super) fn invoice(&self, more: Value) -> Value {
        let line_items = [self.line_item(json!({}))];
        with(json!({"external_id": "i", "date": "2026-01-01", "currency": "USD", "line_items": line_items}), more)
    }

    pub(super) async fn import(&self, invoices: &[Value]) -> (u16, Value) {
        let line = format!("POST /v1/import/customers/{}/invoices", self.customer);
        self.send(&line, json!({"invoices": invoices})).await
    }

    /// Imports one invoice, which has to be taken, and shows it.
    pub(super) async fn imported(&self, invoice: Value) -> Value {
        let (status, answer) = self.import(&[invoice]).await;
        assert_eq!(status, 201, "{answer}");
        answer["invoices"][0].clone()
    }

    /// What the import view of the customer's subscriptions shows.
    pub(super) async fn subscriptions(&self) -> Vec<Value> {
        let list = format!("GET /v1/import/customers/{}/subscriptions", self.customer);
        self.must(&list, None).await["subscriptions"].as_array().unwrap().clone()
    }

    /// How many there are of each kind that is asked for.
    pub(super) fn counts<const N: usize>(&self, kinds: [&str; N]) -> [usize; N] {
        let dump = self.sandbox.dump();
        kinds.map(|kind| dump[kind].as_array().unwrap().len())
    }
}

/// The body with some keys set otherwise.
pub(super) fn with(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more} is no object") };
    body.as_object_mut().unwrap().extend(more);
    body
}

/// One field of each entry.
pub(super) fn each(entries: &Value, field: &str) -> Vec<Value> {
    entries.as_array().unwrap().iter().map(|entry| entry[field].clone()).collect()
}
