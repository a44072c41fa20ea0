//! How many requests a sync takes, against the formula, in simulated time.
//!
//! The figure to reach, for an upsert of N new, M changed and K unchanged records over C that exist: at most
//! `ceil(C / 200) + N + M + 3` requests where as many keys wait as there are pages, and at worst twice the pages. The same
//! rows once more write nothing. What records refer to is a list of its own and costs its pages too. With `--nocapture`
//! each test prints what it counted.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{catalog, record, run, settings};
use crate::sandbox::{Observed, Options, Sandbox};

/// The most entries that a page of a list holds (vendor page "Pagination").
const PAGE: u64 = 200;

/// Rows of one object.
struct Kind {
    object: &'static str,
    /// The fields by which rows without a key of their own are found.
    found_by: Option<&'static str>,
    /// What each row refers to: a customer of its own, and how many plans all share.
    of_customer: bool,
    plans: u64,
    /// The row of a number.
    row: fn(u64) -> Value,
    /// What of it is another when it has changed.
    changed: fn() -> Value,
}

/// How many rows, over how many others that the account has.
#[derive(Clone, Copy)]
struct Case {
    new: u64,
    changed: u64,
    unchanged: u64,
    others: u64,
}

impl Case {
    fn rows(self) -> u64 {
        self.new + self.changed + self.unchanged
    }

    fn existing(self) -> u64 {
        self.changed + self.unchanged + self.others
    }
}

const CUSTOMERS: Kind = Kind {
    object: "customers",
    found_by: None,
    of_customer: false,
    plans: 0,
    row: |n| {
        json!({"external_id": format!("c-{n}"), "name": format!("Customer {n}"), "email": format!("{n}@example.com"), "country": "US",
            "seats": n, "score": 1.5, "tier": "gold", "since": "2026-01-02T03:04:05Z", "active": n.is_multiple_of(2)})
    },
    changed: || json!({"name": "Changed", "seats": 1_000_000, "tier": "silver"}),
};

const OTHERS: &[Kind] = &[
    Kind {
        object: "plans",
        found_by: None,
        of_customer: false,
        plans: 0,
        row: |n| json!({"external_id": format!("p-{n}"), "name": format!("Plan {n}"), "interval_count": 1, "interval_unit": "month"}),
        changed: || json!({"name": "Changed"}),
    },
    Kind {
        object: "invoices",
        found_by: None,
        of_customer: true,
        plans: 1,
        row: |n| {
            json!({"external_id": format!("i-{n}"), "customer_external_id": format!("c-{n}"), "date": "2026-01-01", "currency": "USD",
                "line_items": [{"type": "subscription", "external_id": format!("li-{n}"), "subscription_external_id": format!("s-{n}"),
                    "plan_external_id": "p-0", "service_period_start": "2026-01-01", "service_period_end": "2026-02-01",
                    "amount_in_cents": 9900}],
                "transactions": [{"type": "payment", "external_id": format!("tr-{n}"), "date": "2026-01-02", "result": "successful"}]})
        },
        changed: || json!({"due_date": "2026-01-31"}),
    },
    Kind {
        object: "contacts",
        found_by: None,
        of_customer: true,
        plans: 0,
        row: |n| json!({"customer_external_id": format!("c-{n}"), "external_id": format!("k-{n}"), "email": format!("{n}@example.com")}),
        changed: || json!({"title": "CEO"}),
    },
    Kind {
        object: "customer_notes",
        found_by: Some("created_at"),
        of_customer: true,
        plans: 0,
        row: |n| json!({"customer_external_id": format!("c-{n}"), "type": "note", "text": format!("Note {n}"), "created_at": "2026-01-01T10:00:00Z"}),
        changed: || json!({"text": "Changed"}),
    },
    Kind {
        object: "subscription_events",
        found_by: None,
        of_customer: true,
        plans: 0,
        row: |n| {
            json!({"external_id": format!("e-{n}"), "customer_external_id": format!("c-{n}"), "event_type": "subscription_cancelled",
                "event_date": "2026-01-01", "effective_date": "2026-01-31", "subscription_external_id": format!("s-{n}")})
        },
        changed: || json!({"effective_date": "2026-02-28"}),
    },
    Kind {
        object: "opportunities",
        found_by: Some("pipeline"),
        of_customer: true,
        plans: 0,
        row: |n| {
            json!({"customer_external_id": format!("c-{n}"), "owner": "owner@example.com", "pipeline": "New Business",
                "pipeline_stage": "Discovery", "estimated_close_date": "2027-01-01", "currency": "USD", "amount_in_cents": n})
        },
        changed: || json!({"amount_in_cents": 1_000_000}),
    },
    Kind {
        object: "tasks",
        found_by: Some("task_details"),
        of_customer: true,
        plans: 0,
        row: |n| {
            json!({"customer_external_id": format!("c-{n}"), "task_details": format!("Task {n}"), "assignee": "owner@example.com",
                "due_date": "2027-01-01"})
        },
        changed: || json!({"due_date": "2027-02-01"}),
    },
];

/// Requests of one run.
struct Counted {
    requests: u64,
    reads: u64,
}

impl Counted {
    fn between(before: &Observed, after: &Observed) -> Self {
        let reads = |observed: &Observed| -> u64 {
            let reads = observed.by_route.iter().filter(|(route, _)| route.starts_with("GET "));
            reads.flat_map(|(_, ends)| ends.values()).sum()
        };
        Self { requests: after.requests - before.requests, reads: reads(after) - reads(before) }
    }
}

