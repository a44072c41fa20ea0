//! Folders and names of files: the variables that Airbyte's formats know, and what they stand for. Pure.
//!
//! Documented (Airbyte, destination S3: file name patterns): `{date}`, `{date:yyyy_MM}`, `{timestamp}`, `{timestamp:millis}`,
//! `{timestamp:micros}`, `{part_number}`, `{sync_id}`, `{format_extension}`. Folders know the stream, the job and the parts
//! of the time.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::journal;
use super::local::UNFINISHED;
use super::{Job, StreamFacts};

/// Airbyte's folder of a stream: the job stands first, since the platform links to it.
pub const PATH_FORMAT: &str = "{sync_id}/{namespace}/{stream_name}/";
/// What the name of a file of receipts begins with.
pub(super) const RECEIPTS: &str = "receipts_";
/// Airbyte's name of a file.
pub const FILE_NAME_FORMAT: &str = "{date}_{timestamp}_{part_number}{format_extension}";

const FOLDER_VARIABLES: &[&str] =
    &["sync_id", "namespace", "stream_name", "year", "month", "day", "hour", "minute", "second", "millisecond", "epoch", "uuid"];
const FILE_VARIABLES: &[&str] = &["date", "timestamp", "part_number", "sync_id", "format_extension"];

/// What is wrong with the format of a folder, as a sentence that goes on after its name.
pub fn check_path_format(format: &str) -> Option<String> {
    unknown_variable(format, FOLDER_VARIABLES)
}

/// The same for the name of a file. Two files must never have one name, not even those of two attempts.
pub fn check_file_name_format(format: &str) -> Option<String> {
    let holds = |name: &str| pieces(format).any(|piece| matches!(piece, Piece::Variable(variable, _) if variable == name));
    if format.contains('/') {
        return Some("must not contain a slash; folders are named by `path_format`.".to_owned());
    }
    if !holds("timestamp") || !holds("part_number") {
        return Some("needs {timestamp} and {part_number}, or one file would be written over another.".to_owned());
    }
    let job = Job { streams: Vec::new(), worker_job_id: None, clock: Arc::new(|| 0), ids: Arc::new(Uuid::nil) };
    let name = file(format, &job, &StreamFacts::default(), 0, 0, "");
    if !is_of_rejects(&name) {
        let text = "must not make names that begin with {} or end in {}: such files are never replayed.";
        return Some(text.replacen("{}", RECEIPTS, 1).replacen("{}", UNFINISHED, 1));
    }
    unknown_variable(format, FILE_VARIABLES)
}

/// Whether a file of this name holds rejected records, and nothing else that is kept.
pub(super) fn is_of_rejects(name: &str) -> bool {
    !name.ends_with(UNFINISHED) && !name.starts_with(RECEIPTS) && name != journal::NAME
}

fn unknown_variable(format: &str, known: &[&str]) -> Option<String> {
    let unknown = pieces(format).any(|piece| matches!(piece, Piece::Variable(name, _) if !known.contains(&&*name)));
    let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
    unknown.then(|| {
        format!("has a variable that is not known. Known are {}; `${{NAME}}` is read like `{{name}}`.", known.join(", "))
    })
}

/// A piece of a format.
enum Piece<'f> {
    Text(&'f str),
    /// A variable in small letters, and what stands behind its colon.
    Variable(String, Option<&'f str>),
}

/// `{name}`, `{name:form}` and Airbyte's older `${NAME}` are variables; everything else is text.
fn pieces(format: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = format;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let open = rest.find('{').filter(|open| rest[*open..].contains('}'));
        match open {
            Some(0) => {
                let close = rest.find('}').unwrap_or(rest.len() - 1);
                let inner = &rest[1..close];
                rest = &rest[close + 1..];
                let (name, form) = inner.split_once(':').map_or((inner, None), |(name, form)| (name, Some(form)));
                Some(Piece::Variable(name.to_lowercase(), form))
            }
            Some(open) => {
                let text = &rest[..open];
                rest = &rest[open..];
                Some(Piece::Text(text.strip_suffix('$').unwrap_or(text)))
            }
            None => Some(Piece::Text(std::mem::take(&mut rest))),
        }
    })
}

/// The folder of a stream's files, without a slash at either end. A namespace that a stream has not leaves no empty folder.
pub(super) fn folder(prefix: &str, format: &str, job: &Job, stream: &StreamFacts, now: i64) -> String {
    let mut path = String::new();
    for piece in pieces(prefix).chain([Piece::Text("/")]).chain(pieces(format)) {
        match piece {
            Piece::Text(text) => path.push_str(text),
            Piece::Variable(name, _) => path.push_str(&match &*name {
                "sync_id" => job.folder(stream),
                "namespace" => stream.namespace.clone().unwrap_or_default(),
                "stream_name" => stream.name.clone(),
                "year" => time(now, "%Y"),
                "month" => time(now, "%m"),
                "day" => time(now, "%d"),
                "hour" => time(now, "%H"),
                "minute" => time(now, "%M"),
                "second" => time(now, "%S"),
                "millisecond" => format!("{:03}", now.rem_euclid(1000)),
                "epoch" => now.to_string(),
                "uuid" => (job.ids)().to_string(),
                _ => String::new(),
            }),
        }
    }
    plain(&path)
}

