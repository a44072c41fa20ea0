//! What the user types.
//!
//! Owns the keys, their defaults and their words for people: the JSON Schema that `spec` prints is derived from these types
//! ([`super::form`]), and a configuration is checked against that same schema. Only keys that do something stand here. Does
//! not own what a combination of keys means ([`super::settings`]).
//!
//! A `default` stands wherever absence means that very value, since Airbyte's form fills it in; it is left out where absence
//! means "as above".

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::storage::{TypedReceipts, TypedStorage};
use crate::mapping::{Preset, UnknownFields};
use crate::objects::OBJECTS;
use crate::objects::resource::AttributeType;
use crate::plan::{Nulls, Parents};

/// The word for "the stream's own name says".
pub(super) const AUTO: &str = "auto";

/// Requests per second that ChartMogul takes from one account.
pub(super) const MOST_REQUESTS: u32 = 40;

/// Connections that ChartMogul takes at once.
pub(super) const MOST_CONNECTIONS: u32 = 20;

#[derive(Deserialize, JsonSchema)]
#[schemars(title = "Destination ChartMogul")]
pub(super) struct Typed {
    #[schemars(
        title = "API key",
        description = "A key with read and write access, from the tab API keys of your ChartMogul profile.",
        length(min = 1),
        extend("group" = "account", "airbyte_secret" = true, "examples" = ["YOUR_API_KEY"])
    )]
    pub(super) api_key: String,

    #[schemars(
        title = "Data source UUID",
        description = "The data source that all records are written to. ChartMogul shows it under Data Platform, Sources.",
        regex(pattern = r"^ds_[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"),
        extend(
            "group" = "account",
            "pattern_descriptor" = "ds_ and a UUID",
            "examples" = ["ds_fef05d54-47b4-431b-aed2-eb6b9e545430"]
        )
    )]
    pub(super) data_source_uuid: String,

    #[serde(default = "auto")]
    #[schemars(
        title = "Object",
        description = "What a stream becomes. With auto the stream's own name says it: a stream named customers becomes customers.",
        schema_with = "object_choice",
        extend("group" = "writing", "examples" = ["auto", "customers"])
    )]
    pub(super) object: String,

    #[serde(default)]
    #[schemars(
        title = "Mode",
        description = "What to do with a record: upsert creates what is absent and updates what is there, insert only creates, update only updates.",
        extend("group" = "writing", "examples" = ["upsert", "insert"])
    )]
    pub(super) mode: DefaultMode,

    #[serde(default)]
    #[schemars(
        title = "Unknown fields",
        description = "What to do with a field that the object does not have: make it a custom attribute, ignore it, or reject the record. A member of a nested object that is no field of it rejects the record unless it is ignored.",
        extend("group" = "writing", "examples" = ["custom_attributes", "ignore"])
    )]
    pub(super) unknown_fields: UnknownFields,

    #[serde(default)]
    #[schemars(
        title = "Nulls",
        description = "What a null does: ignore leaves the value in ChartMogul alone, clear removes it.",
        extend("group" = "writing", "examples" = ["ignore", "clear"])
    )]
    pub(super) nulls: Nulls,

    #[serde(default)]
    #[schemars(
        title = "Deletions",
        description = "What is deleted in ChartMogul: nothing, what records mark as deleted, or what does not come any longer.",
        extend("group" = "writing", "type" = "object", "display_type" = "radio", "examples" = [{"policy": "delete", "max_deletes": 100, "max_percent": 10}])
    )]
    pub(super) deletions: Deletions,

    #[serde(default)]
    #[schemars(
        title = "Bulk import",
        description = "Whether records that are known to be new go to ChartMogul's bulk import, a thousand customers in one request: never, or auto, wherever it takes fewer requests. Nobody has confirmed yet how that endpoint treats invalid records; what it does is verified after each import.",
        extend("group" = "writing", "examples" = ["never", "auto"])
    )]
    pub(super) bulk_import: BulkImport,

    #[serde(default)]
    #[schemars(
        title = "Streams",
        description = "Settings for single streams. What an entry does not say is taken from above.",
        extend("group" = "streams", "examples" = [[{"stream": "accounts", "object": "customers", "fields": {"account_id": "external_id"}}]])
    )]
    pub(super) streams: Vec<TypedStream>,

    #[serde(default)]
    #[schemars(
        title = "Object Storage Configuration",
        description = "Where rejected records are kept, with the reason beside each.",
        extend("group" = "keeping", "type" = "object", "examples" = [{"storage_type": "Local", "path": "/local/chartmogul"}])
    )]
    pub(super) object_storage_config: TypedStorage,

    #[serde(default)]
    #[schemars(
        title = "Receipts",
        description = "Where a receipt of every record goes: what became of it, with the UUID that ChartMogul gave it.",
        extend("group" = "keeping", "type" = "object", "examples" = [{"storage_type": "Webhook", "url": "https://hooks.example.com/receipts"}])
    )]
    pub(super) receipts: TypedReceipts,

    #[serde(default)]
    #[schemars(
        title = "Limits",
        description = "Lower them to leave room for others that use the account's API.",
        extend("group" = "connection", "examples" = [{"requests_per_second": 20, "connections": 10}])
    )]
    pub(super) limits: TypedLimits,

    #[serde(default = "chartmogul")]
    #[schemars(
        title = "Base URL",
        description = "Where the API is: ChartMogul itself, a gateway, or a sandbox. Must be https, except on this machine.",
        regex(pattern = r"^https?://\S+$"),
        extend(
            "group" = "connection",
            "pattern_descriptor" = "an address that begins with https://",
            "examples" = ["https://api.chartmogul.com/v1", "http://127.0.0.1:8080/v1"]
        )
    )]
    pub(super) base_url: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Stream")]
