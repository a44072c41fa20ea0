//! Bulk imports: sending one, and finding out what became of each of its records.
//!
//! Vendor pages: "Bulk Import", "Track Import Status". Nobody has recorded the endpoint. What rests on that: nothing goes in an
//! import that is not known to be absent; nothing counts as made that the report of the import does not plainly say, or a
//! look shows; an import whose fate is unknown is waited for by the data source's own count of what is pending, never sent
//! again as it is. Does not own what goes in one (`family`), when (`bulk`), nor what its end
//! means for a record (`imported`).

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::World;
use super::create::LOOKS;
use super::family::{Family, Unit};
use super::imported::{Imported, Lacking};
use crate::account::Trouble;
use crate::client::{Call, Method, Repeat, Reply, Trial};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::imports::{LISTS, PLANS};
use crate::objects::request::Look;
use crate::outcome::{Fault, Rejection};
use crate::plan::{By, LaneKey};

/// Waits between looks at an import that is not done; the last one goes on.
const POLLS: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(10)];
/// So many imports in a row whose answer was lost and of which nothing arrived end the sync.
pub(in crate::engine) const MOST_LOST: u32 = 5;

/// How imports stand.
#[derive(Debug, Default)]
pub(in crate::engine) struct Imports {
    /// The data source's count of failed records when it was last read.
    failed: u64,
    /// Records a second of the last import, for a guess when the next one is done.
    pace: Option<f64>,
    /// Imports in a row that never arrived.
    lost: u32,
    /// What an import made in part, and whose records have yet to say the rest.
    pub(super) half_made: HashSet<LaneKey>,
}

