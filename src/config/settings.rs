//! What the configuration means.
//!
//! Owns the way from a file's text to [`Settings`], and every refusal on that way. After it nobody asks again whether a setting
//! is sound.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use jsonschema::{ValidationError, Validator};
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::form;
use super::problem::{self, Problem};
use super::schema::{BulkImport, DefaultMode, Deletions, MOST_CONNECTIONS, MOST_REQUESTS, Typed, TypedLimits};
use super::storage;
use super::streams::{ObjectChoice, StreamSettings};
use crate::errors::Code;
use crate::failure::Failure;
use crate::mapping::UnknownFields;
use crate::plan::Nulls;
use crate::store::Keeping;

/// The environment variable from which the key is taken when the file leaves it out. Read by the commands, not here.
pub const KEY_VARIABLE: &str = "CHARTMOGUL_API_KEY";

/// The configuration, as it is meant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// User name of HTTP Basic.
    pub api_key: SecretString,
    /// UUID of the data source that is written to.
    pub data_source: String,
    /// Where the API is, without a slash at the end.
    pub base_url: String,
    /// What a stream becomes that has no entry of its own.
    pub object: ObjectChoice,
    /// What to do with existing and absent records.
    pub mode: DefaultMode,
    /// What to do with records marked as deleted.
    pub deletions: Deletions,
    /// What to do with fields that the object does not have.
    pub unknown_fields: UnknownFields,
    /// What a null does.
    pub nulls: Nulls,
    /// Whether bulk imports are used.
    pub bulk_import: BulkImport,
    /// Settings of single streams; no two of one name and namespace.
    pub streams: Vec<StreamSettings>,
    /// How much of the API may be used.
    pub limits: Limits,
    /// What is kept, and where.
    pub keeping: Keeping,
    /// Keys at the root that mean nothing to us: a platform's, or a slip of the pen. For a warning.
    pub unknown_keys: Vec<String>,
}

/// How much of the API may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At least 1.
    pub requests_per_second: u32,
    /// At least 1.
    pub connections: u32,
    /// How long an outage is waited out.
    pub give_up_after: Duration,
}

impl Settings {
    /// Reads the configuration from a file.
    ///
    /// # Errors
    /// `CONFIG_UNREADABLE` when the file can not be read, or as in [`Self::load`].
    pub fn read(path: &Path, env_key: Option<&str>) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| unreadable(&format!("The configuration {} can not be read: {error}.", path.display())))?;
        Self::load(&text, env_key)
    }

    /// Reads the configuration from its text. `env_key` is the value of [`KEY_VARIABLE`]; it counts where the text holds no key,
    /// and an empty one counts nowhere.
    ///
    /// # Errors
    /// `CONFIG_UNREADABLE` when the text is not JSON; `CONFIG_INVALID`, listing all problems at once, when it is but can not be
    /// used.
    pub fn load(text: &str, env_key: Option<&str>) -> Result<Self, Failure> {
        let mut given: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            unreadable(&format!("The configuration is not JSON ({place})."))
        })?;
        if let Value::Object(root) = &mut given {
            tidy(root);
            fill_key(root, env_key);
        }

        let schema = form::schema();
        let validator = validator(schema)?;
        let violations: Vec<ValidationError<'_>> = validator.iter_errors(&given).collect();
        let mut problems = problem::violations(&violations, schema);
        let unknown_keys = unknown_keys(&given, schema);
        // What the schema lets through is judged all the same, so that all problems are told at once.
        let settings = serde_json::from_value::<Typed>(sound_part(&given, &violations))
            .ok()
            .map(|typed| Self::understand(typed, unknown_keys, &mut problems));
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => {
                if problems.is_empty() {
                    // Serde's words may quote a value.
                    problems.push(Problem::new("", "does not fit the schema that `spec` prints."));
                }
                Err(problem::failure(&problems, given["api_key"].as_str().unwrap_or_default()))
            }
        }
    }

    /// The entry for a stream: the one that names its namespace, else the one that names none.
    pub fn stream(&self, namespace: Option<&str>, name: &str) -> Option<&StreamSettings> {
        let find = |namespace: Option<&str>| {
            self.streams.iter().find(|entry| entry.stream == name && entry.namespace.as_deref() == namespace)
        };
        find(namespace).or_else(|| find(None))
    }

    fn understand(typed: Typed, unknown_keys: Vec<String>, problems: &mut Vec<Problem>) -> Self {
        let base_url = base_url(&typed.base_url, problems);
        // Where the address is refused anyway, the limits are not judged by it.
        let local = base_url.as_ref().is_none_or(is_loopback);
        let limits = limits(&typed.limits, local, problems);
        let keeping = storage::understand(typed.object_storage_config, typed.receipts, limits.give_up_after, problems);
        let mut streams: Vec<StreamSettings> = Vec::with_capacity(typed.streams.len());
        for (index, entry) in typed.streams.into_iter().enumerate() {
            let path = format!("streams[{index}]");
            let entry = StreamSettings::read(entry, &path, problems);
            let same = |other: &StreamSettings| (&other.namespace, &other.stream) == (&entry.namespace, &entry.stream);
            if let Some(first) = streams.iter().position(same) {
                problems.push(Problem::new(
                    path,
                    format!(
                        "is for the same stream as streams[{first}]. Put both into one entry, or tell them apart by `namespace`."
                    ),
                ));
            }
            streams.push(entry);
        }
        Self {
            api_key: typed.api_key.into(),
            data_source: typed.data_source_uuid,
            base_url: base_url.map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default(),
            object: ObjectChoice::read(&typed.object).unwrap_or(ObjectChoice::Auto),
            mode: typed.mode,
            deletions: typed.deletions,
            unknown_fields: typed.unknown_fields,
            nulls: typed.nulls,
            bulk_import: typed.bulk_import,
            streams,
            limits,
            keeping,
            unknown_keys,
        }
    }
}

