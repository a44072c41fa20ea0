//! What notes, opportunities and tasks have in common: how they are listed, read, made, changed and removed, and which values
//! their fields take.
//!
//! Owns the checks of a field table; the tables, the filters and the rules between fields stand in the file of each object.
//! Which message a wrong value gets, and what becomes of an unknown user, is unknown; that both are refused is the strict side.

use std::ops::Bound;

use iso_currency::Currency;
use serde_json::{Map, Value, json};

use super::answers::{Outcome, Reply, coded, invalid, missing, ok, refused, refused_field};
use super::contacts::read_custom;
use super::customers;
use super::fields::{Changes, as_shown, instant};
use super::paging::{Paging, cursor_by_creation};
use super::routes::Context;
use super::shelves::{Entry, Shelf, Shelved};
use super::store::{Fields, shown};

/// What is particular to one object.
pub(super) struct Object {
    pub(super) what: Shelved,
    /// Its name in a 404.
    pub(super) title: &'static str,
    /// The key under which its UUID is answered.
    pub(super) uuid: &'static str,
    pub(super) fields: &'static [Field],
    /// Whether it has custom attributes, and so a `custom` in its answers.
    pub(super) has_custom: bool,
    /// The rules between fields, checked on the whole entry as it would become.
    pub(super) settle: fn(&Context<'_>, &mut Fields) -> Result<(), Box<Reply>>,
    /// Turns what is kept into what is answered.
    pub(super) dress: fn(&mut Map<String, Value>),
}

/// A field of a table.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) stands: Stands,
}

/// Which values a field takes.
pub(super) enum Takes {
    /// Up to so many characters.
    Text(usize),
    /// The e-mail address of a user of the account.
    User,
    OneOf(&'static [&'static str]),
    /// A whole number from one to another.
    Whole(i64, i64),
    /// `YYYY-MM-DD`.
    Date,
    Timestamp,
    /// Documented: three letters of ISO 4217.
    Currency,
}

/// In which bodies a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Needed,
    Optional,
    /// Needed to create, and absent from the documented fields of an update.
    Fixed,
    InUpdates,
}

/// Recorded: newest first, the same keys on every page, a cursor of the time of creation and the UUID. The documented filters
/// on anything but the customer leave most of an account standing, so they have no index: they are asked of each entry from
/// the cursor on. Whether a time of creation that the client gave moves an entry in the list is unknown; here it does not.
pub(super) fn list(context: &Context<'_>, object: &Object, fits: impl Fn(&Entry) -> bool) -> Outcome {
    let paging = Paging::by_creation(&context.query)?;
    let shelf = shelf(context, object);
    let range = (paging.from(), Bound::Unbounded);
    let fits = |place: &u64| {
        let entry = &shelf.entries[place];
        context.listed(entry.created) && fits(entry)
    };
    let page = match context.query.get("customer_uuid") {
        // That an unknown customer is an empty list is unknown.
        Some(uuid) => {
            let of_customer = context.state.customer_place(uuid).and_then(|customer| shelf.of_customer(customer));
            let places = of_customer.into_iter().flat_map(|places| places.range(range).copied());
            paging.cut(places.filter(fits))
        }
        None => paging.cut(shelf.entries.range(range).map(|(place, _)| *place).filter(fits)),
    };
    let entries = page.places.iter().map(|place| as_json(context, object, *place)).collect();
    let last = page.places.last().map(|place| &shelf.entries[place]);
    ok(200, Paging::plain(&page, entries, last.map(|entry| cursor_by_creation(entry.created, &entry.uuid))))
}

pub(super) fn get(context: &Context<'_>, object: &Object, uuid: &str) -> Outcome {
    ok(200, as_json(context, object, find(context, object, uuid)?))
}

