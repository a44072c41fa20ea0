//! What a host says: messages on stdin, streams of a catalog.

use serde_json::{Value, json};

/// A RECORD of a stream without a namespace.
pub(crate) fn record(stream: &str, data: Value) -> String {
    namespaced(None, stream, data)
}

/// A RECORD of a stream in a namespace.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
pub(crate) fn namespaced(namespace: Option<&str>, stream: &str, data: Value) -> String {
    let mut body = json!({"stream": stream, "data": data, "emitted_at": 1_700_000_000_000_u64});
    if let Some(namespace) = namespace {
        body["namespace"] = namespace.into();
    }
    json!({"type": "RECORD", "record": body}).to_string()
}

/// A STATE of a stream without a namespace, as the platform numbers them.
pub(crate) fn state(stream: &str, id: u64) -> String {
    let about = json!({"stream_descriptor": {"name": stream}, "stream_state": {"cursor": id}});
    json!({"type": "STATE", "state": {"type": "STREAM", "stream": about, "id": id}}).to_string()
}

/// The status that ends a stream.
pub(crate) fn complete(stream: &str) -> String {
    status(stream, "COMPLETE")
}

/// A stream status, with the name only, as PyAirbyte sends it.
pub(crate) fn status(stream: &str, word: &str) -> String {
    let about = json!({"stream_descriptor": {"name": stream, "namespace": null}, "status": word});
    let trace = json!({"type": "STREAM_STATUS", "emitted_at": 1_700_000_000.5, "stream_status": about});
    json!({"type": "TRACE", "trace": trace}).to_string()
}

/// A stream of the configured catalog.
#[derive(Debug, Clone)]
pub(crate) struct Stream(pub(crate) Value);

/// A stream as a connection by image name gets it: incremental, deduplicated, no generations.
pub(crate) fn stream(name: &str) -> Stream {
    Stream(json!({
        "stream": {"name": name, "json_schema": {"type": "object", "properties": {}}, "supported_sync_modes": ["incremental"]},
        "sync_mode": "incremental",
        "destination_sync_mode": "append_dedup",
        "cursor_field": ["updated_at"],
        "primary_key": [["id"]],
    }))
}

impl Stream {
    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.0["stream"]["namespace"] = namespace.into();
        self
    }

    pub(crate) fn mode(mut self, word: &str) -> Self {
        self.0["destination_sync_mode"] = word.into();
        self
    }

    /// Generation ids, as a platform with refreshes sets them.
    pub(crate) fn generations(mut self, generation: u64, minimum: u64) -> Self {
        self.0["generation_id"] = generation.into();
        self.0["minimum_generation_id"] = minimum.into();
        self.0["sync_id"] = 42.into();
        self
    }

    pub(crate) fn object(mut self, name: &str) -> Self {
        self.0["destination_object_name"] = name.into();
        self
    }

    pub(crate) fn key(mut self, fields: &[&str]) -> Self {
        self.0["primary_key"] = fields.iter().map(|field| json!([field])).collect();
        self
    }

    /// Columns and their schemas.
    pub(crate) fn columns(mut self, properties: Value) -> Self {
        self.0["stream"]["json_schema"]["properties"] = properties;
        self
    }

    /// Columns of type text.
    pub(crate) fn texts(self, names: &[&str]) -> Self {
        let properties = names.iter().map(|name| ((*name).to_owned(), json!({"type": ["null", "string"]}))).collect();
        self.columns(Value::Object(properties))
    }
}
