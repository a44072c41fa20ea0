//! Subscription events. Documented on the pages "Create a Subscription Event", "Update a Subscription Event", "Delete a
//! Subscription Event" and "List Subscription Events". Every write wraps what it says in `subscription_event`.

use serde_json::{Map, Value, json};

use super::currencies::is_currency;
use super::entries::{Event, EventDraft};
use super::invoices::keys_of;
use super::lists::{self, Walk, cut};
use super::refusals::echoed;
use super::shown;
use super::tables::Entry as _;
use super::values::{BLANK, Errors, Field, Kind, Said, moment, need, text};
use crate::sandbox::answers::{Outcome, Reply, done, invalid, missing, not_found, ok};
use crate::sandbox::fields::instant;
use crate::sandbox::routes::Context;
use crate::sandbox::store::{Fields, SourceKey, State, shown as with_milliseconds};

const TYPES: &[&str] = &[
    "subscription_start",
    "subscription_start_scheduled",
    "scheduled_subscription_start_retracted",
    "subscription_cancelled",
    "subscription_cancellation_scheduled",
    "scheduled_subscription_cancellation_retracted",
    "subscription_updated",
    "subscription_update_scheduled",
    "scheduled_subscription_update_retracted",
    "subscription_event_retracted",
];

/// Documented: those that say what is paid from then on.
const OF_AMOUNTS: &[&str] =
    &["subscription_start", "subscription_start_scheduled", "subscription_updated", "subscription_update_scheduled"];

const EVENT: &[Field] = &[
    Field("external_id", Kind::Text),
    Field("customer_external_id", Kind::Key),
    Field("event_type", Kind::Word(TYPES)),
    Field("event_date", Kind::Moment),
    Field("effective_date", Kind::Moment),
    Field("subscription_external_id", Kind::Key),
    Field("subscription_set_external_id", Kind::Text),
    Field("plan_external_id", Kind::Text),
    Field("retracted_event_id", Kind::Text),
];

type Check = fn(&Value) -> bool;

/// Recorded: these come back as they were sent, also as an empty text; documented: also as digits in a text.
const AS_SENT: &[(&str, Check)] = &[
    ("quantity", is_whole),
    ("amount_in_cents", is_whole),
    ("tax_amount_in_cents", is_whole),
    ("event_order", is_whole),
    ("currency", is_code),
];

