//! `replay`: what was rejected arrives once its cause is gone, once; what is rejected again stays; and nothing is lost or done twice
//! wherever the process is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use destination_chartmogul::errors::Code;
use destination_chartmogul::store::journal;
use destination_chartmogul::store::reader::{self, Kept};
use serde_json::{Value, json};

use crate::harness::{Stream, Sync, World, company, namespaced, record, side_by_side, state, stream};

/// A replay that ended.
struct Ran {
    code: Option<i32>,
    told: String,
}

impl Ran {
    #[track_caller]
    fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}", self.told);
        self
    }

    /// It ended with exit code 1, and this code last.
    #[track_caller]
    fn failed(self, code: Code) -> Ran {
        assert!(self.code == Some(1) && self.told.contains(&format!("error: {code}: ")), "{:?} {}", self.code, self.told);
        self
    }

    #[track_caller]
    fn says(self, words: &[&str]) -> Ran {
        assert!(words.iter().all(|words| self.told.contains(words)), "{words:?}: {}", self.told);
        self
    }
}

/// A replay that is under way.
struct Replaying(Child);

impl Replaying {
    fn end(mut self) -> Ran {
        let mut told = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().unwrap(), &mut told).unwrap();
        let mut printed = String::new();
        std::io::Read::read_to_string(&mut self.0.stdout.take().unwrap(), &mut printed).unwrap();
        assert_eq!(printed, "", "what people are told goes to stderr");
        Ran { code: self.0.wait().unwrap().code(), told }
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    fn ask_to_stop(&self) {
        let kill = format!("kill -TERM {}", self.0.id());
        assert!(std::process::Command::new("sh").arg("-c").arg(&kill).status().unwrap().success(), "{kill}");
    }
}

