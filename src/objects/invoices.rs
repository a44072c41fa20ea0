//! Invoices with their line items and transactions. Vendor pages: "Import Invoices", "Update an Invoice", "Update an Invoice
//! Status", "Delete an Invoice", "List Invoices".
//!
//! Quirks. An invoice is made by an import call of its customer, with all that it holds. Afterwards only its header can be
//! changed; its line items and transactions are changed and added one by one, each by a request of its own. Nothing that
//! stands in ChartMogul and not in the record is ever removed. Whether one bad invoice in a call keeps the others out is not
//! recorded: each call carries one. A list hides invalid invoices unless asked for all (documented), and their external ids
//! are taken all the same.

use serde_json::{Map, Value};

use super::billing::{self, LINE_ITEM, TRANSACTION};
use super::common::{self, CUSTOMER, check_data_source};
use super::imports::{self, Import};
use super::invoice_parts::Parts;
use super::json::{JsonObject, add_fields};
use super::mirrored::Mirrored;
use super::request::{Look, Method, Request, Scope, Shows};
use super::resource::{Calls, Field, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object, line_items, transactions};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{By, Kin, Known, LaneKey, LaneKeys, Mode, Need, Part, Plan, Record, Reference, Role, Target};

/// The object.
#[derive(Debug)]
pub struct Invoices;

/// The statuses that can be set; the others are computed from the transactions.
const SETTABLE: [&str; 2] = ["voided", "written_off"];
/// Fields that are no header: they are sent by requests of their own, or not at all.
const NO_HEADER: &[&str] = &["external_id", "status", "line_items", "transactions"];

impl Object for Invoices {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["external_id"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[common::CUSTOMER_NAMES, &["external_id"], &["date"], &["currency"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1 with all it holds; 1 more to void it or write it off",
            Mode::Upsert => {
                "1 look-up per key, then 1 with all it holds; for one that exists 1 for its header and 1 for each line item or \
                 transaction that differs; 0 when nothing does"
            }
            Mode::Update => {
                "1 look-up per key, then 1 for its header and 1 for each line item or transaction that differs; 0 when nothing does"
            }
            Mode::Delete => "1 look-up per key, then 1",
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        check_data_source(&mut record, how);
        let makes = matches!(how.mode, Mode::Insert | Mode::Upsert);
        let key = record.text("external_id").map(Target::Key);
        let target = common::by_uuid_or(&mut record, how, key, "external_id", "an invoice is matched by its external_id");
        let by_uuid = matches!(target, Some(Target::Uuid(..)));
        let customer = common::refer(&record, Kin::Customer, CUSTOMER, Role::Parent, Need::Uuid);
        if makes && !by_uuid {
            common::customer(&mut record, Need::Uuid, "an invoice belongs to a customer");
        }
        if how.mode == Mode::Insert {
            for name in ["date", "currency"].into_iter().filter(|name| record.given(name).is_none()).collect::<Vec<_>>() {
                record.require(name, "invoices are made with it");
            }
        }
        let items = billing::entries(record.value("line_items"));
        for (at, item) in items.iter().enumerate() {
            billing::check_line_item(&format!("line_items[{at}]."), item, makes, &mut record.faults);
        }
        let transactions = billing::entries(record.value("transactions"));
        for (at, entry) in transactions.iter().enumerate() {
            billing::check_transaction(&format!("transactions[{at}]."), entry, makes, &mut record.faults);
        }
        billing::check_keys("line_items", &items, &mut record.faults);
        billing::check_keys("transactions", &transactions, &mut record.faults);
        let mut refs: Vec<Reference> = customer.into_iter().collect();
        refs.extend(plans_of(&items));
        common::finish(record, how.mode, target, refs)
    }

    fn mirrored(&self) -> Option<Mirrored> {
        Some(Mirrored { nested: &[("line_items", "line_items"), ("transactions", "transactions")], ..Mirrored::BY_KEY })
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        true
    }

    fn look(&self, _plan: &Plan, target: &Target, at: &At<'_>) -> Option<Look> {
        self.look_by_key(target.key()?, at.data_source)
    }

    fn look_by_key(&self, key: &str, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
        let look = look.filter("data_source_uuid", data_source).filter("external_id", key).filter("validation_type", "all");
        Some(look.scope(Scope::key(RESOURCE.name, key)).listed())
    }

    fn know(&self, entry: &Value, data_source: &str) -> Option<Known> {
        let mut known = Known::read(&RESOURCE, entry)?;
        let source = entry.get("data_source_uuid").and_then(Value::as_str);
        known.ours = source.is_none_or(|source| source == data_source);
        let parts = |resource: &'static Resource| {
            let list = entry.get(resource.list_root).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(move |part| Some(Part { object: resource.name, known: Known::read(resource, part)? }))
        };
        known.set_parts(parts(&line_items::RESOURCE).chain(parts(&transactions::RESOURCE)).collect());
        Some(known)
    }

    fn needs_known(&self, plan: &Plan) -> bool {
        ["status", "line_items", "transactions"].into_iter().any(|name| body(plan, name).is_some())
    }

    fn is_incomplete(&self, plan: &Plan) -> bool {
        billing::entries(body(plan, "line_items")).is_empty()
    }

    fn listing(&self, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list);
        Some(look.filter("data_source_uuid", data_source).filter("validation_type", "all"))
    }

