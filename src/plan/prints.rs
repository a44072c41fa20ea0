//! The fingerprints of one entry's values, small: eight bytes for each that is set.
//!
//! Owns how fingerprints are packed. Does not own what a value's fingerprint is (`known`).

use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::keys;

/// Of all that the API answers for "not set".
pub(super) const UNSET: u64 = 0;

/// A field is its place in the upper 8 bits and the fingerprint of its value in the others.
const FIELD_BITS: u32 = 56;
pub(super) const FIELD_MASK: u64 = (1 << FIELD_BITS) - 1;
/// An attribute is the number of its key in the upper bits ([`keys`]), and the fingerprint of key and value in the others.
const ATTRIBUTE_BITS: u32 = u64::BITS - keys::BITS;
const ATTRIBUTE_MASK: u64 = (1 << ATTRIBUTE_BITS) - 1;
/// Fields of a table that can be marked as shown.
pub(super) const MOST_FIELDS: usize = 48;
/// In the head, above a bit for each field that is shown: how many of the values are fields, and whether attributes are shown.
const COUNT_AT: u32 = 48;
const SHOWS_ATTRIBUTES: u64 = 1 << 63;

/// See the module's header. One allocation, since there is one of these for each entry: a head, the fields that are set, then
/// the attributes, ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prints(Box<[u64]>);

impl Default for Prints {
    fn default() -> Self {
        Self::new(std::iter::empty(), None)
    }
}

impl Prints {
    /// Of fields by their places; attributes by key, or `None` where the entry shows none.
    pub(super) fn new(fields: impl Iterator<Item = (usize, u64)>, attributes: Option<Vec<u64>>) -> Self {
        let mut head = if attributes.is_some() { SHOWS_ATTRIBUTES } else { 0 };
        let mut packed = vec![0];
        for (at, print) in fields {
            debug_assert!(at < MOST_FIELDS, "a table has more fields than can be marked");
            if at >= MOST_FIELDS {
                continue;
            }
            head |= 1 << at;
            if print != UNSET {
                packed.push((at as u64) << FIELD_BITS | print & FIELD_MASK);
            }
        }
        packed[0] = head | (packed.len() as u64 - 1) << COUNT_AT;
        packed.extend(ordered(attributes));
        Self(packed.into())
    }

    /// The fingerprint of a field; `None` where the entry does not show it.
    pub(super) fn field(&self, at: u8) -> Option<u64> {
        let is_shown = usize::from(at) < MOST_FIELDS && self.head() & 1 << at != 0;
        let set = || self.fields().iter().find(|print| *print >> FIELD_BITS == u64::from(at)).map(|print| print & FIELD_MASK);
        is_shown.then(|| set().unwrap_or(UNSET))
    }

    /// Puts fields in the place of what is known of them.
    pub(super) fn set_fields(&mut self, set: impl Iterator<Item = (usize, u64)>) {
        let mut all: Vec<(usize, u64)> = (0..MOST_FIELDS).filter_map(|at| Some((at, self.field(at as u8)?))).collect();
        for (at, print) in set {
            all.retain(|(other, _)| *other != at);
            all.push((at, print));
        }
        *self = Self::new(all.into_iter(), self.attributes().map(<[u64]>::to_vec));
    }

    /// Puts others in the place of all attributes; `None`: they are not known.
    pub(super) fn set_attributes(&mut self, attributes: Option<Vec<u64>>) {
        let flag = if attributes.is_some() { SHOWS_ATTRIBUTES } else { 0 };
        let mut packed = vec![self.head() & !SHOWS_ATTRIBUTES | flag];
        packed.extend(self.fields());
        packed.extend(ordered(attributes));
        self.0 = packed.into();
    }

    /// The packed attributes; `None` where the entry shows none.
    pub(super) fn attributes(&self) -> Option<&[u64]> {
        (self.head() & SHOWS_ATTRIBUTES != 0).then(|| &self.0[1 + self.fields().len()..])
    }

    /// Whether there is an attribute of this key; `None` where the entry shows no attributes, or it can not be told.
    pub(super) fn has_attribute(&self, key: &str) -> Option<bool> {
        let all = self.attributes()?;
        let mark = match keys::known(key) {
            None => return Some(false),
            Some(keys::SHARED) => return None,
            Some(number) => number << ATTRIBUTE_BITS,
        };
        let at = all.partition_point(|print| *print < mark);
        Some(all.get(at).is_some_and(|print| print & !ATTRIBUTE_MASK == mark))
    }

    /// Whether this very attribute is there; `None` where the entry shows no attributes.
    pub(super) fn holds_attribute(&self, packed: u64) -> Option<bool> {
        Some(self.attributes()?.binary_search(&packed).is_ok())
    }

