//! The form of an import: what is refused before anything is processed.
//!
//! Documented on the page "Import Data in Bulk" by examples only. What none of them shows is refused at once, which is the
//! strict side: elsewhere stray keys are ignored (recorded). Values are not looked at here: documented is that the call does
//! not reject invalid objects.

use serde_json::{Map, Value};

use crate::sandbox::answers::{Reply, invalid, missing, refused_field};

/// The longest external id; unknown, as for all texts.
const MAX_ID: usize = 255;

/// What can be imported, in the order in which it is processed: what others refer to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Plans,
    Customers,
    Invoices,
    LineItems,
    Transactions,
    Events,
}

impl Kind {
    const ALL: &[Kind] = &[Kind::Plans, Kind::Customers, Kind::Invoices, Kind::LineItems, Kind::Transactions, Kind::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Plans => "plans",
            Kind::Customers => "customers",
            Kind::Invoices => "invoices",
            Kind::LineItems => "line_items",
            Kind::Transactions => "transactions",
            Kind::Events => "subscription_events",
        }
    }

    /// The fields of the documented examples. A line item is the only one that is shown without an external id.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Kind::Plans => &["external_id", "name", "interval_count", "interval_unit"],
            Kind::Customers => &[
                "external_id",
                "name",
                "email",
                "country",
                "state",
                "city",
                "zip",
                "company",
                "lead_created_at",
                "free_trial_started_at",
            ],
            // The collection method is in the example of an official client.
            Kind::Invoices => &["external_id", "customer_external_id", "date", "due_date", "currency", "collection_method"],
            Kind::LineItems => &[
                "external_id",
                "invoice_external_id",
                "type",
                "amount_in_cents",
                "quantity",
                "plan_external_id",
                "subscription_external_id",
                "subscription_set_external_id",
                "service_period_start",
                "service_period_end",
                "discount_code",
                "discount_amount_in_cents",
                "tax_amount_in_cents",
                "transaction_fees_in_cents",
                "transaction_fees_currency",
                "description",
            ],
            Kind::Transactions => &["external_id", "invoice_external_id", "type", "result", "date", "amount_in_cents"],
            Kind::Events => &[
                "external_id",
                "customer_external_id",
                "subscription_external_id",
                "subscription_set_external_id",
                "plan_external_id",
                "event_type",
                "event_date",
                "effective_date",
                "currency",
                "amount_in_cents",
                "quantity",
                "tax_amount_in_cents",
            ],
        }
    }
}

/// One object of an import.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) kind: Kind,
    pub(super) body: Map<String, Value>,
}

impl Sent {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str)
    }
}

/// An import that may be taken: its external id, and its objects in the order in which they are processed.
pub(super) fn read(mut body: Map<String, Value>) -> Result<(String, Vec<Sent>), Box<Reply>> {
    let external_id = match body.remove("external_id") {
        None | Some(Value::Null) => return Err(missing("external_id")),
        Some(value) => value.as_str().filter(|id| is_id(id)).ok_or_else(|| invalid("external_id"))?.to_owned(),
    };
    let mut sent = Vec::new();
    for kind in Kind::ALL {
        let objects = match body.remove(kind.name()) {
            None => continue,
            Some(Value::Array(objects)) => objects,
            Some(_) => return Err(invalid(kind.name())),
        };
        for object in objects {
            let Value::Object(object) = object else { return Err(invalid(kind.name())) };
            check(*kind, &object)?;
            sent.push(Sent { kind: *kind, body: object });
        }
    }
    if let Some(stray) = body.keys().next() {
        return Err(refused_field(stray, "is not supported"));
    }
    if sent.is_empty() {
        // Unknown; no example shows an import of nothing.
        return Err(refused_field("base", "nothing to import"));
    }
    Ok((external_id, sent))
}

fn check(kind: Kind, object: &Map<String, Value>) -> Result<(), Box<Reply>> {
    let at = |field: &str| format!("{}.{field}", kind.name());
    if let Some(stray) = object.keys().find(|field| !kind.fields().contains(&field.as_str())) {
        return Err(refused_field(&at(stray), "is not supported"));
    }
    match object.get("external_id") {
        None | Some(Value::Null) if kind == Kind::LineItems => Ok(()),
        None | Some(Value::Null) => Err(missing(&at("external_id"))),
        Some(Value::String(id)) if is_id(id) => Ok(()),
        Some(_) => Err(refused_field(&at("external_id"), "is invalid")),
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= MAX_ID
}