fn unreadable(what: &str) -> Failure {
    Failure::config(Code::ConfigUnreadable, format!("{what} {}", Code::ConfigUnreadable.remedy()))
}

fn validator(schema: &Value) -> Result<Validator, Failure> {
    jsonschema::draft7::new(schema).map_err(|error| {
        Failure::system(Code::Internal, "The schema of the configuration is broken.").with_internal(error.to_string())
    })
}

/// Takes out what a form leaves in: nulls mean absence everywhere but among constants and tables of values, and so does an
/// empty address. A list of fields to match by becomes the one text that the schema knows.
fn tidy(root: &mut Map<String, Value>) {
    fn prune(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|_, value| !value.is_null());
                let meant = |key: &str| matches!(key, "constants" | "values");
                members.iter_mut().filter(|(key, _)| !meant(key)).for_each(|(_, value)| prune(value));
            }
            Value::Array(items) => items.iter_mut().for_each(prune),
            number => form::whole_numbers(number),
        }
    }
    root.retain(|key, value| !value.is_null() && (key != "base_url" || value != ""));
    root.values_mut().for_each(prune);
    for entry in root.get_mut("streams").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = entry.get_mut("match")
            && let Some(names) = fields.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>())
        {
            *fields = names.join(", ").into();
        }
    }
    // Airbyte's own default for it is the bare word.
    if let Some(format) = root.get_mut("object_storage_config").and_then(|storage| storage.get_mut("format"))
        && format.is_string()
    {
        *format = serde_json::json!({"format_type": format.take()});
    }
}

/// The file's key, else the environment's, without the white space that copying leaves around it.
fn fill_key(root: &mut Map<String, Value>, env_key: Option<&str>) {
    let given = match root.get("api_key") {
        None => None,
        Some(Value::String(key)) => Some(key.trim()).filter(|key| !key.is_empty()),
        // Left as it is, for the schema to refuse.
        Some(_) => return,
    };
    match given.or_else(|| env_key.map(str::trim).filter(|key| !key.is_empty())).map(str::to_owned) {
        Some(key) => root.insert("api_key".to_owned(), key.into()),
        None => root.shift_remove("api_key"),
    };
}

/// The configuration without the keys that break the schema; where those are needed, something harmless stands in for them.
fn sound_part(given: &Value, violations: &[ValidationError<'_>]) -> Value {
    let mut part = given.as_object().cloned().unwrap_or_default();
    let broken = violations.iter().filter_map(|violation| violation.instance_path().as_str().split('/').nth(1));
    for key in broken {
        // With an address of this machine nothing else is judged by the broken one.
        match key {
            "base_url" => part.insert(key.to_owned(), "http://localhost".into()),
            _ => part.shift_remove(key),
        };
    }
    for needed in ["api_key", "data_source_uuid"] {
        part.entry(needed).or_insert_with(|| "".into());
    }
    part.into()
}

fn unknown_keys(given: &Value, schema: &Value) -> Vec<String> {
    let known = &schema["properties"];
    given.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| known.get(key).is_none()).cloned().collect()
}

