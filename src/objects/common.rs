//! What several objects do alike: reading references, finding by key or by equality, bodies of plain fields.

use std::rc::Rc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::json::{JsonObject, add_fields, attribute_list};
use super::request::{Look, Method, Request, Scope};
use super::resource::{AttributeForm, Kind, Resource};
use super::{Asked, At, Existing, How, Pick};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{Attribute, Body, By, Kin, Known, MatchBy, Mode, Need, Plan, Record, Reference, Role, Target, differing};

/// The record's own data source, if it names one, must be the configured one.
pub(super) fn check_data_source(record: &mut Record, how: &How) {
    if let Some(given) = record.text("data_source_uuid")
        && !given.eq_ignore_ascii_case(&how.data_source)
    {
        record.faults.push(Fault::field(
            Code::OtherDataSource,
            "data_source_uuid",
            "names another data source than the configured one",
        ));
    }
}

/// A reference of a record, by UUID or else by the user's key; `None` when it gives neither.
pub(super) fn refer(
    record: &Record,
    kin: Kin,
    (uuid, key): (&'static str, &'static str),
    role: Role,
    need: Need,
) -> Option<Reference> {
    let by_uuid = record.text(uuid).map(|text| (By::Uuid(text), uuid));
    let (by, field) = by_uuid.or_else(|| record.text(key).map(|text| (By::Key(text), key)))?;
    Some(Reference { kin, by, role, need, field })
}

/// The fields that name a customer.
pub(super) const CUSTOMER: (&str, &str) = ("customer_uuid", "customer_external_id");
/// The fields that name a plan.
pub(super) const PLAN: (&str, &str) = ("plan_uuid", "plan_external_id");
/// The fields that name an invoice.
pub(super) const INVOICE: (&str, &str) = ("invoice_uuid", "invoice_external_id");

/// The customer that a record belongs to; a fault when it names none.
pub(super) fn customer(record: &mut Record, need: Need, why: &str) -> Option<Reference> {
    let found = refer(record, Kin::Customer, CUSTOMER, Role::Parent, need);
    if found.is_none() && !record.is_faulty(CUSTOMER.0) {
        record.require(CUSTOMER.1, why);
    }
    found
}

/// The plan of a record, once nothing is wrong with it.
pub(super) fn finish(
    record: Record,
    mode: Mode,
    target: Option<Target>,
    refs: impl IntoIterator<Item = Reference>,
) -> Asked<Plan> {
    match target {
        Some(target) if record.faults.is_empty() => {
            Ok(Plan { mode, target, refs: refs.into_iter().collect(), body: record.body })
        }
        _ => Err(record.faults),
    }
}

/// How an object without a key of its own is found: by the stream's own choice of fields, else by all that the record gives
/// and that the API answers as it was sent.
pub(super) fn by_equality(record: &mut Record, resource: &'static Resource, how: &How) -> Option<Target> {
    let comparable = |slot: &Slot| is_shown(resource, slot);
    for at in &how.match_fields {
        let Some(field) = resource.all_fields().nth(usize::from(*at)) else { continue };
        if record.given(field.name).is_none() && usize::from(*at) >= resource.references.len() {
            record.require(field.name, "the stream is matched by it");
        }
    }
    let chosen = |slot: &Slot| how.match_fields.is_empty() || how.match_fields.contains(&slot.field);
    let set = record.body.fields().filter(|(_, value)| *value != "null").map(|(slot, _)| slot);
    let slots: Box<[Slot]> = set.filter(chosen).filter(comparable).collect();
    // Nothing at all would be equal to everything.
    if slots.is_empty() {
        if matches!(how.mode, Mode::Insert | Mode::Upsert) {
            require_all(record, resource);
        }
        if record.faults.is_empty() {
            let shown = resource.fields.iter().filter(|field| field.kept && is_comparable(&field.kind));
            let names: Vec<&str> = shown.map(|field| field.name).collect();
            let text = format!("gives no field by which it could be found: one of {}", names.join(", "));
            record.faults.push(Fault::record(Code::KeyMissing, text));
        }
    }
    Some(Target::Equal(slots))
}

