//! ChartMogul's own export: the datasets that it writes to warehouses.
//!
//! Vendor pages: "Destinations" with its pages on source data and calculated data. Columns of customers, plans, invoices,
//! transactions and events are documented, those of line items in part, those of contacts and custom attributes on an older
//! page; the columns of tags, notes, opportunities, tasks and data sources are unknown and taken from the API object of the
//! same name, in which nothing is left out that the API would take.
//!
//! Three decisions. A UUID of ChartMogul's means nothing in another account, so a row is matched by its external id where it
//! has one, and its UUID is left out; where a customer is named by nothing but a UUID, that is taken. Rows of other data
//! sources than the configured one are skipped; to bring them along, leave DATA_SOURCE_UUID out with `exclude`, or translate
//! it with `values`. Rows that ChartMogul holds as deleted are skipped like any record that is marked so.
//!
//! Unknown, and therefore tolerated in every likely form: the keys inside PAYLOAD, and whether UUIDs carry their prefix.

use super::{Becomes, End, NotWritable, Reading, Rest, Rule, Sheet, Word, or, to};
use crate::mapping::names::fold;
use Word::{Computed, Sent};

/// The objects that a dataset can become.
pub(super) const OBJECTS: &[&str] = &[
    "customers",
    "plans",
    "invoices",
    "line_items",
    "transactions",
    "subscription_events",
    "contacts",
    "custom_attributes",
    "tags",
    "customer_notes",
    "opportunities",
    "tasks",
    "data_sources",
];

/// Datasets whose names are not their objects'.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("invoice_line_items", "line_items"),
    ("customer_custom_attributes", "custom_attributes"),
    ("customer_tags", "tags"),
    ("notes_and_call_logs", "customer_notes"),
    ("notes", "customer_notes"),
    ("call_logs", "customer_notes"),
];

const COMPUTED: &str =
    "ChartMogul computes these rows from invoices, transactions and subscription events, and the API takes none";
const LOAD_SOURCES: &str = "Load the datasets INVOICES, INVOICE_LINE_ITEMS, TRANSACTIONS and SUBSCRIPTION_EVENTS instead";

/// Datasets that can not be written.
const NOT_WRITABLE: &[(&str, NotWritable)] = &[
    (
        "currency_rates",
        NotWritable {
            what: "Currency rates are ChartMogul's own, and the API takes none",
            instead: "Nothing is to be loaded in their place: ChartMogul converts amounts itself",
        },
    ),
    ("mrr_movements", NotWritable { what: COMPUTED, instead: LOAD_SOURCES }),
    ("cmrr_movements", NotWritable { what: COMPUTED, instead: LOAD_SOURCES }),
    ("mrr_intervals", NotWritable { what: COMPUTED, instead: LOAD_SOURCES }),
    ("subscriptions", NotWritable { what: COMPUTED, instead: LOAD_SOURCES }),
    ("calculated_subscriptions", NotWritable { what: COMPUTED, instead: LOAD_SOURCES }),
    ("calculated_customers", CALCULATED_CUSTOMERS),
    (
        "contact_custom_attributes",
        NotWritable {
            what: "The API takes custom attributes of contacts with the contact only",
            instead: "Join them to the dataset CONTACTS in the warehouse, a column for each attribute",
        },
    ),
    (
        "opportunity_custom_attributes",
        NotWritable {
            what: "The API takes custom attributes of opportunities with the opportunity only",
            instead: "Join them to the dataset OPPORTUNITIES in the warehouse, a column for each attribute",
        },
    ),
];

const CALCULATED_CUSTOMERS: NotWritable = NotWritable {
    what: "The calculated customers hold figures that ChartMogul computes, and no key of yours",
    instead: "Load the source dataset CUSTOMERS instead",
};

/// Columns that calculated customers have and source customers have not; and the other way round.
const CALCULATED: &[&str] = &["mrr", "arr", "billing_cycle", "net_payments", "subscriber_since"];
const SOURCE: &[&str] = &["billing_connector_id", "full_name"];