pub(super) struct TypedStream {
    #[schemars(title = "Stream", description = "The stream's name.", length(min = 1), extend("examples" = ["accounts"]))]
    pub(super) stream: String,

    #[serde(default)]
    #[schemars(
        title = "Namespace",
        description = "The stream's namespace. When empty, the entry is for streams of this name in every namespace that has no entry of its own.",
        extend("examples" = ["public"])
    )]
    pub(super) namespace: String,

    #[serde(default)]
    #[schemars(
        title = "Object",
        description = "What this stream becomes. Taken from above when absent.",
        schema_with = "object_choice",
        extend("examples" = ["customers"])
    )]
    pub(super) object: Option<String>,

    #[serde(default)]
    #[schemars(
        title = "Mode",
        description = "What to do with records of this stream. Taken from above when absent.",
        with = "DefaultMode",
        extend("examples" = ["update"])
    )]
    pub(super) mode: Option<DefaultMode>,

    #[serde(default)]
    #[schemars(
        title = "Parents",
        description = "What to do with a record whose customer is not in ChartMogul yet: wait until it comes, or create it. With the preset segment_identify it is created, else waited for, when absent.",
        with = "Parents",
        extend("examples" = ["create"])
    )]
    pub(super) parents: Option<Parents>,

    #[serde(default)]
    #[schemars(
        title = "Preset",
        description = "What kind of rows these are, where their columns are known: rows of Segment's group or identify calls, or a dataset of ChartMogul's own export. The other settings of this entry go before it.",
        with = "Preset",
        extend("examples" = ["chartmogul_export"])
    )]
    pub(super) preset: Option<Preset>,

    // A map of serde_json keeps the order in which the user wrote the fields.
    #[serde(default)]
    #[schemars(
        title = "Fields",
        description = "Source field to ChartMogul field. Dots lead into nested objects on both sides; a dot that is part of a name is written \\.",
        with = "BTreeMap<String, String>",
        extend("examples" = [{"account_id": "external_id", "address.country": "country"}])
    )]
    pub(super) fields: Map<String, Value>,

    #[serde(default)]
    #[schemars(
        title = "Constants",
        description = "ChartMogul field to the value it gets where a record has none.",
        extend("examples" = [{"country": "US"}])
    )]
    pub(super) constants: Map<String, Value>,

    #[serde(default)]
    #[schemars(
        title = "Exclude",
        description = "Source fields to leave out. * stands for any characters, ? for one.",
        extend("examples" = [["internal_*"]])
    )]
    pub(super) exclude: Vec<String>,

    #[serde(default)]
    #[schemars(
        title = "Types",
        description = "Key of a custom attribute to its type: String, Integer, Decimal, Timestamp or Boolean.",
        extend("examples" = [{"seats": "Integer"}])
    )]
    pub(super) types: BTreeMap<String, AttributeType>,

    #[serde(default)]
    #[schemars(
        title = "Values",
        description = "Source field to a table of its values: given value to the value that is taken for it. Values that the table does not hold stay as they are.",
        extend("examples" = [{"COUNTRY_ID": {"1": "US"}}])
    )]
    pub(super) values: BTreeMap<String, Map<String, Value>>,

    #[serde(default)]
    #[schemars(
        title = "Only if empty",
        description = "ChartMogul fields that are never overwritten: they are written only while they are empty there.",
        extend("examples" = [["owner"]])
    )]
    pub(super) only_if_empty: Vec<String>,

    // One text and no list beside it: the form knows no choice of types. A list in a file is joined before it is checked.
    #[serde(default, rename = "match")]
    #[schemars(
        title = "Match",
        description = "The field by which a record finds what is already in ChartMogul: external_id, uuid or email; for objects without a key of their own, field names with commas between them. The object's usual key when absent.",
        with = "String",
        extend("examples" = ["email", "created_at, text"])
    )]
    pub(super) match_by: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Limits")]