impl Drop for Replaying {
    /// A failed test leaves no process behind.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the rejects of a world's syncs are.
fn kept(world: &World) -> PathBuf {
    world.path("kept")
}

/// Settings of a sync that keeps its rejects, with more.
fn keeping(world: &World, more: &Value) -> Value {
    let mut config =
        json!({"object_storage_config": {"storage_type": "Local", "path": kept(world), "format": {"format_type": "JSONL"}}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn start(world: &World, more: &Value, rejects: &Path, args: &[&str]) -> Replaying {
    spawn(&mut command(world, more, rejects, args))
}

fn spawn(command: &mut std::process::Command) -> Replaying {
    Replaying(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

fn command(world: &World, more: &Value, rejects: &Path, args: &[&str]) -> std::process::Command {
    let mut config = world.config(keeping(world, more));
    let key = config.as_object_mut().unwrap().shift_remove("api_key").unwrap();
    let config = world.file("replay.json", &config.to_string());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"));
    command.args(["replay", "--config"]).arg(config).arg("--rejects").arg(rejects).args(args).env_clear();
    command.env("CHARTMOGUL_API_KEY", key.as_str().unwrap());
    command
}

/// The file of a stream's rejects.
fn file_of(world: &World, stream: &str) -> PathBuf {
    reader::files(&kept(world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains(stream)).unwrap()
}

/// Replays all that was kept.
fn replay(world: &World, more: &Value) -> Ran {
    start(world, more, &kept(world), &[]).end()
}

/// A sync of these lines that keeps its rejects.
fn sync<'w>(world: &'w World, more: &Value, streams: &[Stream], lines: &[String]) -> Sync<'w> {
    let sync = world.sync().config(keeping(world, more)).lines(lines);
    streams.iter().cloned().fold(sync, Sync::stream)
}

fn rejects(folder: &Path) -> Vec<Kept> {
    let files = reader::files(folder).unwrap();
    files.iter().flat_map(|file| reader::read(file).unwrap()).collect::<Result<_, _>>().unwrap()
}

/// All files of rejected records, byte for byte.
fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    reader::files(folder).unwrap().into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// The ids in all journals below a folder.
fn noted(folder: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            ids.extend(noted(&entry));
        } else if entry.file_name().unwrap() == journal::NAME {
            ids.extend(fs::read_to_string(entry).unwrap().lines().filter(|line| !line.starts_with('#')).map(str::to_owned));
        }
    }
    ids.sort();
    ids
}

fn note(text: &str) -> Value {
    json!({"customer_external_id": "late", "type": "note", "text": text, "author_email": "owner@example.com"})
}

/// Rows of a customer that is not there, and rows that a setting refuses.
fn orphans() -> (Value, [Stream; 5], Vec<String>) {
    let config = json!({"streams": [
        {"stream": "people", "object": "contacts", "fields": {"account": "customer_external_id", "mail": "email"}},
        {"stream": "accounts", "object": "customers", "fields": {"id": "external_id"}, "exclude": ["tmp"]},
    ]});
    let streams =
        [stream("people"), stream("accounts").namespace("shop"), stream("customer_notes"), stream("invoices"), stream("tasks")];
    let item = json!({"type": "one_time", "external_id": "li-1", "amount_in_cents": 500});
    let lines = vec![
        record("people", json!({"account": "late", "mail": "ann@late.example", "title": "comma, \"quote\" and\nline"})),
        record("people", json!({"account": "late", "mail": "bob@late.example"})),
        namespaced(Some("shop"), "accounts", json!({"id": "nested", "name": "Nested", "extra": {"a": 1}})),
        record("customer_notes", note("called them")),
        record("customer_notes", note("called again")),
        record(
            "invoices",
            json!({"customer_external_id": "late", "external_id": "i-1", "date": "2026-01-01", "currency": "EUR", "line_items": [item]}),
        ),
        record(
            "tasks",
            json!({"customer_external_id": "late", "task_details": "call", "assignee": "owner@example.com", "due_date": "2027-01-01"}),
        ),
        state("people", 1),
    ];
    (config, streams, lines)
}

/// The settings under which nothing of them is refused.
fn mended() -> Value {
    let mut config = orphans().0;
    config["streams"][1]["exclude"] = json!(["tmp", "extra"]);
    config
}

/// An account that has the customer, and the files of what was rejected before it had.
fn with_orphans(format: &Value) -> World {
    let world = World::new();
    reject_orphans(&world, format);
    world.given_customer("late", json!({}));
    world
}

fn reject_orphans(world: &World, format: &Value) {
    let (mut config, streams, lines) = orphans();
    if !format.is_null() {
        let mut storage = json!({"storage_type": "Local", "path": kept(world)});
        storage.as_object_mut().unwrap().extend(format.as_object().unwrap().clone());
        config["object_storage_config"] = storage;
    }
    sync(world, &config, &streams, &lines).run().succeeded();
    assert_eq!(rejects(&kept(world)).len(), 7);
}

/// The same account with files that another one's sync left.
fn with_files(of: &Path) -> World {
    let world = World::new();
    for file in reader::files(of).unwrap() {
        let copy = kept(&world).join(file.strip_prefix(of).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
    world.given_customer("late", json!({}));
    world
}

/// What the account holds where nothing was ever rejected.
fn clean() -> Value {
    let world = World::new();
    world.given_customer("late", json!({}));
    let (_, streams, lines) = orphans();
    sync(&world, &mended(), &streams, &lines).run().succeeded();
    assert!(!kept(&world).exists());
    company::contents(&world)
}

#[test]
fn once_the_cause_is_gone_all_arrive_from_every_format_and_once() {
    let clean = clean();
    for format in [
        json!({"format": {"format_type": "CSV"}}),
        json!({"format": {"format_type": "CSV", "flattening": "Root level flattening"}, "compression": {"compression_type": "GZIP"}}),
        json!({"format": {"format_type": "JSONL"}, "compression": {"compression_type": "GZIP"}}),
        json!({"format": {"format_type": "JSONL", "flattening": "Root level flattening"}}),
    ] {
        let world = with_orphans(&format);
        let before = bytes(&kept(&world));
        replay(&world, &mended()).ended(0).says(&["7 rejected records in 5 files", "7 records are done"]);
        assert_eq!(company::difference(&company::contents(&world), &clean), None, "{format}");
        let arrived = world.arrived();
        replay(&world, &mended()).ended(0).says(&["0 rejected records in 5 files, 7 that are done left out"]);
        assert_eq!((world.arrived(), bytes(&kept(&world))), (arrived, before), "nothing is asked, no file is touched");
    }
}

#[test]
fn what_is_rejected_again_stays_once_where_it_is_and_is_told_with_its_place() {
    let world = with_orphans(&Value::Null);
    let before = bytes(&kept(&world));
    // The nested column is still no attribute.
    let ran = replay(&world, &orphans().0).ended(2);
    let file = reader::files(&kept(&world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("shop")).unwrap();
    let place =
        format!("{}, row 1: line 3 of its sync, stream shop.accounts (nested)\n    ATTRIBUTE_NESTED extra:", file.display());
    ran.says(&["6 records are done", "1 records were rejected again and stay", &place]);
    assert_eq!(bytes(&kept(&world)), before);
    let requests = world.writes();
    replay(&world, &orphans().0).ended(2).says(&["1 rejected records in 5 files, 6 that are done left out"]);
    assert_eq!(world.writes(), requests, "the others are not sent again");
    replay(&world, &mended()).ended(0);
    assert_eq!(company::difference(&company::contents(&world), &clean()), None);
    assert_eq!(noted(&kept(&world)).len(), 7);
}

#[test]
fn a_file_is_as_good_as_its_folder_and_a_corrected_row_is_what_counts() {
    let world = with_orphans(&Value::Null);
    let (config, folder) = (orphans().0, kept(&world));
    let people = reader::files(&folder).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("people")).unwrap();
    start(&world, &config, &people, &[]).end().ended(0).says(&["2 rejected records in 1 files", "2 records are done"]);
    replay(&world, &config).ended(2).says(&["5 rejected records in 5 files, 2 that are done left out"]);
    let accounts = reader::files(&folder).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("shop")).unwrap();
    let text = fs::read_to_string(&accounts).unwrap();
    fs::write(&accounts, text.replace(r#"{"a":1}"#, "5")).unwrap();
    replay(&world, &config).ended(0);
    assert_eq!(world.customer("nested")["custom"]["extra"], 5);
}

#[test]
fn records_are_written_as_the_catalog_of_their_sync_says() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.must(
        "POST /tasks",
        json!({"customer_uuid": customer, "task_details": "call", "assignee": "owner@example.com", "due_date": "2026-01-01"}),
    );
    world.given_customer("gone", json!({}));
    let columns = json!({"external_id": {"type": "string"}, "since": {"type": ["null", "string"], "format": "date"}, "bad key": {"type": "string"}});
    let streams = [
        stream("customers").mode("update").columns(columns.clone()),
        stream("leavers").object("customers").mode("soft_delete").key(&["external_id"]).columns(columns),
        stream("tasks").key(&["task_details"]),
    ];
    let task = json!({"customer_external_id": "c-1", "task_details": "call", "assignee": "owner@example.com", "due_date": "2027-01-01", "extra": 1});
    let lines = [
        record("customers", json!({"external_id": "c-1", "since": "2026-02-03", "bad key": "x"})),
        record("customers", json!({"external_id": "absent", "bad key": "x"})),
        record("leavers", json!({"external_id": "gone"})),
        record("tasks", task),
    ];
    let strict = json!({"unknown_fields": "reject", "deletions": {"policy": "delete", "max_deletes": 0}});
    let run = sync(&world, &strict, &streams, &lines).run();
    run.failed("config_error", "DELETE_LIMIT");
    // A deletion is no reject: it stands in for one here.
    let folder = kept(&world);
    let customers = reader::files(&folder).unwrap();
    let customers = customers.iter().find(|file| file.to_str().unwrap().contains("customers")).unwrap();
    let first = fs::read_to_string(customers).unwrap().lines().next().unwrap().to_owned();
    let mut row: Value = serde_json::from_str(&first).unwrap();
    row["_airbyte_raw_id"] = "00000000-0000-4000-8000-000000000001".into();
    row["_airbyte_meta"]["stream"] = "leavers".into();
    row["_airbyte_meta"]["catalog"] =
        json!({"destination_sync_mode": "soft_delete", "destination_object_name": "customers", "primary_key": [["external_id"]]});
    row["_airbyte_data"]["record"] = json!({"external_id": "gone"});
    world.file("kept/leavers.jsonl", &format!("{row}\n"));
    let mended = json!({"streams": [{"stream": "customers", "exclude": ["bad key"]}, {"stream": "tasks", "exclude": ["extra"]}],
        "deletions": {"policy": "delete", "max_percent": 100}});
    replay(&world, &mended).ended(0).says(&["4 records are done"]);
    assert_eq!(world.customer_keys(), ["c-1"], "an update makes none, a deletion deletes");
    assert_eq!(world.customer("c-1")["custom"]["since"], "2026-02-03T00:00:00.000Z", "a date, not a text");
    let tasks = world.entries("tasks");
    assert!(tasks.len() == 1 && tasks[0]["fields"]["due_date"].to_string().contains("2027"), "{tasks:?}");
}

#[test]
fn streams_that_are_told_in_two_ways_or_not_at_all_need_a_catalog() {
    let world = World::new();
    let lines = [record("customers", json!({"external_id": "a", "bad key": 1}))];
    let strict = json!({"unknown_fields": "reject"});
    sync(&world, &strict, &[stream("customers").mode("update")], &lines).run().succeeded();
    sync(&world, &strict, &[stream("customers")], &lines).run().succeeded();
    let file = world.file("foreign.jsonl", &{
        let row = json!({"_airbyte_raw_id": "00000000-0000-4000-8000-000000000001", "_airbyte_extracted_at": 1, "_airbyte_meta": {},
            "_airbyte_generation_id": 0, "_airbyte_data": {"record": {"external_id": "b"}, "error": {"code": "X"}, "line": 1}});
        format!("{row}\n")
    });
    let exclude = json!({"streams": [{"stream": "customers", "exclude": ["bad key"]}]});
    replay(&world, &exclude)
        .failed(Code::ReplayUnresolved)
        .says(&["stream `customers`: its object, sync mode or primary key changed"]);
    let ran = start(&world, &json!({"object": "customers"}), &file, &[]).end();
    ran.failed(Code::ReplayUnresolved).says(&["do not tell how they were to be written"]);
    assert_eq!(world.writes(), 0);
    // Generations are of a sync: no COMPLETE is waited for.
    let catalog = world.file("catalog.json", &json!({"streams": [stream("customers").generations(4, 4).0]}).to_string());
    let given = ["--catalog", catalog.to_str().unwrap()];
    start(&world, &exclude, &kept(&world), &given).end().ended(0).says(&["2 records are done"]);
    assert_eq!(world.customer_keys(), ["a"]);
}

#[test]
fn one_key_is_written_in_the_order_of_its_jobs_and_a_copy_of_a_file_is_sent_once() {
    let world = World::new();
    for (job, name) in [("9", "Nine"), ("10", "Ten")] {
        let lines = [record("customers", json!({"external_id": "c-1", "name": name, "bad key": 1}))];
        let sync = sync(&world, &json!({"unknown_fields": "reject"}), &[stream("customers")], &lines);
        sync.env("WORKER_JOB_ID", job).run().succeeded();
    }
    let files = reader::files(&kept(&world)).unwrap();
    fs::copy(&files[0], kept(&world).join("9/customers/zz copy.jsonl")).unwrap();
    let exclude = json!({"streams": [{"stream": "customers", "exclude": ["bad key"]}]});
    replay(&world, &exclude).ended(0).says(&["2 rejected records in 3 files", "2 records are done"]);
    assert_eq!(world.customer("c-1")["fields"]["name"], "Ten");
    assert_eq!(noted(&kept(&world)).len(), 2);
}

#[test]
fn rows_that_can_not_be_read_are_told_and_hold_up_nothing() {
    let world = with_orphans(&Value::Null);
    let people =
        reader::files(&kept(&world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("people")).unwrap();
    let whole = fs::read_to_string(&people).unwrap();
    let (first, second) = whole.split_at(whole.find('\n').unwrap() + 1);
    // No row at all, a good one, and one that was cut off by a crash.
    fs::write(&people, format!("{{\"some\":\"thing\"}}\n{second}{}", &first[..first.len() / 2])).unwrap();
    let ran = replay(&world, &mended()).failed(Code::RejectsUnreadable);
    let at = people.display();
    ran.says(&[
        "6 records are done",
        "All others had their turn.",
        &format!("{at}, row 1: is no rejected record\n{at}, row 3: is cut off in the middle"),
    ]);
    // Nothing was lost for it.
    fs::write(&people, whole).unwrap();
    replay(&world, &mended()).ended(0).says(&["1 rejected records in 5 files, 6 that are done left out"]);
    assert_eq!(company::difference(&company::contents(&world), &clean()), None);
    let nowhere = start(&world, &mended(), &world.path("nowhere"), &[]).end().failed(Code::RejectsUnreadable);
    assert!(!nowhere.told.contains("turn") && !nowhere.told.contains("sent"), "nothing was: {}", nowhere.told);
    fs::create_dir(world.path("empty")).unwrap();
    start(&world, &mended(), &world.path("empty"), &[]).end().ended(0);
    assert_eq!(fs::read_dir(world.path("empty")).unwrap().count(), 0, "no journal where there is nothing");
}

#[test]
fn a_cut_off_csv_or_gzip_loses_nothing_either() {
    for format in [
        json!({"format": {"format_type": "CSV"}}),
        json!({"format": {"format_type": "JSONL"}, "compression": {"compression_type": "GZIP"}}),
    ] {
        let world = with_orphans(&format);
        let notes =
            reader::files(&kept(&world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("notes")).unwrap();
        let whole = fs::read(&notes).unwrap();
        fs::write(&notes, &whole[..whole.len() - 20]).unwrap();
        let ran = replay(&world, &mended()).failed(Code::RejectsUnreadable);
        ran.says(&[&format!("{}, row 2: ", notes.display())]);
        fs::write(&notes, whole).unwrap();
        replay(&world, &mended()).ended(0);
        assert_eq!(company::difference(&company::contents(&world), &clean()), None, "{format}");
    }
}

#[test]
fn links_to_a_folder_and_the_mark_that_an_editor_puts_in_front_are_no_hindrance() {
    let world = with_orphans(&Value::Null);
    for file in reader::files(&kept(&world)).unwrap() {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    }
    let job = fs::read_dir(kept(&world)).unwrap().next().unwrap().unwrap().path();
    std::os::unix::fs::symlink(&job, kept(&world).join("latest")).unwrap();
    std::os::unix::fs::symlink(kept(&world), job.join("up")).unwrap();
    replay(&world, &mended()).ended(0).says(&["7 rejected records in 5 files"]);
    assert_eq!(company::difference(&company::contents(&world), &clean()), None);
}

#[test]
fn what_is_added_meanwhile_stays_for_the_next_time() {
    let world = with_orphans(&Value::Null);
    let people =
        reader::files(&kept(&world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("people")).unwrap();
    let first = fs::read_to_string(&people).unwrap().lines().next().unwrap().to_owned();
    let added = |id: u8, mail: &str| {
        let mut row: Value = serde_json::from_str(&first).unwrap();
        row["_airbyte_raw_id"] = format!("00000000-0000-4000-8000-0000000000{id:02}").into();
        row["_airbyte_data"]["record"] = json!({"account": "late", "mail": mail});
        format!("{row}\n")
    };
    world.fault("* slow=300ms x1");
    let replaying = start(&world, &mended(), &kept(&world), &[]);
    world.wait_until("a request arrived", |world| world.arrived() > 0);
    fs::OpenOptions::new().append(true).open(&people).unwrap().write_all(added(1, "cy@late.example").as_bytes()).unwrap();
    fs::write(people.with_file_name("zz.jsonl"), added(2, "di@late.example")).unwrap();
    replaying.end().ended(0).says(&["7 records are done"]);
    assert_eq!((world.contacts().len(), rejects(&kept(&world)).len()), (2, 9));
    replay(&world, &mended()).ended(0).says(&["2 rejected records in 6 files, 7 that are done left out"]);
    assert_eq!(world.contacts().len(), 4);
}

#[test]
fn two_at_once_are_refused_also_where_one_is_of_a_folder_within() {
    let world = with_orphans(&Value::Null);
    world.fault("* hang x1");
    let mut replaying = start(&world, &mended(), &kept(&world), &[]);
    world.wait_until("a request arrived", |world| world.arrived() > 0);
    let notes = reader::files(&kept(&world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("notes")).unwrap();
    for path in [kept(&world), notes.parent().unwrap().to_owned(), notes] {
        start(&world, &mended(), &path, &[]).end().failed(Code::ReplayRunning);
    }
    // Who was killed keeps nobody out.
    replaying.kill();
    drop(replaying);
    replay(&world, &mended()).ended(0);
    assert_eq!(company::difference(&company::contents(&world), &clean()), None);
}

#[test]
fn receipts_are_of_the_line_that_was_rejected_and_nothing_is_kept_twice() {
    let world = with_orphans(&Value::Null);
    let told = world.path("told");
    let mut config = orphans().0;
    config["receipts"] = json!({"storage_type": "Local", "path": told});
    let before = rejects(&kept(&world)).len();
    replay(&world, &config).ended(2);
    let file = fs::read_dir(told.join("replay")).unwrap().next().unwrap().unwrap().path();
    let receipts: Vec<Value> =
        fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: BTreeSet<u64> = receipts.iter().map(|receipt| receipt["line"].as_u64().unwrap()).collect();
    assert_eq!((receipts.len(), lines), (7, (1..=7).collect()));
    let rejected: Vec<&Value> = receipts.iter().filter(|receipt| receipt["outcome"] == "rejected").collect();
    assert_eq!((rejected.len(), &rejected[0]["line"], &rejected[0]["code"]), (1, &json!(3), &json!("ATTRIBUTE_NESTED")));
    assert_eq!(rejects(&kept(&world)).len(), before);
}

#[test]
fn what_is_of_a_whole_sync_does_not_hold_for_a_replay() {
    let world = with_orphans(&Value::Null);
    world.given_customer("untouched", json!({}));
    let mut config = orphans().0;
    config["deletions"] = json!({"policy": "mirror"});
    config["stop_when_rejected"] = json!({"percent": 0, "after": 1});
    replay(&world, &config).ended(2);
    assert_eq!((world.customer_keys(), world.contacts().len()), (vec!["late".to_owned(), "untouched".to_owned()], 2));
}

#[test]
fn where_nothing_can_be_noted_nothing_is_sent() {
    let world = with_orphans(&Value::Null);
    let people =
        reader::files(&kept(&world)).unwrap().into_iter().find(|file| file.to_str().unwrap().contains("people")).unwrap();
    fs::create_dir(people.with_file_name(journal::NAME)).unwrap();
    let arrived = world.arrived();
    replay(&world, &mended()).failed(Code::ReplayNotNoted).says(&["copy the files, with their `replayed.log`"]);
    assert_eq!(world.arrived(), arrived);
}

#[test]
fn what_is_no_file_is_told_and_never_opened() {
    let world = with_orphans(&Value::Null);
    let job = file_of(&world, "people").parent().unwrap().to_owned();
    let (pipe, socket, link) = (job.join("a.jsonl"), job.join("b.jsonl"), job.join("c.jsonl"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    let ran =
        replay(&world, &mended()).failed(Code::RejectsUnreadable).says(&["7 rejected records in 8 files", "7 records are done"]);
    for path in [&pipe, &socket, &link] {
        assert!(ran.told.contains(&format!("{}: is no regular file", path.display())), "{}", ran.told);
    }
    let ran = start(&world, &mended(), &pipe, &[]).end().failed(Code::RejectsUnreadable);
    assert!(ran.told.contains("is no regular file") && !ran.told.contains("had their turn"), "{}", ran.told);
    for path in [pipe, socket, link] {
        fs::remove_file(path).unwrap();
    }
    // Nor as a journal.
    fs::remove_file(job.join(journal::NAME)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(job.join(journal::NAME)).status().unwrap().success());
    replay(&world, &mended()).failed(Code::ReplayNotNoted).says(&["is no regular file"]);
}

#[test]
fn asked_to_stop_it_ends_as_done_where_nothing_is_left_and_as_stopped_where_something_is() {
    let world = with_orphans(&Value::Null);
    world.fault("POST /customers slow=3s\nPOST /contacts slow=3s");
    let one = start(&world, &mended(), &file_of(&world, "shop"), &[]);
    world.wait_until("the customer is made", |world| world.customer_keys().len() == 2);
    one.ask_to_stop();
    let ran = one.end().ended(0).says(&["1 records are done"]);
    assert!(!ran.told.contains("asked to stop"), "{}", ran.told);
    // The second of them stands behind the first.
    let two = start(&world, &mended(), &file_of(&world, "people"), &[]);
    world.wait_until("the first contact is made", |world| !world.contacts().is_empty());
    two.ask_to_stop();
    two.end().ended(143).says(&[
        "1 records are done",
        "1 records were not sent to their end",
        "the next replay goes on from here",
    ]);
    world.fault("POST /contacts slow=0s");
    replay(&world, &mended()).ended(0).says(&["5 rejected records in 5 files, 2 that are done left out"]);
    assert_eq!(company::difference(&company::contents(&world), &clean()), None);
}

#[test]
fn only_what_is_noted_is_told_as_noted() {
    let world = with_orphans(&Value::Null);
    let people = file_of(&world, "people");
    // So much that one more line fits into the block that a file may have, and a second does not.
    let (block, line) = (512, "00000000-0000-4000-8000-000000000001\n".len());
    fs::write(people.with_file_name(journal::NAME), format!("#{}\n", "-".repeat(block - line - line / 2))).unwrap();
    let replay = command(&world, &mended(), &people, &[]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 1; exec \"$@\"", "sh"]).arg(replay.get_program()).args(replay.get_args()).env_clear();
    limited.envs(replay.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = spawn(&mut limited).end().failed(Code::ReplayNotNoted);
    ran.says(&[
        "\n1 records are done and noted in replayed.log",
        "\n1 more are done, but not noted; the next replay sends them again\n",
    ]);
    assert_eq!(world.contacts().len(), 2);
    start(&world, &mended(), &people, &[]).end().ended(0).says(&["1 rejected records in 1 files, 1 that are done left out"]);
    assert_eq!(world.contacts().len(), 2);
}

#[test]
fn a_stream_of_a_long_name_stands_apart_from_what_it_becomes() {
    let world = World::new();
    let name = "customers_of_the_second_warehouse";
    let lines = [record(name, json!({"external_id": "a", "bad key": 1}))];
    let config = |exclude: &[&str]| json!({"streams": [{"stream": name, "object": "customers", "exclude": exclude}]});
    sync(&world, &config(&[]), &[stream(name)], &lines).run().succeeded();
    let ran = replay(&world, &config(&["bad key"])).ended(0);
    let row = ran.told.lines().find(|line| line.starts_with(name)).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [name, "customers", "1", "1"], "{row}");
}

#[test]
fn a_record_that_is_wrong_as_a_whole_is_told_without_a_field() {
    let world = World::new();
    let run = sync(&world, &json!({}), &[stream("customers")], &[record("customers", json!([1]))]).run().succeeded();
    assert!(run.logged(&["FIELD_TYPE: record rejected: line 1, stream customers: "]), "{run}");
    replay(&world, &json!({})).ended(2).says(&["\n    FIELD_TYPE: "]);
}

#[test]
fn ten_times_as_many_folders_as_files_may_be_open_are_replayed_and_kept_to_one_at_once() {
    let world = World::new();
    for job in 1..=1000 {
        let row = json!({"_airbyte_raw_id": format!("00000000-0000-4000-8000-00000000{job:04}"), "_airbyte_extracted_at": 1,
            "_airbyte_meta": {"stream": "customers", "catalog": {"destination_sync_mode": "append", "sync_mode": "incremental"}},
            "_airbyte_data": {"record": {"external_id": format!("c-{job}")}, "error": {"code": "FIELD_VALUE"}, "line": 1}});
        let folder = kept(&world).join(job.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.jsonl"), format!("{row}\n")).unwrap();
    }
    let limited = |path: &Path| {
        let replay = command(&world, &json!({"bulk_import": "never"}), path, &[]);
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "ulimit -n 100; exec \"$@\"", "sh"]).arg(replay.get_program()).args(replay.get_args()).env_clear();
        limited.envs(replay.get_envs().filter_map(|(name, value)| Some((name, value?))));
        spawn(&mut limited)
    };
    world.fault("* hang x1");
    let mut running = limited(&kept(&world));
    world.wait_until("a request arrived", |world| world.arrived() > 0);
    limited(&kept(&world).join("500")).end().failed(Code::ReplayRunning);
    running.kill();
    drop(running);
    limited(&kept(&world)).end().ended(0).says(&["\n1000 records are done and noted"]);
    assert_eq!((world.customer_keys().len(), noted(&kept(&world)).len()), (1000, 1000));
}

#[test]
fn of_two_records_with_one_id_the_first_is_sent_and_the_other_is_told() {
    let world = with_orphans(&Value::Null);
    let people = file_of(&world, "people");
    let rows = fs::read_to_string(&people).unwrap();
    let corrected = people.with_file_name("zz corrected.jsonl");
    fs::write(&corrected, rows.replace("bob@late.example", "cy@late.example")).unwrap();
    let ran = replay(&world, &mended()).ended(0).says(&[
        "7 rejected records in 6 files, 2 rows left out that repeat a record\n",
        &format!("only the first counts, {}, row 2, not {}, row 2", people.display(), corrected.display()),
    ]);
    assert!(ran.told.matches("one _airbyte_raw_id").count() == 1 && !ran.told.contains("late.example"), "{}", ran.told);
    assert_eq!(company::difference(&company::contents(&world), &clean()), None);
}

/// A place at which a replay is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// When this request had arrived; its work is never done.
    Before(u64),
    /// When its work was done; the answer never leaves.
    After(u64),
    /// As soon as its answer had left.
    Answered(u64),
}

#[test]
fn killed_at_every_request_and_run_again_it_ends_as_if_it_had_not_been() {
    // The nested column stays a reject, so that one is left in every run.
    let config = |connections: u32| {
        let mut config = orphans().0;
        config["limits"] = json!({"connections": connections, "requests_per_second": 5000});
        config
    };
    let source = World::new();
    reject_orphans(&source, &Value::Null);
    let files = kept(&source);
    for (connections, step) in [(1, 1), (4, 5)] {
        let whole = with_files(&files);
        replay(&whole, &config(connections)).ended(2);
        let (clean, requests) = (company::contents(&whole), whole.arrived());
        assert!(requests > 10, "{requests}");
        let kills = (0..requests).flat_map(|n| [Kill::Before(n), Kill::After(n), Kill::Answered(n)]);
        let kills: Vec<Kill> = kills.step_by(step).collect();
        let failed: Vec<String> = side_by_side(3, &kills, |kill| {
            let world = with_files(&files);
            let began = world.sandbox.observed().requests;
            let seen: &dyn Fn(&World) -> bool = match *kill {
                Kill::Before(n) => {
                    world.fault(&format!("* hang skip={n}"));
                    &move |world| world.arrived() > n
                }
                Kill::After(n) => {
                    world.fault(&format!("* after-work hang skip={n}"));
                    &move |world| world.arrived() > n
                }
                Kill::Answered(n) => &move |world| {
                    let now = world.sandbox.observed();
                    now.requests - u64::from(now.in_flight) > began + n
                },
            };
            let mut replaying = start(&world, &config(connections), &kept(&world), &[]);
            world.wait_until("the request", seen);
            replaying.kill();
            drop(replaying);
            let half = noted(&kept(&world));
            let again = replay(&world, &config(connections));
            if again.code != Some(2) {
                return Err(format!("{kill:?}: {:?} {}", again.code, again.told));
            }
            let (all, mut once) = (noted(&kept(&world)), noted(&kept(&world)));
            once.dedup();
            if all.len() != 6 || once != all || !half.iter().all(|id| all.contains(id)) {
                return Err(format!("{kill:?}: noted {half:?}, then {all:?}"));
            }
            company::difference(&company::contents(&world), &clean).map_or(Ok(()), |words| Err(format!("{kill:?}: {words}")))
        })
        .into_iter()
        .filter_map(Result::err)
        .collect();
        assert!(failed.is_empty(), "{} of {} end otherwise:\n{}", failed.len(), kills.len(), failed.join("\n"));
    }
}
