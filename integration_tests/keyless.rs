//! What holds alike for children of a customer that have no key of their own: notes, opportunities, tasks.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

/// One of these objects.
pub(crate) struct Keyless {
    /// Its name, which is its stream's, its route's and the name of its shelf in the sandbox.
    pub(crate) name: &'static str,
    /// A row of a customer `c-1`, with all that a create needs.
    pub(crate) row: fn() -> Value,
    /// Fields by which a stream can be matched.
    pub(crate) by: &'static [&'static str],
    /// Another field, with another value.
    pub(crate) change: (&'static str, Value),
    /// A field that a create needs.
    pub(crate) needed: &'static str,
    /// A field with a value that breaks its rule.
    pub(crate) bad: (&'static str, Value, &'static str),
}

impl Keyless {
    fn route(&self) -> String {
        format!("/v1/{}", self.name)
    }

    /// The row with this in the place of what it has.
    pub(crate) fn with(&self, more: &Value) -> Value {
        let mut row = (self.row)();
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    fn changed(&self) -> Value {
        self.with(&json!({ self.change.0: self.change.1 }))
    }

    /// Syncs rows of this object with these settings.
    pub(crate) fn sync(&self, world: &World, config: &Value, rows: &[Value]) -> Run {
        let lines = rows.iter().map(|row| record(self.name, row.clone()));
        world.sync().config(config.clone()).stream(stream(self.name)).lines(lines).line(state(self.name, 1)).run()
    }

    fn outcomes(&self, world: &World, config: &Value, rows: &[Value]) -> String {
        self.sync(world, config, rows).succeeded().outcomes(self.name).to_owned()
    }

    /// Settings that match the stream by [`Self::by`], with more.
    fn matched(&self, more: &Value) -> Value {
        let mut config = json!({"streams": [{"stream": self.name, "match": self.by}]});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    }

    /// The account has `c-1`, and the row is written already.
    fn written(&self) -> World {
        let world = World::new();
        world.given_customer("c-1", json!({}));
        assert_eq!(self.outcomes(&world, &json!({}), &[(self.row)()]), "1 read, 1 created", "{}", self.name);
        world
    }

    /// The connector's requests so far, but for those that make sure that the data source exists.
    fn requests(&self, world: &World) -> [u64; 5] {
        let own = |method: &str| world.requests(method, &self.route());
        let at = |method: &str| world.requests(method, &format!("{}/{{uuid}}", self.route()));
        [world.requests("GET", "/v1/customers"), own("GET"), own("POST"), at("PATCH"), at("DELETE")]
    }

    fn rest(&self, world: &World, before: [u64; 5]) -> [u64; 5] {
        let now = self.requests(world);
        std::array::from_fn(|at| now[at] - before[at])
    }

    /// All of it.
    pub(crate) fn holds(&self) {
        self.upserts_once();
        self.is_changed_where_it_matches();
        self.is_inserted_once();
        self.is_updated_only_where_it_is();
        self.is_deleted_only_when_asked();
        self.waits_for_its_customer();
        self.tells_all_faults();
        self.is_not_made_twice_when_an_answer_is_lost();
    }

    fn upserts_once(&self) {
        let world = self.written();
        assert_eq!(self.requests(&world), [1, 1, 1, 0, 0], "{}: one look-up of each, then one", self.name);
        let before = (self.requests(&world), world.writes());
        let other = self.with(&json!({self.by[0]: (self.row)()[self.by[0]], self.change.0: self.change.1}));
        assert_eq!(self.outcomes(&world, &json!({}), &[(self.row)()]), "1 read, 1 unchanged", "{}", self.name);
        assert_eq!((self.rest(&world, before.0), world.writes()), ([1, 1, 0, 0, 0], before.1));
        // All that is given says which one it is: another value is another one.
        let rows = [other.clone(), other];
        assert_eq!(self.outcomes(&world, &json!({}), &rows), "2 read, 1 created, 1 unchanged", "{}", self.name);
        assert_eq!(world.entries(self.name).len(), 2, "{}", self.name);
    }

    fn is_changed_where_it_matches(&self) {
        let world = self.written();
        let before = self.requests(&world);
        let rows = [(self.row)(), self.changed(), self.changed()];
        assert_eq!(self.outcomes(&world, &self.matched(&json!({})), &rows), "3 read, 2 unchanged, 1 updated", "{}", self.name);
        assert_eq!(self.rest(&world, before), [1, 1, 0, 1, 0], "{}: looked up once a customer", self.name);
        let entries = world.entries(self.name);
        assert_eq!((entries.len(), &entries[0]["fields"][self.change.0]), (1, &self.change.1), "{}", self.name);
        // By its UUID it needs no customer; what stands there is read.
        let before = self.requests(&world);
        let uuid = entries[0]["uuid"].clone();
        let row = json!({"uuid": uuid, self.change.0: (self.row)()[self.change.0]});
        assert_eq!(self.outcomes(&world, &json!({}), &[row]), "1 read, 1 updated", "{}", self.name);
        assert_eq!(self.rest(&world, before), [0, 1, 0, 1, 0], "{}", self.name);
    }

    fn is_inserted_once(&self) {
        let world = self.written();
        let before = self.requests(&world);
        let rows = [(self.row)(), self.changed()];
        let outcomes = self.outcomes(&world, &json!({"mode": "insert"}), &rows);
        assert_eq!(outcomes, "2 read, 1 created, 1 skipped, 1 skipped as exists", "{}", self.name);
        assert_eq!(self.rest(&world, before), [1, 1, 1, 0, 0], "{}", self.name);
        let mut lacking = (self.row)();
        lacking.as_object_mut().unwrap().remove(self.needed);
        let before = world.arrived();
        let run = self.sync(&world, &json!({"mode": "insert"}), &[lacking]).succeeded();
        assert_eq!(run.outcomes(self.name), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
        assert!(run.logged(&["FIELD_MISSING", self.needed]), "{run}");
        let empty = json!({"customer_external_id": "c-1"});
        let run = self.sync(&world, &json!({}), std::slice::from_ref(&empty)).succeeded();
        assert!(run.logged(&["FIELD_MISSING", self.needed]), "{run}");
        // An update needs none of them, and yet one by which it finds what it is about.
        let run = self.sync(&world, &json!({"mode": "update"}), &[empty]).succeeded();
        assert!(run.logged(&["KEY_MISSING", self.by[0]]), "{run}");
        assert_eq!(world.arrived(), before, "nothing is asked for a row that can not be made");
    }

    fn is_updated_only_where_it_is(&self) {
        let world = self.written();
        let before = self.requests(&world);
        let absent = self.with(&json!({"customer_external_id": "c-9"}));
        let nobody = self.with(&json!({self.by[0]: self.other_key()}));
        let outcomes = self.outcomes(&world, &self.matched(&json!({"mode": "update"})), &[self.changed(), nobody, absent]);
        assert_eq!(outcomes, "3 read, 2 skipped, 1 updated, 2 skipped as no_match", "{}", self.name);
        assert_eq!(self.rest(&world, before), [1, 1, 0, 1, 0], "{}", self.name);
    }

    /// Another value of the first field by which it is matched.
    fn other_key(&self) -> Value {
        let own = (self.row)()[self.by[0]].as_str().unwrap().to_owned();
        if own.ends_with('Z') { json!("2031-01-01T00:00:00Z") } else { json!("Something Else") }
    }

    fn is_deleted_only_when_asked(&self) {
        let world = self.written();
        let marked = self.with(&json!({"_ab_cdc_deleted_at": "2026-01-02T03:04:05Z"}));
        let before = (self.requests(&world), world.arrived());
        let outcomes = self.outcomes(&world, &json!({}), std::slice::from_ref(&marked));
        assert_eq!(outcomes, "1 read, 1 skipped, 1 skipped as deletion_ignored", "{}", self.name);
        assert_eq!(world.arrived(), before.1, "{}", self.name);
        let policy = json!({"deletions": {"policy": "delete", "max_percent": 100}});
        let outcomes = self.outcomes(&world, &policy, &[marked.clone(), marked]);
        assert_eq!(outcomes, "2 read, 1 deleted, 1 skipped, 1 skipped as no_match", "{}", self.name);
        // One more look counts them for the guard.
        assert_eq!(self.rest(&world, before.0), [1, 2, 0, 0, 1], "{}", self.name);
        assert!(world.entries(self.name).is_empty(), "{}", self.name);
    }

    fn waits_for_its_customer(&self) {
        let world = World::new();
        let run = world
            .sync()
            .stream(stream(self.name))
            .stream(stream("customers"))
            .line(record(self.name, (self.row)()))
            .line(record(self.name, self.with(&json!({"customer_external_id": "c-9"}))))
            .line(state(self.name, 1))
            .customer(json!({"external_id": "c-1"}))
            .line(state("customers", 2))
            .run()
            .succeeded();
        let outcomes = "2 read, 1 created, 1 rejected, 1 rejected with PARENT_NOT_FOUND";
        assert_eq!(run.outcomes(self.name), outcomes, "{}", self.name);
        assert_eq!(world.entries(self.name).len(), 1, "{}", self.name);
        let made = json!({"streams": [{"stream": self.name, "parents": "create"}]});
        let row = self.with(&json!({"customer_external_id": "c-9"}));
        assert_eq!(self.outcomes(&world, &made, &[row]), "1 read, 1 created", "{}", self.name);
        assert_eq!(world.customer_keys(), ["c-1", "c-9"], "{}", self.name);
    }

    fn tells_all_faults(&self) {
        let world = World::new();
        let (field, value, code) = &self.bad;
        let mut row = self.with(&json!({ *field: value }));
        row.as_object_mut().unwrap().remove("customer_external_id");
        let run = self.sync(&world, &json!({}), &[row]).succeeded();
        assert!(run.outcomes(self.name).starts_with("1 read, 1 rejected, 1 rejected with "), "{}: {run}", self.name);
        assert!(run.logged(&[code, field]), "{}: {run}", self.name);
        assert!(run.logged(&["FIELD_MISSING", "customer_external_id"]), "{}: {run}", self.name);
        assert_eq!(world.arrived(), 0, "{}", self.name);
    }

    fn is_not_made_twice_when_an_answer_is_lost(&self) {
        for effect in ["after-work reset", "half"] {
            let world = World::new();
            world.given_customer("c-1", json!({}));
            world.fault(&format!("POST /{} {effect}", self.name));
            let rows = [(self.row)(), self.changed()];
            assert_eq!(self.outcomes(&world, &json!({}), &rows), "2 read, 2 created", "{} {effect}", self.name);
            assert_eq!(world.entries(self.name).len(), 2, "{} {effect}", self.name);
            assert_eq!(self.requests(&world)[2], 2, "{} {effect}: looked for, not sent again", self.name);
        }
    }
}

#[test]
fn several_that_match_in_part_are_a_reject_and_never_a_guess() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let note =
        |text: &str| json!({"customer_external_id": "c-1", "type": "note", "text": text, "created_at": "2026-01-01T10:00:00Z"});
    let write = |config: Value, row: Value| {
        let sync = world.sync().config(config).stream(stream("customer_notes"));
        sync.line(record("customer_notes", row)).run().succeeded().outcomes("customer_notes").to_owned()
    };
    assert_eq!(write(json!({}), note("a")), "1 read, 1 created");
    assert_eq!(write(json!({}), note("b")), "1 read, 1 created");
    let by_day = || json!({"streams": [{"stream": "customer_notes", "match": "created_at"}], "deletions": {"policy": "delete", "max_percent": 100}});
    // Equal in all that it says, it is the one.
    assert_eq!(write(by_day(), note("b")), "1 read, 1 unchanged");
    assert_eq!(write(by_day(), note("c")), "1 read, 1 rejected, 1 rejected with AMBIGUOUS_MATCH");
    let mut gone = note("b");
    gone["_ab_cdc_deleted_at"] = "2026-02-01T00:00:00Z".into();
    assert_eq!(write(by_day(), gone), "1 read, 1 rejected, 1 rejected with AMBIGUOUS_MATCH");
    assert_eq!(world.entries("customer_notes").len(), 2);
}
