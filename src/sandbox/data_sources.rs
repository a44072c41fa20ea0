//! Data sources. Documented on the pages "Create a Source" and "List Sources".

use serde_json::{Map, Value, json};

use super::answers::{Outcome, Reply, done, echoed, missing, not_found, ok, refused_field};
use super::routes::Context;
use super::store::{Source, shown};

/// Recorded: all at once, without pages. Documented: `name` and `system` match exactly. The order is unknown; here it is
/// that of creation.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let fits = |filter: &str, value: &str| context.query.get(filter).is_none_or(|wanted| wanted == value);
    let found = context.state.sources.iter().filter(|source| fits("name", &source.name) && fits("system", &source.system));
    let found: Vec<Value> = found.map(|source| as_json(context, source)).collect();
    ok(200, json!({"data_sources": found}))
}

pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    ok(200, as_json(context, find(context, uuid)?))
}

/// Recorded: an absent name is a 400, a null one a 422. Documented: names are unique in the account; the message is that of
/// the official Go client.
pub(super) fn create(context: &mut Context<'_>) -> Outcome {
    let name = match context.body.get("name") {
        None => return Err(missing("name")),
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        Some(_) => return Err(refused_field("name", "A name is required for each data source.")),
    };
    if context.state.sources.iter().any(|source| source.name == name) {
        return Err(echoed(&context.body, "name", "Has already been taken."));
    }
    // Recorded since 2025: `Custom`; `Import API` before. Older clients send the system themselves.
    let system = context.body.get("system").and_then(Value::as_str).unwrap_or("Custom").to_owned();
    let uuid = context.state.add_source(&name, &system).uuid.clone();
    ok(201, as_json(context, find(context, &uuid)?))
}

/// Recorded: 204. Users report that the clean-up goes on in the background, and that the name is taken until it is done;
/// here it is done at once.
pub(super) fn delete(context: &mut Context<'_>, uuid: &str) -> Outcome {
    find(context, uuid)?;
    context.state.empty_source(uuid);
    context.state.imports.forget_source(uuid);
    context.state.sources.retain(|source| source.uuid != uuid);
    done(204)
}

/// Recorded in 2020, absent from today's documentation: everything in the source goes, the source stays. The path that ends in
/// `dependent` is that of the official Go client; what it leaves standing is unknown, here it is the same.
pub(super) fn empty(context: &mut Context<'_>, uuid: &str) -> Outcome {
    find(context, uuid)?;
    context.state.empty_source(uuid);
    done(204)
}

fn find<'a>(context: &'a Context<'_>, uuid: &str) -> Result<&'a Source, Box<Reply>> {
    context.state.source(uuid).ok_or_else(|| not_found("Data source"))
}

fn as_json(context: &Context<'_>, source: &Source) -> Value {
    let mut body = Map::from_iter([
        ("uuid".to_owned(), Value::from(source.uuid.as_str())),
        ("name".to_owned(), source.name.as_str().into()),
        ("system".to_owned(), source.system.as_str().into()),
        ("created_at".to_owned(), shown(source.created).into()),
        ("status".to_owned(), "idle".into()),
    ]);
    // Field names of the official clients; nothing of this is recorded, and what they count is unknown. Here it is objects
    // that stand in the data source, and objects of bulk imports that failed or wait.
    if context.query.flag("with_processing_status") {
        let state = &context.state;
        let customers = state.customers_of(&source.uuid).map_or(0, std::collections::BTreeSet::len);
        let counts = json!({
            "processed": customers + state.billing.objects_in(&source.uuid),
            "failed": state.imports.failed(&source.uuid),
            "pending": state.imports.pending(&source.uuid),
        });
        body.insert("processing_status".into(), counts);
    }
    if context.query.flag("with_auto_churn_subscription_setting") {
        body.insert("auto_churn_subscription_setting".into(), json!({"enabled": false, "interval": null}));
    }
    if context.query.flag("with_invoice_handling_setting") {
        body.insert("invoice_handling_setting".into(), json!({}));
    }
    Value::Object(body)
}
