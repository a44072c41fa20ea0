//! What each preset makes of rows as they come, on the level of names.

use globset::{Glob, GlobSet, GlobSetBuilder};
use hashbrown::HashMap;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::mapping::{Extras, Mapped, Mapper, MapperInput, Rename, UnknownFields, Values};
use crate::objects::resource::{Field, Kind, Resource};
use crate::objects::{contacts, customers};

const SOURCE: &str = "ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46";

/// An object with these fields, all of them texts.
fn object(name: &'static str, fields: &str) -> &'static Resource {
    let field = |name: &str| Field { name: String::from(name).leak(), kind: Kind::Text, ..customers::RESOURCE.fields[1] };
    let fields: Vec<Field> = fields.split_whitespace().map(field).collect();
    Box::leak(Box::new(Resource { name, references: &[], fields: fields.leak(), attributes: None, ..customers::RESOURCE }))
}

/// A stream's entry.
#[derive(Default)]
struct Entry {
    fields: Vec<Rename>,
    values: Vec<Values>,
    constants: Map<String, Value>,
    exclude: GlobSet,
    unknown: UnknownFields,
    columns: Vec<&'static str>,
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

impl Entry {
    fn fields(mut self, fields: &[(&str, &str)]) -> Self {
        self.fields = fields.iter().map(|(source, target)| (path(source), path(target))).collect();
        self
    }

    fn values(mut self, source: &str, table: &Value) -> Self {
        let table = table.as_object().unwrap().iter().map(|(given, taken)| (given.as_str().into(), taken.to_string().into()));
        self.values.push((path(source), table.collect()));
        self
    }

    fn exclude(mut self, glob: &str) -> Self {
        self.exclude = GlobSetBuilder::new().add(Glob::new(glob).unwrap()).build().unwrap();
        self
    }

    fn mapper(&self, preset: Preset, resource: &'static Resource) -> Mapper {
        let input = MapperInput {
            resource,
            fields: &self.fields,
            constants: &self.constants,
            exclude: &self.exclude,
            unknown: self.unknown,
            columns: &self.columns,
            types: &HashMap::new(),
        };
        let sheet = preset.sheet(resource.name);
        assert!(sheet.is_some(), "{}", resource.name);
        Mapper::with(&input, &Extras { values: &self.values, sheet, data_source: SOURCE }).unwrap()
    }

    /// The mapped row as sorted lines: `field=value`, `@attribute=value`, `?unknown`, `!field: fault`, `skip: why`. Read twice,
    /// with the schema's columns known and with none, which must be the same.
    fn read(&self, preset: Preset, resource: &'static Resource, row: &Value) -> Vec<String> {
        let mut known = self.mapper(preset, resource);
        let columns: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        let unknown = lines(&known, resource, row);
        known = Self {
            columns: columns.iter().map(|column| &*String::from(*column).leak()).collect(),
            fields: self.fields.clone(),
            values: self.values.clone(),
            constants: self.constants.clone(),
            exclude: self.exclude.clone(),
            unknown: self.unknown,
        }
        .mapper(preset, resource);
        assert_eq!(lines(&known, resource, row), unknown);
        unknown
    }
}

fn lines(mapper: &Mapper, resource: &Resource, row: &Value) -> Vec<String> {
    let raw = serde_json::value::to_raw_value(row).unwrap();
    let mut mapped = Mapped::default();
    mapper.apply(&raw, &mut mapped).unwrap();
    if let Some(skip) = mapped.skip {
        return vec![format!("skip: {}", skip.as_str())];
    }
    let name = |at: u8| resource.all_fields().nth(usize::from(at)).unwrap().name;
    let mut lines: Vec<String> = mapped.fields.iter().map(|(slot, value)| format!("{}={value}", name(slot.field))).collect();
    lines.extend(mapped.attributes.iter().map(|attribute| format!("@{}={}", attribute.key, attribute.raw)));
    lines.extend(mapped.unknown.iter().map(|name| format!("?{name}")));
    lines.extend(mapped.twice.iter().map(|slot| format!("twice {}", name(slot.field))));
    lines.extend(mapped.faults.iter().map(|fault| format!("!{}: {}", fault.field.as_deref().unwrap(), fault.message)));
    lines.sort();
    lines
}

fn export(resource: &'static Resource, row: &Value) -> Vec<String> {
    Entry::default().read(Preset::ChartmogulExport, resource, row)
}

fn group(row: &Value) -> Vec<String> {
    Entry::default().read(Preset::SegmentGroup, &customers::RESOURCE, row)
}

fn identify(row: &Value) -> Vec<String> {
    Entry::default().read(Preset::SegmentIdentify, &contacts::RESOURCE, row)
}

#[test]
fn a_group_call_as_a_library_sends_it_is_a_customer() {
    let row = json!({
        "type": "group", "groupId": "g-1", "userId": "u-1", "anonymousId": "a", "messageId": "m", "channel": "server",
        "context": {"ip": "10.0.0.1", "library": {"name": "x"}}, "integrations": {"All": true}, "version": 2,
        "timestamp": "2026-01-01T00:00:00Z", "receivedAt": "t", "sentAt": "t", "originalTimestamp": "t",
        "traits": {
            "name": "Acme", "email": "hello@acme.example", "createdAt": "2020-05-01", "website": "acme.example",
            "industry": "Toys", "employees": 12, "plan": "pro", "description": "Makes toys", "phone": "1", "avatar": "u",
            "isTarget": true, "status": "busy", "type": "b2b",
            "address": {"street": "Main 1", "city": "Bonn", "state": "NW", "postalCode": "53111", "country": "DE", "floor": 3}
        }
    });
    let expected = [
        "@address_floor=3",
        "@avatar=\"u\"",
        "@description=\"Makes toys\"",
        "@employees=12",
        "@industry=\"Toys\"",
        "@is_target=true",
        "@phone=\"1\"",
        "@plan=\"pro\"",
        "@status=\"busy\"",
        "@street=\"Main 1\"",
        "@type=\"b2b\"",
        "city=\"Bonn\"",
        "country=\"DE\"",
        "email=\"hello@acme.example\"",
        "external_id=\"g-1\"",
        "lead_created_at=\"2020-05-01\"",
        "name=\"Acme\"",
        "state=\"NW\"",
        "website_url=\"acme.example\"",
        "zip=\"53111\"",
    ];
    assert_eq!(group(&row), expected);
    // The same with the traits as JSON text, as some sources write nested values.
    let mut text = row;
    text["traits"] = text["traits"].to_string().into();
    assert_eq!(group(&text), expected);
}

#[test]
fn a_group_call_as_a_warehouse_stores_it_is_the_same_customer() {
    let row = json!({
        "ID": "m-1", "GROUP_ID": "g-1", "USER_ID": "u-1", "RECEIVED_AT": "t", "UUID_TS": "t", "EVENT_TEXT": "x", "CONTEXT_IP": "10",
        "CONTEXT_LIBRARY_NAME": "x", "NAME": "Acme", "CREATED": "2020-05-01", "EMPLOYEES": 12, "ADDRESS_STREET": "Main 1",
        "ADDRESS_CITY": "Bonn", "ADDRESS_POSTAL_CODE": "53111", "ADDRESS_COUNTRY": "DE", "ADDRESS_FLOOR": 3, "IS_TARGET": true
    });
    assert_eq!(
        group(&row),
        [
            "@address_floor=3",
            "@employees=12",
            "@is_target=true",
            "@street=\"Main 1\"",
            "city=\"Bonn\"",
            "country=\"DE\"",
            "external_id=\"g-1\"",
            "lead_created_at=\"2020-05-01\"",
            "name=\"Acme\"",
            "zip=\"53111\"",
        ]
    );
    assert_eq!(
        group(&json!({"traits_name": "Acme", "traits_address_city": "Bonn", "group_id": 7})),
        ["city=\"Bonn\"", "external_id=7", "name=\"Acme\""]
    );
}

#[test]
fn the_id_of_a_call_is_never_taken_for_that_of_a_group_or_user() {
    assert_eq!(group(&json!({"id": "g-1", "name": "A"})), ["external_id=\"g-1\"", "name=\"A\""]);
    for row in [json!({"id": "m", "group_id": null}), json!({"group_id": null, "id": "m"})] {
        assert_eq!(group(&row), ["external_id=null"]);
    }
    assert_eq!(group(&json!({"id": "m", "group_id": "g"})), ["external_id=\"g\""]);
    assert_eq!(identify(&json!({"id": "u-1"})), ["external_id=\"u-1\""]);
    assert_eq!(
        identify(&json!({"id": "m", "user_id": null, "email": "a@b.example"})),
        ["email=\"a@b.example\"", "external_id=null"]
    );
}

#[test]
fn an_identify_call_nested_is_a_contact_of_its_company() {
    let row = json!({
        "type": "identify", "userId": "u-1", "anonymousId": "a", "messageId": "m",
        "context": {"groupId": "g-9", "traits": {"email": "x"}, "personas": {"computation_class": "audience"}},
        "traits": {
            "email": "ann@acme.example", "firstName": "Ann", "lastName": "Lee", "title": "CTO", "phone": "1", "linkedIn": "l",
            "twitter": "@ann", "avatar": "u", "bigSpenders": false, "age": 40,
            "company": {"id": "c-1", "name": "Acme", "employeeCount": 3}, "address": {"city": "Bonn"}
        }
    });
    assert_eq!(
        identify(&row),
        [
            "@address_city=\"Bonn\"",
            "@age=40",
            "@avatar=\"u\"",
            "@big_spenders=false",
            "@company_employee_count=3",
            "customer_external_id=\"c-1\"",
            "customer_name=\"Acme\"",
            "email=\"ann@acme.example\"",
            "external_id=\"u-1\"",
            "first_name=\"Ann\"",
            "last_name=\"Lee\"",
            "linked_in=\"l\"",
            "phone=\"1\"",
            "title=\"CTO\"",
            "twitter=\"@ann\"",
        ]
    );
}

#[test]
fn an_identify_call_flat_is_the_same_contact() {
    let row = json!({
        "id": "m", "user_id": "u-1", "anonymous_id": "a", "context_page_url": "u", "context_group_id": "g-9", "uuid_ts": "t",
        "email": "ann@acme.example", "first_name": "Ann", "company_id": 7, "company_name": "Acme", "company_plan": "pro",
        "big_spenders": true, "channel": "web", "event": "e", "loaded_at": "t"
    });
    assert_eq!(
        identify(&row),
        [
            "@big_spenders=true",
            "@company_plan=\"pro\"",
            "customer_external_id=7",
            "customer_name=\"Acme\"",
            "email=\"ann@acme.example\"",
            "external_id=\"u-1\"",
            "first_name=\"Ann\"",
        ]
    );
    assert_eq!(identify(&json!({"context_group_id": "g-9"})), ["customer_external_id=\"g-9\""]);
}

#[test]
fn a_full_name_counts_only_where_no_part_of_it_was_given() {
    let split = |row: Value| identify(&row);
    assert_eq!(split(json!({"name": "Ann van Lee"})), ["first_name=\"Ann\"", "last_name=\"van Lee\""]);
    assert_eq!(split(json!({"traits": {"name": "Ann"}})), ["first_name=\"Ann\""]);
    assert_eq!(split(json!({"name": "Ann \"A\" Lee", "first_name": null})), ["first_name=\"Ann\"", r#"last_name="\"A\" Lee""#]);
    assert_eq!(split(json!({"name": "Ann Lee", "last_name": "Li"})), ["last_name=\"Li\""]);
    assert_eq!(split(json!({"firstName": "Bo", "name": "Ann Lee"})), ["first_name=\"Bo\""]);
    assert_eq!(split(json!({"name": null})), [""; 0]);
}

#[test]
fn a_company_without_an_id_makes_nobody() {
    assert_eq!(identify(&json!({"user_id": "u", "company": {"name": "Acme"}})), ["external_id=\"u\""]);
    assert_eq!(identify(&json!({"user_id": "u", "company": "Acme"})), ["external_id=\"u\""]);
    assert_eq!(identify(&json!({"company": "Acme", "group_id": "g"})), ["customer_external_id=\"g\"", "customer_name=\"Acme\""]);
    assert!(Preset::SegmentIdentify.makes_parents() && !Preset::SegmentGroup.makes_parents());
}

#[test]
fn what_the_entry_says_goes_before_the_preset() {
    let row = json!({"groupId": "g", "traits": {"name": "Acme", "plan": "pro", "nick": "A", "prefs": {"a": 1}, "myNotes": "n"}});
    let entry =
        Entry::default().fields(&[("traits.nick", "name"), ("traits.plan", "custom.tier"), ("traits.prefs.a", "custom.a")]);
    assert_eq!(
        entry.read(Preset::SegmentGroup, &customers::RESOURCE, &row),
        ["@a=1", "@my_notes=\"n\"", "@tier=\"pro\"", "external_id=\"g\"", "name=\"A\""]
    );
    let row = json!({"groupId": "g", "traits": {"name": "Acme", "myNotes": "n", "prefs": {"a": 1}}});
    for glob in ["{my_notes,prefs}", "{myNotes,prefs}"] {
        let read = Entry::default().exclude(glob).read(Preset::SegmentGroup, &customers::RESOURCE, &row);
        assert_eq!(read, ["external_id=\"g\"", "name=\"Acme\""], "{glob}");
    }
    // A part of a nested column is left out by the key that it gets, too.
    let row = json!({"userId": "u", "company": {"id": "c", "plan": "pro", "size": 3}});
    let read = Entry::default().exclude("company_plan").read(Preset::SegmentIdentify, &contacts::RESOURCE, &row);
    assert_eq!(read, ["@company_size=3", "customer_external_id=\"c\"", "external_id=\"u\""]);
    // In any spelling, and also where a glob leaves out the column's neighbours.
    let row = json!({"GROUP_ID": "g", "NICK": "A", "NAME": "Acme", "EMAIL": null});
    let entry = Entry { constants: json!({"email": "x@y.example"}).as_object().unwrap().clone(), ..Entry::default() };
    let entry = entry.fields(&[("nick", "name")]).exclude("{NICK,SEATS}");
    assert_eq!(
        entry.read(Preset::SegmentGroup, &customers::RESOURCE, &row),
        ["email=\"x@y.example\"", "external_id=\"g\"", "name=\"A\""]
    );
    let translate =
        Entry::default().values("traits.address.country", &json!({"Germany": "DE"})).values("plan", &json!({"1": "pro"}));
    let row = json!({"plan": 1, "groupId": "g", "traits": {"address": {"country": "Germany"}}});
    let read = translate.read(Preset::SegmentGroup, &customers::RESOURCE, &row);
    assert_eq!(read, ["@plan=\"pro\"", "country=\"DE\"", "external_id=\"g\""]);
    let unknown = |unknown| {
        Entry { unknown, ..Entry::default() }.read(
            Preset::SegmentGroup,
            &customers::RESOURCE,
            &json!({"groupId": "g", "seats": 1, "sent_at": "t"}),
        )
    };
    assert_eq!(unknown(UnknownFields::Ignore), ["external_id=\"g\""]);
    assert_eq!(unknown(UnknownFields::Reject), ["?seats", "external_id=\"g\""]);
}

#[test]
fn a_deletion_marker_is_seen_in_any_case() {
    for columns in [vec![], vec!["_AB_CDC_DELETED_AT", "_ab_cdc_deleted_at"]] {
        let mapper = Entry { columns, ..Entry::default() }.mapper(Preset::SegmentGroup, &customers::RESOURCE);
        for (row, deleted) in [
            (json!({"_AB_CDC_DELETED_AT": "2026-01-01"}), true),
            (json!({"_ab_cdc_deleted_at": true}), true),
            (json!({"_ab_cdc_deleted_at": null}), false),
            (json!({"_AB_CDC_UPDATED_AT": "t"}), false),
        ] {
            let raw = serde_json::value::to_raw_value(&row).unwrap();
            let mut mapped = Mapped::default();
            mapper.apply(&raw, &mut mapped).unwrap();
            assert_eq!((mapped.deleted, mapped.attributes.len()), (deleted, 0), "{row}");
        }
    }
}

#[test]
fn nested_text_that_is_no_json_is_a_fault_of_the_column() {
    assert_eq!(group(&json!({"traits": "oops"})), ["!traits: holds a text that is not the JSON text of an object"]);
    assert_eq!(group(&json!({"traits": [1]})), ["!traits: takes an object or its JSON text, not an array"]);
    for nothing in [json!(null), json!(""), json!("null"), json!({})] {
        assert_eq!(group(&json!({"traits": nothing})), [""; 0]);
    }
}

#[test]
fn exported_customers_lose_what_is_internal_and_keep_their_key() {
    let row = json!({
        "ID": 1, "BILLING_CONNECTOR_ID": 2, "CUSTOMER_ID": 3, "EXTERNAL_ID": "c-1", "FULL_NAME": "Ann", "EMAIL": "a@b.example",
        "DESCRIPTION": "Acme", "COUNTRY_ID": 4, "STATE_ID": 5, "CITY": "Bonn", "ADDRESS_ZIP": "53111", "MRR": 6, "STATUS": "Active",
        "UUID": "cus_1", "CREATED_AT": "t", "UPDATED_AT": "t", "SEATS": 3, "_AIRBYTE_RAW_ID": "r"
    });
    let expected = [
        "@SEATS=3",
        "city=\"Bonn\"",
        "company=\"Acme\"",
        "email=\"a@b.example\"",
        "external_id=\"c-1\"",
        "name=\"Ann\"",
        "zip=\"53111\"",
    ];
    assert_eq!(export(&customers::RESOURCE, &row), expected);
    let lower = row.as_object().unwrap().iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let lower: Value = lower.collect::<Map<_, _>>().into();
    let read = export(&customers::RESOURCE, &lower);
    assert_eq!(read[1..], expected[1..]);
    // Without a key of the user's, ChartMogul's is what is left.
    let bare = json!({"EXTERNAL_ID": null, "UUID": "23740208-2c7e-11ee-9ea2-ffd2435982bb", "STATUS": "new lead"});
    assert_eq!(
        export(&customers::RESOURCE, &bare),
        ["external_id=null", "status=\"New Lead\"", "uuid=\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\""]
    );
    let mapped = Entry::default().fields(&[("UUID", "uuid")]);
    let row = json!({"EXTERNAL_ID": "c", "UUID": "cus_1"});
    let read = mapped.read(Preset::ChartmogulExport, &customers::RESOURCE, &row);
    assert_eq!(read, ["external_id=\"c\"", "uuid=\"cus_1\""]);
}

#[test]
fn countries_and_states_need_a_table_and_are_warned_of_once() {
    let columns = vec!["EXTERNAL_ID", "COUNTRY_ID", "STATE_ID", "ID"];
    let entry = Entry { columns: columns.clone(), ..Entry::default() };
    let mapper = entry.mapper(Preset::ChartmogulExport, &customers::RESOURCE);
    assert_eq!(mapper.warnings().len(), 2);
    assert!(mapper.warnings()[0].starts_with("column `COUNTRY_ID` is left out") && mapper.warnings()[0].contains("`values`"));
    let entry = Entry { columns, ..Entry::default() }.values("COUNTRY_ID", &json!({"1": "US", "0": null})).exclude("STATE_ID");
    assert!(entry.mapper(Preset::ChartmogulExport, &customers::RESOURCE).warnings().is_empty());
    let read = |id: Value| entry.read(Preset::ChartmogulExport, &customers::RESOURCE, &json!({"country_id": id, "STATE_ID": 2}));
    assert_eq!(read(json!(1)), ["country=\"US\""]);
    assert_eq!(read(json!("1")), ["country=\"US\""]);
    assert_eq!(read(json!(1.0)), ["country=\"US\""]);
    assert_eq!(read(json!(0)), ["country=null"]);
    assert_eq!(read(json!(null)), [""; 0]);
    assert!(read(json!(7))[0].starts_with("!country: column"));
}

#[test]
fn rows_of_other_data_sources_and_deleted_rows_are_skipped() {
    let plans = object("plans", "data_source_uuid uuid external_id name interval_count interval_unit");
    let row = json!({
        "ID": 1, "NAME": "Pro", "EXTERNAL_ID": "p", "INTERVAL": "month", "INTERVAL_COUNT": 1, "BILLING_CONNECTOR_ID": 7,
        "TITLE": "Pro (monthly)", "UUID": "pl_1", "DELETED": false, "CREATED_AT": "t", "DATA_SOURCE_UUID": SOURCE
    });
    let expected = ["external_id=\"p\"", "interval_count=1", "interval_unit=\"month\"", "name=\"Pro\""];
    assert_eq!(export(plans, &row), expected);
    let with = |name: &str, value: Value| {
        let mut row = row.clone();
        row[name] = value;
        row
    };
    assert_eq!(export(plans, &with("DATA_SOURCE_UUID", json!(&SOURCE[3..]))), expected);
    assert_eq!(export(plans, &with("DATA_SOURCE_UUID", json!(null))), expected);
    let other = json!("ds_ffffffff-2c7e-11ee-ab23-cb0f008cff46");
    assert_eq!(export(plans, &with("DATA_SOURCE_UUID", other.clone())), ["skip: other_data_source"]);
    for deleted in [json!(true), json!("true"), json!("TRUE"), json!(1)] {
        assert_eq!(export(plans, &with("DELETED", deleted)), ["skip: deletion_ignored"]);
    }
    // To bring rows of another source along, its column is left out or translated.
    let read = |entry: Entry, row: &Value| entry.read(Preset::ChartmogulExport, plans, row);
    let foreign = with("DATA_SOURCE_UUID", other.clone());
    assert_eq!(read(Entry::default().exclude("DATA_SOURCE_UUID"), &foreign), expected);
    let table = json!({other.as_str().unwrap(): SOURCE});
    assert_eq!(read(Entry::default().values("DATA_SOURCE_UUID", &table), &foreign), expected);
    let numbers = || Entry::default().values("BILLING_CONNECTOR_ID", &json!({"7": SOURCE}));
    assert_eq!(read(numbers(), &row), expected);
    assert_eq!(read(numbers(), &with("BILLING_CONNECTOR_ID", json!(8))), ["skip: other_data_source"]);
}

#[test]
fn exported_invoices_have_their_dates_and_the_statuses_that_can_be_set() {
    let invoices =
        object("invoices", "data_source_uuid uuid customer_external_id customer_uuid external_id date due_date currency status");
    let row = |status: Value| {
        json!({"ID": "x", "EXTERNAL_ID": "i-1", "INVOICED_AT": "2026-01-01", "DUE_AT": null, "CURRENCY": "EUR",
            "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": "c-1", "DATA_SOURCE_UUID": SOURCE, "UNMAPPED_ATTRIBUTES": "{}",
            "MRR_PROCESSED_AT": "t", "STATUS": status})
    };
    let common =
        ["currency=\"EUR\"", "customer_external_id=\"c-1\"", "date=\"2026-01-01\"", "due_date=null", "external_id=\"i-1\""];
    for computed in [json!(0), json!(1), json!("2"), json!("paid"), json!(null)] {
        assert_eq!(export(invoices, &row(computed)), common);
    }
    for (given, word) in [(json!(3), "written_off"), (json!("4"), "voided"), (json!(4.0), "voided"), (json!("VOIDED"), "voided")]
    {
        assert_eq!(export(invoices, &row(given)).last().unwrap(), &format!("status=\"{word}\""));
    }
    let fault = "!status: column STATUS holds a value that stands in no table of ChartMogul's export";
    assert!(export(invoices, &row(json!(5))).iter().any(|line| line.replace('`', "") == fault));
}

#[test]
fn exported_line_items_are_taken_apart() {
    let items = object(
        "line_items",
        "data_source_uuid uuid invoice_external_id invoice_uuid plan_external_id plan_uuid external_id type amount_in_cents \
         quantity prorated proration_type balance_transfer service_period_start service_period_end subscription_external_id",
    );
    let row = |data: Value| {
        json!({"ID": 5, "EXTERNAL_ID": "l", "TYPE": "subscription", "TYPE_DATA": data, "AMOUNT_IN_CENTS": 900, "QUANTITY": 1,
            "INVOICE_EXTERNAL_ID": "i", "PLAN_EXTERNAL_ID": "p", "SUBSCRIPTION_EXTERNAL_ID": "s", "CREATED_AT": "t",
            "UNMAPPED_ATTRIBUTES": null, "DATA_SOURCE_UUID": SOURCE})
    };
    let text = json!(r#"{"prorated":true,"proration_type":"full","balance_transfer":null,"other":1}"#);
    assert_eq!(
        export(items, &row(text)),
        [
            "amount_in_cents=900",
            "balance_transfer=null",
            "external_id=\"l\"",
            "invoice_external_id=\"i\"",
            "plan_external_id=\"p\"",
            "prorated=true",
            "proration_type=\"full\"",
            "quantity=1",
            "subscription_external_id=\"s\"",
            "type=\"subscription\"",
        ]
    );
    assert!(export(items, &row(json!({"prorated": false}))).contains(&"prorated=false".to_owned()));
    assert!(export(items, &row(json!("{not json"))).iter().any(|line| line.starts_with("!TYPE_DATA: ")));
}

#[test]
fn exported_transactions_leave_an_amount_out_that_is_null() {
    let transactions = object(
        "transactions",
        "data_source_uuid uuid invoice_external_id invoice_uuid external_id type result date amount_in_cents transaction_fees_in_cents",
    );
    let row = json!({"ID": "x", "EXTERNAL_ID": "t", "TRANSACTED_AT": "2026-01-01", "TYPE": "payment", "RESULT": "successful",
        "INVOICE_EXTERNAL_ID": "i", "AMOUNT_IN_CENTS": null, "REFUND_OPTIONS": "{}", "TRANSACTION_FEES_IN_CENTS": 3});
    let expected = [
        "date=\"2026-01-01\"",
        "external_id=\"t\"",
        "invoice_external_id=\"i\"",
        "result=\"successful\"",
        "transaction_fees_in_cents=3",
        "type=\"payment\"",
    ];
    assert_eq!(export(transactions, &row), expected);
}

#[test]
fn exported_events_get_their_words_and_their_money() {
    let events = object(
        "subscription_events",
        "data_source_uuid id customer_external_id subscription_external_id plan_external_id external_id event_type event_date \
         effective_date currency quantity amount_in_cents tax_amount_in_cents retracted_event_id",
    );
    let row = |kind: Value, payload: Value| {
        json!({"ID": 77, "DATA_SOURCE_UUID": SOURCE, "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": "c", "SUBSCRIPTION_EXTERNAL_ID": "s",
            "PLAN_EXTERNAL_ID": "p", "EXTERNAL_ID": null, "EVENT_DATE": "2026-01-01", "EFFECTIVE_DATE": "2026-01-02",
            "PAYLOAD": payload, "EVENT_TYPE": kind, "CREATED_AT": "t"})
    };
    let payload = json!(r#"{"currency":"USD","quantity":2,"amount":1000,"tax":null,"x":1}"#);
    let expected = [
        "amount_in_cents=1000",
        "currency=\"USD\"",
        "customer_external_id=\"c\"",
        "effective_date=\"2026-01-02\"",
        "event_date=\"2026-01-01\"",
        "event_type=\"subscription_start\"",
        "plan_external_id=\"p\"",
        "quantity=2",
        "subscription_external_id=\"s\"",
    ];
    assert_eq!(export(events, &row(json!(1), payload.clone())), expected);
    assert_eq!(export(events, &row(json!("subscription_start"), payload.clone())), expected);
    let both = json!({"amount_in_cents": 900, "amount": 1, "tax_amount": 5});
    let read = export(events, &row(json!(4), both));
    assert!(
        ["amount_in_cents=900", "tax_amount_in_cents=5", "event_type=\"subscription_cancelled\""]
            .iter()
            .all(|line| read.iter().any(|found| found == line))
    );
    assert_eq!(export(events, &row(json!(9), json!("{\"retracted_event_id\":\"e\"}"))).len(), 7);
    let faulty = export(events, &row(json!(10), json!("oops")));
    assert!(faulty[0].starts_with("!PAYLOAD: ") && faulty[1].starts_with("!event_type: "), "{faulty:?}");
}

#[test]
fn exported_contacts_have_a_key_in_their_internal_id_where_they_are_not_from_here() {
    let other = "ds_ffffffff-2c7e-11ee-ab23-cb0f008cff46";
    let row = json!({"ID": "x1", "DATA_SOURCE_UUID": other, "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": "c", "FIRST_NAME": "Ann",
        "TITLE": "CTO", "NOTE": "n", "LINKED_IN": "l", "CREATED_AT": "t", "UUID": "con_1"});
    let expected = [
        "customer_external_id=\"c\"",
        "external_id=\"x1\"",
        "first_name=\"Ann\"",
        "linked_in=\"l\"",
        "notes=\"n\"",
        "title=\"CTO\"",
    ];
    let read = |entry: Entry, row: &Value| entry.read(Preset::ChartmogulExport, &contacts::RESOURCE, row);
    let translated = |from: &str| Entry::default().values("DATA_SOURCE_UUID", &json!({from: SOURCE}));
    assert_eq!(read(translated(other), &row), expected);
    assert_eq!(read(Entry::default().exclude("DATA_SOURCE_UUID"), &row), expected);
    // Loaded back, it is found by what it has: a second key would make it twice.
    let mut here = row;
    here["DATA_SOURCE_UUID"] = SOURCE.into();
    for entry in [Entry::default(), translated(other), translated(SOURCE)] {
        let read = read(entry, &here);
        assert!(
            read.contains(&"uuid=\"con_1\"".to_owned()) && !read.iter().any(|line| line.starts_with("external_id")),
            "{read:?}"
        );
    }
    let row = json!({"ID": "x1", "EXTERNAL_ID": "k", "CUSTOMER_UUID": "23740208-2c7e-11ee-9ea2-ffd2435982bb"});
    assert_eq!(
        export(&contacts::RESOURCE, &row),
        ["customer_uuid=\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"", "external_id=\"k\""]
    );
}

#[test]
fn exported_attributes_become_what_their_type_says() {
    let attributes = object("custom_attributes", "data_source_uuid customer_external_id customer_uuid key type value");
    let row = |kind: &str, value: Value| json!({"CUSTOMER_UUID": "cus_1", "CUSTOM_ATTRIBUTE_NAME": "k", "CUSTOM_ATTRIBUTE_TYPE": kind, "VALUE": value});
    for (kind, text, typed) in [
        ("Integer", "3", "3"),
        ("Decimal", "3.50", "3.50"),
        ("Boolean", "f", "false"),
        ("STRING", "3", "\"3\""),
        ("Timestamp", "2026-01-01", "\"2026-01-01T00:00:00.000Z\""),
        ("Integer", "", "null"),
        ("String", "", "\"\""),
        ("Colour", "3", "\"3\""),
    ] {
        let read = export(attributes, &row(kind, json!(text)));
        assert_eq!(read, ["customer_uuid=\"cus_1\"", "key=\"k\"", &format!("type=\"{kind}\""), &format!("value={typed}")]);
    }
    let faulty = export(attributes, &row("Integer", json!("many")));
    assert!(faulty[0].starts_with("!value: a text that can not become Integer"), "{faulty:?}");
}

#[test]
fn exported_tags_leave_out_those_that_chartmogul_sets() {
    let tags = object("tags", "data_source_uuid customer_external_id customer_uuid tag remove");
    assert_eq!(
        export(tags, &json!({"CUSTOMER_UUID": "cus_1", "TAG": "vip", "ID": 4})),
        ["customer_uuid=\"cus_1\"", "tag=\"vip\""]
    );
    assert_eq!(export(tags, &json!({"CUSTOMER_UUID": "cus_1", "NAME": "merged-customer"})), ["skip: automatic_tag"]);
}

#[test]
fn exported_notes_opportunities_tasks_and_data_sources_keep_what_can_be_written() {
    let notes =
        object("customer_notes", "uuid customer_external_id customer_uuid type text author_email call_duration created_at");
    let row = json!({"UUID": "note_1", "CUSTOMER_UUID": "cus_1", "TYPE": "note", "TEXT": "hi", "AUTHOR": "A B (a@x.example)",
        "CREATED_AT": "2026-01-01", "UPDATED_AT": "t", "ID": 3});
    assert_eq!(
        export(notes, &row),
        [
            "author_email=\"a@x.example\"",
            "created_at=\"2026-01-01\"",
            "customer_uuid=\"cus_1\"",
            "text=\"hi\"",
            "type=\"note\"",
            "uuid=\"note_1\""
        ]
    );
    // With the customer's key the row may be for another account, where no UUID means anything.
    let joined = json!({"UUID": "note_1", "CUSTOMER_UUID": "cus_1", "CUSTOMER_EXTERNAL_ID": "c", "AUTHOR": "A B"});
    assert_eq!(export(notes, &joined), ["customer_external_id=\"c\""]);

    let opportunities = object("opportunities", "uuid customer_external_id customer_uuid owner pipeline type amount_in_cents");
    let row = json!({"ID": 1, "UUID": "u", "CUSTOMER_UUID": "cus_1", "OWNER": "o@x.example", "TYPE": "arr", "AMOUNT_IN_CENTS": 5, "CREATED_AT": "t"});
    assert_eq!(
        export(opportunities, &row),
        ["amount_in_cents=5", "customer_uuid=\"cus_1\"", "owner=\"o@x.example\"", "type=\"arr\"", "uuid=\"u\""]
    );

    let tasks = object("tasks", "uuid customer_external_id customer_uuid task_details assignee due_date completed_at");
    let row =
        json!({"TASK_UUID": "t1", "CUSTOMER_UUID": "cus_1", "TASK_DETAILS": "call", "DUE_DATE": "2026-01-01", "CREATED_AT": "t"});
    assert_eq!(
        export(tasks, &row),
        ["customer_uuid=\"cus_1\"", "due_date=\"2026-01-01\"", "task_details=\"call\"", "uuid=\"t1\""]
    );

    let sources = object("data_sources", "uuid name");
    let row = json!({"ID": 1, "UUID": "ds_ffffffff-2c7e-11ee-ab23-cb0f008cff46", "NAME": "Stripe", "SYSTEM": "Stripe", "STATUS": "idle"});
    assert_eq!(export(sources, &row), ["name=\"Stripe\""]);
}

#[test]
fn a_dataset_is_known_by_its_name_in_any_case() {
    let named = |stream: &str| match Preset::ChartmogulExport.becomes(stream) {
        Becomes::Named(object) => object,
        Becomes::Nothing(_) => "nothing",
        Becomes::Open => "open",
        Becomes::Always(_) => "always",
    };
    for (stream, object) in [
        ("CUSTOMERS", "customers"),
        ("plans", "plans"),
        ("INVOICE_LINE_ITEMS", "line_items"),
        ("invoice-line-items", "line_items"),
        ("Subscription Events", "subscription_events"),
        ("NOTES_AND_CALL_LOGS", "customer_notes"),
        ("CUSTOM_ATTRIBUTES", "custom_attributes"),
        ("chartmogul_transactions", "transactions"),
        ("dataSources", "data_sources"),
        ("CURRENCY_RATES", "nothing"),
        ("mrr_movements", "nothing"),
        ("CMRR-Movements", "nothing"),
        ("MrrIntervals", "nothing"),
        ("calculated_customers", "nothing"),
        ("CUSTOMERS_CALCULATED", "nothing"),
        ("calc_subscriptions", "nothing"),
        ("SUBSCRIPTIONS", "nothing"),
        ("calculated_mrr_movements", "nothing"),
        ("CONTACT_CUSTOM_ATTRIBUTES", "nothing"),
        ("my_view", "open"),
    ] {
        assert_eq!(named(stream), object, "{stream}");
    }
    assert_eq!(Preset::SegmentGroup.becomes("groups"), Becomes::Always("customers"));
    for object in Preset::ChartmogulExport.objects() {
        assert!(Preset::ChartmogulExport.sheet(object).is_some(), "{object}");
    }
    let refuses = |columns: &[&str]| Preset::ChartmogulExport.refuses("customers", columns).is_some();
    assert!(refuses(&["UUID", "MRR", "ARR"]) && refuses(&["billing_cycle"]));
    assert!(!refuses(&["EXTERNAL_ID", "FULL_NAME", "MRR"]) && !refuses(&["EXTERNAL_ID"]));
    assert!(Preset::ChartmogulExport.refuses("plans", &["MRR"]).is_none());
}

/// Any value that a column may hold.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..12).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        r#"[a-z"\\{}():@ ü0-9]{0,12}"#.prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            row(inner.clone()),
            row(inner).prop_map(|row| row.to_string().into()),
        ]
    })
}

/// An object with names that presets know, and others.
fn row(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let names: Vec<String> = [
        "ID userId groupId traits context company name firstName address_city company_id email payload TYPE_DATA EVENT_TYPE",
        "STATUS VALUE custom_attribute_type UUID EXTERNAL_ID CUSTOMER_UUID DATA_SOURCE_UUID DELETED tag author COUNTRY_ID",
    ]
    .iter()
    .flat_map(|names| names.split(' '))
    .map(str::to_owned)
    .collect();
    let name = prop_oneof![4 => prop::sample::select(names), 1 => "[a-zA-Zü_. ]{0,8}"];
    prop::collection::vec((name, value), 0..12).prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    /// No row makes a preset panic; a slot and a key stand once; the same row is the same again, known columns or not.
    #[test]
    fn any_row_is_read_and_read_the_same_again(row in row(value())) {
        let attributes = object("custom_attributes", "data_source_uuid customer_external_id customer_uuid key type value");
        let events = object("subscription_events", "customer_external_id event_type currency quantity amount_in_cents status tag");
        for (preset, resource) in [
            (Preset::SegmentGroup, &customers::RESOURCE),
            (Preset::SegmentIdentify, &contacts::RESOURCE),
            (Preset::ChartmogulExport, &customers::RESOURCE),
            (Preset::ChartmogulExport, attributes),
            (Preset::ChartmogulExport, events),
        ] {
            let lines = Entry::default().read(preset, resource, &row);
            let mut keys: Vec<&str> = lines.iter().filter(|line| !line.starts_with('!')).filter_map(|line| Some(line.split_once('=')?.0)).collect();
            let all = keys.len();
            keys.dedup();
            prop_assert_eq!(keys.len(), all, "{:?}", lines);
        }
    }
}