    fn import(&self, plan: &Plan) -> Option<Import> {
        imports::invoice(&RESOURCE, plan)
    }

    fn has_refused_key(&self) -> bool {
        true
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        let items = billing::entries(body(plan, "line_items"));
        let transactions = billing::entries(body(plan, "transactions"));
        let mut faults = common::missing(&RESOURCE, &plan.body);
        if items.is_empty() {
            let text = "an invoice is made with its line items, and none came with it or in this sync";
            faults.push(Fault::field(Code::FieldMissing, "line_items", text));
        } else {
            billing::check_sums(&items, &transactions, &mut faults);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut out = JsonObject::new();
        add_fields(&mut out, &RESOURCE, &plan.body, false, |_, field| {
            !matches!(field.name, "status" | "line_items" | "transactions")
        });
        // Says which of a merged customer's sources the invoice is of.
        out.text("data_source_uuid", at.data_source);
        if let Some(key) = at.refs.first().and_then(|customer| customer.key.as_deref()) {
            out.text("customer_external_id", key);
        }
        let items: Vec<Map<String, Value>> = items.iter().map(|item| billing::sent_item(item, plan, at)).collect();
        out.raw("line_items", &common::json(&items));
        if !transactions.is_empty() {
            out.raw("transactions", &common::json(&transactions));
        }
        let path = format!("/import/customers/{}/invoices", common::encoded(at.parent()));
        let body = format!("{{\"invoices\":[{}]}}", out.finish());
        Ok(Some(Request::new(Method::Post, path, Some(body), RESOURCE.calls.create).once()))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        common::check_key(plan, existing)?;
        let known = existing.known.as_deref();
        let mut faults = Vec::new();
        if let (Some(known), Some(customer)) = (known, plan.parents().next())
            && is_other(known, "customer_uuid", at.parent())
        {
            faults.push(Fault::field(
                Code::FieldFixed,
                customer.field,
                "the invoice stands with another customer, and can not be moved",
            ));
        }
        let mut requests = Vec::new();
        if let Some(header) = common::changed_fields(&RESOURCE, plan, at, existing, NO_HEADER, false) {
            let path = common::own_path(&RESOURCE, &existing.uuid);
            requests.push(Request::new(Method::Patch, path, Some(header.finish()), RESOURCE.calls.update));
        }
        let items = billing::entries(body(plan, "line_items"));
        let items = items.iter().map(|item| billing::sent_item(item, plan, at));
        requests.extend(Parts::new(&line_items::RESOURCE, existing).requests(items));
        let entries = billing::entries(body(plan, "transactions"));
        requests.extend(Parts::new(&transactions::RESOURCE, existing).requests(entries.into_iter()));
        match self.set_status(plan, at, known) {
            Ok(request) => requests.extend(request),
            Err(fault) => faults.push(fault),
        }
        if faults.is_empty() { Ok(requests) } else { Err(faults) }
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn answered(&self, mut answer: Value) -> Value {
        match answer.get_mut(RESOURCE.list_root).and_then(Value::as_array_mut).and_then(Vec::pop) {
            Some(invoice) => invoice,
            None => answer,
        }
    }

    fn repair(&self, plan: &Plan, at: &At<'_>, entry: &Value) -> Vec<Request> {
        let known = self.know(entry, at.data_source);
        self.set_status(plan, at, known.as_ref()).ok().flatten().into_iter().collect()
    }

    fn joins(&self, plan: &Plan, object: &str, next: &Plan) -> bool {
        let makes = |plan: &Plan| matches!(plan.mode, Mode::Insert | Mode::Upsert);
        if object == RESOURCE.name {
            // Of one that may be made the rows join its import, whatever plans they name. Whether a null clears is unknown, and
            // an import has none.
            let imported = matches!(plan.target, Target::Key(_)) && plan.mode == Mode::Upsert;
            return match imported && next.mode == Mode::Upsert {
                true => {
                    let nulls = next.body.fields().any(|(_, value)| value == "null");
                    !nulls && plan.target == next.target && plan.parents().eq(next.parents())
                }
                false => plan.is_about_the_same_as(next),
            };
        }
        if !makes(plan) || !makes(next) {
            return false;
        }
        let part = object == line_items::RESOURCE.name || object == transactions::RESOURCE.name;
        let mine = next.parents().next().map(|invoice| &invoice.by);
        part && plan.target.key().is_some_and(|key| mine == Some(&By::Key(key.into())))
    }

    fn join(&self, plan: &Plan, others: &[(&str, &Plan)]) -> Option<Plan> {
        let mut lists =
            [&line_items::RESOURCE, &transactions::RESOURCE].map(|part| (part, billing::entries(body(plan, part.list_root))));
        let mut joined = plan.clone();
        for (object, other) in others {
            for reference in other.refs.iter().filter(|reference| reference.kin == Kin::Plan) {
                if !joined.refs.iter().any(|known| known.kin == Kin::Plan && known.by == reference.by) {
                    joined.refs.push(reference.clone());
                }
            }
            if *object == RESOURCE.name {
                for (slot, value) in other.body.fields().filter(|(_, value)| *value != "null") {
                    joined.body.replace(slot, value);
                }
                for (part, list) in &mut lists {
                    billing::lay_over(list, billing::entries(body(other, part.list_root)), part, &[]);
                }
                continue;
            }
            let (part, list) = lists.iter_mut().find(|(part, _)| part.name == *object)?;
            let mut entry = Map::new();
            for (slot, value) in other.body.fields().filter(|(_, value)| *value != "null") {
                let field = part.all_fields().nth(usize::from(slot.field))?;
                entry.insert(field.name.to_owned(), serde_json::from_str(value).ok()?);
            }
            for reference in other.refs.iter().filter(|reference| reference.kin == Kin::Plan) {
                let [given, left] = match reference.by {
                    By::Key(_) => ["plan_external_id", "plan_uuid"],
                    By::Uuid(_) => ["plan_uuid", "plan_external_id"],
                };
                entry.insert(given.to_owned(), reference.by.text().into());
                entry.insert(left.to_owned(), Value::Null);
            }
            // A row of its own is not found by its plan.
            billing::lay_over(list, vec![entry], part, &["plan_external_id", "plan_uuid"]);
        }
        for (part, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            let slot = Slot { field: RESOURCE.slot(part.list_root)?, inner: None };
            joined.body.replace(slot, &common::json(list));
        }
        Some(joined)
    }

    fn brings(&self, plan: &Plan) -> LaneKeys {
        let own = plan.target.key().map(|key| LaneKey::key(RESOURCE.name, key));
        let items = billing::entries(body(plan, "line_items"));
        let subscriptions = items.iter().filter_map(|item| item.get("subscription_external_id")?.as_str());
        own.into_iter().chain(subscriptions.map(|key| LaneKey::key("subscriptions", key))).collect()
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","external_id":"inv-1","date":"2026-01-01T00:00:00Z","due_date":"2026-01-15","currency":"USD","line_items":[{"type":"subscription","external_id":"li-1","subscription_external_id":"s-1","plan_external_id":"gold-monthly","service_period_start":"2026-01-01T00:00:00Z","service_period_end":"2026-02-01T00:00:00Z","amount_in_cents":9900,"quantity":1},{"type":"one_time","external_id":"li-2","description":"Setup","amount_in_cents":-500}],"transactions":[{"type":"payment","external_id":"tr-1","date":"2026-01-02T00:00:00Z","result":"successful"}]}"#,
        ]
    }
}

impl Invoices {
    /// The request that sets the status, where the record asks for one that can be set and the invoice has another.
    fn set_status(&self, plan: &Plan, at: &At<'_>, known: Option<&Known>) -> Result<Option<Request>, Fault> {
        let (Some(slot), Some(text)) = (RESOURCE.slot("status"), body(plan, "status")) else { return Ok(None) };
        let slot = Slot { field: slot, inner: None };
        let Some(field) = RESOURCE.field("status") else { return Ok(None) };
        let wanted = text.trim_matches('"');
        let holds = |text: &str| known.and_then(|known| known.holds(slot, field, text));
        if !SETTABLE.contains(&wanted) {
            let fixed = SETTABLE.into_iter().find(|word| holds(&format!("\"{word}\"")) == Some(true));
            return match fixed {
                Some(word) => {
                    Err(Fault::field(Code::FieldFixed, "status", format!("the invoice is {word}, and the API has no way back")))
                }
                None => Ok(None),
            };
        }
        let key = plan.target.key().or_else(|| known?.keys().next());
        let Some(key) = key.filter(|_| holds(text) != Some(true)) else { return Ok(None) };
        let path = format!("/data_sources/{}/invoices/{}/status", at.data_source, common::encoded(key));
        let body = format!("{{\"status\":{text}}}");
        let request = Request::new(Method::Put, path, Some(body), "set invoice status").shows(Shows::Unseen);
        // The invoice's number stands in the path.
        Ok(Some(Request { hides_path: true, ..request }))
    }
}

/// Whether an entry shows another value of a reference than this one.
pub(super) fn is_other(known: &Known, name: &str, uuid: &str) -> bool {
    let (Some(at), Some(field)) = (RESOURCE.slot(name), RESOURCE.field(name)) else { return false };
    let slot = Slot { field: at, inner: None };
    !uuid.is_empty() && known.is_set(at) == Some(true) && known.holds(slot, field, &common::json(&uuid)) == Some(false)
}

/// The plans that line items name, each once.
fn plans_of(items: &[Map<String, Value>]) -> Vec<Reference> {
    let mut refs: Vec<Reference> = Vec::new();
    for item in items {
        let text = |name: &str| item.get(name).and_then(Value::as_str).map(Into::into);
        let by = match (text("plan_uuid"), text("plan_external_id")) {
            // A UUID is used as it is.
            (Some(_), _) | (None, None) => continue,
            (None, Some(key)) => By::Key(key),
        };
        if !refs.iter().any(|known| known.by == by) {
            let field = "line_items.plan_external_id";
            refs.push(Reference { kin: Kin::Plan, by, role: Role::Mention, need: Need::Uuid, field });
        }
    }
    refs
}

fn body<'p>(plan: &'p Plan, name: &str) -> Option<&'p str> {
    plan.body.get(Slot { field: RESOURCE.slot(name)?, inner: None }).filter(|text| *text != "null")
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "invoices",
    summary: "Invoices with their line items and transactions.",
    path: "/invoices",
    id: "uuid",
    uuid_prefix: "inv_",
    list_root: "invoices",
    filters: &["customer_uuid", "data_source_uuid", "external_id", "validation_type"],
    calls: Calls {
        create: "create invoice",
        read: "read invoice",
        look_up: "look up invoices",
        list: "list invoices",
        update: "update invoice",
        delete: "delete invoice",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("inv_"),
            "ChartMogul's own UUID of the invoice; no key is looked up for it.",
            "\"inv_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field(
            "data_source_uuid",
            Kind::Uuid("ds_"),
            "Must be the configured data source; may be left out.",
            "\"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &FIELDS,
    attributes: None,
    pages: &["Import Invoices", "Update an Invoice", "Update an Invoice Status", "Delete an Invoice", "List Invoices"],
};

