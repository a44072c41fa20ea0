//! Clearing a connection: no records, a null STATE for each stream, modes that nobody chose.

use serde_json::json;

use crate::harness::{World, complete, record, state, stream};

fn null_state(stream: &str, id: u32) -> String {
    format!(
        r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"{stream}"}},"stream_state":null}},"id":{id}}}}}"#
    )
}

#[test]
fn a_clear_that_was_rewritten_to_append_echoes_null_states_with_zero_counts() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let before = world.contents();
    let run = world
        .sync()
        .stream(stream("customers").mode("append").generations(7, 7))
        .stream(stream("contacts").mode("append").generations(7, 7))
        .lines([null_state("customers", 1), null_state("contacts", 2), complete("customers"), complete("contacts")])
        .run()
        .succeeded();
    assert_eq!(run.counts(), [(0.0, 0.0), (0.0, 0.0)]);
    assert!(run.states()[0].contains(r#""stream_state":null"#), "{run}");
    assert_eq!(world.contents(), before);
    assert_eq!(world.writes(), 0);
}

#[test]
fn a_clear_as_overwrite_echoes_null_states() {
    let world = World::new();
    let run = world
        .sync()
        .config(json!({"deletions": {"policy": "delete"}}))
        .stream(stream("customers").mode("overwrite"))
        .line(null_state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.counts(), [(0.0, 0.0)]);
    assert_eq!(world.writes(), 0);
}

#[test]
fn a_clear_with_a_global_state_of_nulls_is_echoed() {
    let world = World::new();
    let line = r#"{"type":"STATE","state":{"type":"GLOBAL","global":{"shared_state":null,"stream_states":[{"stream_descriptor":{"name":"customers"},"stream_state":null}]},"id":1}}"#;
    let run =
        world.sync().stream(stream("customers").mode("append").generations(2, 2)).lines([line, &complete("customers")]).run();
    assert_eq!(run.succeeded().counts(), [(0.0, 0.0)]);
}

#[test]
fn a_stream_whose_mode_is_refused_can_still_be_cleared() {
    for (mode, code) in [("overwrite", "MODE_NOT_SUPPORTED"), ("soft_delete", "DELETIONS_IGNORED")] {
        let world = World::new();
        let catalog = || stream("customers").mode(mode).object("customers").key(&["external_id"]);
        let run = world.sync().stream(catalog()).line(null_state("customers", 1)).run().succeeded();
        assert_eq!(run.counts(), [(0.0, 0.0)], "{mode}");

        // The refusal comes with the first record.
        let lines = [state("customers", 1), record("customers", json!({"external_id": "c-1"})), state("customers", 2)];
        let run = world.sync().stream(catalog()).lines(lines).run();
        let message = run.failed("config_error", code);
        assert!(message.contains("customers"), "{message}");
        assert_eq!(run.state_ids(), [1], "{mode}");
        assert_eq!(world.writes(), 0);
    }
}
