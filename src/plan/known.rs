//! What is known of an entry of the account, and whether a record says anything else. Pure.
//!
//! Values are kept as fingerprints: enough to tell whether a record would change them, and small. Two values have one
//! fingerprint when the API would store the same for both. Does not own where an entry was read (`account`).

use std::collections::BTreeSet;

use hashbrown::HashMap;
use serde_json::{Map, Value};

use super::prints::{self, FIELD_MASK, Prints, UNSET, hash};
use super::{Attribute, Body, Plan};
use crate::mapping::Slot;
use crate::mapping::values::timestamp;
use crate::objects::resource::{AttributeForm, AttributeType, Field, Kind, Resource};

/// An entry that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its identity, as text. For a merged customer, the survivor's.
    pub uuid: Box<str>,
    /// The user's first key in the configured data source.
    key: Option<Box<str>>,
    /// What few entries have.
    more: Option<Box<More>>,
    prints: Prints,
    /// Under how many pairs of data source and external id it stands; 1 for all but merged customers.
    pub pairs: u16,
    /// Whether the configured data source is among them.
    pub ours: bool,
    /// Whether the API itself says nothing against it: what is imported in bulk may stand there and count for nothing.
    pub is_sound: bool,
    /// Whether its members were shown.
    shows_members: bool,
}

/// What few entries have, so that the others have no room for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct More {
    keys: Box<[Box<str>]>,
    parts: Box<[Part]>,
    members: Box<[Box<str>]>,
}

/// An entry within another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The object's name.
    pub object: &'static str,
    /// The entry.
    pub known: Known,
}

/// What the API is taken to do with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// It keeps all of it.
    All,
    /// It drops what it may drop, and shows of the rest what it showed before.
    Least,
}

impl Known {
    /// Reads an entry; `None` when it shows no identity.
    pub fn read(resource: &'static Resource, entry: &Value) -> Option<Self> {
        let uuid = match entry.get(resource.id)? {
            Value::String(text) if !text.is_empty() => text.as_str().into(),
            Value::Number(number) => number.to_string().into(),
            _ => return None,
        };
        let shown = resource.all_fields().enumerate().filter_map(|(at, field)| {
            let value = entry.get(field.name)?;
            is_comparable(&field.kind).then(|| (at, fingerprint_of(field, value)))
        });
        Some(Self {
            uuid,
            key: entry.get("external_id").and_then(Value::as_str).map(Into::into),
            more: None,
            prints: Prints::new(shown, resource.attributes_of(entry).map(packed)),
            pairs: 1,
            ours: true,
            is_sound: entry.get("errors").and_then(Value::as_object).is_none_or(Map::is_empty),
            shows_members: false,
        })
    }

