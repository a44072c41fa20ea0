//! Cancellation dates of subscriptions. Vendor pages: "Cancel a Customer's Subscription", "List Customer's Subscriptions".
//!
//! Quirks. Subscriptions come of line items and events and can not be made by themselves, so that a record waits until
//! something brings its subscription. They are listed for one customer at a time, by the importing side of the API, which is
//! the only one that shows the UUID with `sub_` by which they are written (recorded). A change is answered with a 202 and the
//! subscription as it is then (recorded). `cancelled_at` adds one date, `cancellation_dates` replaces them all (recorded).

use serde_json::Value;

use super::common::{self, CUSTOMER, encoded, own_path, refer};
use super::json::JsonObject;
use super::request::{Look, Method, Request, Scope};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::mapping::Slot;
use crate::mapping::values::timestamp;
use crate::plan::{Body, By, Kin, Known, MatchBy, Mode, Need, Plan, Record, Role, Target};

/// The object.
#[derive(Debug)]
pub struct SubscriptionCancellations;

const SUBSCRIPTION: (&str, &str) = ("subscription_uuid", "subscription_external_id");
/// Adds a date.
const ONE: &str = "cancelled_at";
/// Replaces all dates.
const ALL: &str = "cancellation_dates";

impl Object for SubscriptionCancellations {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["subscription_external_id"], &["subscription_uuid"], &["subscription_external_id", "cancelled_at"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Delete => &[&["subscription_external_id", "subscription_uuid"]],
            _ => &[&["subscription_external_id", "subscription_uuid"], &["cancelled_at", "cancellation_dates"]],
        }
    }

    fn requests(&self, _mode: Mode) -> &'static str {
        "1 look-up per customer, then 1; 0 when nothing differs"
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        let own = fields.iter().filter(|name| !common::CUSTOMER_NAMES.contains(name) && **name != ONE);
        match own.copied().collect::<Vec<_>>()[..] {
            ["subscription_external_id"] => Some(MatchBy::ExternalId),
            ["subscription_uuid"] => Some(MatchBy::Uuid),
            _ => None,
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    /// Subscriptions are listed for one customer at a time (documented): nothing tells how many there are.
    fn counted_as(&self, _request: &Request) -> Option<&'static str> {
        None
    }

    /// A customer made now has no subscription.
    fn makes_parents(&self) -> bool {
        false
    }

    fn read_by(&self) -> &'static str {
        Kin::Subscription.object()
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let (one, all) = (record.value(ONE).is_some(), record.value(ALL).is_some());
        if one && all {
            record.refuse(ALL, "replaces all dates, and `cancelled_at` adds one: a record gives one of the two");
        }
        if !one && !all && !clears(&record.body) && how.mode != Mode::Delete && !record.is_faulty(ALL) {
            record.require(ONE, "a record gives a date to add, or with `cancellation_dates` all dates");
        }
        let customer = refer(&record, Kin::Customer, CUSTOMER, Role::Parent, Need::Uuid);
        // With a customer the dates are looked at, so that nothing is sent twice.
        let need = if customer.is_some() { Need::Values } else { Need::Uuid };
        let subscription = refer(&record, Kin::Subscription, SUBSCRIPTION, Role::Parent, need);
        match &subscription {
            None if !record.is_faulty(SUBSCRIPTION.0) => record.require(SUBSCRIPTION.1, "the dates are those of a subscription"),
            Some(found) if matches!(found.by, By::Key(_)) => {
                common::customer(&mut record, Need::Uuid, "subscriptions are listed for one customer at a time");
            }
            Some(_) if how.mode == Mode::Delete && one => {
                common::customer(&mut record, Need::Uuid, "the dates that stay have to be read");
            }
            _ => {}
        }
        common::finish(record, how.mode, Some(Target::Part), subscription.into_iter().chain(customer))
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        None
    }

    fn look_within(&self, customer: &str) -> Option<Look> {
        let path = format!("/import/customers/{}/subscriptions", encoded(customer));
        let look = Look::new(path, RESOURCE.list_root, RESOURCE.calls.look_up).scope(Scope::of(self.read_by(), customer));
        // A customer made just now may not be there yet (told by a maintainer of an official client in 2021).
        Some(Look { none_is_404: true, ..look })
    }

    fn know(&self, entry: &Value, data_source: &str) -> Option<Known> {
        let mut known = Known::read(&RESOURCE, entry)?;
        known.ours = entry["data_source_uuid"].as_str().is_none_or(|source| source == data_source);
        known.set_members(entry[ALL].as_array().map(|dates| {
            let normal = |date: &Value| date.as_str().map(|text| timestamp(text).unwrap_or_else(|| text.to_owned()).into());
            dates.iter().filter_map(normal).collect()
        }));
        Some(known)
    }

    fn is_there(&self, plan: &Plan, existing: &Existing) -> bool {
        let given = given(plan, ONE).or_else(|| given(plan, ALL)).unwrap_or_default();
        held(existing).is_some_and(|held| given.iter().all(|date| has(held, date)))
    }

    fn create(&self, _plan: &Plan, _at: &At<'_>) -> Asked<Option<Request>> {
        Ok(None)
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let held = held(existing);
        let is_held = |date: &str| held.is_some_and(|held| has(held, date));
        if let Some(date) = given(plan, ONE) {
            let new = date.iter().filter(|date| !is_held(date));
            return Ok(new.map(|date| add(existing, date)).collect());
        }
        let wanted = given(plan, ALL).unwrap_or_default();
        let kept_back = RESOURCE.slot(ALL).is_some_and(|slot| at.how.only_if_empty.contains(&slot));
        Ok(match held {
            // An insert only adds.
            Some(held) if plan.mode == Mode::Insert => {
                let new: Vec<&str> = wanted.iter().map(AsRef::as_ref).filter(|date| !has(held, date)).collect();
                let union: Vec<&str> = held.iter().map(AsRef::as_ref).chain(new.iter().copied()).collect();
                if new.is_empty() { Vec::new() } else { vec![replace(existing, &union)] }
            }
            None if plan.mode == Mode::Insert => wanted.iter().map(|date| add(existing, date)).collect(),
            Some(held) if held.len() == wanted.len() && wanted.iter().all(|date| is_held(date)) => Vec::new(),
            held if kept_back && held.is_none_or(|held| !held.is_empty()) => Vec::new(),
            _ => vec![replace(existing, &wanted.iter().map(AsRef::as_ref).collect::<Vec<_>>())],
        })
    }

    /// The date that the record gives goes; all of them where it gives none.
    fn delete(&self, plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        let gone = given(plan, ONE);
        let Some(held) = held(existing) else {
            // Which ones would stay is not known.
            return if gone.is_none() { vec![replace(existing, &[])] } else { Vec::new() };
        };
        let goes = |date: &str| gone.as_ref().is_none_or(|gone| has(gone, date));
        let stay: Vec<&str> = held.iter().map(AsRef::as_ref).filter(|date| !goes(date)).collect();
        if stay.len() == held.len() { Vec::new() } else { vec![replace(existing, &stay)] }
    }

    fn apart(&self) -> &'static [&'static str] {
        &["customer_uuid", "subscription_uuid", ALL]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","subscription_external_id":"s-77","cancelled_at":"2026-03-01T00:00:00Z"}"#,
            r#"{"customer_external_id":"c-1001","subscription_external_id":"s-77","cancellation_dates":["2026-03-01","2026-06-01"]}"#,
            r#"{"subscription_uuid":"46c3f4c1-bfe5-4665-aeb7-95aa60fd2f49","cancellation_dates":[]}"#,
        ]
    }
}

