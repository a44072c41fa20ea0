//! From method and path to the rule that answers.
//!
//! Owns the table of routes, the key check and the reading of bodies. What a route does stands in the file of its object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::answers::{Outcome, Reply, coded};
use super::paging::Query;
use super::store::{State, timestamp};
use super::{ApiKey, MAX_BODY, Options, Request, account, attributes, billing, contacts, customers, data_sources, merges};
use super::{crm, imports, notes, opportunities, tasks};

/// A path of the API with what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Ping,
    Account,
    DataSources,
    DataSource(String),
    DataSourceContents(String),
    Imports(String),
    Import { source: String, name: String },
    Customers,
    CustomerSearch,
    CustomerMerges,
    CustomerUnmerges,
    TagsByEmail,
    CustomByEmail,
    Customer(String),
    Attributes(String),
    Tags(String),
    Custom(String),
    CustomerContacts(String),
    Contacts,
    Contact(String),
    ContactMerge { into: String, from: String },
    Notes,
    Note(String),
    Opportunities,
    Opportunity(String),
    Tasks,
    Task(String),
    Billing(billing::Route),
}

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Call {
    method: String,
    route: Option<Route>,
    /// The route with placeholders, for counting; `other` where there is none.
    pub(super) template: &'static str,
}

impl Call {
    pub(super) fn read(method: &str, path: &str) -> Call {
        let (route, template) = find(path).map_or((None, "other"), |(route, template)| (Some(route), template));
        Call { method: method.to_owned(), route, template }
    }
}

fn find(path: &str) -> Option<(Route, &'static str)> {
    let segments: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let own = |text: &str| text.to_owned();
    Some(match segments.as_slice() {
        ["ping"] => (Route::Ping, "/v1/ping"),
        ["account"] => (Route::Account, "/v1/account"),
        ["data_sources"] => (Route::DataSources, "/v1/data_sources"),
        ["data_sources", uuid] => (Route::DataSource(own(uuid)), "/v1/data_sources/{uuid}"),
        ["data_sources", uuid, "all"] => (Route::DataSourceContents(own(uuid)), "/v1/data_sources/{uuid}/all"),
        ["data_sources", uuid, "dependent"] => (Route::DataSourceContents(own(uuid)), "/v1/data_sources/{uuid}/dependent"),
        ["data_sources", uuid, "json_imports"] => (Route::Imports(own(uuid)), "/v1/data_sources/{uuid}/json_imports"),
        ["data_sources", uuid, "json_imports", name] => {
            (Route::Import { source: own(uuid), name: own(name) }, "/v1/data_sources/{uuid}/json_imports/{id}")
        }
        ["customers"] => (Route::Customers, "/v1/customers"),
        ["customers", "search"] => (Route::CustomerSearch, "/v1/customers/search"),
        ["customers", "merges"] => (Route::CustomerMerges, "/v1/customers/merges"),
        ["customers", "unmerges"] => (Route::CustomerUnmerges, "/v1/customers/unmerges"),
        ["customers", "attributes", "tags"] => (Route::TagsByEmail, "/v1/customers/attributes/tags"),
        ["customers", "attributes", "custom"] => (Route::CustomByEmail, "/v1/customers/attributes/custom"),
        ["customers", uuid] => (Route::Customer(own(uuid)), "/v1/customers/{uuid}"),
        ["customers", uuid, "attributes"] => (Route::Attributes(own(uuid)), "/v1/customers/{uuid}/attributes"),
        ["customers", uuid, "attributes", "tags"] => (Route::Tags(own(uuid)), "/v1/customers/{uuid}/attributes/tags"),
        ["customers", uuid, "attributes", "custom"] => (Route::Custom(own(uuid)), "/v1/customers/{uuid}/attributes/custom"),
        ["customers", uuid, "contacts"] => (Route::CustomerContacts(own(uuid)), "/v1/customers/{uuid}/contacts"),
        ["contacts"] => (Route::Contacts, "/v1/contacts"),
        ["contacts", uuid] => (Route::Contact(own(uuid)), "/v1/contacts/{uuid}"),
        ["contacts", into, "merge", from] => {
            (Route::ContactMerge { into: own(into), from: own(from) }, "/v1/contacts/{uuid}/merge/{uuid}")
        }
        ["customer_notes"] => (Route::Notes, "/v1/customer_notes"),
        ["customer_notes", uuid] => (Route::Note(own(uuid)), "/v1/customer_notes/{uuid}"),
        ["opportunities"] => (Route::Opportunities, "/v1/opportunities"),
        ["opportunities", uuid] => (Route::Opportunity(own(uuid)), "/v1/opportunities/{uuid}"),
        ["tasks"] => (Route::Tasks, "/v1/tasks"),
        ["tasks", uuid] => (Route::Task(own(uuid)), "/v1/tasks/{uuid}"),
        _ => return billing::find(&segments).map(|(route, template)| (Route::Billing(route), template)),
    })
}

