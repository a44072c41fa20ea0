//! What the account holds of what records said, asked beside all limits and faults.
//!
//! Of a record that the company may delete, or that waits for what never comes, nothing is asked; nor of what has no name of its
//! own, and of how a connection stands. The comparison at the end sees these.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::{Value, json};

use super::input::name;
use crate::sandbox::{DATA_SOURCE_UUID, Peek};

/// The account at one moment: it is asked for the same thing once.
pub(super) struct Account<'p> {
    peek: &'p Peek,
    seen: RefCell<HashMap<String, Rc<(u16, Value)>>>,
}

impl<'p> Account<'p> {
    pub(super) fn now(peek: &'p Peek) -> Self {
        Account { peek, seen: RefCell::default() }
    }

    /// Whether the far side holds what a row said; none where that can not be told. `since` is what was [`said`] by it and by later
    /// rows, of what can be said otherwise.
    pub(super) fn holds(&self, stream: &str, row: &Value, since: Option<&[&Value]>) -> Option<bool> {
        if !tells(stream, row) {
            return None;
        }
        if let Some(since) = since {
            return Some(self.stands(stream, row, since));
        }
        let said = |field: &str| row[field].as_str().unwrap_or_default();
        let is_there = |list: &Many, field: &str| list.entries().iter().any(|entry| entry[field] == row[field]);
        Some(match stream {
            "customers" if row.get("name").is_some() => {
                self.customer(said("external_id")).any(|found| is_as_new(&found["name"], &row["name"]))
            }
            "customers" => match row["uuid"].as_str() {
                Some(uuid) => self.at(&format!("/customers/{uuid}"), &[]).1["company"] == row["company"],
                None => self.customer(said("external_id")).any(|_| true),
            },
            "customer_merges" => self.customer(said("from_external_id")).any(|found| {
                found["external_ids"].as_array().is_some_and(|keys| keys.iter().any(|key| *key == row["into_external_id"]))
            }),
            "contacts" => {
                let Some(customer) = self.customer_of(row) else { return Some(false) };
                let list = self.list(&format!("/customers/{customer}/contacts"), "entries", &[]);
                let key = ["external_id", "email", "first_name"].into_iter().find(|field| row.get(*field).is_some())?;
                let mut same = list.entries().iter().filter(|entry| entry[key] == row[key]);
                same.any(|entry| row.get("title").is_none_or(|title| is_as_new(&entry["title"], title)))
            }
            "custom_attributes" => self
                .customer(said("customer_external_id"))
                .any(|customer| customer["attributes"]["custom"][said("key")].as_u64() >= row["value"].as_u64()),
            "plans" => self.keyed("/plans", "plans", row)?.any(|found| is_as_new(&found["name"], &row["name"])),
            "invoices" => self.keyed("/invoices", "invoices", row)?.any(|_| true),
            "subscription_events" => self
                .keyed("/subscription_events", "subscription_events", row)?
                .any(|found| found["amount_in_cents"].as_u64() >= row["amount_in_cents"].as_u64()),
            "customer_notes" => self.of_customer("/customer_notes", row).is_some_and(|list| is_there(&list, "text")),
            "opportunities" => self.of_customer("/opportunities", row).is_some_and(|list| is_there(&list, "amount_in_cents")),
            "data_sources" => is_there(&self.list("/data_sources", "data_sources", &[]), "name"),
            _ => return None,
        })
    }

