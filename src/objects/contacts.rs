//! contacts

use super::resource::{AttributeForm, Kind, Resource, Statuses, field};

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "contacts",
    summary: "Contacts of customers.",
    path: "/contacts",
    uuid_prefix: "con_",
    list_root: "entries",
    filters: &["email", "customer_external_id", "customer_uuid", "data_source_uuid"],
    statuses: Statuses { created: 201, updated: 200, deleted: 200 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("con_"),
            "ChartMogul's own UUID of the contact; used without a look-up.",
            "\"con_36399f04-7686-11ee-86f6-8727560009c2\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer the contact belongs to.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the contact, unique within the customer.", "\"k-9\""),
        field("first_name", Kind::Text, "First name.", "\"Ann\""),
        field("last_name", Kind::Text, "Last name.", "\"Lee\""),
        field("position", Kind::Integer(1), "Place on the customer's page, from 1.", "1"),
        field("title", Kind::Text, "Job title.", "\"CTO\""),
        field("email", Kind::Email, "E-mail address.", "\"ann@lee.example\""),
        field("phone", Kind::Text, "Phone number.", "\"+49 30 123456\""),
        field("linked_in", Kind::Url, "LinkedIn address.", "\"https://linkedin.example/in/ann\""),
        field("twitter", Kind::Url, "Twitter address.", "\"https://twitter.example/ann\""),
        field("notes", Kind::Text, "Free text.", "\"Prefers mail\""),
        // Accepted since 2025; no recorded answer shows it.
        field("last_seen", Kind::Timestamp, "When the contact was last seen.", "\"2026-01-02T00:00:00.000Z\"").not_kept(),
        field("custom", Kind::Attributes, "Contact attributes that were defined in the app.", "{\"role\":\"admin\"}").not_kept(),
    ],
    attributes: Some(AttributeForm::Untyped),
    pages: &["Create a Contact", "Update a Contact", "List Contacts"],
};