/// Whether entries show the field as it was sent.
fn is_shown(resource: &'static Resource, slot: &Slot) -> bool {
    let field = resource.all_fields().nth(usize::from(slot.field));
    slot.inner.is_none() && field.is_some_and(|field| field.kept && is_comparable(&field.kind))
}

fn is_comparable(kind: &Kind) -> bool {
    !matches!(kind, Kind::Tags | Kind::Attributes | Kind::Object(_) | Kind::List(_) | Kind::Scalar | Kind::Json)
}

/// Which of the entries is the record's, by whatever its target says.
pub(super) fn pick(resource: &'static Resource, plan: &Plan, target: &Target, entries: &[Rc<Known>]) -> Pick {
    let all = |wanted: &dyn Fn(&Known) -> bool| -> Vec<usize> {
        entries.iter().enumerate().filter(|(_, entry)| wanted(entry)).map(|(at, _)| at).collect()
    };
    let has_key = |entry: &Known, key: &str| entry.keys().any(|known| known == key);
    let holds = |entry: &Known, name: &str, text: &str| {
        let slot = resource.slot(name).map(|field| Slot { field, inner: None });
        let text = Value::from(text).to_string();
        slot.zip(resource.field(name)).is_some_and(|(slot, field)| entry.holds(slot, field, &text) == Some(true))
    };
    let matches = match target {
        Target::Uuid(uuid, _) => all(&|entry| entry.uuid == *uuid),
        Target::Key(key) => all(&|entry| has_key(entry, key)),
        Target::Name(name) => all(&|entry| holds(entry, "name", name)),
        Target::Email { email, external_id } => {
            let by_key = external_id.as_ref().map_or_else(Vec::new, |key| all(&|entry| has_key(entry, key)));
            if by_key.is_empty() {
                all(&|entry| holds(entry, "email", email) && (external_id.is_none() || entry.keys().next().is_none()))
            } else {
                by_key
            }
        }
        Target::Equal(slots) => all(&|entry| equal(resource, &plan.body, slots, entry)),
        Target::Part | Target::Always(_) => Vec::new(),
    };
    match matches[..] {
        [] => Pick::Nothing,
        [at] => Pick::One(at),
        // Entries that are equal in everything the record says: any of them is the one. Equal only in what it is found by,
        // they are several.
        _ if matches!(target, Target::Equal(_)) => {
            let given: Vec<Slot> = plan.body.fields().map(|(slot, _)| slot).filter(|slot| is_shown(resource, slot)).collect();
            let first = &entries[matches[0]];
            let alike = || matches.iter().all(|at| entries[*at].holds_the_same_as(first));
            // Of a row to be deleted nothing but what it is found by is left.
            let same = |at: &&usize| match plan.mode {
                Mode::Delete => alike(),
                _ => equal(resource, &plan.body, &given, &entries[**at]),
            };
            matches.iter().find(same).map_or(Pick::Many(matches.len()), |at| Pick::One(*at))
        }
        _ => Pick::Many(matches.len()),
    }
}

/// Whether the entry holds the record's values of these fields.
pub(super) fn equal(resource: &'static Resource, body: &Body, slots: &[Slot], entry: &Known) -> bool {
    let held = |slot: &Slot| {
        let field = resource.all_fields().nth(usize::from(slot.field))?;
        entry.holds(*slot, field, body.get(*slot)?)
    };
    // What an entry does not show is no difference; something has to be equal all the same.
    slots.iter().all(|slot| held(slot) != Some(false)) && slots.iter().any(|slot| held(slot) == Some(true))
}

/// Faults for required fields of the table that a record to be made does not give.
pub(super) fn missing(resource: &'static Resource, body: &Body) -> Vec<Fault> {
    let given = |at: usize| body.fields().any(|(slot, value)| usize::from(slot.field) == at && value != "null");
    resource
        .all_fields()
        .enumerate()
        .filter(|(at, field)| field.required && !given(*at))
        .map(|(_, field)| Fault::field(Code::FieldMissing, field.name, format!("{} are made with it", resource.name)))
        .collect()
}

/// The same, said before anything is looked up: for records that can only make something new.
pub(super) fn require_all(record: &mut Record, resource: &'static Resource) {
    for field in resource.fields.iter().filter(|field| field.required) {
        if record.given(field.name).is_none() {
            record.require(field.name, &format!("{} are made with it", resource.name));
        }
    }
}

