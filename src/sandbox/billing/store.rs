//! Billing objects, and how they hang together.
//!
//! Owns that what refers to each other agrees: an invoice takes its line items and transactions along, a subscription lives
//! as long as a line item or an event names it, a plan knows whether it is used. Owns no rule of the API.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::entries::Transaction;
use super::entries::{Event, EventDraft, Invoice, InvoiceDraft, LineDraft, LineItem, NOWHERE, Plan, PlanGroup, Subscription};
use super::tables::{Entry, Table};
use super::values::{Errors, text};
use crate::sandbox::store::{Fields, SourceKey, State, place_of_stamp};

/// All billing objects of the account.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Billing {
    pub(super) plans: Table<Plan>,
    pub(super) groups: Table<PlanGroup>,
    pub(super) invoices: Table<Invoice>,
    pub(super) line_items: Table<LineItem>,
    pub(super) transactions: Table<Transaction>,
    pub(super) subscriptions: Table<Subscription>,
    pub(super) events: Table<Event>,
    /// Subscriptions that were connected, in the order in which they were named.
    pub(super) connections: BTreeMap<u64, Vec<u64>>,
    plan_uses: HashMap<u64, usize>,
    /// Subscriptions that lost a line item or an event during this change.
    idle: BTreeSet<u64>,
}

/// The error of what names no invoice that there is.
pub(super) const INVOICE: &str = "invoice_external_id";
/// The error of an invoice to which no line item has come.
pub(super) const NO_LINE_ITEMS: &str = "line_items";

/// What a new entry is given.
struct Birth {
    uuid: String,
    created: i64,
    place: u64,
}

impl State {
    fn birth(&mut self, prefix: &str) -> Birth {
        let created = self.stamp();
        Birth { uuid: self.uuid(prefix), created, place: place_of_stamp(created) }
    }

    pub(super) fn add_plan(&mut self, source: &str, external_id: Option<&str>, fields: Fields) -> u64 {
        let Birth { uuid, created, place } = self.birth("pl_");
        let generated = external_id.is_none();
        let external_id = external_id.unwrap_or(uuid.trim_start_matches("pl_")).to_owned();
        let (source, errors) = (source.to_owned(), Errors::new());
        self.billing.plans.insert(place, Plan { uuid, created, source, external_id, generated, fields, errors });
        place
    }

    pub(super) fn add_plan_group(&mut self, name: String, plans: BTreeSet<u64>) -> u64 {
        let Birth { uuid, created, place } = self.birth("plg_");
        self.billing.groups.insert(place, PlanGroup { uuid, created, name, plans });
        place
    }

    pub(super) fn add_invoice(&mut self, draft: InvoiceDraft) -> u64 {
        let Birth { uuid, created, place } = self.birth("inv_");
        let (owner, fields, errors) = (draft.owner, draft.fields, Errors::new());
        let (line_items, transactions) = (Vec::new(), Vec::new());
        let invoice = Invoice { uuid, created, owner, fields, mark: None, line_items, transactions, errors, shadow: false };
        self.billing.invoices.insert(place, invoice);
        for line_item in draft.line_items {
            self.add_line_item(place, line_item);
        }
        for transaction in draft.transactions {
            self.add_transaction(place, transaction);
        }
        place
    }

    /// Adds a line item to an invoice, which has to be there.
    pub(super) fn add_line_item(&mut self, invoice: u64, draft: LineDraft) -> u64 {
        let source = self.billing.invoices.get(invoice).map_or("", Entry::source).to_owned();
        self.put_line_item((source, invoice), draft, Errors::new())
    }