/// Recorded: 201. No external id and no uniqueness is documented, so nothing is ever refused as a duplicate.
pub(super) fn create(context: &mut Context<'_>, object: &Object) -> Outcome {
    let customer = context.body.get("customer_uuid").and_then(Value::as_str).ok_or_else(|| missing("customer_uuid"))?;
    let needed = object.fields.iter().filter(|field| matches!(field.stands, Stands::Needed | Stands::Fixed));
    for field in needed {
        if context.body.get(field.name).is_none_or(Value::is_null) {
            return Err(missing(field.name));
        }
    }
    let customer = customers::find(context, customer)?;
    let mut fields = read(context, object, |stands| stands != Stands::InUpdates)?.set;
    (object.settle)(context, &mut fields)?;
    let custom = custom_of(context, object)?;
    let place = context.state.shelve(object.what, customer, fields, custom);
    ok(201, as_json(context, object, place))
}

/// Recorded: 200, any part of the fields.
pub(super) fn update(context: &mut Context<'_>, object: &Object, uuid: &str) -> Outcome {
    let place = find(context, object, uuid)?;
    let changes = read(context, object, |stands| stands != Stands::Fixed)?;
    let entry = &shelf(context, object).entries[&place];
    let mut fields = entry.fields.clone();
    let customer = Value::from(context.state.customers[&entry.customer].uuid.as_str());
    let fixed = object.fields.iter().filter(|field| field.stands == Stands::Fixed);
    let fixed = fixed.map(|field| (field.name, fields.get(field.name))).chain([("customer_uuid", Some(&customer))]);
    for (name, kept) in fixed {
        // Unknown what a change does; silently ignoring it would hide a client's mistake.
        if context.body.get(name).is_some_and(|sent| !sent.is_null() && Some(sent) != kept) {
            return Err(refused_field(name, "can't be changed"));
        }
    }
    let null_clears = context.options.quirks.null_clears;
    for field in object.fields.iter().filter(|field| field.stands == Stands::Needed) {
        if null_clears && changes.nulls.contains(&field.name) {
            return Err(refused_field(field.name, "can't be blank"));
        }
    }
    // What the client said of an earlier update says nothing of this one.
    fields.remove("updated_at");
    changes.apply(&mut fields, null_clears);
    (object.settle)(context, &mut fields)?;
    let custom = custom_of(context, object)?;
    let now = context.state.now();
    if let Some(entry) = context.state.shelves.get_mut(object.what).entries.get_mut(&place) {
        entry.fields = fields;
        entry.custom.extend(custom);
        entry.updated = now;
    }
    ok(200, as_json(context, object, place))
}

/// Recorded: 200 with an empty object.
pub(super) fn delete(context: &mut Context<'_>, object: &Object, uuid: &str) -> Outcome {
    let place = find(context, object, uuid)?;
    context.state.shelves.get_mut(object.what).remove(place);
    ok(200, json!({}))
}

/// A filter by time, as a text that compares with times as they are answered: a day alone stands for its first moment, or
/// for its last one. Whether it does is unknown.
pub(super) fn moment(context: &Context<'_>, name: &str, end_of_day: bool) -> Result<Option<String>, Box<Reply>> {
    let Some(text) = context.query.get(name) else { return Ok(None) };
    if is_date(text) {
        return Ok(Some(format!("{text}T{}Z", if end_of_day { "23:59:59.999" } else { "00:00:00.000" })));
    }
    instant(text).map(|at| Some(as_shown(at))).ok_or_else(|| invalid(name))
}

/// A filter by day.
pub(super) fn day<'a>(context: &'a Context<'_>, name: &str) -> Result<Option<&'a str>, Box<Reply>> {
    match context.query.get(name) {
        Some(text) if !is_date(text) => Err(invalid(name)),
        day => Ok(day),
    }
}

/// Whether a field lies within both ends, which belong to it.
pub(super) fn lies_within(entry: &Entry, name: &str, from: Option<&str>, to: Option<&str>) -> bool {
    let value = entry.fields.get(name).and_then(Value::as_str).unwrap_or_default();
    from.is_none_or(|from| value >= from) && to.is_none_or(|to| value <= to)
}

