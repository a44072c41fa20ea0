//! What each stream becomes: catalog × settings × registry.
//!
//! Owns how all that is known of a stream comes together, and refuses early what can not work, all problems at once. Which
//! object and mode it gets stands in `resolving`, by what its records are found in `matching`, what a mirror asks in
//! `mirroring`. What a clear must survive (a mode that the object lacks, soft_delete while no record deletes) is refused at the
//! stream's first record only: the platform rewrites the modes of streams that it clears.
//! Stands above `objects`: it is the only room that joins settings with the registry.

mod matching;
mod mirroring;
mod resolving;

use std::borrow::Cow;

use hashbrown::HashMap;
use serde_json::value::RawValue;

use matching::Matching;
use resolving::Resolved;

use crate::config::{Deletions, Settings, StreamSettings};
use crate::errors::Code;
use crate::failure::Failure;
use crate::mapping::{DELETED_AT, Extras, Mapped, Mapper, MapperInput, Slot, values};
use crate::objects::mirrored::Named;
use crate::objects::resource::AttributeType;
use crate::objects::{self, How, Object};
use crate::outcome::{Fault, Rejection, Skip};
use crate::plan::{MatchBy, Mode, Nulls, Plan, Record};
use crate::protocol::{ConfiguredCatalog, ConfiguredStream, DestinationSyncMode, StreamId, StreamRef};

/// One stream, bound. Immutable; shared by all threads.
#[derive(Debug)]
pub struct Binding {
    /// The stream, under the names that came.
    pub id: StreamId,
    /// What its records become.
    pub object: &'static dyn Object,
    /// Whether the host tells generations, and so sends COMPLETE.
    pub expects_complete: bool,
    /// The mode, or why the first record is refused.
    mode: Result<Mode, Failure>,
    how: How,
    mapper: Mapper,
    deletions: Deletions,
    nulls: Nulls,
    /// What in the catalog speaks against it that what does not come is deleted; `None` where that is not asked for, or
    /// nothing can be written.
    pub mirroring: Option<Vec<&'static str>>,
}

/// What a record of a stream asks for.
#[derive(Debug)]
pub enum Planned {
    /// This.
    Plan(Plan),
    /// Nothing, on purpose.
    Skip(Skip),
    /// It can not be written; its key, as far as it gives one.
    Reject(Rejection, String),
    /// Its stream can not be written at all: the sync ends.
    Stop(Failure),
}

/// All streams of a catalog, in its order.
#[derive(Debug)]
pub struct Bindings {
    list: Vec<Binding>,
    places: HashMap<StreamId, usize>,
    keeps_rejects: bool,
}

impl Bindings {
    /// Binds every stream of the catalog.
    ///
    /// # Errors
    /// All problems at once, as one config_error.
    pub fn new(catalog: &ConfiguredCatalog, settings: &Settings) -> Result<Self, Failure> {
        let mut list = Vec::with_capacity(catalog.streams.len());
        let mut places = HashMap::new();
        let mut problems: Vec<(Code, String)> = Vec::new();
        for stream in &catalog.streams {
            if places.insert(stream.id.clone(), list.len()).is_some() {
                problems.push((Code::CatalogInvalid, format!("stream `{}`: it stands twice in the catalog", stream.id)));
                continue;
            }
            match Binding::new(stream, settings) {
                Ok(binding) => list.push(binding),
                Err(found) => {
                    problems.extend(found.into_iter().map(|(code, text)| (code, format!("stream `{}`: {text}", stream.id))));
                }
            }
        }
        for entry in &settings.streams {
            let used = |stream: &ConfiguredStream| {
                settings.stream(stream.id.namespace.as_deref(), &stream.id.name).is_some_and(|used| std::ptr::eq(used, entry))
            };
            if !catalog.streams.iter().any(used) {
                tracing::warn!("`streams` has settings for `{}`, which is not in the configured catalog", entry.stream);
            }
        }
        match problems.first() {
            None => Ok(Self { list, places, keeps_rejects: settings.keeping.rejects.is_some() }),
            Some((code, _)) => {
                let lines: Vec<&str> = problems.iter().map(|(_, text)| text.as_str()).collect();
                Err(Failure::config(*code, lines.join("\n")))
            }
        }
    }