    /// The user's keys in the configured data source: none or one, more only for merged customers.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let others = self.more.as_ref().map_or(&[][..], |more| &more.keys);
        self.key.iter().chain(others).map(AsRef::as_ref)
    }

    /// Says under which keys it stands.
    pub fn set_keys<'k>(&mut self, mut keys: impl Iterator<Item = &'k str>) {
        self.key = keys.next().map(Into::into);
        let others: Box<[Box<str>]> = keys.map(Into::into).collect();
        self.set_more(|more| more.keys = others);
    }

    /// What belongs to it and stands within its entry: line items and transactions of an invoice.
    pub fn parts(&self) -> &[Part] {
        self.more.as_ref().map_or(&[], |more| &more.parts)
    }

    /// Says what stands within its entry.
    pub fn set_parts(&mut self, parts: Vec<Part>) {
        self.set_more(|more| more.parts = parts.into());
    }

    /// The members of the one list that is its own, when last seen: a customer's tags, a subscription's cancellation dates, the
    /// plans of a group. `None` where they were not shown.
    pub fn members(&self) -> Option<&[Box<str>]> {
        self.shows_members.then(|| self.more.as_ref().map_or(&[][..], |more| &more.members))
    }

    /// Says which members it has; `None`: that is not known.
    pub fn set_members(&mut self, members: Option<Box<[Box<str>]>>) {
        self.shows_members = members.is_some();
        self.set_more(|more| more.members = members.unwrap_or_default());
    }

    fn set_more(&mut self, change: impl FnOnce(&mut More)) {
        let mut more = self.more.take().map_or_else(More::default, |more| *more);
        change(&mut more);
        self.more = (more != More::default()).then(|| Box::new(more));
    }

    /// Whether both entries show the same, apart from who they are.
    pub fn holds_the_same_as(&self, other: &Self) -> bool {
        self.prints == other.prints && self.members() == other.members()
    }

    /// Whether the field holds this value; `None` when the entry does not show it.
    pub fn holds(&self, slot: Slot, field: &Field, sent: &str) -> Option<bool> {
        let known = self.prints.field(slot.field).filter(|_| slot.inner.is_none())?;
        let sent: Value = serde_json::from_str(sent).ok()?;
        Some(known == fingerprint_of(field, &sent))
    }

    /// The fingerprint of a field's value; `None` when the entry does not show it.
    pub fn value(&self, field: u8) -> Option<u64> {
        self.prints.field(field)
    }

    /// Whether the field is set; `None` when the entry does not show it.
    pub fn is_set(&self, field: u8) -> Option<bool> {
        Some(self.prints.field(field)? != UNSET)
    }

    /// Whether the attribute holds this value, a null standing for its absence; `None` when the entry shows no attributes.
    pub fn holds_attribute(&self, attribute: &Attribute<'_>) -> Option<bool> {
        match in_one_form(&serde_json::from_str(attribute.value).ok()?) {
            Some(sent) => self.prints.holds_attribute(prints::attribute(attribute.key, &sent)),
            None => self.prints.has_attribute(attribute.key).map(|there| !there),
        }
    }

    /// Whether the entry shows an attribute of this key; `None` when it shows no attributes.
    pub fn has_attribute(&self, key: &str) -> Option<bool> {
        self.prints.has_attribute(key)
    }

    /// Takes in all attributes of the entry as the attributes endpoint answered them.
    pub fn set_attributes(&mut self, map: &Map<String, Value>) {
        self.prints.set_attributes(Some(packed(map)));
    }

    /// Takes in what a write set, where its answer did not show the entry.
    pub fn set_fields(&mut self, resource: &'static Resource, set: &Map<String, Value>) {
        self.prints.set_fields(resource.all_fields().enumerate().filter_map(|(at, field)| {
            let value = set.get(field.name)?;
            is_comparable(&field.kind).then(|| (at, fingerprint_of(field, value)))
        }));
    }

    /// What is known of a thing that was made just now, before anything was said of it.
    pub fn blank(resource: &'static Resource) -> Self {
        let fields = resource.all_fields().enumerate().filter(|(_, field)| is_comparable(&field.kind));
        Self {
            uuid: Box::default(),
            key: None,
            more: None,
            prints: Prints::new(fields.map(|(at, _)| (at, UNSET)), resource.attributes.map(|_| Vec::new())),
            pairs: 1,
            ours: true,
            shows_members: true,
            is_sound: true,
        }
    }

    /// Takes in what a write of the whole entry sets: as if the API kept all of it, or as if it dropped what it may drop, and
    /// showed nothing that it has not shown. Answers `false` where what it leads to can not be told: whether a null clears is
    /// unknown.
    pub fn takes(&mut self, resource: &'static Resource, body: &Map<String, Value>, keeps: Keeps) -> bool {
        let body = unwrapped(resource, body);
        let mut told = body.values().all(|value| !value.is_null());
        let given = resource.all_fields().enumerate().filter(|(_, field)| is_comparable(&field.kind));
        let set = given.filter_map(|(at, field)| {
            let value = body.get(field.name)?;
            let stays = keeps == Keeps::All || (field.kept && self.prints.field(at as u8).is_some());
            stays.then(|| (at, fingerprint_of(field, value)))
        });
        let set: Vec<_> = set.collect();
        self.prints.set_fields(set.into_iter());
        let beside = body.get("attributes").and_then(Value::as_object).unwrap_or(body);
        if let Some(tags) = beside.get("tags").and_then(Value::as_array) {
            self.set_members(Some(tags.iter().filter_map(Value::as_str).map(Into::into).collect()));
        }
        let given = beside.get("custom").and_then(Value::as_array).into_iter().flatten();
        let given = given.filter_map(|attribute| Some((attribute["key"].as_str()?, in_one_form(&attribute["value"]))));
        let mut given: HashMap<&str, Option<String>> = given.collect();
        if given.is_empty() {
            return told;
        }
        let Some(held) = self.prints.attributes().map(<[u64]>::to_vec) else { return false };
        told &= given.values().all(Option::is_some);
        // A key that was not defined in the app may be dropped.
        let is_sure = keeps == Keeps::All || resource.attributes == Some(AttributeForm::Typed);
        given.retain(|key, _| is_sure || self.prints.has_attribute(key) == Some(true));
        let set = given.iter().filter_map(|(key, value)| Some(prints::attribute(key, value.as_ref()?)));
        self.prints.set_attributes(Some(prints::without(&held, given.keys().copied()).chain(set).collect()));
        told
    }

    /// What it is once another thing became part of it: the keys of both lead here, fields stay as they are (recorded 2023 of
    /// customers), and what came of lists and attributes is not known.
    pub fn joined_by(&self, other: Option<&Self>) -> Self {
        let mut whole = self.clone();
        let held: Vec<&str> = self.keys().collect();
        let new = other.into_iter().flat_map(Self::keys).filter(|key| !held.contains(key));
        whole.set_keys(self.keys().chain(new));
        whole.set_members(None);
        whole.prints.set_attributes(None);
        whole.pairs = self.pairs.saturating_add(other.map_or(1, |other| other.pairs));
        whole.ours |= other.is_some_and(|other| other.ours);
        whole
    }

    /// The same keys, standing for the thing of this UUID, of which nothing else is known.
    pub fn leading_to(&self, uuid: &str) -> Self {
        let mut other = Self { uuid: uuid.into(), prints: Prints::default(), ..self.clone() };
        other.set_members(None);
        other
    }

    /// The same, once things that it names became part of others; `None` where it names none of them. `now` leads from the
    /// fingerprint of a UUID to that of the one that stands for it.
    pub fn naming(&self, now: impl Fn(u64) -> Option<u64>) -> Option<Self> {
        Some(Self { prints: self.prints.renamed(now)?, ..self.clone() })
    }

    /// Whether a field of its own holds a fingerprint that is one of those.
    pub fn names_any(&self, is_one: impl Fn(u64) -> bool) -> bool {
        self.prints.holds_any(is_one)
    }

    /// Attributes of these keys are gone.
    pub fn drop_attributes<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        self.prints.drop_attributes(keys);
    }
}

