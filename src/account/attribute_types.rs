//! The types of custom attributes: what the account's values, the user's settings and this run's own writes tell of them, and
//! how a plan is brought to them. Pure.
//!
//! An attribute has one type in the whole account, that of its first value (documented: "Adding custom attributes"), and no
//! answer shows it: a value tells which types it can be of. What is not certain is left to the API and never a reason to
//! reject. Does not own what a type is and how a value becomes one (`mapping`), nor who waits for whom (`claims`).

use std::borrow::Cow;
use std::collections::HashSet;

use hashbrown::HashMap;
use serde_json::{Map, Value};

use crate::errors::Code;
use crate::mapping::attributes::{push_cast, type_word};
use crate::mapping::values::is_number;
use crate::objects::Object;
use crate::objects::resource::{AttributeForm, AttributeType, Resource};
use crate::outcome::Fault;
use crate::plan::{Attribute, Nulls, Plan};

/// What is known of the attributes of all objects, each object's apart.
#[derive(Debug, Default)]
pub(super) struct AttributeTypes(Vec<(&'static str, HashMap<Box<str>, Entry>)>);

/// What is known of one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// The types that it can be of.
    types: Types,
    source: Source,
    /// This run removed it somewhere and has not seen it since: it may be gone from the account, and its type with it.
    freed: bool,
    /// What was seen is of no one type.
    torn: bool,
    /// What requests under way send, and how many of them.
    claimed: Option<(Types, u32)>,
}

/// What tells a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The `types` of a stream.
    Settings,
    /// Values that were read.
    Account,
    /// What this run wrote.
    Run,
}

impl Source {
    const fn words(self) -> &'static str {
        match self {
            Self::Settings => "by `types` of a stream",
            Self::Account => "in the account",
            Self::Run => "earlier in this run",
        }
    }
}

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

/// All types, the one first that a value is most at home in.
const ALL: [AttributeType; 5] =
    [AttributeType::Boolean, AttributeType::Integer, AttributeType::Decimal, AttributeType::Timestamp, AttributeType::String];

impl Types {
    const NONE: Self = Self(0);
    const ANY: Self = Self(0b1_1111);

