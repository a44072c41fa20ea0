use proptest::prelude::*;
use serde_json::json;
use smallvec::SmallVec;

use super::*;
use crate::mapping::attributes::push_typed;
use crate::mapping::values::timestamp;
use crate::objects::contacts::Contacts;
use crate::objects::custom_attributes::CustomAttributes;
use crate::objects::customers::Customers;
use crate::plan::{Body, Mode, Target};
use AttributeType::{Boolean, Decimal, Integer, String as Text, Timestamp};

/// What is known of the customers' attribute `k`.
#[derive(Default)]
struct Known(AttributeTypes);

const CUSTOMERS: &str = "customers";

impl Known {
    fn shown(mut self, values: &[Value]) -> Self {
        for value in values {
            self.0.learn(CUSTOMERS, json!({"k": value}).as_object().unwrap());
        }
        self
    }

    fn said(mut self, kind: AttributeType) -> Self {
        self.0.said(CUSTOMERS, "k", kind);
        self
    }

    fn removed(mut self) -> Self {
        self.0.freed(CUSTOMERS, ["k"].into_iter());
        self
    }

    /// This run sent it with this type, and that was taken.
    fn taken(mut self, kind: AttributeType) -> Self {
        let claims = [("k".into(), Types::of(kind))];
        self.0.claim(CUSTOMERS, &claims);
        self.0.taken(CUSTOMERS, "k", Types::of(kind));
        self.0.give_back(CUSTOMERS, &claims);
        self
    }

    /// What becomes of a plan: `Integer 3`, `nothing`, `removed`, or the fault.
    fn bring(&self, plan: &Plan, nulls: Nulls) -> String {
        match self.0.bring(&Customers, plan, nulls) {
            Err(faults) => {
                assert_eq!(faults[0].code, Code::AttributeType);
                faults[0].message.clone()
            }
            Ok(brought) => show(&brought.plan),
        }
    }

    /// Of a value whose type was taken from the value itself.
    fn taken_for(&self, raw: &str) -> String {
        self.bring(&plan(raw, None), Nulls::Ignore)
    }
}

fn show(plan: &Plan) -> String {
    match plan.body.attributes().next() {
        None => "nothing".to_owned(),
        Some(Attribute { kind: None, .. }) => "removed".to_owned(),
        Some(Attribute { kind: Some(kind), value, .. }) => format!("{} {value}", type_word(kind)),
    }
}

fn with(raw: &str, kind: Option<AttributeType>, given: Option<&str>) -> Plan {
    let mut body = Body::default();
    body.push_attribute("k", given, |out| push_typed("k", raw, kind, out).map(Some)).unwrap();
    Plan { mode: Mode::Upsert, target: Target::Key("a".into()), refs: SmallVec::new(), body }
}

/// A value of which the stream's schema declares this type, or nothing does.
fn plan(raw: &str, declared: Option<AttributeType>) -> Plan {
    with(raw, declared, Some(raw))
}

/// A value of which the user said this type.
fn said(raw: &str, kind: AttributeType) -> Plan {
    with(raw, Some(kind), None)
}

#[test]
fn values_are_cast_to_what_the_account_shows_where_nothing_is_lost() {
    for (shown, raw, expected) in [
        (json!(1.5), "\"15001.000000000\"", "Decimal 15001"),
        (json!(7), "\"15001.000000000\"", "Integer 15001"),
        (json!(7), "\"0.5\"", "Decimal 0.5"),
        (json!(7), "3", "Integer 3"),
        (json!(7), "3.5", "Decimal 3.5"),
        (json!(1.5), "3", "Decimal 3"),
        (json!("x"), "3", "String \"3\""),
        (json!("x"), "3.50", "String \"3.50\""),
        (json!("x"), "true", "String \"true\""),
        (json!(true), "\"false\"", "Boolean false"),
        (json!(true), "1", "Boolean true"),
        (json!("2026-01-01T00:00:00.000Z"), "\"2026-01-02\"", "Timestamp \"2026-01-02T00:00:00.000Z\""),
        // It may be a text all the same, which such a value does not contradict.
        (json!("2026-01-01T00:00:00.000Z"), "\"2026-01-02T00:00:00.000Z\"", "String \"2026-01-02T00:00:00.000Z\""),
        (json!("2026-01-01T00:00:00.000Z"), "\"soon\"", "String \"soon\""),
        (json!("2026-01-01T00:00:00.000Z"), "5", "String \"5\""),
        // Numbers come back as text in places.
        (json!("1.5"), "2.5", "Decimal 2.5"),
        (json!("1.5"), "\"2.5\"", "String \"2.5\""),
        (Value::Null, "3", "Integer 3"),
        (json!({"a": 1}), "3", "Integer 3"),
    ] {
        assert_eq!(Known::default().shown(std::slice::from_ref(&shown)).taken_for(raw), expected, "{shown} {raw}");
    }
}

