//! `discover`: an operation for each object and mode, as the platform's mapping form needs them.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hashbrown::HashMap;
use serde_json::{Map, Value, json};

use super::{client, settings};
use crate::account::{Account, Trouble};
use crate::config::Settings;
use crate::errors::Code;
use crate::failure::Failure;
use crate::mapping::UnknownFields;
use crate::objects::resource::{AttributeType, Field, Kind};
use crate::objects::{OBJECTS, Object};
use crate::plan::Mode;
use crate::protocol::{DestinationSyncMode, Emitter, Operation, Outbound};

/// How long the account is looked at.
const TIME_LIMIT: Duration = Duration::from_secs(45);
/// How long an outage is waited out here.
const PATIENCE: Duration = Duration::from_secs(15);

/// The custom attributes of an account: by object, then by key, with the types that the values seen can be of.
type Attributes = HashMap<&'static str, Vec<(Box<str>, Vec<AttributeType>)>>;

pub(super) async fn run(emitter: &Emitter, config: &Path) -> Result<ExitCode, Failure> {
    let settings = settings(emitter, config)?;
    let deletes = settings.deletions.by_record();
    let attributes = match settings.unknown_fields {
        UnknownFields::CustomAttributes => Some(in_the_account(&settings).await),
        UnknownFields::Ignore | UnknownFields::Reject => None,
    };
    emitter.emit(&Outbound::DestinationCatalog(operations(deletes, attributes.as_ref())))?;
    Ok(ExitCode::SUCCESS)
}

/// The attributes that the account shows; fewer or none where it can not be reached, which is no reason to print nothing.
async fn in_the_account(settings: &Settings) -> Attributes {
    let mut found = Attributes::new();
    let looked = tokio::time::timeout(TIME_LIMIT, async {
        let client = client(settings, PATIENCE.min(settings.limits.give_up_after))?;
        let account = Account::new(&client, &settings.data_source);
        for resource in OBJECTS.iter().map(|object| object.resource()).filter(|resource| resource.attributes.is_some()) {
            match account.shown_attributes(resource).await {
                Ok(shown) => drop(found.insert(resource.name, shown)),
                Err(Trouble::Refused(_)) => {}
                Err(Trouble::Stop(failure)) => return Err(failure),
            }
        }
        Ok(())
    });
    let why = match looked.await {
        Ok(Ok(())) => return found,
        Ok(Err(failure)) => failure.told(),
        Err(_) => Failure::transient(Code::CheckTimeout, Code::CheckTimeout.cause()).told(),
    };
    tracing::warn!("the account's custom attributes are left out, since it could not be looked at: {why}");
    found
}

/// All operations. Deletion is offered only where the policy allows it; where unknown fields become attributes, any column
/// may be mapped, and those that the account has are named.
fn operations(deletes: bool, attributes: Option<&Attributes>) -> Vec<Operation> {
    let mut operations = Vec::new();
    for object in OBJECTS {
        for mode in object.modes().iter().filter(|mode| deletes || **mode != Mode::Delete) {
            operations.push(operation(*object, *mode, attributes));
        }
    }
    operations
}

fn operation(object: &dyn Object, mode: Mode, attributes: Option<&Attributes>) -> Operation {
    let resource = object.resource();
    let keys = object.matching_keys();
    let is_key = |field: &Field| keys.iter().copied().flatten().any(|key| *key == field.name);
    let fields = resource.all_fields().filter(|field| match mode {
        Mode::Delete => is_key(field) || (resource.references.iter().any(|reference| reference.name == field.name)),
        _ => true,
    });
    let mut properties: Map<String, Value> = fields.map(|field| (field.name.to_owned(), property(field))).collect();
    // Where one of several fields will do, the form can require none of them; `write` sees to it.
    let required: Vec<&str> = object
        .required(mode)
        .iter()
        .filter_map(|names| match names {
            [name] => Some(*name),
            _ => None,
        })
        .collect();
    let attributes = attributes.filter(|_| mode != Mode::Delete && resource.attributes.is_some());
    // What a field is called is the field, whatever attribute is called so too.
    for (key, types) in attributes.and_then(|attributes| attributes.get(resource.name)).into_iter().flatten() {
        properties.entry(&**key).or_insert_with(|| of_attribute(types));
    }
    Operation {
        object_name: resource.name.to_owned(),
        sync_mode: match mode {
            Mode::Insert => DestinationSyncMode::Append,
            Mode::Upsert => DestinationSyncMode::AppendDedup,
            Mode::Update => DestinationSyncMode::Update,
            Mode::Delete => DestinationSyncMode::SoftDelete,
        },
        json_schema: json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": attributes.is_some(),
        }),
        matching_keys: match mode {
            Mode::Insert => Vec::new(),
            _ => keys.iter().map(|fields| fields.iter().map(|field| (*field).to_owned()).collect()).collect(),
        },
    }
}

/// A field in Airbyte's types.
fn property(field: &Field) -> Value {
    let mut property = of_kind(&field.kind);
    property["description"] = field.about.into();
    property
}

/// An attribute of the account in Airbyte's types; as wide as what the values seen can be of.
fn of_attribute(types: &[AttributeType]) -> Value {
    let mut property = match types {
        [AttributeType::Boolean] => json!({"type": "boolean"}),
        [AttributeType::Integer] => json!({"type": "integer"}),
        [AttributeType::Integer, AttributeType::Decimal] | [AttributeType::Decimal] => json!({"type": "number"}),
        [AttributeType::Timestamp] => of_kind(&Kind::Timestamp),
        _ => json!({"type": "string"}),
    };
    property["description"] = "A custom attribute that the account has.".into();
    property
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Timestamp => json!({"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Integer(..) | Kind::Cents => json!({"type": "integer"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Tags => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Many(kind) => json!({"type": "array", "items": of_kind(kind)}),
        Kind::Attributes => json!({"type": "object", "additionalProperties": true}),
        Kind::Object(fields) => nested(fields),
        Kind::List(fields) => json!({"type": "array", "items": nested(fields)}),
        Kind::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Kind::Json => json!({"type": ["object", "array", "string", "number", "boolean"]}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        Kind::Short(most) | Kind::Code(most) => json!({"type": "string", "maxLength": most}),
        _ => json!({"type": "string"}),
    }
}

fn nested(fields: &[Field]) -> Value {
    let inner: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    json!({"type": "object", "properties": inner})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_SPEC=1 cargo test --lib commands::` writes the copy anew.
    #[test]
    fn the_frozen_catalog_is_what_is_printed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/catalog.json");
        let line = Outbound::DestinationCatalog(operations(true, Some(&Attributes::new()))).line(0, str::to_owned);
        let message: Value = serde_json::from_str(&line).unwrap();
        let printed = serde_json::to_string_pretty(&message["destination_catalog"]).unwrap() + "\n";
        if std::env::var_os("UPDATE_SPEC").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let frozen = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            frozen == printed,
            "spec/catalog.json is not what `discover` prints; look at the change, then run with UPDATE_SPEC=1"
        );
    }

    #[test]
    fn every_operation_offers_what_it_requires_and_what_it_matches_by() {
        for operation in operations(true, Some(&Attributes::new())) {
            let has = |name: &str| operation.json_schema["properties"].get(name).is_some();
            assert!(operation.json_schema["required"].as_array().unwrap().iter().all(|name| has(name.as_str().unwrap())));
            assert!(operation.matching_keys.iter().flatten().all(|name| has(name)));
        }
        assert!(operations(false, None).iter().all(|operation| operation.sync_mode != DestinationSyncMode::SoftDelete));
    }
}
