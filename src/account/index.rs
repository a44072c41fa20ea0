//! What was read and what was written, by scope. Grows with the distinct keys of a sync, never with its records.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};

use super::few::FewOf;
use crate::objects::request::Scope;
use crate::objects::resource::Kind;
use crate::plan::{Known, Part, fingerprint};

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// All entries of a scope. A scope that is not here is unknown; an empty one is known to have none.
    shelves: FewOf<Rc<Known>>,
    /// Entries that are known to stand in a scope of which not all are known.
    some: FewOf<Rc<Known>>,
    /// Where an entry stands, by its identity ([`Scope::entry`]).
    places: FewOf<Scope>,
    /// In which scope an entry stands that is part of another, by its own key.
    homes: HashMap<Scope, Scope>,
    /// Things that this run made with nothing that belongs to them.
    made_empty: HashSet<Box<str>>,
    /// UUIDs that this run saw end in another thing, and that thing's.
    absorbed: HashMap<Box<str>, Box<str>>,
    /// Scopes of one key whose thing this run made without an answer that showed it.
    unseen: HashSet<Scope>,
    /// Scopes of which a listing does not tell all.
    unlisted: HashSet<Scope>,
    /// The same as fingerprints, as which entries name things.
    renamed: HashMap<u64, u64>,
    /// What names things that this run deleted, as fingerprints, and the number of that deletion. What stood in a scope before and
    /// names them went with them; it is left where it is, and told by this ([`Self::is_stale`]).
    deleted: HashMap<u64, u32>,
    /// How many deletions there were.
    deletions: u32,
    /// Scopes whose entries name something in `deleted`, and how many deletions there had been when they last were right.
    since: HashMap<Scope, u32>,
}

impl Index {
    /// All entries of a scope; `None` when they are not known.
    pub(super) fn shelf(&self, scope: Scope) -> Option<Vec<Rc<Known>>> {
        self.standing(scope).map(|shelf| shelf.iter().map(|entry| self.naming(entry)).collect())
    }

    /// Whether all entries of a scope are known.
    pub(super) fn has(&self, scope: Scope) -> bool {
        self.standing(scope).is_some()
    }

    fn standing(&self, scope: Scope) -> Option<&[Rc<Known>]> {
        self.shelves.get(scope).filter(|shelf| !self.is_stale(scope, shelf))
    }

    /// Whether what stands in a scope names something that was deleted since.
    fn is_stale(&self, scope: Scope, shelf: &[Rc<Known>]) -> bool {
        let since = self.since.get(&scope).copied().unwrap_or_default();
        since < self.deletions && {
            let went = |print| self.deleted.get(&print).is_some_and(|deletion| *deletion > since);
            shelf.iter().any(|entry| self.naming(entry).names_any(went))
        }
    }

    /// Takes away what is stale. Before any change of a scope.
    fn clear(&mut self, scope: Scope) {
        if self.shelves.get(scope).is_some_and(|shelf| self.is_stale(scope, shelf)) {
            self.lose(scope);
        }
    }

    /// What stood here is known no longer, and what a listing told of it is older.
    fn lose(&mut self, scope: Scope) {
        self.shelves.remove(scope);
        self.some.remove(scope);
        self.since.remove(&scope);
        self.unlisted.insert(scope);
    }

    /// What stands in a scope is right as of now. After any change of it.
    fn date(&mut self, scope: Scope) {
        let Some(shelf) = self.shelves.get(scope) else { return };
        if self.deletions > 0 && shelf.iter().any(|entry| self.naming(entry).names_any(|print| self.deleted.contains_key(&print)))
        {
            self.since.insert(scope, self.deletions);
        }
    }

