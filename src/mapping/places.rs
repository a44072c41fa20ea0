//! Where keys stand in a list in which each stands once, for lists of which most are short and some are not.
//!
//! Owns nothing but places: the list is the caller's, who says how to read a key of it. A short list is looked through, which costs
//! no memory; what a long one holds is found by hashes, so that a row of 100,000 columns costs so many steps and not their square.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Longer lists are not looked through: from about here on hashes are the faster way.
const SHORT: usize = 64;

/// See the module's header. As long as the list only grows, what was learnt of it stays true; else it is to be forgotten.
#[derive(Debug, Clone, Default)]
pub struct Places(Option<Box<Hashed>>);

#[derive(Debug, Clone, Default)]
struct Hashed {
    /// The first so many of the list, by the hashes of their keys.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Places {
    /// Where a key stands in a list of this length, whose keys `key_at` tells.
    pub fn find<'k>(&mut self, length: usize, key_at: impl Fn(usize) -> &'k str, key: &str) -> Option<usize> {
        if length <= SHORT {
            return (0..length).find(|at| key_at(*at) == key);
        }
        let Hashed { places, hasher } = self.0.get_or_insert_default().as_mut();
        let hash = |at: &u32| hasher.hash_one(key_at(*at as usize));
        for at in places.len()..length {
            let at = at as u32;
            places.insert_unique(hash(&at), at, hash);
        }
        places.find(hasher.hash_one(key), |at| key_at(*at as usize) == key).map(|at| *at as usize)
    }

    /// The list is another one from now on.
    pub fn forget(&mut self) {
        if let Some(hashed) = &mut self.0 {
            hashed.places.clear();
        }
    }
}

/// What is known of places says nothing that the list itself does not say.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_key_is_found_in_short_lists_and_in_long_ones_that_grow() {
        let mut places = Places::default();
        let mut keys: Vec<String> = Vec::new();
        for at in 0..SHORT * 4 {
            let key = format!("k{at}");
            assert_eq!(places.find(keys.len(), |at| &keys[at], &key), None);
            keys.push(key);
            for at in [0, at / 2, at] {
                assert_eq!(places.find(keys.len(), |at| &keys[at], &format!("k{at}")), Some(at), "of {}", keys.len());
            }
        }
        keys.iter_mut().for_each(|key| key.push('x'));
        places.forget();
        assert_eq!(places.find(keys.len(), |at| &keys[at], "k7"), None);
        assert_eq!(places.find(keys.len(), |at| &keys[at], "k7x"), Some(7));
    }

    #[test]
    fn a_long_list_is_read_a_few_times_and_not_once_for_each_of_its_keys() {
        let keys: Vec<String> = (0..20_000).map(|at| format!("k{at}")).collect();
        let read = Cell::new(0_u64);
        let key_at = |at: usize| {
            read.set(read.get() + 1);
            keys[at].as_str()
        };
        let mut places = Places::default();
        for (length, key) in keys.iter().enumerate() {
            assert_eq!(places.find(length, key_at, key), None);
        }
        assert!(read.get() < 20 * keys.len() as u64, "{}", read.get());
    }
}
