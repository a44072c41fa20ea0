//! Where rejected records and receipts are kept: what is typed, and what it means.
//!
//! Keys, words and defaults of `object_storage_config` are Airbyte's own, since its platform reads them too; `Local` and
//! `receipts` are ours.

use std::time::Duration;

use reqwest::Url;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::problem::{Problem, joined};
use crate::store::{
    Access, Bucket, FILE_NAME_FORMAT, Format, Hook, Keeping, PATH_FORMAT, Place, Receipts, Rejects, check_file_name_format,
    check_path_format,
};

/// Airbyte's list, the empty text among it.
const REGIONS: [&str; 35] = [
    "",
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "sa-saopaulo-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "storage_type")]
pub(super) enum TypedStorage {
    #[default]
    #[schemars(title = "None", description = "Rejected records are counted and logged, not kept.")]
    None,
    #[schemars(
        title = "S3",
        description = "Rejected records are kept in a bucket of S3, or of a service that speaks its protocol.",
        extend("additionalProperties" = false)
    )]
    S3 {
        #[serde(flatten)]
        bucket: TypedBucket,
        #[serde(flatten)]
        form: TypedForm,
    },
    #[schemars(
        title = "Local",
        description = "Rejected records are kept in a folder of the machine that runs the sync.",
        extend("additionalProperties" = false)
    )]
    Local {
        #[serde(flatten)]
        folder: TypedFolder,
        #[serde(flatten)]
        form: TypedForm,
    },
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "storage_type")]
pub(super) enum TypedReceipts {
    #[default]
    #[schemars(title = "None", description = "No receipts are written.")]
    None,
    #[schemars(
        title = "S3",
        description = "Receipts are kept in a bucket of S3, or of a service that speaks its protocol.",
        extend("additionalProperties" = false)
    )]
    S3 {
        #[serde(flatten)]
        bucket: TypedBucket,
    },
    #[schemars(
        title = "Local",
        description = "Receipts are kept in a folder of the machine that runs the sync.",
        extend("additionalProperties" = false)
    )]
    Local {
        #[serde(flatten)]
        folder: TypedFolder,
    },
    #[schemars(
        title = "Webhook",
        description = "Receipts are sent to an address, in batches by POST.",
        extend("additionalProperties" = false)
    )]
    Webhook {
        #[schemars(
            title = "Address",
            description = "It gets JSON Lines by POST; a batch counts as taken when it answers with any 2xx.",
            regex(pattern = r"^https?://\S+$"),
            extend("pattern_descriptor" = "an address that begins with https:// or http://", "examples" = ["https://hooks.example.com/receipts"])
        )]
        url: String,
        #[serde(default)]
        #[schemars(
            title = "Authorization",
            description = "Value of the header Authorization, where the address asks for one.",
            with = "String",
            extend("airbyte_secret" = true, "always_show" = true, "examples" = ["Bearer YOUR_TOKEN"])
        )]
        authorization: Option<String>,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct TypedBucket {
    #[serde(default)]
    #[schemars(
        title = "Access Key ID",
        description = "The ID of an access key that may read and write in the bucket. Where it is absent, the machine's own credentials are used.",
        with = "String",
        extend("airbyte_secret" = true, "always_show" = true, "examples" = ["A012345678910EXAMPLE"])
    )]
    access_key_id: Option<String>,

    #[serde(default)]
    #[schemars(
        title = "Secret Access Key",
        description = "The secret that belongs to the access key ID.",
        with = "String",
        extend("airbyte_secret" = true, "always_show" = true, "examples" = ["a012345678910ABCDEFGH/AbCdEfGhEXAMPLEKEY"])
    )]
    secret_access_key: Option<String>,

    #[serde(default)]
    #[schemars(
        title = "Role ARN",
        description = "The ARN of an AWS role to take on first.",
        with = "String",
        extend("examples" = ["arn:aws:iam::123456789:role/ExternalIdIsYourWorkspaceId"])
    )]
    role_arn: Option<String>,

    #[schemars(
        title = "S3 Bucket Name",
        description = "The name of the bucket.",
        length(min = 1),
        extend("examples" = ["airbyte_sync"])
    )]
    s3_bucket_name: String,

    #[serde(default)]
    #[schemars(
        title = "S3 Bucket Region",
        description = "The region of the bucket; empty where the service has none.",
        schema_with = "regions",
        extend("examples" = ["us-east-1"])
    )]
    s3_bucket_region: String,

    #[serde(default)]
    #[schemars(
        title = "S3 Endpoint",
        description = "The address of a service other than AWS that speaks S3's protocol.",
        with = "String",
        extend("examples" = ["http://localhost:9000"])
    )]
    s3_endpoint: Option<String>,

    #[serde(default)]
    #[schemars(
        title = "Prefix Path in the Bucket",
        description = "All files in the bucket begin with this path.",
        extend("examples" = ["prefix/"])
    )]
    bucket_path: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct TypedFolder {
    #[schemars(
        title = "Folder",
        description = "The folder; made where it does not exist.",
        length(min = 1),
        extend("examples" = ["/local/chartmogul"])
    )]
    path: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct TypedForm {
    #[serde(default)]
    #[schemars(
        title = "Output Format",
        description = "Format of the files.",
        extend("type" = "object", "airbyte_hidden" = true, "examples" = [{"format_type": "JSONL", "flattening": "No flattening"}])
    )]
    format: TypedFormat,

    #[serde(default)]
    #[schemars(
        title = "Compression",
        description = "Whether the files are compressed; the name of one that is ends in .gz.",
        extend("type" = "object", "airbyte_hidden" = true, "examples" = [{"compression_type": "GZIP"}])
    )]
    compression: TypedCompression,

    #[serde(default = "path_format")]
    #[schemars(
        title = "Path Format",
        description = "The folder of a stream's files. Airbyte links to the files of a sync only while {sync_id} stands first.",
        extend("airbyte_hidden" = true, "examples" = ["{sync_id}/{namespace}/{stream_name}/{year}_{month}_{day}/"])
    )]
    path_format: String,

    #[serde(default = "file_name_format")]
    #[schemars(
        title = "File Name Format",
        description = "The name of a file; {timestamp} and {part_number} keep one from being written over another.",
        extend("airbyte_hidden" = true, "examples" = ["{date:yyyy_MM}_{timestamp}_{part_number}{format_extension}"])
    )]
    file_name_format: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "format_type")]
