//! STATEs: the promise that everything before them is settled, and the bytes that have to come back.

use serde_json::{Value, json};

use crate::harness::{World, complete, namespaced, record, state, stream};

fn customer(key: &str) -> String {
    record("customers", json!({"external_id": key}))
}

fn stamp(loaded: u32, rejected: u32) -> String {
    format!(r#""destinationStats":{{"recordCount":{loaded}.0,"rejectedRecordCount":{rejected}.0}}"#)
}

#[test]
fn a_stream_state_comes_back_as_it_came_with_our_counts() {
    let world = World::new();
    let head = r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"customers","namespace":null}"#;
    let blob = r#""stream_state":{"n":123456789012345678901234567890,"f":1.10,"e":1E40,"z":-0.0,"u":"\u2028\u00e9 \/"},"k":[ ]}"#;
    let more = r#""id":9007199254740993,"sourceStats":{"recordCount":3.0},"who knows":{"a":null}"#;
    let line = format!("{head},{blob},{more}}},\"extra\": {{\"b\" : 1}} }}");
    let broken = record("customers", json!({"name": "no key"}));
    let run = world.sync().lines([customer("c-1"), customer("c-2"), broken, line]).run().succeeded();
    assert_eq!(run.states(), [format!("{head},{blob},{more},{}}},\"extra\": {{\"b\" : 1}} }}", stamp(2, 1))]);
}

#[test]
fn given_destination_stats_are_replaced_where_they_stand() {
    let world = World::new();
    for given in ["null", r#"{"recordCount":77.0}"#, "{}"] {
        let start = r#"{"type":"STATE","state":{"type":"GLOBAL","#;
        let end = r#","global":{"shared_state":null,"stream_states":[{"stream_descriptor":{"name":"gone"},"stream_state":{}}]},"id":1}}"#;
        let run = world.sync().lines([customer("c-1"), format!("{start}\"destinationStats\":{given}{end}")]).run().succeeded();
        assert_eq!(run.states(), [format!("{start}{}{end}", stamp(1, 0))]);
    }
}

#[test]
fn explicit_nulls_and_a_key_that_stands_twice_survive() {
    let world = World::new();
    let line = |stats: &str| {
        format!(
            r#"{{"type":"STATE","log":null,"record":null,"state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"customers","namespace":null}},"stream_state":{{"seed":1}}}},"global_":null,"data":null,"sourceStats":{{"recordCount":1.0,"rejectedRecordCount":null}},{stats},"global_":null}},"trace":null}}"#
        )
    };
    let run = world.sync().lines([customer("c-1"), line("\"destinationStats\":null")]).run().succeeded();
    assert_eq!(run.states(), [line(&stamp(1, 0))]);
}

