//! The whole room: what is put in, what is durable when, what can be read back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use super::*;
use crate::errors::Code;
use crate::outcome::{Fault, Outcome, Skip};

/// A directory that goes when its owner goes.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("destination-chartmogul-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 2024-03-05T06:07:08.009Z
const NOW: i64 = 1_709_618_828_009;
const PATIENCE: Duration = Duration::from_secs(2);

fn job() -> Job {
    let stream = |namespace: Option<&str>, name: &str| StreamFacts {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        sync_id: Some(7),
        generation_id: Some(3),
        catalog: r#"{"destination_sync_mode":"append"}"#.into(),
    };
    Job {
        streams: vec![stream(Some("shop"), "users"), stream(None, "plans")],
        worker_job_id: None,
        clock: Arc::new(|| NOW),
        ids: random_ids(),
    }
}

fn rejects(path: &Path, format: Format, flattened: bool, gzip: bool) -> Rejects {
    Rejects {
        place: Place::Local(path.to_owned()),
        format,
        flattened,
        gzip,
        path_format: PATH_FORMAT.to_owned(),
        file_name_format: FILE_NAME_FORMAT.to_owned(),
    }
}

fn keeping(rejects: Option<Rejects>, receipts: Option<Receipts>) -> Keeping {
    Keeping { rejects, receipts, patience: PATIENCE }
}

fn origin(data: &str) -> Origin {
    Origin { data: data.into(), emitted_at: Some(5), changes: Some("[{\"field\":\"a\",\"change\":\"NULLED\"}]".into()) }
}

fn rejection() -> Rejection {
    let faults = vec![Fault::field(Code::FieldValue, "email", "is no address"), Fault::record(Code::KeyMissing, "has no key")];
    Rejection { faults, http_status: Some(422) }
}

async fn until_durable(store: &mut Store) -> Result<(), Failure> {
    let mark = store.mark();
    store.want(mark);
    while !store.is_durable(mark) {
        store.progress().await?;
    }
    Ok(())
}