/// What a write says of its object: some writes stand in a wrapper.
pub fn unwrapped<'b>(resource: &'static Resource, body: &'b Map<String, Value>) -> &'b Map<String, Value> {
    match body.iter().next() {
        Some((name, Value::Object(inner))) if body.len() == 1 && resource.field(name).is_none() => inner,
        _ => body,
    }
}

/// The given fields that the entry is not known to hold, those of `skip` left out. All of them when nothing is known of it.
pub fn differing<'p>(
    resource: &'static Resource,
    body: &'p Body,
    known: Option<&'p Known>,
    skip: &'p [&'p str],
) -> impl Iterator<Item = (Slot, &'static Field)> + 'p {
    body.fields().filter_map(move |(slot, value)| {
        let field = resource.all_fields().nth(usize::from(slot.field))?;
        let held = known.and_then(|known| known.holds(slot, field, value));
        (!skip.contains(&field.name) && held != Some(true)).then_some((slot, field))
    })
}

/// What a record gives that an entry is not known to hold and that is no reason to send anything: fields that the API does
/// not show, or may drop. Names for people.
pub fn held_back(resource: &'static Resource, plan: &Plan, known: &Known, skip: &[u8]) -> Vec<String> {
    let fields = plan.body.fields().filter(|(slot, value)| *value != "null" && !skip.contains(&slot.field));
    let mut names: Vec<String> = fields
        .filter_map(|(slot, value)| {
            let field = resource.all_fields().nth(usize::from(slot.field))?;
            let by_request =
                field.apart || matches!(field.kind, Kind::Tags | Kind::List(_) | Kind::Many(_) | Kind::Json | Kind::Scalar);
            let held = by_request || field.name == "external_id" || known.holds(slot, field, value) == Some(true);
            (!held).then(|| field.name.to_owned())
        })
        .collect();
    let attributes = plan.body.attributes().filter(|attribute| attribute.kind.is_some());
    let left = attributes.filter(|attribute| known.holds_attribute(attribute) == Some(false));
    names.extend(left.map(|attribute| format!("custom.{}", attribute.key)));
    names.dedup();
    names
}

/// Whether two values of a field are the same to the API.
pub fn same(field: &Field, one: &Value, other: &Value) -> bool {
    fingerprint_of(field, one) == fingerprint_of(field, other)
}

/// The fingerprint of a field's value.
pub fn fingerprint_of(field: &Field, value: &Value) -> u64 {
    let nothing = field.zero && (*value == false || number(value) == Some(0.0));
    if nothing { UNSET } else { fingerprint(&field.kind, value) }
}

/// What is kept of a value: the same for two values that the API would store alike. Unset texts come back as `""` or null,
/// timestamps in UTC with milliseconds, states with or without their country (recorded); numbers as texts in places
/// (recorded 2022).
pub fn fingerprint(kind: &Kind, value: &Value) -> u64 {
    match canonical(kind, value) {
        None => UNSET,
        Some(text) => {
            let hash = hash(&text) & FIELD_MASK;
            if hash == UNSET { 1 } else { hash }
        }
    }
}

fn canonical(kind: &Kind, value: &Value) -> Option<String> {
    if value.is_null() || value == "" {
        return None;
    }
    Some(match (kind, value) {
        (Kind::Many(inner), Value::Array(list)) => {
            let set: BTreeSet<String> = list.iter().filter_map(|value| canonical(inner, value)).collect();
            if set.is_empty() {
                return None;
            }
            set.into_iter().collect::<Vec<_>>().join("\n")
        }
        (Kind::Email | Kind::Country | Kind::Currency | Kind::OneOf(_) | Kind::Uuid(_), Value::String(text)) => {
            text.trim().to_lowercase()
        }
        (Kind::State, Value::String(text)) => {
            let text = text.trim().to_lowercase();
            text.strip_prefix("us-").map(str::to_owned).unwrap_or(text)
        }
        (Kind::Timestamp, Value::String(text)) => timestamp(text).unwrap_or_else(|| text.clone()),
        (Kind::Date, Value::String(text)) => {
            timestamp(text).map_or_else(|| text.clone(), |text| text.chars().take("2026-01-01".len()).collect())
        }
        (_, Value::String(text)) => text.trim().to_owned(),
        (_, other) => other.to_string(),
    })
}

/// Whether entries show the field in the form in which it is sent.
fn is_comparable(kind: &Kind) -> bool {
    !matches!(kind, Kind::Tags | Kind::Attributes | Kind::Object(_) | Kind::List(_) | Kind::Scalar | Kind::Json)
}

/// Attributes are answered in the form of their type: a number as a number, a timestamp in the one form in which it is sent.
/// `None` stands for "not there".
fn in_one_form(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        // Whole numbers are told apart however many digits they have.
        Value::Number(number) if !number.is_f64() => format!("n{number}"),
        // Less than nothing is nothing: a zero that is added takes the sign of a zero away.
        Value::Number(number) => format!("n{}", number.as_f64().unwrap_or_default() + 0.0),
        Value::String(text) => format!("s{text}"),
        other => other.to_string(),
    })
}

