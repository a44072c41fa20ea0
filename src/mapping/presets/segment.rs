//! Rows of Segment's group and identify calls.
//!
//! Vendor pages: "Spec: Identify", "Spec: Group", "Spec: Common Fields", "Warehouse Schemas" (all Twilio Segment), and the
//! fields that ChartMogul's own destination there takes (open source). A library sends `{"groupId":..,"traits":{..}}`; a
//! warehouse holds `group_id` and a column for each trait, nested ones laid flat (`address_city`, `company_name`).
//!
//! Only what stands here becomes a field: a trait that happens to be called `status` or `owner` is a trait. Every other trait
//! is an attribute under its folded name, and so a computed audience is a Boolean attribute. The call's own columns never are.

use super::{End, Rest, Rule, Sheet, or, to};

/// Columns of the call itself, in a library's and in a warehouse's words.
const OF_THE_CALL: &[(&str, Rule)] = &[
    ("anonymous_id", Rule::Left),
    ("previous_id", Rule::Left),
    ("message_id", Rule::Left),
    ("integrations", Rule::Left),
    ("event", Rule::Left),
    ("event_text", Rule::Left),
    ("type", Rule::Left),
    ("channel", Rule::Left),
    ("version", Rule::Left),
    ("received_at", Rule::Left),
    ("sent_at", Rule::Left),
    ("loaded_at", Rule::Left),
    ("original_timestamp", Rule::Left),
    ("timestamp", Rule::Left),
    ("uuid", Rule::Left),
    ("uuid_ts", Rule::Left),
    ("project_id", Rule::Left),
    ("write_key", Rule::Left),
    ("_metadata", Rule::Left),
];

static GROUP_ADDRESS: Sheet = Sheet {
    columns: &[&[
        ("street", Rule::Attribute("street")),
        ("city", or("city", 2)),
        ("state", or("state", 2)),
        ("country", or("country", 2)),
        ("postal_code", or("zip", 2)),
        ("zip", or("zip", 3)),
    ]],
    rest: Rest::Folded("address_"),
    ..Sheet::EMPTY
};

const GROUP_TRAITS: &[(&str, Rule)] = &[
    // In a table of calls `id` is the call's and stands beside the group's; in a table of groups it is the group's own.
    ("id", or("external_id", 2)),
    ("external_id", to("external_id")),
    ("name", to("name")),
    ("email", to("email")),
    ("company", to("company")),
    ("website", to("website_url")),
    ("website_url", or("website_url", 2)),
    // When the group's account was made is when it became known: the one date of a customer that can be set.
    ("created_at", to("lead_created_at")),
    ("created", or("lead_created_at", 2)),
    ("lead_created_at", or("lead_created_at", 3)),
    ("free_trial_started_at", to("free_trial_started_at")),
    ("city", to("city")),
    ("state", to("state")),
    ("country", to("country")),
    ("zip", to("zip")),
    ("postal_code", or("zip", 2)),
    // An address in one text is an attribute as it is.
    ("address", Rule::Nest(&GROUP_ADDRESS, Some(&Rule::Attribute("address")))),
];

static TRAITS_OF_GROUP: Sheet =
    Sheet { columns: &[GROUP_TRAITS], flat: &[("address_", "address")], rest: Rest::Folded(""), ..Sheet::EMPTY };

/// Of a group call's context nothing is of use.
static NOTHING: Sheet = Sheet::EMPTY;

/// Rows of group calls, for customers.
pub(super) static GROUP: Sheet = Sheet {
    columns: &[
        &[
            ("group_id", or("external_id", 0)),
            // The user who made the call.
            ("user_id", Rule::Left),
            ("traits", Rule::Nest(&TRAITS_OF_GROUP, None)),
            ("context", Rule::Nest(&NOTHING, Some(&Rule::Left))),
        ],
        OF_THE_CALL,
        GROUP_TRAITS,
    ],
    flat: &[("traits_", "traits"), ("address_", "address"), ("context_", "context")],
    rest: Rest::Folded(""),
    ..Sheet::EMPTY
};

static COMPANY: Sheet = Sheet {
    columns: &[&[("id", to("customer_external_id")), ("name", to("customer_name"))]],
    rest: Rest::Folded("company_"),
    ..Sheet::EMPTY
};

static USER_ADDRESS: Sheet = Sheet { rest: Rest::Folded("address_"), ..Sheet::EMPTY };

const USER_TRAITS: &[(&str, Rule)] = &[
    ("id", or("external_id", 2)),
    ("external_id", to("external_id")),
    ("email", to("email")),
    ("first_name", to("first_name")),
    ("firstname", or("first_name", 2)),
    ("last_name", to("last_name")),
    ("lastname", or("last_name", 2)),
    ("name", Rule::Split("first_name", "last_name")),
    ("title", to("title")),
    ("phone", to("phone")),
    ("linked_in", to("linked_in")),
    ("linkedin", or("linked_in", 2)),
    ("twitter", to("twitter")),
    ("customer_external_id", or("customer_external_id", 2)),
    ("group_id", or("customer_external_id", 3)),
    // A company in one text is its name.
    ("company", Rule::Nest(&COMPANY, Some(&or("customer_name", 2)))),
    ("address", Rule::Nest(&USER_ADDRESS, Some(&Rule::Attribute("address")))),
];

static TRAITS_OF_USER: Sheet = Sheet {
    columns: &[USER_TRAITS],
    flat: &[("address_", "address"), ("company_", "company")],
    rest: Rest::Folded(""),
    ..Sheet::EMPTY
};

/// The context tells the group that the user acted in.
static CONTEXT: Sheet = Sheet { columns: &[&[("group_id", or("customer_external_id", 4))]], ..Sheet::EMPTY };

/// Rows of identify calls, for contacts.
pub(super) static IDENTIFY: Sheet = Sheet {
    columns: &[
        &[
            // As for groups. Where a call has no user, `id` is not one either; the e-mail address is what is left.
            ("user_id", or("external_id", 0)),
            ("traits", Rule::Nest(&TRAITS_OF_USER, None)),
            ("context", Rule::Nest(&CONTEXT, Some(&Rule::Left))),
        ],
        OF_THE_CALL,
        USER_TRAITS,
    ],
    flat: &[("traits_", "traits"), ("address_", "address"), ("company_", "company"), ("context_", "context")],
    rest: Rest::Folded(""),
    // A company makes a customer only where its id says which one.
    ends: &[
        End::FullName { first: "first_name", last: "last_name" },
        End::OnlyWith { field: "customer_name", key: "customer_external_id" },
    ],
    ..Sheet::EMPTY
};
