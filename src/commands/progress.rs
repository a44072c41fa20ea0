//! How far a sync is, as the commands for people show it: a bar on a terminal, and nothing elsewhere.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::Client;
use crate::engine::report::Report;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Runs a sync of so many records to its end, with the bar beside it. The bar is the caller's to take away.
pub(super) async fn shown<T>(
    what: &str,
    bar: &ProgressBar,
    records: u64,
    client: &Client,
    report: &RefCell<Report>,
    run: impl Future<Output = T>,
) -> anyhow::Result<T> {
    let template = format!("{what:<10}{{bar:40}} {{pos}}/{{len}} records, {{msg}}");
    bar.set_style(ProgressStyle::with_template(&template).context("the bar's template")?);
    // The length is told last: with it the bar is shown.
    bar.set_length(records);
    let progress = async {
        loop {
            tokio::time::sleep(TICK).await;
            bar.set_position(report.borrow().total().settled());
            bar.set_message(format!("{} requests", client.stats().attempts));
        }
    };
    Ok(tokio::select! {
        ended = run => ended,
        () = progress => unreachable!("the bar never ends"),
    })
}
