//! What each object makes of a row: its plan, the JSON of its requests, its faults.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::resource::{AttributeForm, Field, Kind};
use super::{How, Known, OBJECTS, Object};
use crate::errors::Code;
use crate::mapping::{Mapped, Mapper, MapperInput, UnknownFields};
use crate::outcome::Fault;
use crate::plan::{Mode, Nulls, Plan, Record};

const SOURCE: &str = "ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46";

fn plan_with(object: &'static dyn Object, mode: Mode, nulls: Nulls, row: &Value) -> Result<Plan, Vec<Fault>> {
    let mapper = Mapper::new(&MapperInput {
        resource: object.resource(),
        fields: &[],
        constants: &Map::new(),
        exclude: &globset::GlobSet::empty(),
        unknown: UnknownFields::CustomAttributes,
        columns: &[],
        types: &hashbrown::HashMap::new(),
    })
    .unwrap();
    let raw = serde_json::value::to_raw_value(row).unwrap();
    let mut mapped = Mapped::default();
    mapper.apply(&raw, &mut mapped).unwrap();
    let record = Record::read(object.resource(), &mapped, nulls, |_| None);
    object.plan(record, &How { mode, match_by: None, data_source: SOURCE.into() })
}

fn plan(object: &'static dyn Object, row: &Value) -> Result<Plan, Vec<Fault>> {
    plan_with(object, Mode::Upsert, Nulls::Ignore, row)
}

/// A valid row with every field of the object.
fn full(object: &dyn Object) -> Map<String, Value> {
    let example = |field: &Field| (field.name.to_owned(), serde_json::from_str(field.example).unwrap());
    object.resource().all_fields().filter(|field| !matches!(field.name, "uuid" | "customer_uuid")).map(example).collect()
}

#[test]
fn every_writable_field_reaches_the_requests_of_a_create_and_of_a_change() {
    for object in OBJECTS {
        let plan = plan(*object, &full(*object).into()).unwrap();
        let create: Value = serde_json::from_str(&object.create(&plan, SOURCE, Some("cus_1"))).unwrap();
        let change = object.change(&plan, Known { tags: Some(&[]) }).patch.unwrap();
        let change: Value = serde_json::from_str(&change).unwrap();
        for field in object.resource().fields {
            let typed = object.resource().attributes == Some(AttributeForm::Typed);
            let place = |body: &Value| match field.kind {
                Kind::Tags => body["attributes"]["tags"].clone(),
                Kind::Attributes if typed => body["attributes"]["custom"].clone(),
                _ => body[field.name].clone(),
            };
            assert!(!place(&create).is_null(), "{}.{} is not created", object.resource().name, field.name);
            let key = field.name == "external_id" && object.refuses_duplicates();
            assert_eq!(place(&change).is_null(), key, "{}.{} is not changed", object.resource().name, field.name);
        }
        assert_eq!(create["data_source_uuid"], SOURCE);
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
            shown.push(format!("{} create {}", object.resource().name, object.create(&plan, SOURCE, Some("cus_parent"))));
            shown.push(format!("{} change {:?}", object.resource().name, object.change(&plan, Known::default())));
        }
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn nulls_leave_alone_or_clear_as_the_settings_say() {
    let customers = super::find("customers").unwrap();
    let row = json!({"external_id": "a", "company": null, "seats": null, "city": "Rome"});
    let quiet = plan_with(customers, Mode::Upsert, Nulls::Ignore, &row).unwrap();
    assert_eq!(customers.change(&quiet, Known::default()).patch.unwrap(), r#"{"city":"Rome"}"#);
    let clear = plan_with(customers, Mode::Upsert, Nulls::Clear, &row).unwrap();
    let change = customers.change(&clear, Known::default());
    assert_eq!(change.patch.unwrap(), r#"{"company":null,"city":"Rome"}"#);
    assert_eq!(change.remove_attributes, ["seats"]);
    // A create has nothing to clear.
    assert!(!customers.create(&clear, SOURCE, None).contains("null"));
}

#[test]
fn tags_are_sent_as_the_union_where_known_and_added_where_not() {
    let customers = super::find("customers").unwrap();
    let plan = plan(customers, &json!({"external_id": "a", "tags": ["b", "a", "b", ""]})).unwrap();
    let known: Vec<Box<str>> = vec!["x".into(), "a".into()];
    assert_eq!(customers.change(&plan, Known { tags: Some(&known) }).patch.unwrap(), r#"{"attributes":{"tags":["x","a","b"]}}"#);
    let all: Vec<Box<str>> = vec!["a".into(), "b".into()];
    assert_eq!(customers.change(&plan, Known { tags: Some(&all) }).patch, None);
    assert_eq!(customers.change(&plan, Known::default()).add_tags, ["b", "a"]);
}

#[test]
fn a_row_of_another_data_source_is_told_apart() {
    for object in OBJECTS {
        let mut row = full(*object);
        row["data_source_uuid"] = json!("ds_11111111-2222-11ee-8888-333333333333");
        assert_eq!(plan(*object, &row.into()).unwrap_err()[0].code, Code::OtherDataSource);
    }
}

/// A value that breaks the rule of a field.
fn broken(kind: &Kind) -> Option<Value> {
    Some(match kind {
        Kind::Text | Kind::ExternalId => json!({"a": 1}),
        Kind::Uuid(_) => json!("not-a-uuid"),
        Kind::Email => json!("nobody"),
        Kind::Url | Kind::State => json!(["x"]),
        Kind::Country => json!("Atlantis"),
        Kind::Timestamp => json!("yesterday"),
        Kind::Integer(least) => json!(least - 1),
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
        let names: Vec<String> = row.keys().cloned().collect();
        let mut expected = std::collections::BTreeSet::new();
        for pick in picks {
            let name = &names[pick.index(names.len())];
            if let Some(value) = broken(&object.resource().field(name).unwrap().kind) {
                row[name] = value;
                expected.insert(name.clone());
            }
        }
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
                        serde_json::from_str::<Value>(&object.create(&plan, SOURCE, Some("cus_1"))).unwrap();
                        if let Some(patch) = object.change(&plan, Known::default()).patch {
                            serde_json::from_str::<Value>(&patch).unwrap();
                        }
                        prop_assert!(!plan.lanes().is_empty());
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
