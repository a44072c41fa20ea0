//! By what a stream's records find what is there: the entry's own choice, else the catalog's primary key.

use super::Mapper;
use crate::config::{Match, StreamSettings};
use crate::errors::Code;
use crate::objects::Object;
use crate::plan::MatchBy;
use crate::protocol::{ConfiguredStream, DestinationSyncMode};

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// The key; `None` leaves the object its own order of tries.
    pub(super) by: Option<MatchBy>,
    /// Fields that have to be equal, for objects without a key of their own, as places of the object's table.
    pub(super) fields: Box<[u8]>,
}

impl Matching {
    pub(super) fn of(
        stream: &ConfiguredStream,
        given: &StreamSettings,
        object: &'static dyn Object,
        mapper: Option<&Mapper>,
    ) -> Result<Self, (Code, String)> {
        let activation = stream.destination_object_name.is_some();
        let chosen = given.match_by.as_ref().filter(|_| !activation);
        if let Some(chosen) = chosen {
            return Self::chosen(chosen, object);
        }
        let renamed = names_of_key(stream, given, object, mapper);
        let key: Vec<&str> = renamed.iter().map(String::as_str).collect();
        if activation { Self::activated(stream, object, &key) } else { Ok(Self::classic(given, object, &key)) }
    }

    /// By these fields, in whatever way the object is found by them.
    fn by_fields(object: &'static dyn Object, names: &[&str]) -> Option<Self> {
        if let Some(by) = object.match_by(names) {
            return Some(Self { by: Some(by), fields: Box::default() });
        }
        let resource = object.resource();
        if !object.is_keyless() || names.iter().any(|name| resource.field(name).is_none()) {
            return None;
        }
        // What the record belongs to goes without saying.
        let own = names.iter().filter(|name| resource.fields.iter().any(|field| field.name == **name));
        let fields: Box<[u8]> = own.filter_map(|name| resource.slot(name)).collect();
        (!fields.is_empty()).then_some(Self { by: None, fields })
    }

    fn chosen(chosen: &Match, object: &'static dyn Object) -> Result<Self, (Code, String)> {
        let words = match chosen {
            Match::By(MatchBy::ExternalId) => vec!["external_id"],
            Match::By(MatchBy::Uuid) => vec!["uuid"],
            Match::By(MatchBy::Email) => vec!["email"],
            Match::Fields(names) => names.iter().map(String::as_str).collect(),
        };
        Self::by_fields(object, &words).ok_or_else(|| {
            let also = if object.is_keyless() { ", or by any of its fields together" } else { "" };
            let text = format!(
                "`match`: {} can not be matched by {}; it can be matched by {}{also}",
                object.resource().name,
                words.join(" + "),
                alternatives(object)
            );
            (Code::ConfigInvalid, text)
        })
    }

    /// A warehouse's key is often a column of its own that is no field here; it is not used then. An object with a key of its
    /// own is matched by that, whatever the source's key is, and so are the rows of a preset: their key is known.
    fn classic(given: &StreamSettings, object: &'static dyn Object, key: &[&str]) -> Self {
        if object.has_own_key() || given.preset.is_some() || key.is_empty() {
            return Self::default();
        }
        Self::by_fields(object, key).unwrap_or_default()
    }

    fn activated(stream: &ConfiguredStream, object: &'static dyn Object, key: &[&str]) -> Result<Self, (Code, String)> {
        let mode = stream.destination_sync_mode;
        let needs_key =
            matches!(mode, DestinationSyncMode::AppendDedup | DestinationSyncMode::Update | DestinationSyncMode::SoftDelete);
        let name = object.resource().name;
        let known = || alternatives(object);
        match (key.is_empty(), Self::by_fields(object, key)) {
            // The platform asks for no key with soft_delete.
            (true, _) if !needs_key || mode == DestinationSyncMode::SoftDelete => Ok(Self::default()),
            (true, _) => Err((Code::MatchingKey, format!("no matching key was chosen; {name} can be matched by {}", known()))),
            (false, None) if needs_key => Err((
                Code::MatchingKey,
                format!("`{}` is no matching key of {name}; it can be matched by {}", key.join(" + "), known()),
            )),
            (false, found) => Ok(found.unwrap_or_default()),
        }
    }
}

fn alternatives(object: &'static dyn Object) -> String {
    object.matching_keys().iter().map(|fields| fields.join(" + ")).collect::<Vec<_>>().join(", ")
}

/// The primary key of the catalog under ChartMogul's names.
fn names_of_key(
    stream: &ConfiguredStream,
    given: &StreamSettings,
    object: &'static dyn Object,
    mapper: Option<&Mapper>,
) -> Vec<String> {
    // With a preset a column is known by what the preset makes of it.
    let known = |column: &str| {
        let slot = given.preset.and(mapper)?.field_of(column)?;
        object.resource().all_fields().nth(usize::from(slot.field)).map(|field| field.name)
    };
    // A path of several parts is a nested column, renamed by `fields` like any other.
    let rename = |path: &Vec<String>| match (given.fields.iter().find(|(source, _)| source == path), &path[..]) {
        (Some((_, target)), _) => target.join("."),
        (None, [column]) => known(column).unwrap_or(column).to_owned(),
        (None, _) => path.join("."),
    };
    stream.primary_key.iter().map(rename).collect()
}