enum TypedFormat {
    #[serde(rename = "CSV")]
    #[schemars(title = "CSV: Comma-Separated Values", description = "A header, then a row for each record.", extend("additionalProperties" = false))]
    Csv {
        #[serde(default)]
        #[schemars(title = "Flattening", description = "Whether the members of the data are columns of their own.", extend("examples" = ["No flattening"]))]
        flattening: Flattening,
    },
    #[serde(rename = "JSONL")]
    #[schemars(title = "JSON Lines: Newline-delimited JSON", description = "A line for each record.", extend("additionalProperties" = false))]
    Jsonl {
        #[serde(default)]
        #[schemars(title = "Flattening", description = "Whether the members of the data are members of the line itself.", extend("examples" = ["No flattening"]))]
        flattening: Flattening,
    },
}

impl Default for TypedFormat {
    fn default() -> Self {
        Self::Csv { flattening: Flattening::default() }
    }
}

#[derive(Default, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Flattening {
    #[default]
    #[serde(rename = "No flattening")]
    No,
    #[serde(rename = "Root level flattening")]
    Root,
}

#[derive(Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "compression_type")]
enum TypedCompression {
    #[default]
    #[serde(rename = "No Compression")]
    #[schemars(title = "No Compression", description = "Files are plain text.")]
    No,
    #[serde(rename = "GZIP")]
    #[schemars(title = "GZIP", description = "Files are compressed with gzip.")]
    Gzip,
}

fn regions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": REGIONS.to_vec()})
}

fn path_format() -> String {
    PATH_FORMAT.to_owned()
}

fn file_name_format() -> String {
    FILE_NAME_FORMAT.to_owned()
}

