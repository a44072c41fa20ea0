//! The deletion policy `mirror`, as hosts bring it about.

use serde_json::{Value, json};

use crate::harness::{Stream, World, complete, record, state, stream};

fn policy(max_percent: u32) -> Value {
    json!({"deletions": {"policy": "mirror", "max_percent": max_percent}})
}

/// Customers `c-0` and `c-1`, and a contact of each.
fn world() -> World {
    let world = World::new();
    for n in 0..2 {
        let customer = world.given_customer(&format!("c-{n}"), json!({}));
        world.given_contact(&customer, json!({"external_id": format!("k-{n}")}));
    }
    world
}

/// A stream that is read whole.
fn whole(name: &str) -> Stream {
    let mut stream = stream(name).mode("append");
    stream.0["sync_mode"] = json!("full_refresh");
    stream
}

/// What comes of `c-0` alone, with its STATEs.
fn rows() -> Vec<String> {
    vec![
        record("customers", json!({"external_id": "c-0"})),
        record("contacts", json!({"customer_external_id": "c-0", "external_id": "k-0"})),
        state("customers", 1),
        state("contacts", 2),
    ]
}

#[test]
fn a_truncating_refresh_deletes_what_did_not_come_and_the_next_one_nothing() {
    let world = world();
    let sync = || {
        let streams = ["customers", "contacts"].map(|name| whole(name).generations(7, 7));
        let [customers, contacts] = streams;
        let sync = world.sync().config(policy(50)).stream(customers).stream(contacts).lines(rows());
        sync.lines([complete("customers"), complete("contacts")]).env("WORKER_JOB_ATTEMPT", "0").run().succeeded()
    };
    let run = sync();
    assert!(run.logged(&["deleted, since they did not come: 1 contacts, 1 customers"]), "{run}");
    assert_eq!((run.outcomes("customers"), run.state_ids()), ("1 read, 1 unchanged", vec![1, 2]));
    assert_eq!((world.customer_keys(), world.contacts().len()), (vec!["c-0".to_owned()], 1));
    assert_eq!(world.requests_with("DELETE"), 2);
    let again = sync();
    assert_eq!(world.requests_with("DELETE"), 2, "{again}");
    assert!(!again.logged(&["deleted, since"]), "{again}");
}

#[test]
fn without_the_word_of_the_host_nothing_is_deleted_and_the_log_says_so() {
    // As a connection by image name brings it: overwrite, no generations, no COMPLETE.
    let world = world();
    let overwrite = |name: &str| whole(name).mode("overwrite");
    let sync = || world.sync().config(policy(50)).stream(overwrite("customers")).stream(overwrite("contacts")).lines(rows());
    let run = sync().run().succeeded();
    for name in ["customers", "contacts"] {
        assert!(run.logged(&[&format!("stream {name} is not mirrored"), "(COMPLETE)"]), "{run}");
    }
    assert_eq!((world.requests_with("DELETE"), run.state_ids().len()), (0, 2));
    // A host that says it, on its second attempt, and then on its first.
    let ends = || [complete("customers"), complete("contacts")];
    let run = sync().lines(ends()).env("WORKER_JOB_ATTEMPT", "1").run().succeeded();
    assert!(run.logged(&["stream customers is not mirrored", "WORKER_JOB_ATTEMPT"]), "{run}");
    assert_eq!(world.requests_with("DELETE"), 0);
    sync().lines(ends()).run().succeeded();
    assert_eq!(world.customer_keys(), ["c-0"]);
}

#[test]
fn beyond_a_limit_the_sync_fails_and_deletes_nothing() {
    let world = world();
    let ends = [complete("customers"), complete("contacts")];
    let streams = ["customers", "contacts"].map(|name| whole(name).generations(2, 2));
    let [customers, contacts] = streams;
    let run = world.sync().config(policy(49)).stream(customers).stream(contacts).lines(rows()).lines(ends).run();
    let message = run.failed("config_error", "DELETE_LIMIT");
    assert!(message.contains("1 of the 2 customers") && message.contains("Nothing was deleted"), "{message}");
    assert_eq!((world.requests_with("DELETE"), run.state_ids()), (0, vec![1, 2]));
}

#[test]
fn a_clear_deletes_nothing() {
    let world = world();
    let run = world
        .sync()
        .config(policy(100))
        .stream(whole("customers").generations(8, 8))
        .lines([state("customers", 1), complete("customers")])
        .run()
        .succeeded();
    assert!(run.logged(&["stream customers is not mirrored: no record came"]), "{run}");
    assert_eq!(world.requests_with("DELETE"), 0);
}

#[test]
fn soft_delete_is_refused_at_its_first_record_and_discover_offers_none() {
    let world = world();
    let soft = || whole("customers").mode("soft_delete");
    let run = world.sync().config(policy(100)).stream(soft()).customer(json!({"external_id": "c-0"})).run();
    run.failed("config_error", "DELETIONS_IGNORED");
    assert_eq!(world.requests_with("DELETE"), 0);
    let run = world.discover(&world.config(policy(100))).succeeded();
    let operations = run.only("DESTINATION_CATALOG")["destination_catalog"]["operations"].as_array().unwrap();
    assert!(!operations.is_empty() && operations.iter().all(|operation| operation["sync_mode"] != "soft_delete"), "{run}");
}

#[test]
fn check_says_which_hosts_never_mirror() {
    let world = World::new();
    let message = |config: Value| {
        let run = world.check(&world.config(config)).succeeded();
        run.only("CONNECTION_STATUS")["connectionStatus"]["message"].as_str().unwrap().to_owned()
    };
    let told = message(policy(10));
    assert!(told.contains("sends no COMPLETE") && told.contains("never mirrors"), "{told}");
    assert!(!message(json!({})).contains("mirror"));
}