    /// The streams, in the catalog's order.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.list.iter()
    }

    /// Whether rejected records are kept, so that every record has to be had as it came.
    pub fn keeps_rejects(&self) -> bool {
        self.keeps_rejects
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no stream; a catalog that was read has at least one.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The place of a stream.
    pub fn find(&self, stream: StreamRef<'_>) -> Option<usize> {
        self.places.get(&stream).copied()
    }

    /// The places of streams that a status can mean: some hosts name the stream without its namespace.
    pub fn find_leniently(&self, stream: StreamRef<'_>) -> Vec<usize> {
        if stream.namespace.is_some() {
            return self.find(stream).into_iter().collect();
        }
        self.list.iter().enumerate().filter(|(_, binding)| binding.id.name.as_ref() == stream.name).map(|(at, _)| at).collect()
    }

    /// The stream at a place.
    pub fn at(&self, place: usize) -> &Binding {
        &self.list[place]
    }
}

type Problems = Vec<(Code, String)>;

impl Binding {
    fn new(stream: &ConfiguredStream, settings: &Settings) -> Result<Self, Problems> {
        let entry = settings.stream(stream.id.namespace.as_deref(), &stream.id.name);
        let empty = StreamSettings::default();
        let given = entry.unwrap_or(&empty);
        let columns: Vec<&str> = match stream.json_schema.get("properties").and_then(serde_json::Value::as_object) {
            Some(properties) => properties.keys().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let (object, computed) = match resolving::object(stream, entry, settings)? {
            Resolved::Object(object) => {
                let refused = given.preset.and_then(|preset| preset.refuses(object.resource().name, &columns));
                (object, refused)
            }
            // No row of it will be written; some object has to stand for it, and nothing is done with that.
            Resolved::Nothing(why) => (objects::OBJECTS[0], Some(why)),
        };
        let resource = object.resource();
        let mut problems = Problems::new();
        let activation = stream.destination_object_name.is_some();
        let mode = match computed {
            None => resolving::mode(stream, entry, settings, object),
            Some(why) => Err(resolving::not_writable(stream, why)),
        };
        let sheet = match (given.preset, &computed) {
            (Some(preset), None) => {
                let sheet = preset.sheet(resource.name);
                if sheet.is_none() {
                    problems.push((Code::ConfigInvalid, resolving::no_such_rows(preset, resource.name)));
                }
                sheet
            }
            _ => None,
        };

        let types = resolving::attribute_types(stream, given);
        let input = MapperInput {
            resource,
            fields: &given.fields,
            constants: &given.constants,
            exclude: &given.exclude,
            unknown: settings.unknown_fields,
            columns: &columns,
            types: &types,
        };
        let extras = Extras { values: &given.values, sheet, data_source: &settings.data_source };
        let mapper = match Mapper::with(&input, &extras) {
            // A stream that is refused anyway is not judged by its fields as well.
            Err(_) if computed.is_some() => {
                Mapper::new(&MapperInput { fields: &[], constants: &serde_json::Map::new(), ..input })
            }
            tried => tried,
        };
        let renames_marker =
            |(source, target): &(Vec<String>, Vec<String>)| source[..] == [DELETED_AT] && target[..] != [DELETED_AT];
        if settings.deletions.by_record() && given.fields.iter().any(renames_marker) {
            let text =
                format!("`fields` makes something else of `{DELETED_AT}`, by which the policy `delete` tells what to delete");
            problems.push((Code::ConfigInvalid, text));
        }
        let mapper = match mapper {
            Ok(mapper) => {
                for warning in mapper.warnings() {
                    tracing::warn!("stream `{}`: {warning}", stream.id);
                }
                Some(mapper)
            }
            Err(found) => {
                problems.extend(found.into_iter().map(|text| (Code::ConfigInvalid, text)));
                None
            }
        };

        if stream.destination_sync_mode == DestinationSyncMode::AppendDedup && !columns.is_empty() {
            // A table could not be laid down without its key; here the key is only used where it is the object's own.
            for name in stream.primary_key.iter().filter_map(|path| path.first()).filter(|name| !columns.contains(&name.as_str()))
            {
                tracing::warn!("stream `{}`: its primary key `{name}` is no column of its schema", stream.id);
            }
        }
        let matching = match Matching::of(stream, given, object, mapper.as_ref()) {
            // A stream of which no row will be written is not judged by its key as well.
            _ if computed.is_some() => Matching::default(),
            Ok(found) => found,
            Err(problem) => {
                problems.push(problem);
                Matching::default()
            }
        };
        let mut only_if_empty = Vec::new();
        for name in &given.only_if_empty {
            match resource.slot(name).filter(|_| resource.fields.iter().any(|field| field.name == name)) {
                Some(slot) => only_if_empty.push(slot),
                None if computed.is_some() => {}
                None => {
                    problems.push((Code::ConfigInvalid, format!("`only_if_empty`: {} has no field `{name}`", resource.name)));
                }
            }
        }
        if let (Some(mapper), Ok(mode), true, false) = (&mapper, &mode, activation, columns.is_empty()) {
            let filled = mapper.fillable(&columns);
            for names in object.required(*mode) {
                let at = |name: &str| resource.all_fields().position(|field| field.name == name);
                if !names.iter().any(|name| at(name).is_some_and(|at| filled.contains(&(at as u8)))) {
                    let names = names.join("` or `");
                    problems.push((
                        Code::FieldUnmapped,
                        format!("no column is mapped to `{names}`, which {} {mode} requires", resource.name),
                    ));
                }
            }
        }

        let Some(mapper) = mapper.filter(|_| problems.is_empty()) else { return Err(problems) };
        let mirrors = settings.deletions.by_absence() && computed.is_none();
        let how = How {
            mode: *mode.as_ref().unwrap_or(&Mode::Upsert),
            match_by: matching.by,
            match_fields: matching.fields,
            data_source: settings.data_source.as_str().into(),
            parents: given.parents(),
            only_if_empty: only_if_empty.into(),
            deletes: settings.deletions.by_record(),
            nulls: settings.nulls,
        };
        Ok(Self {
            id: stream.id.clone(),
            object,
            mirroring: mirrors.then(|| mirroring::objections(stream, mode.is_ok())),
            expects_complete: stream.generation_id.is_some(),
            mode,
            how,
            mapper,
            deletions: settings.deletions,
            nulls: settings.nulls,
        })
    }

    /// What the stream says about its records.
    pub fn how(&self) -> &How {
        &self.how
    }

    /// The types of custom attributes that its `types` say.
    pub fn said_types(&self) -> impl Iterator<Item = (&str, AttributeType)> {
        self.mapper.said_types()
    }

    /// Turns one row into what it asks for, using the room that the last row left. Pure; called from many threads.
    pub fn plan<'a>(&'a self, data: &'a RawValue, mapped: &mut Mapped<'a>) -> Planned {
        self.plan_and_name(data, mapped).0
    }

