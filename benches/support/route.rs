//! What the conductor does with items, with every plan settled as soon as its turn comes: the road of a record without the
//! network, and with nothing else left out.

use std::collections::VecDeque;

use destination_chartmogul::binding::Bindings;
use destination_chartmogul::config::Settings;
use destination_chartmogul::engine::intake::{Intake, Item, PlannedRecord};
use destination_chartmogul::engine::lanes::{JobId, Lanes};
use destination_chartmogul::engine::ledger::{Ledger, Ready, Scope, Ticket};
use destination_chartmogul::plan::Plan;
use destination_chartmogul::protocol::{ConfiguredCatalog, StateKind, StateMessage};
use destination_chartmogul::store::Mark;

/// As the conductor bounds them.
const MAX_JOBS: usize = 4096;
const MAX_RUNNING: usize = 256;

/// The bindings of a catalog under default settings.
pub(crate) fn bindings(catalog: &str) -> Bindings {
    let settings =
        r#"{"api_key":"0123456789abcdef0123456789abcdef","data_source_uuid":"ds_5a4db0c5-0000-4000-8000-000000000001"}"#;
    let settings = Settings::load(settings, None).expect("the settings are the smallest there are");
    let catalog = ConfiguredCatalog::parse(catalog).expect("the catalog is ours");
    Bindings::new(&catalog, &settings).expect("the catalog's streams are objects")
}

struct Job {
    ticket: Ticket,
    plan: Box<Plan>,
}

/// Records on their way.
pub(crate) struct Route<'r> {
    bindings: &'r Bindings,
    ledger: Ledger<StateMessage>,
    lanes: Lanes<Job>,
    running: VecDeque<(JobId, Job)>,
    queued_bytes: usize,
    /// Records settled.
    pub(crate) records: u64,
    /// Those among them that were settled without a plan.
    pub(crate) without_plan: u64,
    /// STATEs let go, as they would be printed.
    pub(crate) states: Vec<String>,
}

impl<'r> Route<'r> {
    /// Nothing is on its way.
    pub(crate) fn new(bindings: &'r Bindings) -> Self {
        Self {
            bindings,
            ledger: Ledger::new(bindings.len()),
            lanes: Lanes::default(),
            running: VecDeque::new(),
            queued_bytes: 0,
            records: 0,
            without_plan: 0,
            states: Vec::new(),
        }
    }

    /// Takes all items of an intake, to its end.
    pub(crate) async fn run(&mut self, mut intake: Intake) {
        loop {
            self.start();
            if self.lanes.len() < MAX_JOBS
                && let Some(item) = intake.ready()
            {
                self.take(item);
            } else if !self.settle_one() {
                match intake.next().await {
                    Some(item) => self.take(item),
                    None => return,
                }
            }
        }
    }

    /// Takes one item, as the conductor does.
    pub(crate) fn take(&mut self, item: Item) {
        match item {
            Item::Record { stream, planned, .. } => {
                let ticket = self.ledger.admit(stream);
                match planned {
                    PlannedRecord::Plan(plan) => {
                        self.queued_bytes += plan.bytes();
                        self.lanes.push(plan.lanes("customers"), Job { ticket, plan });
                    }
                    PlannedRecord::Settled(outcome, _) => {
                        self.without_plan += 1;
                        self.settle(ticket, outcome.is_rejected());
                    }
                }
            }
            Item::State(state) => {
                let scope = match state.kind() {
                    StateKind::Stream(id) => self.bindings.find(id.as_ref()).map_or(Scope::Foreign, Scope::Stream),
                    StateKind::Global | StateKind::Legacy => Scope::All,
                };
                let ready = self.ledger.barrier(scope, state).expect("the states are of one kind");
                self.emit(ready);
            }
            Item::Broken(failure) => panic!("{failure}"),
            Item::Status(..) | Item::UnknownType(_) => {}
        }
    }

    /// Settles what is left.
    #[allow(dead_code, reason = "only a bench that takes items one by one needs it")]
    pub(crate) fn finish(&mut self) {
        loop {
            self.start();
            if !self.settle_one() {
                return;
            }
        }
    }

    fn start(&mut self) {
        while self.running.len() < MAX_RUNNING
            && let Some(started) = self.lanes.start()
        {
            self.running.push_back(started);
        }
    }

    fn settle_one(&mut self) -> bool {
        let Some((id, Job { ticket, plan })) = self.running.pop_front() else { return false };
        self.queued_bytes -= plan.bytes();
        self.settle(ticket, false);
        self.lanes.done(id);
        true
    }

    fn settle(&mut self, ticket: Ticket, rejected: bool) {
        self.records += 1;
        let ready = self.ledger.settle(ticket, rejected, Mark::default());
        self.emit(ready);
    }

    fn emit(&mut self, ready: Vec<Ready<StateMessage>>) {
        self.states.extend(ready.into_iter().map(|ready| ready.state.stamped(ready.loaded, ready.rejected)));
    }
}
