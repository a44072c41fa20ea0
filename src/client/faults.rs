//! Reading what is wrong out of an error body.
//!
//! Owns the forms that error bodies come in. Does not own what a status means (that is `verdict`).
//!
//! The API has no single error format; recorded and known from official clients are: `message` with `param`; `error`;
//! `errors` as a map of texts or of lists of texts, beside an echo of the object; `invoices` with such a map each;
//! `error_details` beside lists of texts under the fields' own names. Proxies answer in plain text or HTML.

use serde_json::{Map, Value};

use super::call::ApiFault;

/// What is kept of all the words of one answer together, in characters. Enough for every known message; a bound so that a
/// page of a stray proxy does not end up in a report.
const KEPT: usize = 2_000;

/// More faults than this of one answer help nobody.
const FAULTS: usize = 50;

/// What an error body says is wrong: at least one fault, whatever the body is.
pub(super) fn read(status: u16, body: &[u8]) -> Vec<ApiFault> {
    let mut faults = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => read_object(&object),
        Ok(Value::Array(items)) => read_errors(&Value::Array(items), None),
        Ok(Value::String(text)) => vec![ApiFault::words(text)],
        _ => Vec::new(),
    };
    if faults.is_empty() {
        faults.push(ApiFault::words(raw(status, body)));
    }
    bound(&mut faults);
    faults
}

type Object = Map<String, Value>;
type Form = fn(&Object) -> Vec<ApiFault>;

/// The first form that yields anything wins; the more a form tells about the field, the earlier it is tried.
fn read_object(object: &Object) -> Vec<ApiFault> {
    let forms: [Form; 6] = [
        |object| object.get("error_details").map(|details| read_errors(details, None)).unwrap_or_default(),
        invoices,
        |object| object.get("errors").map(|errors| read_errors(errors, None)).unwrap_or_default(),
        |object| message(object).into_iter().collect(),
        |object| object.get("error").map(|error| read_errors(error, None)).unwrap_or_default(),
        lists,
    ];
    forms.iter().map(|form| form(object)).find(|faults| !faults.is_empty()).unwrap_or_default()
}

fn invoices(object: &Object) -> Vec<ApiFault> {
    let invoices = object.get("invoices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    invoices.iter().filter_map(|invoice| invoice.get("errors")).flat_map(|errors| read_errors(errors, None)).collect()
}

/// A text, a list, a map from field to any of these, or a map that is itself a fault.
fn read_errors(errors: &Value, param: Option<&str>) -> Vec<ApiFault> {
    match errors {
        Value::String(text) if !text.trim().is_empty() => {
            vec![ApiFault { param: param.map(str::to_owned), code: None, message: text.clone() }]
        }
        Value::Array(items) => items.iter().flat_map(|item| read_errors(item, param)).collect(),
        Value::Object(object) => match message(object) {
            Some(fault) => vec![ApiFault { param: fault.param.or_else(|| param.map(str::to_owned)), ..fault }],
            None => object
                .iter()
                .flat_map(|(key, value)| {
                    read_errors(value, Some(&param.map_or_else(|| key.clone(), |above| format!("{above}.{key}"))))
                })
                .collect(),
        },
        _ => Vec::new(),
    }
}

/// `message` with `param` and `code`. A numeric `code` only repeats the status.
fn message(object: &Object) -> Option<ApiFault> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned);
    Some(ApiFault { param: text("param"), code: text("code"), message: text("message")? })
}

fn lists(object: &Object) -> Vec<ApiFault> {
    let is_texts = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    object.iter().filter(|(_, value)| is_texts(value)).flat_map(|(key, value)| read_errors(value, Some(key))).collect()
}

