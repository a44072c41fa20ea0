//! Faults on request: what goes wrong, for which requests, how often.
//!
//! Owns the fault's text form and which fault strikes a request. Faults strike requests that passed the limits. Scripted
//! ones are tried in the order they were added, and the first that matches strikes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use super::durations::{parse_duration, show_duration};
use super::random::Random;
use super::{Answer, Request, answers};

/// Something that goes wrong.
///
/// # The text form
///
/// Words in any order after the optional method and path:
///
/// ```text
/// [METHOD|*] [/path] [body=TEXT] [after-work] EFFECT [retry-after=SECONDS] [rate=0..1] [skip=N] [xN|x*]
/// ```
///
/// | word | meaning |
/// |---|---|
/// | `METHOD` | GET, POST, PUT, PATCH or DELETE; `*` or nothing: any |
/// | `/path` | as `/customers` or `/customers/*/attributes/tags`; `*` or `{uuid}` stands for one segment, a final `**` for the rest; nothing: any |
/// | `status=N`, or just `429` or `503` | that status with a JSON body |
/// | `html=N` | that status with a page of HTML, as a proxy in between sends |
/// | `reset` | the connection closes without an answer |
/// | `half` | the work is done and half of the answer arrives |
/// | `garbage` | the work is done and the answer is 200 with a body that is no JSON |
/// | `hang`, `hang=30s` | no answer for that long (600 s), then the connection closes |
/// | `slow=2s` | the answer takes that much longer |
/// | `after-work` | the work is done first, then the answer is lost or replaced |
/// | `body=TEXT` | only requests whose body holds this text, which has no spaces: one record that the server can not take |
/// | `retry-after=N` | the status carries `Retry-After: N` |
/// | `rate=0.01` | strikes by chance, drawn from the seed |
/// | `skip=N` | lets the first N matching requests pass |
/// | `xN`, `x*` | strikes N times, or for ever; without it once, or for ever with `rate` |
///
/// `POST /customers after-work reset x2` does the work of two creates and loses their answers; `* rate=0.01 status=500`
/// fails every hundredth request.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Only requests of this method.
    pub method: Option<String>,
    /// Only requests whose path fits; without the version, as `/customers/*`.
    pub path: Option<String>,
    /// Only requests whose body holds this text.
    pub body: Option<String>,
    /// What happens to the request.
    pub effect: Effect,
    /// Whether the request's work is done first.
    pub after_work: bool,
    /// Seconds that a status names in `Retry-After`.
    pub retry_after: Option<u32>,
    /// The chance to strike, where it is not certain.
    pub rate: Option<f64>,
    /// Matching requests that pass before the first strike.
    pub skip: u32,
    /// How often it strikes; for ever where nothing is said.
    pub times: Option<u32>,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This status, with a JSON body.
    Status(u16),
    /// This status, with a page of HTML.
    Html(u16),
    /// The connection closes without an answer.
    Reset,
    /// The work is done, half of the answer arrives.
    Half,
    /// The work is done, the answer is no JSON.
    Garbage,
    /// Nothing for this long, then the connection closes.
    Hang(Duration),
    /// The answer takes this much longer.
    Slow(Duration),
}