static FIELDS: [Field; 8] = [
    field("external_id", Kind::ExternalId, "Your number of the invoice, unique in the data source.", "\"inv-1\"").required(),
    field("date", Kind::Timestamp, "Date of the invoice.", "\"2026-01-01T00:00:00.000Z\"").required(),
    field("due_date", Kind::Timestamp, "When it is to be paid.", "\"2026-01-15T00:00:00.000Z\""),
    field("currency", Kind::Currency, "Currency of all its amounts.", "\"USD\"").required(),
    // Answered since 2025; older answers do not show it.
    field("collection_method", Kind::OneOf(&["automatic", "manual"]), "How it is paid.", "\"automatic\"").not_kept(),
    field(
        "status",
        Kind::OneOf(&["voided", "written_off", "open", "paid", "refunded"]),
        "`voided` or `written_off` are set; the others are computed by ChartMogul and are not sent.",
        "\"voided\"",
    )
    .not_kept()
    .apart(),
    field(
        "line_items",
        Kind::List(&LINE_ITEM),
        "What is billed; needed to make an invoice.",
        "[{\"type\":\"one_time\",\"amount_in_cents\":9900}]",
    ),
    field(
        "transactions",
        Kind::List(&TRANSACTION),
        "Payments and refunds.",
        "[{\"type\":\"payment\",\"date\":\"2026-01-02T00:00:00.000Z\",\"result\":\"successful\"}]",
    ),
];
