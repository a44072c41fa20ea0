//! Behaviours of the whole engine, in process and on a paused clock.

use serde_json::{Value, json};

use super::Ending;
use super::testing::{catalog, record, run, run_until, settings, state};
use crate::errors::Code;
use crate::sandbox::{Options, Quirks, Sandbox};

fn sandbox() -> Sandbox {
    Sandbox::new(Options::default())
}

fn fault(sandbox: &Sandbox, spec: &str) {
    sandbox.script(spec.parse().unwrap());
}

/// Everything that stands under a key of the dump, each with its fields laid flat.
fn all(sandbox: &Sandbox, kind: &str) -> Vec<Value> {
    let mut entries = sandbox.dump()[kind].as_array().unwrap().clone();
    for entry in &mut entries {
        let fields = entry["fields"].take();
        entry.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap_or_default());
        if let Some(key) = entry["keys"][0]["external_id"].as_str().map(str::to_owned) {
            entry["external_id"] = key.into();
        }
    }
    entries
}

fn customers(sandbox: &Sandbox) -> Vec<Value> {
    all(sandbox, "customers")
}

fn contacts(sandbox: &Sandbox) -> Vec<Value> {
    all(sandbox, "contacts")
}

#[tokio::test(start_paused = true)]
async fn upsert_creates_what_is_absent_and_changes_what_exists() {
    let sandbox = sandbox();
    let row = |name: &str| record("customers", &json!({"external_id": "a", "name": name, "seats": 3, "tags": ["vip"]}));
    let ran =
        run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), row("One") + &row("Two") + &state("customers", 1)).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.count("updated")), (1, 1));
    assert_eq!(ran.states(), [(2.0, 0.0)]);
    let all = customers(&sandbox);
    assert_eq!((all.len(), &all[0]["name"], &all[0]["custom"]["seats"]), (1, &json!("Two"), &json!(3)), "{all:?}");
    // One look-up and one create: both were read before anything was sent.
    assert_eq!(sandbox.observed().requests, 2);
}

