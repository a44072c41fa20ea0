//! The configured catalog: which streams come, and how the user wants them written.
//!
//! Owns its reading, and the refusal of catalogs that no destination could work with. Does not own what a stream becomes
//! (that is the binding), nor whether its mode suits its object: a platform that clears a stream rewrites the mode, so that
//! can only be judged when a record comes.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::errors::Code;
use crate::failure::Failure;

/// A stream by name. Namespaces that are absent, null or empty are the same: none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The namespace, never empty.
    pub namespace: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

impl StreamId {
    /// A stream's id.
    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        Self { namespace: namespace.filter(|namespace| !namespace.is_empty()).map(Into::into), name: name.into() }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> StreamRef<'_> {
        StreamRef { namespace: self.namespace.as_deref(), name: &self.name }
    }
}

/// A borrowed [`StreamId`], to look one up in a `hashbrown` map without making one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamRef<'a> {
    /// The namespace, never empty.
    pub namespace: Option<&'a str>,
    /// The name.
    pub name: &'a str,
}

impl hashbrown::Equivalent<StreamId> for StreamRef<'_> {
    fn equivalent(&self, id: &StreamId) -> bool {
        *self == id.as_ref()
    }
}

impl From<StreamRef<'_>> for StreamId {
    fn from(stream: StreamRef<'_>) -> Self {
        Self::new(stream.namespace, stream.name)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for StreamRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace {
            Some(namespace) => write!(f, "{namespace}.{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// How the source reads a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// All of it, every time.
    FullRefresh,
    /// What is new. Also where the catalog does not say: nothing may be concluded from what is not there.
    Incremental,
}

/// How the user wants a stream written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DestinationSyncMode {
    /// `append`
    Append,
    /// `overwrite`
    Overwrite,
    /// `append_dedup`
    AppendDedup,
    /// `update`
    Update,
    /// `soft_delete`
    SoftDelete,
}

impl DestinationSyncMode {
    /// Every mode, in the order in which `spec` offers them: those that take any row first, the one that may delete last.
    pub const ALL: [Self; 5] = [Self::Append, Self::AppendDedup, Self::Overwrite, Self::Update, Self::SoftDelete];

    /// The protocol's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::AppendDedup => "append_dedup",
            Self::Update => "update",
            Self::SoftDelete => "soft_delete",
        }
    }
}

/// One stream of the catalog.
#[derive(Debug, Clone)]
pub struct ConfiguredStream {
    /// Its name.
    pub id: StreamId,
    /// What the source says about its fields; null where it says nothing.
    pub json_schema: Value,
    /// How the source reads it.
    pub sync_mode: SyncMode,
    /// How the user wants it written.
    pub destination_sync_mode: DestinationSyncMode,
    /// The object chosen by the user; data activation only.
    pub destination_object_name: Option<String>,
    /// Fields of the key, as paths. In data activation the chosen matching key.
    pub primary_key: Vec<Vec<String>>,
    /// Path of the cursor.
    pub cursor_field: Vec<String>,
    /// The generation that the records belong to; `None` where the host does not know generations.
    pub generation_id: Option<i64>,
    /// The oldest generation that shall stay.
    pub minimum_generation_id: Option<i64>,
    /// The job.
    pub sync_id: Option<i64>,
}

impl ConfiguredStream {
    /// What has to be known of it to write its records at another time: an entry of a catalog, but for the stream's name and what
    /// belongs to one sync. Of the schema that is the types.
    pub fn for_later(&self) -> Value {
        let mut entry = json!({"destination_sync_mode": self.destination_sync_mode.as_str()});
        if let Some(object) = &self.destination_object_name {
            entry["destination_object_name"] = object.as_str().into();
        }
        if !self.primary_key.is_empty() {
            entry["primary_key"] = json!(self.primary_key);
        }
        if let Some(types) = types(&self.json_schema) {
            entry["json_schema"] = types;
        }
        entry
    }
}

