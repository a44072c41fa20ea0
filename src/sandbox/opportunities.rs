//! Opportunities. Documented on the pages "Create an Opportunity", "Update an Opportunity" and "List Opportunities".

use serde_json::{Map, Value};

use super::answers::{Outcome, Reply, refused_field};
use super::crm::{self, Field, Object, Stands, Takes, day, is_as_asked, lies_within};
use super::routes::Context;
use super::shelves::Shelved;
use super::store::Fields;

/// A pipeline of opportunities.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// The names of its stages.
    pub stages: Vec<String>,
}

impl Pipeline {
    /// A pipeline of these stages.
    pub fn new(name: &str, stages: &[&str]) -> Pipeline {
        Pipeline { name: name.into(), stages: stages.iter().map(|stage| (*stage).into()).collect() }
    }
}

pub(super) const OPPORTUNITIES: Object = Object {
    what: Shelved::Opportunity,
    title: "Opportunity",
    uuid: "uuid",
    fields: &[
        Field { name: "owner", takes: Takes::User, stands: Stands::Needed },
        Field { name: "pipeline", takes: Takes::Text(255), stands: Stands::Needed },
        Field { name: "pipeline_stage", takes: Takes::Text(255), stands: Stands::Needed },
        Field { name: "estimated_close_date", takes: Takes::Date, stands: Stands::Needed },
        Field { name: "currency", takes: Takes::Currency, stands: Stands::Needed },
        // That an amount may not be negative is unknown.
        Field { name: "amount_in_cents", takes: Takes::Whole(0, i64::MAX), stands: Stands::Needed },
        Field { name: "type", takes: Takes::OneOf(&["recurring", "one-time", "arr"]), stands: Stands::Optional },
        Field { name: "forecast_category", takes: Takes::OneOf(FORECASTS), stands: Stands::Optional },
        Field { name: "win_likelihood", takes: Takes::Whole(0, 100), stands: Stands::Optional },
    ],
    has_custom: true,
    settle,
    dress,
};

const FORECASTS: &[&str] = &["pipeline", "best_case", "committed", "lost", "won"];

/// Documented: filters on customer, owner, pipeline, stage and the day it may close.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let from = day(context, "estimated_close_date_on_or_after")?;
    let to = day(context, "estimated_close_date_on_or_before")?;
    crm::list(context, &OPPORTUNITIES, |entry| {
        ["owner", "pipeline", "pipeline_stage"].iter().all(|name| is_as_asked(context, entry, name))
            && lies_within(entry, "estimated_close_date", from, to)
    })
}

/// Documented: pipelines and stages are known by their names. What an unknown one gets is unknown.
fn settle(context: &Context<'_>, fields: &mut Fields) -> Result<(), Box<Reply>> {
    let named = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let pipeline = context.options.pipelines.iter().find(|pipeline| pipeline.name == named("pipeline"));
    let pipeline = pipeline.ok_or_else(|| refused_field("pipeline", "does not exist"))?;
    if pipeline.stages.iter().any(|stage| stage == named("pipeline_stage")) {
        Ok(())
    } else {
        Err(refused_field("pipeline_stage", "is not a stage of the pipeline"))
    }
}

fn dress(_: &mut Map<String, Value>) {}