#[test]
fn what_can_not_become_what_is_certain_is_a_conflict_that_names_both_types_and_where_one_is_from() {
    let loss = "and the value can not become that without loss";
    for (known, raw, expected) in [
        (Known::default().shown(&[json!(7)]), "\"many\"", "is String here and Integer or Decimal in the account, "),
        (Known::default().shown(&[json!(true)]), "2", "is Integer here and Boolean in the account, "),
        (Known::default().taken(Integer), "2.5", "is Decimal here and Integer earlier in this run, "),
        (Known::default().said(Timestamp), "true", "is Boolean here and Timestamp by `types` of a stream, "),
        (Known::default().shown(&[json!(7), json!(1.5)]), "true", "is Boolean here and Decimal in the account, "),
    ] {
        assert_eq!(known.taken_for(raw), format!("{expected}{loss}"));
    }
    // The key is a value of such a record, and the types are its own.
    let known = Known::default().shown(&[json!(true)]);
    let faults = known.0.bring(&CustomAttributes, &said("\"x\"", Text), Nulls::Ignore).unwrap_err();
    assert_eq!(faults[0].field.as_deref(), Some("value"));
    assert_eq!(
        faults[0].message,
        "is String by `type` and Boolean in the account: change `type`, or the attribute in ChartMogul"
    );
}

#[test]
fn what_the_schema_declares_decides_between_the_types_that_a_value_can_be_of() {
    let whole = || Known::default().shown(&[json!(7)]);
    assert_eq!(whole().bring(&plan("3", Some(Decimal)), Nulls::Ignore), "Decimal 3");
    assert_eq!(whole().bring(&plan("\"3\"", Some(Integer)), Nulls::Ignore), "Integer 3");
    let instant = || Known::default().shown(&[json!("2026-01-01T00:00:00.000Z")]);
    let day = "Timestamp \"2026-01-02T00:00:00.000Z\"";
    assert_eq!(instant().bring(&plan("\"2026-01-02\"", Some(Timestamp)), Nulls::Ignore), day);
    // The account goes before the schema, and the value is that which came and not what the schema made of it.
    let text = Known::default().shown(&[json!("x")]);
    assert_eq!(text.bring(&plan("\"2026-01-02\"", Some(Timestamp)), Nulls::Ignore), "String \"2026-01-02\"");
    assert_eq!(text.bring(&plan("\"1\"", Some(Boolean)), Nulls::Ignore), "String \"1\"");
}

#[test]
fn a_type_that_is_said_is_a_conflict_only_with_what_is_certain_of_the_account() {
    let whole = || Known::default().shown(&[json!(7)]);
    for kind in [Integer, Decimal] {
        assert_eq!(whole().bring(&said("3", kind), Nulls::Ignore), format!("{} 3", type_word(kind)));
    }
    let words = "is String by `types` and Integer or Decimal in the account: change `types`, or the attribute in ChartMogul";
    assert_eq!(whole().bring(&said("3", Text), Nulls::Ignore), words);
    assert_eq!(whole().removed().bring(&said("3", Text), Nulls::Ignore), "String \"3\"");
    // What another stream's settings say is no word of the account's.
    assert_eq!(Known::default().said(Integer).bring(&said("3", Text), Nulls::Ignore), "String \"3\"");
    // Two streams of which each says another type: neither speaks for a third.
    assert_eq!(Known::default().said(Integer).said(Text).taken_for("3.5"), "Decimal 3.5");
    // Values go before settings.
    assert_eq!(Known::default().said(Integer).shown(&[json!("x")]).taken_for("3"), "String \"3\"");
    assert_eq!(Known::default().said(Decimal).shown(&[json!(7)]).taken_for("3"), "Decimal 3");
}