pub(super) struct TypedLimits {
    #[schemars(
        title = "Requests per second",
        description = "ChartMogul takes 40 a second from an account. More is possible only with a base URL on this machine.",
        range(min = 1, max = 10_000),
        extend("examples" = [40, 20])
    )]
    pub(super) requests_per_second: u32,

    #[schemars(
        title = "Connections",
        description = "Requests under way at once; ChartMogul takes 20. More is possible only with a base URL on this machine.",
        range(min = 1, max = 1_000),
        extend("examples" = [20, 5])
    )]
    pub(super) connections: u32,

    #[schemars(
        title = "Give up after minutes",
        description = "How long to wait for ChartMogul, or for what keeps rejected records and receipts, when it does not answer properly, before the sync fails and can be run again.",
        range(min = 0, max = 1_440),
        extend("examples" = [15, 60])
    )]
    pub(super) give_up_after_minutes: f64,
}

impl Default for TypedLimits {
    fn default() -> Self {
        Self { requests_per_second: MOST_REQUESTS, connections: MOST_CONNECTIONS, give_up_after_minutes: 15.0 }
    }
}

/// What to do with existing and with absent records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefaultMode {
    /// Create what is absent, update what is there.
    #[default]
    Upsert,
    /// Only create.
    Insert,
    /// Only update.
    Update,
}

/// Whether bulk imports are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkImport {
    /// Every record goes by a request of its own.
    #[default]
    Never,
    /// Records that are known to be absent go together, wherever that takes fewer requests.
    Auto,
}

/// What is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum Deletions {
    /// Nothing is ever deleted: such a record is skipped.
    #[default]
    #[schemars(title = "Ignore", description = "Nothing is ever deleted: such a record is skipped.")]
    Ignore,
    /// What the record names is deleted, within limits.
    #[schemars(title = "Delete", description = "What the record names is deleted in ChartMogul, within limits.", extend("additionalProperties" = false))]
    Delete {
        /// The sync stops before it would delete more than this.
        #[serde(default = "hundred")]
        #[schemars(
            title = "At most",
            description = "The sync stops before it would delete more objects than this.",
            range(min = 0),
            extend("examples" = [100])
        )]
        max_deletes: u64,
        /// The same, in percent of what was there at the start.
        #[serde(default = "ten")]
        #[schemars(
            title = "At most, in percent",
            description = "The sync stops before it would delete more than this part of a kind of object in the data source.",
            range(min = 0, max = 100),
            extend("examples" = [10])
        )]
        max_percent: f64,
    },
    /// What is in the data source and did not come is deleted at the end of the sync, within limits.
    #[schemars(
        title = "Mirror",
        description = "What is in the data source and was not in the sync is deleted at its end, within limits: for streams that are read whole by a host that says so. Use a data source of its own.",
        extend("additionalProperties" = false)
    )]
    Mirror {
        /// Nothing is deleted and the sync fails where it would be more than this.
        #[serde(default = "hundred")]
        #[schemars(
            title = "At most",
            description = "The sync fails and deletes nothing where it would delete more objects than this.",
            range(min = 0),
            extend("examples" = [100])
        )]
        max_deletes: u64,
        /// The same, in percent of what was there at the start.
        #[serde(default = "ten")]
        #[schemars(
            title = "At most, in percent",
            description = "The sync fails and deletes nothing where it would delete more than this part of a kind of object in the data source.",
            range(min = 0, max = 100),
            extend("examples" = [10])
        )]
        max_percent: f64,
    },
}

impl Deletions {
    /// Whether a record may delete what it names.
    pub const fn by_record(self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    /// Whether what did not come is deleted at the end.
    pub const fn by_absence(self) -> bool {
        matches!(self, Self::Mirror { .. })
    }
}

fn auto() -> String {
    AUTO.to_owned()
}

fn chartmogul() -> String {
    "https://api.chartmogul.com/v1".to_owned()
}

const fn hundred() -> u64 {
    100
}

const fn ten() -> f64 {
    10.0
}

fn object_choice(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = [AUTO].into_iter().chain(OBJECTS.iter().map(|object| object.resource().name)).collect();
    json_schema!({"type": "string", "enum": names})
}