/// Whether a null is to clear what there is.
fn clears(body: &Body) -> bool {
    [ONE, ALL].iter().any(|name| text(body, name) == Some("null"))
}

fn text<'b>(body: &'b Body, name: &str) -> Option<&'b str> {
    body.get(Slot { field: RESOURCE.slot(name)?, inner: None })
}

/// The dates that the record gives under this name, in normal form; `None` when it gives none.
fn given(plan: &Plan, name: &str) -> Option<Vec<Box<str>>> {
    let text = text(&plan.body, name).filter(|text| *text != "null")?;
    let mut dates: Vec<Box<str>> = match serde_json::from_str(text).ok()? {
        Value::Array(dates) => dates.iter().filter_map(Value::as_str).map(Into::into).collect(),
        one => one.as_str().map(Into::into).into_iter().collect(),
    };
    dates.sort_unstable();
    dates.dedup();
    Some(dates)
}

/// The dates that the subscription is known to have.
fn held(existing: &Existing) -> Option<&[Box<str>]> {
    existing.known.as_deref()?.members()
}

fn has(dates: &[Box<str>], date: &str) -> bool {
    dates.iter().any(|other| other.as_ref() == date)
}

fn add(existing: &Existing, date: &str) -> Request {
    let mut body = JsonObject::new();
    body.text(ONE, date);
    request(existing, body)
}