/// Documented: the customer, the plan and the subscription are named by external ids. What an unknown customer or plan is
/// answered is unknown; here it is refused. That a subscription is unknown is no fault: events make them. Whether a second
/// event of the same external id is refused is unknown; that it is made is harder for a client, which has to look first.
pub(super) fn create(context: &mut Context<'_>) -> Outcome {
    let body = wrapped(context)?;
    let source = body.get("data_source_uuid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let draft = read(context, &body, &source, Fields::new())?;
    let place = context.state.add_event(draft, Errors::new());
    ok(201, shown::event(context.state, place))
}

/// Recorded: by its number, and then the external id is one of the fields. Documented: or by data source and external id.
pub(super) fn update(context: &mut Context<'_>) -> Outcome {
    let body = wrapped(context)?;
    let place = find(context, |name| body.get(name))?;
    let Some(event) = context.state.billing.events.get(place) else { return Err(nothing_found()) };
    let (source, old) = (event.owner.source.clone(), event.fields.clone());
    if body.get("data_source_uuid").is_some_and(|sent| !sent.is_null() && sent.as_str() != Some(&source)) {
        // Unknown; ignoring it would hide a client's mistake.
        return Err(echoed(&body, Errors::from_iter([("data_source_uuid".to_owned(), "can't be changed".into())])));
    }
    let draft = read(context, &body, &source, old)?;
    context.state.edit_event(place, draft);
    ok(200, shown::event(context.state, place))
}

/// Recorded: 204, named in the query. Documented: or in the body.
pub(super) fn delete(context: &mut Context<'_>) -> Outcome {
    let place = match wrapped(context) {
        Ok(body) => find(context, |name| body.get(name))?,
        Err(missing) => {
            let said = ["id", "external_id", "data_source_uuid"].map(|name| {
                let value = context.query.get(&format!("subscription_event[{name}]"));
                value.map(|value| (name.to_owned(), Value::from(value)))
            });
            let said: Map<String, Value> = said.into_iter().flatten().collect();
            if said.is_empty() {
                return Err(missing);
            }
            find(context, |name| said.get(name))?
        }
    };
    context.state.billing.remove_event(place);
    done(204)
}

/// As for invoices. The official clients disagree on whether the body is wrapped, so both forms are taken.
pub(super) fn disable(context: &Context<'_>, id: Option<&str>) -> Outcome {
    let body = wrapped(context).unwrap_or_else(|_| context.body.clone());
    let id = id.map(Value::from);
    find(context, |name| if name == "id" && id.is_some() { id.as_ref() } else { body.get(name) })?;
    Err(super::invoices::cannot_be_disabled())
}

fn wrapped(context: &Context<'_>) -> Result<Map<String, Value>, Box<Reply>> {
    match context.body.get("subscription_event") {
        Some(Value::Object(body)) => Ok(body.clone()),
        None | Some(Value::Null) => Err(missing("subscription_event")),
        Some(_) => Err(invalid("subscription_event")),
    }
}

/// The event that is meant. Where several have the external id, which one is unknown; here it is the newest.
fn find<'a>(context: &Context<'_>, said: impl Fn(&str) -> Option<&'a Value>) -> Result<u64, Box<Reply>> {
    let events = &context.state.billing.events;
    let found = match said("id").filter(|id| !id.is_null()) {
        Some(Value::String(id)) => events.by_uuid(id),
        Some(id) => events.by_uuid(&id.to_string()),
        None => {
            let needed = |name: &str| said(name).and_then(Value::as_str).ok_or_else(|| missing(name));
            let (id, source) = (needed("external_id")?, needed("data_source_uuid")?);
            events.first_by_key(source, id)
        }
    };
    found.ok_or_else(nothing_found)
}

/// The body of this 404 is unknown.
fn nothing_found() -> Box<Reply> {
    not_found("Subscription event")
}

fn read(context: &Context<'_>, body: &Map<String, Value>, source: &str, old: Fields) -> Result<EventDraft, Box<Reply>> {
    match draft(context.state, body, source, (old, context.options.quirks.null_clears)) {
        (draft, errors) if errors.is_empty() => Ok(draft),
        (_, errors) => Err(echoed(body, errors)),
    }
}

