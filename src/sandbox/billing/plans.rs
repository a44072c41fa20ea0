//! Plans. Documented on the pages "Create a Plan", "Update a Plan", "Delete a Plan" and "List Plans".

use serde_json::{Map, Value};

use super::entries::Plan;
use super::lists::{self, Walk};
use super::refusals::echoed;
use super::shown;
use super::tables::Entry as _;
use super::values::{Errors, Field, Kind, Said, need};
use crate::sandbox::answers::{Outcome, Reply, done, not_found, ok};
use crate::sandbox::routes::Context;
use crate::sandbox::store::Fields;

/// The message of the official Go client's constants.
const DUPLICATE: &str = "A plan with this identifier already exists in our system.";

pub(super) const PLAN: &[Field] = &[
    Field("name", Kind::Text),
    Field("interval_count", Kind::Whole(1)),
    Field("interval_unit", Kind::Word(&["day", "month", "year"])),
];

const KEYS: &[Field] = &[Field("data_source_uuid", Kind::Key), Field("external_id", Kind::Key)];

/// Recorded: newest first. Documented: three filters.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let query = |name| context.query.get(name);
    let billing = &context.state.billing;
    let of_system = |source: &str, wanted: &str| context.state.source(source).is_some_and(|source| source.system == wanted);
    let fits = |plan: &Plan| {
        query("data_source_uuid").is_none_or(|wanted| plan.source() == wanted)
            && query("external_id").is_none_or(|wanted| plan.external_id() == Some(wanted))
            && query("system").is_none_or(|wanted| of_system(plan.source(), wanted))
    };
    let walk = match (query("data_source_uuid"), query("external_id")) {
        (Some(source), Some(id)) => Walk::Places(billing.plans.first_by_key(source, id).into_iter().collect()),
        (Some(source), None) => Walk::Source(source),
        _ => Walk::All,
    };
    lists::answer(context, &billing.plans, ("plans", &walk), Map::new(), fits, |place| shown::plan(context.state, place))
}

pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    ok(200, shown::plan(context.state, find(context, uuid)?))
}

/// Documented: everything but the external id is needed. Recorded: one that is not sent becomes the UUID without its prefix.
pub(super) fn create(context: &mut Context<'_>) -> Outcome {
    let (said, keys) = (Said::read(PLAN, &context.body), Said::read(KEYS, &context.body));
    let mut errors: Errors = said.errors.into_iter().chain(keys.errors).collect();
    need(&["data_source_uuid"], &keys.set, &mut errors);
    need(&["name", "interval_count", "interval_unit"], &said.set, &mut errors);
    let key = |name| keys.set.get(name).and_then(Value::as_str);
    let source = key("data_source_uuid").unwrap_or_default();
    if key("external_id").is_some_and(|id| context.state.billing.plans.first_by_key(source, id).is_some()) {
        errors.insert("external_id".into(), DUPLICATE.into());
    }
    if !errors.is_empty() {
        return Err(echoed(&context.body, errors));
    }
    if context.state.source(source).is_none() {
        return Err(not_found("Data source"));
    }
    let place = context.state.add_plan(source, key("external_id"), said.set);
    ok(201, shown::plan(context.state, place))
}

/// Recorded: 202, and keys that are sent unchanged do no harm. Documented: name and interval can be changed.
pub(super) fn update(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    let said = Said::read(PLAN, &context.body);
    let Some(plan) = context.state.billing.plans.get(place) else { return Err(not_found("Plan")) };
    let mut fields: Fields = plan.fields.clone();
    said.apply(&mut fields, context.options.quirks.null_clears);
    let mut errors = said.errors;
    need(&["name", "interval_count", "interval_unit"], &fields, &mut errors);
    for (name, ours) in [("external_id", plan.external_id()), ("data_source_uuid", Some(plan.source()))] {
        // Unknown what a change does; ignoring it would hide a client's mistake.
        if context.body.get(name).is_some_and(|sent| !sent.is_null() && sent.as_str() != ours) {
            errors.insert(name.into(), "can't be changed".into());
        }
    }
    if !errors.is_empty() {
        return Err(echoed(&context.body, errors));
    }
    context.state.billing.plans.edit(place, |plan| {
        plan.fields = fields;
        plan.errors.clear();
    });
    ok(202, shown::plan(context.state, place))
}

/// Recorded: 204. What happens to a plan that line items or events use is unknown; here it is refused.
pub(super) fn delete(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    if context.state.billing.plan_in_use(place) {
        let errors = Errors::from_iter([("base".to_owned(), "Plan is in use".into())]);
        return Err(echoed(&Map::new(), errors));
    }
    context.state.billing.remove_plan(place);
    done(204)
}

/// The body of this 404 is unknown.
fn find(context: &Context<'_>, uuid: &str) -> Result<u64, Box<Reply>> {
    context.state.billing.plans.by_uuid(uuid).ok_or_else(|| not_found("Plan"))
}
