//! customers

use super::resource::{AttributeForm, Field, Kind, Resource, Statuses, field};

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "customers",
    summary: "Customers, with their custom attributes and tags.",
    path: "/customers",
    uuid_prefix: "cus_",
    list_root: "entries",
    filters: &["data_source_uuid", "external_id", "status", "system"],
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[field(
        "uuid",
        Kind::Uuid("cus_"),
        "ChartMogul's own UUID of the customer; used without a look-up.",
        "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
    )],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the customer, unique in the data source.", "\"c-1001\"").required(),
        field("name", Kind::Text, "Display name.", "\"Adam Smith\""),
        field("email", Kind::Email, "E-mail address.", "\"adam@smith.example\""),
        field("company", Kind::Text, "Company name.", "\"Smith & Sons\""),
        field("country", Kind::Country, "Country, ISO 3166-1 alpha-2.", "\"US\""),
        // Recorded 2023: a state sent for a country other than the US comes back null, without an error.
        field("state", Kind::State, "State of a US customer, ISO 3166-2.", "\"US-NY\"").not_kept(),
        field("city", Kind::Text, "City.", "\"New York\""),
        field("zip", Kind::Text, "Postal code.", "\"10001\""),
        field(
            "lead_created_at",
            Kind::Timestamp,
            "When the customer became a lead; in the past.",
            "\"2026-01-01T00:00:00.000Z\"",
        ),
        field("free_trial_started_at", Kind::Timestamp, "When the free trial began.", "\"2026-01-02T00:00:00.000Z\""),
        // Recorded 2023: an owner that is no user of the account is dropped, without an error.
        field("owner", Kind::Email, "E-mail address of a ChartMogul user.", "\"owner@example.com\"").not_kept(),
        field("status", Kind::OneOf(LEAD_STATUSES), "Lead status; the other statuses are computed.", "\"Working Lead\"")
            .not_kept(),
        field("website_url", Kind::Url, "Web address.", "\"https://smith.example\""),
        field(
            "primary_contact",
            Kind::Object(PRIMARY_CONTACT),
            "The customer's first contact.",
            "{\"first_name\":\"Adam\",\"email\":\"adam@smith.example\"}",
        )
        .not_kept(),
        field("tags", Kind::Tags, "Tags to add; tags that are there already stay.", "[\"vip\"]"),
        field("custom", Kind::Attributes, "Custom attributes, merged with those from unknown fields.", "{\"seats\":3}"),
    ],
    attributes: Some(AttributeForm::Typed),
    pages: &["Create a Customer", "Update a Customer", "Delete a Customer", "List Customers", "Adding custom attributes"],
};

/// The statuses that can be set; all others are computed from subscriptions.
const LEAD_STATUSES: &[&str] = &["New Lead", "Working Lead", "Qualified Lead", "Unqualified Lead"];

/// Fields of the nested contact.
const PRIMARY_CONTACT: &[Field] = &[
    field("first_name", Kind::Text, "First name.", "\"Adam\""),
    field("last_name", Kind::Text, "Last name.", "\"Smith\""),
    field("email", Kind::Email, "E-mail address.", "\"adam@smith.example\""),
    field("title", Kind::Text, "Job title.", "\"CEO\""),
    field("phone", Kind::Text, "Phone number.", "\"+1 555 0100\""),
    field("linked_in", Kind::Url, "LinkedIn address.", "\"https://linkedin.example/in/adam\""),
    field("twitter", Kind::Url, "Twitter address.", "\"https://twitter.example/adam\""),
    field("notes", Kind::Text, "Free text.", "\"Met in Berlin\""),
    field("external_id", Kind::ExternalId, "Your key of the contact.", "\"k-1\""),
];
