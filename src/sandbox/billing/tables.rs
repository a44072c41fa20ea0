//! One kind of entry with the indexes that find it.
//!
//! Owns that entries and indexes agree. Every look-up is O(1) or O(log n).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::sandbox::store::{SourceKey, remove};

/// What an entry is found by.
pub(super) trait Entry {
    /// Its UUID, or the digits of its number.
    fn uuid(&self) -> &str;
    /// Its data source; empty where it belongs to the whole account.
    fn source(&self) -> &str;
    fn external_id(&self) -> Option<&str>;
    /// The customer, where it has one. By key, not by place: customers are merged and taken apart again, and what was
    /// written under a key goes where the key goes.
    fn owner(&self) -> Option<&SourceKey> {
        None
    }
    fn created(&self) -> i64;
}

/// Entries by their place in lists, ascending.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: BTreeMap<u64, T>,
    uuids: HashMap<String, u64>,
    keys: HashMap<SourceKey, BTreeSet<u64>>,
    sources: HashMap<String, BTreeSet<u64>>,
    owners: HashMap<SourceKey, BTreeSet<u64>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        let (rows, uuids) = (BTreeMap::new(), HashMap::new());
        Table { rows, uuids, keys: HashMap::new(), sources: HashMap::new(), owners: HashMap::new() }
    }
}

impl<T: Entry> Table<T> {
    pub(super) fn get(&self, place: u64) -> Option<&T> {
        self.rows.get(&place)
    }

    pub(super) fn rows(&self) -> &BTreeMap<u64, T> {
        &self.rows
    }

    pub(super) fn by_uuid(&self, uuid: &str) -> Option<u64> {
        self.uuids.get(uuid).copied()
    }

    /// Those of this key; more than one only where the API does not refuse a second.
    pub(super) fn by_key(&self, key: &SourceKey) -> Option<&BTreeSet<u64>> {
        self.keys.get(key)
    }

    /// The first of this key in lists.
    pub(super) fn first_by_key(&self, source: &str, external_id: &str) -> Option<u64> {
        let key = SourceKey { source: source.to_owned(), external_id: external_id.to_owned() };
        self.by_key(&key).and_then(BTreeSet::first).copied()
    }

    pub(super) fn in_source(&self, source: &str) -> Option<&BTreeSet<u64>> {
        self.sources.get(source)
    }

    pub(super) fn of_owner(&self, owner: &SourceKey) -> Option<&BTreeSet<u64>> {
        self.owners.get(owner)
    }

    pub(super) fn insert(&mut self, place: u64, row: T) {
        self.list(place, Names::of(&row));
        self.rows.insert(place, row);
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        let row = self.rows.remove(&place)?;
        self.unlist(place, &Names::of(&row));
        Some(row)
    }

    /// Changes an entry and keeps the indexes true. Most changes leave its names as they are, and so the indexes.
    pub(super) fn edit(&mut self, place: u64, edit: impl FnOnce(&mut T)) {
        let Some(row) = self.rows.get_mut(&place) else { return };
        let before = Names::of(row);
        edit(row);
        let after = Names::of(row);
        if before != after {
            self.unlist(place, &before);
            self.list(place, after);
        }
    }

    fn list(&mut self, place: u64, names: Names) {
        self.uuids.insert(names.uuid, place);
        if let Some(key) = names.key {
            self.keys.entry(key).or_default().insert(place);
        }
        self.sources.entry(names.source).or_default().insert(place);
        if let Some(owner) = names.owner {
            self.owners.entry(owner).or_default().insert(place);
        }
    }

    fn unlist(&mut self, place: u64, names: &Names) {
        self.uuids.remove(&names.uuid);
        if let Some(key) = &names.key {
            remove(&mut self.keys, key, place);
        }
        remove(&mut self.sources, &names.source, place);
        if let Some(owner) = &names.owner {
            remove(&mut self.owners, owner, place);
        }
    }
}

/// What the indexes find an entry by.
#[derive(PartialEq)]
struct Names {
    uuid: String,
    key: Option<SourceKey>,
    source: String,
    owner: Option<SourceKey>,
}

impl Names {
    fn of<T: Entry>(row: &T) -> Names {
        let source = row.source().to_owned();
        let key = row.external_id().map(|id| SourceKey { source: source.clone(), external_id: id.to_owned() });
        Names { uuid: row.uuid().to_owned(), key, source, owner: row.owner().cloned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Row {
        owner: SourceKey,
        id: &'static str,
    }

    impl Entry for Row {
        fn uuid(&self) -> &str {
            self.id
        }
        fn source(&self) -> &str {
            &self.owner.source
        }
        fn external_id(&self) -> Option<&str> {
            Some(self.id)
        }
        fn owner(&self) -> Option<&SourceKey> {
            Some(&self.owner)
        }
        fn created(&self) -> i64 {
            0
        }
    }

    fn owner(external_id: &str) -> SourceKey {
        SourceKey { source: "ds".into(), external_id: external_id.into() }
    }

    #[test]
    fn indexes_follow_what_changes_and_are_empty_once_nothing_is_left() {
        let mut table = Table::default();
        table.insert(1, Row { owner: owner("c"), id: "a" });
        table.insert(2, Row { owner: owner("c"), id: "a" });
        table.edit(2, |row| *row = Row { owner: owner("d"), id: "b" });
        assert_eq!(
            (table.by_uuid("b"), table.first_by_key("ds", "b"), table.first_by_key("ds", "a")),
            (Some(2), Some(2), Some(1))
        );
        assert_eq!(table.of_owner(&owner("c")), Some(&BTreeSet::from([1])));
        assert_eq!(table.of_owner(&owner("d")), Some(&BTreeSet::from([2])));
        assert_eq!(table.in_source("ds"), Some(&BTreeSet::from([1, 2])));
        table.remove(1);
        table.remove(2);
        let Table { rows, uuids, keys, sources, owners } = table;
        assert!(rows.is_empty() && uuids.is_empty() && keys.is_empty() && sources.is_empty() && owners.is_empty());
    }
}
