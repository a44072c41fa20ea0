//! `spec`: what this destination is and how it is configured.
//!
//! Needs neither network nor configuration. The schema is derived from the types of [`crate::config::schema`]; `spec/spec.json`
//! is a frozen copy of the whole, so that every change of it is seen in review.

use serde_json::{Value, json};

use crate::config::connection_schema;
use crate::protocol::{DestinationSyncMode, Outbound};

/// The SPEC message.
pub fn spec() -> Outbound {
    Outbound::Spec(specification())
}

fn specification() -> Value {
    json!({
        "documentationUrl": "https://dev.chartmogul.com",
        "supportsIncremental": true,
        "supportsNormalization": false,
        "supportsDBT": false,
        // A connection made by image name offers these and no others, so everything that works is listed.
        "supported_destination_sync_modes": DestinationSyncMode::ALL.map(DestinationSyncMode::as_str),
        "connectionSpecification": connection_schema(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `UPDATE_SPEC=1 cargo test --lib commands::spec` writes the copy anew.
    #[test]
    fn the_frozen_copy_is_what_is_printed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/spec.json");
        let printed = serde_json::to_string_pretty(&specification()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SPEC").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let frozen = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(frozen == printed, "spec/spec.json is not what `spec` prints; look at the change, then run with UPDATE_SPEC=1");
    }

    #[test]
    fn the_message_is_one_line_with_the_modes_that_work() {
        let line = spec().line(0, str::to_owned);
        assert!(!line.contains('\n'));
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["type"], "SPEC");
        assert_eq!(message["spec"]["connectionSpecification"]["type"], "object");
        assert!(message["spec"].get("protocol_version").is_none());
        let modes = &message["spec"]["supported_destination_sync_modes"];
        assert_eq!(*modes, json!(["append", "append_dedup", "overwrite", "update", "soft_delete"]));
    }
}
