//! The values of one record in normal form, in one buffer.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::mapping::{Places, Slot};
use crate::objects::resource::AttributeType;

/// Normalised values of one record: JSON texts in one buffer, so that a record that waits costs three allocations and not
/// one per field. A value is never changed once it stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    text: String,
    fields: Vec<(Slot, Span)>,
    attributes: Vec<Held>,
    /// Where keys stand among the attributes.
    #[serde(skip)]
    places: Places,
}

/// An attribute, by where its texts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    key: Span,
    value: Span,
    kind: Option<AttributeType>,
    given: Option<Span>,
}

/// A slice of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// One custom attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value as JSON; `null` asks for removal.
    pub value: &'a str,
    /// Its type; `None` for a null.
    pub kind: Option<AttributeType>,
    /// The value as it came, where its type was taken from the stream's schema or from the value itself: what is known of the
    /// account may say another. `None` where the user or the record said the type.
    pub given: Option<&'a str>,
}

impl Attribute<'_> {
    /// Whether an earlier record's value of this attribute can be left out in favour of this one. Not where they are taken for
    /// different types, since each is brought to the attribute's own or refused by itself; nor for an empty text that nobody
    /// said is one, since it may come to stand for null.
    pub fn stands_for(&self, earlier: &Self) -> bool {
        let both = self.kind.is_some() && earlier.kind.is_some();
        !both || (self.kind == earlier.kind && self.given != Some("\"\""))
    }
}

impl Body {
    /// An empty body with room for so many bytes of keys and values, and for so many fields and attributes.
    pub fn with_capacity(bytes: usize, fields: usize, attributes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            fields: Vec::with_capacity(fields),
            attributes: Vec::with_capacity(attributes),
            places: Places::default(),
        }
    }

    /// Adds a field whose JSON text `write` appends. Nothing is added when it fails.
    ///
    /// # Errors
    /// What `write` returned.
    pub fn push<E>(&mut self, slot: Slot, write: impl FnOnce(&mut String) -> Result<(), E>) -> Result<(), E> {
        let start = self.text.len();
        let written = write(&mut self.text);
        if written.is_err() {
            self.text.truncate(start);
        } else {
            let span = self.since(start);
            self.fields.push((slot, span));
        }
        written
    }

    /// Adds an attribute whose JSON text `write` appends; `write` says its type. `given` is the value as it came, where nobody
    /// said the type. The last of equal keys counts.
    ///
    /// # Errors
    /// What `write` returned.
    pub fn push_attribute<E>(
        &mut self,
        key: &str,
        given: Option<&str>,
        write: impl FnOnce(&mut String) -> Result<Option<AttributeType>, E>,
    ) -> Result<(), E> {
        let start = self.text.len();
        self.text.push_str(key);
        let key_span = self.since(start);
        let value_start = self.text.len();
        match write(&mut self.text) {
            Ok(kind) => {
                let value = self.since(value_start);
                // Most values are their own normal form.
                let given = given.map(|given| if self.slice(value) == given { value } else { self.append(given) });
                let held = Held { key: key_span, value, kind, given };
                match self.place(key) {
                    Some(at) => self.attributes[at] = held,
                    None => self.attributes.push(held),
                }
                Ok(())
            }
            Err(error) => {
                self.text.truncate(start);
                Err(error)
            }
        }
    }

    /// Leaves attributes out.
    pub fn drop_attributes(&mut self, keys: &HashSet<&str>) {
        let text = &self.text;
        self.attributes.retain(|held| !keys.contains(held.key.of(text)));
        self.places.forget();
    }

    /// Puts a field's JSON text in the place of what the record gave for it.
    pub fn replace(&mut self, slot: Slot, text: &str) {
        let span = self.append(text);
        match self.fields.iter_mut().find(|(at, _)| *at == slot) {
            Some((_, old)) => *old = span,
            None => self.fields.push((slot, span)),
        }
        self.finish();
    }

    /// The JSON text of a field; `None` when the record did not give it, `null` when it is to be cleared.
    pub fn get(&self, slot: Slot) -> Option<&str> {
        self.fields.iter().find(|(at, _)| *at == slot).map(|(_, span)| self.slice(*span))
    }

    /// All given fields, in the order of the resource's table.
    pub fn fields(&self) -> impl Iterator<Item = (Slot, &str)> {
        self.fields.iter().map(|(slot, span)| (*slot, self.slice(*span)))
    }

    /// All given attributes.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.attributes.iter().map(|held| self.attribute_at(held))
    }

    /// The given attribute of this key. Of many it is found faster than by going through all.
    pub fn attribute(&mut self, key: &str) -> Option<Attribute<'_>> {
        let at = self.place(key)?;
        self.attributes.get(at).map(|held| self.attribute_at(held))
    }

    /// Puts the fields into the order of the resource's table, so that equal records give equal requests, and keeps no more
    /// than has to wait.
    pub fn finish(&mut self) {
        self.fields.sort_unstable_by_key(|(slot, _)| *slot);
        self.places = Places::default();
    }

    /// Size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.fields.capacity() * size_of::<(Slot, Span)>() + self.attributes.capacity() * size_of::<Held>()
    }

    fn append(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        self.since(start)
    }

    fn since(&self, start: usize) -> Span {
        // A line is bounded far below 4 GiB (`engine::intake::MAX_LINE`), and neither a normal form nor what it came of is longer than twice its line.
        Span { start: start as u32, end: self.text.len() as u32 }
    }

    fn slice(&self, span: Span) -> &str {
        span.of(&self.text)
    }

    fn attribute_at(&self, held: &Held) -> Attribute<'_> {
        Attribute {
            key: self.slice(held.key),
            value: self.slice(held.value),
            kind: held.kind,
            given: held.given.map(|given| self.slice(given)),
        }
    }

    /// Where the attribute of this key stands.
    fn place(&mut self, key: &str) -> Option<usize> {
        let Self { text, attributes, places, .. } = self;
        places.find(attributes.len(), |at| attributes[at].key.of(text), key)
    }
}
