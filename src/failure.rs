//! What ends a sync.
//!
//! Owns the one error type that may stop a command: its Airbyte `failure_type`, its stable code and its words for people.
//! Does not own what becomes of a single record (that is [`crate::outcome`]) nor where errors are classified
//! (`client::verdict` for answers of the API, `config::settings` and `binding` for what the user gave us).

use crate::errors::Code;

/// Airbyte's three kinds of failure: they decide whether the platform tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureType {
    /// A person has to change something; the platform does not retry.
    Config,
    /// The other side is unwell; the platform retries.
    Transient,
    /// A bug, or input that breaks the protocol; the platform retries.
    System,
}

impl FailureType {
    /// The word used in a TRACE ERROR message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config_error",
            Self::Transient => "transient_error",
            Self::System => "system_error",
        }
    }
}

/// The only thing that ends a sync early. Carries no secrets and no record values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// Who has to act.
    pub kind: FailureType,
    /// Stable code, to be looked up in the error catalogue.
    pub code: Code,
    /// One or more sentences for the user: what happened, where, and what to do.
    pub message: String,
    /// Technical detail for maintainers; empty when there is none.
    pub internal: String,
}

impl Failure {
    /// Something the user has to change.
    pub fn config(code: Code, message: impl Into<String>) -> Self {
        Self::new(FailureType::Config, code, message)
    }

    /// Something that may pass by itself.
    pub fn transient(code: Code, message: impl Into<String>) -> Self {
        Self::new(FailureType::Transient, code, message)
    }

    /// A bug of ours or a broken protocol.
    pub fn system(code: Code, message: impl Into<String>) -> Self {
        Self::new(FailureType::System, code, message)
    }

    /// The same failure with technical detail for maintainers.
    #[must_use]
    pub fn with_internal(mut self, internal: impl Into<String>) -> Self {
        self.internal = internal.into();
        self
    }

    /// The words for people: the code, which `explain` explains, the message, and the remedy where it is not said already.
    pub fn told(&self) -> String {
        let (code, message, remedy) = (self.code, self.message.trim_end(), self.code.remedy());
        if message.contains(remedy) {
            return format!("{code}: {message}");
        }
        let stop = if message.ends_with(['.', '!', '?']) { "" } else { "." };
        let gap = if message.contains('\n') { "\n" } else { " " };
        format!("{code}: {message}{stop}{gap}{remedy}")
    }

    fn new(kind: FailureType, code: Code, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), internal: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_said_first_and_the_remedy_once() {
        let told = |message: &str| Failure::config(Code::KeyRefused, message).told();
        let remedy = Code::KeyRefused.remedy();
        assert_eq!(told("No such key"), format!("KEY_REFUSED: No such key. {remedy}"));
        assert_eq!(told("No such key!"), format!("KEY_REFUSED: No such key! {remedy}"));
        assert_eq!(told("one\ntwo."), format!("KEY_REFUSED: one\ntwo.\n{remedy}"));
        assert_eq!(told(&format!("No such key. {remedy}")), format!("KEY_REFUSED: No such key. {remedy}"));
    }
}
