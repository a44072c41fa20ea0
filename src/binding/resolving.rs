//! What a stream becomes: its object, its mode, and the types of its custom attributes.
//!
//! Owns which of the catalog, the settings, the preset and the stream's own name speaks first, and the words of a refusal. Does
//! not own by what records are found (`matching`), nor when a refusal is told (the binding itself).

use hashbrown::HashMap;

use super::Problems;
use crate::config::{DefaultMode, ObjectChoice, Settings, StreamSettings};
use crate::errors::Code;
use crate::failure::Failure;
use crate::mapping::attributes::Wanted;
use crate::mapping::presets::{Becomes, NotWritable};
use crate::mapping::{Preset, attributes};
use crate::objects::{self, Object};
use crate::plan::Mode;
use crate::protocol::{ConfiguredStream, DestinationSyncMode};

/// The object of a stream.
pub(super) enum Resolved {
    Object(&'static dyn Object),
    /// Nothing that can be written: refused at its first record.
    Nothing(NotWritable),
}

/// The catalog's own object name speaks first, then the stream's settings, then its preset, then the setting for all, then
/// the stream's name.
pub(super) fn object(
    stream: &ConfiguredStream,
    entry: Option<&StreamSettings>,
    settings: &Settings,
) -> Result<Resolved, Problems> {
    let chosen = |choice: ObjectChoice| match choice {
        ObjectChoice::Auto => stream.id.name.as_ref(),
        ObjectChoice::Named(name) => name,
    };
    // `auto` in an entry with a preset is what its preset says: that is how such a stream's own name is read.
    let named = entry
        .and_then(|entry| entry.object)
        .filter(|choice| *choice != ObjectChoice::Auto || entry.is_none_or(|entry| entry.preset.is_none()));
    let preset = entry.and_then(|entry| entry.preset).map(|preset| preset.becomes(&stream.id.name));
    let (name, place) = match (&stream.destination_object_name, named, preset) {
        (Some(name), ..) => (name.as_str(), "the catalog's destination_object_name"),
        (None, Some(choice), _) => (chosen(choice), "its `streams` entry"),
        (None, None, Some(Becomes::Always(name) | Becomes::Named(name))) => (name, "its preset"),
        (None, None, Some(Becomes::Nothing(why))) => return Ok(Resolved::Nothing(why)),
        (None, None, Some(Becomes::Open) | None) => (chosen(settings.object), "its own name"),
    };
    objects::find(name).map(Resolved::Object).ok_or_else(|| {
        let text = format!(
            "{place} (`{name}`) is no ChartMogul object that can be written; those are {}. Set `object` in its `streams` entry",
            objects::names().join(", ")
        );
        vec![(Code::StreamUnresolved, text)]
    })
}

/// The refusal of a stream of which nothing can be written.
pub(super) fn not_writable(stream: &ConfiguredStream, why: NotWritable) -> Failure {
    Failure::config(Code::NotWritable, format!("Stream `{}` can not be written. {}. {}.", stream.id, why.what, why.instead))
}

/// What is wrong with a preset whose rows become something else.
pub(super) fn no_such_rows(preset: Preset, object: &str) -> String {
    format!(
        "rows of the preset `{}` become {}, not {object}. Correct `object` or `preset` in its `streams` entry",
        preset.as_str(),
        preset.objects().join(", ")
    )
}

/// In data activation the sync mode is the operation. In the classic world `append`, `append_dedup` and `overwrite` say how
/// rows would be laid into a table, which an API has not: they all follow `mode`.
pub(super) fn mode(
    stream: &ConfiguredStream,
    entry: Option<&StreamSettings>,
    settings: &Settings,
    object: &'static dyn Object,
) -> Result<Mode, Failure> {
    use DestinationSyncMode::{Append, AppendDedup, Overwrite, SoftDelete, Update};
    let activation = stream.destination_object_name.is_some();
    let default = match entry.and_then(|entry| entry.mode).unwrap_or(settings.mode) {
        DefaultMode::Upsert => Mode::Upsert,
        DefaultMode::Insert => Mode::Insert,
        DefaultMode::Update => Mode::Update,
    };
    let allowed = || words(object.modes());
    let mode = match stream.destination_sync_mode {
        Append if activation => Mode::Insert,
        AppendDedup if activation => Mode::Upsert,
        Overwrite if activation => {
            return Err(Failure::config(
                Code::ModeNotSupported,
                format!("Stream `{}`: {} can not be overwritten; it takes {}.", stream.id, object.resource().name, allowed()),
            ));
        }
        Append | AppendDedup | Overwrite => default,
        Update => Mode::Update,
        SoftDelete => Mode::Delete,
    };
    if mode == Mode::Delete && !settings.deletions.by_record() {
        return Err(Failure::config(
            Code::DeletionsIgnored,
            format!(
                "Stream `{}` asks for soft_delete, and the deletion policy is not `delete`. {}",
                stream.id,
                Code::DeletionsIgnored.remedy()
            ),
        ));
    }
    if !object.modes().contains(&mode) {
        return Err(Failure::config(
            Code::ModeNotSupported,
            format!(
                "Stream `{}`: {} can not be written in mode {mode}; it takes {}.",
                stream.id,
                object.resource().name,
                allowed()
            ),
        ));
    }
    Ok(mode)
}

/// Attribute types: those of the settings, then those that the stream's schema declares, under the names they get.
pub(super) fn attribute_types(stream: &ConfiguredStream, given: &StreamSettings) -> HashMap<Box<str>, Wanted> {
    let mut types = HashMap::new();
    declared_types(&stream.json_schema, given, &mut types);
    for (key, kind) in &given.types {
        types.insert(key.as_str().into(), Wanted::Said(*kind));
    }
    types
}

fn declared_types(schema: &serde_json::Value, given: &StreamSettings, types: &mut HashMap<Box<str>, Wanted>) {
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    for (column, schema) in properties.into_iter().flatten() {
        let key = match given.preset {
            None => Some(column.clone()),
            Some(preset) => preset.attribute_key(column),
        };
        let Some(key) = key else {
            declared_types(schema, given, types);
            continue;
        };
        // What a table of values puts in their place need not be of the type that came.
        if given.values.iter().any(|(source, _)| source.last() == Some(column)) {
            continue;
        }
        let Some(declared) = attributes::declared_type(schema) else { continue };
        let renamed = given.fields.iter().find(|(source, _)| source.len() == 1 && source[0] == *column);
        let key = renamed.and_then(|(_, target)| target.last()).map_or(key.as_str(), String::as_str);
        types.insert(key.into(), Wanted::Declared(declared));
    }
}

/// Modes as a text names them.
pub(super) fn words(modes: &[Mode]) -> String {
    let names: Vec<&str> = modes.iter().map(|mode| mode.as_str()).collect();
    names.join(", ")
}