/// What both together mean, noting all that is wrong.
pub(super) fn understand(
    storage: TypedStorage,
    receipts: TypedReceipts,
    patience: Duration,
    problems: &mut Vec<Problem>,
) -> Keeping {
    const STORAGE: &str = "object_storage_config";
    const RECEIPTS: &str = "receipts";
    let rejects = match storage {
        TypedStorage::None => None,
        TypedStorage::S3 { bucket, form } => {
            let place = Place::S3(bucket.understand(STORAGE, problems));
            Some(form.understand(place, STORAGE, problems))
        }
        TypedStorage::Local { folder, form } => {
            let place = Place::Local(folder.path.into());
            Some(form.understand(place, STORAGE, problems))
        }
    };
    let receipts = match receipts {
        TypedReceipts::None => None,
        TypedReceipts::S3 { bucket } => Some(Receipts::Files(Place::S3(bucket.understand(RECEIPTS, problems)))),
        TypedReceipts::Local { folder } => Some(Receipts::Files(Place::Local(folder.path.into()))),
        TypedReceipts::Webhook { url, authorization } => {
            address(&url, &joined(RECEIPTS, "url"), "The key goes into `authorization`.", problems);
            let authorization = given(authorization);
            if authorization.as_ref().is_some_and(|value| !value.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
                let text = "must hold letters, digits and signs of ASCII only, and no line end.";
                problems.push(Problem::new(joined(RECEIPTS, "authorization"), text));
            }
            Some(Receipts::Webhook(Hook { url, authorization: authorization.map(Into::into) }))
        }
    };
    Keeping { rejects, receipts, patience }
}

/// What a form leaves empty is absent.
fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Whatever is wrong with it, it is not printed: it may hold a password.
fn address(text: &str, path: &str, where_to: &str, problems: &mut Vec<Problem>) {
    match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => {
            if !url.username().is_empty() || url.password().is_some() {
                problems.push(Problem::new(path, format!("must not hold a user name or password. {where_to}")));
            }
        }
        _ => problems.push(Problem::new(path, "is no address that begins with https:// or http://.")),
    }
}

impl TypedBucket {
    fn understand(self, path: &str, problems: &mut Vec<Problem>) -> Bucket {
        let endpoint = given(self.s3_endpoint);
        if let Some(endpoint) = &endpoint {
            let path = joined(path, "s3_endpoint");
            address(endpoint, &path, "The keys go into `access_key_id` and `secret_access_key`.", problems);
        }
        let access = match (given(self.access_key_id), given(self.secret_access_key)) {
            (Some(id), Some(secret)) => Some(Access { id: id.into(), secret: secret.into() }),
            (None, None) => None,
            (id, _) => {
                let (missing, there) = match id {
                    Some(_) => ("secret_access_key", "access_key_id"),
                    None => ("access_key_id", "secret_access_key"),
                };
                problems.push(Problem::new(joined(path, missing), format!("is missing, while `{there}` is given.")));
                None
            }
        };
        if let Some(wrong) = check_path_format(&self.bucket_path) {
            problems.push(Problem::new(joined(path, "bucket_path"), wrong));
        }
        Bucket {
            access,
            role_arn: given(self.role_arn),
            name: self.s3_bucket_name,
            region: given(Some(self.s3_bucket_region)),
            endpoint,
            prefix: self.bucket_path,
        }
    }
}