impl World<'_> {
    /// Waits until nothing that an earlier run sent is still to be processed. Answers whether that can be told at all.
    ///
    /// # Errors
    /// `IMPORT_UNSETTLED` when it takes too long, or what ends the sync.
    pub(in crate::engine) async fn no_import_is_pending(&self) -> Result<bool, Failure> {
        let mut waits = POLLS.into_iter();
        let mut wait = POLLS[POLLS.len() - 1];
        let since = Instant::now();
        let mut told = false;
        loop {
            let Some(status) = self.processing().await? else { return Ok(false) };
            self.imports.borrow_mut().failed = status.failed;
            if status.pending == 0 {
                return Ok(true);
            }
            // Whoever imports into the data source without an end is not waited for without one.
            if since.elapsed() > self.client.patience() {
                let text = format!("{} records that were imported earlier are still being processed.", status.pending);
                return Err(unsettled(&text));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!(pending = status.pending, "waiting until ChartMogul has processed what was imported before");
            }
            wait = waits.next().unwrap_or(wait);
            sleep(wait).await;
        }
    }

    /// The data source's own counts; `None` where they are not shown.
    async fn processing(&self) -> Result<Option<Processing>, Failure> {
        let query = vec![("with_processing_status".into(), "true".to_owned())];
        let call = get(format!("/data_sources/{}", self.account.data_source()), query, "read processing status");
        let Reply::Done(answer) = self.client.ask(&call).await? else { return Ok(None) };
        let answer: Value = answer.json()?;
        let count = |name: &str| answer["processing_status"][name].as_u64();
        Ok(count("pending").zip(count("failed")).map(|(pending, failed)| Processing { pending, failed }))
    }

    /// Sends an import and finds out what became of its records: for each family, for each of its units in order.
    ///
    /// # Errors
    /// `IMPORT_UNSETTLED` when its fate stays unknown, or what ends the sync.
    pub(in crate::engine) async fn import(&self, families: &[&Family]) -> Result<Vec<Vec<Imported>>, Failure> {
        let (external_id, body) = body(families);
        let path = format!("/data_sources/{}/json_imports", self.account.data_source());
        let call = Call {
            method: Method::Post,
            path: path.clone(),
            query: Vec::new(),
            body: Some(body),
            repeat: Repeat::MayDuplicate,
            kind: "import",
            hides_path: false,
        };
        let started = Instant::now();
        // What goes in imports names others by key.
        self.account.asks_for_unseen(false);
        let mut ours = true;
        let state = match self.client.send(&call, &mut Trial::default()).await? {
            Reply::Done(answer) => answer.json().unwrap_or(Value::Null),
            // An import of the very same content was sent before. What became of that says nothing of what is absent now.
            Reply::Exists(_) => {
                ours = false;
                Value::Null
            }
            Reply::Lost(why) => {
                tracing::debug!(why, "the answer to an import was lost; looking for it");
                match self.find_import(&path, &external_id).await? {
                    Some(state) => state,
                    None => return self.settle_lost(families).await,
                }
            }
            Reply::Missing(refusal) | Reply::Refused(refusal) => {
                tracing::warn!(status = refusal.status, "ChartMogul takes no bulk import here; its records are sent one by one");
                self.bulk.set(false);
                self.account.asks_for_unseen(true);
                return Ok(families.iter().map(|family| vec![Imported::Absent; family.units.len()]).collect());
            }
        };
        let records: usize = families.iter().map(|family| family.records()).sum();
        let ended = self.follow(&path, state, &external_id, records).await?;
        self.imports.borrow_mut().lost = 0;
        let Some(ended) = ended else { return self.settle_lost(families).await };
        self.imports.borrow_mut().pace = Some(records as f64 / started.elapsed().as_secs_f64().max(0.1));
        // The report tells the worst of a customer's lists; the count of the data source tells of what it passes over.
        let before = self.imports.borrow().failed;
        let now = self.processing().await?;
        self.imports.borrow_mut().failed = now.as_ref().map_or(before, |now| now.failed);
        let trusted = ours && ended["status"] == COMPLETED && now.is_some_and(|now| now.failed <= before);
        self.verify(families, |family, unit| trusted && is_plain(&ended["status_details"], family, unit)).await
    }

    /// Looks for an import by the external id that we gave it; it may be shown late.
    async fn find_import(&self, path: &str, external_id: &str) -> Result<Option<Value>, Failure> {
        for wait in LOOKS {
            sleep(wait).await;
            if let Some(state) = self.read_import(path, external_id).await? {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    async fn read_import(&self, path: &str, id: &str) -> Result<Option<Value>, Failure> {
        Ok(match self.client.ask(&get(format!("{path}/{id}"), Vec::new(), "read import")).await? {
            Reply::Done(answer) => Some(answer.json()?),
            _ => None,
        })
    }

    /// Follows an import to its end; `None` where it is no longer shown. Documented: `queued`, `processing`, `completed`; any other
    /// word is taken for an end of which nothing is known.
    async fn follow(&self, path: &str, state: Value, external_id: &str, records: usize) -> Result<Option<Value>, Failure> {
        // Documented: it is tracked by the external id, or by the id that was answered.
        let pace = self.imports.borrow().pace;
        let guess = pace.map(|pace| Duration::from_secs_f64((records as f64 / pace).clamp(0.5, 20.0)));
        let mut waits = guess.into_iter().chain(POLLS);
        let mut wait = POLLS[POLLS.len() - 1];
        let (mut state, mut since) = (state, Instant::now());
        loop {
            if state["status"].as_str().is_some_and(|status| !UNDER_WAY.contains(&status)) {
                return Ok(Some(state));
            }
            if since.elapsed() > self.client.patience() {
                return Err(unsettled(&format!("An import of {records} records did not come to an end.")));
            }
            wait = waits.next().unwrap_or(wait);
            sleep(wait).await;
            let Some(now) = self.read_import(path, external_id).await? else { return Ok(None) };
            if now != state {
                since = Instant::now();
            }
            state = now;
        }
    }

    /// The fate of an import is unknown: once nothing is pending, what is there came of it, and what is absent never arrived.
    async fn settle_lost(&self, families: &[&Family]) -> Result<Vec<Vec<Imported>>, Failure> {
        let lost = {
            let mut imports = self.imports.borrow_mut();
            imports.lost += 1;
            imports.lost
        };
        if lost > MOST_LOST || !self.no_import_is_pending().await? {
            return Err(unsettled("What became of an import could not be found out."));
        }
        let mut found = self.verify(families, |_, _| false).await?;
        for one in found.iter_mut().flatten().filter(|one| **one == Imported::Absent) {
            *one = Imported::Lost;
        }
        Ok(found)
    }

    /// What is there of an import: what `is_plain` says, and of all others what a look shows.
    async fn verify(
        &self,
        families: &[&Family],
        is_plain: impl Fn(&Family, &Unit) -> bool,
    ) -> Result<Vec<Vec<Imported>>, Failure> {
        let mut found: Vec<Vec<Imported>> = families.iter().map(|family| vec![Imported::Made; family.units.len()]).collect();
        let mut open: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
        for (row, family) in families.iter().enumerate() {
            for (column, unit) in family.units.iter().enumerate() {
                if is_plain(family, unit) {
                    self.account.unseen(unit.object, &unit.key);
                } else {
                    open.entry(unit.object.resource().name).or_default().push((row, column));
                }
            }
        }
        let mut looks = FuturesUnordered::new();
        for places in open.values() {
            let units = || places.iter().map(|(row, column)| &families[*row].units[*column]);
            if let Some(first) = units().next() {
                self.account.read_afresh(first.object, units().map(|unit| unit.key.as_ref()));
            }
            for (place, unit) in places.iter().zip(units()) {
                if let Some(scope) = unit.object.look_by_key(&unit.key, self.account.data_source()).and_then(|look| look.scope) {
                    self.account.expect(unit.object.resource().name, scope);
                }
                looks.push(async move { (*place, unit, self.see(unit).await) });
            }
        }
        while let Some(((row, column), unit, seen)) = looks.next().await {
            if let Some(scope) = unit.object.look_by_key(&unit.key, self.account.data_source()).and_then(|look| look.scope) {
                self.account.met(unit.object.resource().name, scope);
            }
            found[row][column] = match seen {
                Ok(seen) => seen,
                Err(Trouble::Refused(_)) => Imported::Absent,
                Err(Trouble::Stop(failure)) => return Err(failure),
            };
        }
        for (family, found) in families.iter().zip(&found) {
            let is_made = |found: &Imported| matches!(found, Imported::Made | Imported::Lacking(_));
            let mut guard = self.deletions.borrow_mut();
            for (unit, _) in family.units.iter().zip(found).filter(|(_, found)| is_made(found)) {
                guard.created(unit.object.resource().name);
                unit.import.counts().for_each(|(part, many)| guard.created_many(part, many as u64));
            }
        }
        Ok(found)
    }

    /// What a look shows of a unit. What the API would make twice, and what lacks parts, is looked for several times: a list may
    /// lag.
    async fn see(&self, unit: &Unit) -> Result<Imported, Trouble> {
        let Some(look) = unit.object.look_by_key(&unit.key, self.account.data_source()) else { return Ok(Imported::Absent) };
        let mut seen = None;
        for wait in LOOKS {
            sleep(wait).await;
            let known = self.account.look(unit.object, &look, !wait.is_zero()).await?;
            let Some(known) = known.first() else {
                if seen.is_none() && unit.object.has_refused_key() {
                    break;
                }
                continue;
            };
            let lacks = unit.lacks(known);
            let fewer = unit.has_fewer(known, &lacks);
            let is_whole = lacks.is_empty() && !fewer;
            seen = Some((lacks, fewer, known.is_sound));
            if is_whole {
                break;
            }
        }
        let Some((parts, fewer, is_sound)) = seen else { return Ok(Imported::Absent) };
        let rejection = if is_sound { None } else { self.said_against(unit, &look).await? };
        Ok(match (parts.is_empty() && !fewer, rejection) {
            (false, rejection) => Imported::Lacking(Lacking { parts, fewer, rejection }),
            (true, Some(rejection)) => Imported::Invalid(rejection),
            (true, None) => Imported::Made,
        })
    }

    /// What the API itself says against what it took.
    async fn said_against(&self, unit: &Unit, look: &Look) -> Result<Option<Rejection>, Trouble> {
        let by = By::Key(unit.key.clone());
        let entry = self.account.entry_of(unit.object, &by, look).await?.unwrap_or_default();
        let said = |fault: Fault| Fault { code: Code::ImportedInvalid, ..fault };
        let faults: Vec<Fault> = unit.object.complains(&entry).into_iter().map(said).collect();
        Ok((!faults.is_empty()).then_some(Rejection { faults, http_status: None }))
    }
}

/// The data source's own counts of records.
struct Processing {
    pending: u64,
    failed: u64,
}

const COMPLETED: &str = "completed";
const UNDER_WAY: [&str; 2] = ["queued", "processing"];
const IMPORTED: &str = "imported";

/// Whether the report of an import says of each list in which a unit stands that it was imported.
fn is_plain(details: &Value, family: &Family, unit: &Unit) -> bool {
    let Some(customer) = &family.customer else { return details[PLANS]["status"] == IMPORTED };
    let report = &details[customer.as_ref()];
    report["status"] == IMPORTED && unit.import.entries.iter().all(|(list, _)| report[*list]["status"] == IMPORTED)
}

/// The body of an import and the external id in it, which is told by the content: the same import goes by the same name.
fn body(families: &[&Family]) -> (String, String) {
    let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (list, entry) in families.iter().flat_map(|family| &family.units).flat_map(|unit| &unit.import.entries) {
        lists.entry(list).or_default().push(entry);
    }
    let mut body = String::new();
    for list in LISTS {
        let Some(entries) = lists.get(list) else { continue };
        body.push_str(&format!(",\"{list}\":[{}]", entries.join(",")));
    }
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &body).hash(&mut hasher);
        hasher.finish()
    };
    let external_id = format!("airbyte-{:016x}{:016x}", half(0), half(1));
    let body = format!("{{\"external_id\":\"{external_id}\"{body}}}");
    (external_id, body)
}

fn get(path: String, query: Vec<(std::borrow::Cow<'static, str>, String)>, kind: &'static str) -> Call {
    Call { method: Method::Get, path, query, body: None, repeat: Repeat::Harmless, kind, hides_path: false }
}

fn unsettled(what: &str) -> Failure {
    Failure::transient(Code::ImportUnsettled, format!("{what} {}", Code::ImportUnsettled.remedy()))
}