    /// The entry, naming what it belongs to as that is called now.
    pub(super) fn naming(&self, entry: &Rc<Known>) -> Rc<Known> {
        let now = |at: u64| {
            let mut now = *self.renamed.get(&at)?;
            for _ in 0..self.renamed.len() {
                match self.renamed.get(&now) {
                    Some(next) => now = *next,
                    None => break,
                }
            }
            Some(now)
        };
        match self.renamed.is_empty() {
            true => Rc::clone(entry),
            false => entry.naming(now).map_or_else(|| Rc::clone(entry), Rc::new),
        }
    }

    /// Whether an entry is known, by its identity ([`Scope::entry`]).
    pub(super) fn stands(&self, entry: Scope) -> bool {
        self.places.contains(entry)
    }

    /// The thing of this scope is there, and nothing else is known of it.
    pub(super) fn unseen(&mut self, scope: Scope) {
        self.clear(scope);
        self.shelves.remove(scope);
        self.unseen.insert(scope);
    }

    /// See [`Self::unseen`].
    pub(super) fn is_unseen(&self, scope: Scope) -> bool {
        self.unseen.contains(&scope)
    }

    /// Whether a whole listing tells all of this scope.
    pub(super) fn is_listed(&self, scope: Scope) -> bool {
        !self.unlisted.contains(&scope) && self.shelves.get(scope).is_none_or(|shelf| !self.is_stale(scope, shelf))
    }

    /// The entry of this identity, wherever it stands.
    pub(super) fn entry(&self, uuid: &str) -> Option<Rc<Known>> {
        let mut shelves = self.stands_in(uuid).filter_map(|scope| self.standing(scope));
        shelves.find_map(|shelf| shelf.iter().find(|entry| entry.uuid.as_ref() == uuid)).map(|entry| self.naming(entry))
    }

    /// Takes in all entries of a scope as they were listed. A list may lag behind our own writes: with `keep`, what it lacks
    /// and was known is not gone; that it is shows when it is used.
    pub(super) fn listed(&mut self, scope: Scope, entries: &[Rc<Known>], keep: bool) -> Vec<Rc<Known>> {
        self.unseen.remove(&scope);
        self.clear(scope);
        let before = self.shelves.remove(scope).into_iter().chain(self.some.remove(scope)).flatten();
        let mut all = entries.to_vec();
        if keep {
            all.extend(before.filter(|entry| entries.iter().all(|listed| listed.uuid != entry.uuid)));
        }
        for entry in &all {
            self.note(scope, &entry.uuid);
            self.note_parts(scope, entry.parts());
        }
        self.shelves.insert(scope, all.clone());
        self.date(scope);
        all
    }

    /// The scope in which the part of this key stands, as far as that is known.
    pub(super) fn home_of(&self, object: &'static str, key: &str) -> Option<Scope> {
        self.homes.get(&Scope::key(object, key)).copied()
    }

    /// Lays one entry over what is known of its scope. With `complete`, the scope has room for this one only.
    pub(super) fn saw(&mut self, scope: Scope, entry: &Rc<Known>, complete: bool) {
        self.unseen.remove(&scope);
        self.clear(scope);
        match self.shelves.get_mut(scope) {
            Some(shelf) => match shelf.iter_mut().find(|other| other.uuid == entry.uuid) {
                Some(other) => *other = Rc::clone(entry),
                None => self.shelves.change(scope, |shelf| shelf.push(Rc::clone(entry))),
            },
            None if complete => self.shelves.insert(scope, vec![Rc::clone(entry)]),
            None => return,
        }
        self.date(scope);
        self.note(scope, &entry.uuid);
        self.note_parts(scope, entry.parts());
    }

    /// Lays an entry over what is known of it, wherever it stands.
    pub(super) fn replace(&mut self, entry: &Rc<Known>) {
        self.everywhere(&entry.uuid, |other| *other = Rc::clone(entry));
    }