/// What a stream of this name becomes. How tables and files are called is unknown beyond the names of the datasets.
pub(super) fn becomes(stream: &str) -> Becomes {
    let folded = fold(stream);
    let name = folded.strip_prefix("chartmogul_").unwrap_or(&folded);
    let name = name.strip_prefix("source_").unwrap_or(name);
    // Both orders of the words are likely: the pages are "calculated data: customers".
    let calculated = name
        .strip_prefix("calculated_")
        .or_else(|| name.strip_prefix("calc_"))
        .or_else(|| name.strip_suffix("_calculated"))
        .map(|rest| format!("calculated_{rest}"));
    let computed = |name: &str| NOT_WRITABLE.iter().find(|(dataset, _)| *dataset == name).map(|(_, why)| *why);
    let why = match &calculated {
        Some(full) => computed(full).or_else(|| computed(full.trim_start_matches("calculated_"))),
        None => computed(name),
    };
    let object = || OTHER_NAMES.iter().find(|(dataset, _)| *dataset == name).map(|(_, object)| *object);
    match why {
        Some(why) => Becomes::Nothing(why),
        None => match OBJECTS.iter().copied().find(|object| *object == name).or_else(object) {
            Some(object) => Becomes::Named(object),
            None => Becomes::Open,
        },
    }
}

/// Whether rows with these columns are the calculated ones of an object.
pub(super) fn refuses(object: &str, columns: &[&str]) -> Option<NotWritable> {
    let has = |names: &[&str]| columns.iter().any(|column| names.contains(&fold(column).as_ref()));
    (object == "customers" && has(CALCULATED) && !has(SOURCE)).then_some(CALCULATED_CUSTOMERS)
}

/// The sheet for an object.
pub(super) fn sheet(object: &str) -> Option<&'static Sheet> {
    Some(match object {
        "customers" => &CUSTOMERS,
        "plans" => &PLANS,
        "invoices" => &INVOICES,
        "line_items" => &LINE_ITEMS,
        "transactions" => &TRANSACTIONS,
        "subscription_events" => &SUBSCRIPTION_EVENTS,
        "contacts" => &CONTACTS,
        "custom_attributes" => &CUSTOM_ATTRIBUTES,
        "tags" => &TAGS,
        "customer_notes" => &NOTES,
        "opportunities" => &OPPORTUNITIES,
        "tasks" => &TASKS,
        "data_sources" => &DATA_SOURCES,
        _ => return None,
    })
}

/// Internal columns, the source of a row, and the names by which rows refer to others.
const COMMON: &[(&str, Rule)] = &[
    ("id", Rule::Left),
    ("created_at", Rule::Left),
    ("updated_at", Rule::Left),
    ("customer_id", Rule::Left),
    ("title", Rule::Left),
    ("unmapped_attributes", Rule::Left),
    ("mrr_processed_at", Rule::Left),
    ("refund_options", Rule::Left),
    ("data_source_uuid", Rule::DataSource),
    ("billing_connector_uuid", Rule::DataSource),
    // ChartMogul's own number of the data source: of use where the user tells which number is which.
    ("billing_connector_id", Rule::Needs { to: &Rule::DataSource, field: "data_source_uuid", unless_told: false }),
    ("data_source_customer_external_id", to("customer_external_id")),
    ("customer_external_id", or("customer_external_id", 2)),
    ("customer_uuid", Rule::To("customer_uuid", 1, Reading::Uuid("cus_"))),
    ("deleted", Rule::Gone),
];

/// Figures and names that ChartMogul computes, where a view brings them along.
const FIGURES: &[(&str, Rule)] = &[
    ("mrr", Rule::Left),
    ("arr", Rule::Left),
    ("plan_name", Rule::Left),
    ("billing_cycle", Rule::Left),
    ("net_payments", Rule::Left),
    ("subscriber_since", Rule::Left),
];

/// A row whose own UUID is left out where it has an external id, and its customer's where that has one.
const BY_EXTERNAL_ID: &[End<&str>] = &[
    End::KeyNotUuid { key: "external_id", uuid: "uuid" },
    End::KeyNotUuid { key: "customer_external_id", uuid: "customer_uuid" },
];

/// A row without a key of its own: its UUID is of this account if its customer's is.
const BY_CUSTOMER: &[End<&str>] = &[
    End::KeyNotUuid { key: "customer_external_id", uuid: "uuid" },
    End::KeyNotUuid { key: "customer_external_id", uuid: "customer_uuid" },
];

const DATASET: Sheet = Sheet { own_names: true, rest: Rest::AsNamed, ends: BY_EXTERNAL_ID, ..Sheet::EMPTY };

