//! Tasks of customers. Vendor pages: "Create a Task", "Update a Task", "Delete a Task", "List Tasks".
//!
//! Quirks. Entries show their identity as `task_uuid`, not `uuid`, and without a prefix (recorded); records give it as `uuid`
//! like everywhere else. A task has no key of its own and hangs on the customer as a whole, not on one data source.

use serde_json::Value;

use super::common;
use super::request::{Look, Request, Scope};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::plan::{Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct Tasks;

impl Object for Tasks {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["task_details", "due_date"], &["task_details"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[common::CUSTOMER_NAMES, &["task_details"], &["assignee"], &["due_date"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        common::requests_of_child(mode)
    }

    fn is_keyless(&self) -> bool {
        true
    }

    fn plan(&self, record: Record, how: &How) -> Asked<Plan> {
        common::keyless_child(record, &RESOURCE, how, "a task belongs to a customer")
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, at: &At<'_>) -> Option<Look> {
        Some(common::look_of_customer(&RESOURCE, at.parent()))
    }

    fn listing(&self, _data_source: &str) -> Option<Look> {
        Some(Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list))
    }

    fn listed_under(&self, entry: &Value) -> Option<Scope> {
        entry["customer_uuid"].as_str().map(|customer| Scope::of(RESOURCE.name, customer))
    }

    /// One that stays as it is is not written.
    fn needs_known(&self, _plan: &Plan) -> bool {
        true
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        common::create(&RESOURCE, plan, &[("customer_uuid", at.parent())], &[])
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        Ok(common::change(&RESOURCE, plan, at, existing, &[]))
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","task_details":"Call about the yearly plan","assignee":"owner@example.com","due_date":"2026-04-30","completed_at":"2026-04-29T09:00:00Z"}"#,
        ]
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "tasks",
    summary: "Tasks of customers.",
    path: "/tasks",
    id: "task_uuid",
    uuid_prefix: "",
    list_root: "entries",
    filters: &["customer_uuid", "assignee"],
    calls: Calls {
        create: "create task",
        read: "read task",
        look_up: "look up tasks",
        list: "list tasks",
        update: "update task",
        delete: "delete task",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 200 },
    references: &[
        field(
            "uuid",
            Kind::Uuid(""),
            "ChartMogul's own UUID of the task; no key is looked up for it.",
            "\"23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("task_details", Kind::Short(255), "What is to be done.", "\"Call about the yearly plan\"").required(),
        field("assignee", Kind::Email, "E-mail address of the ChartMogul user who is to do it.", "\"owner@example.com\"")
            .required(),
        field("due_date", Kind::Timestamp, "When it is due.", "\"2026-04-30T00:00:00Z\"").required(),
        field("completed_at", Kind::Timestamp, "When it was done; cleared, it is open again.", "\"2026-04-29T09:00:00Z\""),
    ],
    attributes: None,
    pages: &["Create a Task", "Update a Task", "Delete a Task", "List Tasks"],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::tests::{SOURCE, plan_with, requests};
    use crate::plan::Nulls;

    #[test]
    fn entries_are_known_by_their_task_uuid() {
        let uuid = "23740208-2c7e-11ee-9ea2-ffd2435982bb";
        assert_eq!(Tasks.know(&json!({"task_uuid": uuid}), SOURCE).unwrap().uuid.as_ref(), uuid);
        assert_eq!(Tasks.know(&json!({"uuid": uuid}), SOURCE), None);
        let row = json!({"uuid": uuid, "task_details": "x"});
        let plan = plan_with(&Tasks, Mode::Delete, Nulls::Ignore, &row).unwrap();
        assert_eq!(plan.target, Target::Uuid(uuid.into(), None));
    }

    #[test]
    fn a_null_opens_a_task_again_where_nulls_clear() {
        let mut row: Value = serde_json::from_str(Tasks.examples()[0]).unwrap();
        row["completed_at"] = Value::Null;
        let entry = |completed: Value| {
            let mut entry = row.clone();
            entry["task_uuid"] = json!("u");
            entry["completed_at"] = completed;
            entry
        };
        let done = entry(json!("2026-01-01T00:00:00.000Z"));
        let change = |nulls, entry| requests(&Tasks, &plan_with(&Tasks, Mode::Upsert, nulls, &row).unwrap(), Some(entry)).1;
        assert_eq!(change(Nulls::Ignore, &done), [""; 0]);
        assert_eq!(change(Nulls::Clear, &done), [r#"PATCH /tasks/the-uuid {"completed_at":null}"#]);
        assert_eq!(change(Nulls::Clear, &entry(Value::Null)), [""; 0]);
    }
}
