//! What ChartMogul's own export ("Destinations") would write of an account: the rows of each dataset, with the columns that
//! are documented and, where a page is not known, those of the API object of the same name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::World;

/// Numbers as the export has them: the table stands on the page of the dataset.
pub(crate) const COUNTRIES: &[(&str, i64)] = &[("US", 231), ("DE", 81)];
pub(crate) const STATES: &[(&str, i64)] = &[("NY", 3861)];
/// ChartMogul's own number of the first data source; the others follow.
pub(crate) const FIRST_CONNECTOR: i64 = 4100;

const EVENT_TYPES: [&str; 10] = [
    "subscription_start_scheduled",
    "subscription_start",
    "scheduled_subscription_start_retracted",
    "subscription_cancellation_scheduled",
    "subscription_cancelled",
    "scheduled_subscription_cancellation_retracted",
    "subscription_update_scheduled",
    "subscription_updated",
    "scheduled_subscription_update_retracted",
    "subscription_event_retracted",
];
const INVOICE_STATUSES: [&str; 5] = ["open", "paid", "refunded", "written_off", "voided"];
/// When rows were made and changed in ChartMogul: never to be taken for dates of the user's.
const ROW: &str = "2026-11-01T04:00:00Z";

/// The datasets of an account, each by its name.
pub(crate) struct Export {
    dump: Value,
    contents: Value,
    ids: i64,
    pub(crate) datasets: BTreeMap<&'static str, Vec<Value>>,
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

impl Export {
    pub(crate) fn of(world: &World) -> Export {
        let (dump, contents) = (world.sandbox.dump(), world.contents());
        let mut export = Export { dump, contents, ids: 900_000, datasets: BTreeMap::new() };
        export.customers();
        export.plans();
        export.invoices();
        export.events();
        export.contacts();
        export.parents();
        export
    }