#[test]
fn an_empty_text_is_a_null_where_no_text_is_wanted() {
    let empty = plan("\"\"", None);
    let known = Known::default().shown(&[json!(7)]);
    assert_eq!(known.bring(&empty, Nulls::Ignore), "nothing");
    assert_eq!(known.bring(&empty, Nulls::Clear), "removed");
    assert_eq!(Known::default().shown(&[json!("x")]).bring(&empty, Nulls::Clear), "String \"\"");
    assert_eq!(Known::default().bring(&empty, Nulls::Clear), "String \"\"");
}

#[test]
fn what_was_removed_or_is_of_no_one_type_rejects_nothing() {
    let number = || Known::default().shown(&[json!(7)]);
    assert_eq!(number().removed().taken_for("\"many\""), "String \"many\"");
    // Where it can be what it was it is.
    assert_eq!(number().removed().taken_for("\"3\""), "Integer 3");
    assert!(number().removed().shown(&[json!(8)]).taken_for("\"many\"").starts_with("is String here"), "it is still there");
    assert_eq!(number().removed().taken(Text).taken_for("3"), "String \"3\"");
    assert_eq!(number().removed().shown(&[json!("x")]).taken_for("3"), "String \"3\"");
    let torn = || number().shown(&[json!("x"), json!("y")]);
    assert_eq!(torn().bring(&said("3", Integer), Nulls::Ignore), "Integer 3");
    assert_eq!(torn().taken_for("3"), "String \"3\"");
}

#[test]
fn of_two_types_under_way_the_second_waits_until_it_is_known_what_became_of_the_first() {
    let mut known = Known::default();
    let whole = plan("3", None);
    let claims = known.0.bring(&Customers, &whole, Nulls::Ignore).unwrap().claims;
    known.0.claim(CUSTOMERS, &claims);
    let waits = |known: &Known, plan: &Plan| known.0.bring(&Customers, plan, Nulls::Ignore).unwrap().waits;
    assert!(!waits(&known, &whole) && waits(&known, &plan("\"x\"", None)) && waits(&known, &said("3", Decimal)));
    // A record of a customer's own attributes is about the same attribute, one of a contact is not.
    assert!(known.0.bring(&CustomAttributes, &said("3", Text), Nulls::Ignore).unwrap().waits);
    assert!(!known.0.bring(&Contacts, &plan("\"x\"", None), Nulls::Ignore).unwrap().waits);
    // Two of one type go side by side; only when both are back the other may go.
    known.0.claim(CUSTOMERS, &claims);
    known.0.give_back(CUSTOMERS, &claims);
    assert!(waits(&known, &plan("\"x\"", None)));
    known.0.give_back(CUSTOMERS, &claims);
    assert!(!waits(&known, &plan("\"x\"", None)), "the first was refused: nothing is fixed");
    assert!(known.0.0[0].1.is_empty(), "and nothing is kept of it");
    let known = known.taken(Integer);
    assert_eq!(known.taken_for("\"12\""), "Integer 12");
    // What is fixed needs no claim.
    assert!(known.0.bring(&Customers, &whole, Nulls::Ignore).unwrap().claims.is_empty());
    // What is known by now to be refused is not waited for.
    let mut known = Known::default();
    known.0.claim(CUSTOMERS, &claims);
    let known = known.shown(&[json!("x")]);
    assert!(!waits(&known, &plan("\"x\"", None)));
}

#[test]
fn what_goes_without_a_type_fixes_what_its_value_can_be() {
    let mut types = AttributeTypes::default();
    let claims = types.bring(&Contacts, &plan("3", None), Nulls::Ignore).unwrap().claims;
    types.claim("contacts", &claims);
    types.taken("contacts", "k", claims[0].1);
    let fraction = plan("3.5", None);
    let brought = types.bring(&Contacts, &fraction, Nulls::Ignore).unwrap();
    assert_eq!(show(&brought.plan), "Decimal 3.5");
    assert!(types.bring(&Contacts, &plan("\"many\"", None), Nulls::Ignore).is_err());
}

