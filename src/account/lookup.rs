//! Single look-ups. Each key is looked up once a run; our own writes are laid over what was read.

use std::cell::{Cell, RefCell};

use serde_json::Value;

use super::index::{Index, KnownCustomer};
use crate::client::{Call, Client, Method, Refusal, Repeat, Reply};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::resource::Resource;
use crate::objects::{contacts, customers};

/// The most entries that a page of a list holds (vendor page "Pagination").
const PAGE: usize = 200;

/// Below the collection of customers: the search by e-mail address.
const SEARCH: &str = "/search";

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// This one.
    Present(T),
    /// Nothing.
    Absent,
    /// So many that a guess would be needed.
    Ambiguous(usize),
}

/// Why a look-up found out nothing.
#[derive(Debug)]
pub enum Trouble {
    /// The sync ends.
    Stop(Failure),
    /// The API refused to look; what the record asks for stays unknown.
    Refused(Refusal),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Stop(failure)
    }
}

/// The account, seen through the API and through what this run has learnt. Used from one task only.
#[derive(Debug)]
pub struct Account<'c> {
    client: &'c Client,
    data_source: Box<str>,
    /// Whether something was seen in the data source, so that it exists.
    proven: Cell<bool>,
    index: RefCell<Index>,
}

impl<'c> Account<'c> {
    /// Nothing is known yet.
    pub fn new(client: &'c Client, data_source: &str) -> Self {
        Self { client, data_source: data_source.into(), proven: Cell::new(false), index: RefCell::default() }
    }

    /// The configured data source.
    pub fn data_source(&self) -> &str {
        &self.data_source
    }

    /// Makes sure that the data source exists, once a run and only where nothing was seen in it: in one that does not exist
    /// everything is absent, which must not pass for records without a match.
    ///
    /// # Errors
    /// `DATA_SOURCE_UNKNOWN`, or see [`Trouble`].
    pub async fn assure_data_source(&self) -> Result<(), Trouble> {
        if self.proven.get() {
            return Ok(());
        }
        let call = Call {
            method: Method::Get,
            path: format!("/data_sources/{}", self.data_source),
            query: Vec::new(),
            body: None,
            repeat: Repeat::Harmless,
            kind: "read data source",
        };
        match self.client.ask(&call).await? {
            Reply::Missing(_) => Err(self.no_data_source().into()),
            _ => {
                self.proven.set(true);
                Ok(())
            }
        }
    }

    /// The failure of a sync into a data source that does not exist.
    fn no_data_source(&self) -> Failure {
        let text = format!(
            "The data source {} does not exist in this account. Run `check`: it lists those that the key sees.",
            self.data_source
        );
        Failure::config(Code::DataSourceUnknown, text)
    }

    /// What is known of a customer without asking; `None` means nothing.
    pub fn known_customer(&self, key: &str) -> Option<Found<KnownCustomer>> {
        self.index.borrow().customer(key).map(|known| known.map_or(Found::Absent, |known| Found::Present(known.clone())))
    }

    /// The UUID that a customer's external id is known to stand for.
    pub fn known_uuid(&self, key: &str) -> Option<Box<str>> {
        self.index.borrow().customer(key).flatten().map(|known| known.uuid.clone())
    }

