//! Any endpoint of the API, one request a record. Vendor pages: those of whatever is asked for.
//!
//! Quirks. Nothing is known of what a request does: it is sent once, in the order of its path, and what it changed may be
//! known otherwise to other streams of the same sync. A write whose answer was lost is not sent again. A DELETE needs the
//! deletion policy, counts against its guard like one of the object that its path begins with, and never reaches a data
//! source, whatever its path is spelled like.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::request::{Look, Method, Query, Request, Shows};
use super::resource::{Calls, Field, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{Known, MatchBy, Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct ApiRequests;

impl Object for ApiRequests {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Upsert, Mode::Insert]
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["method", "path"]]
    }

    fn required(&self, _mode: Mode) -> &'static [&'static [&'static str]] {
        &[&["method"], &["path"]]
    }

    fn requests(&self, _mode: Mode) -> &'static str {
        "1"
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        // Nothing is looked for; the platform asks for a key where it offers an upsert.
        (fields.contains(&"path") && fields.iter().all(|name| matches!(*name, "method" | "path"))).then_some(MatchBy::ExternalId)
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let path = record.text("path").unwrap_or_default();
        check(&mut record, &path, how);
        super::common::finish(record, how.mode, Some(Target::Always(path)), None)
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        None
    }

    /// An answer may be of any object: it teaches nothing of this one.
    fn know(&self, _entry: &Value, _data_source: &str) -> Option<Known> {
        None
    }

    fn answered(&self, _answer: Value) -> Value {
        Value::Null
    }

    fn create(&self, plan: &Plan, _at: &At<'_>) -> Asked<Option<Request>> {
        let text = |name: &str| given(plan, name).and_then(|text| serde_json::from_str::<String>(text).ok());
        let method = text("method").and_then(|word| Method::ALL.into_iter().find(|method| method.as_str() == word));
        let (Some(method), Some(path)) = (method, text("path")) else {
            return Err(vec![Fault::record(Code::FieldMissing, "an API request has a method and a path")]);
        };
        let query = given(plan, "query").and_then(|text| serde_json::from_str(text).ok()).and_then(|value| pairs(&value));
        let request = Request {
            query: query.unwrap_or_default(),
            hides_path: true,
            ..Request::new(method, path, given(plan, "body").map(str::to_owned), name(method)).shows(Shows::Nothing)
        };
        Ok(Some(if method == Method::Get { request } else { request.once() }))
    }

    fn change(&self, _plan: &Plan, _at: &At<'_>, _existing: &Existing) -> Asked<Vec<Request>> {
        Ok(Vec::new())
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, _existing: &Existing) -> Vec<Request> {
        Vec::new()
    }

    fn counted_as(&self, request: &Request) -> Option<&'static str> {
        named_by(&request.path)
    }

    /// A path that ends with an object's name and one part more leads to that entry.
    fn deletes(&self, request: &Request) -> Option<(&'static str, String)> {
        let path = decoded(&request.path);
        let mut parts = parts(&path).rev();
        let (uuid, object) = (parts.next()?, parts.next()?);
        Some((of_part(object)?, super::common::encoded(without_format(uuid))))
    }

    /// A POST makes what its path ends with, and bodies name what they hold.
    fn makes(&self, request: &Request) -> Vec<(&'static str, usize)> {
        if matches!(request.method, Method::Get | Method::Delete) {
            return Vec::new();
        }
        let path = decoded(&request.path);
        let last = parts(&path).next_back().and_then(of_part).filter(|_| request.method == Method::Post);
        let mut made: Vec<(&'static str, usize)> = last.into_iter().map(|object| (object, 1)).collect();
        let body = request.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        held(&body.unwrap_or_default(), &mut made);
        made
    }

    /// Whatever stands in it may be a name.
    fn mentions(&self, record: &Record) -> Vec<Box<str>> {
        let path = decoded(&record.text("path").unwrap_or_default());
        let mut mentioned: Vec<Box<str>> = parts(&path).map(|part| without_format(part).into()).collect();
        let json = |name: &str| record.value(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
        ["query", "body"].into_iter().filter_map(json).for_each(|value| texts(&value, &mut mentioned));
        mentioned
    }

    fn apart(&self) -> &'static [&'static str] {
        &[]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"method":"PATCH","path":"/invoices","query":{"data_source_uuid":"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46","external_id":"inv-1"},"body":{"currency":"EUR"}}"#,
            r#"{"method":"GET","path":"/ping"}"#,
        ]
    }
}

/// What the requests of a method are counted as.
fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "API request GET",
        Method::Post => "API request POST",
        Method::Patch => "API request PATCH",
        Method::Put => "API request PUT",
        Method::Delete => "API request DELETE",
    }
}

