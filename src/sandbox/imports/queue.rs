//! Imports under way and done: whose turn it is, and what each says of itself.
//!
//! Owns the order of processing and `status_details`. Does not own what becomes of an object.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::Fate;
use super::form::{Kind, Sent};
use super::readings::{End, Failures, Overlap, Readings};
use crate::sandbox::store::timestamp;

/// All imports of the account, by number, ascending as they came.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Imports {
    all: BTreeMap<u64, Import>,
    running: BTreeSet<u64>,
    next: u64,
    /// Records that failed, by data source.
    failed: HashMap<String, usize>,
}

/// One import.
#[derive(Debug)]
pub(super) struct Import {
    id: String,
    external_id: String,
    source: String,
    created: i64,
    updated: i64,
    /// When its first record is taken up.
    begins: i64,
    state: Progress,
    left: VecDeque<Step>,
    done: i64,
    customers: BTreeSet<String>,
    invoices: BTreeMap<String, InvoiceSent>,
    plans: Option<Fate>,
    /// The worst fate of each kind, by the customer's external id.
    fates: BTreeMap<String, BTreeMap<Kind, Fate>>,
    any_failed: bool,
}

/// Documented: `queued`, `processing`, `completed` ("Track Import Status").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queued,
    Processing,
    Ended,
}

#[derive(Debug)]
struct InvoiceSent {
    customer: Option<String>,
    fate: Fate,
}

/// One object that waits for its turn.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) sent: Sent,
    customer: Option<String>,
    /// Whether it gets lost, since another import of its customer was under way.
    pub(super) is_lost: bool,
}

/// A turn: which import, and the moment it was due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    number: u64,
    pub(super) moment: i64,
}

impl Import {
    /// `customers` says whose each object is, by external id.
    pub(super) fn new(
        (id, external_id, source): (String, String, String),
        created: i64,
        sent: Vec<Sent>,
        customers: Vec<Option<String>>,
    ) -> Import {
        let mut invoices = BTreeMap::new();
        for (one, customer) in sent.iter().zip(&customers).filter(|(one, _)| one.kind == Kind::Invoices) {
            let external_id = one.text("external_id").unwrap_or_default().to_owned();
            invoices.insert(external_id, InvoiceSent { customer: customer.clone(), fate: Fate::Imported });
        }
        let all = customers.iter().flatten().cloned().collect();
        let steps = sent.into_iter().zip(customers).map(|(sent, customer)| Step { sent, customer, is_lost: false });
        Import {
            id,
            external_id,
            source,
            created,
            updated: created,
            begins: created,
            state: Progress::Queued,
            left: steps.collect(),
            done: 0,
            customers: all,
            invoices,
            plans: None,
            fates: BTreeMap::new(),
            any_failed: false,
        }
    }

    fn due(&self, pace: i64) -> i64 {
        self.begins.saturating_add(pace.saturating_mul(self.done + 1))
    }

    fn ends(&self, pace: i64) -> i64 {
        let left = i64::try_from(self.left.len()).unwrap_or(i64::MAX);
        self.begins.saturating_add(pace.saturating_mul(self.done.saturating_add(left)))
    }

    fn note(&mut self, step: &Step, fate: Fate) {
        let worse = |known: &mut Fate| {
            if fate == Fate::Failed {
                *known = Fate::Failed;
            }
        };
        self.any_failed |= fate == Fate::Failed;
        if step.sent.kind == Kind::Plans {
            worse(self.plans.get_or_insert(Fate::Imported));
        }
        if let Some(customer) = &step.customer {
            worse(self.fates.entry(customer.clone()).or_default().entry(step.sent.kind).or_insert(Fate::Imported));
        }
        if step.sent.kind == Kind::Invoices
            && let Some(invoice) = step.sent.text("external_id").and_then(|id| self.invoices.get_mut(id))
        {
            worse(&mut invoice.fate);
        }
    }

    /// The import as the API shows it. Documented: moments without milliseconds.
    pub(super) fn as_json(&self, readings: &Readings) -> Value {
        let moment = |nanos| timestamp(nanos).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let status = match self.state {
            Progress::Queued => "queued",
            Progress::Processing => "processing",
            Progress::Ended if self.any_failed && readings.end == End::Failed => "failed",
            Progress::Ended => "completed",
        };
        json!({
            "id": self.id,
            "data_source_uuid": self.source,
            "status": status,
            "external_id": self.external_id,
            "status_details": self.details(readings.failures),
            "created_at": moment(self.created),
            "updated_at": moment(self.updated),
        })
    }

    /// Documented: an entry `plans`, and one for each customer by its external id, with one for each kind in it; a customer
    /// that is called `plans` cannot be told from them. Unknown: what stands there before the end, here nothing; and whether
    /// kinds that were not sent stand there, here they do not.
    fn details(&self, failures: Failures) -> Map<String, Value> {
        let mut details = Map::new();
        if self.state != Progress::Ended {
            return details;
        }
        let shown = |fate: Fate| match (failures, fate) {
            (Failures::Silent, _) | (_, Fate::Imported) => Some("imported"),
            (Failures::Told, Fate::Failed) => Some("failed"),
            (Failures::Missing, Fate::Failed) => None,
        };
        let status = |word: &str| json!({"status": word});
        for (customer, kinds) in &self.fates {
            let told: Vec<_> = kinds.iter().filter_map(|(kind, fate)| Some((kind.name(), shown(*fate)?))).collect();
            if told.is_empty() {
                continue;
            }
            let overall = if told.iter().any(|(_, word)| *word == "failed") { "failed" } else { "imported" };
            let mut entry = Map::from_iter([("status".to_owned(), overall.into())]);
            entry.extend(told.into_iter().map(|(kind, word)| (kind.to_owned(), status(word))));
            details.insert(customer.clone(), Value::Object(entry));
        }
        if let Some(word) = self.plans.and_then(shown) {
            details.insert("plans".to_owned(), status(word));
        }
        details
    }
}