    /// Attributes of these keys are gone.
    pub(super) fn drop_attributes<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        let left = self.attributes().map(|all| without(all, keys).collect());
        self.set_attributes(left);
    }

    /// The same with other values of fields; `None` where `now` has another for none of them.
    pub(super) fn renamed(&self, now: impl Fn(u64) -> Option<u64>) -> Option<Self> {
        let moved = |print: &u64| now(print & FIELD_MASK).map(|now| print & !FIELD_MASK | now & FIELD_MASK);
        self.fields().iter().any(|print| moved(print).is_some()).then(|| {
            let mut packed = self.0.clone();
            packed[1..][..self.fields().len()].iter_mut().for_each(|print| *print = moved(print).unwrap_or(*print));
            Self(packed)
        })
    }

    /// Whether a field has a fingerprint that is one of those.
    pub(super) fn holds_any(&self, is_one: impl Fn(u64) -> bool) -> bool {
        self.fields().iter().any(|print| is_one(print & FIELD_MASK))
    }

    fn head(&self) -> u64 {
        self.0[0]
    }

    fn fields(&self) -> &[u64] {
        let count = (self.head() & !SHOWS_ATTRIBUTES) >> COUNT_AT;
        &self.0[1..][..count as usize]
    }
}

/// Attributes without those of these keys.
pub(super) fn without<'a, 'k, K: Iterator<Item = &'k str>>(
    all: &'a [u64],
    keys: K,
) -> impl Iterator<Item = u64> + use<'a, 'k, K> {
    let mut gone: Vec<u64> = keys.map(mark).collect();
    gone.sort_unstable();
    all.iter().copied().filter(move |one| gone.binary_search(&(one & !ATTRIBUTE_MASK)).is_err())
}

/// Attributes in the order in which they are looked for.
fn ordered(attributes: Option<Vec<u64>>) -> Vec<u64> {
    let mut all = attributes.unwrap_or_default();
    all.sort_unstable();
    all
}

/// An attribute, packed. `value` is its value in a form that is one where the API stores one.
pub(super) fn attribute(key: &str, value: &str) -> u64 {
    mark(key) | hash((key, value)) & ATTRIBUTE_MASK
}

fn mark(key: &str) -> u64 {
    keys::number(key) << ATTRIBUTE_BITS
}

pub(super) fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_attributes_each_is_found_in_whatever_order_they_came() {
        let of = |keys: &mut dyn Iterator<Item = usize>| {
            Prints::new(std::iter::empty(), Some(keys.map(|at| attribute(&format!("k{at}"), &format!("n{at}"))).collect()))
        };
        let prints = of(&mut (0..1_000));
        assert_eq!(prints, of(&mut (0..1_000).rev()));
        for at in 0..1_000 {
            let key = format!("k{at}");
            assert_eq!(prints.has_attribute(&key), Some(true));
            assert_eq!(prints.holds_attribute(attribute(&key, &format!("n{at}"))), Some(true));
            assert_eq!(prints.holds_attribute(attribute(&key, "n-1")), Some(false));
        }
        assert_eq!(prints.has_attribute("k1000"), Some(false));
        // Two keys whose hashes are alike in their upper 20 bits.
        let one = Prints::new(std::iter::empty(), Some(vec![attribute("arr_url", "n1")]));
        assert_eq!(one.has_attribute("lang_rate"), Some(false));
        let mut fewer = prints;
        fewer.drop_attributes(
            (0..1_000).filter(|at| at % 3 > 0).map(|at| format!("k{at}")).collect::<Vec<_>>().iter().map(String::as_str),
        );
        assert_eq!(fewer, of(&mut (0..1_000).step_by(3)));
    }

    #[test]
    fn fields_and_attributes_are_told_apart_and_changed_apart() {
        let packed = |all: &[(&str, &str)]| Some(all.iter().map(|(key, value)| attribute(key, value)).collect());
        let mut prints = Prints::new([(0, 7), (3, UNSET), (47, 9)].into_iter(), packed(&[("a", "n1"), ("b", "n2")]));
        let fields = |prints: &Prints| [0, 1, 3, 47].map(|at| prints.field(at));
        assert_eq!(fields(&prints), [Some(7), None, Some(UNSET), Some(9)]);
        assert_eq!((prints.has_attribute("a"), prints.has_attribute("c")), (Some(true), Some(false)));
        assert_eq!(prints.holds_attribute(attribute("a", "n1")), Some(true));
        assert_eq!(prints.holds_attribute(attribute("a", "n2")), Some(false));
        prints.set_fields([(3, 5), (0, UNSET), (1, 4)].into_iter());
        assert_eq!(fields(&prints), [Some(UNSET), Some(4), Some(5), Some(9)]);
        prints.drop_attributes(["a"].into_iter());
        assert_eq!((prints.has_attribute("a"), prints.has_attribute("b")), (Some(false), Some(true)));
        let moved = prints.renamed(|print| (print == 9).then_some(8)).unwrap();
        assert_eq!((moved.field(47), moved.field(1), moved.attributes()), (Some(8), Some(4), prints.attributes()));
        assert_eq!(prints.renamed(|_| None), None);
        prints.set_attributes(None);
        assert_eq!((prints.has_attribute("b"), prints.field(47)), (None, Some(9)));
    }
}
