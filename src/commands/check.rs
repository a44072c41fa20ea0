//! `check`: does this configuration work? Every problem found is told at once, each with its remedy.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::{client, settings};
use crate::client::{Call, Client, Method, Repeat, Reply};
use crate::config::Settings;
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::{Emitter, Outbound};
use crate::store::{self, Keeping};

/// The platform waits longer; a person does not. Each thing that is looked at has so long: what is found of one is told whatever
/// becomes of the others.
const TIME_LIMIT: Duration = Duration::from_secs(55);
/// How long an outage is waited out here.
const PATIENCE: Duration = Duration::from_secs(15);
/// Data sources named when the configured one is not among them.
const SHOWN_SOURCES: usize = 20;

pub(super) async fn run(emitter: &Emitter, config: &Path) -> Result<ExitCode, Failure> {
    let status = match settings(emitter, config) {
        Ok(settings) => match look(&settings).await {
            Ok(message) => Outbound::succeeded(Some(message)),
            Err(problems) => Outbound::failed(problems.join("\n")),
        },
        // A configuration that can be read but not used is what this command is asked about; one that can not be read is
        // a fault of whoever called it.
        Err(failure) if failure.code == Code::ConfigInvalid => Outbound::failed(failure.told()),
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
    let mut problems = Vec::new();
    let account = timeout(TIME_LIMIT, look_at_account(settings, &mut problems));
    let (account, stores) = tokio::join!(account, store::probe(&keeping, TIME_LIMIT));
    let late = |_| Err(Failure::transient(Code::CheckTimeout, Code::CheckTimeout.cause()));
    let account = account.unwrap_or_else(late);
    match account {
        Ok(message) if problems.is_empty() && stores.is_empty() => Ok(message),
        account => Err(problems.iter().chain(&account.err()).chain(&stores).map(Failure::told).collect()),
    }
}

/// Answers what is there. What is wrong is put with the problems, but for that after which nothing else can be found out.
async fn look_at_account(settings: &Settings, problems: &mut Vec<Failure>) -> Result<String, Failure> {
    let client = client(settings, PATIENCE.min(settings.limits.give_up_after))?;
    // Without an address or a key that works it can not.
    ping(&client).await?;
    let found = data_source(&client, &settings.data_source).await.unwrap_or_else(|failure| {
        problems.push(failure);
        String::new()
    });
    problems.extend(may_write(&client).await.err());
    let connected = format!("Connected to ChartMogul; records are written to the data source \"{found}\".");
    Ok(if settings.deletions.by_absence() { format!("{connected} {MIRRORS}") } else { connected })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_hides_nothing_else() {
        // Takes connections, and nothing more.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let config = json!({"api_key": "a-key-that-nobody-has", "data_source_uuid": "ds_00000000-0000-4000-8000-000000000000",
            "base_url": "http://127.0.0.1:1/v1", "receipts": {"storage_type": "Webhook", "url": url}});
        let problems = look(&Settings::load(&config.to_string(), None).unwrap()).await.unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("HOST_UNREACHABLE: "), "{problems:?}");
        assert!(problems[1].starts_with("STORE_UNAVAILABLE: Receipts could not be kept in the webhook: "), "{problems:?}");
    }
}