#[test]
fn a_plan_that_is_right_already_is_not_copied() {
    let known = Known::default().shown(&[json!(7)]);
    assert!(matches!(known.0.bring(&Customers, &plan("3", None), Nulls::Ignore).unwrap().plan, Cow::Borrowed(_)));
}

fn scalars() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        (-20i64..20).prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("JSON", |value| value.is_finite()).prop_map(|value| json!(value).to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?",
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?".prop_map(|text| json!(text).to_string()),
        "20[0-9]{2}-0[1-9]-[0-2][0-9](T[01][0-9]:[0-5][0-9]:00(\\.[0-9]{3})?Z)?".prop_map(|text| json!(text).to_string()),
        prop::sample::select(vec!["\"true\"", "\"FALSE\"", "\"t\"", "\"0\"", "\"1\"", "\"\"", "\"-0\"", "-0", "\" 5 \""])
            .prop_map(str::to_owned),
        any::<String>().prop_map(|text| json!(text.chars().take(60).collect::<String>()).to_string()),
    ]
}

/// An attribute's type, and a value as the account could show it.
fn attributes() -> impl Strategy<Value = (AttributeType, Value)> {
    prop_oneof![
        any::<i32>().prop_map(|value| (Integer, json!(value))),
        any::<i16>().prop_map(|value| (Decimal, json!(value))),
        any::<f32>().prop_filter("JSON", |value| value.is_finite()).prop_map(|value| (Decimal, json!(value))),
        any::<i16>().prop_map(|value| (Decimal, json!(format!("{value}.5")))),
        any::<bool>().prop_map(|value| (Boolean, json!(value))),
        Just((Timestamp, json!("2026-01-01T00:00:00.000Z"))),
        Just((Text, json!("2026-01-01T00:00:00.000Z"))),
        "[a-z0-9.]{0,6}".prop_map(|value| (Text, json!(value))),
    ]
}

/// Whether a value that was brought says what the value said that came.
fn says_the_same(raw: &str, kind: AttributeType, value: &str) -> bool {
    let text: Option<String> = serde_json::from_str(raw).ok();
    let words = text.as_deref().unwrap_or(raw).trim();
    // Exact, with as many digits as there are.
    let number = |text: &str| -> Option<(bool, String, i64)> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) =
            mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        let trailing = digits.len() - digits.trim_end_matches('0').len();
        let scale = exponent.parse::<i64>().ok()? - fraction.len() as i64 + trailing as i64;
        Some(if significant.is_empty() {
            (false, String::new(), 0)
        } else {
            (mantissa.starts_with('-'), significant.to_owned(), scale)
        })
    };
    match kind {
        Text => {
            let read: String = serde_json::from_str(value).unwrap();
            read == text.clone().unwrap_or_else(|| raw.to_owned())
        }
        Integer => number(words) == number(value),
        // As a float holds it.
        Decimal => number(words) == number(&format!("{:e}", value.parse::<f64>().unwrap())),
        Timestamp => timestamp(words) == timestamp(&serde_json::from_str::<String>(value).unwrap()),
        Boolean => value == if matches!(words, "true" | "TRUE" | "True" | "t" | "1") { "true" } else { "false" },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn nothing_is_lost_by_a_cast_and_nothing_is_rejected_that_could_be_sent(
        raw in scalars(),
        (actual, shown) in attributes(),
    ) {
        let mut natural = String::new();
        prop_assume!(push_typed("k", &raw, None, &mut natural).is_ok());
        let plan = plan(&raw, None);
        let types = Known::default().shown(&[shown]).0;
        let mut fits = String::new();
        let could = push_cast(&raw, actual, &mut fits);
        match types.bring(&Customers, &plan, Nulls::Ignore) {
            Err(_) => prop_assert!(!could, "{raw} could be sent as {actual:?} {fits}"),
            Ok(brought) => match brought.plan.body.attributes().next() {
                None => prop_assert!(raw == "\"\"" && actual != Text),
                Some(attribute) => {
                    let kind = attribute.kind.unwrap();
                    prop_assert!(matches!(brought.plan, Cow::Borrowed(_)) || says_the_same(&raw, kind, attribute.value));
                    if matches!(brought.plan, Cow::Owned(_)) {
                        prop_assert!(serde_json::from_str::<Value>(attribute.value).is_ok());
                    }
                }
            },
        }
    }
}
