//! Subscriptions. Documented on the pages "List a Customer's Subscriptions", "Cancel a Subscription", "Connect Subscriptions"
//! and "Disconnect Subscriptions".
//!
//! Nobody creates one: line items and events do. The analytics view shows what follows from them, here at once; recorded is
//! that the API takes up to a minute.

use std::collections::BTreeSet;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::currencies::sign;
use super::entries::Subscription;
use super::invoices::keys_of;
use super::lists::{self, Walk};
use super::refusals::echoed;
use super::shown;
use super::store::Billing;
use super::tables::Entry as _;
use super::values::{Errors, Field, Kind, Said, moment, text, whole};
use crate::sandbox::answers::{Outcome, Reply, invalid, missing, not_found, ok, refused_field};
use crate::sandbox::customers;
use crate::sandbox::fields::{as_shown, instant};
use crate::sandbox::paging::Paging;
use crate::sandbox::routes::Context;
use crate::sandbox::store::Fields;

impl Billing {
    /// The line item or event that says most of a subscription now: the last one by its period, or else by its date.
    fn last_word<'a>(&'a self, subscription: &'a Subscription) -> Option<(&'a Fields, Option<u64>)> {
        let line_items = subscription.line_items.iter().filter_map(|place| self.line_items.get(*place));
        let last = line_items.max_by_key(|one| (text(&one.fields, "service_period_start"), one.external_id()));
        let events = || subscription.events.iter().filter_map(|place| self.events.get(*place));
        let last_event = || events().max_by_key(|one| (one.plan.is_some(), text(&one.fields, "effective_date"), one.created));
        last.map(|one| (&one.fields, one.plan)).or_else(|| last_event().map(|one| (&one.fields, one.plan)))
    }

    /// The plan a subscription is on.
    pub(super) fn plan_of(&self, subscription: &Subscription) -> Option<u64> {
        self.last_word(subscription)?.1
    }

    /// The subscription set it belongs to.
    pub(super) fn set_of<'a>(&'a self, subscription: &'a Subscription) -> Option<&'a str> {
        text(self.last_word(subscription)?.0, "subscription_set_external_id").filter(|set| !set.is_empty())
    }
}

/// The import view. Recorded: newest first, with the customer's UUID before the list.
pub(super) fn list_imported(context: &Context<'_>, customer: &str) -> Outcome {
    customers::find(context, customer)?;
    let subscriptions = &context.state.billing.subscriptions;
    let walk = Walk::of_owners(subscriptions, &keys_of(context, customer));
    let head = Map::from_iter([("customer_uuid".to_owned(), customer.into())]);
    let show = |place| shown::subscription(context.state, place, false);
    lists::answer(context, subscriptions, ("subscriptions", &walk), head, |_| true, show)
}

/// Recorded: 202; `cancelled_at` adds a date, `cancellation_dates` takes the place of all of them.
pub(super) fn cancel(context: &mut Context<'_>, uuid: &str) -> Outcome {
    const CANCELLED: &[Field] = &[Field("cancelled_at", Kind::Moment)];
    let subscriptions = &context.state.billing.subscriptions;
    // The body of this 404 is unknown.
    let place = subscriptions.by_uuid(uuid).ok_or_else(|| not_found("Subscription"))?;
    let mut dates = subscriptions.get(place).map(|one| one.cancellations.clone()).unwrap_or_default();
    let Said { set, errors, .. } = Said::read(CANCELLED, &context.body);
    if !errors.is_empty() {
        return Err(echoed(&context.body, errors));
    }
    let replaced = match context.body.get("cancellation_dates") {
        None | Some(Value::Null) => None,
        Some(Value::Array(dates)) => {
            let read = |date: &Value| Some(as_shown(instant(date.as_str()?)?));
            let dates: Option<BTreeSet<String>> = dates.iter().map(read).collect();
            let wrong = || Errors::from_iter([("cancellation_dates".to_owned(), "is not a list of timestamps".into())]);
            Some(dates.ok_or_else(|| echoed(&context.body, wrong()))?)
        }
        Some(_) => return Err(refused_field("cancellation_dates", "must be a list")),
    };
    match (replaced, text(&set, "cancelled_at")) {
        (Some(replaced), _) => dates = replaced,
        (None, Some(date)) => {
            dates.insert(date.to_owned());
        }
        (None, None) => return Err(missing("cancelled_at")),
    }
    context.state.billing.subscriptions.edit(place, |subscription| subscription.cancellations = dates);
    ok(202, shown::subscription(context.state, place, true))
}

/// Recorded: 202 with an empty object. Documented: at least two. Whether connecting again is refused is unknown; here what is
/// connected stays connected.
pub(super) fn connect(context: &mut Context<'_>, customer: &str) -> Outcome {
    let named = named(context, customer)?;
    context.state.connect(&named);
    ok(202, json!({}))
}

/// As for connecting.
pub(super) fn disconnect(context: &mut Context<'_>, customer: &str) -> Outcome {
    for place in named(context, customer)? {
        context.state.billing.disconnect(place);
    }
    ok(202, json!({}))
}

