//! The values of one record in normal form, in one buffer.

use crate::mapping::Slot;
use crate::objects::resource::AttributeType;

/// Normalised values of one record: JSON texts in one buffer, so that a record that waits costs three allocations and not
/// one per field. A value is never changed once it stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    text: String,
    fields: Vec<(Slot, Span)>,
    attributes: Vec<(Span, Span, Option<AttributeType>)>,
}

/// A slice of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
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
}

impl Body {
    /// An empty body with room for so many bytes of keys and values, and for so many fields and attributes.
    pub fn with_capacity(bytes: usize, fields: usize, attributes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            fields: Vec::with_capacity(fields),
            attributes: Vec::with_capacity(attributes),
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

    /// Adds an attribute whose JSON text `write` appends; `write` says its type. The last of equal keys counts.
    ///
    /// # Errors
    /// What `write` returned.
    pub fn push_attribute<E>(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut String) -> Result<Option<AttributeType>, E>,
    ) -> Result<(), E> {
        let start = self.text.len();
        self.text.push_str(key);
        let key_span = self.since(start);
        let value_start = self.text.len();
        match write(&mut self.text) {
            Ok(kind) => {
                let value = self.since(value_start);
                let same = self.attributes.iter().position(|(at, ..)| self.slice(*at) == key);
                match same {
                    Some(at) => self.attributes[at] = (key_span, value, kind),
                    None => self.attributes.push((key_span, value, kind)),
                }
                Ok(())
            }
            Err(error) => {
                self.text.truncate(start);
                Err(error)
            }
        }
    }

    /// Puts a field's JSON text in the place of what the record gave for it.
    pub fn replace(&mut self, slot: Slot, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        let span = self.since(start);
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
        self.attributes.iter().map(|(key, value, kind)| Attribute {
            key: self.slice(*key),
            value: self.slice(*value),
            kind: *kind,
        })
    }

    /// Puts the fields into the order of the resource's table, so that equal records give equal requests.
    pub fn finish(&mut self) {
        self.fields.sort_unstable_by_key(|(slot, _)| *slot);
    }

    /// Size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + self.fields.capacity() * size_of::<(Slot, Span)>()
            + self.attributes.capacity() * size_of::<(Span, Span, Option<AttributeType>)>()
    }

    fn since(&self, start: usize) -> Span {
        // A line is bounded far below 4 GiB (`engine::intake::MAX_LINE`), and a normal form is never longer than twice its line.
        Span { start: start as u32, end: self.text.len() as u32 }
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }
}
