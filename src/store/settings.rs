//! Where things are kept, as it is meant: the configuration's refusals are over.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// What is kept, and where. Nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// Rejected records.
    pub rejects: Option<Rejects>,
    /// Receipts of all records.
    pub receipts: Option<Receipts>,
    /// How long a store that fails is waited for.
    pub patience: Duration,
}

impl Keeping {
    /// Everything in it that must never be printed.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let place = match (&self.rejects, &self.receipts) {
            (rejects, Some(Receipts::Files(place))) => [rejects.as_ref().map(|rejects| &rejects.place), Some(place)],
            (rejects, _) => [rejects.as_ref().map(|rejects| &rejects.place), None],
        };
        let keys = place.into_iter().flatten().filter_map(|place| match place {
            Place::S3(Bucket { access: Some(access), .. }) => Some([&access.id, &access.secret]),
            _ => None,
        });
        let hook = match &self.receipts {
            Some(Receipts::Webhook(hook)) => hook.authorization.as_ref(),
            _ => None,
        };
        keys.flatten().chain(hook)
    }
}

/// A place for files.
#[derive(Debug, Clone)]
pub enum Place {
    /// A folder of this machine.
    Local(PathBuf),
    /// A bucket of S3, or of something that speaks its protocol.
    S3(Bucket),
}

/// A bucket, and how to get into it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The keys; where they are absent the environment has them, as for every program that uses AWS.
    pub access: Option<Access>,
    /// The role to take on first.
    pub role_arn: Option<String>,
    /// Its name.
    pub name: String,
    /// Its region; `None` where it has none.
    pub region: Option<String>,
    /// Where it is, unless it is AWS.
    pub endpoint: Option<String>,
    /// What stands before every path in it.
    pub prefix: String,
}

/// A pair of keys.
#[derive(Debug, Clone)]
pub struct Access {
    /// The key's id.
    pub id: SecretString,
    /// The key.
    pub secret: SecretString,
}

/// How rejected records are kept.
#[derive(Debug, Clone)]
pub struct Rejects {
    /// Where.
    pub place: Place,
    /// In which form.
    pub format: Format,
    /// Whether the members of the data are columns of their own.
    pub flattened: bool,
    /// Whether files are compressed.
    pub gzip: bool,
    /// The folder of a stream's files.
    pub path_format: String,
    /// The name of a file.
    pub file_name_format: String,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Where receipts go.
#[derive(Debug, Clone)]
pub enum Receipts {
    /// Into files.
    Files(Place),
    /// To an address.
    Webhook(Hook),
}

/// An address that takes receipts.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The address.
    pub url: String,
    /// Value of the header Authorization.
    pub authorization: Option<SecretString>,
}
