//! What came, for a mirror at the end.
//!
//! Owns the names that came (8 bytes each), and what the records and the host left open. Does not own by which names a record and
//! an entry tell that they are the same (`objects`), nor what is done about it ([`super::mirror`]).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::binding::Bindings;
use crate::objects;
use crate::objects::mirrored::{Named, entry_of};
use crate::objects::request::Scope;

/// What came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    names: HashSet<Scope>,
    /// By stream: records of this data source that are not marked as deleted: they name something, or leave open what.
    came: Vec<u64>,
    /// Streams whose records hold entries of other objects.
    holds: BTreeSet<(usize, &'static str)>,
    /// How many records of a stream are, hold or name objects that no key tells.
    unnamed: BTreeMap<(usize, &'static str), u64>,
    /// By stream: the objects whose entries have to say what its records belong to, and what that is.
    unsaid: BTreeSet<(usize, &'static str, &'static str)>,
    /// COMPLETEs that may mean any of several streams.
    vague: BTreeMap<Vec<usize>, usize>,
    /// Streams of which one was said plainly.
    plain: BTreeSet<usize>,
    /// Whether any stream can be mirrored as far as the catalog tells, so that anything has to be kept.
    wanted: bool,
}

impl Seen {
    pub(super) fn new(bindings: &Bindings) -> Self {
        let wanted = bindings.iter().any(|binding| binding.mirroring.as_ref().is_some_and(Vec::is_empty));
        Self { came: vec![0; bindings.len()], wanted, ..Self::default() }
    }

    /// A record came that names this.
    pub(super) fn take(&mut self, stream: usize, named: Option<&Named>) {
        let Some(named) = named else { return };
        if !named.names.is_empty() || !named.unnamed.is_empty() {
            self.came[stream] += 1;
        }
        if !self.wanted {
            return;
        }
        self.names.extend(named.names.iter().copied());
        self.holds.extend(named.holds.iter().map(|object| (stream, *object)));
        for object in &named.unnamed {
            *self.unnamed.entry((stream, object)).or_default() += 1;
        }
        self.unsaid.extend(named.unsaid.iter().map(|(listed, of)| (stream, *listed, *of)));
    }

    /// How many records of a stream came.
    pub(super) fn came(&self, stream: usize) -> u64 {
        self.came[stream]
    }

    /// Whether something of this name came.
    pub(super) fn has(&self, name: Scope) -> bool {
        self.names.contains(&name)
    }

    /// Whether records of a stream hold entries of this other object.
    pub(super) fn holds(&self, stream: usize, object: &str) -> bool {
        self.holds.iter().any(|(at, held)| *at == stream && *held == object)
    }

    /// How many records of a stream left open which ones of an object they mean.
    pub(super) fn unnamed(&self, stream: usize, object: &'static str) -> u64 {
        self.unnamed.get(&(stream, object)).copied().unwrap_or_default()
    }

    /// The objects whose entries have to say what records belong to, and what that is.
    pub(super) fn unsaid(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.unsaid.iter().map(|(_, listed, of)| (*listed, *of))
    }

    /// A record was about what has this UUID.
    pub(super) fn stands(&mut self, uuid: &str) {
        if self.wanted {
            self.names.insert(entry_of(uuid));
        }
    }

    /// The host said COMPLETE of what can be any of these streams.
    pub(super) fn complete(&mut self, places: &[usize]) {
        match places {
            [] => {}
            [one] => {
                self.plain.insert(*one);
            }
            many => *self.vague.entry(many.to_vec()).or_default() += 1,
        }
    }

    /// The host began a stream anew, of which it may have said COMPLETE.
    pub(super) fn started(&mut self, stream: usize) {
        self.plain.remove(&stream);
    }

    /// Whether COMPLETE was said of this stream, and not only of one that may have been another.
    pub(super) fn is_complete(&self, stream: usize) -> bool {
        let open = |places: &[usize]| places.iter().filter(|at| !self.plain.contains(at)).count();
        self.plain.contains(&stream) || self.vague.iter().any(|(places, said)| places.contains(&stream) && *said >= open(places))
    }

    /// Whether a stream's records leave open which ones of an object they belong to, and no list tells.
    pub(super) fn is_silent_about(&self, stream: usize, of: &str) -> bool {
        let lists = |object: &str| objects::find(object).is_some_and(|object| object.listing("").is_some());
        self.unsaid.iter().any(|(at, listed, said)| *at == stream && *said == of && !lists(listed))
    }
}