    const fn of(kind: AttributeType) -> Self {
        Self(1 << kind as u8)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn meet(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn has(self, kind: AttributeType) -> bool {
        self.meet(Self::of(kind)) != Self::NONE
    }

    fn iter(self) -> impl Iterator<Item = AttributeType> {
        ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    fn words(self) -> String {
        self.iter().map(type_word).collect::<Vec<_>>().join(" or ")
    }

    /// The types that an answered value can be of; `None` where it tells nothing.
    ///
    /// Recorded: a Boolean and an Integer as such, a Timestamp in one form of text. How a Decimal is answered is unknown: as a
    /// number, or, as numbers elsewhere, as text; then with its fraction.
    fn of_value(value: &Value) -> Option<Self> {
        use AttributeType::{Boolean, Decimal, Integer, String, Timestamp};
        Some(match value {
            Value::Bool(_) => Self::of(Boolean),
            // What is too long for 64 bits is read as a float.
            Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|float| float.abs() < 1e15) => {
                Self::of(Decimal)
            }
            Value::Number(_) => Self::of(Integer).and(Self::of(Decimal)),
            Value::String(text) if is_answered_timestamp(text) => Self::of(Timestamp).and(Self::of(String)),
            Value::String(text) if text.contains('.') && is_number(text) => Self::of(String).and(Self::of(Decimal)),
            Value::String(_) => Self::of(String),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }
}

/// Whether a text has the one form in which timestamps are answered (recorded): `2016-01-31T00:00:00.000Z`.
fn is_answered_timestamp(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000Z";
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    text.len() == FORM.len() && text.bytes().zip(FORM).all(fits)
}

/// A plan whose attributes are of the types that are known.
#[derive(Debug)]
pub(super) struct Brought<'p> {
    pub(super) plan: Cow<'p, Plan>,
    /// Keys, and the types that sending it would fix.
    pub(super) claims: Vec<(Box<str>, Types)>,
    /// A request under way sends one of them with another type: what became of that has to be known first.
    pub(super) waits: bool,
}

/// What has to be done to an attribute before it is sent.
enum Fit {
    Nothing,
    /// It is cast to this type.
    Cast(AttributeType, String),
    /// It is an empty text and no text is wanted: the same as null.
    Null,
    Conflict(Fault),
}

impl AttributeTypes {
    /// Takes in what an entry shows. Called for every entry that is read: what is known already costs a look.
    pub(super) fn learn(&mut self, of: &'static str, shown: &Map<String, Value>) {
        if shown.is_empty() {
            return;
        }
        let table = self.table(of);
        for (key, value) in shown {
            let Some(types) = Types::of_value(value) else { continue };
            match table.get_mut(key.as_str()) {
                Some(entry) => entry.learn(types),
                None => drop(table.insert(key.as_str().into(), Entry::new(types, Source::Account))),
            }
        }
    }

    /// Takes in what `types` of a stream say. Where two streams say different things, neither speaks for others.
    pub(super) fn said(&mut self, of: &'static str, key: &str, kind: AttributeType) {
        let entry = self.table(of).entry(key.into()).or_insert_with(|| Entry::new(Types::of(kind), Source::Settings));
        if entry.types != Types::of(kind) {
            *entry = Entry::new(Types::ANY, Source::Settings);
        }
    }

    /// This run removed attributes of these keys from an entry.
    pub(super) fn freed<'k>(&mut self, of: &'static str, keys: impl Iterator<Item = &'k str>) {
        let table = self.table(of);
        for key in keys {
            if let Some(entry) = table.get_mut(key).filter(|entry| entry.source != Source::Settings) {
                entry.freed = true;
            }
        }
    }

    /// The plan with its attributes as what is known says they are to be sent.
    ///
    /// # Errors
    /// A fault for each attribute that would have to be sent as something else than it is known to be.
    pub(super) fn bring<'p>(&self, object: &dyn Object, plan: &'p Plan, nulls: Nulls) -> Result<Brought<'p>, Vec<Fault>> {
        let mut brought = Brought { plan: Cow::Borrowed(plan), claims: Vec::new(), waits: false };
        let mut faults = Vec::new();
        let mut dropped = HashSet::new();
        let Some(resource) = object.attributes_on() else { return Ok(brought) };
        let table = self.0.iter().find(|(of, _)| *of == resource.name).map(|(_, table)| table);
        for attribute in plan.body.attributes() {
            let Some(kind) = attribute.kind else { continue };
            let entry = table.and_then(|table| table.get(attribute.key));
            let (kind, value) = match entry.map_or(Fit::Nothing, |entry| entry.fit(object, &attribute, kind)) {
                Fit::Nothing => (kind, Cow::Borrowed(attribute.value)),
                Fit::Cast(kind, value) => {
                    write(brought.plan.to_mut(), &Attribute { value: &value, kind: Some(kind), ..attribute });
                    (kind, Cow::Owned(value))
                }
                Fit::Null => {
                    let null = Attribute { value: "null", kind: None, given: None, ..attribute };
                    match nulls {
                        Nulls::Ignore => drop(dropped.insert(attribute.key)),
                        Nulls::Clear => write(brought.plan.to_mut(), &null),
                    }
                    continue;
                }
                Fit::Conflict(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let Some(types) = fixes(resource, kind, &value) else { continue };
            match entry.map_or(Claiming::Claims, |entry| entry.claiming(types)) {
                Claiming::NeedsNone => {}
                Claiming::Claims => brought.claims.push((attribute.key.into(), types)),
                Claiming::Waits => brought.waits = true,
            }
        }
        if !dropped.is_empty() {
            brought.plan.to_mut().body.drop_attributes(&dropped);
        }
        if faults.is_empty() { Ok(brought) } else { Err(faults) }
    }

    /// A request that sends these is about to go out.
    pub(super) fn claim(&mut self, of: &'static str, claims: &[(Box<str>, Types)]) {
        let table = self.table(of);
        for (key, types) in claims {
            let entry = table.entry(key.clone()).or_insert_with(|| Entry::new(Types::ANY, Source::Account));
            let (_, many) = entry.claimed.get_or_insert((*types, 0));
            *many += 1;
        }
    }

    /// A request that sent this was taken, and its answer shows the attribute.
    pub(super) fn taken(&mut self, of: &'static str, key: &str, types: Types) {
        let Some(entry) = self.table(of).get_mut(key) else { return };
        let known = if entry.freed { types } else { entry.types.meet(types) };
        // What its answer showed goes before what it asked for.
        if known != Types::NONE {
            *entry = Entry { types: known, source: Source::Run, freed: false, ..*entry };
        }
    }

    /// What became of a request that sent these is known.
    pub(super) fn give_back(&mut self, of: &'static str, claims: &[(Box<str>, Types)]) {
        let table = self.table(of);
        for (key, _) in claims {
            let Some(entry) = table.get_mut(key) else { continue };
            entry.claimed = entry.claimed.and_then(|(types, many)| (many > 1).then(|| (types, many - 1)));
            if entry.claimed.is_none() && entry.types == Types::ANY && entry.source == Source::Account {
                table.remove(key);
            }
        }
    }

    /// The attributes of an object that are known, in the order of their keys, and of which types they can be.
    pub(super) fn shown(&self, of: &str) -> Vec<(Box<str>, Vec<AttributeType>)> {
        let tables = self.0.iter().filter(|(object, _)| *object == of).flat_map(|(_, table)| table);
        let mut shown: Vec<_> = tables.map(|(key, entry)| (key.clone(), entry.types.iter().collect())).collect();
        shown.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        shown
    }

    fn table(&mut self, of: &'static str) -> &mut HashMap<Box<str>, Entry> {
        let at = self.0.iter().position(|(object, _)| *object == of).unwrap_or_else(|| {
            self.0.push((of, HashMap::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// What an attribute has to do with the requests under way.
enum Claiming {
    /// All that it fixes is fixed.
    NeedsNone,
    Claims,
    Waits,
}

impl Entry {
    const fn new(types: Types, source: Source) -> Self {
        Self { types, source, freed: false, torn: false, claimed: None }
    }

    fn learn(&mut self, shown: Types) {
        let known = self.types.meet(shown);
        if known != Types::NONE {
            if known != self.types {
                (self.types, self.source) = (known, Source::Account);
            }
        } else {
            // Values of two types under one key: which is the attribute's is not known. What settings say of it is no value.
            self.torn |= !self.freed && self.source != Source::Settings;
            (self.types, self.source) = (shown, Source::Account);
        }
        self.freed = false;
    }

    fn fit(&self, object: &dyn Object, attribute: &Attribute<'_>, kind: AttributeType) -> Fit {
        let Some(given) = attribute.given else {
            // What other streams say of their attribute is not certain of the account.
            let told = self.is_certain() && self.source != Source::Settings;
            return match self.types.has(kind) || !told {
                true => Fit::Nothing,
                false => Fit::Conflict(self.conflict(object, attribute, kind)),
            };
        };
        let cast = |kind: AttributeType| {
            let mut value = String::with_capacity(given.len() + 2);
            if push_cast(given, kind, &mut value) { Some(Fit::Cast(kind, value)) } else { None }
        };
        if self.types.has(kind) {
            // A stream that wrote such texts itself would be seen to have left them in its own form.
            let is_instant = kind == AttributeType::String
                && self.types == Types::of(kind).and(Types::of(AttributeType::Timestamp))
                && !is_answered_timestamp(given.trim_matches('"'));
            return is_instant.then(|| cast(AttributeType::Timestamp)).flatten().unwrap_or(Fit::Nothing);
        }
        if given == "\"\"" {
            return Fit::Null;
        }
        match self.types.iter().find_map(cast) {
            Some(cast) => cast,
            None if self.is_certain() => Fit::Conflict(self.conflict(object, attribute, kind)),
            None => Fit::Nothing,
        }
    }

    const fn is_certain(&self) -> bool {
        !self.freed && !self.torn
    }

    fn conflict(&self, object: &dyn Object, attribute: &Attribute<'_>, kind: AttributeType) -> Fault {
        let (is, known, told) = (type_word(kind), self.types.words(), self.source.words());
        let words = match (attribute.given, object.resource().attributes) {
            (Some(_), _) => format!("is {is} here and {known} {told}, and the value can not become that without loss"),
            (None, Some(_)) => format!("is {is} by `types` and {known} {told}: change `types`, or the attribute in ChartMogul"),
            (None, None) => format!("is {is} by `type` and {known} {told}: change `type`, or the attribute in ChartMogul"),
        };
        // As faults of the value itself name it.
        let field = match object.resource().attributes {
            Some(_) => attribute.key.to_owned(),
            None => object.attribute_field(attribute.key),
        };
        Fault::field(Code::AttributeType, field, words)
    }

    fn claiming(&self, sent: Types) -> Claiming {
        let fixed = self.types.meet(sent) == self.types && self.source != Source::Settings;
        match self.claimed {
            _ if self.torn || (fixed && !self.freed) => Claiming::NeedsNone,
            Some((claimed, _)) if claimed == sent => Claiming::Claims,
            // What is known by now says that it will be refused, or that both can stand.
            Some((claimed, _)) if claimed.meet(sent) != Types::NONE || claimed.meet(self.types) == Types::NONE => {
                Claiming::NeedsNone
            }
            Some(_) => Claiming::Waits,
            None => Claiming::Claims,
        }
    }
}

/// The types of an attribute once this was taken: the one that it was sent with, or, where none is sent, those that the value
/// can be of.
fn fixes(resource: &Resource, kind: AttributeType, value: &str) -> Option<Types> {
    match resource.attributes {
        Some(AttributeForm::Typed) => Some(Types::of(kind)),
        _ => Types::of_value(&serde_json::from_str(value).ok()?),
    }
}

fn write(plan: &mut Plan, attribute: &Attribute<'_>) {
    let written: Result<(), ()> = plan.body.push_attribute(attribute.key, attribute.given, |out| {
        out.push_str(attribute.value);
        Ok(attribute.kind)
    });
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests;