/// The source customers. `CREATED_AT` is the row's, not the lead's.
static CUSTOMERS: Sheet = Sheet {
    columns: &[
        &[
            ("full_name", to("name")),
            ("name", or("name", 2)),
            ("description", to("company")),
            ("company", or("company", 2)),
            ("address_zip", to("zip")),
            ("zip", or("zip", 2)),
            ("country_id", Rule::Needs { to: &or("country", 2), field: "country", unless_told: true }),
            ("state_id", Rule::Needs { to: &or("state", 2), field: "state", unless_told: true }),
            ("uuid", Rule::To("uuid", 1, Reading::Uuid("cus_"))),
            ("status", Rule::To("status", 1, Reading::Word(LEADS))),
        ],
        COMMON,
        FIGURES,
    ],
    ..DATASET
};

/// The statuses of a customer that can be set, and those that are computed.
const LEADS: &[(&str, Word)] = &[
    ("new_lead", Sent("New Lead")),
    ("working_lead", Sent("Working Lead")),
    ("qualified_lead", Sent("Qualified Lead")),
    ("unqualified_lead", Sent("Unqualified Lead")),
    ("active", Computed("Active")),
    ("past_due", Computed("Past Due")),
    ("cancelled", Computed("Cancelled")),
];

static PLANS: Sheet = Sheet {
    columns: &[
        &[
            ("interval", to("interval_unit")),
            ("interval_unit", or("interval_unit", 2)),
            ("uuid", Rule::To("uuid", 1, Reading::Uuid("pl_"))),
        ],
        COMMON,
    ],
    ..DATASET
};

static INVOICES: Sheet = Sheet {
    columns: &[
        &[
            ("invoiced_at", to("date")),
            ("date", or("date", 2)),
            ("due_at", to("due_date")),
            ("due_date", or("due_date", 2)),
            ("status", Rule::To("status", 1, Reading::Word(INVOICE_STATUSES))),
        ],
        COMMON,
    ],
    ..DATASET
};

/// The statuses of an invoice (documented): the last two can be set.
const INVOICE_STATUSES: &[(&str, Word)] = &[
    ("0", Computed("open")),
    ("1", Computed("paid")),
    ("2", Computed("refunded")),
    ("3", Sent("written_off")),
    ("4", Sent("voided")),
];

/// What the type of a line item says beside its name (documented: these three).
static TYPE_DATA: Sheet = Sheet {
    columns: &[&[
        ("prorated", or("prorated", 2)),
        ("proration_type", or("proration_type", 2)),
        ("balance_transfer", or("balance_transfer", 2)),
    ]],
    ..Sheet::EMPTY
};

static LINE_ITEMS: Sheet = Sheet {
    columns: &[
        &[
            ("type_data", Rule::Nest(&TYPE_DATA, None)),
            // The end of the documented list is not known; a date of cancellation is likely there.
            ("cancellation_date", or("cancelled_at", 2)),
        ],
        COMMON,
    ],
    ..DATASET
};

static TRANSACTIONS: Sheet = Sheet {
    columns: &[
        &[
            ("transacted_at", to("date")),
            ("date", or("date", 2)),
            // Without an amount the API takes the invoice's.
            ("amount_in_cents", Rule::To("amount_in_cents", 1, Reading::Given)),
        ],
        COMMON,
    ],
    ..DATASET
};

/// The money of an event. The names of its keys are unknown; amounts are taken as cents, as everywhere in the API, and one
/// with a fraction is refused by the field's own rule.
static PAYLOAD: Sheet = Sheet {
    columns: &[&[
        ("currency", Rule::To("currency", 2, Reading::Given)),
        ("quantity", Rule::To("quantity", 2, Reading::Given)),
        ("amount_in_cents", Rule::To("amount_in_cents", 2, Reading::Given)),
        ("amount", Rule::To("amount_in_cents", 3, Reading::Given)),
        ("tax_amount_in_cents", Rule::To("tax_amount_in_cents", 2, Reading::Given)),
        ("tax_amount", Rule::To("tax_amount_in_cents", 3, Reading::Given)),
        ("tax_in_cents", Rule::To("tax_amount_in_cents", 3, Reading::Given)),
        ("tax", Rule::To("tax_amount_in_cents", 4, Reading::Given)),
        ("event_order", Rule::To("event_order", 2, Reading::Given)),
        ("retracted_event_id", Rule::To("retracted_event_id", 2, Reading::Given)),
        ("subscription_set_external_id", Rule::To("subscription_set_external_id", 2, Reading::Given)),
    ]],
    ..Sheet::EMPTY
};