    /// Adds a line item as it is. One with errors makes no subscription.
    pub(super) fn put_line_item(&mut self, (source, invoice): (String, u64), draft: LineDraft, errors: Errors) -> u64 {
        let Birth { uuid, created, place } = self.birth("li_");
        let LineDraft { fields, plan } = draft;
        let is_valid = errors.is_empty();
        let line_item = LineItem { uuid, created, source, invoice, fields, plan: None, subscription: None, errors };
        self.billing.line_items.insert(place, line_item);
        self.billing.invoices.edit(invoice, |invoice| {
            invoice.line_items.push(place);
            invoice.errors.remove(NO_LINE_ITEMS);
        });
        if is_valid {
            self.link_line_item(place, plan);
        } else {
            self.billing.use_plan(plan);
            self.billing.line_items.edit(place, |line_item| line_item.plan = plan);
        }
        place
    }

    pub(super) fn edit_line_item(&mut self, place: u64, draft: LineDraft) {
        self.billing.unlink_line_item(place);
        self.billing.line_items.edit(place, |line_item| {
            line_item.fields = draft.fields;
            // What it refers to is no field of it.
            line_item.errors.retain(|field, _| field == INVOICE);
        });
        self.link_line_item(place, draft.plan);
        self.billing.drop_idle_subscriptions();
    }

    fn link_line_item(&mut self, place: u64, plan: Option<u64>) {
        let Some(line_item) = self.billing.line_items.get(place) else { return };
        let named = text(&line_item.fields, "subscription_external_id").map(str::to_owned);
        let cancelled = text(&line_item.fields, "cancelled_at").map(str::to_owned);
        let owner = self.billing.invoices.get(line_item.invoice).map(|invoice| invoice.owner.clone());
        let subscription = named.zip(owner).map(|(external_id, owner)| self.subscription(&owner, &external_id));
        self.billing.use_plan(plan);
        self.billing.line_items.edit(place, |line_item| {
            line_item.plan = plan;
            line_item.subscription = subscription;
        });
        if let Some(subscription) = subscription {
            self.billing.subscriptions.edit(subscription, |subscription| {
                subscription.line_items.insert(place);
                subscription.cancellations.extend(cancelled);
            });
        }
    }

    /// Adds a transaction to an invoice, which has to be there.
    pub(super) fn add_transaction(&mut self, invoice: u64, fields: Fields) -> u64 {
        let source = self.billing.invoices.get(invoice).map_or("", Entry::source).to_owned();
        self.put_transaction((source, invoice), fields, Errors::new())
    }

    /// Adds a transaction as it is.
    pub(super) fn put_transaction(&mut self, (source, invoice): (String, u64), fields: Fields, errors: Errors) -> u64 {
        let Birth { uuid, created, place } = self.birth("tr_");
        self.billing.transactions.insert(place, Transaction { uuid, created, source, invoice, fields, errors });
        self.billing.invoices.edit(invoice, |invoice| invoice.transactions.push(place));
        place
    }

    /// The subscription of this name; made where there is none.
    fn subscription(&mut self, owner: &SourceKey, external_id: &str) -> u64 {
        if let Some(place) = self.billing.subscription_of(owner, external_id) {
            return place;
        }
        let Birth { uuid, created, place } = self.birth("sub_");
        let (view, id) = (self.uuid(""), self.id());
        let subscription = Subscription {
            uuid,
            created,
            owner: owner.clone(),
            external_id: external_id.to_owned(),
            id,
            view,
            cancellations: BTreeSet::new(),
            line_items: BTreeSet::new(),
            events: BTreeSet::new(),
            connection: None,
        };
        self.billing.subscriptions.insert(place, subscription);
        place
    }

    /// Adds an event as it is. One with errors makes no subscription.
    pub(super) fn add_event(&mut self, draft: EventDraft, errors: Errors) -> u64 {
        let id = self.id().to_string();
        let created = self.stamp();
        let place = place_of_stamp(created);
        self.put_event(place, (id, created, created), draft, errors);
        place
    }

    pub(super) fn edit_event(&mut self, place: u64, draft: EventDraft) {
        let updated = self.now();
        if let Some(old) = self.billing.take_event(place) {
            self.put_event(place, (old.id, old.created, updated), draft, Errors::new());
            self.billing.drop_idle_subscriptions();
        }
    }