    /// The same, and what the row names, where what is not named is to be deleted. `None` for a row that is none of this data
    /// source's. A row that is marked as deleted names nothing: it was said to be gone.
    pub fn plan_and_name<'a>(&'a self, data: &'a RawValue, mapped: &mut Mapped<'a>) -> (Planned, Option<Named>) {
        let mut named = self.mirroring.as_ref().map(|_| Named::default());
        let planned = self.plan_naming(data, mapped, named.as_mut());
        let ours = !matches!(planned, Planned::Skip(Skip::OtherDataSource | Skip::AutomaticTag) | Planned::Stop(_));
        (planned, named.filter(|_| ours))
    }

    fn plan_naming<'a>(&'a self, data: &'a RawValue, mapped: &mut Mapped<'a>, mut named: Option<&mut Named>) -> Planned {
        let mode = match &self.mode {
            Ok(mode) => *mode,
            Err(failure) => return Planned::Stop(failure.clone()),
        };
        if let Err(what) = self.mapper.apply(data, mapped) {
            let fault = Fault::record(Code::FieldType, format!("the record's data is {what}, not an object"));
            named.into_iter().for_each(|named| *named = Named::unreadable(self.object));
            return Planned::Reject(Rejection::local(vec![fault]), String::new());
        }
        if let Some(skip) = mapped.skip {
            return Planned::Skip(skip);
        }
        let deletes = mapped.deleted || mode == Mode::Delete;
        if deletes && !self.deletions.by_record() {
            return Planned::Skip(Skip::DeletionIgnored);
        }
        let how = if deletes {
            // Only the key of a deleted row counts; its other columns may be empty or stale.
            self.keep_keys(mapped);
            mapped.drop_attributes();
            mapped.unknown.clear();
            Cow::Owned(How { mode: Mode::Delete, ..self.how.clone() })
        } else {
            Cow::Borrowed(&self.how)
        };
        let mut record = Record::read(self.object.resource(), mapped, self.nulls, |key| self.mapper.attribute_type(key));
        record.faults.append(&mut mapped.faults);
        if let Some(named) = &mut named {
            **named = Named::by(self.object, &record, &how);
        }
        if deletes && !self.object.modes().contains(&Mode::Delete) {
            let key = self.key_of(&record).unwrap_or_default();
            return Planned::Reject(Rejection::local(vec![not_deletable(self.object)]), key);
        }
        // Taken before the record is used up, and only where it is likely to be needed.
        let key = if record.faults.is_empty() { None } else { self.key_of(&record) };
        match self.object.plan(record, &how) {
            Ok(plan) => {
                named.into_iter().for_each(|named| named.refers(&plan));
                Planned::Plan(plan)
            }
            Err(faults) => Planned::Reject(Rejection::local(faults), key.unwrap_or_default()),
        }
    }

    /// Leaves of a row what finds its object, and what is wrong with that; an e-mail address only where it is what the object is
    /// found by. Constants say the same of every row, so that none of them alone finds what is to go.
    fn keep_keys(&self, mapped: &mut Mapped<'_>) {
        let resource = self.object.resource();
        let name = |slot: &Slot| resource.all_fields().nth(usize::from(slot.field)).map_or("", |field| field.name);
        let is_reference = |slot: &Slot| usize::from(slot.field) < resource.references.len();
        let filled = std::mem::take(&mut mapped.filled);
        let is_own =
            |(slot, value): &(Slot, Cow<'_, str>)| !filled.contains(slot) && *value != "null" && !values::is_blank_text(value);
        let (chosen, sets) = (&self.how.match_fields, self.object.matching_keys());
        if self.object.is_keyless() {
            let is_kept = |slot: &Slot| is_reference(slot) || chosen.is_empty() || chosen.contains(&slot.field);
            mapped.fields.retain(|(slot, _)| is_kept(slot));
            let tells = mapped.fields.iter().any(|field| !is_reference(&field.0) && is_own(field));
            mapped.fields.retain(|(slot, _)| tells || name(slot) == "uuid" || is_reference(slot));
        } else {
            let by_key = self.how.match_by != Some(MatchBy::Email)
                && mapped.fields.iter().any(|(slot, value)| matches!(name(slot), "external_id" | "uuid") && *value != "null");
            let is_key = |name: &str| sets.iter().any(|set| set.contains(&name)) && !(by_key && name == "email");
            mapped.fields.retain(|(slot, _)| is_reference(slot) || is_key(name(slot)));
        }
        let own: Vec<&str> = mapped.fields.iter().filter(|field| is_own(field)).map(|(slot, _)| name(slot)).collect();
        let is_beside = |key: &str| sets.iter().any(|set| set.contains(&key) && set.iter().any(|other| own.contains(other)));
        let is_key = |key: &str| sets.iter().any(|set| set.contains(&key));
        let narrows = |name: &str| (self.object.is_keyless() && name != "uuid") || !is_key(name) || is_beside(name);
        let keeps = |slot: &Slot| !filled.contains(slot) || narrows(name(slot));
        mapped.fields.retain(|(slot, _)| keeps(slot));
        let (fields, twice, faults) = (&mapped.fields, &mut mapped.twice, &mut mapped.faults);
        twice.retain(|slot| fields.iter().any(|(at, _)| at == slot));
        let is_kept = |field: &str| is_key(field) || resource.references.iter().any(|reference| reference.name == field);
        faults.retain(|fault| fault.field.as_deref().is_some_and(|field| field == DELETED_AT || is_kept(field)));
    }

    /// The first key that a record gives.
    fn key_of(&self, record: &Record) -> Option<String> {
        self.object.matching_keys().iter().copied().flatten().find_map(|name| record.text(name)).map(String::from)
    }
}

