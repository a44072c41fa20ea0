//! Tasks. Documented on the pages "Create a Task", "Update a Task" and "List Tasks".

use serde_json::{Map, Value};

use super::answers::{Outcome, Reply, invalid};
use super::crm::{self, Field, Object, Stands, Takes, is_as_asked, lies_within, moment};
use super::routes::Context;
use super::shelves::Shelved;
use super::store::Fields;

pub(super) const TASKS: Object = Object {
    what: Shelved::Task,
    title: "Task",
    // Recorded: not `uuid`, as everywhere else.
    uuid: "task_uuid",
    fields: &[
        // Documented by the official n8n node: 255 characters.
        Field { name: "task_details", takes: Takes::Text(255), stands: Stands::Needed },
        Field { name: "assignee", takes: Takes::User, stands: Stands::Needed },
        Field { name: "due_date", takes: Takes::Timestamp, stands: Stands::Needed },
        Field { name: "completed_at", takes: Takes::Timestamp, stands: Stands::Optional },
    ],
    has_custom: false,
    settle,
    dress,
};

/// Documented: filters on customer, assignee, when it is due and whether it is done.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let from = moment(context, "due_date_on_or_after", false)?;
    let to = moment(context, "due_date_on_or_before", true)?;
    let completed = match context.query.get("completed") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(invalid("completed")),
    };
    crm::list(context, &TASKS, |entry| {
        is_as_asked(context, entry, "assignee")
            && lies_within(entry, "due_date", from.as_deref(), to.as_deref())
            && completed.is_none_or(|wanted| wanted == entry.fields.contains_key("completed_at"))
    })
}

fn settle(_: &Context<'_>, _: &mut Fields) -> Result<(), Box<Reply>> {
    Ok(())
}

/// Recorded: a task that is not done says so with a null.
fn dress(body: &mut Map<String, Value>) {
    body.entry("completed_at").or_insert(Value::Null);
}
