//! What each object makes of a row: its plan, the JSON of its requests, its faults.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::resource::{Field, Kind, Resource};
use super::{At, Existing, How, OBJECTS, Object, Resolved};
use crate::errors::Code;
use crate::mapping::{Mapped, Mapper, MapperInput, UnknownFields};
use crate::outcome::Fault;
use crate::plan::{By, Mode, Nulls, Parents, Plan, Record};

pub(super) const SOURCE: &str = "ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46";

pub(super) fn how(mode: Mode) -> How {
    How {
        mode,
        match_by: None,
        match_fields: Box::default(),
        data_source: SOURCE.into(),
        parents: Parents::Wait,
        only_if_empty: Box::default(),
        deletes: true,
        nulls: Nulls::Ignore,
    }
}

/// What a plan refers to, as if it had been found.
pub(super) fn refs(plan: &Plan) -> Vec<Resolved> {
    let found = |by: &By| match by {
        By::Uuid(uuid) => Resolved { uuid: uuid.clone(), key: Some("key-of-uuid".into()), known: None },
        By::Key(key) => Resolved { uuid: format!("uuid-of-{key}").into(), key: Some(key.clone()), known: None },
    };
    plan.refs.iter().map(|reference| found(&reference.by)).collect()
}

/// The texts of all requests that a plan causes, whether its object is absent or there; `None` where it can not be made.
pub(super) fn requests(object: &dyn Object, plan: &Plan, entry: Option<&Value>) -> (Option<String>, Vec<String>) {
    let refs = refs(plan);
    let how = how(plan.mode);
    let at = At { data_source: SOURCE, refs: &refs, how: &how };
    let words = |request: &super::request::Request| {
        let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{} {}{query} {}", request.method.as_str(), request.path, request.body.as_deref().unwrap_or_default())
    };
    let create = object.create(plan, &at).unwrap_or_else(|faults| panic!("{plan:?}: {faults:?}"));
    let known = entry.and_then(|entry| object.know(entry, SOURCE)).map(std::rc::Rc::new);
    let existing = Existing { uuid: "the-uuid".into(), known };
    let change = object.change(plan, &at, &existing).unwrap_or_else(|faults| panic!("{plan:?}: {faults:?}"));
    (create.as_ref().map(words), change.iter().map(words).collect())
}

/// The change of an existing object of which nothing is known.
fn changed(object: &dyn Object, plan: &Plan) -> Vec<String> {
    requests(object, plan, None).1
}

/// A mapper that knows the object's own fields and takes the others for attributes.
pub(super) fn mapper(object: &dyn Object) -> Mapper {
    Mapper::new(&MapperInput {
        resource: object.resource(),
        fields: &[],
        constants: &Map::new(),
        exclude: &globset::GlobSet::empty(),
        unknown: UnknownFields::CustomAttributes,
        columns: &[],
        types: &hashbrown::HashMap::new(),
    })
    .unwrap()
}

pub(crate) fn plan_with(object: &'static dyn Object, mode: Mode, nulls: Nulls, row: &Value) -> Result<Plan, Vec<Fault>> {
    object.plan(record_of(object, nulls, row), &how(mode))
}

/// A row, read.
pub(super) fn record_of(object: &dyn Object, nulls: Nulls, row: &Value) -> Record {
    let mapper = mapper(object);
    let raw = serde_json::value::to_raw_value(row).unwrap();
    let mut mapped = Mapped::default();
    mapper.apply(&raw, &mut mapped).unwrap();
    Record::read(object.resource(), &mapped, nulls, |_| None)
}

pub(super) fn plan(object: &'static dyn Object, row: &Value) -> Result<Plan, Vec<Fault>> {
    plan_with(object, Mode::Upsert, Nulls::Ignore, row)
}

/// A valid row with every field of the object, as its first example has them where it has them.
fn full(object: &dyn Object) -> Map<String, Value> {
    let example = |field: &Field| (field.name.to_owned(), serde_json::from_str(field.example).unwrap());
    let mut row: Map<String, Value> =
        object.resource().all_fields().filter(|field| !object.apart().contains(&field.name)).map(example).collect();
    let first: Map<String, Value> = serde_json::from_str(object.examples()[0]).unwrap();
    row.extend(first);
    row
}

