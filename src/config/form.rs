//! The schema as Airbyte's form needs it.
//!
//! Owns the way from the types of [`super::schema`] to the JSON Schema that `spec` prints. The form understands draft-07 with
//! `title`, `description`, `order` and `group` on properties, and a choice of objects as `oneOf` with a constant that tells them
//! apart; it refuses `anyOf`, `allOf`, `not` and `patternProperties`, and follows no `$ref`.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::schema::Typed;

/// Groups of the form, in their order.
const GROUPS: [(&str, &str); 5] = [
    ("account", "Account"),
    ("writing", "Writing"),
    ("streams", "Streams"),
    ("keeping", "Rejected records and receipts"),
    ("connection", "Connection"),
];

/// The JSON Schema of the configuration.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let mut settings = SchemaSettings::draft07();
        settings.inline_subschemas = true;
        let mut schema = settings.into_generator().into_root_schema_for::<Typed>().to_value();
        // Airbyte adds keys of its own at the root.
        schema["additionalProperties"] = true.into();
        schema["groups"] = GROUPS.map(|(id, title)| json!({"id": id, "title": title})).to_vec().into();
        tidy(&mut schema);
        schema
    });
    &SCHEMA
}

/// Rewrites what the derive prints into what Airbyte's form understands.
fn tidy(schema: &mut Value) {
    // 10.0 in a schema is 10 to a reader.
    whole_numbers(schema);
    let Value::Object(members) = schema else { return };
    // `uint32` and the like are no formats of JSON Schema.
    if members.get("type").is_some_and(|kind| kind == "integer" || kind == "number") {
        members.shift_remove("format");
    }
    if members.get("default") == Some(&Value::Null) {
        members.shift_remove("default");
    }
    // An enum whose variants are documented comes as a choice of constants.
    if let Some(Value::Array(options)) = members.get("oneOf") {
        let constants: Option<Vec<Value>> = options.iter().map(|option| option.get("const").cloned()).collect();
        if let Some(constants) = constants {
            members.shift_remove("oneOf");
            members.insert("type".to_owned(), "string".into());
            members.insert("enum".to_owned(), constants.into());
        }
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        for (order, (name, property)) in properties.iter_mut().enumerate() {
            property["order"] = order.into();
            if let Some(constant) = property.get("const").cloned() {
                property["title"] = title(name).into();
                property["description"] = "Tells the choices apart.".into();
                property["default"] = constant.clone();
                property["examples"] = json!([constant]);
            }
            tidy(property);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(key) {
            tidy(inner);
        }
    }
    if let Some(Value::Array(options)) = members.get_mut("oneOf") {
        options.iter_mut().for_each(tidy);
    }
    // What a reader looks for first stands first.
    let mut rest = std::mem::take(members);
    let first = ["type", "title", "description", "order", "group"];
    members.extend(first.iter().filter_map(|key| Some(((*key).to_owned(), rest.shift_remove(*key)?))).collect::<Map<_, _>>());
    members.extend(rest);
}

/// `storage_type` as people write it.
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Numbers without a fraction as integers: to JSON Schema 40.0 is one, to serde it is not.
pub(super) fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Below this bound a double is exact, and so is the cast.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT) {
                *value = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::OBJECTS;

    /// Every schema within, with its path.
    fn walk<'a>(schema: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
        visit(path, schema);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(property, &format!("{path}/{name}"), visit);
        }
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                walk(&schema[key], &format!("{path}/{key}"), visit);
            }
        }
        for (index, option) in schema["oneOf"].as_array().into_iter().flatten().enumerate() {
            walk(option, &format!("{path}/{index}"), visit);
        }
    }

    fn accepts(schema: &Value, value: &Value) -> bool {
        jsonschema::draft7::new(schema).unwrap().is_valid(value)
    }

    #[test]
    fn the_schema_is_sound_and_the_form_understands_it() {
        jsonschema::draft7::meta::validate(schema()).unwrap();
        const FORBIDDEN: [&str; 15] = [
            "anyOf",
            "allOf",
            "not",
            "$ref",
            "patternProperties",
            "definitions",
            "$defs",
            "prefixItems",
            "if",
            "then",
            "else",
            "dependentSchemas",
            "dependentRequired",
            "format",
            "dependencies",
        ];
        walk(schema(), "", &mut |path, schema| {
            for keyword in FORBIDDEN {
                assert!(schema.get(keyword).is_none(), "{path}: {keyword}");
            }
            assert!(schema["type"].is_string() || path.contains("constants"), "{path}: {schema}");
        });
        let text = schema().to_string();
        assert!(!text.contains("$ref") && !text.contains("definitions"));
    }

    #[test]
    fn every_property_speaks_to_a_person() {
        // Without a default on purpose: needed, or "as above" when absent, or told apart by it.
        let without_default = [
            "/api_key",
            "/data_source_uuid",
            "/streams/items/stream",
            "/streams/items/object",
            "/streams/items/mode",
            "/streams/items/match",
            "/streams/items/parents",
            "/streams/items/preset",
            "/object_storage_config/1/access_key_id",
            "/object_storage_config/1/secret_access_key",
            "/object_storage_config/1/role_arn",
            "/object_storage_config/1/s3_bucket_name",
            "/object_storage_config/1/s3_endpoint",
            "/object_storage_config/2/path",
            "/receipts/1/access_key_id",
            "/receipts/1/secret_access_key",
            "/receipts/1/role_arn",
            "/receipts/1/s3_bucket_name",
            "/receipts/1/s3_endpoint",
            "/receipts/2/path",
            "/receipts/3/url",
            "/receipts/3/authorization",
        ];
        let mut seen = 0;
        walk(schema(), "", &mut |path, owner| {
            let mut orders: Vec<u64> = Vec::new();
            for (name, property) in owner["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}/{name}");
                for text in ["title", "description"] {
                    assert!(property[text].as_str().is_some_and(|text| !text.is_empty()), "{path}: {text}");
                }
                assert!(property["description"].as_str().unwrap().ends_with('.'), "{path}");
                orders.push(property["order"].as_u64().unwrap_or_else(|| panic!("{path}: order")));
                let examples = property["examples"].as_array().unwrap_or_else(|| panic!("{path}: examples"));
                for value in examples.iter().chain(property.get("default")) {
                    assert!(accepts(property, value), "{path}: {value}");
                }
                assert_eq!(property.get("default").is_none(), without_default.contains(&&*path), "{path}: default");
                seen += 1;
            }
            let given = orders.len();
            orders.sort_unstable();
            orders.dedup();
            assert_eq!(orders.len(), given, "{path}: orders");
        });
        assert_eq!(seen, 13 + 13 + 3 + 7 + (1 + 12 + 6) + 2 * 6 + (1 + 8 + 2 + 3));
    }

    #[test]
    fn every_property_at_the_root_is_in_a_group_that_exists() {
        let groups: Vec<&str> = schema()["groups"].as_array().unwrap().iter().filter_map(|group| group["id"].as_str()).collect();
        for (name, property) in schema()["properties"].as_object().unwrap() {
            assert!(property["group"].as_str().is_some_and(|group| groups.contains(&group)), "{name}");
        }
    }

    #[test]
    fn choices_of_objects_follow_the_rules_of_the_form() {
        for (key, tag, constants) in [
            ("deletions", "policy", &["ignore", "delete", "mirror"][..]),
            ("object_storage_config", "storage_type", &["None", "S3", "Local"]),
            ("receipts", "storage_type", &["None", "S3", "Local", "Webhook"]),
        ] {
            let choice = &schema()["properties"][key];
            assert_eq!(choice["type"], "object");
            let options = choice["oneOf"].as_array().unwrap();
            assert_eq!(options.len(), constants.len());
            for (option, constant) in options.iter().zip(constants) {
                assert_eq!((&option["type"], &option["properties"][tag]["const"]), (&json!("object"), &json!(constant)));
                assert!(option["title"].is_string());
                assert_eq!(option["properties"][tag]["type"], "string");
            }
        }
    }

    #[test]
    fn only_keys_are_secrets_and_foreign_keys_are_let_in_at_the_root_only() {
        let mut secrets = Vec::new();
        walk(schema(), "", &mut |path, schema| {
            if schema["airbyte_secret"] == true {
                secrets.push(path.to_owned());
            }
        });
        let stores = ["/object_storage_config/1/access_key_id", "/object_storage_config/1/secret_access_key"];
        let receipts = ["/receipts/1/access_key_id", "/receipts/1/secret_access_key", "/receipts/3/authorization"];
        assert_eq!(secrets, [&["/api_key"][..], &stores, &receipts].concat());
        assert_eq!(schema()["additionalProperties"], true);
        for closed in
            ["/properties/streams/items", "/properties/limits", "/properties/deletions/oneOf/1", "/properties/receipts/oneOf/3"]
        {
            assert_eq!(schema().pointer(closed).unwrap()["additionalProperties"], false, "{closed}");
        }
        assert_eq!(schema()["required"], json!(["api_key", "data_source_uuid"]));
    }

    #[test]
    fn objects_are_those_of_the_registry() {
        let names = |pointer: &str| schema().pointer(pointer).unwrap()["enum"].as_array().unwrap().len();
        assert_eq!(names("/properties/object"), OBJECTS.len() + 1);
        assert_eq!(names("/properties/streams/items/properties/object"), OBJECTS.len() + 1);
    }
}