impl TypedForm {
    fn understand(self, place: Place, path: &str, problems: &mut Vec<Problem>) -> Rejects {
        let wrong = [
            ("path_format", check_path_format(&self.path_format)),
            ("file_name_format", check_file_name_format(&self.file_name_format)),
        ];
        problems.extend(wrong.into_iter().filter_map(|(key, wrong)| Some(Problem::new(joined(path, key), wrong?))));
        let (format, flattening) = match self.format {
            TypedFormat::Csv { flattening } => (Format::Csv, flattening),
            TypedFormat::Jsonl { flattening } => (Format::Jsonl, flattening),
        };
        Rejects {
            place,
            format,
            flattened: flattening == Flattening::Root,
            gzip: self.compression == TypedCompression::Gzip,
            path_format: self.path_format,
            file_name_format: self.file_name_format,
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::super::settings::Settings;
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn load(more: Value) -> Result<Keeping, String> {
        let mut config = json!({"api_key": "0123456789", "data_source_uuid": "ds_fef05d54-47b4-431b-aed2-eb6b9e545430"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Settings::load(&config.to_string(), None).map(|settings| settings.keeping).map_err(|failure| failure.message)
    }

    #[test]
    fn nothing_is_kept_unless_it_is_asked_for() {
        for nothing in [
            json!({}),
            json!({"object_storage_config": null, "receipts": null}),
            json!({"object_storage_config": {"storage_type": "None"}, "receipts": {"storage_type": "None"}}),
            // A form may leave the fields of the other choice behind.
            json!({"object_storage_config": {"storage_type": "None", "s3_bucket_name": "b"}}),
        ] {
            let keeping = load(nothing).unwrap();
            assert!(keeping.rejects.is_none() && keeping.receipts.is_none());
        }
    }

    #[test]
    fn a_bucket_is_understood_with_airbytes_defaults_for_what_its_form_hides() {
        let keeping = load(json!({
            "object_storage_config": {"storage_type": "S3", "access_key_id": "AKID", "secret_access_key": "SECRET",
                "s3_bucket_name": "b", "s3_bucket_region": "", "s3_endpoint": "", "bucket_path": "p/", "role_arn": " "},
            "receipts": {"storage_type": "S3", "s3_bucket_name": "r", "s3_bucket_region": "eu-west-1",
                "s3_endpoint": "http://localhost:9000", "role_arn": "arn:aws:iam::1:role/x"}
        }))
        .unwrap();
        let rejects = keeping.rejects.as_ref().unwrap();
        assert_eq!((rejects.format, rejects.flattened, rejects.gzip), (Format::Csv, false, false));
        assert_eq!((&*rejects.path_format, &*rejects.file_name_format), (PATH_FORMAT, FILE_NAME_FORMAT));
        let Place::S3(bucket) = &rejects.place else { panic!() };
        assert_eq!((&*bucket.name, &*bucket.prefix, &bucket.region, &bucket.endpoint), ("b", "p/", &None, &None));
        assert_eq!((bucket.access.as_ref().unwrap().id.expose_secret(), &bucket.role_arn), ("AKID", &None));
        assert_eq!(keeping.secrets().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), ["AKID", "SECRET"]);
        assert!(!format!("{keeping:?}").contains("SECRET"));
        let Some(Receipts::Files(Place::S3(bucket))) = &keeping.receipts else { panic!() };
        assert_eq!((bucket.region.as_deref(), bucket.endpoint.as_deref()), (Some("eu-west-1"), Some("http://localhost:9000")));
        assert!(bucket.access.is_none() && bucket.role_arn.is_some());
    }

    #[test]
    fn forms_of_files_and_webhooks_are_understood() {
        let keeping = load(json!({
            "object_storage_config": {"storage_type": "Local", "path": "/x", "compression": {"compression_type": "GZIP"},
                "format": {"format_type": "JSONL", "flattening": "Root level flattening"}},
            "receipts": {"storage_type": "Webhook", "url": "https://h.example/r", "authorization": "Bearer t"}
        }))
        .unwrap();
        let rejects = keeping.rejects.as_ref().unwrap();
        assert_eq!((rejects.format, rejects.flattened, rejects.gzip), (Format::Jsonl, true, true));
        assert_eq!(keeping.secrets().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), ["Bearer t"]);
        // The default of Airbyte's form is the bare word.
        let keeping = load(json!({"object_storage_config": {"storage_type": "Local", "path": "/x", "format": "JSONL"}})).unwrap();
        assert_eq!(keeping.rejects.unwrap().format, Format::Jsonl);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let refused = |more| load(more).unwrap_err();
        insta::assert_snapshot!(refused(json!({
            "object_storage_config": {"storage_type": "S3", "s3_bucket_name": "", "s3_bucket_region": "mars", "bucket": "b",
                "format": {"format_type": "AVRO"}},
            "receipts": {"storage_type": "Disk"}
        })));
        insta::assert_snapshot!(refused(json!({
            "object_storage_config": {"storage_type": "S3", "s3_bucket_name": "b", "access_key_id": "a", "s3_endpoint": "http://u:p@h",
                "path_format": "{stream}/", "file_name_format": "{date}"},
            "receipts": {"storage_type": "Webhook", "url": "http://u:p@h/", "authorization": "a\nb"}
        })));
    }
}