#[tokio::test(start_paused = true)]
async fn insert_leaves_what_exists_alone_and_update_what_is_absent() {
    let sandbox = sandbox();
    let rows = record("customers", &json!({"external_id": "a", "name": "One"}));
    let ran = run(&sandbox, &settings(&json!({"mode": "insert"})), &catalog(&["customers"]), rows.clone()).await;
    ran.assert_sound();
    assert_eq!(sandbox.observed().requests, 1);
    let again = rows.replace("One", "Two") + &record("customers", &json!({"external_id": "b"}));
    let ran = run(&sandbox, &settings(&json!({"mode": "insert"})), &catalog(&["customers"]), again.clone()).await;
    assert_eq!((ran.count("skipped"), ran.count("created")), (1, 1));
    assert_eq!(customers(&sandbox)[0]["name"], "One");
    let more = again + &record("customers", &json!({"external_id": "c"}));
    let ran = run(&sandbox, &settings(&json!({"mode": "update"})), &catalog(&["customers"]), more).await;
    ran.assert_sound();
    assert_eq!(ran.report.total().skips.get("no_match"), Some(&1));
    assert_eq!(customers(&sandbox).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn children_wait_for_their_parents_and_are_rejected_only_at_the_end() {
    let sandbox = sandbox();
    let input = record("contacts", &json!({"customer_external_id": "a", "external_id": "k", "email": "k@x.test"}))
        + &record("contacts", &json!({"customer_external_id": "never", "email": "n@x.test"}))
        + &state("contacts", 1)
        + &record("customers", &json!({"external_id": "a"}))
        + &state("customers", 1);
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["contacts", "customers"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.count("rejected")), (2, 1));
    assert_eq!(ran.report.samples[0].rejection.code(), Code::ParentNotFound);
    assert_eq!(ran.report.parked, 2);
    // The STATE of the children waited for the last of them.
    assert_eq!(ran.states(), [(1.0, 0.0), (1.0, 1.0)]);
    assert_eq!(contacts(&sandbox).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_make_no_duplicates() {
    for effect in ["reset", "status=500", "half", "garbage"] {
        let sandbox = sandbox();
        fault(&sandbox, &format!("POST /customers after-work {effect} x2"));
        fault(&sandbox, &format!("POST /contacts after-work {effect} x2"));
        let mut input = String::new();
        for at in 0..3 {
            input += &record("customers", &json!({"external_id": format!("c{at}"), "name": "N"}));
            input += &record("contacts", &json!({"customer_external_id": format!("c{at}"), "email": format!("k{at}@x.test")}));
            input += &record("contacts", &json!({"customer_external_id": format!("c{at}"), "first_name": "keyless"}));
        }
        let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers", "contacts"]), input).await;
        ran.assert_sound();
        assert_eq!((ran.count("created"), customers(&sandbox).len(), contacts(&sandbox).len()), (9, 3, 6), "{effect}");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_are_found_in_a_list_that_lags() {
    let sandbox = Sandbox::new(Options {
        quirks: Quirks { list_lag: std::time::Duration::from_secs(6), ..Quirks::default() },
        ..Options::default()
    });
    fault(&sandbox, "POST /contacts after-work reset");
    fault(&sandbox, "POST /customers after-work reset");
    let input = record("customers", &json!({"external_id": "a"}))
        + &record("contacts", &json!({"customer_external_id": "a", "email": "k@x.test"}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers", "contacts"]), input).await;
    ran.assert_sound();
    assert_eq!((customers(&sandbox).len(), contacts(&sandbox).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_breaks_the_server_is_rejected_while_the_others_pass() {
    let sandbox = Sandbox::new(Options { customers: 300, ..Options::default() });
    fault(&sandbox, "POST /customers status=500 x*");
    let mut input = record("customers", &json!({"external_id": "poison"}));
    let known = customers(&sandbox);
    for entry in &known {
        input += &record("customers", &json!({"external_id": entry["external_id"], "company": "C"}));
    }
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("updated"), ran.count("rejected")), (300, 1));
    assert_eq!(ran.report.samples[0].rejection.code(), Code::RecordBreaksServer);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_and_one_without_end_is_a_transient_error() {
    let down = sandbox();
    fault(&down, "* status=502 x25");
    let input = record("customers", &json!({"external_id": "a"})) + &state("customers", 1);
    let ran = run(&down, &settings(&json!({})), &catalog(&["customers"]), input.clone()).await;
    ran.assert_sound();
    let gone = sandbox();
    fault(&gone, "* status=502 x*");
    let ran = run(&gone, &settings(&json!({})), &catalog(&["customers"]), input).await;
    let failure = ran.ending.as_ref().unwrap_err();
    assert_eq!((failure.code, failure.kind), (Code::ApiOutage, crate::failure::FailureType::Transient));
    assert!(ran.states().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_in_the_middle_stops_the_sync_and_earlier_states_stand() {
    let sandbox = sandbox();
    fault(&sandbox, "* skip=4 status=401 x*");
    let mut input = String::new();
    for at in 0..10 {
        input += &record("customers", &json!({"external_id": format!("c{at}")}));
        input += &state("customers", at);
    }
    let settings = settings(&json!({"limits": {"connections": 1}}));
    let ran = run(&sandbox, &settings, &catalog(&["customers"]), input).await;
    let failure = ran.ending.as_ref().unwrap_err();
    assert_eq!((failure.code, failure.kind), (Code::KeyRefused, crate::failure::FailureType::Config));
    assert!(ran.states().len() < 10 && ran.states().len() as u64 == ran.count("created"), "{:?}", ran.states());
}

#[tokio::test(start_paused = true)]
async fn a_data_source_that_does_not_exist_stops_the_sync_and_no_state_leaves() {
    let sandbox = sandbox();
    let elsewhere = settings(&json!({"data_source_uuid": "ds_00000000-0000-4000-8000-000000000000"}));
    let input = record("customers", &json!({"external_id": "a"})) + &state("customers", 1);
    let ran = run(&sandbox, &elsewhere, &catalog(&["customers"]), input).await;
    assert_eq!(ran.ending.as_ref().unwrap_err().code, Code::DataSourceUnknown);
    assert_eq!(ran.states(), []);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_no_record_suffers() {
    let sandbox = sandbox();
    for spec in ["* 429 retry-after=3 skip=5", "* 429 skip=20 x3", "* 503 skip=40 x10"] {
        fault(&sandbox, spec);
    }
    let input: String = (0..60).map(|at| record("customers", &json!({"external_id": format!("c{at}")}))).collect();
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.report.client.throttled_429, ran.report.client.throttled_503), (60, 4, 10));
}

#[tokio::test(start_paused = true)]
async fn tags_of_others_stay_and_a_boolean_that_patch_does_not_take_is_set() {
    let sandbox = sandbox();
    let first = record("customers", &json!({"external_id": "a", "tags": ["theirs"], "active": true}));
    run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), first).await.assert_sound();
    let uuid = customers(&sandbox)[0]["uuid"].clone();
    let second = record("customers", &json!({"external_id": "a", "tags": ["ours"], "active": false}))
        + &record("customers", &json!({"uuid": uuid, "tags": ["more"]}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), second).await;
    ran.assert_sound();
    assert_eq!(ran.count("updated"), 2);
    let all = customers(&sandbox);
    let mut tags: Vec<&str> = all[0]["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["more", "ours", "theirs"]);
    assert_eq!(all[0]["custom"]["active"], false);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_by_default_and_deletions_stop_at_their_limits() {
    let sandbox = Sandbox::new(Options { customers: 30, ..Options::default() });
    let keys: Vec<String> = customers(&sandbox).iter().map(|entry| entry["external_id"].as_str().unwrap().to_owned()).collect();
    let input: String = keys
        .iter()
        .map(|key| record("customers", &json!({"external_id": key, "_ab_cdc_deleted_at": "2026-01-01"})) + &state("customers", 1))
        .collect();
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input.clone()).await;
    ran.assert_sound();
    assert_eq!((ran.report.total().skips.get("deletion_ignored"), sandbox.observed().requests), (Some(&30), 0));
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 10}, "limits": {"connections": 1}});
    let ran = run(&sandbox, &settings(&policy), &catalog(&["customers"]), input).await;
    assert_eq!(ran.ending.as_ref().unwrap_err().code, Code::DeleteLimit);
    assert_eq!((customers(&sandbox).len(), ran.count("deleted")), (27, 3));
    let ran = run(
        &sandbox,
        &settings(&policy),
        &catalog(&["customers"]),
        record("customers", &json!({"external_id": "x", "_ab_cdc_deleted_at": true})),
    )
    .await;
    assert_eq!(ran.report.total().skips.get("no_match"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_finishes_what_is_under_way_and_emits_what_is_safe() {
    let sandbox = Sandbox::new(Options { latency: std::time::Duration::from_millis(500), ..Options::default() });
    let input: String =
        (0..500).map(|at| record("customers", &json!({"external_id": format!("c{at}")})) + &state("customers", at)).collect();
    let stop = tokio::time::sleep(std::time::Duration::from_secs(5));
    let ran = run_until(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input, stop).await;
    assert_eq!(ran.ending, Ok(Ending::Interrupted));
    let states = ran.states().len();
    assert!(states > 0 && states < 500 && states as u64 == ran.count("created"), "{states}");
    assert_eq!(customers(&sandbox).len() as u64, ran.count("created"));
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_finishes_what_is_under_way_though_rejects_can_not_be_kept() {
    let (latency, jitter) = (std::time::Duration::from_millis(500), std::time::Duration::from_millis(500));
    let sandbox = Sandbox::new(Options { latency, jitter, ..Options::default() });
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    // A STATE that waits for a reject to be kept after every row.
    let input: String = (0..100)
        .map(|at| {
            let good = record("customers", &json!({"external_id": format!("c{at}")}));
            good + &record("customers", &json!({"external_id": "bad", "email": "no address"})) + &state("customers", at)
        })
        .collect();
    let settings = settings(&json!({"object_storage_config": {"storage_type": "Local", "path": kept}}));
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        std::fs::remove_dir_all(&kept).unwrap();
        std::fs::write(&kept, "").unwrap();
    };
    let ran = run_until(&sandbox, &settings, &catalog(&["customers"]), input, stop).await;
    assert_eq!(ran.ending, Ok(Ending::Interrupted));
    assert!(ran.log.contains("STORE_"), "{}", ran.log);
    assert!(ran.count("created") > ran.states().len() as u64, "{:?}", ran.report.total());
    assert_eq!(customers(&sandbox).len() as u64, ran.count("created"));
}

#[tokio::test(start_paused = true)]
async fn a_broken_line_ends_the_sync_after_what_came_before_it() {
    let sandbox = sandbox();
    let input = record("customers", &json!({"external_id": "a"}))
        + &state("customers", 1)
        + "{\"type\":\n"
        + &record("customers", &json!({"external_id": "b"}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input).await;
    let failure = ran.ending.as_ref().unwrap_err();
    assert_eq!(failure.code, Code::InputMalformed);
    assert!(failure.message.contains("Line 3"), "{failure}");
    assert_eq!((ran.states(), customers(&sandbox).len()), (vec![(1.0, 0.0)], 1));
}

#[tokio::test(start_paused = true)]
async fn contacts_are_found_by_key_then_by_address_and_never_guessed() {
    let sandbox = sandbox();
    let base = record("customers", &json!({"external_id": "a"}))
        + &record("contacts", &json!({"customer_external_id": "a", "email": "one@x.test"}))
        + &record("contacts", &json!({"customer_external_id": "a", "external_id": "k2", "email": "two@x.test"}));
    run(&sandbox, &settings(&json!({})), &catalog(&["customers", "contacts"]), base).await.assert_sound();
    let again =
        record("contacts", &json!({"customer_external_id": "a", "external_id": "k1", "email": "ONE@x.test", "title": "CEO"}))
            + &record("contacts", &json!({"customer_external_id": "a", "external_id": "k2", "phone": "1"}))
            + &record("contacts", &json!({"customer_external_id": "a", "external_id": "k3", "email": "two@x.test"}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["contacts"]), again).await;
    ran.assert_sound();
    // k1 takes over the contact without a key; k3 shares its address with k2, which has a key of its own.
    assert_eq!((ran.count("updated"), ran.count("created")), (2, 1));
    assert_eq!(contacts(&sandbox).len(), 3);
    let uuid = contacts(&sandbox)[0]["customer_uuid"].clone();
    let ran = run(
        &sandbox,
        &settings(&json!({"streams": [{"stream": "contacts", "match": "email"}]})),
        &catalog(&["contacts"]),
        record("contacts", &json!({"customer_uuid": uuid, "email": "two@x.test", "notes": "which?"})),
    )
    .await;
    assert_eq!(ran.report.samples[0].rejection.code(), Code::AmbiguousMatch);
}

#[tokio::test(start_paused = true)]
async fn all_faults_of_a_record_are_told_at_once_and_stop_no_other() {
    let sandbox = sandbox();
    let input = record(
        "customers",
        &json!({"external_id": null, "email": "nobody", "country": "Atlantis", "lead_created_at": "yesterday", "nested": {"a": 1}}),
    ) + &record("customers", &json!({"external_id": "ok", "zip": 76888.0, "country": "us"}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input).await;
    ran.assert_sound();
    let mut fields: Vec<&str> =
        ran.report.samples[0].rejection.faults.iter().map(|fault| fault.field.as_deref().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["country", "email", "external_id", "lead_created_at", "nested"]);
    assert_eq!((&customers(&sandbox)[0]["zip"], &customers(&sandbox)[0]["country"]), (&json!("76888"), &json!("US")));
}

#[tokio::test(start_paused = true)]
async fn a_data_source_that_does_not_exist_never_passes_for_records_without_a_match() {
    let wrong = "ds_11111111-2222-4333-8444-555555555555";
    for (mode, row) in [
        ("update", record("customers", &json!({"external_id": "a"}))),
        ("upsert", record("customers", &json!({"external_id": "a"}))),
        ("upsert", record("contacts", &json!({"customer_external_id": "a", "email": "a@x.test"}))),
    ] {
        let settings = settings(&json!({"mode": mode, "data_source_uuid": wrong}));
        let ran = run(&sandbox(), &settings, &catalog(&["customers", "contacts"]), row + &state("customers", 1)).await;
        assert_eq!(ran.ending.as_ref().unwrap_err().code, Code::DataSourceUnknown, "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_never_reaches_another_data_source() {
    let sandbox =
        Sandbox::new(Options { customers: 40, data_sources: vec!["Sandbox".into(), "Other".into()], ..Options::default() });
    let other = settings(&json!({"data_source_uuid": crate::sandbox::SECOND_DATA_SOURCE_UUID}));
    let rows = record("customers", &json!({"external_id": "theirs"}))
        + &record("contacts", &json!({"customer_external_id": "theirs", "email": "a@x.test"}));
    run(&sandbox, &other, &catalog(&["customers", "contacts"]), rows).await.assert_sound();
    let theirs = customers(&sandbox).into_iter().find(|entry| entry["external_id"] == "theirs").unwrap();
    let input = record("customers", &json!({"uuid": theirs["uuid"], "_ab_cdc_deleted_at": "2026-01-01"}))
        + &record("contacts", &json!({"uuid": contacts(&sandbox)[0]["uuid"], "_ab_cdc_deleted_at": "2026-01-01"}));
    let ours = settings(&json!({"deletions": {"policy": "delete", "max_percent": 100}}));
    let ran = run(&sandbox, &ours, &catalog(&["customers", "contacts"]), input).await;
    ran.assert_sound();
    assert_eq!(ran.report.total().rejects.get(&Code::OtherDataSource), Some(&2));
    assert_eq!((customers(&sandbox).len(), contacts(&sandbox).len()), (41, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_behind_the_parked_record_of_its_key() {
    let sandbox = sandbox();
    let contact = json!({"customer_external_id": "a", "external_id": "k"});
    let mut gone = contact.clone();
    gone["_ab_cdc_deleted_at"] = json!("2026-01-01");
    let input = record("contacts", &contact) + &record("contacts", &gone) + &record("customers", &json!({"external_id": "a"}));
    let settings = settings(&json!({"deletions": {"policy": "delete", "max_percent": 100}}));
    let ran = run(&sandbox, &settings, &catalog(&["contacts", "customers"]), input).await;
    assert_eq!(ran.count("created"), 2);
    assert_eq!(ran.report.total().skips.get("no_match"), None, "the deletion overtook the record that it deletes");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_too_long_is_a_reject_of_its_record() {
    let sandbox = sandbox();
    let input =
        record("customers", &json!({"external_id": "x".repeat(100_000)})) + &record("customers", &json!({"external_id": "ok"}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.report.samples[0].rejection.code()), (1, Code::FieldTooLong));
}

#[tokio::test(start_paused = true)]
async fn one_customer_under_two_names_gets_no_contact_twice() {
    let sandbox = Sandbox::new(Options { latency: std::time::Duration::from_millis(50), ..Options::default() });
    run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), record("customers", &json!({"external_id": "k"})))
        .await
        .assert_sound();
    let uuid = customers(&sandbox)[0]["uuid"].clone();
    let input: String = (0..6)
        .map(|at| match at % 2 {
            0 => record("contacts", &json!({"customer_external_id": "k", "external_id": "q", "title": at.to_string()})),
            _ => record("contacts", &json!({"customer_uuid": uuid, "external_id": "q", "title": at.to_string()})),
        })
        .collect();
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["contacts"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.count("updated"), contacts(&sandbox).len()), (1, 5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_waits_is_not_overtaken_by_a_later_one_about_the_same_thing() {
    let event = |plan: &str, amount: u64| {
        let row = json!({"external_id": "e", "customer_external_id": "a", "event_type": "subscription_start",
            "event_date": "2026-01-01", "effective_date": "2026-01-01", "subscription_external_id": "s", "currency": "USD",
            "plan_external_id": plan, "amount_in_cents": amount});
        record("subscription_events", &row)
    };
    let plan =
        |key: &str| record("plans", &json!({"external_id": key, "name": key, "interval_count": 1, "interval_unit": "month"}));
    let input =
        record("customers", &json!({"external_id": "a"})) + &plan("soon") + &event("late", 1) + &event("soon", 2) + &plan("late");
    let sandbox = sandbox();
    let streams = catalog(&["customers", "plans", "subscription_events"]);
    let ran = run(&sandbox, &settings(&json!({})), &streams, input).await;
    ran.assert_sound();
    let events = sandbox.dump()["subscription_events"].clone();
    assert_eq!((ran.count("updated"), &events[0]["amount_in_cents"]), (1, &json!(2)), "{events}");
}

#[tokio::test(start_paused = true)]
async fn an_invoice_of_a_customer_that_was_merged_away_is_still_its_own() {
    let invoice = |due: &str| {
        let row = json!({"customer_external_id": "gone", "external_id": "i", "date": "2026-01-01", "currency": "EUR",
            "due_date": due, "line_items": [{"type": "one_time", "external_id": "l", "amount_in_cents": 5}]});
        record("invoices", &row)
    };
    let input = record("customers", &json!({"external_id": "gone"}))
        + &record("customers", &json!({"external_id": "kept"}))
        + &invoice("2026-02-01")
        + &record("customer_merges", &json!({"from_external_id": "gone", "into_external_id": "kept"}))
        + &invoice("2026-02-02");
    let streams = catalog(&["customers", "invoices", "customer_merges"]);
    let ran = run(&sandbox(), &settings(&json!({"limits": {"connections": 1}})), &streams, input).await;
    ran.assert_sound();
    assert_eq!(ran.count("rejected"), 0, "{:?}", ran.report.samples.first());
}

#[tokio::test(start_paused = true)]
async fn a_bad_line_item_does_not_take_the_header_with_it() {
    let item = |key: &str, kind: &str| {
        let row = json!({"invoice_external_id": "i", "external_id": key, "type": kind, "amount_in_cents": 5});
        record("line_items", &row)
    };
    let header = json!({"customer_external_id": "a", "external_id": "i", "date": "2026-01-01", "currency": "EUR"});
    let input = record("customers", &json!({"external_id": "a"}))
        + &record("invoices", &header)
        + &item("bad", "subscription")
        + &item("good", "one_time");
    let sandbox = sandbox();
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers", "invoices", "line_items"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.count("rejected")), (3, 1), "{:?}", ran.report.samples);
    let invoices = sandbox.dump()["invoices"].clone();
    assert_eq!(invoices[0]["line_items"].as_array().map(Vec::len), Some(1), "{invoices}");
}
