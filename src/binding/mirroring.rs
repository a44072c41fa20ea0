//! What a mirror asks of the catalog.
//!
//! Owns the conditions that stand before the first record. Does not own those that only the sync itself can tell (`engine`).

use crate::protocol::{ConfiguredStream, DestinationSyncMode, SyncMode};

/// What in the catalog speaks against deleting what does not come in this stream; `writes`: its records are not refused.
pub(super) fn objections(stream: &ConfiguredStream, writes: bool) -> Vec<&'static str> {
    let replaces = stream.destination_sync_mode == DestinationSyncMode::Overwrite
        || stream.generation_id.is_some_and(|id| id > 0 && stream.minimum_generation_id == Some(id));
    let conditions = [
        (writes, "its records are refused"),
        (stream.sync_mode == SyncMode::FullRefresh, "its sync mode is not full_refresh"),
        (
            replaces,
            "its catalog asks neither for overwrite nor for the last generation alone (minimum_generation_id = generation_id > 0)",
        ),
    ];
    conditions.into_iter().filter(|(holds, _)| !holds).map(|(_, words)| words).collect()
}