#[test]
fn legacy_states_and_states_without_a_type_cover_all_streams() {
    let world = World::new();
    let contact = record("contacts", json!({"customer_external_id": "c-1", "email": "ann@example.com"}));
    let legacy = r#"{"type":"STATE","state":{"type":"LEGACY","data":{"cursor":1}}}"#;
    let typeless = r#"{"type":"STATE","state":{"data":{"cursor":2}}}"#;
    let lines = [customer("c-1"), contact, legacy.into(), customer("c-2"), typeless.into()];
    let run = world.sync().lines(lines).run().succeeded();
    assert_eq!(run.counts(), [(2.0, 0.0), (1.0, 0.0)]);
    assert!(run.states()[1].starts_with(r#"{"type":"STATE","state":{"data":{"cursor":2},"#), "{run}");
}

#[test]
fn a_null_or_empty_state_blob_survives() {
    let world = World::new();
    for blob in ["null", "{}", r#""opaque""#] {
        let start =
            r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"customers"},"stream_state":"#;
        let run = world.sync().line(format!("{start}{blob}}}}}}}")).run().succeeded();
        assert_eq!(run.states(), [format!("{start}{blob}}},{}}}}}", stamp(0, 0))]);
    }
}

#[test]
fn states_without_records_and_several_in_a_row_come_back_in_order() {
    let world = World::new();
    let lines = [state("customers", 1), state("contacts", 2), customer("c-1"), state("customers", 3), state("customers", 4)];
    let run = world.sync().lines(lines).run().succeeded();
    assert_eq!(run.counts().iter().map(|(loaded, _)| *loaded).sum::<f64>(), 1.0);
    let of_customers: Vec<i64> = run.state_ids().into_iter().filter(|id| *id != 2).collect();
    assert_eq!(of_customers, [1, 3, 4]);
}

#[test]
fn counts_of_interleaved_streams_are_each_streams_own() {
    let world = World::new();
    let contact = |n: u32| record("contacts", json!({"customer_external_id": "c-1", "email": format!("k{n}@example.com")}));
    let lines = [
        customer("c-1"),
        contact(1),
        customer("c-2"),
        state("contacts", 1),
        contact(2),
        record("contacts", json!({"email": "nobody@example.com"})),
        state("customers", 2),
        state("contacts", 3),
    ];
    let run = world.sync().lines(lines).run().succeeded();
    let mut counts: Vec<(i64, (f64, f64))> = run.state_ids().into_iter().zip(run.counts()).collect();
    counts.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(counts, [(1, (1.0, 0.0)), (2, (2.0, 0.0)), (3, (1.0, 1.0))]);
}

#[test]
fn a_state_leaves_as_soon_as_it_may_while_the_input_is_open() {
    let world = World::new();
    let mut live = world.sync().lines([customer("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    assert_eq!(world.customer_keys(), ["c-1"]);
    live.feed(&[customer("c-2"), state("customers", 2)]);
    live.wait_for_states(2);
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
    live.end_input();
    live.finish().succeeded();
}

#[test]
fn streams_do_not_hold_each_other_up() {
    let world = World::new();
    // The parent never came so far: the contact's STATE has to wait, the customers' has not.
    let contact = record("contacts", json!({"customer_external_id": "c-9", "email": "late@example.com"}));
    let mut live = world.sync().lines([contact, state("contacts", 1), customer("c-1"), state("customers", 2)]).start();
    live.wait_for_states(1);
    live.feed(&[customer("c-9"), state("customers", 3)]);
    live.wait_for_states(3);
    live.end_input();
    let run = live.finish().succeeded();
    assert_eq!(run.state_ids()[0], 2, "{run}");
    assert_eq!(world.contacts().len(), 1);
}

#[test]
fn a_global_state_waits_for_all_streams() {
    let world = World::new();
    let global = |id: u32| {
        format!(r#"{{"type":"STATE","state":{{"type":"GLOBAL","global":{{"shared_state":{id},"stream_states":[]}},"id":{id}}}}}"#)
    };
    let contact = record("contacts", json!({"customer_external_id": "c-9", "email": "late@example.com"}));
    let mut live = world.sync().lines([customer("c-1"), global(1), contact, customer("c-2"), global(2)]).start();
    live.wait_for_states(1);
    world.wait_until("c-2 arrived", |world| world.customer_keys().len() == 2);
    live.feed(&[customer("c-9"), global(3)]);
    live.wait_for_states(3);
    live.end_input();
    let run = live.finish().succeeded();
    assert_eq!(run.state_ids(), [1, 2, 3]);
    assert_eq!(run.counts(), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.0)]);
}

#[test]
fn stream_and_global_states_in_one_sync_are_refused() {
    let world = World::new();
    let global = r#"{"type":"STATE","state":{"type":"GLOBAL","global":{"stream_states":[]},"id":2}}"#;
    let run = world.sync().lines([customer("c-1"), state("customers", 1), customer("c-2"), global.into()]).run();
    run.failed("system_error", "STATE_MIXED");
    assert_eq!(run.state_ids(), [1]);
    assert!(run.logged(&["summary ", r#""states":{"read":1,"emitted":1"#]), "{run}");
}

#[test]
fn a_state_of_an_unknown_stream_is_echoed_with_a_warning() {
    let world = World::new();
    let run = world.sync().lines([customer("c-1"), state("invoices", 1), state("customers", 2)]).run().succeeded();
    let mut ids = run.state_ids();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    assert!(run.logged(&["invoices", "not in the catalog"]), "{run}");
}

#[test]
fn one_name_in_two_namespaces_is_two_streams() {
    let world = World::new();
    let state_of = |namespace: Value, id: u32| {
        let about = json!({"stream_descriptor": {"name": "customers", "namespace": namespace}, "stream_state": {"c": id}});
        json!({"type": "STATE", "state": {"type": "STREAM", "stream": about, "id": id}}).to_string()
    };
    let sync = world
        .sync()
        .stream(stream("customers").namespace("eu"))
        .stream(stream("customers").namespace("us"))
        .stream(stream("customers"));
    let rename = json!({"streams": [{"stream": "customers", "namespace": "us", "fields": {"id": "external_id"}}]});
    let run = sync
        .config(rename)
        .lines([
            namespaced(Some("eu"), "customers", json!({"external_id": "eu-1"})),
            namespaced(Some("us"), "customers", json!({"id": "us-1"})),
            namespaced(None, "customers", json!({"external_id": "none-1"})),
            namespaced(Some(""), "customers", json!({"external_id": "none-2"})),
            state_of("us".into(), 1),
            state_of("eu".into(), 2),
            state_of(Value::Null, 3),
        ])
        .run()
        .succeeded();
    assert_eq!(world.customer_keys(), ["eu-1", "none-1", "none-2", "us-1"]);
    assert_eq!(run.outcomes("eu.customers"), "1 read, 1 created");
    assert_eq!(run.outcomes("us.customers"), "1 read, 1 created");
    assert_eq!(run.outcomes("customers"), "2 read, 2 created");
    assert_eq!(run.state_ids().len(), 3);
}

#[test]
fn twenty_one_streams_complete_without_a_deadlock() {
    let world = World::new();
    let mut sync = world.sync().config(json!({"object": "customers"}));
    let names: Vec<String> = (1..=21).map(|n| format!("table_{n}")).collect();
    for name in &names {
        sync = sync.stream(stream(name).generations(1, 0));
    }
    for round in 0..3 {
        for name in &names {
            sync = sync.line(record(name, json!({"external_id": format!("{name}-{round}")})));
        }
    }
    for (id, name) in names.iter().enumerate() {
        sync = sync.line(state(name, id as u64));
    }
    let run = sync.lines(names.iter().map(|name| complete(name))).run().succeeded();
    assert_eq!(run.states().len(), 21);
    assert_eq!(world.customers().len(), 63);
}

#[test]
fn empty_streams_and_an_empty_input_succeed() {
    let world = World::new();
    world.sync().run().succeeded();
    let run =
        world.sync().stream(stream("customers").generations(3, 3)).lines([state("customers", 1), complete("customers")]).run();
    assert_eq!(run.succeeded().counts(), [(0.0, 0.0)]);
    assert_eq!(world.writes(), 0);
}

#[test]
fn a_global_state_whose_payload_stands_under_another_name_twice_survives() {
    let world = World::new();
    let line = |stats: &str| {
        let payload = r#""global_":{"shared_state":{"lsn":18446744073709551616},"stream_states":[{"stream_descriptor":{"name":"customers","namespace":null},"stream_state":null}]}"#;
        format!(r#"{{"type":"STATE","state":{{"type":"GLOBAL","stream":null,{payload},"data":null,{stats},"global_":null}}}}"#)
    };
    let contact = record("contacts", json!({"customer_external_id": "c-1", "email": "ann@lee.example"}));
    let run = world.sync().lines([customer("c-1"), contact, line(r#""destinationStats":null"#)]).run().succeeded();
    assert_eq!(run.states(), [line(&stamp(2, 0))]);
}

#[test]
fn thousands_of_records_with_many_states_add_up() {
    let world = World::new();
    let lines = (1..=2000_u64).flat_map(|n| {
        let data = match n % 50 {
            0 => json!({"name": "no key"}),
            _ => json!({"external_id": format!("c-{n}")}),
        };
        let row = record("customers", data);
        if n % 100 == 0 { vec![row, state("customers", n)] } else { vec![row] }
    });
    let run = world.sync().config(json!({"mode": "insert"})).lines(lines).run().succeeded();
    assert_eq!(run.outcomes("customers"), "2000 read, 1960 created, 40 rejected, 40 rejected with FIELD_MISSING");
    assert_eq!(run.counts(), [(98.0, 2.0); 20]);
    let told = run.logs().filter(|log| log.starts_with("FIELD_MISSING: record rejected")).count();
    assert_eq!(told, 10, "further rejects of one kind are counted, not logged one by one");
}