/// What an event says over what was there, and what is wrong with it.
pub(super) fn draft(
    state: &State,
    body: &Map<String, Value>,
    source: &str,
    (old, null_clears): (Fields, bool),
) -> (EventDraft, Errors) {
    let mut fields = old;
    let is_new = fields.is_empty();
    let said = Said::read(EVENT, body);
    said.apply(&mut fields, null_clears);
    let mut errors = said.errors;
    for (name, fits) in AS_SENT {
        match body.get(*name) {
            None | Some(Value::Null) => {}
            Some(value) if fits(value) => {
                fields.insert(name, value.clone());
            }
            Some(_) => {
                errors.insert((*name).to_owned(), "is invalid".into());
            }
        }
    }
    for name in ["event_date", "effective_date"] {
        // Recorded: without milliseconds.
        if let Some(at) = moment(&fields, name) {
            fields.insert(name, at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
        }
    }
    need(
        &["customer_external_id", "event_type", "event_date", "effective_date", "subscription_external_id"],
        &fields,
        &mut errors,
    );
    match text(&fields, "event_type") {
        Some(kind) if OF_AMOUNTS.contains(&kind) => {
            need(&["plan_external_id", "currency", "amount_in_cents"], &fields, &mut errors);
            if is_new {
                // Documented: one is the default.
                fields.entry("quantity").or_insert(1.into());
            }
        }
        Some("subscription_event_retracted") => need(&["retracted_event_id"], &fields, &mut errors),
        _ => {}
    }
    let named = |name: &str| text(&fields, name).filter(|named| !named.is_empty());
    let mut unknown = |name: &str, problem: &str| {
        errors.insert(name.to_owned(), problem.into());
    };
    if source.is_empty() {
        unknown("data_source_uuid", BLANK);
    } else if state.source(source).is_none() {
        unknown("data_source_uuid", "is not a data source");
    }
    let customer = named("customer_external_id").unwrap_or_default();
    if !customer.is_empty() && state.customer_by_key(source, customer).is_none() {
        unknown("customer_external_id", "is not a customer of the data source");
    }
    let plan = named("plan_external_id").and_then(|id| state.billing.plans.first_by_key(source, id));
    if plan.is_none() && named("plan_external_id").is_some() {
        unknown("plan_external_id", "is not a plan of the data source");
    }
    // Whether it is the number or the external id is unknown, so either names an event; that it has to be there is strict.
    if named("retracted_event_id").is_some_and(|id| retracted(state, source, id).is_none()) {
        unknown("retracted_event_id", "is not an event of the data source");
    }
    let owner = SourceKey { source: source.to_owned(), external_id: customer.to_owned() };
    (EventDraft { owner, fields, plan }, errors)
}

fn retracted(state: &State, source: &str, id: &str) -> Option<u64> {
    let events = &state.billing.events;
    let by_number = events.by_uuid(id).filter(|place| events.get(*place).is_some_and(|event| event.source() == source));
    by_number.or_else(|| events.first_by_key(source, id))
}

fn is_code(value: &Value) -> bool {
    value.as_str().is_some_and(|code| code.is_empty() || is_currency(code))
}

fn is_whole(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64(),
        Value::String(text) => text.is_empty() || text.parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Recorded: newest first; a first page has `meta`. Documented: exact filters.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    const EXACT: [&str; 5] =
        ["external_id", "customer_external_id", "subscription_external_id", "plan_external_id", "event_type"];
    let query = |name| context.query.get(name);
    let events = &context.state.billing.events;
    let mut moments = Vec::new();
    for name in ["event_date", "effective_date"] {
        if let Some(asked) = query(name) {
            moments.push((name, instant(asked).ok_or_else(|| invalid(name))?));
        }
    }
    let owners = query("customer_uuid").map(|uuid| keys_of(context, uuid));
    let fits = |event: &Event| {
        owners.as_ref().is_none_or(|owners| owners.contains(&event.owner))
            && query("data_source_uuid").is_none_or(|wanted| event.source() == wanted)
            && EXACT.iter().all(|name| query(name).is_none_or(|wanted| text(&event.fields, name) == Some(wanted)))
            && moments.iter().all(|(name, wanted)| moment(&event.fields, name) == Some(*wanted))
    };
    let key = |source: &str, id: &str| SourceKey { source: source.to_owned(), external_id: id.to_owned() };
    let walk = match (query("data_source_uuid"), query("external_id"), query("customer_external_id"), &owners) {
        (Some(source), Some(id), ..) => Walk::Places(events.by_key(&key(source, id)).cloned().unwrap_or_default()),
        (Some(source), None, Some(customer), _) => Walk::of_owners(events, &[key(source, customer)]),
        (.., Some(owners)) => Walk::of_owners(events, owners),
        (Some(source), ..) => Walk::Source(source),
        _ => Walk::All,
    };
    let paging = lists::read_paging(context)?;
    let (page, total) = cut(context, &paging, events, &walk, fits);
    let shown: Vec<Value> = page.places.iter().map(|place| shown::event(context.state, *place)).collect();
    let mut body = Map::from_iter([("subscription_events".to_owned(), Value::Array(shown))]);
    paging.numbered(&page, &mut body, total, lists::cursor(events, &page));
    let (number, pages) = (body.remove("current_page"), body.remove("total_pages"));
    if let Some(number) = number {
        let last = page.places.last().and_then(|place| events.get(*place)).filter(|_| page.has_more);
        let meta = json!({
            "next_key": last.map(Event::number),
            "prev_key": null,
            "before_key": with_milliseconds(context.state.now()),
            // Recorded: an empty list has no first page.
            "page": if total == Some(0) { 0.into() } else { number },
            "total_pages": pages,
        });
        body.insert("meta".into(), meta);
    }
    ok(200, Value::Object(body))
}
