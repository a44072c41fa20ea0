//! Looks at the account. What a look told is kept, so that each is made once a run; our own writes are laid over it (`taught`).

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};

use super::claims::Claims;
use super::index::Index;
use super::listing::{Expected, Listing, Touched};
use crate::client::{Call, Client, Method, Refusal, Repeat, Reply};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::request::{Look, Scope};
use crate::objects::resource::Resource;
use crate::objects::{self, Object};
use crate::plan::{By, Kin, Known};

/// The most entries that a page of a list holds (vendor page "Pagination").
const PAGE: usize = 200;
/// Scopes that are locked, kept before those that nobody waits for are let go.
const MOST_LOCKS: usize = 1024;

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// This one.
    Present(T),
    /// Nothing.
    Absent,
    /// So many that a guess would be needed.
    Ambiguous(usize),
}

/// Why a look found out nothing.
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

/// A count in the making.
#[derive(Debug)]
pub struct Tally {
    /// The object that is counted.
    pub of: &'static str,
    /// How many of them one entry is.
    pub count_in: fn(&Value) -> usize,
    /// So many tell as much as all of them.
    pub enough: usize,
    /// How many were seen.
    pub count: usize,
}

/// The account, seen through the API and through what this run has learnt. Used from one task only; no borrow is held
/// across a wait.
#[derive(Debug)]
pub struct Account<'c> {
    client: &'c Client,
    pub(super) data_source: Box<str>,
    /// Whether something was seen in the data source, so that it exists.
    pub(super) proven: Cell<bool>,
    pub(super) index: RefCell<Index>,
    pub(super) listings: RefCell<HashMap<&'static str, Listing>>,
    pub(super) touched: RefCell<Touched>,
    pub(super) expected: RefCell<Expected>,
    /// Scopes that somebody looks at or writes in.
    locks: RefCell<HashMap<Scope, Arc<Mutex<()>>>>,
    pub(super) claims: Claims,
    /// By object: shared while one is being made, alone while all of them are counted or listed.
    making: RefCell<HashMap<&'static str, Arc<RwLock<()>>>>,
    /// Scopes that were looked at once more.
    pub(super) seen_again: RefCell<HashSet<Scope>>,
    /// Whether what waits has to know the things that this run made without seeing them; what goes in imports names them by key.
    pub(super) asks_for_unseen: Cell<bool>,
}

