//! Plan groups. Documented on the pages "Create a Plan Group", "Update a Plan Group" and "List Plan Groups". They belong to
//! the whole account and have no external id.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::lists::{self, Walk};
use super::refusals::sentences;
use super::shown;
use crate::sandbox::answers::{Outcome, Reply, done, not_found, ok};
use crate::sandbox::routes::Context;

/// Recorded: what an empty body is refused with.
const NO_NAME: (&str, &str, &str) = ("name", "blank", "Name can't be blank");
const NO_PLANS: (&str, &str, &str) = ("plan_ids", "blank", "Plan ids can't be blank");
/// By analogy with these; what an unknown plan is refused with is unknown.
const BAD_NAME: (&str, &str, &str) = ("name", "invalid", "Name is invalid");
const BAD_PLANS: (&str, &str, &str) = ("plan_ids", "invalid", "Plan ids is invalid");

type Fault = (&'static str, &'static str, &'static str);

/// Recorded: newest first.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let groups = &context.state.billing.groups;
    lists::answer(context, groups, ("plan_groups", &Walk::All), Map::new(), |_| true, |place| shown::group(context.state, place))
}

pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    ok(200, shown::group(context.state, find(context, uuid)?))
}

/// Recorded: as in the list of plans.
pub(super) fn plans(context: &Context<'_>, uuid: &str) -> Outcome {
    let billing = &context.state.billing;
    let group = billing.groups.get(find(context, uuid)?);
    let walk = Walk::Places(group.map(|group| group.plans.clone()).unwrap_or_default());
    lists::answer(context, &billing.plans, ("plans", &walk), Map::new(), |_| true, |place| shown::plan(context.state, place))
}

/// Recorded: 200. Whether a name can be given twice is unknown; that it can is harder for a client, which has to look first.
pub(super) fn create(context: &mut Context<'_>) -> Outcome {
    let name = read_name(context).unwrap_or(Err(NO_NAME));
    let plans = read_plans(context).unwrap_or(Err(NO_PLANS));
    match (name, plans) {
        (Ok(name), Ok(plans)) => {
            let place = context.state.add_plan_group(name, plans);
            ok(200, shown::group(context.state, place))
        }
        (name, plans) => Err(refused(name.err(), plans.err())),
    }
}

/// Recorded: either or both; the plans take the place of those before.
pub(super) fn update(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    match (read_name(context).transpose(), read_plans(context).transpose()) {
        (Ok(name), Ok(plans)) => {
            context.state.billing.groups.edit(place, |group| {
                group.name = name.unwrap_or_else(|| group.name.clone());
                group.plans = plans.unwrap_or_else(|| group.plans.clone());
            });
            ok(200, shown::group(context.state, place))
        }
        (name, plans) => Err(refused(name.err(), plans.err())),
    }
}

/// Recorded: 204. The plans stay.
pub(super) fn delete(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    context.state.billing.groups.remove(place);
    done(204)
}

fn read_name(context: &Context<'_>) -> Option<Result<String, Fault>> {
    Some(match context.body.get("name") {
        None | Some(Value::Null) => return None,
        Some(Value::String(name)) if name.is_empty() => Err(NO_NAME),
        Some(Value::String(name)) => Ok(name.clone()),
        Some(_) => Err(BAD_NAME),
    })
}

fn read_plans(context: &Context<'_>) -> Option<Result<BTreeSet<u64>, Fault>> {
    let place = |uuid: &Value| context.state.billing.plans.by_uuid(uuid.as_str()?);
    Some(match context.body.get("plans") {
        None | Some(Value::Null) => return None,
        Some(Value::Array(uuids)) if uuids.is_empty() => Err(NO_PLANS),
        Some(Value::Array(uuids)) => uuids.iter().map(place).collect::<Option<_>>().ok_or(BAD_PLANS),
        Some(_) => Err(BAD_PLANS),
    })
}

fn refused(name: Option<Fault>, plans: Option<Fault>) -> Box<Reply> {
    sentences(&name.into_iter().chain(plans).collect::<Vec<_>>())
}

/// The body of this 404 is unknown.
fn find(context: &Context<'_>, uuid: &str) -> Result<u64, Box<Reply>> {
    context.state.billing.groups.by_uuid(uuid).ok_or_else(|| not_found("Plan group"))
}