    fn put_event(&mut self, place: u64, (id, created, updated): (String, i64, i64), draft: EventDraft, errors: Errors) {
        let EventDraft { owner, fields, plan } = draft;
        let subscription = match text(&fields, "subscription_external_id").filter(|_| errors.is_empty()) {
            Some(external_id) => self.subscription(&owner, external_id),
            None => NOWHERE,
        };
        self.billing.use_plan(plan);
        self.billing.subscriptions.edit(subscription, |subscription| {
            subscription.events.insert(place);
        });
        let event = Event { id, created, updated, owner, fields, plan, subscription, errors };
        self.billing.events.insert(place, event);
    }

    /// Joins subscriptions, together with those they are connected to already.
    pub(super) fn connect(&mut self, named: &[u64]) {
        let mut together: Vec<u64> = Vec::new();
        for place in named {
            let connection = self.billing.subscriptions.get(*place).and_then(|one| one.connection);
            let others = connection.and_then(|number| self.billing.connections.remove(&number)).unwrap_or_default();
            together.retain(|other| other != place);
            together.extend(others.into_iter().filter(|other| other != place && !named.contains(other)));
            together.push(*place);
        }
        let number = self.id();
        for place in &together {
            self.billing.subscriptions.edit(*place, |subscription| subscription.connection = Some(number));
        }
        self.billing.connections.insert(number, together);
    }
}

impl Billing {
    /// Removes all that a customer has under a key.
    pub(in crate::sandbox) fn forget_owner(&mut self, owner: &SourceKey) {
        for place in self.invoices.of_owner(owner).cloned().unwrap_or_default() {
            self.remove_invoice(place);
        }
        for place in self.events.of_owner(owner).cloned().unwrap_or_default() {
            self.remove_event(place);
        }
    }

    /// Removes all that is in a data source.
    pub(in crate::sandbox) fn forget_source(&mut self, source: &str) {
        for place in self.invoices.in_source(source).cloned().unwrap_or_default() {
            self.remove_invoice(place);
        }
        // Those of no invoice.
        for place in self.line_items.in_source(source).cloned().unwrap_or_default() {
            self.remove_line_item(place);
        }
        for place in self.transactions.in_source(source).cloned().unwrap_or_default() {
            self.remove_transaction(place);
        }
        for place in self.events.in_source(source).cloned().unwrap_or_default() {
            self.remove_event(place);
        }
        for place in self.plans.in_source(source).cloned().unwrap_or_default() {
            self.remove_plan(place);
        }
    }

    /// How many objects a data source has.
    pub(in crate::sandbox) fn objects_in(&self, source: &str) -> usize {
        let counts = [
            self.plans.in_source(source),
            self.invoices.in_source(source),
            self.line_items.in_source(source),
            self.transactions.in_source(source),
            self.events.in_source(source),
        ];
        counts.into_iter().flatten().map(BTreeSet::len).sum()
    }

    /// What is wrong with an invoice and what belongs to it. Documented by the official Go client: an error of a line item or
    /// a transaction stands in the invoice below the list's name and the field's.
    pub(super) fn errors_of(&self, invoice: &Invoice) -> Errors {
        let mut errors = invoice.errors.clone();
        let line_items = invoice.line_items.iter().filter_map(|place| self.line_items.get(*place)).map(|one| &one.errors);
        let transactions = invoice.transactions.iter().filter_map(|place| self.transactions.get(*place)).map(|one| &one.errors);
        let nested = line_items.map(|one| ("line_items", one)).chain(transactions.map(|one| ("transactions", one)));
        for (list, faults) in nested {
            errors.extend(faults.iter().map(|(field, problem)| (format!("{list}.{field}"), problem.clone())));
        }
        errors
    }

    pub(super) fn plan_in_use(&self, plan: u64) -> bool {
        self.plan_uses.contains_key(&plan)
    }

    fn use_plan(&mut self, plan: Option<u64>) {
        if let Some(plan) = plan {
            *self.plan_uses.entry(plan).or_default() += 1;
        }
    }