/// Why a text is no fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultError {
    /// A word that means nothing here.
    #[error(
        "`{0}` is no word of a fault; an effect is one of status=N, html=N, reset, half, garbage, hang, slow=TIME, 429, 503, \
         and it may be joined by body=TEXT, after-work, retry-after=N, rate=0..1, skip=N, xN, x*"
    )]
    Unknown(String),
    /// A word whose value is unusable.
    #[error("`{word}`: {problem}")]
    Value {
        /// The word.
        word: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No effect, so nothing would happen.
    #[error("the fault says not what happens; add one of status=N, html=N, reset, half, garbage, hang, slow=TIME")]
    NoEffect,
    /// Two effects.
    #[error("`{0}` is a second effect; write one fault for each")]
    TwoEffects(String),
    /// Words that make no sense together.
    #[error("{0}")]
    Together(&'static str),
}

impl Fault {
    /// A fault that strikes the next request, whichever it is, before its work.
    pub fn next(effect: Effect) -> Fault {
        Fault {
            method: None,
            path: None,
            body: None,
            effect,
            after_work: false,
            retry_after: None,
            rate: None,
            skip: 0,
            times: Some(1),
        }
    }

    /// Whether the request ends without its work being done.
    pub(super) fn comes_before_work(&self) -> bool {
        !self.after_work && !matches!(self.effect, Effect::Half | Effect::Garbage | Effect::Slow(_))
    }

    /// What the client gets instead of the answer, which is absent where no work was done.
    pub(super) fn spoil(&self, answer: Option<Answer>) -> Answer {
        match self.effect {
            Effect::Reset | Effect::Hang(_) => Answer::Dropped,
            Effect::Status(status) => {
                let mut reply = answers::coded(status, reason(status), None);
                reply.retry_after = self.retry_after;
                reply.into_answer()
            }
            Effect::Html(status) => {
                let body = format!("<html><head><title>{status}</title></head><body><h1>{}</h1></body></html>", reason(status));
                let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
                Answer::Response { status, headers, body: Bytes::from(body) }
            }
            Effect::Garbage => {
                let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
                Answer::Response { status: 200, headers, body: Bytes::from_static(b"{\"data\": [pong") }
            }
            Effect::Half => match answer {
                Some(Answer::Response { status, mut headers, body }) if body.len() > 1 => {
                    headers.push(("content-length".to_owned(), body.len().to_string()));
                    Answer::Response { status, headers, body: body.slice(..body.len() / 2) }
                }
                // An answer without a body has no half.
                _ => Answer::Dropped,
            },
            Effect::Slow(_) => answer.unwrap_or(Answer::Dropped),
        }
    }

    fn matches(&self, request: &Request) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == request.method)
            && self.path.as_deref().is_none_or(|pattern| path_fits(pattern, &request.path))
            && self.body.as_deref().is_none_or(|text| memchr::memmem::find(&request.body, text.as_bytes()).is_some())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        401 => "No valid API key provided",
        403 => "Forbidden",
        404 => "Not found",
        422 => "Unprocessable entity",
        429 => super::RATE_MESSAGE,
        502 => "Bad gateway",
        503 => "Service unavailable",
        504 => "Gateway timeout",
        _ => "Internal server error",
    }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    let unversioned = |path: &'_ str| path.strip_prefix("/v1").map_or_else(|| path.to_owned(), str::to_owned);
    let (pattern, path) = (unversioned(pattern), unversioned(path));
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        if wanted == "**" {
            return true;
        }
        match segments.next() {
            Some(_) if wanted == "*" || wanted.starts_with('{') => {}
            Some(segment) if segment == wanted => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let mut effect: Option<Effect> = None;
        let mut fault = Fault::next(Effect::Reset);
        let mut times: Option<Option<u32>> = None;
        for (place, word) in text.split_whitespace().enumerate() {
            let bad = |problem: String| FaultError::Value { word: word.to_owned(), problem };
            let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let number = || {
                let value = value.ok_or_else(|| bad("needs a value, as in skip=3".into()))?;
                value.parse::<u32>().map_err(|_| bad("needs a whole number".into()))
            };
            let status = || match number()? {
                status @ 200..=599 => u16::try_from(status).map_err(|error| bad(error.to_string())),
                _ => Err(bad("an HTTP status lies between 200 and 599".into())),
            };
            let time = |value: &str| parse_duration(value).map_err(bad);
            let found = match name {
                "*" if place == 0 => continue,
                "GET" | "POST" | "PUT" | "PATCH" | "DELETE" if place == 0 => {
                    fault.method = Some(name.to_owned());
                    continue;
                }
                _ if word.starts_with('/') && place < 2 => {
                    fault.path = Some(word.to_owned());
                    continue;
                }
                "body" => {
                    let text =
                        value.filter(|text| !text.is_empty()).ok_or_else(|| bad("needs a text, as in body=c-17".into()))?;
                    fault.body = Some(text.to_owned());
                    continue;
                }
                "after-work" => {
                    fault.after_work = true;
                    continue;
                }
                "retry-after" => {
                    fault.retry_after = Some(number()?);
                    continue;
                }
                "skip" => {
                    fault.skip = number()?;
                    continue;
                }
                "rate" => {
                    let rate = value.and_then(|value| value.parse::<f64>().ok()).filter(|rate| (0.0..=1.0).contains(rate));
                    fault.rate = Some(rate.ok_or_else(|| bad("needs a chance between 0 and 1, as in rate=0.01".into()))?);
                    continue;
                }
                "x*" => {
                    times = Some(None);
                    continue;
                }
                "429" | "503" => Effect::Status(name.parse().unwrap_or(503)),
                "status" => Effect::Status(status()?),
                "html" => Effect::Html(status()?),
                "reset" => Effect::Reset,
                "half" => Effect::Half,
                "garbage" => Effect::Garbage,
                "hang" => Effect::Hang(time(value.unwrap_or("600s"))?),
                "slow" => Effect::Slow(time(value.ok_or_else(|| bad("needs a time, as in slow=2s".into()))?)?),
                _ => match name.strip_prefix('x').and_then(|count| count.parse::<u32>().ok()) {
                    Some(count) => {
                        times = Some(Some(count));
                        continue;
                    }
                    None => return Err(FaultError::Unknown(word.to_owned())),
                },
            };
            if effect.replace(found).is_some() {
                return Err(FaultError::TwoEffects(word.to_owned()));
            }
        }
        fault.effect = effect.ok_or(FaultError::NoEffect)?;
        if fault.retry_after.is_some() && !matches!(fault.effect, Effect::Status(_)) {
            return Err(FaultError::Together("retry-after goes with status=N, 429 or 503 only"));
        }
        if fault.after_work && matches!(fault.effect, Effect::Slow(_)) {
            return Err(FaultError::Together("slow always does the work; leave after-work out"));
        }
        fault.times = times.unwrap_or(if fault.rate.is_some() { None } else { Some(1) });
        Ok(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.as_deref().unwrap_or("*"))?;
        if let Some(path) = &self.path {
            write!(f, " {path}")?;
        }
        if let Some(text) = &self.body {
            write!(f, " body={text}")?;
        }
        if self.after_work {
            f.write_str(" after-work")?;
        }
        match &self.effect {
            Effect::Status(status) => write!(f, " status={status}")?,
            Effect::Html(status) => write!(f, " html={status}")?,
            Effect::Reset => f.write_str(" reset")?,
            Effect::Half => f.write_str(" half")?,
            Effect::Garbage => f.write_str(" garbage")?,
            Effect::Hang(time) => write!(f, " hang={}", show_duration(*time))?,
            Effect::Slow(time) => write!(f, " slow={}", show_duration(*time))?,
        }
        if let Some(seconds) = self.retry_after {
            write!(f, " retry-after={seconds}")?;
        }
        if let Some(rate) = self.rate {
            write!(f, " rate={rate}")?;
        }
        if self.skip > 0 {
            write!(f, " skip={}", self.skip)?;
        }
        match self.times {
            Some(times) => write!(f, " x{times}"),
            None => f.write_str(" x*"),
        }
    }
}

