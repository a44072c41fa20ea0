//! The catalogue: one line per code. A code is never renamed or reused once released.

use std::fmt;

macro_rules! codes {
    ($($variant:ident $name:literal: $cause:literal, $remedy:literal;)*) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $cause] $variant,)*
        }

        /// Every code, in the order of the catalogue.
        pub const CODES: &[Code] = &[$(Code::$variant,)*];

        impl Code {
            /// The code as users see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is the matter.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    // Records: one of these becomes the outcome `rejected`; the sync goes on.
    FieldMissing "FIELD_MISSING": "A field that the object needs is absent or null.", "Map a source column to the field, or set it under `constants` of the stream.";
    FieldType "FIELD_TYPE": "A field holds a value of a type that ChartMogul does not take there.", "Convert the column in the source, or map another one with `fields`.";
    FieldValue "FIELD_VALUE": "A field holds a value of the right type that breaks the field's rule.", "Correct the value in the source; the message names the rule.";
    FieldTooLong "FIELD_TOO_LONG": "A text is longer than ChartMogul stores.", "Shorten it in the source, or leave the column out with `exclude`.";
    FieldUnknown "FIELD_UNKNOWN": "The record has a column that is no field while `unknown_fields` is `reject`, or a nested object has a member that is no field of it while `unknown_fields` is not `ignore`.", "Map a column with `fields`, leave it out with `exclude`, or set `unknown_fields` to `custom_attributes` or `ignore`; leave a nested member out in the source, or set `unknown_fields` to `ignore`.";
    FieldTwice "FIELD_TWICE": "Two source columns were mapped to one ChartMogul field and both hold a value.", "Keep one of them in `fields` and leave the other out with `exclude`.";
    AttributeKey "ATTRIBUTE_KEY": "A custom attribute's key has characters other than letters, digits and underscore.", "Rename the column with `fields`, or leave it out with `exclude`.";
    AttributeNested "ATTRIBUTE_NESTED": "A custom attribute would be an array or an object.", "Take parts of it with dotted paths in `fields`, or leave it out with `exclude`.";
    AttributeType "ATTRIBUTE_TYPE": "A value can not become the type of its custom attribute without loss, or `types` (or a row's own `type`) says another type than the account shows.", "Correct the value, or set another type under `types`.";
    KeyMissing "KEY_MISSING": "The record lacks the key by which it is matched.", "Map the key column with `fields`, or choose another key with `match`.";
    OtherDataSource "OTHER_DATA_SOURCE": "The record names another data source than the configured one.", "Write it with a connection of its own, or leave `data_source_uuid` out with `exclude`.";
    FieldFixed "FIELD_FIXED": "The record asks for a change that ChartMogul's API can not make.", "Leave the field out with `exclude`, or make the change in ChartMogul by hand.";
    ParentNotFound "PARENT_NOT_FOUND": "What the record refers to (a customer, a plan, an invoice, a subscription, an event) does not exist and did not arrive in this sync.", "Sync it as well, or correct the reference; `parents: create` makes a missing customer, but not for subscriptions, which come of line items and events, nor for merges.";
    AmbiguousMatch "AMBIGUOUS_MATCH": "Several objects in the account match the record's key.", "Merge the duplicates in ChartMogul, or match by `uuid` or `external_id`.";
    ImportedInvalid "IMPORTED_INVALID": "A bulk import took the record, and ChartMogul says itself that it counts for nothing.", "The message is ChartMogul's own; correct the field it names and upsert the record again: that changes what stands there, which an insert leaves alone.";
    ApiRefused "API_REFUSED": "ChartMogul refused the record.", "The message is ChartMogul's own; correct the field it names.";
    RecordBreaksServer "RECORD_BREAKS_SERVER": "ChartMogul answers this record with a server error every time, while other records pass.", "Look for unusual values in the record; report it to ChartMogul's support with the time of the sync.";
    RecordTooLarge "RECORD_TOO_LARGE": "The request for this record would be larger than is sent.", "Shorten its texts or leave columns out with `exclude`.";
    DeleteMergedCustomer "DELETE_MERGED_CUSTOMER": "The customer is merged from several source customers; deleting it would delete the data of the others too.", "Unmerge it in ChartMogul first, or delete it there by hand.";
    ApiDeleteRefused "API_DELETE_REFUSED": "A record of `api_requests` would send a DELETE, and the deletion policy is not `delete` or it would reach a data source.", "Set `deletions` to the policy `delete`; a data source is deleted in ChartMogul itself, never from here.";
    DeleteNotSupported "DELETE_NOT_SUPPORTED": "A record is marked as deleted, and nothing of its object can be deleted from here.", "Leave deleted rows of this stream out in the source; what they made is undone in ChartMogul by hand, where that is possible.";
    // Warnings: logged once per field, no outcome of their own.
    FieldNotKept "FIELD_NOT_KEPT": "ChartMogul accepted a field but answered with another value.", "Check the value: an unknown owner, a state outside the US, or a contact attribute that was not defined in the app are dropped silently.";
    FieldHeldBack "FIELD_HELD_BACK": "A field that ChartMogul does not show, or may drop, was all that a record could change of an object that exists; it was not sent.", "It goes along when another field changes; to set it now, do so in ChartMogul.";
    NullNotCleared "NULL_NOT_CLEARED": "A null was sent to clear a field, and ChartMogul kept the old value.", "Clear the field in ChartMogul by hand.";
    // What the user has to change: ends the command with config_error.
    ConfigUnreadable "CONFIG_UNREADABLE": "The configuration file can not be read or is not JSON.", "Check the path given with --config and the file's syntax.";
    ConfigInvalid "CONFIG_INVALID": "The configuration breaks its schema or contradicts itself.", "Correct each listed path; `spec` prints the schema.";
    CatalogInvalid "CATALOG_INVALID": "The configured catalog can not be read, is empty, or contradicts itself.", "Check the file given with --catalog; select at least one stream.";
    StreamUnresolved "STREAM_UNRESOLVED": "It is not known which ChartMogul object a stream becomes.", "Name the stream after an object, or set `object` in its `streams` entry.";
    MatchingKey "MATCHING_KEY": "The matching key chosen for a stream is none that its object offers.", "Choose one of the listed keys.";
    FieldUnmapped "FIELD_UNMAPPED": "A field that the operation requires is not among the mapped fields.", "Map a source column to it.";
    ModeNotSupported "MODE_NOT_SUPPORTED": "The object can not be written in the stream's mode.", "Choose one of the modes that the message lists.";
    NotWritable "NOT_WRITABLE": "A stream of ChartMogul's export holds rows that the API does not take, since ChartMogul computes them or keeps them with others.", "Take the stream out of the sync; the message names what to load.";
    DeletionsIgnored "DELETIONS_IGNORED": "A stream asks for soft_delete while the deletion policy is not `delete`.", "Set `deletions` to the policy `delete`, or choose another sync mode.";
    DeleteLimit "DELETE_LIMIT": "The next deletion, or with the policy `mirror` all of them together, would pass a limit of the deletion policy.", "Check that the source really means it; then raise `max_deletes` or `max_percent`.";
    RejectLimit "REJECT_LIMIT": "More records were rejected than `stop_when_rejected` allows.", "Look in the log for why they were rejected and correct the source or the configuration; then raise the limit, or run the sync again: everything before the last STATE stands.";
    KeyRefused "KEY_REFUSED": "ChartMogul does not know the API key.", "Copy an active key from your ChartMogul profile (Settings, API keys).";
    KeyReadOnly "KEY_READ_ONLY": "The API key may read but not write, or the account's plan does not allow it.", "Create a key with read and write access; check that the ChartMogul trial has not ended.";
    PaymentRequired "PAYMENT_REQUIRED": "ChartMogul answered that the account may not do this (402).", "Check the account's subscription in ChartMogul.";
    DataSourceUnknown "DATA_SOURCE_UNKNOWN": "The configured data source does not exist in the account.", "Use the UUID of one of the listed data sources.";
    BaseUrlWrong "BASE_URL_WRONG": "The address answers, but not like ChartMogul's API.", "Check `base_url`; it ends in /v1.";
    StoreRefused "STORE_REFUSED": "Rejected records or receipts can not be kept where the configuration says: the bucket, the folder or the webhook refuses them.", "Check `object_storage_config` and `receipts`: the bucket or folder must exist and may be written to, keys and region must be right, and the webhook must answer with a 2xx; then run the sync again: everything before the last STATE is safe.";
    RejectsUnreadable "REJECTS_UNREADABLE": "Files of rejected records, or rows of them, can not be read back.", "Look at the paths, files and rows that are named: they may be mistyped, cut off, or no rejected records at all. Correct them or take them away, then run the replay again.";
    ReplayUnresolved "REPLAY_UNRESOLVED": "The files do not tell how a stream's records were to be written, or tell it in several ways.", "Give the catalog that is to count with `--catalog`, or replay folder by folder.";
    ReplayRunning "REPLAY_RUNNING": "Another replay of the same folder is under way.", "Wait until it has ended.";
    ReplayNotNoted "REPLAY_NOT_NOTED": "What was sent again can not be noted beside the files of rejected records, so that nothing may be sent.", "Make the folder writable, or free the disk; or copy the files, with their `replayed.log`, to where they can be written.";
    SocketMode "SOCKET_MODE": "The platform asked for socket mode, which this destination does not speak.", "Run it in STDIO mode.";
    Usage "USAGE": "The command line is not understood.", "`--help` shows the commands and their options.";
    PortUnusable "PORT_UNUSABLE": "The sandbox can not listen on its port.", "Choose another one with `--port`, or stop what holds it; `--port 0` takes any free one.";
    // What may pass by itself: transient_error.
    HostUnreachable "HOST_UNREACHABLE": "ChartMogul can not be reached over the network.", "Check DNS, proxy and firewall; the sync can be run again.";
    ApiOutage "API_OUTAGE": "ChartMogul did not answer properly for longer than `give_up_after_minutes`.", "Run the sync again later; everything before the last STATE is safe.";
    StoreUnavailable "STORE_UNAVAILABLE": "Rejected records or receipts could not be kept for longer than `give_up_after_minutes`: the bucket or the webhook did not answer properly, or the disk is full.", "Look for its outage, or free the disk, then run the sync again: everything before the last STATE is safe.";
    AnswerLost "ANSWER_LOST": "A write was sent, its answer was lost, and what became of it could not be found out.", "Run the sync again: the record is looked up before it is written again. Not so a record of `api_requests`, which is sent again as it is: look in ChartMogul first whether it was done.";
    ImportUnsettled "IMPORT_UNSETTLED": "What became of a bulk import could not be found out, so that none of its records may be sent again yet.", "Run the sync again later: it waits until ChartMogul has processed all that was imported, and then writes what is absent. Set `bulk_import` to `never` if it happens again.";
    InputIncomplete "INPUT_INCOMPLETE": "The input ended before every stream was complete.", "Look for the failure of the source; the sync can be run again.";
    CheckTimeout "CHECK_TIMEOUT": "The command did not finish within its time limit.", "Check the network between this machine and ChartMogul.";
    // Broken protocol or bugs: system_error.
    InputMalformed "INPUT_MALFORMED": "A line of the input is not an Airbyte message, or the input can not be read.", "Look at what the source or the orchestrator printed on the line that is named; where none is, at what stdin was connected to.";
    InputTooLong "INPUT_TOO_LONG": "A line of the input is longer than is read.", "Leave large columns out of the sync.";
    StreamUnknown "STREAM_UNKNOWN": "A record or status names a stream that is not in the configured catalog.", "Refresh the connection's schema.";
    StateMixed "STATE_MIXED": "STREAM states and GLOBAL states came in one sync.", "Report it to the maker of the source: one sync uses one kind.";
    ParkingFull "PARKING_FULL": "Too many records wait for parents that have not come.", "Sync the customers before their children.";
    ParkingDisk "PARKING_DISK": "The temporary file for records that wait for their parents can not be used.", "Give the folder of temporary files (TMPDIR) more room and the right to write, or sync the customers before their children.";
    StdoutClosed "STDOUT_CLOSED": "Our output is not taken any more: its reader went away, or the disk that it goes to is full.", "Look for the failure of the orchestrator, or free the disk.";
    UnexpectedAnswer "UNEXPECTED_ANSWER": "ChartMogul answered in a form that is not understood.", "Report it to the maintainers with the log.";
    Internal "INTERNAL": "A bug in this destination.", "Report it to the maintainers with the log.";
}