    fn leave_plan(&mut self, plan: Option<u64>) {
        let Some(plan) = plan else { return };
        if let Some(uses) = self.plan_uses.get_mut(&plan) {
            *uses -= 1;
            if *uses == 0 {
                self.plan_uses.remove(&plan);
            }
        }
    }

    /// Removes a plan, also from the groups it is in. There are few groups, so all are looked at.
    pub(super) fn remove_plan(&mut self, place: u64) {
        self.plans.remove(place);
        let holding = self.groups.rows().iter().filter(|(_, group)| group.plans.contains(&place));
        for group in holding.map(|(group, _)| *group).collect::<Vec<_>>() {
            self.groups.edit(group, |group| {
                group.plans.remove(&place);
            });
        }
    }

    pub(super) fn remove_invoice(&mut self, place: u64) {
        let Some(invoice) = self.invoices.remove(place) else { return };
        for line_item in invoice.line_items {
            self.unlink_line_item(line_item);
            self.line_items.remove(line_item);
        }
        for transaction in invoice.transactions {
            self.transactions.remove(transaction);
        }
        self.drop_idle_subscriptions();
    }

    pub(super) fn remove_line_item(&mut self, place: u64) {
        self.unlink_line_item(place);
        if let Some(line_item) = self.line_items.remove(place) {
            self.invoices.edit(line_item.invoice, |invoice| invoice.line_items.retain(|other| *other != place));
        }
        self.drop_idle_subscriptions();
    }

    fn unlink_line_item(&mut self, place: u64) {
        let Some(line_item) = self.line_items.get(place) else { return };
        let (plan, subscription) = (line_item.plan, line_item.subscription);
        self.leave_plan(plan);
        if let Some(subscription) = subscription {
            self.subscriptions.edit(subscription, |subscription| {
                subscription.line_items.remove(&place);
            });
            self.idle.extend([subscription]);
        }
    }

    pub(super) fn remove_transaction(&mut self, place: u64) {
        if let Some(transaction) = self.transactions.remove(place) {
            self.invoices.edit(transaction.invoice, |invoice| invoice.transactions.retain(|other| *other != place));
        }
    }

    pub(super) fn remove_event(&mut self, place: u64) {
        self.take_event(place);
        self.drop_idle_subscriptions();
    }

    fn take_event(&mut self, place: u64) -> Option<Event> {
        let event = self.events.remove(place)?;
        self.leave_plan(event.plan);
        self.subscriptions.edit(event.subscription, |subscription| {
            subscription.events.remove(&place);
        });
        self.idle.extend([event.subscription]);
        Some(event)
    }

    pub(super) fn subscription_of(&self, owner: &SourceKey, external_id: &str) -> Option<u64> {
        let key = SourceKey { source: owner.source.clone(), external_id: external_id.to_owned() };
        let mut places = self.subscriptions.by_key(&key)?.iter().copied();
        places.find(|place| self.subscriptions.get(*place).is_some_and(|one| one.owner == *owner))
    }

    /// Takes a subscription out of its connection; one that is left alone in it is connected to nothing.
    pub(super) fn disconnect(&mut self, place: u64) {
        let Some(number) = self.subscriptions.get(place).and_then(|one| one.connection) else { return };
        let Some(mut together) = self.connections.remove(&number) else { return };
        together.retain(|other| *other != place);
        if !together.is_empty() {
            self.connections.insert(number, together);
        }
        self.subscriptions.edit(place, |subscription| subscription.connection = None);
    }

    /// Documented: a subscription goes with the last thing that names it ("Delete an Invoice").
    fn drop_idle_subscriptions(&mut self) {
        for place in std::mem::take(&mut self.idle) {
            let idle = self.subscriptions.get(place).is_some_and(|one| one.line_items.is_empty() && one.events.is_empty());
            if idle {
                self.disconnect(place);
                self.subscriptions.remove(place);
            }
        }
    }
}