    /// Lays an entry that stands within the one entry of a scope over what is known of that.
    pub(super) fn saw_part(&mut self, scope: Scope, object: &'static str, part: &Known) {
        self.clear(scope);
        let Some([whole]) = self.shelves.get_mut(scope) else { return };
        let whole = Rc::make_mut(whole);
        let mut parts = whole.parts().to_vec();
        let new = Part { object, known: part.clone() };
        match parts.iter_mut().find(|other| other.known.uuid == part.uuid) {
            Some(other) => *other = new.clone(),
            None => parts.push(new.clone()),
        }
        whole.set_parts(parts);
        self.date(scope);
        self.note_parts(scope, &[new]);
    }

    /// An entry within the one entry of a scope is gone.
    pub(super) fn part_gone(&mut self, scope: Scope, uuid: &str) {
        self.clear(scope);
        for whole in self.shelves.get_mut(scope).into_iter().flatten() {
            let left = whole.parts().iter().filter(|part| part.known.uuid.as_ref() != uuid).cloned().collect();
            Rc::make_mut(whole).set_parts(left);
        }
    }

    /// Changes what is known of an entry, wherever it stands.
    pub(super) fn amend(&mut self, uuid: &str, change: impl Fn(&mut Known)) {
        self.everywhere(uuid, |entry| change(Rc::make_mut(entry)));
    }