/// Whether a field is what a filter of the same name says, if there is one.
pub(super) fn is_as_asked(context: &Context<'_>, entry: &Entry, name: &str) -> bool {
    context.query.get(name).is_none_or(|wanted| entry.fields.get(name).is_some_and(|value| value == wanted))
}

fn shelf<'a>(context: &'a Context<'_>, object: &Object) -> &'a Shelf {
    context.state.shelves.get(object.what)
}

/// The body of this 404 is unknown; it is that of contacts.
fn find(context: &Context<'_>, object: &Object, uuid: &str) -> Result<u64, Box<Reply>> {
    let absent = || Box::new(coded(404, &format!("{} not found", object.title), Some("uuid")));
    shelf(context, object).place(uuid).ok_or_else(absent)
}

fn custom_of(context: &mut Context<'_>, object: &Object) -> Result<Map<String, Value>, Box<Reply>> {
    if object.has_custom { read_custom(context, object.title, &context.options.opportunity_attributes) } else { Ok(Map::new()) }
}

/// Recorded with every field set. What is answered for one that is not is unknown: it is left out here, since the schemas of
/// the official Python client bear an absent key and, but for `completed_at`, no null.
fn as_json(context: &Context<'_>, object: &Object, place: u64) -> Value {
    let entry = &shelf(context, object).entries[&place];
    let mut body = Map::from_iter([
        (object.uuid.to_owned(), Value::from(entry.uuid.as_str())),
        ("customer_uuid".to_owned(), context.state.customers[&entry.customer].uuid.as_str().into()),
        ("created_at".to_owned(), shown(entry.created).into()),
        ("updated_at".to_owned(), shown(entry.updated).into()),
    ]);
    body.extend(entry.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    if object.has_custom {
        body.insert("custom".to_owned(), Value::Object(entry.custom.clone()));
    }
    (object.dress)(&mut body);
    Value::Object(body)
}

/// Checks the fields of a body; all faults are told at once. Unknown keys are ignored, as everywhere.
fn read(context: &Context<'_>, object: &Object, stands: impl Fn(Stands) -> bool) -> Result<Changes, Box<Reply>> {
    let mut changes = Changes::default();
    let mut errors = Map::new();
    for field in object.fields.iter().filter(|field| stands(field.stands)) {
        match context.body.get(field.name) {
            None => {}
            Some(Value::Null) => changes.nulls.push(field.name),
            Some(value) => match check(context, &field.takes, value) {
                Ok(value) => {
                    changes.set.insert(field.name, value);
                }
                Err(problem) => {
                    errors.insert(field.name.into(), problem.into());
                }
            },
        }
    }
    if errors.is_empty() { Ok(changes) } else { Err(refused(errors)) }
}

/// The value as it will be answered.
fn check(context: &Context<'_>, takes: &Takes, value: &Value) -> Result<Value, String> {
    let text = || value.as_str().ok_or_else(|| "must be a string".to_owned());
    let if_so = |good: bool, problem: &str| if good { Ok(value.clone()) } else { Err(problem.to_owned()) };
    match takes {
        Takes::Text(most) => {
            let length = text()?.chars().count();
            if_so(length <= *most, &format!("is too long (maximum is {most} characters)"))
        }
        Takes::User => {
            let email = text()?;
            if_so(context.options.users.iter().any(|user| user == email), "is not a user of the account")
        }
        Takes::OneOf(words) => if_so(words.contains(&text()?), "is not included in the list"),
        Takes::Whole(least, most) => {
            if_so(value.as_i64().is_some_and(|number| (*least..=*most).contains(&number)), "is not a valid number")
        }
        Takes::Date => if_so(is_date(text()?), "is not a valid date"),
        Takes::Timestamp => instant(text()?).map(|at| as_shown(at).into()).ok_or_else(|| "is not a valid timestamp".to_owned()),
        Takes::Currency => if_so(Currency::from_code(text()?).is_some(), "is not a valid ISO 4217 code"),
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}