/// The JSON text of a field of the plan; `None` when absent or null.
fn given<'p>(plan: &'p Plan, name: &str) -> Option<&'p str> {
    plan.body.get(Slot { field: RESOURCE.slot(name)?, inner: None }).filter(|text| *text != "null")
}

/// The rules of a request.
fn check(record: &mut Record, path: &str, how: &How) {
    let method = record.value("method").map(|word| word.trim_matches('"').to_owned());
    if method.is_none() {
        record.require("method", "an API request has a method");
    }
    if path.is_empty() {
        record.require("path", "an API request has a path");
    } else if let Err(rule) = check_path(path) {
        record.refuse("path", rule);
    }
    let json = |record: &Record, name: &str| record.value(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
    if json(record, "query").is_some_and(|query| pairs(&query).is_none()) {
        record.refuse("query", "must be an object of texts, numbers and Booleans");
    }
    match json(record, "body") {
        Some(_) if method.as_deref() == Some("GET") => record.refuse("body", "a GET has no body"),
        Some(Value::Object(_) | Value::Array(_)) | None => {}
        Some(_) => record.refuse("body", "must be an object or a list"),
    }
    if method.as_deref() == Some("DELETE") {
        if names_data_source(path) {
            let text = "a DELETE below `data_sources` is never sent";
            record.faults.push(Fault::field(Code::ApiDeleteRefused, "path", text));
        }
        if !how.deletes {
            record.faults.push(Fault::field(
                Code::ApiDeleteRefused,
                "method",
                "a DELETE is sent with the deletion policy `delete` only",
            ));
        }
    }
}

/// Whether a path leads below the base URL and nowhere else, however a server in between may read it.
fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("must start with a slash: it is relative to `base_url` and has no scheme and no host");
    }
    if path.contains(['?', '#']) {
        return Err("must have no query and no fragment; use `query`");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&b);
    let escapes = path.split('%').skip(1).all(|rest| rest.len() > 1 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()));
    if !path.bytes().all(plain) || !escapes {
        return Err("must be percent-encoded where a character is not plain");
    }
    let read = decoded(path);
    if read.contains("//") {
        return Err("must have no empty part (`//`)");
    }
    if read.split(['/', '\\']).any(|part| matches!(part, "." | "..")) {
        return Err("must have no `.` or `..` as a part, encoded or not: it may not leave `base_url`");
    }
    // A slash within a part would move the parts behind it for whoever decodes it.
    if read.matches('/').count() != path.matches('/').count() || read.contains('\\') || read.contains(char::is_control) {
        return Err("must have no encoded slash, backslash or control character");
    }
    Ok(())
}

/// A path as it is read at last, whoever decodes it how often.
fn decoded(path: &str) -> String {
    let mut text = path.to_owned();
    loop {
        let next = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if next == text {
            return text;
        }
        text = next;
    }
}

/// Whether a part of the path is `data_sources`: what stands below can be a data source, its data, or a part of it.
fn names_data_source(path: &str) -> bool {
    decoded(path).split(['/', '\\', ';']).any(|part| without_format(part).eq_ignore_ascii_case("data_sources"))
}

/// The object whose entries a path leads to or through: the one that its first part names.
fn named_by(path: &str) -> Option<&'static str> {
    of_part(parts(&decoded(path)).next()?)
}

/// The object that a part of a path names.
fn of_part(part: &str) -> Option<&'static str> {
    let part = without_format(part);
    let own = |path: &str| path.strip_prefix('/').is_some_and(|own| own.eq_ignore_ascii_case(part));
    super::OBJECTS.iter().map(|object| object.resource()).find(|resource| own(resource.path)).map(|resource| resource.name)
}

/// The parts of a path that was decoded, without what some servers read behind a semicolon.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').map(|part| part.split(';').next().unwrap_or_default().trim()).filter(|part| !part.is_empty())
}

/// A part of a path without the format that some servers let follow (`.json`).
fn without_format(part: &str) -> &str {
    let part = part.trim();
    part.split_once('.').map_or(part, |(name, _)| name.trim())
}

/// The entries of objects that a body holds under their names, or under the field that holds one.
fn held(value: &Value, out: &mut Vec<(&'static str, usize)>) {
    let names = || super::OBJECTS.iter().filter_map(|object| object.mirrored()).flat_map(|mirrored| mirrored.nested);
    let named = |name: &str| {
        let field = names().find(|(field, _)| *field == name).map(|(_, object)| *object);
        field.or_else(|| super::find(name).map(|object| object.resource().name))
    };
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let many = value.as_array().map_or(usize::from(value.is_object()), Vec::len);
                out.extend(named(name).filter(|_| many > 0).map(|object| (object, many)));
                held(value, out);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| held(value, out)),
        _ => {}
    }
}

