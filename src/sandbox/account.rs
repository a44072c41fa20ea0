//! Ping and the account itself.

use serde_json::json;

use super::answers::{Outcome, ok};

/// The account's currency with its sign; customers are shown in it.
pub(super) const CURRENCY: (&str, &str) = ("USD", "$");

/// Recorded.
pub(super) fn ping() -> Outcome {
    ok(200, json!({"data": "pong!"}))
}

/// Recorded, but for `id`, which newer official clients read.
pub(super) fn account() -> Outcome {
    let account = json!({
        "id": "acc_5a4db0c5-0000-4000-8000-000000000000",
        "name": "Sandbox account",
        "currency": CURRENCY.0,
        "time_zone": "UTC",
        "week_start_on": "monday",
    });
    ok(200, account)
}