/// A create of plain fields: `head` first, then the record's fields and untyped attributes.
pub(super) fn create(resource: &'static Resource, plan: &Plan, head: &[(&str, &str)], skip: &[&str]) -> Asked<Option<Request>> {
    let missing = missing(resource, &plan.body);
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut out = JsonObject::new();
    for (name, value) in head {
        out.text(name, value);
    }
    add_fields(&mut out, resource, &plan.body, false, |_, field| !skip.contains(&field.name));
    if resource.attributes == Some(AttributeForm::Untyped)
        && let Some(list) = attribute_list(plan.body.attributes().filter(|attribute| attribute.kind.is_some()), false)
    {
        out.raw("custom", &list);
    }
    Ok(Some(Request::new(Method::Post, resource.path, Some(out.finish()), resource.calls.create).once()))
}

/// The members of a change: fields that differ, with those that may not stick only beside others. `None` when nothing does.
pub(super) fn changed_fields(
    resource: &'static Resource,
    plan: &Plan,
    at: &At<'_>,
    existing: &Existing,
    skip: &[&str],
    otherwise: bool,
) -> Option<JsonObject> {
    let known = existing.known.as_deref();
    let kept_back = |slot: &Slot| {
        at.how.only_if_empty.contains(&slot.field) && known.is_none_or(|known| known.is_set(slot.field) != Some(false))
    };
    let differing: Vec<_> = differing(resource, &plan.body, known, skip).filter(|(slot, _)| !kept_back(slot)).collect();
    // A field that the entry does not show proves nothing, and neither does one that the API may drop by its being unset: they
    // are never the reason of a request, unless nothing at all is known of the entry.
    let reason = |slot: &Slot, kept: bool| match known.map(|known| (known.value(slot.field), known.is_set(slot.field))) {
        None => true,
        Some((None, _)) => false,
        Some((Some(_), is_set)) => slot.inner.is_none() && (kept || is_set == Some(true)),
    };
    if !otherwise && !differing.iter().any(|(slot, field)| reason(slot, field.kept)) {
        return None;
    }
    let mut out = JsonObject::new();
    add_fields(&mut out, resource, &plan.body, true, |slot, _| differing.iter().any(|(other, _)| *other == slot));
    Some(out)
}

/// Refuses a record whose UUID and key are of two things: no key can be changed, and which of them is meant can not be told. A UUID
/// that leads elsewhere by now is taken at its word.
pub(super) fn check_key(plan: &Plan, existing: &Existing) -> Asked<()> {
    let (Target::Uuid(uuid, Some(other)), Some(known)) = (&plan.target, existing.known.as_deref()) else { return Ok(()) };
    let Some(key) = other.key().filter(|_| *uuid == existing.uuid && known.ours) else { return Ok(()) };
    if known.keys().next().is_none() || known.keys().any(|held| held == key) {
        return Ok(());
    }
    let text = "is not the key of what the record's UUID names, and a key can not be changed";
    Err(vec![Fault::field(Code::FieldFixed, "external_id", text)])
}

/// A change of plain fields by PATCH on the object's own path; none when it holds them all.
pub(super) fn change(resource: &'static Resource, plan: &Plan, at: &At<'_>, existing: &Existing, skip: &[&str]) -> Vec<Request> {
    let known = existing.known.as_deref();
    let attributes: Vec<_> = plan
        .body
        .attributes()
        .filter(|attribute| known.and_then(|known| known.holds_attribute(attribute)) != Some(true))
        .collect();
    // The API drops keys that were not defined in the app, so that an entry without a key proves nothing: such an attribute
    // goes along with another change, never alone, or every run would send it anew.
    let reason = |attribute: &Attribute<'_>| known.and_then(|known| known.has_attribute(attribute.key)) != Some(false);
    let out = changed_fields(resource, plan, at, existing, skip, attributes.iter().any(reason));
    let Some(mut out) = out else { return Vec::new() };
    if resource.attributes == Some(AttributeForm::Untyped)
        && let Some(list) = attribute_list(attributes.into_iter(), false)
    {
        out.raw("custom", &list);
    }
    if out.is_empty() {
        return Vec::new();
    }
    vec![Request::new(Method::Patch, own_path(resource, &existing.uuid), Some(out.finish()), resource.calls.update)]
}