fn packed(attributes: &Map<String, Value>) -> Vec<u64> {
    attributes.iter().filter_map(|(key, value)| Some(prints::attribute(key, &in_one_form(value)?))).collect()
}

/// The attributes that an answer does not hold as they were sent.
pub fn attributes_not_taken<'p>(plan: &'p Plan, answered: &Map<String, Value>) -> Vec<Attribute<'p>> {
    plan.body
        .attributes()
        .filter(|attribute| attribute.kind.is_some() && !holds(answered.get(attribute.key), attribute))
        .collect()
}

fn holds(answered: Option<&Value>, attribute: &Attribute<'_>) -> bool {
    let (Some(answered), Ok(sent)) = (answered, serde_json::from_str::<Value>(attribute.value)) else { return false };
    match attribute.kind {
        Some(AttributeType::Timestamp) => match (sent.as_str(), answered.as_str()) {
            (Some(a), Some(b)) => timestamp(a) == timestamp(b),
            _ => false,
        },
        Some(AttributeType::Integer | AttributeType::Decimal) => number(&sent).zip(number(answered)).is_some_and(|(a, b)| a == b),
        _ => &sent == answered,
    }
}

/// Numbers come back as strings in places (recorded 2022).
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_are_told_apart_however_many_digits_they_have() {
        let one = |a: Value, b: Value| in_one_form(&a) == in_one_form(&b);
        assert!(!one(json!(9_007_199_254_740_992_u64), json!(9_007_199_254_740_993_u64)));
        assert!(!one(json!(-1_234_567_890_123_456_789_i64), json!(-1_234_567_890_123_456_790_i64)));
        assert!(one(json!(5), json!(5.0)) && one(json!(0), json!(-0.0)) && !one(json!(5), json!("5")));
    }

    #[test]
    fn values_are_one_where_the_api_stores_one() {
        let one = |kind: &Kind, a: Value, b: Value| fingerprint(kind, &a) == fingerprint(kind, &b);
        assert!(one(&Kind::Text, json!(""), json!(null)) && !one(&Kind::Text, json!("a"), json!("A")));
        assert!(one(&Kind::Email, json!("A@b.test"), json!("a@B.test")));
        assert!(one(&Kind::State, json!("US-NY"), json!("NY")));
        assert!(one(&Kind::Timestamp, json!("2026-01-01"), json!("2026-01-01T00:00:00.000Z")));
        assert!(one(&Kind::Date, json!("2026-01-01"), json!("2026-01-01T00:00:00.000Z")));
        assert!(one(&Kind::Cents, json!("1000"), json!(1000)) && !one(&Kind::Cents, json!(1000), json!(1001)));
        assert!(one(
            &Kind::Many(&Kind::Timestamp),
            json!(["2026-01-02", "2026-01-01"]),
            json!(["2026-01-01T00:00:00Z", "2026-01-02"])
        ));
        assert!(one(&Kind::Many(&Kind::Text), json!([]), json!(null)));
    }

    #[test]
    fn zero_is_nothing_only_where_the_api_answers_it_for_what_was_never_set() {
        let field = |name: &str| crate::objects::line_items::RESOURCE.field(name).unwrap();
        for (name, nothing, something) in [
            ("tax_amount_in_cents", json!(0), json!(1)),
            ("tax_amount_in_cents", json!("0"), json!(-1)),
            ("prorated", json!(false), json!(true)),
        ] {
            assert!(same(field(name), &nothing, &Value::Null) && !same(field(name), &something, &Value::Null), "{name}");
        }
        assert!(!same(field("amount_in_cents"), &json!(0), &Value::Null));
    }
}