/// The name of a file.
pub(super) fn file(format: &str, job: &Job, stream: &StreamFacts, now: i64, part: u64, extension: &str) -> String {
    let mut name = String::new();
    for piece in pieces(format) {
        match piece {
            Piece::Text(text) => name.push_str(text),
            Piece::Variable(variable, form) => name.push_str(&match (&*variable, form) {
                ("date", form) => date(now, form.unwrap_or("yyyy_MM_dd")),
                ("timestamp", Some("micros")) => (now * 1000).to_string(),
                ("timestamp", _) => now.to_string(),
                ("part_number", _) => part.to_string(),
                ("sync_id", _) => job.folder(stream),
                ("format_extension", _) => extension.to_owned(),
                _ => String::new(),
            }),
        }
    }
    plain(&name).replace('/', "_")
}

/// A path without empty steps, and without steps or characters that would lead elsewhere.
fn plain(path: &str) -> String {
    let mut plain = String::new();
    for step in path.split('/').filter(|step| !step.is_empty()) {
        if !plain.is_empty() {
            plain.push('/');
        }
        match step {
            "." => plain.push_str("%2E"),
            ".." => plain.push_str("%2E%2E"),
            step => {
                for character in step.chars() {
                    match character {
                        '\\' => plain.push_str("%5C"),
                        control if control.is_control() => {
                            // Writing to memory does not fail.
                            let _ = write!(plain, "%{:02X}", u32::from(control));
                        }
                        character => plain.push(character),
                    }
                }
            }
        }
    }
    plain
}

fn time(now: i64, format: &str) -> String {
    let now = Timestamp::from_millisecond(now).unwrap_or_default();
    now.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// A date in the letters that Airbyte's formats use: `yyyy`, `MM`, `dd`, `HH`, `mm`, `ss`. Other characters stand for themselves.
fn date(now: i64, form: &str) -> String {
    let letters = [("yyyy", "%Y"), ("yy", "%y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S")];
    let mut out = String::new();
    let mut rest = form;
    while let Some(first) = rest.chars().next() {
        match letters.iter().find(|(letters, _)| rest.starts_with(letters)) {
            Some((letters, format)) => {
                out.push_str(&time(now, format));
                rest = &rest[letters.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-05T06:07:08.009Z
    const NOW: i64 = 1_709_618_828_009;

    fn job(worker_job_id: Option<&str>) -> Job {
        Job {
            streams: Vec::new(),
            worker_job_id: worker_job_id.map(str::to_owned),
            clock: Arc::new(|| NOW),
            ids: Arc::new(Uuid::nil),
        }
    }

    fn stream(namespace: Option<&str>, name: &str, sync_id: Option<i64>) -> StreamFacts {
        StreamFacts { namespace: namespace.map(str::to_owned), name: name.to_owned(), sync_id, ..StreamFacts::default() }
    }

    #[test]
    fn the_job_stands_first_and_a_missing_namespace_leaves_no_folder() {
        let folder = |worker: Option<&str>, stream: &StreamFacts| folder("a/{year}/", PATH_FORMAT, &job(worker), stream, NOW);
        assert_eq!(folder(Some("9"), &stream(Some("shop"), "users", Some(12))), "a/2024/12/shop/users");
        assert_eq!(folder(Some("9"), &stream(None, "users", None)), "a/2024/9/users");
        assert_eq!(folder(Some(""), &stream(None, "users", None)), "a/2024/sync/users");
        assert_eq!(folder(None, &stream(Some(".."), "..\\x\n", None)), "a/2024/sync/%2E%2E/..%5Cx%0A");
    }

    #[test]
    fn every_variable_is_filled_in() {
        let users = stream(Some("shop"), "users", Some(12));
        let path = "${NAMESPACE}/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_{hour}{minute}{second}{millisecond}";
        assert_eq!(folder("", path, &job(None), &users, NOW), "shop/users/2024_03_05_1709618828009_060708009");
        let name = |format: &str| file(format, &job(None), &users, NOW, 3, ".csv.gz");
        assert_eq!(name(FILE_NAME_FORMAT), "2024_03_05_1709618828009_3.csv.gz");
        assert_eq!(name("{date:yyyy-MM}x{sync_id}-{timestamp:micros}"), "2024-03x12-1709618828009000");
        assert_eq!(name("{date:../../yyyy}"), "%2E%2E_%2E%2E_2024");
    }

    #[test]
    fn formats_that_would_lose_files_or_say_nothing_are_refused() {
        assert_eq!(check_path_format(PATH_FORMAT), None);
        assert_eq!(check_file_name_format(FILE_NAME_FORMAT), None);
        assert!(check_path_format("{stream}/").unwrap().starts_with("has a variable that is not known. Known are {sync_id}"));
        assert!(check_file_name_format("{date}_{part_number}").unwrap().contains("{timestamp}"));
        assert!(check_file_name_format("{timestamp}").unwrap().contains("{part_number}"));
        assert!(check_file_name_format("{timestamp:millis}/{part_number}").unwrap().contains("slash"));
        assert!(check_file_name_format("{timestamp}{part_number}{uuid}").unwrap().contains("not known"));
        for never_replayed in
            ["receipts_", "{date:receipts_}", "${date:r}eceipts_"].map(|start| format!("{start}{FILE_NAME_FORMAT}"))
        {
            assert!(check_file_name_format(&never_replayed).unwrap().contains("never replayed"), "{never_replayed}");
        }
        assert!(check_file_name_format("{timestamp}_{part_number}.tmp").unwrap().contains("never replayed"));
    }
}
