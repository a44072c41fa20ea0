//! What presets do with single values of a row, and with the row when all of it was read.

use std::borrow::Cow;

use super::fields::{Mapped, MappedAttribute, Mapper, Slot, for_members};
use super::presets::{End, Reading};
use super::target::Step;
use super::{attributes, values};
use crate::errors::Code;
use crate::objects::resource::AttributeType;
use crate::outcome::{Fault, Skip};

/// The rank of what was split from a full name.
const SPLIT: u8 = u8::MAX;

/// Tags that ChartMogul sets by itself (both recorded).
const AUTOMATIC_TAGS: [&str; 2] = ["merged-customer", "auto-churned-delinquent-subscription"];

/// Whether a value is none: null, or the empty text that warehouses write for it.
pub(super) fn is_nothing(raw: &str) -> bool {
    raw == "null" || raw == "\"\""
}

/// A name without the quotes that it may have.
pub(super) fn unquoted(name: &str) -> Cow<'_, str> {
    values::as_text(name).unwrap_or(Cow::Borrowed(name))
}

impl Mapper {
    /// Takes in a column's value as a preset says.
    pub(super) fn step<'a>(&'a self, name: &str, step: &'a Step, value: Cow<'a, str>, mapped: &mut Mapped<'a>) {
        match step {
            Step::Ranked { slot, field, rank, reading } => match read(*reading, value) {
                Read::Value(value) => put_ranked(*slot, *rank, value, mapped),
                Read::Nothing => {}
                Read::Skip(skip) => mapped.skip = mapped.skip.or(Some(skip)),
                Read::Wrong(what) => {
                    let words = format!("column {} {what}", unquoted(name));
                    mapped.faults.push(Fault::field(Code::FieldValue, *field, words));
                }
            },
            Step::Attribute(key, wanted) => {
                put_first(MappedAttribute { key: Cow::Borrowed(key), raw: value, wanted: *wanted }, mapped);
            }
            Step::Nest(table, plain) => match (object(value), plain) {
                (Nested::Object(object), _) => {
                    for_members(&object, |member, value| self.put_by_table(table, member, value, mapped));
                }
                (Nested::Nothing, _) => {}
                (Nested::Other(value), Some(target)) => self.put(name, target, value, mapped),
                (Nested::Other(value), None) => {
                    let words = match values::first_byte(&value) {
                        b'"' => "holds a text that is not the JSON text of an object".to_owned(),
                        _ => format!("takes an object or its JSON text, not {}", values::type_name(&value)),
                    };
                    mapped.faults.push(Fault::field(Code::FieldValue, unquoted(name), words));
                }
            },
            Step::Needs { .. } => {}
            Step::Split(first, last) => split_name(*first, *last, value, mapped),
            Step::DataSource => {
                let configured = self.preset.as_ref().map_or("", |preset| preset.data_source.as_ref());
                let bare = |text: &str| text.trim().trim_start_matches("ds_").to_ascii_lowercase();
                let named = bare(&unquoted(&value));
                match named == bare(configured) {
                    _ if is_nothing(&value) => {}
                    true => mapped.from_here = true,
                    false => mapped.skip = Some(Skip::OtherDataSource),
                }
            }
            Step::Gone => {
                if matches!(unquoted(&value).trim().to_ascii_lowercase().as_str(), "true" | "t" | "1" | "yes") {
                    mapped.skip = mapped.skip.or(Some(Skip::DeletionIgnored));
                }
            }
        }
    }
}