fn raw(status: u16, body: &[u8]) -> String {
    let body = body.trim_ascii();
    if body.is_empty() {
        return format!("ChartMogul answered {status} and said nothing more.");
    }
    if is_page(body) {
        return format!("ChartMogul's front end answered {status} with a page of {} bytes.", body.len());
    }
    // A text of control characters could forge lines of a report.
    String::from_utf8_lossy(&body[..body.len().min(4 * KEPT)]).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether a body is markup: HTML, or the XML of a storage service. The API itself never answers so.
pub(super) fn is_page(body: &[u8]) -> bool {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start().starts_with(b"<")
}

fn bound(faults: &mut Vec<ApiFault>) {
    faults.truncate(FAULTS);
    let mut left = KEPT;
    faults.retain_mut(|fault| {
        if left == 0 {
            return false;
        }
        for text in [Some(&mut fault.message), fault.param.as_mut(), fault.code.as_mut()].into_iter().flatten() {
            left = shorten(text, left);
        }
        true
    });
}

/// Cuts a text to `left` characters; returns how many are left then.
fn shorten(text: &mut String, left: usize) -> usize {
    if let Some((end, _)) = text.char_indices().nth(left) {
        text.truncate(end);
        text.push('…');
        return 0;
    }
    left - text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> Vec<(Option<String>, Option<String>, String)> {
        read(status, body.as_bytes()).into_iter().map(|fault| (fault.param, fault.code, fault.message)).collect()
    }

    fn one(param: Option<&str>, message: &str) -> Vec<(Option<String>, Option<String>, String)> {
        vec![(param.map(str::to_owned), None, message.to_owned())]
    }

    #[test]
    fn every_recorded_error_body_is_read() {
        // Recorded: the distinct error bodies of the official Ruby client's fixtures.
        assert_eq!(
            told(401, r#"{"code":401,"message":"No valid API key provided","param":null}"#),
            one(None, "No valid API key provided")
        );
        assert_eq!(
            told(
                404,
                r#"{"code":404,"message":"Can't find any customers with email: \"person16@example.com\"","param":"email"}"#
            ),
            one(Some("email"), "Can't find any customers with email: \"person16@example.com\"")
        );
        assert_eq!(told(404, r#"{"error":"Data source not found"}"#), one(None, "Data source not found"));
        assert_eq!(
            told(422, r#"{"errors":{"name":"A name is required for each data source."}}"#),
            one(Some("name"), "A name is required for each data source.")
        );
        let details = r#"{"name":["Name can't be blank"],"plan_ids":["Plan ids can't be blank"],"error_details":[
            {"param":"name","code":"blank","message":"Name can't be blank"},
            {"param":"plan_ids","code":"blank","message":"Plan ids can't be blank"}]}"#;
        let blank = |param: &str, message: &str| (Some(param.to_owned()), Some("blank".to_owned()), message.to_owned());
        assert_eq!(told(422, details), [blank("name", "Name can't be blank"), blank("plan_ids", "Plan ids can't be blank")]);
    }

    #[test]
    fn every_other_known_form_is_read() {
        assert_eq!(
            told(400, r#"{"code":400,"message":"Parameter \"name\" is missing","param":"name"}"#),
            one(Some("name"), "Parameter \"name\" is missing")
        );
        let both = r#"{"error":"Invoice not found","error_details":[{"param":"invoice","code":"invalid","message":"Invoice not found"}]}"#;
        assert_eq!(told(404, both), [(Some("invoice".into()), Some("invalid".into()), "Invoice not found".into())]);
        let echo = r#"{"uuid":"cus_1","name":"Ann","tags":["a"],"errors":{"external_id":"The external ID for this customer already exists in our system."}}"#;
        assert_eq!(told(422, echo), one(Some("external_id"), "The external ID for this customer already exists in our system."));
        let invoices = r#"{"invoices":[{"uuid":null,"errors":{"line_items.external_id":"twice","external_id":["has already been taken","x"]}},{"uuid":"inv_1"}]}"#;
        let faults: Vec<_> = told(422, invoices).into_iter().map(|(param, _, message)| (param.unwrap(), message)).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            faults,
            [pair("line_items.external_id", "twice"), pair("external_id", "has already been taken"), pair("external_id", "x")]
        );
        assert_eq!(told(422, r#"{"message":"not editable"}"#), one(None, "not editable"));
        assert_eq!(told(422, r#"{"name":["Name can't be blank"],"count":3}"#), one(Some("name"), "Name can't be blank"));
        assert_eq!(told(502, "bad\r\ngateway"), one(None, "bad  gateway"));
    }

    #[test]
    fn forms_nobody_has_seen_still_say_something() {
        assert_eq!(told(422, r#"{"errors":["one"]}"#), one(None, "one"));
        assert_eq!(told(422, r#"{"errors":{"plan":{"name":"bad"}}}"#), one(Some("plan.name"), "bad"));
        assert_eq!(told(422, r#"{"errors":[{"param":"a","message":"bad"}]}"#), one(Some("a"), "bad"));
        assert_eq!(told(422, r#"{"errors":null,"message":"bad"}"#), one(None, "bad"));
        assert_eq!(told(422, r#"{"error":{"message":"bad"}}"#), one(None, "bad"));
        assert_eq!(told(422, r#""bad""#), one(None, "bad"));
        assert_eq!(told(422, "{}"), one(None, "{}"));
        assert_eq!(told(422, ""), one(None, "ChartMogul answered 422 and said nothing more."));
        assert!(told(422, "\u{feff}<!DOCTYPE html><p>secret")[0].2.ends_with("page of 27 bytes."));
        assert_eq!(read(500, b"\xff\xfe").len(), 1);
    }

    #[test]
    fn no_more_is_kept_than_helps() {
        let many: Vec<_> =
            (0..1_000).map(|n| serde_json::json!({"param": format!("p{n}"), "message": "ä".repeat(100)})).collect();
        for body in [serde_json::json!({"error_details": many}), serde_json::json!({"message": "ä".repeat(100_000)})] {
            let faults = read(422, body.to_string().as_bytes());
            let kept: usize = faults.iter().map(|fault| fault.message.chars().count()).sum();
            assert!(!faults.is_empty() && faults.len() <= FAULTS && kept <= KEPT + FAULTS, "{} faults, {kept}", faults.len());
        }
    }
}