impl<'c> Account<'c> {
    /// Nothing is known yet.
    pub fn new(client: &'c Client, data_source: &str) -> Self {
        Self {
            client,
            data_source: data_source.into(),
            proven: Cell::new(false),
            index: RefCell::default(),
            listings: RefCell::default(),
            touched: RefCell::default(),
            expected: RefCell::default(),
            locks: RefCell::default(),
            claims: Claims::default(),
            making: RefCell::default(),
            seen_again: RefCell::default(),
            asks_for_unseen: Cell::new(true),
        }
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
        // One asks, the others wait for what it is told.
        let _alone = self.alone_with(Scope::listing("data_sources")).await;
        if self.proven.get() {
            return Ok(());
        }
        let call = read_call(format!("/data_sources/{}", self.data_source), "read data source");
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

    /// Waits until nobody else looks at or writes in this scope. Lanes keep the order of records that name a thing alike;
    /// this keeps apart those that name it differently, so that nothing is looked for while another makes it.
    pub async fn alone_with(&self, scope: Scope) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.borrow_mut();
            if locks.len() > MOST_LOCKS {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(scope).or_default())
        };
        lock.lock_owned().await
    }

    /// Who may make an object, or go through all of them without any being made meanwhile.
    pub fn making(&self, object: &'static str) -> Arc<RwLock<()>> {
        Arc::clone(self.making.borrow_mut().entry(object).or_default())
    }

    /// What is known of a scope without asking; `None` means nothing.
    pub fn known(&self, scope: Scope) -> Option<Vec<Rc<Known>>> {
        self.index.borrow().shelf(scope)
    }

    /// The one entry that an object is known to have under a key.
    pub fn known_by_key(&self, kin: Kin, key: &str) -> Option<Rc<Known>> {
        let look = objects::find(kin.object())?.look_by_key(key, &self.data_source)?;
        self.index.borrow().shelf(look.scope?)?.into_iter().next()
    }

    /// What is known of the entry of this identity without asking.
    pub fn known_entry(&self, uuid: &str) -> Option<Rc<Known>> {
        self.index.borrow().entry(uuid)
    }

    /// The entries that a look shows: those that are known, unless a fresh look is asked for.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn look(&self, object: &'static dyn Object, look: &Look, fresh: bool) -> Result<Vec<Rc<Known>>, Trouble> {
        let object = objects::reader(object.read_by()).unwrap_or(object);
        if let Some(scope) = look.scope.filter(|_| !fresh)
            && let Some(known) = self.known_or_listed(object, look, scope).await?
        {
            return Ok(known);
        }
        let entries = self.list(look).await?;
        let known: Vec<Rc<Known>> = self.take_in(object, look, &entries).into_iter().map(|(known, _)| known).collect();
        Ok(match look.scope {
            // What there is may be listed late. Only for one key another entry stands instead of the one that was known.
            Some(scope) => {
                let of_a_key = look.query.iter().any(|(name, _)| name == "external_id");
                self.index.borrow_mut().listed(scope, &known, !of_a_key || known.is_empty())
            }
            None => known,
        })
    }

    /// The entry of this identity, read now.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn read(&self, object: &dyn Object, uuid: &str) -> Result<Found<Rc<Known>>, Trouble> {
        Ok(match self.read_entry(object, uuid).await? {
            Some(entry) => self.saw(object, &entry, None).map_or(Found::Absent, Found::Present),
            None => Found::Absent,
        })
    }

    /// The entry of this identity as the API shows it; `None` when there is none.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn read_entry(&self, object: &dyn Object, uuid: &str) -> Result<Option<Value>, Trouble> {
        let resource = object.resource();
        let call = read_call(format!("{}/{uuid}", resource.path), resource.calls.read);
        match self.client.ask(&call).await? {
            Reply::Done(answer) => Ok(Some(answer.json()?)),
            Reply::Missing(_) => Ok(None),
            Reply::Exists(refusal) | Reply::Refused(refusal) => Err(Trouble::Refused(refusal)),
            Reply::Lost(why) => Err(never_lost(&why)),
        }
    }

    /// The entry that a look shows under this name, as the API shows it; `None` when there is none.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn entry_of(&self, object: &dyn Object, by: &By, look: &Look) -> Result<Option<Value>, Trouble> {
        let entries = self.list(look).await?;
        let is_it =
            |entry: &&Value| self.know(object, entry).is_some_and(|known| matches!(named(by, &[known]), Found::Present(_)));
        Ok(entries.iter().find(is_it).cloned())
    }

    /// The entry of this key as the API shows it, of an object that the API finds by it; `None` when there is none.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn entry_by_key(&self, object: &dyn Object, key: &str) -> Result<Option<Value>, Trouble> {
        let resource = object.resource();
        let query = vec![("data_source_uuid".into(), self.data_source.to_string()), ("external_id".into(), key.to_owned())];
        let call = Call { query, ..read_call(resource.path.to_owned(), resource.calls.read) };
        match self.client.ask(&call).await? {
            // Documented: one object, or a 404. The tests of an official client know a list there.
            Reply::Done(answer) => {
                let mut answer: Value = answer.json()?;
                Ok(match answer.get_mut(resource.list_root).and_then(Value::as_array_mut) {
                    Some(list) if list.is_empty() => None,
                    Some(list) => Some(list.swap_remove(0)),
                    None => Some(answer),
                })
            }
            Reply::Missing(_) => Ok(None),
            Reply::Exists(refusal) | Reply::Refused(refusal) => Err(Trouble::Refused(refusal)),
            Reply::Lost(why) => Err(never_lost(&why)),
        }
    }

    /// Counts what the entries of an object hold in the configured data source; in the whole account where they stand in none.
    /// It ends where the first tally has enough; whether all entries were seen is told.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn count(&self, resource: &'static Resource, tallies: &mut [Tally]) -> Result<bool, Trouble> {
        let mut look = Look::new(resource.path, resource.list_root, "count entries");
        if resource.filters.contains(&"data_source_uuid") {
            look = look.filter("data_source_uuid", &self.data_source);
        }
        let mut cursor = None;
        loop {
            let page = self.page(&look, cursor).await?;
            for tally in &mut *tallies {
                tally.count += page.entries.iter().map(tally.count_in).sum::<usize>();
            }
            match page.next {
                None => return Ok(true),
                Some(_) if tallies.first().is_none_or(|first| first.count >= first.enough) => return Ok(false),
                next => cursor = next,
            }
        }
    }

    /// All entries that a look shows.
    async fn list(&self, look: &Look) -> Result<Vec<Value>, Trouble> {
        let mut entries = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(look, cursor).await?;
            entries.extend(page.entries);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(entries),
            }
        }
    }

    pub(super) async fn page(&self, look: &Look, cursor: Option<String>) -> Result<Page, Trouble> {
        let mut call = Call { query: look.query.clone(), ..read_call(look.path.clone(), look.name) };
        if look.paged {
            call.query.push(("per_page".into(), PAGE.to_string()));
            call.query.extend(cursor.clone().map(|cursor| ("cursor".into(), cursor)));
        }
        match self.client.ask(&call).await? {
            Reply::Done(answer) => {
                let mut body: Value = answer.json()?;
                // Absence is only what a list says: an answer without one would have us make things a second time.
                let Some(Value::Array(entries)) = body.get_mut(look.root).map(Value::take) else {
                    return Err(no_list(look.name).into());
                };
                // `has_more` decides: a last page still carries a cursor (recorded).
                let next = match body.get("has_more") {
                    Some(Value::Bool(true)) if !entries.is_empty() => match body.get("cursor").and_then(Value::as_str) {
                        Some(next) if Some(next) != cursor.as_deref() => Some(next.to_owned()),
                        // There is more and no way to it, or the way leads back here.
                        _ => return Err(no_list(look.name).into()),
                    },
                    _ => None,
                };
                // Customers, plans and invoices tell it beside the list, events in `meta`; it can be null (recorded).
                let told = body.get("total_pages").or_else(|| body.get("meta")?.get("total_pages"));
                let total = told.and_then(Value::as_u64).and_then(|pages| usize::try_from(pages).ok());
                Ok(Page { entries, next, total })
            }
            Reply::Missing(_) if look.none_is_404 => Ok(Page { entries: Vec::new(), next: None, total: None }),
            Reply::Missing(refusal) => Err(Trouble::Refused(refusal)),
            Reply::Exists(refusal) | Reply::Refused(refusal) => Err(Trouble::Refused(refusal)),
            Reply::Lost(why) => Err(never_lost(&why)),
        }
    }
}

/// Which of the entries goes by this name.
pub(super) fn named(by: &By, entries: &[Rc<Known>]) -> Found<Rc<Known>> {
    let is_it = |entry: &&Rc<Known>| match by {
        By::Uuid(uuid) => entry.uuid == *uuid,
        By::Key(key) => entry.ours && entry.keys().any(|held| held == key.as_ref()),
    };
    let matches: Vec<&Rc<Known>> = entries.iter().filter(is_it).collect();
    match matches[..] {
        [] => Found::Absent,
        [one] => Found::Present(Rc::clone(one)),
        _ => Found::Ambiguous(matches.len()),
    }
}

fn read_call(path: String, kind: &'static str) -> Call {
    Call { method: Method::Get, path, query: Vec::new(), body: None, repeat: Repeat::Harmless, kind, hides_path: false }
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
pub(super) struct Page {
    pub(super) entries: Vec<Value>,
    pub(super) next: Option<String>,
    /// How many pages there are, where the first one tells.
    pub(super) total: Option<usize>,
}