/// The fault of a record that is marked as deleted and whose object can only be written.
fn not_deletable(object: &dyn Object) -> Fault {
    let name = object.resource().name;
    let text = format!("is marked as deleted, and {name} can not be deleted; they take {}", resolving::words(object.modes()));
    Fault::record(Code::DeleteNotSupported, text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mapping::attributes::Wanted;

    fn settings(more: &Value) -> Settings {
        let mut config = json!({"api_key": "k-secret", "data_source_uuid": "ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Settings::load(&config.to_string(), None).unwrap()
    }

    /// A stream of this name, with these keys on top.
    fn stream(name: &str, more: &Value) -> Value {
        let mut stream = json!({"stream": {"name": name, "json_schema": {"properties": {"external_id": {"type": "string"}}},
            "supported_sync_modes": ["full_refresh"]}, "sync_mode": "full_refresh", "destination_sync_mode": "append"});
        stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        stream
    }

    fn bind(streams: &[Value], more: &Value) -> Result<Bindings, Failure> {
        Bindings::new(&ConfiguredCatalog::parse(&json!({"streams": streams}).to_string()).unwrap(), &settings(more))
    }

    fn modes(streams: &[Value], more: &Value) -> Vec<String> {
        let show = |binding: &Binding| match &binding.mode {
            Ok(mode) => format!("{} {mode}", binding.object.resource().name),
            Err(failure) => format!("{} {}", binding.object.resource().name, failure.code),
        };
        bind(streams, more).unwrap().iter().map(show).collect()
    }

    #[test]
    fn the_first_that_speaks_says_what_a_stream_becomes() {
        let mode = |mode: &str| json!({"destination_sync_mode": mode});
        let object = |mode: &str, key: &Value| json!({"destination_sync_mode": mode, "destination_object_name": "contacts", "primary_key": key});
        let columns = json!({"properties": {}});
        let activated = |sync: &str| {
            let mut stream = stream("x", &object(sync, &json!([["email"]])));
            stream["stream"]["json_schema"] = columns.clone();
            stream
        };
        assert_eq!(
            modes(
                &[activated("append"), stream("contacts", &mode("append_dedup")), stream("customers", &mode("overwrite"))],
                &json!({"object": "auto"})
            ),
            ["contacts insert", "contacts upsert", "customers upsert"]
        );
        assert_eq!(modes(&[activated("append_dedup")], &json!({})), ["contacts upsert"]);
        assert_eq!(modes(&[activated("update")], &json!({})), ["contacts update"]);
        assert_eq!(
            modes(&[stream("rows", &mode("append"))], &json!({"object": "customers", "mode": "insert"})),
            ["customers insert"]
        );
        let entry = json!({"object": "customers", "streams": [{"stream": "rows", "object": "contacts", "mode": "update"}]});
        assert_eq!(modes(&[stream("rows", &mode("append"))], &entry), ["contacts update"]);
        assert_eq!(modes(&[stream("customers", &mode("update"))], &json!({"mode": "insert"})), ["customers update"]);
    }

    #[test]
    fn what_a_clear_must_survive_is_refused_only_at_the_first_record() {
        let soft = stream("customers", &json!({"destination_sync_mode": "soft_delete"}));
        assert_eq!(modes(std::slice::from_ref(&soft), &json!({})), ["customers DELETIONS_IGNORED"]);
        assert_eq!(modes(std::slice::from_ref(&soft), &json!({"deletions": {"policy": "delete"}})), ["customers delete"]);
        let over = stream("x", &json!({"destination_sync_mode": "overwrite", "destination_object_name": "customers"}));
        assert_eq!(modes(std::slice::from_ref(&over), &json!({})), ["customers MODE_NOT_SUPPORTED"]);
        let bindings = bind(&[over], &json!({})).unwrap();
        let raw = serde_json::value::to_raw_value(&json!({})).unwrap();
        assert!(
            matches!(bindings.at(0).plan(&raw, &mut Mapped::default()), Planned::Stop(failure) if failure.code == Code::ModeNotSupported)
        );
    }

    #[test]
    fn all_problems_of_all_streams_are_told_at_once() {
        let failure = bind(
            &[
                stream("orders", &json!({})),
                stream("a", &json!({"destination_object_name": "companies"})),
                stream("b", &json!({"destination_object_name": "customers", "destination_sync_mode": "append_dedup"})),
                stream("c", &json!({"destination_object_name": "customers", "destination_sync_mode": "update", "primary_key": [["name"]]})),
                stream("d", &json!({"destination_object_name": "contacts", "destination_sync_mode": "append"})),
                stream("customers", &json!({})),
            ],
            &json!({"streams": [{"stream": "customers", "fields": {"x": "primary_contact.age"}}]}),
        )
        .unwrap_err();
        insta::assert_snapshot!(failure.message);
    }

    #[test]
    fn a_primary_key_is_used_where_it_is_the_objects_and_ignored_where_it_is_not() {
        let key = |name: &str, key: &Value, more: &Value| {
            let bindings = bind(&[stream(name, &json!({"primary_key": key}))], more).unwrap();
            bindings.at(0).how.match_by
        };
        assert_eq!(key("contacts", &json!([["email"]]), &json!({})), Some(MatchBy::Email));
        assert_eq!(key("contacts", &json!([["customer_external_id"], ["external_id"]]), &json!({})), Some(MatchBy::ExternalId));
        assert_eq!(key("contacts", &json!([["row_id"]]), &json!({})), None);
        let renamed = json!({"streams": [{"stream": "contacts", "fields": {"mail": "email"}}]});
        assert_eq!(key("contacts", &json!([["mail"]]), &renamed), Some(MatchBy::Email));
        assert_eq!(key("customers", &json!([["email"]]), &json!({})), None);
        let chosen = json!({"streams": [{"stream": "customers", "match": "email"}]});
        assert_eq!(key("customers", &json!([["row_id"]]), &chosen), Some(MatchBy::Email));
    }

    fn planned(bindings: &Bindings, row: &Value) -> String {
        let raw = serde_json::value::to_raw_value(row).unwrap();
        match bindings.at(0).plan(&raw, &mut Mapped::default()) {
            Planned::Plan(plan) => format!("{} {}", plan.mode, plan.key()),
            Planned::Skip(skip) => skip.as_str().to_owned(),
            Planned::Reject(rejection, _) => format!("{} {}", rejection.code(), rejection.faults.len()),
            Planned::Stop(failure) => failure.message,
        }
    }

    /// A stream whose schema names these columns, and its entry with these keys.
    fn preset(name: &str, columns: &[&str], entry: &Value) -> Result<Bindings, Failure> {
        let mut stream = stream(name, &json!({}));
        let columns = columns.iter().map(|column| ((*column).to_owned(), json!({"type": "string"})));
        stream["stream"]["json_schema"]["properties"] = columns.collect::<serde_json::Map<_, _>>().into();
        let mut settings = json!({"stream": name});
        settings.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        bind(&[stream], &json!({"object": "contacts", "streams": [settings]}))
    }

    #[test]
    fn a_preset_says_what_its_streams_become() {
        let object = |name: &str, entry: Value| preset(name, &[], &entry).map(|bindings| bindings.at(0).object.resource().name);
        assert_eq!(object("groups", json!({"preset": "segment_group"})), Ok("customers"));
        assert_eq!(object("users", json!({"preset": "segment_identify"})), Ok("contacts"));
        assert_eq!(object("CUSTOMERS", json!({"preset": "chartmogul_export"})), Ok("customers"));
        assert_eq!(object("CUSTOMERS", json!({"preset": "chartmogul_export", "object": "auto"})), Ok("customers"));
        assert_eq!(object("a_view", json!({"preset": "chartmogul_export", "object": "customers"})), Ok("customers"));
        assert_eq!(object("a_view", json!({"preset": "chartmogul_export"})), Ok("contacts"), "the setting for all streams");
        let failure = object("groups", json!({"preset": "segment_group", "object": "contacts"})).unwrap_err();
        assert_eq!(failure.code, Code::ConfigInvalid);
        assert!(failure.message.contains("rows of the preset `segment_group` become customers, not contacts"), "{failure}");
    }

    #[test]
    fn computed_datasets_are_refused_at_their_first_record_with_what_to_load() {
        let entry = json!({"preset": "chartmogul_export", "fields": {"a": "no.such"}});
        for (name, columns, instead) in [
            ("MRR_MOVEMENTS", &[][..], "SUBSCRIPTION_EVENTS"),
            ("CURRENCY_RATES", &[], "Nothing is to be loaded"),
            ("CUSTOMERS", &["UUID", "MRR", "ARR", "BILLING_CYCLE"], "source dataset CUSTOMERS"),
        ] {
            let bindings = preset(name, columns, &entry).unwrap();
            assert!(matches!(&bindings.at(0).mode, Err(failure) if failure.code == Code::NotWritable));
            assert!(planned(&bindings, &json!({"MRR": 1})).contains(instead), "{name}");
        }
    }

    #[test]
    fn rows_of_a_preset_become_plans_skips_and_rejects() {
        let entry = json!({"preset": "chartmogul_export", "values": {"COUNTRY_ID": {"1": "US"}}});
        let bindings = preset("CUSTOMERS", &["EXTERNAL_ID", "COUNTRY_ID"], &entry).unwrap();
        assert_eq!(planned(&bindings, &json!({"EXTERNAL_ID": "a", "COUNTRY_ID": 1, "ID": 7})), "upsert a");
        assert_eq!(planned(&bindings, &json!({"EXTERNAL_ID": "a", "DATA_SOURCE_UUID": "ds_1"})), "other_data_source");
        assert_eq!(planned(&bindings, &json!({"EXTERNAL_ID": "a", "COUNTRY_ID": 2})), "FIELD_VALUE 1");
        let identify =
            preset("identifies", &["user_id"], &json!({"preset": "segment_identify", "match": "external_id"})).unwrap();
        assert_eq!(identify.at(0).how.match_by, Some(MatchBy::ExternalId));
        assert_eq!(planned(&identify, &json!({"user_id": null, "id": "m", "company_id": "c"})), "FIELD_MISSING 1");
    }

    #[test]
    fn types_that_a_schema_declares_hold_under_the_names_that_attributes_get() {
        let mut stream = stream("g", &json!({}));
        stream["stream"]["json_schema"]["properties"] = json!({"groupId": {"type": "string"}, "isTarget": {"type": "string"}, "level": {"type": "integer"}, "traits": {"type": "object", "properties": {"seatCount": {"type": "integer"}}}});
        let entry = json!({"stream": "g", "preset": "segment_group", "types": {"is_target": "Boolean"}, "values": {"level": {"1": "gold"}}});
        let bindings = bind(&[stream], &json!({"streams": [entry]})).unwrap();
        let kind = |key: &str| bindings.at(0).mapper.attribute_type(key).map(Wanted::kind);
        assert_eq!((kind("is_target"), kind("seat_count")), (Some(AttributeType::Boolean), Some(AttributeType::Integer)));
        assert_eq!(kind("level"), None, "what is sent is the table's");
    }

    #[test]
    fn an_unknown_member_of_a_nested_object_is_left_out_only_where_unknown_fields_are_ignored() {
        let row = json!({"external_id": "a", "customer_external_id": "c", "date": "2026-01-01", "currency": "USD",
            "line_items": [{"type": "one_time", "amount_in_cents": 1, "foo": 2}]});
        for (word, wanted) in
            [("custom_attributes", "FIELD_UNKNOWN 1"), ("reject", "FIELD_UNKNOWN 1"), ("ignore", "upsert a of c")]
        {
            let bindings = bind(&[stream("invoices", &json!({}))], &json!({"unknown_fields": word})).unwrap();
            assert_eq!(planned(&bindings, &row), wanted, "{word}");
        }
    }

    #[test]
    fn a_deleted_row_of_what_can_not_be_deleted_is_rejected_with_what_it_takes() {
        let policy = json!({"deletions": {"policy": "delete"}});
        for object in objects::OBJECTS.iter().filter(|object| !object.modes().contains(&Mode::Delete)) {
            let name = object.resource().name;
            let mut row: Value = serde_json::from_str(object.examples()[0]).unwrap();
            row["_ab_cdc_deleted_at"] = json!("2026-01-01");
            let raw = serde_json::value::to_raw_value(&row).unwrap();
            let bindings = bind(&[stream(name, &json!({}))], &policy).unwrap();
            let Planned::Reject(rejection, key) = bindings.at(0).plan(&raw, &mut Mapped::default()) else {
                panic!("{name} is not rejected")
            };
            assert_eq!((rejection.code(), key.is_empty()), (Code::DeleteNotSupported, false), "{name}");
            assert!(rejection.faults[0].message.contains("they take upsert, insert"), "{name}");
            let ignored = bind(&[stream(name, &json!({}))], &json!({})).unwrap();
            assert_eq!(planned(&ignored, &row), "deletion_ignored", "{name}");
        }
    }

    #[test]
    fn what_a_deleted_row_is_found_by_has_to_be_certain() {
        let deleted = |name: &str, entry: Value, mut row: Value| {
            let mut settings = json!({"stream": name});
            settings.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
            row["_ab_cdc_deleted_at"] = json!("2026-01-01");
            let policy = json!({"deletions": {"policy": "delete"}, "streams": [settings]});
            planned(&bind(&[stream(name, &json!({}))], &policy).unwrap(), &row)
        };
        // Its key given twice, by whichever column first; what is no key may be.
        let twice = json!({"fields": {"x": "external_id", "y": "name"}});
        for row in [json!({"external_id": "c1", "x": "c2"}), json!({"a": 1, "x": "c2", "external_id": "c1"})] {
            assert_eq!(deleted("customers", twice.clone(), row), "FIELD_TWICE 1");
        }
        assert_eq!(deleted("customers", twice, json!({"external_id": "c1", "name": "a", "y": "b"})), "delete c1");
        let contact = json!({"external_id": "k", "customer_external_id": "c", "x": "d"});
        assert_eq!(deleted("contacts", json!({"fields": {"x": "customer_external_id"}}), contact), "FIELD_TWICE 1");
        // Of two columns of the marker one is set, and the other says nothing for certain.
        let marked_twice = json!({"fields": {"removed": "_ab_cdc_deleted_at"}});
        assert_eq!(deleted("customers", marked_twice, json!({"external_id": "c", "removed": "no"})), "FIELD_VALUE 1");
        // By a constant alone nothing is found; it may narrow down what the row itself says.
        let note = json!({"constants": {"type": "note"}});
        let bare = json!({"customer_external_id": "c", "text": null, "created_at": null});
        assert_eq!(deleted("customer_notes", note.clone(), bare.clone()), "KEY_MISSING 1");
        let matched = json!({"match": "type, text", "constants": {"type": "note"}});
        assert_eq!(deleted("customer_notes", matched, bare), "FIELD_MISSING 2");
        let told = json!({"customer_external_id": "c", "text": "hello"});
        assert!(deleted("customer_notes", note, told).starts_with("delete"));
        assert_eq!(
            deleted("customers", json!({"constants": {"external_id": "c"}}), json!({"external_id": null})),
            "FIELD_MISSING 1"
        );
        let uuid = json!({"constants": {"uuid": "cus_23740208-2c7e-11ee-9ea2-ffd2435982bb"}});
        assert_eq!(deleted("customers", uuid, json!({"name": "a"})), "FIELD_MISSING 1");
        let tag = json!({"constants": {"tag": "vip"}});
        assert!(
            deleted("tags", tag, json!({"customer_external_id": "c"})).starts_with("delete"),
            "the tag of whoever is none any more"
        );
        let contact = json!({"constants": {"customer_external_id": "c"}});
        assert_eq!(deleted("contacts", contact, json!({"external_id": "k"})), "delete k of c");
    }

    #[test]
    fn a_marker_that_is_made_something_else_is_refused_where_it_is_to_delete() {
        let entry = json!({"stream": "customers", "fields": {"_ab_cdc_deleted_at": "custom.gone"}});
        let bound = |policy: &str| {
            let config = json!({"deletions": {"policy": policy}, "streams": [entry]});
            bind(&[stream("customers", &json!({}))], &config).map(|_| ())
        };
        assert!(bound("delete").unwrap_err().message.contains("makes something else of `_ab_cdc_deleted_at`"));
        assert_eq!((bound("ignore"), bound("mirror")), (Ok(()), Ok(())));
    }

    #[test]
    fn a_deleted_row_needs_nothing_but_its_key() {
        let bindings = bind(&[stream("customers", &json!({}))], &json!({"deletions": {"policy": "delete"}})).unwrap();
        let raw =
            serde_json::value::to_raw_value(&json!({"external_id": "a", "email": "nobody", "x y": 1, "_ab_cdc_deleted_at": 1}))
                .unwrap();
        let Planned::Plan(plan) = bindings.at(0).plan(&raw, &mut Mapped::default()) else { panic!("no plan") };
        assert_eq!((plan.mode, plan.key().as_str()), (Mode::Delete, "a"));
    }
}