impl Code {
    /// The code that is meant by what a person typed, in any case and with hyphens for underscores.
    pub fn find(typed: &str) -> Option<Self> {
        let typed = normal(typed);
        CODES.iter().copied().find(|code| code.as_str() == typed)
    }

    /// The code most like what was typed.
    pub fn nearest(typed: &str) -> Self {
        let typed = normal(typed);
        let likeness = |code: &Self| strsim::jaro_winkler(&typed, code.as_str());
        CODES.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(Self::Internal)
    }
}

fn normal(typed: &str) -> String {
    typed.trim().replace('-', "_").to_ascii_uppercase()
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        for typed in ["KEY_REFUSED", "key_refused", " Key-Refused "] {
            assert_eq!(Code::find(typed), Some(Code::KeyRefused), "{typed}");
        }
        assert_eq!(Code::find("KEY"), None);
        assert_eq!(Code::find(""), None);
        for (typed, meant) in
            [("key_refuse", Code::KeyRefused), ("parent-not-fond", Code::ParentNotFound), ("DELET_LIMIT", Code::DeleteLimit)]
        {
            assert_eq!(Code::nearest(typed), meant, "{typed}");
        }
    }

    #[test]
    fn codes_are_unique_upper_snake_and_every_one_says_cause_and_remedy() {
        let mut names: Vec<&str> = CODES.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
        for code in CODES {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code}");
            assert!(code.cause().ends_with('.') && code.remedy().ends_with('.'), "{code}");
        }
    }
}