/// All texts and numbers in a value.
fn texts(value: &Value, out: &mut Vec<Box<str>>) {
    match value {
        Value::String(text) => out.push(text.as_str().into()),
        Value::Number(number) => out.push(number.to_string().into()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, out)),
        Value::Object(map) => map.values().for_each(|value| texts(value, out)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// A query as pairs, nulls left out; `None` when it is no object of scalars.
fn pairs(query: &Value) -> Option<Query> {
    let mut pairs = Query::new();
    for (name, value) in query.as_object()? {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => return None,
        };
        pairs.push((Cow::Owned(name.clone()), text));
    }
    Some(pairs)
}

/// Longer paths are refused by whatever stands in between. What ChartMogul itself takes is unknown.
const LONGEST_PATH: usize = 2000;

const FIELDS: &[Field] = &[
    field("method", Kind::OneOf(&["GET", "POST", "PUT", "PATCH", "DELETE"]), "The HTTP method. A DELETE counts against `max_deletes` and, where its path begins with an object's name (`/invoices/...`), against `max_percent` of that object.", "\"PATCH\"").required(),
    field("path", Kind::Short(LONGEST_PATH), "The path below the base URL, such as `/invoices`.", "\"/invoices\"").required(),
    field("query", Kind::Json, "The query: an object of texts, numbers and Booleans.", "{\"external_id\":\"inv-1\"}"),
    field("body", Kind::Json, "The body: an object or a list, as the endpoint takes it.", "{\"currency\":\"EUR\"}"),
];

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "api_requests",
    summary: "Any endpoint of the API: one request a record, under the same limits.",
    path: "/",
    id: "uuid",
    uuid_prefix: "",
    list_root: "",
    filters: &[],
    calls: Calls { create: "API request POST", read: "", look_up: "", list: "", update: "", delete: "" },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[],
    fields: FIELDS,
    attributes: None,
    pages: &["Introduction"],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::request::Repeat;
    use crate::objects::tests::{how, plan_with, refs};
    use crate::plan::Nulls;

    fn faults(row: &Value) -> Vec<(String, Code)> {
        let faults = plan_with(&ApiRequests, Mode::Upsert, Nulls::Ignore, row).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.field.unwrap(), fault.code)).collect()
    }

    fn request(row: &Value) -> Request {
        let plan = plan_with(&ApiRequests, Mode::Insert, Nulls::Ignore, row).unwrap();
        let (refs, how) = (refs(&plan), how(plan.mode));
        ApiRequests.create(&plan, &At { data_source: "", refs: &refs, how: &how }).unwrap().unwrap()
    }

    #[test]
    fn a_record_is_one_request_and_only_a_get_may_be_sent_twice() {
        let made =
            request(&json!({"method": "patch", "path": "/plans/pl%5F1", "query": {"a b": "x&y", "n": 1, "t": true, "z": null},
            "body": {"name": "Gold"}}));
        assert_eq!(
            (made.method, made.path.as_str(), made.body.as_deref()),
            (Method::Patch, "/plans/pl%5F1", Some(r#"{"name":"Gold"}"#))
        );
        let query: Vec<(&str, &str)> = made.query.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
        assert_eq!(query, [("a b", "x&y"), ("n", "1"), ("t", "true")]);
        for method in Method::ALL {
            let repeat = request(&json!({"method": method.as_str(), "path": "/plans"})).repeat;
            assert_eq!(repeat == Repeat::Harmless, method == Method::Get, "{method:?}");
        }
    }

    #[test]
    fn what_a_request_may_make_is_counted_by_its_path_and_its_body() {
        let made = |row: Value| ApiRequests.makes(&request(&row));
        let invoice =
            json!({"invoices": [{"external_id": "i", "line_items": [{}, {}], "transactions": []}, {"line_items": [{}]}]});
        assert_eq!(
            made(json!({"method": "POST", "path": "/import/customers/cus_1/invoices.json", "body": invoice})),
            [("invoices", 1), ("invoices", 2), ("line_items", 2), ("line_items", 1)]
        );
        let contact = json!({"name": "a", "primary_contact": {"email": "a@b.test"}});
        assert_eq!(made(json!({"method": "POST", "path": "/customers", "body": contact})), [("customers", 1), ("contacts", 1)]);
        assert_eq!(made(json!({"method": "PATCH", "path": "/customers/cus_1", "body": contact})), [("contacts", 1)]);
        assert_eq!(made(json!({"method": "GET", "path": "/customers"})), []);
    }

    #[test]
    fn a_path_stays_below_the_base_url_however_it_is_read() {
        let refused = |path: &str| faults(&json!({"method": "GET", "path": path}));
        for path in [
            "plans",
            "https://evil.example/x",
            "//evil.example",
            "/a//b",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2E/x",
            "/.%2e/x",
            "/%252e%252e/x",
            "/a%2f..%2fb",
            "/a%2fb",
            "/a\\b",
            "/a%5Cb",
            "/a?b=1",
            "/a#b",
            "/a b",
            "/ä",
            "/a%0a",
            "/a%zz",
            "/a%2",
            "/a\n",
        ] {
            assert_eq!(refused(path), [("path".to_owned(), Code::FieldValue)], "{path}");
        }
        assert_eq!(refused(&format!("/{}", "a".repeat(2000))), [("path".to_owned(), Code::FieldTooLong)]);
        for path in ["/", "/ping", "/customers/cus_1/attributes/tags", "/a%20b", "/a..b/...", "/a@b:c", "/100%25"] {
            assert_eq!(refused(path), [], "{path}");
        }
    }

    #[test]
    fn the_rules_of_a_request_are_told_all_at_once() {
        let field = |name: &str, code| (name.to_owned(), code);
        assert_eq!(
            faults(&json!({"query": ["a"], "body": "words"})),
            [
                field("method", Code::FieldMissing),
                field("path", Code::FieldMissing),
                field("query", Code::FieldValue),
                field("body", Code::FieldValue)
            ]
        );
        assert_eq!(faults(&json!({"method": "GET", "path": "/a", "body": {}})), [field("body", Code::FieldValue)]);
        assert_eq!(faults(&json!({"method": "GET", "path": "/a", "query": {"a": [1]}})), [field("query", Code::FieldValue)]);
        assert_eq!(faults(&json!({"method": "TRACE", "path": "/a"})), [field("method", Code::FieldValue)]);
    }

    #[test]
    fn a_delete_needs_the_policy_and_never_reaches_a_data_source() {
        let row = json!({"method": "DELETE", "path": "/plans/pl_1"});
        assert_eq!(faults(&row), []);
        for path in [
            "/data_sources/ds_1",
            "/data_sources",
            "/Data_Sources/ds_1",
            "/data%5Fsources/ds_1",
            "/%2564ata_sources/ds_1",
            "/data_sources;a=b/ds_1",
            "/data_sources/ds_1/dependent",
            "/import/data_sources/ds_1",
            "/data_sources.json/ds_1",
            "/data_sources.xml",
        ] {
            let faults = faults(&json!({"method": "DELETE", "path": path}));
            assert_eq!(faults, [("path".to_owned(), Code::ApiDeleteRefused)], "{path}");
        }
        assert_eq!(faults(&json!({"method": "GET", "path": "/data_sources"})), []);
        let record = |method: &str| {
            let mapped = format!(r#"{{"method":"{method}","path":"/plans/pl_1"}}"#);
            let raw = serde_json::value::RawValue::from_string(mapped).unwrap();
            let none = |_: &str| None;
            let mapper = crate::objects::tests::mapper(&ApiRequests);
            let mut mapped = crate::mapping::Mapped::default();
            mapper.apply(&raw, &mut mapped).unwrap();
            let record = Record::read(&RESOURCE, &mapped, Nulls::Ignore, none);
            ApiRequests.plan(record, &How { deletes: false, ..how(Mode::Upsert) })
        };
        let faults = record("DELETE").unwrap_err();
        assert_eq!((faults[0].field.as_deref(), faults[0].code), (Some("method"), Code::ApiDeleteRefused));
        assert!(record("POST").is_ok());
    }

    #[test]
    fn a_delete_counts_as_one_of_the_object_that_its_path_begins_with() {
        let counted = |path: &str| ApiRequests.counted_as(&request(&json!({"method": "DELETE", "path": path})));
        for path in
            ["/invoices/inv_1", "/Invoices/inv_1", "/%69nvoices/inv_1", "/%2569nvoices", "/invoices;a=b/inv_1", "/invoices"]
        {
            assert_eq!(counted(path), Some("invoices"), "{path}");
        }
        assert_eq!(counted("/customers/cus_1/attributes/tags"), Some("customers"));
        assert_eq!(counted("/line_items/li_1"), Some("line_items"));
        for path in ["/", "/notes/note_1", "/import/subscriptions/sub_1"] {
            assert_eq!(counted(path), None, "{path}");
        }
    }

    #[test]
    fn an_answer_teaches_nothing() {
        assert_eq!(ApiRequests.know(&json!({"uuid": "cus_1"}), ""), None);
    }
}