/// A DELETE on the object's own path.
pub(super) fn delete(resource: &'static Resource, existing: &Existing) -> Vec<Request> {
    vec![Request::new(Method::Delete, own_path(resource, &existing.uuid), None, resource.calls.delete)]
}

/// The path of one entry.
pub(super) fn own_path(resource: &'static Resource, uuid: &str) -> String {
    format!("{}/{}", resource.path, encoded(uuid))
}

/// What needs no encoding in a part of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A value as a part of a path.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The fields that name a customer, as a set of which a record needs one.
pub(super) const CUSTOMER_NAMES: &[&str] = &["customer_external_id", "customer_uuid"];

/// How an object is found that may be named by its UUID: that goes first, unless the record is to make something new or the
/// stream is matched otherwise.
pub(super) fn by_uuid_or(record: &mut Record, how: &How, other: Option<Target>, field: &str, why: &str) -> Option<Target> {
    let by_uuid = matches!(how.match_by, None | Some(MatchBy::Uuid)) && how.mode != Mode::Insert;
    match record.text("uuid").filter(|_| by_uuid) {
        Some(uuid) => Some(Target::Uuid(uuid, other.filter(|target| !matches!(target, Target::Equal(_))).map(Box::new))),
        None if how.match_by == Some(MatchBy::Uuid) && by_uuid => {
            record.require("uuid", "the stream is matched by uuid");
            None
        }
        None => {
            if other.is_none() && !record.is_faulty("uuid") {
                record.require(field, why);
            }
            other
        }
    }
}

/// The same of a part of a customer that has this name: the customer and the name are its key.
pub(super) fn match_part(fields: &[&str], name: &str) -> Option<MatchBy> {
    match fields {
        [customer, own] | [own, customer] if *own == name && *customer == CUSTOMER.1 => Some(MatchBy::ExternalId),
        [customer, own] | [own, customer] if *own == name && *customer == CUSTOMER.0 => Some(MatchBy::Uuid),
        _ => None,
    }
}

/// Whether two records about parts of one thing ask for it in the same way. A deletion stands alone: each is counted.
pub(super) fn alike(a: &Plan, b: &Plan) -> bool {
    a.mode == b.mode && a.mode != Mode::Delete && a.target == b.target && a.refs == b.refs
}

/// The plan of an object without a key of its own that belongs to a customer. Named by its UUID it needs no customer.
pub(super) fn keyless_child(mut record: Record, resource: &'static Resource, how: &How, why: &str) -> Asked<Plan> {
    let customer = refer(&record, Kin::Customer, CUSTOMER, Role::Parent, Need::Uuid);
    let by_uuid = record.text("uuid").is_some() && how.mode != Mode::Insert;
    if !by_uuid {
        self::customer(&mut record, Need::Uuid, why);
    }
    if how.mode == Mode::Insert {
        require_all(&mut record, resource);
    }
    let other = if by_uuid { None } else { by_equality(&mut record, resource, how) };
    let target = by_uuid_or(&mut record, how, other, CUSTOMER.1, why);
    finish(record, how.mode, target, customer)
}

/// What an entry says is wrong with itself. The API stores an invalid entry and answers it with a map of faults (documented;
/// no recorded map holds any).
pub(super) fn complaints(entry: &Value) -> Vec<Fault> {
    let errors = entry.get("errors").and_then(Value::as_object).into_iter().flatten();
    let words = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    errors.map(|(field, value)| Fault::field(Code::ApiRefused, field, words(value))).collect()
}

/// A value as JSON text.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What a record costs of an object without a key that belongs to a customer.
pub(super) const fn requests_of_child(mode: Mode) -> &'static str {
    match mode {
        Mode::Insert | Mode::Delete => "1 look-up per customer, then 1",
        Mode::Upsert | Mode::Update => "1 look-up per customer, then 1; 0 when nothing differs",
    }
}

/// A look at all that a customer has of an object.
pub(super) fn look_of_customer(resource: &'static Resource, customer: &str) -> Look {
    let look = Look::new(resource.path, resource.list_root, resource.calls.look_up).filter("customer_uuid", customer);
    look.scope(Scope::of(resource.name, customer)).of(customer).listed()
}