/// The faults still to come.
#[derive(Debug)]
pub(super) struct Faults {
    waiting: Vec<Fault>,
    random: Random,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Faults {
        // Another stream than the UUIDs', so that the number of objects does not shift when faults strike.
        Faults { waiting: Vec::new(), random: Random::new(seed ^ 0xfa17_5eed) }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if fault.times != Some(0) {
            self.waiting.push(fault);
        }
    }

    /// The fault that strikes this request.
    pub(super) fn strike(&mut self, request: &Request) -> Option<Fault> {
        for place in 0..self.waiting.len() {
            let fault = &mut self.waiting[place];
            if !fault.matches(request) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.rate.is_some_and(|rate| self.random.unit() >= rate) {
                continue;
            }
            let struck = fault.clone();
            match &mut fault.times {
                Some(1) => {
                    self.waiting.remove(place);
                }
                Some(times) => *times -= 1,
                None => {}
            }
            return Some(struck);
        }
        None
    }

    /// None of those that were to come strike.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// A number from 0 up to, not including, 1.
    pub(super) fn draw(&mut self) -> f64 {
        self.random.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    fn request(method: &str, path: &str, body: &'static str) -> Request {
        Request { method: method.into(), path: path.into(), body: Bytes::from_static(body.as_bytes()), ..Request::default() }
    }

    #[test]
    fn every_form_of_a_fault_reads_back_from_what_it_shows() {
        for text in [
            "POST /customers after-work reset x2",
            "* rate=0.01 status=500",
            "429 retry-after=3",
            "GET /customers/*/attributes half x*",
            "DELETE /contacts/** hang=30s skip=2",
            "PATCH /customers/{uuid} html=502",
            "* slow=1500ms",
            "POST /customers body=c-17 status=500 x*",
            "garbage x3",
            "hang",
        ] {
            let read = fault(text);
            assert_eq!(fault(&read.to_string()), read, "{text} shown as {read}");
        }
        assert_eq!(fault("POST /customers after-work reset x2").to_string(), "POST /customers after-work reset x2");
        assert_eq!(fault("* rate=0.01 status=500").to_string(), "* status=500 rate=0.01 x*");
    }

    #[test]
    fn a_text_that_is_no_fault_is_refused_with_the_word_that_is_wrong() {
        let problem = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        assert!(problem("POST /customers exploded").contains("`exploded` is no word"));
        assert!(problem("POST /customers x2").contains("says not what happens"));
        assert!(problem("reset half").contains("`half` is a second effect"));
        assert!(problem("status=99").contains("between 200 and 599"));
        assert!(problem("status").contains("needs a value"));
        assert!(problem("rate=2 reset").contains("between 0 and 1"));
        assert!(problem("body= reset").contains("needs a text"));
        assert!(problem("slow=5").contains("no unit"));
        assert!(problem("reset retry-after=1").contains("retry-after goes with"));
        assert!(problem("after-work slow=1s").contains("leave after-work out"));
    }

    #[test]
    fn a_path_fits_segment_by_segment_with_or_without_the_version() {
        assert!(path_fits("/customers", "/v1/customers"));
        assert!(path_fits("/v1/customers/{uuid}", "/v1/customers/cus_1"));
        assert!(path_fits("/customers/*/attributes/tags", "/v1/customers/cus_1/attributes/tags"));
        assert!(path_fits("/customers/**", "/v1/customers/cus_1/attributes/tags"));
        assert!(!path_fits("/customers", "/v1/customers/cus_1"));
        assert!(!path_fits("/customers/*", "/v1/customers"));
    }

    #[test]
    fn faults_strike_in_the_order_they_were_added_and_wear_out() {
        let mut faults = Faults::new(1);
        for text in ["POST /customers status=500", "* status=502 x2", "POST /customers skip=1 reset"] {
            faults.add(fault(text));
        }
        let mut strike = |method| faults.strike(&request(method, "/v1/customers", "")).map(|fault| fault.effect);
        assert_eq!(strike("GET"), Some(Effect::Status(502)));
        assert_eq!(strike("POST"), Some(Effect::Status(500)));
        assert_eq!(strike("POST"), Some(Effect::Status(502)));
        assert_eq!(strike("POST"), None, "skipped once");
        assert_eq!(strike("POST"), Some(Effect::Reset));
        assert_eq!(strike("POST"), None);
    }

    #[test]
    fn a_fault_of_a_text_strikes_the_requests_that_hold_it() {
        let mut faults = Faults::new(1);
        faults.add(fault("POST body=c-17 status=500 x*"));
        let mut strikes = |body| faults.strike(&request("POST", "/v1/customers", body)).is_some();
        assert!(strikes(r#"{"external_id":"c-17"}"#) && strikes("c-17"));
        assert!(!strikes(r#"{"external_id":"c-18"}"#) && !strikes(""));
        faults.forget();
        assert_eq!(faults.strike(&request("POST", "/v1/customers", "c-17")), None);
    }

    #[test]
    fn chance_follows_the_seed() {
        let strikes = |seed| {
            let mut faults = Faults::new(seed);
            faults.add(fault("rate=0.2 reset"));
            (0..1000).map(|_| faults.strike(&request("GET", "/v1/ping", "")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(7), strikes(7));
        assert_ne!(strikes(7), strikes(8));
        let count = strikes(7).into_iter().filter(|struck| *struck).count();
        assert!((150..250).contains(&count), "{count} of 1000 at a rate of 0.2");
    }
}