fn replace(existing: &Existing, dates: &[&str]) -> Request {
    let mut body = JsonObject::new();
    body.raw(ALL, &serde_json::json!(dates).to_string());
    request(existing, body)
}

fn request(existing: &Existing, body: JsonObject) -> Request {
    Request::new(Method::Patch, own_path(&RESOURCE, &existing.uuid), Some(body.finish()), RESOURCE.calls.update)
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "subscription_cancellations",
    summary: "Dates at which subscriptions end. The subscriptions come of invoices and subscription events.",
    path: "/import/subscriptions",
    id: "uuid",
    uuid_prefix: "sub_",
    list_root: "subscriptions",
    filters: &[],
    calls: Calls {
        create: "",
        read: "",
        look_up: "look up subscriptions",
        list: "list subscriptions",
        update: "update cancellation dates",
        delete: "update cancellation dates",
    },
    statuses: Statuses { created: 202, updated: 202, deleted: 202 },
    references: &[
        field("customer_external_id", Kind::ExternalId, "Your key of the customer whose subscription it is.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field("subscription_external_id", Kind::ExternalId, "Your key of the subscription, in the data source.", "\"s-77\""),
        field(
            "subscription_uuid",
            Kind::Uuid("sub_"),
            "ChartMogul's own UUID of the subscription, with or without `sub_`; it needs no customer. With one, nothing is sent \
             that is there already.",
            "\"sub_46c3f4c1-bfe5-4665-aeb7-95aa60fd2f49\"",
        ),
    ],
    fields: &[
        field(ONE, Kind::Timestamp, "A date to add.", "\"2026-03-01T00:00:00.000Z\""),
        field(
            ALL,
            Kind::Many(&Kind::Timestamp),
            "All dates, instead of one to add: they replace those that are there, and an empty list clears them.",
            "[\"2026-03-01T00:00:00.000Z\"]",
        ),
    ],
    attributes: None,
    pages: &["Cancel a Customer's Subscription", "List Customer's Subscriptions"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    use super::super::{At, How};
    use crate::objects::tests::{SOURCE, how, plan_with};
    use crate::plan::Nulls;
    use serde_json::json;

    /// The row of subscription `s` of customer `c` with these fields beside.
    fn row(beside: &Value) -> Value {
        let mut row = json!({"customer_external_id": "c", "subscription_external_id": "s"});
        row.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        row
    }

    fn bodies(mode: Mode, nulls: Nulls, row: &Value, dates: Option<Value>) -> Vec<String> {
        let plan = plan_with(&SubscriptionCancellations, mode, nulls, row).unwrap_or_else(|faults| panic!("{row}: {faults:?}"));
        let how: How = how(mode);
        let at = At { data_source: SOURCE, refs: &[], how: &how };
        let known = dates.map(|dates| {
            let entry = json!({"uuid": "sub_1", "external_id": "s", "data_source_uuid": SOURCE, "cancellation_dates": dates});
            Rc::new(SubscriptionCancellations.know(&entry, SOURCE).unwrap())
        });
        let existing = Existing { uuid: "sub_1".into(), known };
        let requests = match mode {
            Mode::Delete => SubscriptionCancellations.delete(&plan, &at, &existing),
            _ => SubscriptionCancellations.change(&plan, &at, &existing).unwrap(),
        };
        requests.into_iter().filter_map(|request| request.body).collect()
    }

    const JAN: &str = "2026-01-01T00:00:00.000Z";
    const FEB: &str = "2026-02-01T00:00:00.000Z";

    #[test]
    fn a_date_is_added_once_and_a_list_replaces_what_differs() {
        let sent = |beside: Value, dates: Value| bodies(Mode::Upsert, Nulls::Ignore, &row(&beside), Some(dates));
        assert_eq!(sent(json!({"cancelled_at": "2026-01-01"}), json!([FEB])), [format!(r#"{{"cancelled_at":"{JAN}"}}"#)]);
        assert!(sent(json!({"cancelled_at": "2026-01-01T01:00:00+01:00"}), json!([FEB, JAN])).is_empty());
        assert!(
            sent(json!({"cancellation_dates": ["2026-02-01", "2026-01-01", "2026-02-01T00:00:00Z"]}), json!([JAN, FEB]))
                .is_empty()
        );
        assert_eq!(
            sent(json!({"cancellation_dates": ["2026-02-01"]}), json!([JAN, FEB])),
            [format!(r#"{{"cancellation_dates":["{FEB}"]}}"#)]
        );
        assert_eq!(sent(json!({"cancellation_dates": []}), json!([JAN])), [r#"{"cancellation_dates":[]}"#]);
        assert!(sent(json!({"cancellation_dates": []}), json!([])).is_empty());
    }

    #[test]
    fn an_insert_only_adds() {
        let sent = |dates| {
            bodies(Mode::Insert, Nulls::Ignore, &row(&json!({"cancellation_dates": ["2026-02-01", "2026-01-01"]})), dates)
        };
        assert_eq!(sent(Some(json!([JAN]))), [format!(r#"{{"cancellation_dates":["{JAN}","{FEB}"]}}"#)]);
        assert!(sent(Some(json!([FEB, JAN, "2026-03-01T00:00:00.000Z"]))).is_empty());
        // Without a look at what is there, each is added by itself.
        assert_eq!(sent(None), [format!(r#"{{"cancelled_at":"{JAN}"}}"#), format!(r#"{{"cancelled_at":"{FEB}"}}"#)]);
    }

    #[test]
    fn a_deletion_takes_one_date_or_all() {
        let sent = |beside, dates| bodies(Mode::Delete, Nulls::Ignore, &row(&beside), dates);
        assert_eq!(
            sent(json!({"cancelled_at": "2026-01-01"}), Some(json!([JAN, FEB]))),
            [format!(r#"{{"cancellation_dates":["{FEB}"]}}"#)]
        );
        assert!(sent(json!({"cancelled_at": "2026-03-01"}), Some(json!([JAN]))).is_empty());
        assert_eq!(sent(json!({}), Some(json!([JAN, FEB]))), [r#"{"cancellation_dates":[]}"#]);
        assert!(sent(json!({}), Some(json!([]))).is_empty());
    }

    #[test]
    fn a_null_clears_where_nulls_do() {
        let beside = row(&json!({"cancelled_at": null}));
        assert_eq!(bodies(Mode::Upsert, Nulls::Clear, &beside, Some(json!([JAN]))), [r#"{"cancellation_dates":[]}"#]);
        let faults = plan_with(&SubscriptionCancellations, Mode::Upsert, Nulls::Ignore, &beside).unwrap_err();
        assert_eq!(faults[0].field.as_deref(), Some(ONE));
    }

    #[test]
    fn a_record_names_a_subscription_and_one_way_to_give_dates() {
        let named = |mode, row: Value| -> Vec<String> {
            let faults = plan_with(&SubscriptionCancellations, mode, Nulls::Ignore, &row).unwrap_err();
            faults.into_iter().filter_map(|fault| fault.field).collect()
        };
        let bare = "46c3f4c1-bfe5-4665-aeb7-95aa60fd2f49";
        assert_eq!(named(Mode::Upsert, json!({"customer_external_id": "c"})), [ONE, SUBSCRIPTION.1]);
        assert_eq!(named(Mode::Upsert, json!({"subscription_external_id": "s", "cancelled_at": "2026-01-01"})), [CUSTOMER.1]);
        assert_eq!(named(Mode::Upsert, row(&json!({"cancelled_at": "2026-01-01", "cancellation_dates": []}))), [ALL]);
        assert_eq!(named(Mode::Delete, json!({"subscription_uuid": bare, "cancelled_at": "2026-01-01"})), [CUSTOMER.1]);
        let row = json!({"subscription_uuid": bare, "cancelled_at": "2026-01-01"});
        let plan = plan_with(&SubscriptionCancellations, Mode::Upsert, Nulls::Ignore, &row).unwrap();
        assert_eq!(plan.refs[0].by, By::Uuid(format!("sub_{bare}").into()));
        assert_eq!((plan.refs.len(), plan.refs[0].need), (1, Need::Uuid));
    }
}