    /// Whether what stands there of a thing is one of these.
    fn stands(&self, stream: &str, row: &Value, since: &[&Value]) -> bool {
        let of = |field: &str| row[field].as_str().unwrap_or_default();
        let is_said = |stands: &Value| since.contains(&stands);
        // A moment stands where a day was said.
        let is_said_day = |stands: &Value| since.iter().any(|said| day(stands) == day(said));
        let texts = |value: &Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match stream {
            "tags" => self.customer(of("customer_external_id")).any(|customer| {
                let tags = customer["attributes"]["tags"].as_array();
                is_said(&tags.is_some_and(|tags| tags.contains(&row["tag"])).into())
            }),
            "tasks" => self.of_customer("/tasks", row).is_some_and(|list| {
                list.any(|task| task["task_details"] == row["task_details"] && is_said_day(&task["due_date"]))
            }),
            "invoices" => {
                self.keyed("/invoices", "invoices", row).is_some_and(|list| list.any(|found| is_said_day(&found["due_date"])))
            }
            "line_items" | "transactions" => {
                let key = [("data_source_uuid", DATA_SOURCE_UUID), ("external_id", of("external_id"))];
                let field = if stream == "line_items" { "amount_in_cents" } else { "transaction_fees_in_cents" };
                let answer = self.at(&format!("/{stream}"), &key);
                answer.0 == 200 && is_said(&answer.1[field])
            }
            "subscription_cancellations" => {
                let Some(customer) = self.customer_of(row) else { return false };
                let list = self.list(&format!("/import/customers/{customer}/subscriptions"), "subscriptions", &[]);
                // One more day leaves the others as they are.
                list.any(|found| {
                    let stands = found["cancellation_dates"].as_array().map_or(&[][..], Vec::as_slice);
                    let holds = |said: &&Value| {
                        let mut said = said.as_array().into_iter().flatten();
                        said.all(|date| stands.iter().any(|other| day(other) == day(date)))
                    };
                    found["external_id"] == row["subscription_external_id"] && since.iter().any(holds)
                })
            }
            "plan_groups" => self.group(of("name")).is_some_and(|uuid| {
                let list = self.list(&format!("/plan_groups/{uuid}/plans"), "plans", &[]);
                let plans = list.entries().iter().filter_map(|plan| plan["external_id"].as_str()).map(str::to_owned).collect();
                since.iter().any(|said| texts(said) == plans)
            }),
            _ => false,
        }
    }

    /// The UUID of the plan group of this name.
    fn group(&self, name: &str) -> Option<String> {
        for page in 1.. {
            let list = self.list("/plan_groups", "plan_groups", &[("page", &page.to_string())]);
            if let Some(found) = list.entries().iter().find(|group| group["name"] == name) {
                return Some(found["uuid"].as_str()?.to_owned());
            }
            if list.entries().is_empty() {
                break;
            }
        }
        None
    }

    fn at(&self, path: &str, query: &[(&str, &str)]) -> Rc<(u16, Value)> {
        let mut question = path.to_owned();
        query.iter().for_each(|(name, value)| question.extend(["?", name, "=", value]));
        if let Some(seen) = self.seen.borrow().get(&question) {
            return Rc::clone(seen);
        }
        let answer = Rc::new(self.peek.at(path, query));
        self.seen.borrow_mut().insert(question, Rc::clone(&answer));
        answer
    }

    fn list(&self, path: &str, root: &'static str, query: &[(&str, &str)]) -> Many {
        Many { answer: self.at(path, query), root }
    }

    /// What stands under the key of a row; none where the row has no key.
    fn keyed(&self, path: &str, root: &'static str, row: &Value) -> Option<Many> {
        let key = row["external_id"].as_str()?;
        Some(self.list(path, root, &[("data_source_uuid", DATA_SOURCE_UUID), ("external_id", key)]))
    }

    fn customer(&self, external_id: &str) -> Many {
        self.list("/customers", "entries", &[("data_source_uuid", DATA_SOURCE_UUID), ("external_id", external_id)])
    }

    /// The UUID of the customer that a row refers to.
    fn customer_of(&self, row: &Value) -> Option<String> {
        let named = row["customer_uuid"].as_str().map(str::to_owned);
        named.or_else(|| {
            let found = self.customer(row["customer_external_id"].as_str()?);
            Some(found.entries().first()?["uuid"].as_str()?.to_owned())
        })
    }