fn all_kept(path: &Path) -> Vec<reader::Kept> {
    reader::files(path).unwrap().iter().flat_map(|file| reader::read(file).unwrap()).collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn rejected_records_come_back_from_every_format_as_they_went_in() {
    let odd = r#"{"a":"comma, \"quote\" and\nline","n":1234567890123456789012,"ü":[1.10]}"#;
    for (format, flattened, gzip) in
        [(Format::Csv, false, false), (Format::Csv, true, true), (Format::Jsonl, false, true), (Format::Jsonl, true, false)]
    {
        let directory = Directory::new();
        let mut store = Store::open(&keeping(Some(rejects(&directory.0, format, flattened, gzip)), None), job()).unwrap();
        store.reject(0, 11, Some(&origin(odd)), &rejection());
        let mark = store.reject(1, 12, Some(&origin("[]")), &rejection());
        assert!(!store.is_durable(mark) && store.has_work() && store.has_room());
        store.want(mark);
        store.progress().await.unwrap();
        assert!(store.is_durable(mark) && !store.has_work());
        store.reject(0, 13, None, &rejection());
        until_durable(&mut store).await.unwrap();

        let files = reader::files(&directory.0).unwrap();
        let extension = format!("{}{}", if format == Format::Csv { ".csv" } else { ".jsonl" }, if gzip { ".gz" } else { "" });
        let names: Vec<&Path> = files.iter().map(|file| file.strip_prefix(&directory.0).unwrap()).collect();
        let expected = [format!("7/plans/2024_03_05_{NOW}_0{extension}"), format!("7/shop/users/2024_03_05_{NOW}_0{extension}")];
        assert_eq!(names, expected.iter().map(Path::new).collect::<Vec<_>>(), "a small file grows");
        let kept = all_kept(&directory.0);
        let got: Vec<_> = kept.iter().map(|kept| (kept.namespace.as_deref(), &*kept.stream, &*kept.data, kept.line)).collect();
        assert_eq!(got, [(None, "plans", "[]", 12), (Some("shop"), "users", odd, 11), (Some("shop"), "users", "null", 13)]);
        assert!(kept.iter().all(|kept| kept.code == "FIELD_VALUE"));
        assert_eq!((kept[0].emitted_at, kept[2].emitted_at), (5, NOW));
        // Files are called as `file_name_format` says.
        let mut named = files;
        for name in ["rows", "rows.txt", "rows.CSV", "rows.jsonl.0"] {
            for file in &mut named {
                let other = file.with_file_name(name);
                std::fs::rename(&*file, &other).unwrap();
                *file = other;
            }
            assert_eq!(all_kept(&directory.0), kept, "{name}");
        }
    }
}

#[tokio::test]
async fn a_row_has_airbytes_columns_and_the_reason_beside_the_record() {
    let directory = Directory::new();
    let settings = rejects(&directory.0, Format::Jsonl, false, false);
    let row = rows::reject(
        &settings,
        &job().streams[0],
        11,
        Some(&origin(r#"{"x": 1}"#)),
        &rejection(),
        &Stamp { raw_id: Uuid::from_u128(1), now: NOW },
    );
    let row: Value = serde_json::from_slice(&row).unwrap();
    assert_eq!(
        row,
        json!({
            "_airbyte_raw_id": "00000000-0000-0000-0000-000000000001", "_airbyte_extracted_at": 5, "_airbyte_generation_id": 3,
            "_airbyte_meta": {"sync_id": 7, "changes": [{"field": "a", "change": "NULLED"}], "namespace": "shop", "stream": "users",
                "catalog": {"destination_sync_mode": "append"}},
            "_airbyte_data": {"record": {"x": 1}, "line": 11, "error": {"code": "FIELD_VALUE", "field": "email",
                "message": "email: is no address; has no key", "http_status": 422}}
        })
    );
    let csv = |flattened| String::from_utf8(rows::header(&rejects(&directory.0, Format::Csv, flattened, false))).unwrap();
    let always = "_airbyte_raw_id,_airbyte_extracted_at,_airbyte_meta,_airbyte_generation_id";
    assert_eq!(csv(false), format!("{always},_airbyte_data\r\n"));
    assert_eq!(csv(true), format!("{always},record,error,line\r\n"));
}

#[test]
fn a_receipt_says_what_became_of_a_record() {
    let rejected = Outcome::Rejected(rejection());
    let line = |outcome: &Outcome, key: &str, uuid: Option<&str>| {
        let receipt = Receipt { line: 4, object: "customers", key, outcome, uuid, attempts: 2, http_status: Some(201) };
        let line = String::from_utf8(rows::receipt(&job().streams[1], &receipt)).unwrap();
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        line
    };
    assert_eq!(
        line(&Outcome::Created, "c-1", Some("cus_1")),
        "{\"line\":4,\"namespace\":null,\"stream\":\"plans\",\"object\":\"customers\",\"key\":\"c-1\",\"outcome\":\"created\",\
         \"reason\":null,\"uuid\":\"cus_1\",\"attempts\":2,\"http_status\":201,\"code\":null}\n"
    );
    let skipped: Value = serde_json::from_str(&line(&Outcome::Skipped(Skip::NoMatch), "", None)).unwrap();
    assert_eq!((&skipped["reason"], &skipped["key"], &skipped["code"]), (&json!("no_match"), &Value::Null, &Value::Null));
    let rejected: Value = serde_json::from_str(&line(&rejected, "", None)).unwrap();
    assert_eq!((&rejected["code"], &rejected["http_status"]), (&json!("FIELD_VALUE"), &json!(422)));
    assert_eq!(rejected["reason"], "email: is no address; has no key");
}

fn receipt(line: u64) -> Receipt<'static> {
    Receipt { line, object: "plans", key: "k", outcome: &Outcome::Unchanged, uuid: None, attempts: 0, http_status: None }
}

fn lines_of(text: &str) -> Vec<u64> {
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn receipts_stand_in_order_in_files_that_grow_and_then_follow_each_other() {
    let directory = Directory::new();
    let receipts = Receipts::Files(Place::Local(directory.0.join("r")));
    let mut store = Store::open(&keeping(None, Some(receipts)), job()).unwrap();
    for line in 1..=4000 {
        store.receipt((line % 2) as usize, &receipt(line));
        if line % 100 == 0 {
            until_durable(&mut store).await.unwrap();
        }
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory.0.join("r/7")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!((2..20).contains(&files.len()), "{files:?}");
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(lines_of(&text), (1..=4000).collect::<Vec<_>>());
    assert!(reader::files(&directory.0).unwrap().is_empty(), "receipts are no rejected records");
}

/// A folder with rejected records of two streams, one of them twice.
async fn with_rejects() -> Directory {
    let directory = Directory::new();
    let settings = rejects(&directory.0.join("k"), Format::Jsonl, false, false);
    let mut store = Store::open(&keeping(Some(settings), None), job()).unwrap();
    for line in [11, 12] {
        store.reject(0, line, Some(&origin("{}")), &rejection());
    }
    store.reject(1, 13, Some(&origin("[]")), &rejection());
    until_durable(&mut store).await.unwrap();
    directory
}

#[tokio::test]
async fn what_is_noted_is_left_out_and_nothing_else_is() {
    let directory = with_rejects().await;
    let path = directory.0.join("k");
    let replay = Replay::open(&path).unwrap();
    assert_eq!((replay.entries().len(), replay.done(), replay.files(), replay.unread()), (3, 0, 2, None));
    let lines: Vec<u64> = replay.rows().map(|kept| kept.unwrap().line).collect();
    assert_eq!(lines, [13, 11, 12]);
    let told: Vec<&str> = replay.streams().iter().map(|stream| &*stream.name).collect();
    assert_eq!(told, ["plans", "users"]);
    assert_eq!(Replay::open(&path.join("7/plans")).unwrap_err().code, Code::ReplayRunning);
    let mut store = Store::open(&keeping(None, None), job()).unwrap().noting(&replay);
    let mark = store.done(3, Mark::default());
    assert!(!store.is_durable(mark), "not before it is written");
    until_durable(&mut store).await.unwrap();
    drop((store, replay));

    // A crash left half a line, which is no id; what comes after it begins anew.
    let journal = path.join("7/shop/users").join(journal::NAME);
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, format!("{text}00000000-0000-4000-8000-00000000")).unwrap();
    let replay = Replay::open(&path).unwrap();
    assert_eq!((replay.entries().len(), replay.done()), (2, 1));
    let mut store = Store::open(&keeping(None, None), job()).unwrap().noting(&replay);
    let all = [1, 2].map(|line| store.done(line, Mark::default()));
    until_durable(&mut store).await.unwrap();
    assert!(all.iter().all(|mark| store.is_durable(*mark)) && !store.has_work());
    drop((store, replay));
    let replay = Replay::open(&path).unwrap();
    assert_eq!((replay.entries().len(), replay.done(), replay.streams().len()), (0, 3, 0));
}

#[tokio::test]
async fn nothing_is_noted_as_done_whose_receipt_is_not_durable() {
    let directory = with_rejects().await;
    let (path, file) = (directory.0.join("k"), directory.0.join("file"));
    std::fs::write(&file, "x").unwrap();
    let done = || Replay::open(&path).unwrap().done();
    for (place, durable) in [(file, false), (directory.0.join("r"), true)] {
        let replay = Replay::open(&path).unwrap();
        let receipts = Receipts::Files(Place::Local(place));
        let mut store = Store::open(&keeping(None, Some(receipts)), job()).unwrap().noting(&replay);
        let mark = store.receipt(0, &receipt(2));
        let mark = mark.and(store.done(2, mark));
        assert!(store.has_work() && !store.is_durable(mark));
        assert_eq!((until_durable(&mut store).await.is_ok(), store.is_durable(mark)), (durable, durable));
        drop((store, replay));
        assert_eq!(done(), u64::from(durable));
    }
    let receipts = std::fs::read_dir(directory.0.join("r/7")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(lines_of(&std::fs::read_to_string(receipts).unwrap()), [11], "of where it stood in its sync");
}

#[tokio::test]
async fn what_changes_while_it_is_replayed_is_no_other_record() {
    let directory = with_rejects().await;
    let replay = Replay::open(&directory.0.join("k")).unwrap();
    let users = replay.file(&replay.entries()[1]).to_owned();
    let text = std::fs::read_to_string(&users).unwrap();
    let (first, second) = text.split_at(text.find('\n').unwrap() + 1);
    std::fs::write(&users, format!("{second}{first}")).unwrap();
    assert_eq!(replay.rows().map(|kept| kept.map(|kept| kept.line)).collect::<Vec<_>>(), [Some(13), None, None]);
    std::fs::write(&users, format!("{text}{text}")).unwrap();
    assert_eq!(replay.rows().flatten().map(|kept| kept.line).collect::<Vec<_>>(), [13, 11, 12]);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_written_alone() {
    let directory = Directory::new();
    let mut store = Store::open(&keeping(Some(rejects(&directory.0, Format::Csv, false, false)), None), job()).unwrap();
    let before = store.mark();
    let mark = store.reject(0, 1, None, &rejection());
    assert!(store.is_durable(before) && !store.is_durable(mark) && mark == store.mark() && mark.and(before) == mark);
    // Nobody waits for it: it is not written alone.
    tokio::select! {
        biased;
        _ = store.progress() => panic!("written alone"),
        () = tokio::task::yield_now() => {}
    }
    assert!(reader::files(&directory.0).unwrap().is_empty());
}

#[tokio::test]
async fn a_folder_that_can_not_be_made_is_a_refusal() {
    let directory = Directory::new();
    std::fs::write(directory.0.join("file"), "x").unwrap();
    let settings = rejects(&directory.0.join("file/within"), Format::Csv, false, false);
    let keeping = keeping(Some(settings), None);
    let mut store = Store::open(&keeping, job()).unwrap();
    store.reject(0, 1, None, &rejection());
    let failure = until_durable(&mut store).await.unwrap_err();
    assert_eq!(failure.code, Code::StoreRefused);
    assert!(failure.message.starts_with("Rejected records could not be kept in the folder /"), "{failure}");
    assert_eq!(probe(&keeping, PATIENCE * 5).await, [failure]);
}

#[tokio::test]
async fn a_probe_leaves_nothing_behind() {
    let directory = Directory::new();
    let settings = rejects(&directory.0.join("a/b"), Format::Csv, false, false);
    let there = Receipts::Files(Place::Local(directory.0.clone()));
    assert_eq!(probe(&keeping(Some(settings), Some(there)), PATIENCE).await, []);
    assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0);
}

#[tokio::test]
async fn files_that_hold_something_else_are_told_and_unfinished_ones_are_not_read() {
    let directory = Directory::new();
    let write = |name: &str, text: &str| std::fs::write(directory.0.join(name), text).unwrap();
    write("a.csv", "id,name\r\n1,Ann\r\n");
    write("b.jsonl", "{\"line\":1}\n{\"line\":2}\n");
    write("c.jsonl.tmp", "{\"_airbyte_");
    let files = reader::files(&directory.0).unwrap();
    assert_eq!(files.len(), 2);
    for (file, words) in files.iter().zip(["does not begin with the header of rejected records", "row 1: is no rejected record"])
    {
        let told = problems(file);
        assert!(told[0].contains(words) && !told[0].contains("Ann"), "{told:?}");
    }
    assert!(reader::files(&directory.0.join("absent")).is_err());
}

/// Of a file that nothing of can be read.
fn problems(file: &Path) -> Vec<String> {
    match reader::read(file) {
        Ok(rows) => rows.map(|row| row.unwrap_err().to_string()).collect(),
        Err(problem) => vec![problem.to_string()],
    }
}

#[tokio::test]
async fn no_file_is_taken_for_one_without_rejected_records() {
    for (format, gzip) in [(Format::Csv, false), (Format::Csv, true), (Format::Jsonl, false), (Format::Jsonl, true)] {
        let directory = Directory::new();
        let settings = |gzip| rejects(&directory.0, format, false, gzip);
        let mut store = Store::open(&keeping(Some(settings(gzip)), None), job()).unwrap();
        store.reject(0, 1, Some(&origin("{}")), &rejection());
        until_durable(&mut store).await.unwrap();
        let file = reader::files(&directory.0).unwrap().remove(0);
        let whole = std::fs::read(&file).unwrap();
        let header = rows::header(&settings(false));
        let mut broken = vec![Vec::new(), vec![0; 500], b"\xff\xfe_airbyte_raw_id\r\n".to_vec()];
        match (format, gzip) {
            (_, true) => {
                let mut unpacked = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*whole), &mut unpacked).unwrap();
                broken.extend([whole[..5].to_vec(), whole[..12].to_vec(), whole[..40].to_vec(), unpacked]);
            }
            (Format::Csv, _) => broken.extend([whole[..30].to_vec(), whole[header.len()..].to_vec()]),
            (Format::Jsonl, _) => broken.push(whole[..30].to_vec()),
        }
        for bytes in broken {
            std::fs::write(&file, &bytes).unwrap();
            let told = problems(&file);
            assert!(!told.is_empty() && told[0].starts_with(file.to_str().unwrap()), "{format:?} {gzip} {bytes:?}");
            assert!(!bytes.is_empty() || gzip || told[0].contains("is empty: it was cut off"), "{told:?}");
        }
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(all_kept(&directory.0).len(), 1);
    }
}

#[tokio::test]
async fn two_that_share_a_folder_in_the_same_moment_keep_all() {
    for format in [Format::Csv, Format::Jsonl] {
        let directory = Directory::new();
        let receipts = Receipts::Files(Place::Local(directory.0.join("r")));
        let keeping = keeping(Some(rejects(&directory.0.join("k"), format, false, false)), Some(receipts));
        let mut stores: Vec<Store> = (0..3).map(|_| Store::open(&keeping, job()).unwrap()).collect();
        for line in 1..=30 {
            let store = &mut stores[line % 3];
            store.reject(0, line as u64, Some(&origin("{}")), &rejection());
            store.receipt(0, &receipt(line as u64));
            until_durable(store).await.unwrap();
        }
        let mut lines: Vec<u64> = all_kept(&directory.0.join("k")).iter().map(|kept| kept.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, (1..=30).collect::<Vec<_>>());
        let texts = std::fs::read_dir(directory.0.join("r/7")).unwrap();
        let texts: Vec<String> = texts.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
        let mut lines = lines_of(&texts.concat());
        lines.sort_unstable();
        assert_eq!((texts.len(), lines), (3, (1..=30).collect()), "a file each, which grows");
    }
}

/// A bucket that knows conditions, or says that it does not.
#[derive(Clone)]
struct FakeBucket {
    objects: Arc<Mutex<std::collections::BTreeMap<String, String>>>,
    knows_conditions: bool,
    /// How many answers to a PUT get lost.
    lost: Arc<AtomicU64>,
}

impl FakeBucket {
    async fn new(knows_conditions: bool, lost: u64) -> (Self, Place) {
        let bucket = Self { objects: Arc::default(), knows_conditions, lost: Arc::new(AtomicU64::new(lost)) };
        let answer =
            async |State(bucket): State<Self>, method: http::Method, uri: http::Uri, headers: HeaderMap, body: String| {
                bucket.answer(&method, &uri, &headers, body)
            };
        let router = Router::new().fallback(answer).with_state(bucket.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let access = Some(Access { id: "id".into(), secret: "secret".into() });
        let (name, prefix) = ("b".to_owned(), "p".to_owned());
        (bucket, Place::S3(Bucket { access, role_arn: None, name, region: None, endpoint, prefix }))
    }

    fn answer(
        &self,
        method: &http::Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        body: String,
    ) -> (StatusCode, [(&'static str, &'static str); 2]) {
        let mut objects = self.objects.lock().unwrap();
        let key = uri.path().to_owned();
        let status = match () {
            () if method == "HEAD" && objects.contains_key(&key) => 200,
            () if method == "HEAD" => 404,
            () if headers.contains_key("if-none-match") && !self.knows_conditions => 501,
            () if headers.contains_key("if-none-match") && objects.contains_key(&key) => 412,
            _ => {
                objects.insert(key, body);
                let lost = self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |lost| lost.checked_sub(1));
                if lost.is_ok() { 503 } else { 200 }
            }
        };
        let headers = [("etag", "\"x\""), ("last-modified", "Tue, 05 Mar 2024 06:07:08 GMT")];
        (StatusCode::from_u16(status).unwrap(), headers)
    }

    fn rows(&self) -> Vec<u64> {
        let mut lines = lines_of(&self.objects.lock().unwrap().values().cloned().collect::<String>());
        lines.sort_unstable();
        lines
    }
}

#[tokio::test]
async fn two_that_share_a_bucket_in_the_same_moment_keep_all() {
    for knows_conditions in [true, false] {
        let (bucket, place) = FakeBucket::new(knows_conditions, 0).await;
        let keeping = keeping(None, Some(Receipts::Files(place)));
        let mut stores: Vec<Store> = (0..3).map(|_| Store::open(&keeping, job()).unwrap()).collect();
        for line in 1..=12 {
            stores[line % 3].receipt(0, &receipt(line as u64));
            until_durable(&mut stores[line % 3]).await.unwrap();
        }
        assert_eq!((bucket.rows(), bucket.objects.lock().unwrap().len()), ((1..=12).collect(), 3), "{knows_conditions}");
    }
}

#[tokio::test]
async fn what_a_bucket_took_without_saying_so_is_kept_twice_rather_than_not() {
    let (bucket, place) = FakeBucket::new(true, 1).await;
    let mut store = Store::open(&keeping(None, Some(Receipts::Files(place))), job()).unwrap();
    for line in 1..=2 {
        store.receipt(0, &receipt(line));
        until_durable(&mut store).await.unwrap();
    }
    assert_eq!(bucket.rows(), [1, 1, 2]);
}

/// What a webhook saw: its statuses to give, and the bodies and ids of all calls.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Calls>>);

type Calls = (Vec<u16>, Vec<(String, String)>);

async fn webhook(statuses: &[u16]) -> (Seen, Hook) {
    let seen = Seen::default();
    seen.0.lock().unwrap().0 = statuses.to_vec();
    let answer = async |State(seen): State<Seen>, headers: HeaderMap, body: String| {
        let mut seen = seen.0.lock().unwrap();
        assert_eq!(headers["content-length"], body.len().to_string(), "some receivers insist on it");
        assert_eq!(
            (&headers["authorization"], &headers["content-type"]),
            (&"Bearer t".parse().unwrap(), &"application/x-ndjson".parse().unwrap())
        );
        seen.1.push((body, headers["idempotency-key"].to_str().unwrap().to_owned()));
        StatusCode::from_u16(if seen.0.is_empty() { 202 } else { seen.0.remove(0) }).unwrap()
    };
    let router = Router::new().route("/r", post(answer)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/r", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (seen, Hook { url, authorization: Some("Bearer t".into()) })
}

#[tokio::test]
async fn a_webhook_gets_receipts_in_order_each_batch_until_it_is_taken() {
    let (seen, hook) = webhook(&[500, 429]).await;
    let mut store = Store::open(&keeping(None, Some(Receipts::Webhook(hook))), job()).unwrap();
    for line in 1..=1500 {
        store.receipt(0, &receipt(line));
    }
    until_durable(&mut store).await.unwrap();
    let calls = std::mem::take(&mut seen.0.lock().unwrap().1);
    assert_eq!(calls.len(), 4);
    assert_eq!((&calls[0], &calls[1]), (&calls[1], &calls[2]), "a repetition is the same, by its id too");
    assert_ne!(calls[2].1, calls[3].1);
    assert_eq!(lines_of(&format!("{}{}", calls[2].0, calls[3].0)), (1..=1500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_webhook_that_refuses_or_fails_for_long_ends_it() {
    for (status, code) in [(410, Code::StoreRefused), (500, Code::StoreUnavailable)] {
        let (seen, hook) = webhook(&vec![status; 1000]).await;
        let mut keeping = keeping(None, Some(Receipts::Webhook(hook)));
        keeping.patience = Duration::from_millis(700);
        let mut store = Store::open(&keeping, job()).unwrap();
        store.receipt(0, &receipt(1));
        let failure = until_durable(&mut store).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.message.contains(&format!("the webhook: it answered with HTTP {status}.")), "{failure}");
        assert!(seen.0.lock().unwrap().1.len() > 1 && !store.is_durable(store.mark()));
        assert_eq!(probe(&keeping, PATIENCE * 5).await[0].code, code);
    }
    let (seen, hook) = webhook(&[]).await;
    assert_eq!(probe(&keeping(None, Some(Receipts::Webhook(hook))), PATIENCE).await, []);
    assert_eq!(seen.0.lock().unwrap().1[0].0, "", "a probe holds no receipt");
}
