//! Notes and call logs of customers. Documented on the pages "Create a Customer Note", "Update a Customer Note" and "List
//! Customer Notes".
//!
//! The paths below a customer, `/v1/customers/{uuid}/notes`, were answered in recordings of December 2023 only and are in no
//! current documentation; they are superseded and no routes here.

use serde_json::{Map, Value};

use super::answers::{Outcome, Reply, invalid, refused_field};
use super::crm::{self, Field, Object, Stands, Takes, is_as_asked};
use super::routes::Context;
use super::shelves::Shelved;
use super::store::Fields;

const TYPES: &[&str] = &["note", "call"];

/// Seconds that are answered for a call that was sent without any. Recorded; why is unknown.
const UNTOLD_DURATION: i64 = 60;

pub(super) const NOTES: Object = Object {
    what: Shelved::Note,
    title: "Note",
    uuid: "uuid",
    fields: &[
        Field { name: "type", takes: Takes::OneOf(TYPES), stands: Stands::Fixed },
        // How long a text may be is unknown.
        Field { name: "text", takes: Takes::Text(usize::MAX), stands: Stands::Optional },
        Field { name: "author_email", takes: Takes::User, stands: Stands::Optional },
        Field { name: "call_duration", takes: Takes::Whole(0, i64::MAX), stands: Stands::Optional },
        Field { name: "created_at", takes: Takes::Timestamp, stands: Stands::Optional },
        Field { name: "updated_at", takes: Takes::Timestamp, stands: Stands::InUpdates },
    ],
    has_custom: false,
    settle,
    dress,
};

/// Documented: filters on customer, type and author; without a customer the whole account is listed.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    if context.query.get("type").is_some_and(|wanted| !TYPES.contains(&wanted)) {
        return Err(invalid("type"));
    }
    crm::list(context, &NOTES, |entry| is_as_asked(context, entry, "type") && is_as_asked(context, entry, "author_email"))
}

fn settle(context: &Context<'_>, fields: &mut Fields) -> Result<(), Box<Reply>> {
    // Documented: the duration is that of a call. Recorded: 0 is answered for a note; that more is refused is unknown.
    let duration = fields.get("call_duration").and_then(Value::as_i64).unwrap_or(0);
    if duration > 0 && fields.get("type").is_some_and(|kind| kind == "note") {
        return Err(refused_field("call_duration", "is for calls only"));
    }
    // Recorded: a note that came without an author has one. That it is the key's user is unknown; here the first one is.
    if let Some(user) = context.options.users.first() {
        fields.entry("author_email").or_insert_with(|| user.as_str().into());
    }
    Ok(())
}

/// Recorded: the author is answered as "Name (address)", and the address by itself is not.
fn dress(body: &mut Map<String, Value>) {
    if let Some(Value::String(email)) = body.remove("author_email") {
        body.insert("author".into(), format!("{} ({email})", name_of(&email)).into());
    }
    let untold = if body.get("type").is_some_and(|kind| kind == "call") { UNTOLD_DURATION } else { 0 };
    body.entry("call_duration").or_insert_with(|| untold.into());
}

/// The sandbox's users have no names of their own, so they go by their addresses: `ann.lee@example.com` is Ann Lee.
fn name_of(email: &str) -> String {
    let own = email.split('@').next().unwrap_or_default();
    let words = own.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    words.map(capital).collect::<Vec<_>>().join(" ")
}