#[test]
fn every_writable_field_reaches_the_requests_of_a_create_or_of_a_change() {
    fn leaves(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| leaves(value, out)),
            Value::Object(map) => map.values().for_each(|value| leaves(value, out)),
            value => out.push(value.to_string()),
        }
    }
    for object in OBJECTS {
        let row = full(*object);
        let plan = plan(*object, &row.clone().into()).unwrap_or_else(|faults| panic!("{row:?}: {faults:?}"));
        let (create, change) = requests(*object, &plan, None);
        let texts = format!("{} {}", create.clone().unwrap_or_default(), change.join(" "));
        for field in object.resource().fields.iter().filter(|field| row.contains_key(field.name)) {
            let mut wanted = Vec::new();
            leaves(&row[field.name], &mut wanted);
            for value in wanted {
                // Milliseconds are added to points in time.
                let bare = value.trim_matches('"').trim_end_matches('Z').to_owned();
                assert!(texts.contains(&bare), "{}.{}: {value} is in no request: {texts}", object.resource().name, field.name);
            }
        }
    }
}

#[test]
fn examples_become_plans_in_every_mode() {
    for object in OBJECTS {
        for example in object.examples() {
            for mode in object.modes() {
                let row: Value = serde_json::from_str(example).unwrap();
                plan_with(*object, *mode, Nulls::Ignore, &row).unwrap_or_else(|faults| panic!("{example} {mode}: {faults:?}"));
            }
        }
    }
}

#[test]
fn bodies_have_the_shapes_of_the_api() {
    let mut shown = Vec::new();
    for object in OBJECTS {
        for example in object.examples() {
            let plan = plan(*object, &serde_json::from_str(example).unwrap()).unwrap();
            let (create, change) = requests(*object, &plan, None);
            shown.push(format!("{} create {}", object.resource().name, create.as_deref().unwrap_or("-")));
            shown.extend(change.iter().map(|change| format!("{} change {change}", object.resource().name)));
        }
    }
    insta::assert_snapshot!(shown.join("\n"));
}

const CUSTOMERS: &Resource = &super::customers::RESOURCE;