/// The address, if it can be used. Whatever is wrong, it is not printed: it may hold a password.
fn base_url(typed: &str, problems: &mut Vec<Problem>) -> Option<Url> {
    let mut refuse = |text: &str| problems.push(Problem::new("base_url", text));
    let Ok(url) = Url::parse(typed) else {
        refuse("is no address, for example \"https://api.chartmogul.com/v1\".");
        return None;
    };
    let mut sound = true;
    if !url.username().is_empty() || url.password().is_some() {
        refuse("must not hold a user name or password. The key goes into `api_key`.");
        sound = false;
    }
    if url.query().is_some() || url.fragment().is_some() {
        refuse("must not have a part behind ? or #. It ends in the path, for example /v1.");
        sound = false;
    }
    if url.scheme() != "https" && !is_loopback(&url) {
        refuse("must begin with https://, since the key travels with every request. Plain http is for this machine only.");
        sound = false;
    }
    sound.then_some(url)
}

/// Whether the address is this machine's own.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn limits(typed: &TypedLimits, local: bool, problems: &mut Vec<Problem>) -> Limits {
    for (name, given, most) in
        [("requests_per_second", typed.requests_per_second, MOST_REQUESTS), ("connections", typed.connections, MOST_CONNECTIONS)]
    {
        if given > most && !local {
            let text = format!("must be at most {most}, which ChartMogul allows. More is for a `base_url` on this machine.");
            problems.push(Problem::new(format!("limits.{name}"), text));
        }
    }
    Limits {
        requests_per_second: typed.requests_per_second,
        connections: typed.connections,
        // Out of bounds only where the schema has refused it already.
        give_up_after: Duration::try_from_secs_f64(typed.give_up_after_minutes * 60.0).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::super::streams::Match;
    use super::*;
    use crate::failure::FailureType;
    use crate::mapping::Preset;
    use crate::objects::resource::AttributeType;
    use crate::plan::MatchBy;
    use crate::plan::Parents;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const SOURCE: &str = "ds_fef05d54-47b4-431b-aed2-eb6b9e545430";

    /// A sound configuration with these keys on top.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn with(more: Value) -> Value {
        let mut config = json!({"api_key": KEY, "data_source_uuid": SOURCE});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    }

    fn load(config: &Value) -> Settings {
        Settings::load(&config.to_string(), None).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn refused(config: &Value) -> String {
        let failure = Settings::load(&config.to_string(), None).unwrap_err();
        assert_eq!((failure.kind, failure.code), (FailureType::Config, Code::ConfigInvalid));
        assert!(!format!("{failure:?}").contains(KEY));
        failure.message
    }

    #[test]
    fn two_keys_are_enough() {
        let settings = load(&with(json!({})));
        assert_eq!((settings.api_key.expose_secret(), &*settings.data_source), (KEY, SOURCE));
        assert_eq!(settings.base_url, "https://api.chartmogul.com/v1");
        assert_eq!(
            (settings.object, settings.mode, settings.deletions),
            (ObjectChoice::Auto, DefaultMode::Upsert, Deletions::Ignore)
        );
        assert_eq!((settings.unknown_fields, settings.nulls), (UnknownFields::CustomAttributes, Nulls::Ignore));
        let limits = Limits { requests_per_second: 40, connections: 20, give_up_after: Duration::from_secs(900) };
        assert_eq!(settings.limits, limits);
        assert!(settings.streams.is_empty() && settings.unknown_keys.is_empty());
    }

    #[test]
    fn the_defaults_a_form_fills_in_change_nothing() {
        let defaults: Map<String, Value> = form::schema()["properties"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(key, property)| Some((key.clone(), property.get("default")?.clone())))
            .collect();
        assert_eq!(defaults.len(), 11);
        assert_eq!(format!("{:?}", load(&with(defaults.into()))), format!("{:?}", load(&with(json!({})))));
    }

    #[test]
    fn everything_that_can_be_set_is_understood() {
        let settings = load(&with(json!({
            "object": "contacts", "mode": "update", "unknown_fields": "reject", "nulls": "clear",
            "deletions": {"policy": "delete", "max_deletes": 5, "max_percent": 2.5},
            "limits": {"requests_per_second": 10, "connections": 2, "give_up_after_minutes": 0.5},
            "streams": [{
                "stream": "accounts", "namespace": "shop", "object": "customers", "mode": "insert", "match": "email",
                "fields": {"z": "name", "account_id": "external_id", "address.land\\.iso": "country"},
                "constants": {"country": "US", "custom.seats": 3, "city": null}, "exclude": ["internal_*", "tmp?"],
                "types": {"seats": "Integer", "big": "Decimal"}, "parents": "create", "preset": "segment_group",
                "values": {"a\\.b.c": {"1": "US", "0": null}}, "only_if_empty": ["owner"]
            }, {"stream": "accounts", "object": "auto"}]
        })));
        assert_eq!(settings.object, ObjectChoice::Named("contacts"));
        assert_eq!(settings.deletions, Deletions::Delete { max_deletes: 5, max_percent: 2.5 });
        assert_eq!(settings.limits.give_up_after, Duration::from_secs(30));
        let entry = settings.stream(Some("shop"), "accounts").unwrap();
        assert_eq!((entry.object, entry.mode), (Some(ObjectChoice::Named("customers")), Some(DefaultMode::Insert)));
        assert_eq!(entry.match_by, Some(Match::By(MatchBy::Email)));
        assert_eq!(
            (entry.parents, entry.preset, &entry.only_if_empty[..]),
            (Some(Parents::Create), Some(Preset::SegmentGroup), &["owner".to_owned()][..])
        );
        let (path, table) = &entry.values[0];
        assert_eq!((path.join("|").as_str(), table["1"].as_ref(), table["0"].as_ref()), ("a.b|c", "\"US\"", "null"));
        let fields: Vec<String> = entry.fields.iter().map(|(from, to)| format!("{}={}", from.join("|"), to.join("|"))).collect();
        assert_eq!(fields, ["z=name", "account_id=external_id", "address|land.iso=country"], "in the order given");
        assert_eq!(Value::from(entry.constants.clone()), json!({"country": "US", "custom.seats": 3, "city": null}));
        assert_eq!(
            ["internal_note", "tmp1", "tmp", "internal"].map(|name| entry.exclude.is_match(name)),
            [true, true, false, false]
        );
        assert_eq!(entry.types["seats"], AttributeType::Integer);
        let plain = settings.stream(None, "accounts").unwrap();
        assert_eq!((plain.object, plain.mode, &plain.match_by), (Some(ObjectChoice::Auto), None, &None));
        assert_eq!((plain.parents, plain.preset, plain.values.len(), plain.only_if_empty.len()), (None, None, 0, 0));
    }

    #[test]
    fn what_to_match_by_is_a_word_or_fields_as_a_list_or_with_commas() {
        let read = |given: Value| load(&with(json!({"streams": [{"stream": "a", "match": given}]}))).streams[0].match_by.clone();
        let fields = |names: &[&str]| Some(Match::Fields(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(read(json!("uuid")), Some(Match::By(MatchBy::Uuid)));
        assert_eq!(read(json!(["external_id"])), Some(Match::By(MatchBy::ExternalId)));
        for two in [json!(["created_at", "text"]), json!("created_at,text"), json!(" created_at , text ")] {
            assert_eq!(read(two), fields(&["created_at", "text"]));
        }
        assert_eq!(read(json!("text")), fields(&["text"]));
        for none in [json!(""), json!(null), json!([])] {
            assert_eq!(read(none), None);
        }
        for bad in [json!("a,,b"), json!(["a", ""]), json!([1]), json!({})] {
            assert!(refused(&with(json!({"streams": [{"stream": "a", "match": bad}]}))).contains("streams[0].match: "), "{bad}");
        }
    }

    #[test]
    fn only_an_entry_or_a_preset_that_needs_it_makes_parents() {
        let parents = |entry: Value| load(&with(json!({"streams": [entry]}))).streams[0].parents();
        assert_eq!(parents(json!({"stream": "a"})), Parents::Wait);
        assert_eq!(parents(json!({"stream": "a", "preset": "chartmogul_export"})), Parents::Wait);
        assert_eq!(parents(json!({"stream": "a", "preset": "segment_identify"})), Parents::Create);
        assert_eq!(parents(json!({"stream": "a", "preset": "segment_identify", "parents": "wait"})), Parents::Wait);
    }

    #[test]
    fn an_entry_without_a_namespace_is_for_all_that_have_none_of_their_own() {
        let settings = load(&with(json!({"streams": [
            {"stream": "a", "mode": "insert"}, {"stream": "a", "namespace": "n", "mode": "update"}, {"stream": "b", "namespace": "n"}
        ]})));
        let mode = |namespace, name| settings.stream(namespace, name).and_then(|entry| entry.mode);
        assert_eq!(mode(None, "a"), Some(DefaultMode::Insert));
        assert_eq!(mode(Some("other"), "a"), Some(DefaultMode::Insert));
        assert_eq!(mode(Some("n"), "a"), Some(DefaultMode::Update));
        assert!(settings.stream(None, "b").is_none() && settings.stream(Some("n"), "c").is_none());
    }

    #[test]
    fn the_key_comes_from_the_environment_when_the_file_has_none() {
        let key = |given: Value, env: Option<&str>| {
            let mut config = json!({"data_source_uuid": SOURCE});
            config.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            Settings::load(&config.to_string(), env).map(|settings| settings.api_key.expose_secret().to_owned())
        };
        for absent in [json!({}), json!({"api_key": ""}), json!({"api_key": "  "}), json!({"api_key": null})] {
            assert_eq!(key(absent.clone(), Some("from-env\n")).unwrap(), "from-env");
            for empty in [None, Some(""), Some(" ")] {
                let failure = key(absent.clone(), empty).unwrap_err();
                assert_eq!(failure.code, Code::ConfigInvalid);
                insta::allow_duplicates! {
                    insta::assert_snapshot!(failure.message, @r"
                    The configuration has a problem:
                    - api_key: is missing. A key with read and write access, from the tab API keys of your ChartMogul profile. Or set the environment variable CHARTMOGUL_API_KEY.
                    ");
                }
            }
        }
        assert_eq!(key(json!({"api_key": " from-file "}), Some("from-env")).unwrap(), "from-file");
        let failure = key(json!({"api_key": 5}), Some("from-env")).unwrap_err();
        assert!(failure.message.contains("api_key: must be a text."), "{failure}");
    }

    #[test]
    fn nulls_empty_texts_and_whole_floats_are_no_violations() {
        let settings = load(&with(json!({
            "object": null, "base_url": "", "deletions": null, "streams": [{"stream": "a", "namespace": null, "mode": null, "fields": null}],
            "limits": {"requests_per_second": 30.0, "connections": null}
        })));
        assert_eq!((settings.limits.requests_per_second, settings.limits.connections), (30, 20));
        assert_eq!(settings.streams[0].namespace, None);
    }

    #[test]
    fn all_violations_are_told_at_once_with_path_and_remedy() {
        let message = refused(&json!({
            "api_key": KEY, "data_source_uuid": KEY, "object": "customer", "mode": "replace", "nulls": 5,
            "unknown_fields": ["x"], "base_url": "api.chartmogul.com",
            "deletions": {"policy": "purge"}, "limits": {"requests_per_second": 0, "connections": 2.5, "burst": 3},
            "streams": [{"stream": "", "fields": {"a": 1}, "types": {"seats": "Number"}, "match": 5, "preset": "stripe"}, {"objekt": "customers"}, 7]
        }));
        insta::assert_snapshot!(message);
    }

    #[test]
    fn faults_of_a_deletion_policy_are_those_of_the_policy_that_was_meant() {
        let message = |deletions: Value| refused(&with(json!({"deletions": deletions})));
        let all = [
            json!({"policy": "delete", "max_delete": 5, "max_percent": 101}),
            json!({"policy": "delete", "max_deletes": -1}),
            json!({"max_deletes": 5}),
            json!({"policy": 5}),
            json!("delete"),
        ];
        insta::assert_snapshot!(all.map(message).join("\n"));
        // A form may leave the limits of the other choice behind.
        assert_eq!(load(&with(json!({"deletions": {"policy": "ignore", "max_deletes": 5}}))).deletions, Deletions::Ignore);
    }

    #[test]
    fn all_contradictions_are_told_at_once() {
        let message = refused(&with(json!({
            "base_url": format!("http://user:{KEY}@gateway.example/v1?key={KEY}"),
            "streams": [
                {"stream": "a", "exclude": ["ok*", "br[oken"], "fields": {"a..b": "name", "c": ""}, "values": {".x": {"1": 2}}},
                {"stream": "b", "namespace": "n"}, {"stream": "b"}, {"stream": "a", "namespace": ""}, {"stream": "b", "namespace": "n"}
            ]
        })));
        insta::assert_snapshot!(message);
        let message =
            refused(&with(json!({"limits": {"requests_per_second": 41, "connections": 21}, "mode": "x", "data_source_uuid": 1})));
        insta::assert_snapshot!(message, @r#"
        The configuration has 4 problems:
        - data_source_uuid: must be a text, for example "ds_fef05d54-47b4-431b-aed2-eb6b9e545430".
        - mode: must be one of "upsert", "insert", "update".
        - limits.requests_per_second: must be at most 40, which ChartMogul allows. More is for a `base_url` on this machine.
        - limits.connections: must be at most 20, which ChartMogul allows. More is for a `base_url` on this machine.
        "#);
        // An address that can not be read is no reason to doubt the limits.
        let message = refused(&with(json!({"limits": {"requests_per_second": 41}, "base_url": 5})));
        assert_eq!(message.lines().count(), 2, "{message}");
    }

    #[test]
    fn plain_http_and_higher_limits_are_for_this_machine() {
        let limits = json!({"requests_per_second": 400, "connections": 200});
        for url in [
            "http://127.0.0.1:8080/v1/",
            "http://localhost/v1",
            "http://[::1]:9/v1",
            "https://api.localhost/v1",
            "http://127.8.0.1",
        ] {
            let settings = load(&with(json!({"base_url": url, "limits": limits})));
            assert_eq!(settings.limits.requests_per_second, 400);
            assert_eq!(settings.base_url, url.trim_end_matches('/'));
        }
        for url in [
            "http://api.chartmogul.com/v1",
            "http://localhost.example.com/v1",
            "http://10.0.0.1/v1",
            "http://127.0.0.1.example/v1",
        ] {
            assert!(refused(&with(json!({"base_url": url}))).contains("must begin with https://"), "{url}");
        }
        assert_eq!(
            load(&with(json!({"base_url": "https://gateway.example/mogul/v1//"}))).base_url,
            "https://gateway.example/mogul/v1"
        );
    }

    #[test]
    fn what_can_not_be_read_is_another_failure_and_shows_no_content() {
        let failure = Settings::load(&format!("{{\n  \"api_key\": \"{KEY}\",\n  oops {KEY}}}"), None).unwrap_err();
        assert_eq!((failure.kind, failure.code), (FailureType::Config, Code::ConfigUnreadable));
        insta::assert_snapshot!(failure.message, @"The configuration is not JSON (line 3, column 3). Check the path given with --config and the file's syntax.");
        assert_eq!(Settings::load("", None).unwrap_err().code, Code::ConfigUnreadable);
        let failure = Settings::read(Path::new("/no/such/config.json"), None).unwrap_err();
        assert_eq!(failure.code, Code::ConfigUnreadable);
        assert!(failure.message.contains("/no/such/config.json"), "{failure}");
        insta::assert_snapshot!(refused(&json!([KEY])), @r"
        The configuration has a problem:
        - the file: must be an object.
        ");
    }

    #[test]
    fn keys_of_a_platform_are_let_in_and_told() {
        let settings = load(&with(json!({"__injected": {"x": null}, "nulIs": "clear"})));
        assert_eq!(settings.unknown_keys, ["__injected", "nulIs"]);
    }

    #[test]
    fn a_key_pasted_as_a_name_is_starred() {
        let message = refused(&with(json!({"streams": [{"stream": "a", KEY: 1, "fields": {KEY: ""}}], "limits": {KEY: 1}})));
        assert!(message.contains("limits.****: is no key"), "{message}");
    }

    #[test]
    fn the_key_is_not_shown_by_debug() {
        assert!(!format!("{:?}", load(&with(json!({})))).contains(KEY));
    }
}
