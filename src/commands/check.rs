//! `check`: does this configuration work? Every problem found is told at once, each with its remedy.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::{client, settings};
use crate::client::{Call, Client, Method, Repeat, Reply};
use crate::config::Settings;
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::{Emitter, Outbound};
use crate::store::{self, Keeping};

/// The platform waits longer; a person does not.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long an outage is waited out here.
const PATIENCE: Duration = Duration::from_secs(15);
/// Data sources named when the configured one is not among them.
const SHOWN_SOURCES: usize = 20;

pub(super) async fn run(emitter: &Emitter, config: &Path) -> Result<ExitCode, Failure> {
    let status = match settings(emitter, config) {
        Ok(settings) => match tokio::time::timeout(TIME_LIMIT, look(&settings)).await {
            Ok(Ok(message)) => Outbound::succeeded(Some(message)),
            Ok(Err(problems)) => Outbound::failed(problems.join("\n")),
            Err(_) => Outbound::failed(Failure::transient(Code::CheckTimeout, Code::CheckTimeout.cause()).told()),
        },
        // A configuration that can be read but not used is what this command is asked about; one that can not be read is
        // a fault of whoever called it.
        Err(failure) if failure.code == Code::ConfigInvalid => Outbound::failed(failure.message),
        Err(failure) => return Err(failure),
    };
    emitter.emit(&status)?;
    Ok(ExitCode::SUCCESS)
}

/// What this command can not find out: it is not told which host will run the sync, nor with which catalog.
const MIRRORS: &str = "Deletions are mirrored at the end of a sync, and only for streams that are read whole (full_refresh), \
replace what was there (overwrite, or a new generation alone) and are said to be complete. A host that sends no COMPLETE, such \
as a connection to a connector that was added by its image, never mirrors: nothing is deleted, and the log says why.";

/// Looks at the account and at what keeps rejected records and receipts; answers what is there, or all that is wrong.
pub(super) async fn look(settings: &Settings) -> Result<String, Vec<String>> {
    let keeping = Keeping { patience: PATIENCE.min(settings.keeping.patience), ..settings.keeping.clone() };
    let (account, stores) = tokio::join!(look_at_account(settings), store::probe(&keeping));
    let stores: Vec<String> = stores.iter().map(Failure::told).collect();
    match account {
        Ok(message) if stores.is_empty() => Ok(message),
        account => Err(account.err().into_iter().flatten().chain(stores).collect()),
    }
}

async fn look_at_account(settings: &Settings) -> Result<String, Vec<String>> {
    let client = client(settings, PATIENCE.min(settings.limits.give_up_after)).map_err(|failure| vec![failure.told()])?;
    // Without an address or a key that works nothing else can be found out.
    ping(&client).await.map_err(|failure| vec![failure.told()])?;
    let mut problems = Vec::new();
    let mut found = String::new();
    match data_source(&client, &settings.data_source).await {
        Ok(name) => found = name,
        Err(failure) => problems.push(failure.told()),
    }
    if let Err(failure) = may_write(&client).await {
        problems.push(failure.told());
    }
    match problems.is_empty() {
        true => {
            let connected = format!("Connected to ChartMogul; records are written to the data source \"{found}\".");
            Ok(if settings.deletions.by_absence() { format!("{connected} {MIRRORS}") } else { connected })
        }
        false => Err(problems),
    }
}

/// Documented and recorded: 200 for a good key, 401 for a bad one.
async fn ping(client: &Client) -> Result<(), Failure> {
    match client.ask(&read("/ping", "ping")).await? {
        Reply::Done(_) => Ok(()),
        // The host answers in JSON that there is no such path: a base URL without /v1, or another API altogether.
        _ => Err(Failure::config(Code::BaseUrlWrong, Code::BaseUrlWrong.cause())),
    }
}

/// The name of the configured data source.
async fn data_source(client: &Client, uuid: &str) -> Result<String, Failure> {
    let sources: Vec<Value> = match client.ask(&read("/data_sources", "list data sources")).await? {
        Reply::Done(answer) => match answer.json::<Value>()?.get_mut("data_sources").map(Value::take) {
            Some(Value::Array(sources)) => sources,
            _ => return Err(Failure::config(Code::BaseUrlWrong, Code::BaseUrlWrong.cause())),
        },
        _ => return Err(Failure::config(Code::BaseUrlWrong, Code::BaseUrlWrong.cause())),
    };
    let text = |source: &Value, key: &str| source[key].as_str().unwrap_or_default().to_owned();
    if let Some(source) = sources.iter().find(|source| text(source, "uuid").eq_ignore_ascii_case(uuid)) {
        return Ok(text(source, "name"));
    }
    let shown: Vec<String> =
        sources.iter().take(SHOWN_SOURCES).map(|source| format!("{} ({})", text(source, "uuid"), text(source, "name"))).collect();
    let listed = match shown.len() {
        0 => "The key sees no data source at all: create one in ChartMogul first.".to_owned(),
        _ if sources.len() > shown.len() => {
            format!("The key sees {} and {} more.", shown.join(", "), sources.len() - shown.len())
        }
        _ => format!("The key sees {}.", shown.join(", ")),
    };
    Err(Failure::config(Code::DataSourceUnknown, format!("The data source {uuid} does not exist in this account. {listed}")))
}

/// Asks for a data source without a name: a key that may write is told that the name is missing (400 recorded 2023, 422
/// recorded 2016), one that may not is told 403. Nothing comes of it either way.
async fn may_write(client: &Client) -> Result<(), Failure> {
    let call = Call {
        method: Method::Post,
        path: "/data_sources".to_owned(),
        query: Vec::new(),
        body: Some("{}".to_owned()),
        repeat: Repeat::Harmless,
        kind: "probe for write access",
        hides_path: false,
    };
    if let Reply::Done(answer) = client.ask(&call).await? {
        // Against all that is known it was made: nothing may be left behind.
        if let Some(uuid) = answer.json::<Value>()?.get("uuid").and_then(Value::as_str) {
            let path = format!("/data_sources/{uuid}");
            let call = Call {
                method: Method::Delete,
                path,
                query: Vec::new(),
                body: None,
                repeat: Repeat::Harmless,
                kind: "undo the probe",
                hides_path: false,
            };
            client.ask(&call).await?;
        }
    }
    Ok(())
}

fn read(path: &str, kind: &'static str) -> Call {
    Call {
        method: Method::Get,
        path: path.to_owned(),
        query: Vec::new(),
        body: None,
        repeat: Repeat::Harmless,
        kind,
        hides_path: false,
    }
}