    /// What was known of a scope is no longer all of it, or proved wrong.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.clear(scope);
        self.shelves.remove(scope);
    }

    /// An entry is gone, wherever it stood.
    pub(super) fn gone(&mut self, uuid: &str) {
        for scope in self.leaves(uuid) {
            self.clear(scope);
            self.shelves.change(scope, |shelf| shelf.retain(|entry| entry.uuid.as_ref() != uuid));
            self.some.change(scope, |some| some.retain(|entry| entry.uuid.as_ref() != uuid));
        }
        self.made_empty.remove(uuid);
    }

    /// A thing was deleted, and what belonged to it went with it: what names it by one of these is no longer known, nor what stands
    /// in these scopes of its own. What a listing told of them is older.
    pub(super) fn bereaved(&mut self, names: &[&str], own: impl IntoIterator<Item = Scope>) {
        self.deletions += 1;
        let prints = names.iter().map(|name| fingerprint(&Kind::Uuid(""), &(*name).into()));
        self.deleted.extend(prints.map(|print| (print, self.deletions)));
        for scope in own {
            self.lose(scope);
        }
    }

    /// A thing became part of another: its keys lead there, and what belonged to it belongs there. `children` are the scopes
    /// of what may belong to a thing.
    pub(super) fn absorbed(&mut self, from: &str, into: &str, children: impl Fn(&str) -> Vec<Scope>) {
        let gone = self.entry(from);
        let whole = match (self.entry(into), gone.as_deref()) {
            (Some(kept), gone) => Some(kept.joined_by(gone)),
            (None, gone) => gone.map(|gone| gone.leading_to(into)),
        };
        if let Some(whole) = whole.map(Rc::new) {
            for scope in self.leaves(from) {
                self.clear(scope);
                self.shelves.change(scope, |shelf| {
                    shelf.retain(|entry| entry.uuid.as_ref() != from && entry.uuid.as_ref() != into);
                    shelf.push(Rc::clone(&whole));
                });
                self.date(scope);
                self.note(scope, into);
            }
            self.replace(&whole);
        }
        let (gone_had_none, had_none) = (self.made_empty.remove(from), self.made_empty.contains(into));
        for (old, new) in children(from).into_iter().zip(children(into)) {
            // What was listed stands under the old name.
            self.unlisted.insert(new);
            self.clear(old);
            self.clear(new);
            let (moved, there) = (self.shelves.remove(old), self.shelves.remove(new));
            let are_all = match (&moved, &there) {
                (Some(_), Some(_)) => true,
                (None, Some(_)) => gone_had_none,
                (Some(_), None) => had_none,
                (None, None) => false,
            };
            let some = [self.some.remove(old), self.some.remove(new)];
            let all: Vec<_> = [there, moved].into_iter().chain(some).flatten().flatten().collect();
            for entry in &all {
                self.note(new, &entry.uuid);
            }
            match are_all {
                true => self.shelves.insert(new, all),
                // A list may lag behind what this run made.
                false if !all.is_empty() => self.some.insert(new, all),
                false => {}
            }
            self.date(new);
        }
        if !gone_had_none {
            self.made_empty.remove(into);
        }
        let [old, new] = [from, into].map(|uuid| fingerprint(&Kind::Uuid(""), &uuid.into()));
        self.renamed.insert(old, new);
        self.absorbed.insert(from.into(), into.into());
    }

    /// The UUID under which a thing stands now, where this run saw it become part of another.
    pub(super) fn now<'a>(&'a self, uuid: &'a str) -> &'a str {
        let mut now = uuid;
        // Bounded, should things have been taken apart and joined the other way round.
        for _ in 0..self.absorbed.len() {
            match self.absorbed.get(now) {
                Some(next) => now = next,
                None => break,
            }
        }
        now
    }

    pub(super) fn names_moved(&self) -> bool {
        !self.absorbed.is_empty()
    }

    /// Whether this run saw another thing become part of this one.
    pub(super) fn has_absorbed(&self, uuid: &str) -> bool {
        self.absorbed.values().any(|into| into.as_ref() == uuid)
    }

    pub(super) fn made_empty(&mut self, uuid: &str) {
        self.made_empty.insert(uuid.into());
    }

    pub(super) fn is_empty(&self, uuid: &str) -> bool {
        self.made_empty.contains(uuid)
    }

    /// The scopes in which an entry stands.
    fn stands_in(&self, uuid: &str) -> impl Iterator<Item = Scope> {
        self.places.get(Scope::entry(uuid)).unwrap_or_default().iter().copied()
    }

    /// The scopes in which an entry stood.
    fn leaves(&mut self, uuid: &str) -> Vec<Scope> {
        self.places.remove(Scope::entry(uuid)).unwrap_or_default()
    }

    /// Changes what is known of an entry, in every scope where it stands.
    fn everywhere(&mut self, uuid: &str, change: impl Fn(&mut Rc<Known>)) {
        for scope in self.stands_in(uuid).collect::<Vec<_>>() {
            self.clear(scope);
            let shelf = self.shelves.get_mut(scope).unwrap_or_default();
            shelf.iter_mut().filter(|entry| entry.uuid.as_ref() == uuid).for_each(&change);
            self.date(scope);
        }
    }

    fn note_parts(&mut self, scope: Scope, parts: &[Part]) {
        for part in parts {
            self.homes.extend(part.known.keys().map(|key| (Scope::key(part.object, key), scope)));
        }
    }

    fn note(&mut self, scope: Scope, uuid: &str) {
        let entry = Scope::entry(uuid);
        match self.places.get(entry) {
            Some(places) if places.contains(&scope) => {}
            Some(_) => self.places.change(entry, |places| places.push(scope)),
            None => self.places.insert(entry, vec![scope]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::contacts::RESOURCE as CONTACTS;
    use crate::objects::customers::RESOURCE as CUSTOMERS;
    use crate::objects::invoices::RESOURCE as INVOICES;
    use serde_json::json;

    fn key(key: &str) -> Scope {
        Scope::key(CUSTOMERS.name, key)
    }

    fn children(parent: &str) -> Vec<Scope> {
        vec![Scope::of(CONTACTS.name, parent)]
    }

    fn customer(index: &mut Index, uuid: &str, external_id: &str) {
        let entry = json!({"uuid": uuid, "external_id": external_id, "name": uuid, "attributes": {"custom": {"a": 1}}});
        index.saw(key(external_id), &Rc::new(Known::read(&CUSTOMERS, &entry).unwrap()), true);
    }

    fn contacts(index: &mut Index, parent: &str, uuids: &[&str]) {
        let known = |uuid: &&str| Rc::new(Known::read(&CONTACTS, &json!({"uuid": uuid})).unwrap());
        index.listed(children(parent)[0], &uuids.iter().map(known).collect::<Vec<_>>(), false);
    }

    fn uuids(index: &Index, scope: Scope) -> Option<Vec<String>> {
        Some(index.shelf(scope)?.iter().map(|entry| entry.uuid.to_string()).collect())
    }

    #[test]
    fn what_became_part_of_another_thing_is_found_there_and_so_are_its_children() {
        let mut index = Index::default();
        customer(&mut index, "from", "f");
        customer(&mut index, "into", "i");
        contacts(&mut index, "from", &["k1"]);
        contacts(&mut index, "into", &["k2"]);
        index.absorbed("from", "into", children);
        for key in [key("f"), key("i")] {
            let [entry] = &index.shelf(key).unwrap()[..] else { panic!() };
            assert_eq!((entry.uuid.as_ref(), entry.pairs), ("into", 2));
            assert_eq!(entry.keys().collect::<Vec<_>>(), ["i", "f"]);
            // The survivor's own name stays; what came of the attributes is not known.
            let name = crate::mapping::Slot { field: CUSTOMERS.slot("name").unwrap(), inner: None };
            assert_eq!(entry.holds(name, CUSTOMERS.field("name").unwrap(), "\"into\""), Some(true));
            assert_eq!(entry.members(), None);
        }
        assert_eq!(uuids(&index, children("into")[0]).unwrap(), ["k2", "k1"]);
        assert_eq!(uuids(&index, children("from")[0]), None);
        assert_eq!((index.now("from"), index.now("other")), ("into", "other"));
        assert!(index.has_absorbed("into") && !index.has_absorbed("from"));
        customer(&mut index, "last", "l");
        index.absorbed("into", "last", children);
        assert_eq!(index.now("from"), "last");
        assert_eq!(uuids(&index, key("f")).unwrap(), ["last"]);
    }

    #[test]
    fn children_are_known_only_where_those_of_both_were() {
        let absorbed = |prepare: &dyn Fn(&mut Index)| {
            let mut index = Index::default();
            prepare(&mut index);
            index.absorbed("from", "into", children);
            (uuids(&index, children("into")[0]), index.is_empty("into"))
        };
        assert_eq!(absorbed(&|index| contacts(index, "into", &["k"])), (None, false));
        assert_eq!(absorbed(&|index| contacts(index, "from", &["k"])), (None, false));
        assert_eq!(absorbed(&|index| index.made_empty("into")), (None, false));
        let all = Some(vec!["k".to_owned()]);
        let one_made = |index: &mut Index, made, listed| {
            index.made_empty(made);
            contacts(index, listed, &["k"]);
        };
        assert_eq!(absorbed(&|index| one_made(index, "from", "into")), (all.clone(), false));
        assert_eq!(absorbed(&|index| one_made(index, "into", "from")), (all, false));
        let both: &dyn Fn(&mut Index) = &|index| {
            index.made_empty("from");
            index.made_empty("into");
        };
        assert_eq!(absorbed(both), (None, true));
    }

    #[test]
    fn what_this_run_made_is_not_forgotten_where_the_other_children_are_unknown() {
        let mut index = Index::default();
        contacts(&mut index, "from", &["ours"]);
        index.absorbed("from", "into", children);
        let scope = children("into")[0];
        assert_eq!(uuids(&index, scope), None);
        // The list lags.
        index.listed(scope, &[], true);
        assert_eq!(uuids(&index, scope).unwrap(), ["ours"]);
    }

    #[test]
    fn a_survivor_that_was_not_looked_up_goes_by_the_keys_that_lead_to_it() {
        let mut index = Index::default();
        customer(&mut index, "from", "f");
        index.absorbed("from", "into", children);
        let [entry] = &index.shelf(key("f")).unwrap()[..] else { panic!() };
        assert_eq!(entry.uuid.as_ref(), "into");
        assert_eq!(entry.is_set(CUSTOMERS.slot("name").unwrap()), None);
    }

    fn invoice(index: &mut Index, uuid: &str, customer: &str, external_id: &str) -> Scope {
        let entry = json!({"uuid": uuid, "customer_uuid": customer, "customer_external_id": "k", "external_id": external_id});
        let home = Scope::key(INVOICES.name, external_id);
        index.saw(home, &Rc::new(Known::read(&INVOICES, &entry).unwrap()), true);
        home
    }

    #[test]
    fn what_a_deleted_thing_took_with_it_is_unknown_until_it_is_seen_anew() {
        let known =
            |index: &Index, scope: Scope| (uuids(index, scope).map(|all| all.concat()), index.has(scope), index.is_listed(scope));
        let at_first = |entry: &str| (Some(entry.to_owned()), true, true);
        let (unknown, anew) = ((None, false, false), |entry: &str| (Some(entry.to_owned()), true, false));
        let mut index = Index::default();
        let [a, b, other] = [("inv_a", "u1", "a"), ("inv_b", "u1", "b"), ("inv_o", "u9", "o")]
            .map(|(uuid, customer, id)| invoice(&mut index, uuid, customer, id));
        contacts(&mut index, "u1", &["con"]);
        index.bereaved(&["u1"], children("u1"));
        for scope in [a, b, children("u1")[0]] {
            assert_eq!(known(&index, scope), unknown);
        }
        assert_eq!((index.entry("inv_a").is_none(), index.entry("inv_o").is_some()), (true, true));
        assert_eq!(known(&index, other), at_first("inv_o"));

        // One is made anew, of the other nothing can be changed.
        invoice(&mut index, "inv_a2", "u2", "a");
        index.amend("inv_b", |_| panic!("it is gone"));
        index.forget(b);
        assert_eq!((known(&index, a), known(&index, b)), (anew("inv_a2"), unknown.clone()));

        // By its key both customers were called the same: what was seen after the first went stays until the second goes.
        index.bereaved(&["k", "u2"], []);
        assert_eq!((known(&index, a), known(&index, other)), (unknown.clone(), unknown.clone()));
        invoice(&mut index, "inv_a3", "u3", "a");
        assert_eq!((known(&index, a), known(&index, other)), (anew("inv_a3"), unknown.clone()));
        index.bereaved(&["u8"], []);
        assert_eq!(known(&index, a), anew("inv_a3"));
        index.bereaved(&["u3"], []);
        assert_eq!(known(&index, a), unknown);
    }

    #[test]
    fn what_went_with_the_thing_that_it_had_become_part_of_is_unknown() {
        let mut index = Index::default();
        let home = invoice(&mut index, "inv", "from", "i");
        index.absorbed("from", "into", children);
        index.bereaved(&["into"], []);
        assert_eq!((uuids(&index, home), index.is_listed(home)), (None, false));
    }

    #[test]
    fn what_names_a_thing_that_became_part_of_another_names_that_one() {
        let mut index = Index::default();
        let invoice = json!({"uuid": "inv", "customer_uuid": "from", "external_id": "from"});
        let home = Scope::key(INVOICES.name, "i");
        index.saw(home, &Rc::new(Known::read(&INVOICES, &invoice).unwrap()), true);
        let names = |index: &Index, uuid: &str| {
            let slot = crate::mapping::Slot { field: INVOICES.slot("customer_uuid").unwrap(), inner: None };
            let text = json!(uuid).to_string();
            index.shelf(home).unwrap()[0].holds(slot, INVOICES.field("customer_uuid").unwrap(), &text)
        };
        index.absorbed("from", "into", children);
        assert_eq!((names(&index, "into"), names(&index, "from")), (Some(true), Some(false)));
        index.absorbed("into", "last", children);
        assert_eq!(names(&index, "last"), Some(true));
    }
}
