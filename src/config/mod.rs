//! temporary
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    CustomAttributes,
    Ignore,
    Reject,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    Ignore,
    Clear,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    String,
    Integer,
    Decimal,
    Timestamp,
    Boolean,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchBy {
    ExternalId,
    Uuid,
    Email,
}
#[derive(Debug, Clone)]
pub struct FieldMap {
    pub source: Vec<String>,
    pub target: Vec<String>,
}