/// A value, read.
enum Read<'a> {
    Value(Cow<'a, str>),
    Nothing,
    Skip(Skip),
    /// It can not be read; what is the matter, as words that go on after the column's name.
    Wrong(&'static str),
}

fn read(reading: Reading, value: Cow<'_, str>) -> Read<'_> {
    if is_nothing(&value) && reading != Reading::AsIs {
        return Read::Nothing;
    }
    match reading {
        Reading::AsIs | Reading::Given => Read::Value(value),
        Reading::Word(words) => {
            let text = unquoted(&value);
            let text = text.trim();
            let digits = values::whole_digits(text);
            let key = digits.as_deref().unwrap_or(text);
            match words.iter().find(|(code, word)| *code == key || word.is(key)) {
                Some((_, word)) => word.sent().map_or(Read::Nothing, |word| Read::Value(Cow::Owned(quoted(word)))),
                None => Read::Wrong("holds a value that stands in no table of ChartMogul's export"),
            }
        }
        Reading::Uuid(prefix) => match values::as_text(&value) {
            Some(text) if is_bare_uuid(text.trim()) => Read::Value(Cow::Owned(quoted(&format!("{prefix}{}", text.trim())))),
            _ => Read::Value(value),
        },
        // The API answers an author as "Name (email)" (recorded) and takes the address alone.
        Reading::Address => {
            let text = unquoted(&value);
            let inner = text.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
            match inner.unwrap_or(&text).trim() {
                address if address.contains('@') => Read::Value(Cow::Owned(quoted(address))),
                _ => Read::Nothing,
            }
        }
        Reading::Tag => {
            let text = unquoted(&value);
            if AUTOMATIC_TAGS.contains(&text.trim()) { Read::Skip(Skip::AutomaticTag) } else { Read::Value(value) }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    values::push_quoted(text, &mut out);
    out
}

fn is_bare_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// What a nested column holds.
enum Nested<'a> {
    Object(Cow<'a, str>),
    Nothing,
    Other(Cow<'a, str>),
}

fn object(value: Cow<'_, str>) -> Nested<'_> {
    match values::first_byte(&value) {
        b'{' => Nested::Object(value),
        b'"' => {
            if values::is_blank_text(&value) {
                return Nested::Nothing;
            }
            let text = unquoted(&value);
            let text = text.trim();
            if text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
                let text = text.to_owned();
                return Nested::Object(Cow::Owned(text));
            }
            Nested::Other(value)
        }
        b'n' => Nested::Nothing,
        _ => Nested::Other(value),
    }
}

/// Gives a field a value that other columns may give too.
fn put_ranked<'a>(slot: Slot, rank: u8, value: Cow<'a, str>, mapped: &mut Mapped<'a>) {
    let Some((_, present)) = mapped.fields.iter_mut().find(|(at, _)| *at == slot) else {
        mapped.fields.push((slot, value));
        mapped.ranks.push((slot, rank));
        return;
    };
    match mapped.ranks.iter_mut().find(|(at, _)| *at == slot) {
        // The user's own column gave it; a null of it gives nothing.
        None if *present == "null" => {
            *present = value;
            mapped.ranks.push((slot, rank));
        }
        None => {}
        Some((_, held)) => {
            let better = match (*held, rank) {
                (0, _) => false,
                (_, 0) => true,
                (held, rank) => !is_nothing(&value) && (is_nothing(present) || rank < held),
            };
            if better {
                *present = value;
                *held = rank;
            }
        }
    }
}

/// Adds an attribute that several columns can give: the first value counts.
pub(super) fn put_first<'a>(attribute: MappedAttribute<'a>, mapped: &mut Mapped<'a>) {
    match mapped.attribute(&attribute.key) {
        None => mapped.attributes.push(attribute),
        Some(present) if is_nothing(&present.raw) => present.raw = attribute.raw,
        Some(_) => {}
    }
}

/// The first word of a full name is the first name, the rest the last name.
fn split_name<'a>(first: Slot, last: Slot, value: Cow<'a, str>, mapped: &mut Mapped<'a>) {
    let Some(text) = values::as_text(&value) else {
        if value != "null" {
            put_ranked(first, SPLIT, value, mapped);
        }
        return;
    };
    let text = text.trim();
    let (given, family) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    for (slot, part) in [(first, given), (last, family.trim())] {
        if !part.is_empty() {
            put_ranked(slot, SPLIT, Cow::Owned(quoted(part)), mapped);
        }
    }
}

/// What a preset does when all of the row was read.
pub(super) fn finish<'a>(end: &End<Slot>, mapped: &mut Mapped<'a>) {
    match end {
        End::FullName { first, last } => {
            let split = |slot: &Slot| mapped.ranks.contains(&(*slot, SPLIT));
            let told =
                mapped.fields.iter().any(|(slot, value)| (slot == first || slot == last) && !split(slot) && !is_nothing(value));
            if told {
                let ranks = &mapped.ranks;
                mapped.fields.retain(|(slot, _)| !((slot == first || slot == last) && ranks.contains(&(*slot, SPLIT))));
            }
        }
        End::KeyNotUuid { key, uuid } => {
            let keyed = mapped.fields.iter().any(|(slot, value)| slot == key && !is_nothing(value));
            // A UUID that the user mapped is meant.
            let ranks = &mapped.ranks;
            mapped.fields.retain(|(slot, _)| !(keyed && slot == uuid && ranks.iter().any(|(at, _)| at == uuid)));
        }
        End::OnlyWith { field, key } => {
            let keyed = mapped.fields.iter().any(|(slot, value)| slot == key && !is_nothing(value));
            mapped.fields.retain(|(slot, _)| keyed || slot != field);
        }
        End::Elsewhere { field, rank } => {
            let (here, ranks) = (mapped.from_here, &mapped.ranks);
            mapped.fields.retain(|(slot, _)| !(here && slot == field && ranks.contains(&(*field, *rank))));
        }
        End::Typed { kind, value } => type_value(*kind, *value, mapped),
    }
}

/// Turns a value that was exported as text into what the column of its type says.
fn type_value(kind: Slot, value: Slot, mapped: &mut Mapped<'_>) {
    let Some(word) = mapped.fields.iter().find(|(slot, _)| *slot == kind).and_then(|(_, raw)| values::as_text(raw)) else {
        return;
    };
    // What is no type is left to the object to tell.
    let Some(wanted) = attribute_type(word.trim()) else { return };
    drop(word);
    let Some((_, raw)) = mapped.fields.iter_mut().find(|(slot, _)| *slot == value) else { return };
    if *raw == "null" || (is_nothing(raw) && wanted != AttributeType::String) {
        *raw = Cow::Borrowed("null");
        return;
    }
    let mut typed = String::with_capacity(raw.len() + 2);
    match attributes::push_typed("value", raw, Some(wanted), &mut typed) {
        Ok(_) => *raw = Cow::Owned(typed),
        Err(fault) => mapped.faults.push(fault),
    }
}

fn attribute_type(word: &str) -> Option<AttributeType> {
    use AttributeType::{Boolean, Decimal, Integer, String, Timestamp};
    [String, Integer, Decimal, Timestamp, Boolean]
        .into_iter()
        .find(|kind| attributes::type_word(*kind).eq_ignore_ascii_case(word))
}
