//! `demo` as a newcomer runs it: what arrives of the bundled sync, what does not and why, and that nothing is left over.

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;

use crate::harness::ByHand;

/// What one run printed; it is long, so that one serves all tests.
static PRINTED: LazyLock<String> = LazyLock::new(|| {
    let ByHand { code, stdout, stderr } = ByHand::run(&["demo"]);
    assert!(code == Some(0) && stderr.is_empty(), "{stdout}\n{stderr}");
    stdout
});

/// Messages of the bundled sync of this type.
fn bundled(kind: &str) -> usize {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/examples/demo/sync.jsonl");
    let sync = fs::read_to_string(path).unwrap();
    sync.lines().filter(|line| serde_json::from_str::<Value>(line).unwrap()["type"] == kind).count()
}

/// The words of the table's lines: stream, what it becomes, and the numbers.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = PRINTED.lines().skip_while(|line| !line.starts_with("stream "));
    lines.take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn all_of_a_small_company_arrives_under_its_objects() {
    let expected = "\
        stream becomes read created updated unchanged rejected
        plans plans 7 7 0 0 0
        plan_families plan_groups 4 4 0 0 0
        accounts customers 603 468 94 36 5
        people contacts 475 474 0 0 1
        account_traits custom_attributes 278 0 277 0 1
        account_labels tags 122 0 122 0 0
        invoices invoices 465 461 0 0 4
        ledger_invoices invoices 61 60 0 0 1
        ledger_lines line_items 86 86 0 0 0
        ledger_payments transactions 52 52 0 0 0
        contract_events subscription_events 103 102 0 0 1
        cancellations subscription_cancellations 49 0 48 0 1
        plan_switches subscription_connections 4 0 4 0 0
        crm_notes customer_notes 327 327 0 0 0
        deals opportunities 125 95 29 0 1
        todos tasks 84 83 0 0 1
        duplicates customer_merges 8 0 8 0 0
        2853 2219 582 36 16";
    assert_eq!(rows().iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n        "), expected, "{}", *PRINTED);
    assert!(PRINTED.contains(
        "\nIn the account now: 1 data sources, 460 customers, 474 contacts, 327 customer notes, 95 opportunities, 83 tasks, 7 \
         plans, 4 plan groups, 521 invoices, 448 subscriptions, 102 subscription events\n"
    ));
}

#[test]
fn every_record_has_an_outcome_and_every_state_comes_back() {
    let (records, states) = (bundled("RECORD"), bundled("STATE"));
    let words = format!("\n{records} records read, {records} with an outcome; {states} of {states} STATEs came back\n");
    assert!(PRINTED.contains(&words), "{words}{}", *PRINTED);
}

#[test]
fn each_reject_is_told_with_its_reason() {
    let faults = PRINTED.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(':'));
    let faults: Vec<&str> = faults.map(|(code_and_field, _)| code_and_field).collect();
    assert_eq!(
        faults,
        [
            "FIELD_VALUE email",
            "FIELD_VALUE country",
            "FIELD_VALUE lead_created_at",
            "FIELD_MISSING external_id",
            "ATTRIBUTE_TYPE seats",
            "ATTRIBUTE_NESTED features",
            "ATTRIBUTE_KEY notes from sales",
            "PARENT_NOT_FOUND customer_external_id",
            "FIELD_TOO_LONG value",
            "FIELD_VALUE transactions[1].amount_in_cents",
            "PARENT_NOT_FOUND line_items.plan_external_id",
            "FIELD_VALUE currency",
            "FIELD_FIXED status",
            "FIELD_MISSING line_items",
            "FIELD_VALUE event_type",
            "PARENT_NOT_FOUND subscription_external_id",
            "API_REFUSED pipeline",
            "API_REFUSED assignee",
        ]
    );
}

#[test]
fn it_says_what_it_cost_and_where_to_look() {
    let line = PRINTED.lines().find(|line| line.contains(" requests, ")).unwrap();
    let requests: usize = line.split(' ').next().unwrap().parse().unwrap();
    let looks: usize = line.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(0 < looks && looks < requests && requests < 2 * bundled("RECORD"), "{line}");
    assert!(PRINTED.contains("in one second and ") && PRINTED.contains("at ChartMogul's 40 requests a second"), "{}", *PRINTED);
    assert!(PRINTED.contains("--keep") && PRINTED.contains("--real-limits"), "{}", *PRINTED);
}
