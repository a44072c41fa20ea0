//! Groups of plans. Vendor pages: "Create a Plan Group", "Update a Plan Group", "Delete a Plan Group", "List Plan Groups", "List
//! Plans in a Plan Group".
//!
//! Quirks. A group belongs to the account, not to a data source, and has no external id: it is found by its name. Whether
//! the API refuses a second one of a name is unknown. A create is answered with a 200 (recorded). Entries show how many plans
//! a group has and not which: those are read apart, before a change, since `plans` replaces them all (recorded).

use super::common::{self, own_path};
use super::json::JsonObject;
use super::request::{Look, Method, Request, Scope};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{By, Kin, MatchBy, Mode, Need, Plan, Record, Reference, Role, Target};

/// The object.
#[derive(Debug)]
pub struct PlanGroups;

/// The fields that name the members: by UUID, and by the user's keys.
const MEMBERS: (&str, &str) = ("plans", "plan_external_ids");

impl Object for PlanGroups {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["name"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[&["name"], &["plan_external_ids", "plans"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert | Mode::Delete => "1 look-up per sync, then 1",
            Mode::Upsert => {
                "1 look-up per sync, then 1; for a group that exists 1 more for its plans, and 0 when nothing differs"
            }
            Mode::Update => "1 look-up per sync and 1 for its plans, then 1; 0 when nothing differs",
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        match fields {
            ["name"] => Some(MatchBy::ExternalId),
            ["uuid"] => Some(MatchBy::Uuid),
            _ => None,
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        let named = record.value(MEMBERS.0).and_then(|list| serde_json::from_str::<Vec<Box<str>>>(list).ok()).unwrap_or_default();
        let mention = |by, field| Reference { kin: Kin::Plan, by, role: Role::Mention, need: Need::Uuid, field };
        let by_uuid = named.into_iter().map(|uuid| mention(By::Uuid(uuid), MEMBERS.0));
        let by_key = record.texts(MEMBERS.1).into_iter().map(|key| mention(By::Key(key), MEMBERS.1));
        let plans: Vec<Reference> = by_uuid.chain(by_key).collect();
        if how.mode == Mode::Insert && plans.is_empty() && !record.is_faulty(MEMBERS.0) {
            record.require(MEMBERS.1, NO_PLANS);
        }
        let name = record.text("name").map(Target::Name);
        let target = common::by_uuid_or(&mut record, how, name, "name", "a plan group is found by its name");
        common::finish(record, how.mode, target, plans)
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, _at: &At<'_>) -> Option<Look> {
        Some(Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up).scope(Scope::all(RESOURCE.name)))
    }

    fn look_at_members(&self, plan: &Plan, uuid: &str) -> Option<Look> {
        let path = format!("{}/plans", own_path(&RESOURCE, uuid));
        (!plan.refs.is_empty()).then(|| Look::new(path, "plans", "look up plans of a group"))
    }

    fn members_written(&self, plan: &Plan, at: &At<'_>) -> Option<Box<[Box<str>]>> {
        // Where some fields are never overwritten, those that it had may have stayed.
        (!plan.refs.is_empty() && at.how.only_if_empty.is_empty()).then(|| members(at).into())
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        let mut missing = common::missing(&RESOURCE, &plan.body);
        if plan.refs.is_empty() {
            missing.push(Fault::field(Code::FieldMissing, MEMBERS.1, NO_PLANS));
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let body = body(plan, &members(at), true).finish();
        Ok(Some(Request::new(Method::Post, RESOURCE.path, Some(body), RESOURCE.calls.create).once()))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let known = existing.known.as_deref();
        let wanted = members(at);
        let held = known.and_then(|known| known.members());
        let same = |held: &[Box<str>]| held.len() == wanted.len() && wanted.iter().all(|uuid| held.contains(uuid));
        let chosen = [MEMBERS.0, MEMBERS.1].iter().filter_map(|name| RESOURCE.slot(name));
        let kept_back =
            chosen.into_iter().any(|at_slot| at.how.only_if_empty.contains(&at_slot)) && held.is_none_or(|held| !held.is_empty());
        let replaces = !plan.refs.is_empty() && !held.is_some_and(same) && !kept_back;
        let renames = name(plan)
            .is_some_and(|(slot, text)| RESOURCE.field("name").and_then(|field| known?.holds(slot, field, text)) != Some(true));
        if !replaces && !renames {
            return Ok(Vec::new());
        }
        let body = body(plan, if replaces { &wanted } else { &[] }, renames).finish();
        Ok(vec![Request::new(Method::Patch, own_path(&RESOURCE, &existing.uuid), Some(body), RESOURCE.calls.update)])
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn apart(&self) -> &'static [&'static str] {
        &["uuid"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"name":"Yearly plans","plan_external_ids":["gold-yearly","silver-yearly"]}"#,
            r#"{"name":"All gold","plans":["pl_23740208-2c7e-11ee-9ea2-ffd2435982bb"]}"#,
        ]
    }
}

/// Recorded 2023: "Plan ids can't be blank".
const NO_PLANS: &str = "a plan group is made of plans";

/// The UUIDs of the members, each once.
fn members(at: &At<'_>) -> Vec<Box<str>> {
    let mut members: Vec<Box<str>> = Vec::with_capacity(at.refs.len());
    for member in at.refs {
        if !members.contains(&member.uuid) {
            members.push(member.uuid.clone());
        }
    }
    members
}

fn name(plan: &Plan) -> Option<(Slot, &str)> {
    let slot = Slot { field: RESOURCE.slot("name")?, inner: None };
    plan.body.get(slot).filter(|name| *name != "null").map(|name| (slot, name))
}

fn body(plan: &Plan, members: &[Box<str>], named: bool) -> JsonObject {
    let mut body = JsonObject::new();
    if let Some((_, name)) = name(plan).filter(|_| named) {
        body.raw("name", name);
    }
    if !members.is_empty() {
        body.raw("plans", &serde_json::json!(members).to_string());
    }
    body
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "plan_groups",
    summary: "Groups of plans, by name. They belong to the account as a whole.",
    path: "/plan_groups",
    id: "uuid",
    uuid_prefix: "plg_",
    list_root: "plan_groups",
    filters: &[],
    calls: Calls {
        create: "create plan group",
        read: "read plan group",
        look_up: "list plan groups",
        list: "",
        update: "update plan group",
        delete: "delete plan group",
    },
    statuses: Statuses { created: 200, updated: 200, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("plg_"),
            "ChartMogul's own UUID of the group; no key is looked up for it.",
            "\"plg_5f1af63a-ec94-4688-9127-5eb816d05a8f\"",
        ),
        field(
            "plan_external_ids",
            Kind::Many(&Kind::ExternalId),
            "Your keys of all plans of the group; plans that it has beside them leave it.",
            "[\"gold-monthly\",\"gold-yearly\"]",
        ),
    ],
    fields: &[
        field("name", Kind::Text, "Name.", "\"Gold\"").required(),
        field(
            "plans",
            Kind::Many(&Kind::Uuid("pl_")),
            "ChartMogul's own UUIDs of plans of the group, instead of your keys or beside them.",
            "[\"pl_23740208-2c7e-11ee-9ea2-ffd2435982bb\"]",
        ),
    ],
    attributes: None,
    pages: &["Create a Plan Group", "Update a Plan Group", "Delete a Plan Group", "List Plan Groups"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    use super::super::Resolved;
    use crate::objects::tests::{SOURCE, how, plan, plan_with};
    use crate::plan::Nulls;
    use serde_json::json;

    const GROUP: &str = "plg_5f1af63a-ec94-4688-9127-5eb816d05a8f";

    /// What changes a group that is called `G` and has these members, when the record's plans are those.
    fn change(row: &serde_json::Value, members: Option<&[&str]>, wanted: &[&str]) -> Vec<String> {
        let plan = plan(&PlanGroups, row).unwrap();
        let mut known = PlanGroups.know(&json!({"uuid": GROUP, "name": "G", "plans_count": 2}), SOURCE).unwrap();
        known.set_members(members.map(|members| members.iter().map(|uuid| (*uuid).into()).collect()));
        let refs: Vec<Resolved> = wanted.iter().map(|uuid| Resolved { uuid: (*uuid).into(), key: None, known: None }).collect();
        let how = how(Mode::Upsert);
        let at = At { data_source: SOURCE, refs: &refs, how: &how };
        let existing = Existing { uuid: GROUP.into(), known: Some(Rc::new(known)) };
        PlanGroups.change(&plan, &at, &existing).unwrap().into_iter().filter_map(|request| request.body).collect()
    }

    #[test]
    fn members_are_replaced_only_where_they_differ_whatever_their_order() {
        let row = json!({"name": "G", "plan_external_ids": ["a", "b"]});
        assert!(change(&row, Some(&["2", "1"]), &["1", "2", "1"]).is_empty());
        assert_eq!(change(&row, Some(&["1"]), &["1", "2"]), [r#"{"plans":["1","2"]}"#]);
        assert_eq!(change(&row, Some(&["1", "2", "3"]), &["1", "2"]), [r#"{"plans":["1","2"]}"#]);
        assert_eq!(change(&row, None, &["1", "2"]), [r#"{"plans":["1","2"]}"#]);
        assert!(change(&json!({"name": "G", "plans": []}), Some(&["1"]), &[]).is_empty());
    }

    #[test]
    fn members_are_looked_at_only_where_the_record_names_some() {
        let look = |row| PlanGroups.look_at_members(&plan(&PlanGroups, &row).unwrap(), GROUP).map(|look| look.path);
        assert_eq!(look(json!({"name": "G"})), None);
        assert_eq!(look(json!({"name": "G", "plan_external_ids": "a"})), Some(format!("/plan_groups/{GROUP}/plans")));
    }

    #[test]
    fn a_group_named_by_its_uuid_can_be_renamed_and_an_insert_needs_plans() {
        assert_eq!(change(&json!({"uuid": GROUP, "name": "H"}), None, &[]), [r#"{"name":"H"}"#]);
        let faults = plan_with(&PlanGroups, Mode::Insert, Nulls::Ignore, &json!({"name": "G"})).unwrap_err();
        assert_eq!(faults[0].field.as_deref(), Some("plan_external_ids"));
        let wanted = plan(&PlanGroups, &json!({"name": "G"})).unwrap();
        let how = how(Mode::Upsert);
        let faults = PlanGroups.create(&wanted, &At { data_source: SOURCE, refs: &[], how: &how }).unwrap_err();
        assert_eq!(faults[0].field.as_deref(), Some("plan_external_ids"));
    }
}