#[test]
fn nulls_leave_alone_or_clear_as_the_settings_say() {
    let customers = super::find(CUSTOMERS.name).unwrap();
    let row = json!({"external_id": "a", "company": null, "seats": null, "city": "Rome"});
    let quiet = plan_with(customers, Mode::Upsert, Nulls::Ignore, &row).unwrap();
    assert_eq!(changed(customers, &quiet), [r#"PATCH /customers/the-uuid {"city":"Rome"}"#]);
    let clear = plan_with(customers, Mode::Upsert, Nulls::Clear, &row).unwrap();
    assert_eq!(
        changed(customers, &clear),
        [
            r#"PATCH /customers/the-uuid {"company":null,"city":"Rome"}"#,
            r#"DELETE /customers/the-uuid/attributes/custom {"custom":["seats"]}"#
        ]
    );
    // A create has nothing to clear.
    assert!(!requests(customers, &clear, None).0.unwrap().contains("null"));
}

#[test]
fn tags_are_sent_as_the_union_where_known_and_added_where_not() {
    let customers = super::find(CUSTOMERS.name).unwrap();
    let plan = plan(customers, &json!({"external_id": "a", "tags": ["b", "a", "b", ""]})).unwrap();
    let tagged = |tags: Value| {
        let entry = json!({"uuid": "the-uuid", "attributes": {"tags": tags, "custom": {}}});
        requests(customers, &plan, Some(&entry)).1
    };
    assert_eq!(tagged(json!(["x", "a"])), [r#"PATCH /customers/the-uuid {"attributes":{"tags":["x","a","b"]}}"#]);
    assert!(tagged(json!(["a", "b"])).is_empty());
    assert_eq!(changed(customers, &plan), [r#"POST /customers/the-uuid/attributes/tags {"tags":["b","a"]}"#]);
}

#[test]
fn only_what_differs_is_sent_and_nothing_where_nothing_does() {
    let customers = super::find(CUSTOMERS.name).unwrap();
    let entry = json!({"uuid": "the-uuid", "external_id": "a", "name": "Ann", "email": "ann@lee.example", "company": "",
        "country": "US", "state": "NY", "lead_created_at": "2026-01-01T00:00:00.000Z", "owner": null,
        "attributes": {"tags": ["vip"], "custom": {"seats": 3, "pro": true}}});
    let change = |row: Value| requests(customers, &plan(customers, &row).unwrap(), Some(&entry)).1;
    let same = json!({"external_id": "a", "name": "Ann", "email": "ANN@lee.example", "company": "", "country": "us",
        "state": "US-NY", "lead_created_at": "2026-01-01", "tags": ["vip"], "seats": 3, "pro": true});
    assert_eq!(change(same), [""; 0]);
    assert_eq!(
        change(json!({"external_id": "a", "name": "Bob", "country": "US", "seats": 4, "pro": true})),
        [r#"PATCH /customers/the-uuid {"name":"Bob","attributes":{"custom":[{"type":"Integer","key":"seats","value":4}]}}"#]
    );
    // What the API may drop goes along with another change, never alone.
    assert_eq!(change(json!({"external_id": "a", "primary_contact": {"first_name": "A"}})), [""; 0]);
    assert_eq!(
        change(json!({"external_id": "a", "name": "Bob", "primary_contact": {"first_name": "A"}})),
        [r#"PATCH /customers/the-uuid {"name":"Bob","primary_contact":{"first_name":"A"}}"#]
    );
}

#[test]
fn a_row_of_another_data_source_is_told_apart() {
    for object in OBJECTS.iter().filter(|object| object.resource().field("data_source_uuid").is_some()) {
        let mut row = full(*object);
        row["data_source_uuid"] = json!("ds_11111111-2222-11ee-8888-333333333333");
        assert_eq!(plan(*object, &row.into()).unwrap_err()[0].code, Code::OtherDataSource);
    }
}

/// A value that breaks the rule of a field.
pub(super) fn broken(kind: &Kind) -> Option<Value> {
    Some(match kind {
        Kind::Text | Kind::ExternalId => json!({"a": 1}),
        Kind::Uuid(_) => json!("not-a-uuid"),
        Kind::Email => json!("nobody"),
        Kind::Url | Kind::State => json!(["x"]),
        Kind::Country => json!("Atlantis"),
        Kind::Timestamp => json!("yesterday"),
        Kind::Integer(..) | Kind::Cents | Kind::Currency | Kind::Date | Kind::Boolean => json!("no such value"),
        Kind::Short(most) => json!("x".repeat(most + 1)),
        Kind::Code(_) => json!("no code!"),
        Kind::List(_) => json!("x"),
        Kind::Many(inner) => json!([broken(inner)?]),
        Kind::Scalar => json!({"a": 1}),
        Kind::Json => return None,
        Kind::OneOf(_) => json!("no such word"),
        Kind::Tags | Kind::Attributes => json!(5),
        Kind::Object(_) => json!("x"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A record with some of its fields broken is rejected, naming exactly those.
    #[test]
    fn broken_fields_are_named_and_no_others(at in 0..OBJECTS.len(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let object = OBJECTS[at];
        let mut row = full(object);
        let names: Vec<String> = row.keys().filter(|name| object.resource().field(name).is_some()).cloned().collect();
        let mut expected = std::collections::BTreeSet::new();
        for pick in picks {
            let name = &names[pick.index(names.len())];
            if let Some(value) = broken(&object.resource().field(name).unwrap().kind) {
                row[name] = value;
                expected.insert(name.clone());
            }
        }
        prop_assume!(!expected.is_empty());
        let faults = plan(object, &row.into()).unwrap_err();
        let named: std::collections::BTreeSet<String> = faults.iter().map(|fault| fault.field.clone().unwrap()).collect();
        prop_assert_eq!(named, expected);
    }

    /// Whatever stands in a row, planning never panics, and a plan's bodies are JSON.
    #[test]
    fn any_row_is_planned_or_rejected(at in 0..OBJECTS.len(), values in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..12), key in ".{0,8}") {
        let object = OBJECTS[at];
        let names: Vec<&str> = object.resource().all_fields().map(|field| field.name).chain([key.as_str(), "seats"]).collect();
        let row: Map<String, Value> = values.into_iter().map(|(pick, value)| (names[pick.index(names.len())].to_owned(), value)).collect();
        for mode in object.modes() {
            for nulls in [Nulls::Ignore, Nulls::Clear] {
                match plan_with(object, *mode, nulls, &row.clone().into()) {
                    Ok(plan) => {
                        let (refs, how) = (refs(&plan), how(plan.mode));
                        let at = At { data_source: SOURCE, refs: &refs, how: &how };
                        let existing = Existing { uuid: "u".into(), known: None };
                        let create = object.create(&plan, &at).ok().flatten();
                        let change = object.change(&plan, &at, &existing).unwrap_or_default();
                        for body in create.iter().chain(&change).filter_map(|request| request.body.as_deref()) {
                            serde_json::from_str::<Value>(body).unwrap();
                        }
                        prop_assert!(!plan.lanes(object.resource().name).is_empty());
                    }
                    Err(faults) => prop_assert!(!faults.is_empty()),
                }
            }
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("2026-01-01")),
        Just(json!("[\"a\"]")),
        Just(json!("{\"a\":1}")),
        Just(json!("a@b.test")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..3).prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}