/// Recorded: each is named by its data source and either its external id or its UUID in the analytics view. Unknown: what a
/// name that nothing has, or that another customer's has, is answered; here it is a 404, and nothing is done.
fn named(context: &Context<'_>, customer: &str) -> Result<Vec<u64>, Box<Reply>> {
    customers::find(context, customer)?;
    let billing = &context.state.billing;
    let owners = keys_of(context, customer);
    let entries = match context.body.get("subscriptions") {
        None | Some(Value::Null) => return Err(missing("subscriptions")),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(invalid("subscriptions")),
    };
    let mut places = Vec::new();
    for entry in entries {
        let said = |name: &str| entry.get(name).and_then(Value::as_str);
        let source = said("data_source_uuid").ok_or_else(|| missing("subscriptions.data_source_uuid"))?;
        let mut of_source = owners.iter().filter(|owner| owner.source == source);
        let place = match (said("external_id"), said("uuid")) {
            (Some(id), _) => of_source.find_map(|owner| billing.subscription_of(owner, id)),
            (None, Some(uuid)) => {
                let mut all = of_source.filter_map(|owner| billing.subscriptions.of_owner(owner)).flatten().copied();
                all.find(|place| billing.subscriptions.get(*place).is_some_and(|one| one.view == uuid))
            }
            (None, None) => return Err(missing("subscriptions.external_id")),
        };
        let place = place.ok_or_else(|| not_found("Subscription"))?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.len() < 2 { Err(refused_field("subscriptions", "must be at least two")) } else { Ok(places) }
}

/// The analytics view. Recorded: connected ones are shown as one, the last that was named, from the first one's beginning;
/// a cursor counts pages.
pub(super) fn list(context: &Context<'_>, customer: &str) -> Outcome {
    customers::find(context, customer)?;
    let billing = &context.state.billing;
    let paging = Paging::read(&context.query, |text| text.strip_prefix(PAGE_CURSOR)?.parse().ok())?;
    let number = match paging.from() {
        Bound::Excluded(number) => usize::try_from(number).unwrap_or(usize::MAX).max(1),
        _ => 1,
    };
    let shows = |place: &u64| {
        let one = billing.subscriptions.get(*place);
        let last = one.and_then(|one| billing.connections.get(&one.connection?)?.last().copied());
        one.is_some_and(|one| context.listed(one.created)) && last.is_none_or(|last| last == *place)
    };
    let owners = keys_of(context, customer);
    let all: BTreeSet<u64> = owners.iter().filter_map(|owner| billing.subscriptions.of_owner(owner)).flatten().copied().collect();
    let skipped = (number - 1).saturating_mul(paging.per_page());
    let mut places = all.into_iter().filter(shows).skip(skipped);
    let entries: Vec<Value> = places.by_ref().take(paging.per_page()).filter_map(|place| analysed(context, place)).collect();
    let cursor = STANDARD.encode(format!("{PAGE_CURSOR}{}", number + 1));
    let mut body = json!({"entries": entries, "cursor": cursor, "has_more": places.next().is_some()});
    if paging.tells_total() {
        body["per_page"] = paging.per_page().into();
        body["page"] = 1.into();
    }
    ok(200, body)
}

/// Recorded: what a cursor of the analytics view begins with, before the number of the next page.
const PAGE_CURSOR: &str = "subscriptions_next_page=";

fn analysed(context: &Context<'_>, place: u64) -> Option<Value> {
    let billing = &context.state.billing;
    let one = billing.subscriptions.get(place)?;
    let (fields, plan) = billing.last_word(one)?;
    let plan = plan.and_then(|place| billing.plans.get(place));
    let interval = |name: &str| plan.and_then(|plan| plan.fields.get(name)).cloned().unwrap_or(Value::Null);
    let count = plan.and_then(|plan| whole(&plan.fields, "interval_count")).unwrap_or(1);
    let months = match interval("interval_unit").as_str() {
        Some("year") => 12.0,
        // Recorded: 1000 cents every 7 days were 4348 a month.
        Some("day") => 12.0 / 365.25,
        _ => 1.0,
    } * count as f64;
    let line_item = one.line_items.first().and_then(|place| billing.line_items.get(*place));
    let invoice = line_item.and_then(|line_item| billing.invoices.get(line_item.invoice));
    let of_invoice = invoice.and_then(|invoice| text(&invoice.fields, "currency"));
    let currency = of_invoice.or(text(fields, "currency")).unwrap_or("USD");
    let mrr = (whole(fields, "amount_in_cents").unwrap_or(0) as f64 / months).round() as i64;
    let together = one.connection.and_then(|number| billing.connections.get(&number));
    let together = together.cloned().unwrap_or_else(|| vec![place]);
    let start = together.iter().filter_map(|place| began(billing, *place)).min();
    let cancelled = one.cancellations.last().and_then(|date| instant(date));
    let end = cancelled.or(moment(fields, "service_period_end"));
    let active = cancelled.is_none_or(|date| date > context.now());
    let zoned = |at: Option<jiff::Timestamp>| at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string());
    Some(json!({
        "id": one.id,
        "external_id": one.external_id,
        // Recorded: the external id where no set was named.
        "subscription_set_external_id": billing.set_of(one).unwrap_or(&one.external_id),
        "quantity": whole(fields, "quantity").unwrap_or(1),
        "uuid": one.view,
        "mrr": mrr,
        "arr": mrr.saturating_mul(12),
        "status": if active { "active" } else { "inactive" },
        "plan": interval("name"),
        "billing-cycle": interval("interval_unit"),
        "billing-cycle-count": interval("interval_count"),
        "start-date": zoned(start),
        "end-date": zoned(end),
        "currency": currency,
        "currency-sign": sign(currency),
    }))
}

/// When a subscription began, by its line items and events.
fn began(billing: &Billing, place: u64) -> Option<jiff::Timestamp> {
    let one = billing.subscriptions.get(place)?;
    let line_items = one.line_items.iter().filter_map(|place| billing.line_items.get(*place));
    let events = one.events.iter().filter_map(|place| billing.events.get(*place));
    let starts = line_items.filter_map(|line_item| moment(&line_item.fields, "service_period_start"));
    starts.chain(events.filter_map(|event| moment(&event.fields, "effective_date"))).min()
}
