//! A map from scopes to lists that mostly hold one thing. Pure.
//!
//! Small, and never suddenly larger: single things stand in a tree, whose nodes grow one by one, where a hash table doubles.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::objects::request::Scope;

/// See the module's header.
#[derive(Debug)]
pub(super) struct FewOf<T> {
    /// Lists of exactly one.
    ones: BTreeMap<Scope, T>,
    /// All others, empty ones among them.
    others: HashMap<Scope, Vec<T>>,
}

impl<T> Default for FewOf<T> {
    fn default() -> Self {
        Self { ones: BTreeMap::new(), others: HashMap::new() }
    }
}

impl<T> FewOf<T> {
    pub(super) fn contains(&self, scope: Scope) -> bool {
        self.ones.contains_key(&scope) || self.others.contains_key(&scope)
    }

    pub(super) fn get(&self, scope: Scope) -> Option<&[T]> {
        let one = self.ones.get(&scope).map(std::slice::from_ref);
        one.or_else(|| self.others.get(&scope).map(Vec::as_slice))
    }

    pub(super) fn get_mut(&mut self, scope: Scope) -> Option<&mut [T]> {
        match self.ones.get_mut(&scope) {
            Some(one) => Some(std::slice::from_mut(one)),
            None => self.others.get_mut(&scope).map(Vec::as_mut_slice),
        }
    }

    pub(super) fn insert(&mut self, scope: Scope, mut list: Vec<T>) {
        self.remove(scope);
        match (list.len(), list.pop()) {
            (1, Some(one)) => drop(self.ones.insert(scope, one)),
            (_, last) => {
                list.extend(last);
                self.others.insert(scope, list);
            }
        }
    }

    pub(super) fn remove(&mut self, scope: Scope) -> Option<Vec<T>> {
        self.ones.remove(&scope).map(|one| vec![one]).or_else(|| self.others.remove(&scope))
    }

    /// Changes the list of a scope, if there is one.
    pub(super) fn change(&mut self, scope: Scope, change: impl FnOnce(&mut Vec<T>)) {
        if let Some(mut list) = self.remove(scope) {
            change(&mut list);
            self.insert(scope, list);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_any_length_are_what_was_put_there() {
        let mut lists = FewOf::default();
        let scope = |n: usize| Scope::key("customers", &n.to_string());
        for count in 0..4 {
            lists.insert(scope(count), (0..count).collect());
        }
        for count in 0..4 {
            assert_eq!(lists.get(scope(count)).unwrap(), (0..count).collect::<Vec<_>>());
            lists.change(scope(count), |list| {
                list.push(9);
                list.retain(|one| *one != 1);
            });
            let left: Vec<usize> = (0..count).filter(|one| *one != 1).chain([9]).collect();
            lists.get_mut(scope(count)).unwrap().reverse();
            assert!(lists.contains(scope(count)));
            assert_eq!(lists.remove(scope(count)).unwrap(), left.into_iter().rev().collect::<Vec<_>>());
            assert_eq!((lists.get(scope(count)), lists.contains(scope(count))), (None, false));
        }
    }
}