impl Imports {
    /// Takes an import in, and says what becomes of customers that another one is busy with.
    pub(super) fn add(&mut self, mut import: Import, readings: &Readings) -> &Import {
        import.begins = import.created.saturating_add(readings.delay());
        for other in self.running.iter().filter_map(|number| self.all.get(number)) {
            if other.source != import.source || other.customers.is_disjoint(&import.customers) {
                continue;
            }
            match readings.overlap {
                Overlap::Serial => import.begins = import.begins.max(other.ends(readings.pace())),
                Overlap::Lost => {
                    let busy = |step: &&mut Step| step.customer.as_ref().is_some_and(|one| other.customers.contains(one));
                    import.left.iter_mut().filter(busy).for_each(|step| step.is_lost = true);
                }
            }
        }
        let number = self.next;
        self.next += 1;
        self.running.insert(number);
        self.all.entry(number).or_insert(import)
    }

    /// The newest import of this id or external id.
    pub(super) fn named(&self, source: &str, name: &str) -> Option<&Import> {
        let mut newest = self.all.values().rev().filter(|import| import.source == source);
        newest.find(|import| import.external_id == name || import.id == name)
    }

    /// The customer of an invoice that is still under way.
    pub(super) fn customer_of(&self, source: &str, invoice: &str) -> Option<&str> {
        let running = self.running.iter().rev().filter_map(|number| self.all.get(number));
        let mut ours = running.filter(|import| import.source == source).filter_map(|import| import.invoices.get(invoice));
        ours.find_map(|invoice| invoice.customer.as_deref())
    }

    /// The turn that was due first, up to now. Imports whose time has come leave the queue.
    pub(super) fn next_turn(&mut self, readings: &Readings, now: i64) -> Option<Turn> {
        let mut next: Option<Turn> = None;
        for number in &self.running {
            let Some(import) = self.all.get_mut(number) else { continue };
            if import.state == Progress::Queued && import.begins <= now {
                import.state = Progress::Processing;
                import.updated = import.begins;
            }
            let moment = import.due(readings.pace());
            if moment <= now && next.is_none_or(|other| moment < other.moment) {
                next = Some(Turn { number: *number, moment });
            }
        }
        next
    }

    /// The object whose turn it is, and its data source.
    pub(super) fn take(&mut self, turn: Turn) -> Option<(String, Step)> {
        let import = self.all.get_mut(&turn.number)?;
        import.done += 1;
        import.updated = turn.moment;
        let step = import.left.pop_front()?;
        Some((import.source.clone(), step))
    }

    /// Notes what became of it. The external ids of all invoices of the import if it was the last one.
    pub(super) fn note(&mut self, turn: Turn, step: &Step, fate: Fate) -> Vec<String> {
        let Some(import) = self.all.get_mut(&turn.number) else { return Vec::new() };
        import.note(step, fate);
        if fate == Fate::Failed {
            *self.failed.entry(import.source.clone()).or_default() += 1;
        }
        if !import.left.is_empty() {
            return Vec::new();
        }
        import.state = Progress::Ended;
        self.running.remove(&turn.number);
        import.invoices.keys().cloned().collect()
    }

    /// Notes that an invoice failed which had been taken.
    pub(super) fn fail_invoice(&mut self, turn: Turn, invoice: &str) {
        let Some(import) = self.all.get_mut(&turn.number) else { return };
        let Some(sent) = import.invoices.get_mut(invoice) else { return };
        if sent.fate == Fate::Imported {
            *self.failed.entry(import.source.clone()).or_default() += 1;
        }
        (sent.fate, import.any_failed) = (Fate::Failed, true);
        if let Some(kinds) = sent.customer.as_ref().and_then(|customer| import.fates.get_mut(customer)) {
            kinds.insert(Kind::Invoices, Fate::Failed);
        }
    }

    /// Forgets imports that ended before this moment.
    pub(super) fn forget(&mut self, before: i64) {
        self.all.retain(|_, import| import.state != Progress::Ended || import.updated > before);
    }

    /// Forgets all of a data source, also what is under way.
    pub(in crate::sandbox) fn forget_source(&mut self, source: &str) {
        self.all.retain(|_, import| import.source != source);
        self.running.retain(|number| self.all.contains_key(number));
        self.failed.remove(source);
    }

    /// Records of a data source that wait for their turn.
    pub(in crate::sandbox) fn pending(&self, source: &str) -> usize {
        let running = self.running.iter().filter_map(|number| self.all.get(number));
        running.filter(|import| import.source == source).map(|import| import.left.len()).sum()
    }

    /// Records of a data source that failed, since it began.
    pub(in crate::sandbox) fn failed(&self, source: &str) -> usize {
        self.failed.get(source).copied().unwrap_or_default()
    }

    /// All that can be asked for, newest first.
    pub(in crate::sandbox) fn dump(&self, readings: &Readings) -> Vec<Value> {
        self.all.values().rev().map(|import| import.as_json(readings)).collect()
    }
}
