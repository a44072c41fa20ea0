//! The parts of the docs page that the code knows better than a writer: objects with their fields, and error codes.
//!
//! `UPDATE_SPEC=1 cargo test --lib commands::` writes them anew, between the marks that stand in the page.

use std::fmt::Write as _;
use std::path::Path;

use crate::errors::CODES;
use crate::objects::resource::{Field, Kind};
use crate::objects::{OBJECTS, Object};
use crate::plan::Mode;

const PAGE: &str = "docs/destination-chartmogul.md";
const README: &str = "README.md";

#[test]
fn the_page_shows_the_objects_and_the_codes_that_there_are() {
    holds(PAGE, |page| between(&between(page, "objects", &objects()), "codes", &codes()));
}

#[test]
fn the_readme_shows_the_objects_that_there_are() {
    holds(README, |page| between(page, "objects", &(summary() + "\n")));
}

/// The file is what `renew` makes of it.
fn holds(file: &str, renew: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let page = std::fs::read_to_string(&path).unwrap();
    let fresh = renew(&page);
    if std::env::var_os("UPDATE_SPEC").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    } else {
        assert!(page == fresh, "{file} is not what the code says; look at the change, then run with UPDATE_SPEC=1");
    }
}

/// The page with new text between the marks of this name.
fn between(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{text}{end}{after}")
}

/// A line for each object.
fn summary() -> String {
    let mut text = "\n| Object | Operations | Found by | Needed to create |\n| --- | --- | --- | --- |\n".to_owned();
    for object in OBJECTS {
        let modes: Vec<&str> = object.modes().iter().map(|mode| mode.as_str()).collect();
        let keys: Vec<String> = object.matching_keys().iter().map(|fields| code(&fields.join(", "))).collect();
        let needed: Vec<String> = object.required(Mode::Insert).iter().map(|names| code(&names.join("` or `"))).collect();
        let name = object.resource().name;
        let _ = writeln!(text, "| `{name}` | {} | {} | {} |", modes.join(", "), keys.join(", "), needed.join(", "));
    }
    text
}

/// What a record costs in each mode.
fn costs() -> String {
    let mut text =
        "\n| Object | Operation | Requests per record, once what it refers to is known |\n| --- | --- | --- |\n".to_owned();
    for object in OBJECTS {
        for mode in object.modes() {
            let _ = writeln!(text, "| `{}` | {} | {} |", object.resource().name, mode.as_str(), object.requests(*mode));
        }
    }
    text
}

fn objects() -> String {
    let mut text = summary() + &costs();
    for object in OBJECTS {
        fields(*object, &mut text);
    }
    text + "\n"
}

fn fields(object: &dyn Object, text: &mut String) {
    let resource = object.resource();
    let _ =
        write!(text, "\n### `{}`\n\n{}\n\n| Field | Type | Meaning |\n| --- | --- | --- |\n", resource.name, resource.summary);
    for field in resource.all_fields() {
        row("", field, text);
    }
}

fn row(parent: &str, field: &Field, text: &mut String) {
    let name = format!("{parent}{}", field.name);
    let _ = writeln!(text, "| `{name}` | {} | {} |", kind(&field.kind), field.about);
    let inner = match &field.kind {
        Kind::Object(fields) => Some((".", fields)),
        Kind::List(fields) => Some(("[].", fields)),
        _ => None,
    };
    if let Some((step, fields)) = inner {
        for field in *fields {
            row(&format!("{name}{step}"), field, text);
        }
    }
}

fn codes() -> String {
    let mut text = "\n| Code | What is the matter | What to do |\n| --- | --- | --- |\n".to_owned();
    for code in CODES {
        let _ = writeln!(text, "| `{code}` | {} | {} |", code.cause(), code.remedy());
    }
    text + "\n"
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::ExternalId => "text or whole number".to_owned(),
        Kind::Uuid("") => "UUID".to_owned(),
        Kind::Uuid(prefix) => format!("UUID with `{prefix}`"),
        Kind::Email => "e-mail address".to_owned(),
        Kind::Url => "web address".to_owned(),
        Kind::Country => "country, two letters".to_owned(),
        Kind::State => "state of the US".to_owned(),
        Kind::Timestamp => "date or timestamp".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Integer(i64::MIN, _) => "whole number".to_owned(),
        Kind::Integer(least, i64::MAX) => format!("whole number from {least}"),
        Kind::Integer(least, most) => format!("whole number from {least} to {most}"),
        Kind::Cents => "whole number of cents".to_owned(),
        Kind::Currency => "currency, three letters".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Short(most) => format!("text of at most {most} characters"),
        Kind::Code(most) => format!("at most {most} letters and digits"),
        Kind::OneOf(words) => words.join(", "),
        Kind::Tags => "list of texts".to_owned(),
        Kind::Attributes => "map".to_owned(),
        Kind::Object(_) => "object".to_owned(),
        Kind::List(_) => "list of objects".to_owned(),
        Kind::Many(inner) => format!("list: {}", self::kind(inner)),
        Kind::Scalar => "text, number or Boolean".to_owned(),
        Kind::Json => "any JSON".to_owned(),
    }
}