static SUBSCRIPTION_EVENTS: Sheet = Sheet {
    columns: &[
        &[
            ("event_type", Rule::To("event_type", 1, Reading::Word(EVENT_TYPES))),
            ("payload", Rule::Nest(&PAYLOAD, None)),
            ("external_id", Rule::To("external_id", 1, Reading::Given)),
        ],
        COMMON,
    ],
    ..DATASET
};

/// The types of an event (documented).
const EVENT_TYPES: &[(&str, Word)] = &[
    ("0", Sent("subscription_start_scheduled")),
    ("1", Sent("subscription_start")),
    ("2", Sent("scheduled_subscription_start_retracted")),
    ("3", Sent("subscription_cancellation_scheduled")),
    ("4", Sent("subscription_cancelled")),
    ("5", Sent("scheduled_subscription_cancellation_retracted")),
    ("6", Sent("subscription_update_scheduled")),
    ("7", Sent("subscription_updated")),
    ("8", Sent("scheduled_subscription_update_retracted")),
    ("9", Sent("subscription_event_retracted")),
];

/// The rank of an external id that is ChartMogul's own number.
const OF_INTERNAL_ID: u8 = 2;

/// Contacts have no key in the export but the internal one, which serves as external id in another account: it stays the same
/// from sync to sync. In the account that they came from it would be a second key of what has one, or make it twice.
static CONTACTS: Sheet = Sheet {
    columns: &[
        &[
            ("id", or("external_id", OF_INTERNAL_ID)),
            ("title", to("title")),
            ("note", to("notes")),
            ("notes", or("notes", 2)),
            ("uuid", Rule::To("uuid", 1, Reading::Uuid("con_"))),
        ],
        COMMON,
    ],
    ends: &[
        End::Elsewhere { field: "external_id", rank: OF_INTERNAL_ID },
        End::KeyNotUuid { key: "external_id", uuid: "uuid" },
        End::KeyNotUuid { key: "customer_external_id", uuid: "customer_uuid" },
    ],
    ..DATASET
};

static CUSTOM_ATTRIBUTES: Sheet = Sheet {
    columns: &[
        &[
            ("custom_attribute_name", to("key")),
            ("name", or("key", 3)),
            ("key", or("key", 2)),
            ("custom_attribute_type", to("type")),
            ("type", or("type", 2)),
            ("custom_attribute_value", to("value")),
            ("value", or("value", 2)),
        ],
        COMMON,
    ],
    ends: &[
        End::KeyNotUuid { key: "customer_external_id", uuid: "customer_uuid" },
        // Every value is exported as text.
        End::Typed { kind: "type", value: "value" },
    ],
    ..DATASET
};

static TAGS: Sheet = Sheet {
    columns: &[
        &[
            ("tag", Rule::To("tag", 1, Reading::Tag)),
            ("tag_name", Rule::To("tag", 2, Reading::Tag)),
            ("name", Rule::To("tag", 3, Reading::Tag)),
            ("value", Rule::To("tag", 4, Reading::Tag)),
        ],
        COMMON,
    ],
    ends: BY_CUSTOMER,
    ..DATASET
};

/// Of notes the date can be written.
static NOTES: Sheet = Sheet {
    columns: &[
        &[
            ("created_at", to("created_at")),
            ("author_email", Rule::To("author_email", 1, Reading::Address)),
            ("author", Rule::To("author_email", 2, Reading::Address)),
            ("note", or("text", 2)),
            ("uuid", Rule::To("uuid", 1, Reading::Uuid("note_"))),
        ],
        COMMON,
    ],
    ends: BY_CUSTOMER,
    ..DATASET
};

static OPPORTUNITIES: Sheet = Sheet { columns: &[COMMON], ends: BY_CUSTOMER, ..DATASET };

static TASKS: Sheet = Sheet { columns: &[&[("task_uuid", to("uuid"))], COMMON], ends: BY_CUSTOMER, ..DATASET };

/// Of data sources the name can be written. Which one the row is says its UUID, so that it is not skipped by it.
static DATA_SOURCES: Sheet = Sheet {
    columns: &[
        &[
            ("name", to("name")),
            ("uuid", Rule::Left),
            ("data_source_uuid", Rule::Left),
            ("system", Rule::Left),
            ("status", Rule::Left),
        ],
        COMMON,
    ],
    ends: &[],
    ..DATASET
};