/// What a schema says of types; nothing where it says nothing.
fn types(schema: &Value) -> Option<Value> {
    let mut told = Map::new();
    for word in ["type", "format", "airbyte_type"] {
        told.extend(schema.get(word).map(|value| (word.to_owned(), value.clone())));
    }
    let columns = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let columns: Map<String, Value> =
        columns.map(|(name, column)| (name.clone(), types(column).unwrap_or_else(|| json!({})))).collect();
    if !columns.is_empty() {
        told.insert("properties".to_owned(), columns.into());
    }
    (!told.is_empty()).then_some(told.into())
}

/// The catalog: at least one stream, none twice.
#[derive(Debug, Clone)]
pub struct ConfiguredCatalog {
    /// Its streams, in the order given.
    pub streams: Vec<ConfiguredStream>,
}

impl ConfiguredCatalog {
    /// Reads the catalog from a file.
    ///
    /// # Errors
    /// `CATALOG_INVALID` when the file can not be read, or as in [`Self::parse`].
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| invalid(format!("The catalog {} can not be read: {error}.", path.display())))?;
        Self::parse(&text)
    }

    /// Reads the catalog from its text.
    ///
    /// # Errors
    /// `CATALOG_INVALID`, naming all problems of all streams at once.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wire: WireCatalog = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            // Serde's own words may quote a value; where it stands is enough to find it.
            .map_err(|error| {
                let what = if error.is_data() { "holds a value of another type than expected" } else { "is not JSON" };
                invalid(format!("The catalog {what} (line {}, column {}).", error.line(), error.column()))
            })?;
        let streams = wire.streams.unwrap_or_default();
        if streams.is_empty() {
            return Err(invalid("The catalog has no streams."));
        }
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        let mut read = Vec::with_capacity(streams.len());
        for (index, wire) in streams.into_iter().enumerate() {
            match wire.understand() {
                Ok(stream) => {
                    if !seen.insert(stream.id.clone()) {
                        problems.push(format!("stream `{}` is listed twice", stream.id));
                    }
                    read.push(stream);
                }
                Err((Some(id), problem)) => problems.push(format!("stream `{id}`: {problem}")),
                Err((None, problem)) => problems.push(format!("stream number {}: {problem}", index + 1)),
            }
        }
        if problems.is_empty() {
            return Ok(Self { streams: read });
        }
        Err(invalid(format!("The catalog can not be used: {}.", problems.join("; "))))
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::config(Code::CatalogInvalid, format!("{} {}", message.into(), Code::CatalogInvalid.remedy()))
}

/// As it stands in the file. Every field may be absent or null, and fields that are not listed may be there.
#[derive(Deserialize)]
struct WireCatalog {
    streams: Option<Vec<WireConfigured>>,
}

#[derive(Deserialize)]
struct WireConfigured {
    stream: Option<WireStream>,
    sync_mode: Option<String>,
    destination_sync_mode: Option<String>,
    destination_object_name: Option<String>,
    primary_key: Option<Vec<Vec<String>>>,
    cursor_field: Option<Vec<String>>,
    generation_id: Option<i64>,
    minimum_generation_id: Option<i64>,
    sync_id: Option<i64>,
}

#[derive(Deserialize)]
struct WireStream {
    name: Option<String>,
    namespace: Option<String>,
    json_schema: Option<Value>,
}