    /// The UUID of the one contact that is known to have this external id, else this e-mail address.
    pub fn known_contact(&self, customer: &str, external_id: Option<&str>, email: Option<&str>) -> Option<Box<str>> {
        let index = self.index.borrow();
        let known = index.contacts(customer)?;
        let named = |field: &'static str, wanted: Option<&str>| {
            known
                .iter()
                .find(|entry| wanted.is_some() && entry[field].as_str() == wanted)
                .and_then(|entry| entry["uuid"].as_str())
        };
        named("external_id", external_id).or_else(|| named("email", email)).map(Into::into)
    }

    /// The customer of an external id in the configured data source.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn customer(&self, key: &str) -> Result<Found<KnownCustomer>, Trouble> {
        if let Some(known) = self.known_customer(key) {
            return Ok(known);
        }
        self.look_up_customer(key).await
    }

    /// The same, whatever is known.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn look_up_customer(&self, key: &str) -> Result<Found<KnownCustomer>, Trouble> {
        let query = vec![("data_source_uuid", self.data_source.to_string()), ("external_id", key.to_owned())];
        let entries = self.list(&customers::RESOURCE, customers::RESOURCE.path, query, "look up customer").await?;
        // The filters are documented to hold together. An entry that stands under another pair is not the one meant,
        // should the API ever read them apart.
        let matches: Vec<&Value> =
            entries.iter().filter(|entry| customers::pairs(entry).any(|pair| pair == (self.data_source.as_ref(), key))).collect();
        let mut index = self.index.borrow_mut();
        Ok(match matches[..] {
            [] => {
                index.saw_no_customer(key);
                Found::Absent
            }
            [entry] => {
                self.proven.set(true);
                index.saw_customer(&self.data_source, entry).map_or(Found::Absent, Found::Present)
            }
            _ => Found::Ambiguous(matches.len()),
        })
    }

    /// The customer with this e-mail address in the configured data source.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn customer_by_email(&self, email: &str) -> Result<Found<KnownCustomer>, Trouble> {
        let query = vec![("email", email.to_owned())];
        let entries =
            self.list(&customers::RESOURCE, &format!("{}{SEARCH}", customers::RESOURCE.path), query, "search customer").await?;
        // The search is account-wide: a customer of another source is another customer.
        let mut matches =
            entries.iter().filter(|entry| customers::pairs(entry).any(|(source, _)| source == self.data_source.as_ref()));
        let (first, more) = (matches.next(), matches.count());
        Ok(match (first, more) {
            (None, _) => Found::Absent,
            (Some(entry), 0) => self.saw_customer(entry).map_or(Found::Absent, Found::Present),
            (_, more) => Found::Ambiguous(more + 1),
        })
    }

    /// The customer of a UUID.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn customer_by_uuid(&self, uuid: &str) -> Result<Found<KnownCustomer>, Trouble> {
        let call = Call {
            method: Method::Get,
            path: format!("{}/{uuid}", customers::RESOURCE.path),
            query: Vec::new(),
            body: None,
            repeat: Repeat::Harmless,
            kind: "read customer",
        };
        Ok(match self.client.ask(&call).await? {
            Reply::Done(answer) => self.saw_customer(&answer.json()?).map_or(Found::Absent, Found::Present),
            Reply::Missing(_) => Found::Absent,
            Reply::Exists(refusal) | Reply::Refused(refusal) => return Err(Trouble::Refused(refusal)),
            Reply::Lost(why) => return Err(never_lost(&why)),
        })
    }

    /// The contacts of a customer in the configured data source: their keys, or all of an entry that has no key.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn contacts(&self, customer: &str) -> Result<Vec<Value>, Trouble> {
        if let Some(known) = self.index.borrow().contacts(customer) {
            return Ok(known.clone());
        }
        self.look_up_contacts(customer).await
    }

    /// The same, whatever is known; the entries as they were answered, and our own writes that the list does not show yet.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn look_up_contacts(&self, customer: &str) -> Result<Vec<Value>, Trouble> {
        let query = vec![("customer_uuid", customer.to_owned()), ("data_source_uuid", self.data_source.to_string())];
        let entries = self.list(&contacts::RESOURCE, contacts::RESOURCE.path, query, "look up contacts").await?;
        Ok(self.index.borrow_mut().saw_contacts(customer, entries))
    }

    /// How many entries an object has in the configured data source, or at least `enough` when there are that many.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn count(&self, resource: &Resource, enough: usize) -> Result<usize, Trouble> {
        let mut count = 0;
        let mut cursor = None;
        loop {
            let query = vec![("data_source_uuid", self.data_source.to_string())];
            let page = self.page(resource, resource.path, query, cursor, "count entries").await?;
            count += page.entries.len();
            match page.next {
                Some(next) if count < enough => cursor = Some(next),
                _ => return Ok(count),
            }
        }
    }

    /// Takes in a customer as a write answered it.
    pub fn saw_customer(&self, entry: &Value) -> Option<KnownCustomer> {
        self.proven.set(true);
        self.index.borrow_mut().saw_customer(&self.data_source, entry)
    }

    /// A customer made by this run has no contacts but those that this run makes.
    pub fn made_customer(&self, entry: &Value) {
        if let Some(known) = self.saw_customer(entry) {
            self.index.borrow_mut().saw_contacts(&known.uuid, Vec::new());
        }
    }

    /// Takes in a contact as a write answered it.
    pub fn saw_contact(&self, customer: &str, entry: &Value) {
        let mut index = self.index.borrow_mut();
        match entry.get("uuid") {
            Some(Value::String(_)) => index.saw_contact(customer, entry),
            // Any 2xx is success, with or without a body. Without one it is not known what the customer has now.
            _ => index.forget_contacts(customer),
        }
    }

    /// What was known under a key proved wrong.
    pub fn forget_customer(&self, key: &str) {
        self.index.borrow_mut().forget_customer(key);
    }

    /// A customer was deleted, or its UUID is known to be gone.
    pub fn customer_gone(&self, uuid: &str) {
        self.index.borrow_mut().customer_gone(uuid);
    }

    /// A contact was deleted, or its UUID is known to be gone.
    pub fn contact_gone(&self, uuid: &str) {
        self.index.borrow_mut().contact_gone(uuid);
    }

    /// All pages of a list. The search answers "none" with a 404 (recorded 2023), lists with an empty page.
    async fn list(
        &self,
        resource: &Resource,
        path: &str,
        query: Vec<(&'static str, String)>,
        kind: &'static str,
    ) -> Result<Vec<Value>, Trouble> {
        let mut entries = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(resource, path, query.clone(), cursor, kind).await?;
            entries.extend(page.entries);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(entries),
            }
        }
    }

    async fn page(
        &self,
        resource: &Resource,
        path: &str,
        mut query: Vec<(&'static str, String)>,
        cursor: Option<String>,
        kind: &'static str,
    ) -> Result<Page, Trouble> {
        query.push(("per_page", PAGE.to_string()));
        query.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
        let call = Call { method: Method::Get, path: path.to_owned(), query, body: None, repeat: Repeat::Harmless, kind };
        match self.client.ask(&call).await? {
            Reply::Done(answer) => {
                let mut body: Value = answer.json()?;
                // Absence is only what a list says: an answer without one would have us make things a second time.
                let Some(Value::Array(entries)) = body.get_mut(resource.list_root).map(Value::take) else {
                    return Err(no_list(kind).into());
                };
                // `has_more` decides: a last page still carries a cursor (recorded).
                let next = match body.get("has_more") {
                    Some(Value::Bool(true)) if !entries.is_empty() => match body.get("cursor").and_then(Value::as_str) {
                        Some(next) if Some(next) != cursor.as_deref() => Some(next.to_owned()),
                        // There is more and no way to it, or the way leads back here.
                        _ => return Err(no_list(kind).into()),
                    },
                    _ => None,
                };
                Ok(Page { entries, next })
            }
            // Recorded 2023: the search answers "none" with a 404. A list answers it with an empty page.
            Reply::Missing(_) if path.ends_with(SEARCH) => Ok(Page { entries: Vec::new(), next: None }),
            Reply::Missing(refusal) => Err(Trouble::Refused(refusal)),
            Reply::Exists(refusal) | Reply::Refused(refusal) => Err(Trouble::Refused(refusal)),
            Reply::Lost(why) => Err(never_lost(&why)),
        }
    }
}

fn no_list(kind: &str) -> Failure {
    let text = format!("{} {}", Code::UnexpectedAnswer.cause(), Code::UnexpectedAnswer.remedy());
    Failure::system(Code::UnexpectedAnswer, text).with_internal(format!("{kind}: the answer is no page of a list"))
}

/// Reads are harmless to repeat, so that the client never hands one back as lost.
fn never_lost(why: &str) -> Trouble {
    Failure::system(Code::Internal, "A read was handed back as lost.").with_internal(why).into()
}

/// One page of a list.
struct Page {
    entries: Vec<Value>,
    next: Option<String>,
}