    /// Rows of several datasets, as records of the streams of those names.
    pub(crate) fn rows(&self, names: &[&'static str]) -> Vec<(&'static str, Value)> {
        let mut rows = Vec::new();
        for name in names {
            rows.extend(self.datasets.get(name).into_iter().flatten().map(|row| (*name, row.clone())));
        }
        rows
    }

    /// The same with what a join brings to rows that name a customer by nothing but ChartMogul's UUID: the customer's key,
    /// and the data source in which it has that key.
    pub(crate) fn joined(mut self) -> Export {
        let mut children: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for customer in list(&self.dump, "customers") {
            let keys = list(customer, "keys").iter();
            let keys = keys.map(|key| (text(&key["data_source_uuid"]), text(&key["external_id"])));
            children.insert(text(&customer["uuid"]), keys.collect());
        }
        for row in self.datasets.values_mut().flatten() {
            let Some(children) = row["CUSTOMER_UUID"].as_str().and_then(|uuid| children.get(uuid)) else { continue };
            let (source, key) = &children[0];
            row["CUSTOMER_EXTERNAL_ID"] = key.as_str().into();
            row["DATA_SOURCE_UUID"] = source.as_str().into();
        }
        self
    }

    fn add(&mut self, dataset: &'static str, mut row: Value) {
        self.ids += 1;
        let own = [("ID", json!(self.ids)), ("CREATED_AT", ROW.into()), ("UPDATED_AT", ROW.into())];
        for (name, value) in own {
            if row.get(name).is_none() {
                row[name] = value;
            }
        }
        self.datasets.entry(dataset).or_default().push(row);
    }

    fn connector(&self, uuid: &Value) -> Value {
        let at = list(&self.dump, "data_sources").iter().position(|source| source["uuid"] == *uuid).unwrap();
        (FIRST_CONNECTOR + i64::try_from(at).unwrap()).into()
    }

    /// The UUID of a data source, by its name.
    fn source(&self, name: &Value) -> Value {
        list(&self.dump, "data_sources").iter().find(|source| source["name"] == *name).unwrap()["uuid"].clone()
    }

    fn customers(&mut self) {
        for customer in self.dump["customers"].as_array().unwrap().clone() {
            let fields = &customer["fields"];
            let number = |name: &str, table: &[(&str, i64)]| {
                table.iter().find(|(word, _)| fields[name] == *word).map_or(Value::Null, |(_, number)| (*number).into())
            };
            for key in list(&customer, "keys") {
                let row = json!({
                    "BILLING_CONNECTOR_ID": self.connector(&key["data_source_uuid"]), "CUSTOMER_ID": customer["id"],
                    "EXTERNAL_ID": key["external_id"], "FULL_NAME": fields["name"], "EMAIL": fields["email"],
                    "DESCRIPTION": fields["company"], "COUNTRY_ID": number("country", COUNTRIES),
                    "STATE_ID": number("state", STATES), "CITY": fields["city"], "ADDRESS_ZIP": fields["zip"],
                    "UUID": customer["uuid"],
                });
                self.add("CUSTOMERS", row);
            }
        }
    }

    fn plans(&mut self) {
        for plan in self.dump["plans"].as_array().unwrap().clone() {
            let title = format!("{} ({})", text(&plan["name"]), text(&plan["external_id"]));
            let row = json!({
                "NAME": plan["name"], "EXTERNAL_ID": plan["external_id"], "INTERVAL": plan["interval_unit"],
                "INTERVAL_COUNT": plan["interval_count"], "BILLING_CONNECTOR_ID": self.connector(&plan["data_source_uuid"]),
                "TITLE": title, "UUID": plan["uuid"], "DELETED": false,
            });
            self.add("PLANS", row.clone());
            // One that was deleted: it is hidden in the app and stands in the export.
            let mut deleted = row;
            deleted["EXTERNAL_ID"] = format!("old-{}", text(&plan["external_id"])).into();
            deleted["DELETED"] = true.into();
            self.add("PLANS", deleted);
        }
    }

    fn invoices(&mut self) {
        for invoice in self.contents["invoices"].as_array().unwrap().clone() {
            let (fields, source) = (&invoice["fields"], self.source(&invoice["customer"]["data_source"]));
            let status = INVOICE_STATUSES.iter().position(|status| invoice["status"] == *status);
            let row = json!({
                "ID": format!("x{}", text(&fields["external_id"])), "EXTERNAL_ID": fields["external_id"],
                "INVOICED_AT": fields["date"], "DUE_AT": fields["due_date"], "CURRENCY": fields["currency"],
                "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": invoice["customer"]["external_id"], "DATA_SOURCE_UUID": source,
                "UNMAPPED_ATTRIBUTES": "{}", "MRR_PROCESSED_AT": ROW, "STATUS": status,
            });
            self.add("INVOICES", row);
            let of_invoice = |mut row: Value| {
                row["INVOICE_EXTERNAL_ID"] = fields["external_id"].clone();
                row["DATA_SOURCE_UUID"] = source.clone();
                row["UNMAPPED_ATTRIBUTES"] = "{}".into();
                row
            };
            for item in list(&invoice, "line_items") {
                let mut row = upper(&item["fields"]);
                let data: Map<String, Value> = ["prorated", "proration_type", "balance_transfer"]
                    .into_iter()
                    .map(|name| (name.to_owned(), row.remove(&name.to_uppercase()).unwrap_or_default()))
                    .collect();
                // Nothing says that the export has it.
                row.remove("CANCELLED_AT");
                let mut row = of_invoice(row.into());
                row["TYPE_DATA"] = json!(data).to_string().into();
                row["PLAN_EXTERNAL_ID"] = item["plan_external_id"].clone();
                self.add("INVOICE_LINE_ITEMS", row);
            }
            for transaction in list(&invoice, "transactions") {
                let mut row = upper(transaction);
                let date = row.remove("DATE");
                let mut row = of_invoice(row.into());
                row["TRANSACTED_AT"] = date.into();
                row["REFUND_OPTIONS"] = json!({"exclude_tax": false}).to_string().into();
                // The column is there for all rows; no amount is the invoice's total.
                row["AMOUNT_IN_CENTS"] = transaction["amount_in_cents"].clone();
                self.add("TRANSACTIONS", row);
            }
        }
    }

    fn events(&mut self) {
        for event in self.dump["subscription_events"].as_array().unwrap().clone() {
            let kind = EVENT_TYPES.iter().position(|kind| event["event_type"] == *kind);
            let payload = json!({
                "currency": event["currency"], "quantity": event["quantity"], "amount_in_cents": event["amount_in_cents"],
                "tax_amount_in_cents": event["tax_amount_in_cents"],
            });
            let row = json!({
                "ID": event["id"], "DATA_SOURCE_UUID": event["data_source_uuid"],
                "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": event["customer_external_id"],
                "SUBSCRIPTION_EXTERNAL_ID": event["subscription_external_id"], "PLAN_EXTERNAL_ID": event["plan_external_id"],
                "EXTERNAL_ID": event["external_id"], "EVENT_DATE": event["event_date"],
                "EFFECTIVE_DATE": event["effective_date"], "PAYLOAD": payload.to_string(), "EVENT_TYPE": kind,
            });
            self.add("SUBSCRIPTION_EVENTS", row);
        }
    }

    fn contacts(&mut self) {
        for contact in self.dump["contacts"].as_array().unwrap().clone() {
            let (fields, source) = (&contact["fields"], &contact["data_source_uuid"]);
            let customers = list(&self.dump, "customers").iter();
            let customer = customers.clone().find(|customer| customer["uuid"] == contact["customer_uuid"]).unwrap();
            let child = list(customer, "keys").iter().find(|key| key["data_source_uuid"] == *source).unwrap();
            let row = json!({
                "ID": text(&contact["uuid"]).trim_start_matches("con_").replace('-', ""), "DATA_SOURCE_UUID": source,
                "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": child["external_id"], "FIRST_NAME": fields["first_name"],
                "LAST_NAME": fields["last_name"], "TITLE": fields["title"], "EMAIL": fields["email"],
                "PHONE": fields["phone"], "LINKED_IN": fields["linked_in"], "NOTE": fields["notes"],
            });
            self.add("CONTACTS", row);
        }
    }

    /// What hangs on parents.
    fn parents(&mut self) {
        for customer in self.dump["customers"].as_array().unwrap().clone() {
            for (key, value) in customer["custom"].as_object().unwrap() {
                let kind = match value {
                    Value::Bool(_) => "Boolean",
                    Value::Number(number) if number.is_f64() => "Decimal",
                    Value::Number(_) => "Integer",
                    _ if key.ends_with("_at") => "Timestamp",
                    _ => "String",
                };
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let row = json!({"CUSTOMER_UUID": customer["uuid"], "CUSTOM_ATTRIBUTE_NAME": key,
                    "CUSTOM_ATTRIBUTE_TYPE": kind, "VALUE": value});
                self.add("CUSTOM_ATTRIBUTES", row);
            }
            for tag in list(&customer, "tags") {
                self.add("TAGS", json!({"CUSTOMER_UUID": customer["uuid"], "TAG": tag}));
            }
        }
        let kinds = [("customer_notes", "NOTES_AND_CALL_LOGS"), ("opportunities", "OPPORTUNITIES"), ("tasks", "TASKS")];
        for (name, dataset) in kinds {
            for entry in self.dump[name].as_array().unwrap().clone() {
                let mut row = upper(&entry["fields"]);
                let uuid = if name == "tasks" { "TASK_UUID" } else { "UUID" };
                row.insert(uuid.into(), entry["uuid"].clone());
                row.insert("CUSTOMER_UUID".into(), entry["customer_uuid"].clone());
                if name == "customer_notes" {
                    // As the API has it (recorded).
                    row.entry("CALL_DURATION").or_insert(0.into());
                }
                if let Some(author) = row.remove("AUTHOR_EMAIL") {
                    row.insert("AUTHOR".into(), format!("Some One ({})", text(&author)).into());
                }
                self.add(dataset, row.into());
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The fields under the names of columns.
fn upper(fields: &Value) -> Map<String, Value> {
    fields.as_object().unwrap().iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect()
}
