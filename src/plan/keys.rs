//! Keys of attributes as small numbers, so that what is known of an attribute is small and never another's.
//!
//! One table for the process: keys are few, whatever the records are, and the same number stands for one key wherever it is kept.
//! Beyond its bound keys share a number, and nothing is told by that.

use std::sync::{LazyLock, PoisonError, RwLock};

use hashbrown::HashMap;

/// Bits of a number.
pub(super) const BITS: u32 = 20;
/// The number of all keys that came when the table was full.
pub(super) const SHARED: u64 = (1 << BITS) - 1;

static NUMBERS: LazyLock<RwLock<HashMap<Box<str>, u32>>> = LazyLock::new(RwLock::default);

/// The number of a key; `None` where it has none yet.
pub(super) fn known(key: &str) -> Option<u64> {
    let numbers = NUMBERS.read().unwrap_or_else(PoisonError::into_inner);
    match numbers.get(key) {
        Some(number) => Some(u64::from(*number)),
        None => (numbers.len() as u64 >= SHARED).then_some(SHARED),
    }
}

/// The number of a key, which has one from now on.
pub(super) fn number(key: &str) -> u64 {
    known(key).unwrap_or_else(|| {
        let mut numbers = NUMBERS.write().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len() as u32;
        // Somebody else may have been first.
        if u64::from(next) >= SHARED { SHARED } else { u64::from(*numbers.entry(key.into()).or_insert(next)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_number_and_no_other_key_has_it() {
        assert_eq!(known("a key that nobody has seen"), None);
        let numbers: Vec<u64> = (0..5_000).map(|at| number(&format!("keys test {at}"))).collect();
        let mut distinct = numbers.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), numbers.len());
        assert!(numbers.iter().enumerate().all(|(at, one)| known(&format!("keys test {at}")) == Some(*one)));
    }
}
