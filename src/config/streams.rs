//! What the settings of single streams mean.
//!
//! Owns the reading of an entry of `streams`: paths taken apart, patterns compiled, names looked up. Does not own their use,
//! nor the choice between an entry and the settings for all streams (that is the binding).

use std::collections::BTreeMap;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde_json::{Map, Value};

use super::problem::{Problem, joined};
use super::schema::{AUTO, DefaultMode, TypedStream};
use crate::mapping::{Preset, Rename, Values};
use crate::objects;
use crate::objects::resource::AttributeType;
use crate::plan::{MatchBy, Parents};

/// What a stream becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChoice {
    /// What its own name says.
    Auto,
    /// The object of this name.
    Named(&'static str),
}

impl ObjectChoice {
    /// The choice by its word; the schema lets no other words through.
    pub(super) fn read(word: &str) -> Option<Self> {
        if word == AUTO {
            return Some(Self::Auto);
        }
        objects::find(word).map(|object| Self::Named(object.resource().name))
    }
}

/// By what a record finds what is already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// A key.
    By(MatchBy),
    /// Fields that have to be equal, for objects without a key of their own. Names are not checked against the object here.
    Fields(Vec<String>),
}

impl Match {
    /// The choice by its words; `None` when there is a comma with nothing beside it.
    fn read(words: &str) -> Option<Self> {
        let names: Vec<String> = words.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["external_id"] => Some(Self::By(MatchBy::ExternalId)),
            ["uuid"] => Some(Self::By(MatchBy::Uuid)),
            ["email"] => Some(Self::By(MatchBy::Email)),
            _ => names.iter().all(|name| !name.is_empty()).then_some(Self::Fields(names)),
        }
    }

    /// The key, where it is one.
    pub const fn by(&self) -> Option<MatchBy> {
        match self {
            Self::By(key) => Some(*key),
            Self::Fields(_) => None,
        }
    }
}

/// What one entry of `streams` means.
#[derive(Debug, Clone, Default)]
pub struct StreamSettings {
    /// Namespace; `None` where the entry is for every namespace.
    pub namespace: Option<String>,
    /// Name.
    pub stream: String,
    /// What it becomes; `None` where the entry does not say.
    pub object: Option<ObjectChoice>,
    /// What to do with its records; `None` where the entry does not say.
    pub mode: Option<DefaultMode>,
    /// Source path and target path, in the order given.
    pub fields: Vec<Rename>,
    /// Values for fields that a record lacks.
    pub constants: Map<String, Value>,
    /// Names of source fields to leave out.
    pub exclude: GlobSet,
    /// Types of custom attributes by key.
    pub types: BTreeMap<String, AttributeType>,
    /// What to match by; `None` where the entry does not say.
    pub match_by: Option<Match>,
    /// What to do with records whose customer is not there yet; `None` where the entry does not say, see [`Self::parents`].
    pub parents: Option<Parents>,
    /// What kind of rows these are, where that is known.
    pub preset: Option<Preset>,
    /// Source path to a table of values.
    pub values: Vec<Values>,
    /// ChartMogul fields that are never overwritten. Names are not checked against the object here.
    pub only_if_empty: Vec<String>,
}

impl StreamSettings {
    /// Reads the entry at `path`, noting all that is wrong with it.
    pub(super) fn read(typed: TypedStream, path: &str, problems: &mut Vec<Problem>) -> Self {
        let fields_path = joined(path, "fields");
        let mut fields = Vec::with_capacity(typed.fields.len());
        for (source, target) in &typed.fields {
            // The schema has seen to it that targets are texts.
            match (dotted(source), dotted(target.as_str().unwrap_or_default())) {
                (Some(source), Some(target)) => fields.push((source, target)),
                _ => problems.push(Problem::new(format!("{fields_path}[{source:?}]"), EMPTY_NAME)),
            }
        }
        let values_path = joined(path, "values");
        let mut values = Vec::with_capacity(typed.values.len());
        for (source, table) in &typed.values {
            match dotted(source) {
                Some(source) => {
                    let table = table.iter().map(|(given, taken)| (given.as_str().into(), taken.to_string().into()));
                    values.push((source, table.collect()));
                }
                None => problems.push(Problem::new(format!("{values_path}[{source:?}]"), EMPTY_NAME)),
            }
        }
        // A form may leave an empty text behind.
        let match_by = typed.match_by.as_deref().filter(|words| !words.trim().is_empty()).and_then(|words| {
            let read = Match::read(words);
            if read.is_none() {
                let text = "has an empty name. Write external_id, uuid or email, or field names with commas between them.";
                problems.push(Problem::new(joined(path, "match"), text));
            }
            read
        });
        let mut exclude = GlobSetBuilder::new();
        for (index, pattern) in typed.exclude.iter().enumerate() {
            match Glob::new(pattern) {
                Ok(glob) => drop(exclude.add(glob)),
                Err(error) => problems.push(Problem::new(
                    format!("{}[{index}]", joined(path, "exclude")),
                    format!(
                        "is no pattern: {}. Use * for any characters and ? for one, or escape brackets with \\.",
                        error.kind()
                    ),
                )),
            }
        }
        let exclude = exclude.build().unwrap_or_else(|error| {
            problems.push(Problem::new(joined(path, "exclude"), format!("can not be compiled: {}.", error.kind())));
            GlobSet::empty()
        });
        Self {
            namespace: Some(typed.namespace).filter(|namespace| !namespace.is_empty()),
            stream: typed.stream,
            object: typed.object.as_deref().and_then(ObjectChoice::read),
            mode: typed.mode,
            fields,
            constants: typed.constants,
            exclude,
            types: typed.types,
            match_by,
            parents: typed.parents,
            preset: typed.preset,
            values,
            only_if_empty: typed.only_if_empty,
        }
    }

    /// What to do with records whose customer is not there yet: what the entry says, else what its preset needs.
    pub fn parents(&self) -> Parents {
        let made = self.preset.is_some_and(Preset::makes_parents);
        self.parents.unwrap_or(if made { Parents::Create } else { Parents::Wait })
    }
}

const EMPTY_NAME: &str = "has an empty name in a path. Write dots only between names, and \\. for a dot that is part of one.";

/// Takes a dotted path apart. `\.` is a dot and `\\` a backslash within a name; any other backslash stands for itself, since
/// names with backslashes exist. `None` when a name is empty.
fn dotted(path: &str) -> Option<Vec<String>> {
    let mut names = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(char) = chars.next() {
        let last = names.last_mut()?;
        match char {
            '\\' => last.push(chars.next_if(|next| matches!(next, '.' | '\\')).unwrap_or('\\')),
            '.' => names.push(String::new()),
            other => last.push(other),
        }
    }
    names.iter().all(|name| !name.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_lead_into_objects_and_escaped_dots_do_not() {
        let path = |path: &str| dotted(path).map(|names| names.join("|"));
        assert_eq!(path("country").as_deref(), Some("country"));
        assert_eq!(path("address.country").as_deref(), Some("address|country"));
        assert_eq!(path(r"a\.b.c").as_deref(), Some("a.b|c"));
        assert_eq!(path(r"a\\.b").as_deref(), Some(r"a\|b"));
        assert_eq!(path(r"back\slash\").as_deref(), Some(r"back\slash\"));
        for empty in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(path(empty), None, "{empty:?}");
        }
    }
}
