//! What is wrong with a configuration, in words for the person who wrote it.
//!
//! Owns the wording of schema violations and of the list that a refusal is. Holds paths, rules and examples; no values.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use crate::errors::Code;
use crate::failure::Failure;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where: `streams[0].mode`; empty for the whole.
    path: String,
    /// What is wrong and what to do, as a sentence that goes on after the path.
    text: String,
}

impl Problem {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// The failure that lists them. Values are never in it, but a key may have been pasted where a name belongs.
pub(super) fn failure(problems: &[Problem], key: &str) -> Failure {
    let mut message = match problems.len() {
        1 => "The configuration has a problem:".to_owned(),
        many => format!("The configuration has {many} problems:"),
    };
    for Problem { path, text } in problems {
        let path = if path.is_empty() { "the file" } else { path };
        message.push_str(&format!("\n- {path}: {text}"));
    }
    // A shorter one is no key of ChartMogul's, and would tear pieces out of ordinary words.
    const SHORTEST_KEY: usize = 6;
    if key.len() >= SHORTEST_KEY {
        message = message.replace(key, "****");
    }
    Failure::config(Code::ConfigInvalid, message)
}

/// Words for all violations. Where a value is of the wrong type and none of the words allowed, the words say it all.
pub(super) fn violations(errors: &[ValidationError<'_>], schema: &Value) -> Vec<Problem> {
    let is_enum = |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Enum { .. });
    let is_type = |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Type { .. });
    let told = |error: &ValidationError<'_>| {
        is_type(error) && errors.iter().any(|other| is_enum(other) && other.instance_path() == error.instance_path())
    };
    errors.iter().filter(|error| !told(error)).flat_map(|error| violation(error, schema)).collect()
}

/// Words for a violation of the schema; more than one when several keys are unknown or an option has several faults.
fn violation(error: &ValidationError<'_>, schema: &Value) -> Vec<Problem> {
    let path = readable(error.instance_path().as_str());
    // The last step of the schema's path is the keyword; before it stands the schema that was broken.
    let broken = error.schema_path().as_str().rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent));
    let hint = broken.map(example).unwrap_or_default();
    let one = |text: String| vec![Problem::new(path.clone(), text)];
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let missing = broken.and_then(|schema| schema.pointer(&format!("/properties/{name}")));
            let variable = super::KEY_VARIABLE;
            let or = if name == "api_key" { format!(" Or set the environment variable {variable}.") } else { String::new() };
            let what = missing.and_then(|schema| schema["description"].as_str()).unwrap_or_default();
            let example = missing.map(example).unwrap_or_default();
            vec![Problem::new(joined(&path, name), format!("is missing{example}. {what}{or}"))]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = broken.and_then(|schema| schema["properties"].as_object());
            let known: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let text = format!("is no key that is known here. Known are {}.", known.join(", "));
            unexpected.iter().map(|name| Problem::new(joined(&path, name), text.clone())).collect()
        }
        ValidationErrorKind::Type { kind } => one(format!("must be {}{hint}.", types(kind))),
        ValidationErrorKind::Enum { options } => one(format!("must be one of {}.", words(options))),
        ValidationErrorKind::Constant { expected_value } => one(format!("must be {expected_value}.")),
        ValidationErrorKind::Pattern { .. } => {
            let form =
                broken.and_then(|schema| schema["pattern_descriptor"].as_str()).unwrap_or("of the form that `spec` prints");
            one(format!("must be {form}{hint}."))
        }
        ValidationErrorKind::MinLength { .. } => one(format!("must not be empty{hint}.")),
        ValidationErrorKind::Minimum { limit } => one(format!("must be at least {limit}.")),
        ValidationErrorKind::Maximum { limit } => one(format!("must be at most {limit}.")),
        ValidationErrorKind::OneOfNotValid { context } => option(error, schema, context),
        other => one(format!("breaks the rule `{}` of the schema that `spec` prints.", other.keyword())),
    }
}

/// A value that must be one of several options, told apart by a constant: the faults of the option that was meant, or, where
/// none was, the constants to choose from.
fn option(error: &ValidationError<'_>, schema: &Value, context: &[Vec<ValidationError<'_>>]) -> Vec<Problem> {
    if !error.instance().is_object() {
        // The violation of the type has said it.
        return Vec::new();
    }
    let options = schema.pointer(error.schema_path().as_str()).and_then(Value::as_array);
    let options = options.map(Vec::as_slice).unwrap_or_default();
    // What tells the options apart is a constant in all of them.
    let constant = |option: &Value| {
        let properties = option["properties"].as_object();
        properties.into_iter().flatten().find(|(_, property)| property.get("const").is_some()).map(|(name, _)| name.clone())
    };
    let tag = options.first().and_then(constant).unwrap_or_default();
    let names_option = |fault: &ValidationError<'_>| {
        matches!(fault.kind(), ValidationErrorKind::Constant { .. } | ValidationErrorKind::Type { .. })
            && fault.instance_path().as_str().strip_prefix(error.instance_path().as_str()) == Some(&format!("/{tag}"))
            || matches!(fault.kind(), ValidationErrorKind::Required { property } if *property == tag)
    };
    if let Some(meant) = context.iter().find(|faults| !faults.iter().any(names_option)) {
        return meant.iter().flat_map(|fault| violation(fault, schema)).collect();
    }
    let constants: Vec<String> = options.iter().map(|option| option["properties"][&tag]["const"].to_string()).collect();
    let path = joined(&readable(error.instance_path().as_str()), &tag);
    vec![Problem::new(path, format!("must be one of {}.", constants.join(", ")))]
}

/// `, for example "x"` from a schema's examples. A secret has one too, but it would look like a key to use.
fn example(schema: &Value) -> String {
    match schema["examples"].get(0) {
        Some(example) if schema["airbyte_secret"] != true => format!(", for example {example}"),
        _ => String::new(),
    }
}

fn words(options: &Value) -> String {
    options.as_array().into_iter().flatten().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

fn types(kind: &TypeKind) -> String {
    let word = |kind: JsonType| match kind {
        JsonType::String => "a text",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::Boolean => "true or false",
        JsonType::Array => "a list",
        JsonType::Object => "an object",
        JsonType::Null => "null",
    };
    match kind {
        TypeKind::Single(kind) => word(*kind).to_owned(),
        TypeKind::Multiple(kinds) => kinds.iter().map(word).collect::<Vec<_>>().join(" or "),
    }
}

/// A JSON pointer as people write paths: `/streams/0/mode` is `streams[0].mode`.
fn readable(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, step| match step.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) => joined(&path, &step.replace("~1", "/").replace("~0", "~")),
    })
}

pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