    fn of_customer(&self, path: &str, row: &Value) -> Option<Many> {
        Some(self.list(path, "entries", &[("customer_uuid", &self.customer_of(row)?)]))
    }
}

/// A list that was answered.
struct Many {
    answer: Rc<(u16, Value)>,
    root: &'static str,
}

impl Many {
    fn entries(&self) -> &[Value] {
        self.answer.1[self.root].as_array().map_or(&[], Vec::as_slice)
    }

    fn any(&self, fits: impl FnMut(&Value) -> bool) -> bool {
        self.entries().iter().any(fits)
    }
}

/// Whether what stands there is what was said, or came later: a letter, or a word, and a number that grows.
fn is_as_new(stands: &Value, said: &Value) -> bool {
    let number = |value: &Value| value.as_str()?.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok();
    number(stands) >= number(said)
}

/// What a row says of something that a later one may say otherwise: of what, and what. Two rows of one thing name it alike.
pub(super) fn said(stream: &str, row: &Value) -> Option<(String, Value)> {
    let named = |fields: &[&str]| {
        let names: Option<Vec<&str>> = fields.iter().map(|field| row[*field].as_str()).collect();
        Some(format!("{stream} {}", names?.join(" ")))
    };
    let (of, what) = match stream {
        "tags" => (named(&["customer_external_id", "tag"]), (row["remove"] != true).into()),
        "tasks" => (named(&["customer_external_id", "task_details"]), row["due_date"].clone()),
        "invoices" => (named(&["external_id"]), row.get("due_date")?.clone()),
        "line_items" => (named(&["external_id"]), row["amount_in_cents"].clone()),
        "transactions" => (named(&["external_id"]), row["transaction_fees_in_cents"].clone()),
        "subscription_cancellations" => (
            named(&["customer_external_id", "subscription_external_id"]),
            row.get("cancelled_at").map_or_else(|| row["cancellation_dates"].clone(), |one| json!([one])),
        ),
        "plan_groups" => (named(&["name"]), row["plan_external_ids"].clone()),
        _ => return None,
    };
    Some((of?, what)).filter(|_| tells(stream, row))
}

fn day(moment: &Value) -> Option<&str> {
    moment.as_str()?.get(..10)
}

/// Whether a row says what stands there once it is settled.
fn tells(stream: &str, row: &Value) -> bool {
    row.get("_ab_cdc_deleted_at").is_none() && !is_bad(stream, row) && !may_be_deleted(stream, row)
}

/// A row that is refused.
fn is_bad(stream: &str, row: &Value) -> bool {
    match stream {
        "customers" => row["email"] == "nobody",
        "invoices" => row["date"] == "yesterday",
        "opportunities" => row["pipeline"] == "No such",
        "line_items" => row["external_id"].as_str().is_some_and(|key| key.ends_with("bad")),
        _ => false,
    }
}

/// A row about what the company deletes.
fn may_be_deleted(stream: &str, row: &Value) -> bool {
    let text = row.to_string();
    text.contains("gone")
        || match stream {
            "contacts" => row.get("first_name").is_some() && (text.contains(".u") || row.get("customer_uuid").is_some()),
            "customer_notes" => text.contains("note 9"),
            "opportunities" => row["amount_in_cents"].as_u64().is_some_and(|amount| amount % 1000 == 90),
            "tasks" => text.contains("task 9"),
            "custom_attributes" => row["key"] == "row_9",
            "subscription_cancellations" => text.contains(".keep"),
            _ => false,
        }
}

/// The customers of a company that rows name by UUID.
pub(super) fn uuids(peek: &Peek, company: u64) -> serde_json::Map<String, Value> {
    let uuid = |at: u64| {
        let key = name(company, &format!("u{at}"));
        let query = [("data_source_uuid", DATA_SOURCE_UUID), ("external_id", key.as_str())];
        (format!("u{at}"), peek.at("/customers", &query).1["entries"][0]["uuid"].clone())
    };
    (0..3).map(uuid).collect()
}