impl Kind {
    fn lines(&self, numbers: impl Iterator<Item = u64>, changed: bool) -> String {
        let line = |n| {
            let mut row = (self.row)(n);
            if changed {
                row.as_object_mut().unwrap().extend((self.changed)().as_object().unwrap().clone());
            }
            record(self.object, &row)
        };
        numbers.map(line).collect()
    }

    /// The pages of the lists that rows of this case are looked for in: its own, and those of what they refer to.
    fn pages(&self, case: Case) -> Vec<u64> {
        let customers = self.of_customer.then(|| case.existing() + case.new);
        let plans = Some(self.plans).filter(|plans| *plans > 0);
        [Some(case.existing()), customers, plans].into_iter().flatten().map(|entries| entries.div_ceil(PAGE)).collect()
    }

    /// Runs the case, and its rows once more.
    async fn requests(&self, case: Case) -> (Counted, Counted) {
        let options = Options { requests_per_second: 1_000_000, latency: Duration::from_millis(20), ..Options::default() };
        let sandbox = Sandbox::new(options);
        let (mut streams, mut there) = (vec!["plans"], OTHERS[0].lines(0..self.plans, false));
        if self.of_customer {
            streams.push(CUSTOMERS.object);
            there += &CUSTOMERS.lines(0..case.existing() + case.new, false);
        }
        if !streams.contains(&self.object) {
            streams.push(self.object);
        }
        there += &self.lines(0..case.existing(), false);
        run(&sandbox, &settings(&json!({"mode": "insert"})), &catalog(&streams), there).await.assert_sound();

        let found_by = self.found_by.map(|fields| json!({"stream": self.object, "match": fields}));
        let settings = settings(&json!({"streams": found_by.into_iter().collect::<Vec<_>>()}));
        let (catalog, is_new) = (catalog(&[self.object]), case.existing()..case.existing() + case.new);
        let unchanged = case.changed..case.changed + case.unchanged;
        let rows = self.lines(is_new, false) + &self.lines(0..case.changed, true) + &self.lines(unchanged, false);
        let before = sandbox.observed();
        let ran = run(&sandbox, &settings, &catalog, rows.clone()).await;
        ran.assert_sound();
        let outcomes = (ran.count("created"), ran.count("updated"), ran.count("unchanged"));
        assert_eq!(outcomes, (case.new, case.changed, case.unchanged), "{}", self.object);
        let between = sandbox.observed();
        let ran = run(&sandbox, &settings, &catalog, rows).await;
        ran.assert_sound();
        assert_eq!(ran.count("unchanged"), case.rows(), "{}", self.object);
        (Counted::between(&before, &between), Counted::between(&between, &sandbox.observed()))
    }
}

/// Counts every case of every object, holds it to the formula and prints it.
async fn hold_to_the_formula(kinds: &[Kind], cases: &[Case]) {
    let mut table = format!(
        "\n{:20}{:>6}{:>6}{:>6}{:>7}{:>8}{:>10}{:>7}{:>7}   {:30}{:>10}{:>7}\n",
        "object", "N", "M", "K", "C", "others", "requests", "reads", "most", "=", "again", "writes"
    );
    for kind in kinds {
        for case in cases {
            let (first, again) = kind.requests(*case).await;
            let Case { new, changed, unchanged, others } = *case;
            let lists = kind.pages(*case);
            // Where fewer keys wait than a list has pages, look-ups and pages together come to twice the pages at worst.
            let times = |pages: &u64| if case.rows() >= *pages { 1 } else { 2 };
            let most = lists.iter().map(|pages| times(pages) * pages).sum::<u64>() + new + changed + 3;
            let word = |pages: &u64| if times(pages) == 1 { pages.to_string() } else { format!("2*{pages}") };
            let words: Vec<String> = lists.iter().map(word).collect();
            let words = format!("{} + {new} + {changed} + 3", words.join(" + "));
            let _ = writeln!(
                table,
                "{:20}{new:6}{changed:6}{unchanged:6}{:7}{others:8}{:10}{:7}{most:7}   {words:30}{:10}{:7}",
                kind.object,
                case.existing(),
                first.requests,
                first.reads,
                again.requests,
                again.requests - again.reads
            );
            let most_reads: u64 = lists.iter().map(|pages| 2 * case.rows().min(*pages)).sum::<u64>() + 3;
            assert!(first.requests <= most && first.reads <= most_reads, "{table}the last line is more than it may take");
            assert_eq!(again.requests, again.reads, "{table}a second run of the last line writes");
        }
    }
    println!("{table}");
}

#[tokio::test(start_paused = true)]
async fn an_upsert_takes_no_more_requests_than_the_formula_says() {
    let mut cases = Vec::new();
    for new in [0, 1, 250] {
        for changed in [0, 1, 150] {
            for unchanged in [0, 1, 450] {
                for others in [0, 700] {
                    cases.push(Case { new, changed, unchanged, others });
                }
            }
        }
    }
    cases.retain(|case| case.rows() > 0);
    hold_to_the_formula(&[CUSTOMERS], &cases).await;
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_of_any_other_object() {
    let case = |new, changed, unchanged, others| Case { new, changed, unchanged, others };
    let cases = [case(210, 0, 0, 0), case(60, 40, 250, 150), case(1, 1, 1, 0), case(1, 0, 0, 450), case(0, 1, 1, 450)];
    hold_to_the_formula(OTHERS, &cases).await;
}