impl WireConfigured {
    fn understand(self) -> Result<ConfiguredStream, (Option<StreamId>, String)> {
        let stream = self.stream.ok_or((None, "`stream` is missing".to_owned()))?;
        let name = stream.name.ok_or((None, "`stream.name` is missing".to_owned()))?;
        let id = StreamId::new(stream.namespace.as_deref(), &name);
        let sync_mode = match self.sync_mode.as_deref() {
            Some("full_refresh") => SyncMode::FullRefresh,
            None | Some("incremental") => SyncMode::Incremental,
            Some(_) => return Err((Some(id), "`sync_mode` is neither full_refresh nor incremental".to_owned())),
        };
        let word = self.destination_sync_mode;
        let Some(mode) = DestinationSyncMode::ALL.into_iter().find(|mode| word.as_deref() == Some(mode.as_str())) else {
            let allowed = DestinationSyncMode::ALL.map(DestinationSyncMode::as_str).join(", ");
            let what = if word.is_some() { "is not known" } else { "is missing" };
            return Err((Some(id), format!("`destination_sync_mode` {what}; it can be {allowed}")));
        };
        Ok(ConfiguredStream {
            id,
            json_schema: stream.json_schema.unwrap_or_default(),
            sync_mode,
            destination_sync_mode: mode,
            destination_object_name: self.destination_object_name.filter(|name| !name.is_empty()),
            primary_key: self.primary_key.unwrap_or_default(),
            cursor_field: self.cursor_field.unwrap_or_default(),
            generation_id: self.generation_id,
            minimum_generation_id: self.minimum_generation_id,
            sync_id: self.sync_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_catalog_full_of_nulls_and_unknown_keys_is_read() {
        let catalog = ConfiguredCatalog::parse(
            r#"{"streams":[{"stream":{"name":"users","namespace":null,"json_schema":{"properties":{"id":{"type":"integer"}}},
                "supported_sync_modes":["full_refresh"],"is_resumable":true,"source_defined_cursor":null,"new_thing":1},
              "sync_mode":"full_refresh","destination_sync_mode":"append_dedup","cursor_field":null,"primary_key":[["id"],["a","b"]],
              "generation_id":null,"minimum_generation_id":null,"sync_id":null,"destination_object_name":"","include_files":false},
             {"stream":{"name":"users","namespace":"shop"},"destination_sync_mode":"soft_delete","destination_object_name":"customers",
              "generation_id":3,"minimum_generation_id":0,"sync_id":12}],"more":null}"#,
        )
        .unwrap();
        let [plain, shop] = &catalog.streams[..] else { panic!() };
        assert_eq!((plain.id.to_string(), shop.id.to_string()), ("users".to_owned(), "shop.users".to_owned()));
        assert_eq!((plain.sync_mode, shop.sync_mode), (SyncMode::FullRefresh, SyncMode::Incremental));
        assert_eq!(plain.primary_key, [vec!["id".to_owned()], vec!["a".to_owned(), "b".to_owned()]]);
        assert_eq!((plain.generation_id, plain.sync_id, &plain.destination_object_name), (None, None, &None));
        assert_eq!(shop.destination_sync_mode, DestinationSyncMode::SoftDelete);
        assert_eq!((shop.generation_id, shop.minimum_generation_id, shop.sync_id), (Some(3), Some(0), Some(12)));
        assert_eq!((shop.destination_object_name.as_deref(), &shop.json_schema), (Some("customers"), &Value::Null));
    }

    #[test]
    fn what_is_needed_later_is_an_entry_without_what_belongs_to_one_sync() {
        let kept = |entry: &Value| {
            let catalog = ConfiguredCatalog::parse(&json!({"streams": [entry]}).to_string()).unwrap();
            catalog.streams[0].for_later()
        };
        let entry = json!({"stream": {"name": "users", "namespace": "shop", "json_schema": {"type": "object", "title": "A user",
                "properties": {"since": {"type": ["null", "string"], "format": "date", "description": "when"}, "any": {"title": "x"},
                    "traits": {"type": "object", "properties": {"n": {"type": "number", "airbyte_type": "integer"}}}}}},
            "sync_mode": "full_refresh", "destination_sync_mode": "soft_delete", "destination_object_name": "contacts",
            "primary_key": [["id"], ["a", "b"]], "generation_id": 3, "minimum_generation_id": 3, "sync_id": 12});
        assert_eq!(
            kept(&entry),
            json!({"destination_sync_mode": "soft_delete", "destination_object_name": "contacts", "primary_key": [["id"], ["a", "b"]],
                "json_schema": {"type": "object", "properties": {"since": {"type": ["null", "string"], "format": "date"}, "any": {},
                    "traits": {"type": "object", "properties": {"n": {"type": "number", "airbyte_type": "integer"}}}}}})
        );
        let least = json!({"stream": {"name": "users"}, "destination_sync_mode": "append"});
        assert_eq!(kept(&least), json!({"destination_sync_mode": "append"}));
    }

    #[test]
    fn every_mode_is_read() {
        for mode in DestinationSyncMode::ALL {
            let text = format!(r#"{{"streams":[{{"stream":{{"name":"s"}},"destination_sync_mode":"{}"}}]}}"#, mode.as_str());
            assert_eq!(ConfiguredCatalog::parse(&text).unwrap().streams[0].destination_sync_mode, mode);
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let failure = ConfiguredCatalog::parse(
            r#"{"streams":[{"stream":{"name":"a","namespace":"n"},"destination_sync_mode":"upsert"},{"stream":{"name":"b"}},
                {"destination_sync_mode":"append"},{"stream":{"name":"c"},"destination_sync_mode":"append","sync_mode":"x"},
                {"stream":{"name":"d"},"destination_sync_mode":"append"},{"stream":{"name":"d","namespace":""},"destination_sync_mode":"append"}]}"#,
        )
        .unwrap_err();
        insta::assert_snapshot!(failure, @"CATALOG_INVALID: The catalog can not be used: stream `n.a`: `destination_sync_mode` is not known; it can be append, append_dedup, overwrite, update, soft_delete; stream `b`: `destination_sync_mode` is missing; it can be append, append_dedup, overwrite, update, soft_delete; stream number 3: `stream` is missing; stream `c`: `sync_mode` is neither full_refresh nor incremental; stream `d` is listed twice. Check the file given with --catalog; select at least one stream.");
    }

    #[test]
    fn a_catalog_without_streams_is_refused() {
        for text in ["{}", r#"{"streams":[]}"#, r#"{"streams":null}"#] {
            let failure = ConfiguredCatalog::parse(text).unwrap_err();
            assert_eq!((failure.code, failure.kind), (Code::CatalogInvalid, crate::failure::FailureType::Config), "{text}");
        }
    }

    #[test]
    fn a_catalog_that_is_no_json_or_not_there_is_refused_without_its_content() {
        let failure = ConfiguredCatalog::parse("{\n \"streams\": [secret").unwrap_err();
        insta::assert_snapshot!(failure.message, @"The catalog is not JSON (line 2, column 14). Check the file given with --catalog; select at least one stream.");
        let failure = ConfiguredCatalog::parse("{\"streams\": \"secret\"}").unwrap_err();
        assert!(failure.message.contains("another type") && !failure.message.contains("secret"), "{failure}");
        let failure = ConfiguredCatalog::read(Path::new("/no/such/catalog.json")).unwrap_err();
        assert!(failure.message.contains("/no/such/catalog.json"), "{failure}");
    }

    #[test]
    fn a_borrowed_stream_finds_an_owned_one_in_a_map() {
        let mut map: hashbrown::HashMap<StreamId, u8> = hashbrown::HashMap::new();
        for (at, id) in [StreamId::new(None, "s"), StreamId::new(Some("n"), "s")].into_iter().enumerate() {
            assert_eq!(map.hasher().hash_one(&id), map.hasher().hash_one(id.as_ref()));
            map.insert(id, u8::try_from(at).unwrap());
        }
        assert_eq!(map.get(&StreamRef { namespace: None, name: "s" }), Some(&0));
        assert_eq!(map.get(&StreamRef { namespace: Some("n"), name: "s" }), Some(&1));
        assert_eq!(map.get(&StreamRef { namespace: Some("m"), name: "s" }), None);
    }
}