/// What a rule works with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) state: &'a mut State,
    pub(super) options: &'a Options,
    pub(super) query: Query,
    pub(super) body: Map<String, Value>,
}

impl Context<'_> {
    pub(super) fn now(&self) -> Timestamp {
        timestamp(self.state.now())
    }

    /// Whether an entry of this time of creation stands in lists yet.
    pub(super) fn listed(&self, created: i64) -> bool {
        let lag = i64::try_from(self.options.quirks.list_lag.as_nanos()).unwrap_or(i64::MAX);
        lag == 0 || self.state.now().saturating_sub(created) >= lag
    }
}

/// Does a request's work.
pub(super) fn work(state: &mut State, options: &Options, call: &Call, request: &Request) -> Reply {
    match try_work(state, options, call, request) {
        Ok(reply) => reply,
        Err(reply) => *reply,
    }
}

fn try_work(state: &mut State, options: &Options, call: &Call, request: &Request) -> Outcome {
    let key = key_of(request.authorization.as_deref(), &options.api_keys)?;
    let Some(route) = &call.route else {
        return Err(Box::new(coded(404, "Not found", None)));
    };
    let reads = call.method == "GET";
    if !reads && !key.writes {
        // Unknown: what a read-only key gets for a write. 403 is what the official clients call forbidden.
        return Err(Box::new(coded(403, "The API key has no write access", None)));
    }
    let most = if matches!(route, Route::Imports(_)) { imports::MAX_BODY } else { MAX_BODY };
    if request.body.len() > most {
        return Err(Box::new(coded(413, "Request body is too large", None)));
    }
    // The official Node client sends a body with GET too; it means nothing.
    let body = if reads { Map::new() } else { read_body(request)? };
    let context = &mut Context { state, options, query: Query::read(&request.query), body };

    match (call.method.as_str(), route) {
        ("GET", Route::Ping) => account::ping(),
        ("GET", Route::Account) => account::account(),
        ("GET", Route::DataSources) => data_sources::list(context),
        ("POST", Route::DataSources) => data_sources::create(context),
        ("GET", Route::DataSource(uuid)) => data_sources::get(context, uuid),
        ("DELETE", Route::DataSource(uuid)) => data_sources::delete(context, uuid),
        ("DELETE", Route::DataSourceContents(uuid)) => data_sources::empty(context, uuid),
        ("POST", Route::Imports(uuid)) => imports::create(context, uuid),
        ("GET", Route::Import { source, name }) => imports::get(context, source, name),
        ("GET", Route::Customers) => customers::list(context),
        ("POST", Route::Customers) => customers::create(context),
        ("GET", Route::CustomerSearch) => customers::search(context),
        ("POST", Route::CustomerMerges) => merges::merge(context),
        ("POST", Route::CustomerUnmerges) => merges::unmerge(context),
        ("POST", Route::TagsByEmail) => attributes::add_tags_by_email(context),
        ("POST", Route::CustomByEmail) => attributes::add_custom_by_email(context),
        ("PUT", Route::CustomByEmail) => attributes::set_custom_by_email(context),
        ("GET", Route::Customer(uuid)) => customers::get(context, uuid),
        ("PATCH", Route::Customer(uuid)) => customers::update(context, uuid),
        ("DELETE", Route::Customer(uuid)) => customers::delete(context, uuid),
        ("GET", Route::Attributes(uuid)) => attributes::get(context, uuid),
        ("POST", Route::Tags(uuid)) => attributes::add_tags(context, uuid),
        ("DELETE", Route::Tags(uuid)) => attributes::remove_tags(context, uuid),
        ("POST", Route::Custom(uuid)) => attributes::add_custom(context, uuid),
        ("PUT", Route::Custom(uuid)) => attributes::set_custom(context, uuid),
        ("DELETE", Route::Custom(uuid)) => attributes::remove_custom(context, uuid),
        ("GET", Route::CustomerContacts(uuid)) => contacts::list(context, Some(uuid)),
        ("POST", Route::CustomerContacts(uuid)) => contacts::create(context, Some(uuid)),
        ("GET", Route::Contacts) => contacts::list(context, None),
        ("POST", Route::Contacts) => contacts::create(context, None),
        ("GET", Route::Contact(uuid)) => contacts::get(context, uuid),
        ("PATCH", Route::Contact(uuid)) => contacts::update(context, uuid),
        ("DELETE", Route::Contact(uuid)) => contacts::delete(context, uuid),
        ("POST", Route::ContactMerge { into, from }) => contacts::merge(context, into, from),
        ("GET", Route::Notes) => notes::list(context),
        ("POST", Route::Notes) => crm::create(context, &notes::NOTES),
        ("GET", Route::Note(uuid)) => crm::get(context, &notes::NOTES, uuid),
        ("PATCH", Route::Note(uuid)) => crm::update(context, &notes::NOTES, uuid),
        ("DELETE", Route::Note(uuid)) => crm::delete(context, &notes::NOTES, uuid),
        ("GET", Route::Opportunities) => opportunities::list(context),
        ("POST", Route::Opportunities) => crm::create(context, &opportunities::OPPORTUNITIES),
        ("GET", Route::Opportunity(uuid)) => crm::get(context, &opportunities::OPPORTUNITIES, uuid),
        ("PATCH", Route::Opportunity(uuid)) => crm::update(context, &opportunities::OPPORTUNITIES, uuid),
        ("DELETE", Route::Opportunity(uuid)) => crm::delete(context, &opportunities::OPPORTUNITIES, uuid),
        ("GET", Route::Tasks) => tasks::list(context),
        ("POST", Route::Tasks) => crm::create(context, &tasks::TASKS),
        ("GET", Route::Task(uuid)) => crm::get(context, &tasks::TASKS, uuid),
        ("PATCH", Route::Task(uuid)) => crm::update(context, &tasks::TASKS, uuid),
        ("DELETE", Route::Task(uuid)) => crm::delete(context, &tasks::TASKS, uuid),
        (method, Route::Billing(route)) => billing::work(context, method, route),
        // Unknown whether this is 404 or 405.
        _ => Err(Box::new(coded(405, "Method not allowed", None))),
    }
}

/// Documented on the page "Authentication": the user name is the key, the password empty or the key again. Recorded: the
/// answer to anything else.
fn key_of<'a>(authorization: Option<&str>, keys: &'a [ApiKey]) -> Result<&'a ApiKey, Box<Reply>> {
    let given = authorization.and_then(|header| {
        let (scheme, rest) = header.split_once(' ')?;
        let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        (password.is_empty() || password == user).then(|| user.to_owned())
    });
    let known = given.and_then(|given| keys.iter().find(|key| key.key == given));
    known.ok_or_else(|| Box::new(coded(401, "No valid API key provided", None)))
}

/// Bodies are JSON objects. Recorded: some calls come with an empty one or none. The answer to a broken body is unknown.
fn read_body(request: &Request) -> Result<Map<String, Value>, Box<Reply>> {
    if request.body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(body)) => Ok(body),
        // Recorded: the Ruby client's body of a call without one is an empty JSON text.
        Ok(Value::String(text)) if text.is_empty() => Ok(Map::new()),
        Ok(_) => Err(Box::new(coded(400, "The request body must be a JSON object", None))),
        Err(_) => Err(Box::new(coded(400, "The request body is not valid JSON", None))),
    }
}
