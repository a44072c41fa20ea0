//! Killed anywhere and run again from the last STATE: the account is as after a clean run.

use serde_json::{Value, json};

use crate::harness::{Sync, World, record, state};

/// A sync of customers and contacts with a STATE after every few records; children stand before some of their parents.
fn input() -> Vec<String> {
    let mut lines = Vec::new();
    for n in 0..120_u64 {
        let customer = format!("c-{}", n % 50);
        lines.push(record("contacts", json!({"customer_external_id": format!("c-{}", (n + 3) % 50), "external_id": format!("k-{}", n % 100), "title": format!("Title {n}")})));
        lines.push(record(
            "customers",
            json!({"external_id": customer, "name": format!("Name {n}"), "seats": n, "tags": [format!("t{}", n % 3)]}),
        ));
        if n % 10 == 9 {
            lines.push(format!(
                r#"{{"type":"STATE","state":{{"type":"GLOBAL","global":{{"shared_state":{n},"stream_states":[]}},"id":{n}}}}}"#
            ));
        }
    }
    lines
}

/// What can be told of an account whose records came in some order: positions of contacts are given as they come.
fn contents(world: &World) -> Value {
    let mut contents = world.contents();
    for contact in contents["contacts"].as_array_mut().unwrap() {
        contact["fields"].as_object_mut().unwrap().shift_remove("position");
    }
    contents["contacts"].as_array_mut().unwrap().sort_by_cached_key(Value::to_string);
    contents
}

fn sync(world: &World) -> Sync<'_> {
    // Few at once, so that a kill finds much undone.
    world.sync().config(json!({"limits": {"connections": 4, "requests_per_second": 5000}}))
}

#[test]
fn a_killed_sync_run_again_from_its_last_state_ends_as_a_clean_run() {
    let input = input();
    let clean = World::new();
    sync(&clean).lines(input.clone()).run().succeeded();
    assert_eq!((clean.customers().len(), clean.contacts().len()), (50, 100));

    for kill_after in [1, 4, 9] {
        let world = World::new();
        let mut live = sync(&world).start();
        live.feed(&input);
        live.wait_for_states(kill_after);
        live.signal("KILL");
        let killed = live.finish_cut_short();
        assert_eq!(killed.code, None);

        let last =
            killed.states().last().map(|line| serde_json::from_str::<Value>(line).unwrap()["state"]["id"].clone()).unwrap();
        let came = |line: &String| serde_json::from_str::<Value>(line).unwrap()["state"]["id"] == last;
        let rest = &input[input.iter().position(came).unwrap() + 1..];
        sync(&world).lines(rest).run().succeeded();
        assert_eq!(contents(&world), contents(&clean), "killed after STATE {last}");
    }
}

#[test]
fn what_a_state_covers_is_there_when_the_process_is_killed() {
    let world = World::new();
    let customers: Vec<String> = (0..20).map(|n| record("customers", json!({"external_id": format!("c-{n}")}))).collect();
    let mut live = sync(&world).lines(customers).line(state("customers", 1)).start();
    live.wait_for_states(1);
    assert_eq!(world.customers().len(), 20);
    live.signal("KILL");
    live.finish_cut_short();
}

#[test]
fn the_same_input_twice_makes_nothing_twice() {
    let world = World::new();
    sync(&world).lines(input()).run().succeeded();
    let first = contents(&world);
    let made = world.requests_with("POST");
    sync(&world).lines(input()).run().succeeded();
    assert_eq!(contents(&world), first);
    assert_eq!(world.requests_with("POST"), made, "the second run creates nothing");
}
