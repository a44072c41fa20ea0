//! What a replay takes from a folder, and whom it keeps out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::{TempDir, tempdir};
use uuid::Uuid;

use super::journal;
use super::replay::Replay;
use super::*;
use crate::errors::Code;

/// A row of this id; its record says something.
fn row(id: u128, says: &str) -> String {
    let row = json!({"_airbyte_raw_id": Uuid::from_u128(id).to_string(), "_airbyte_extracted_at": 5, "_airbyte_generation_id": 0,
        "_airbyte_meta": {"stream": "customers", "catalog": {}},
        "_airbyte_data": {"record": {"name": says}, "line": 1, "error": {"code": "FIELD_VALUE"}}});
    format!("{row}\n")
}

/// Folders that hold a record each.
fn folders(names: &[&str]) -> TempDir {
    let directory = tempdir().unwrap();
    for (id, name) in (1..).zip(names) {
        fs::create_dir_all(directory.path().join(name)).unwrap();
        fs::write(directory.path().join(name).join("a.jsonl"), row(id, name)).unwrap();
    }
    directory
}

fn refused(path: &Path) -> Option<Code> {
    Replay::open(path).err().map(|failure| failure.code)
}

async fn note_all(replay: &Replay) {
    let mut store = Store::nothing().noting(replay);
    let mark = (1..=replay.entries().len() as u64).fold(Mark::default(), |mark, line| mark.and(store.done(line, mark)));
    while !store.is_durable(mark) {
        store.progress().await.unwrap();
    }
}

#[test]
fn of_two_that_overlap_the_second_is_refused_whichever_is_within_the_other() {
    let directory = folders(&["7/customers", "7/plans/old", "8/customers"]);
    let at = |name: &str| directory.path().join(name);
    for first in ["", "7", "7/customers", "7/customers/a.jsonl", "7/plans", "8"] {
        let running = Replay::open(&at(first)).unwrap();
        for second in ["", "7", "7/customers", "7/customers/a.jsonl", "7/plans", "7/plans/old", "8/customers"] {
            let folder = |name: &str| PathBuf::from(name.trim_end_matches("/a.jsonl"));
            let (one, other) = (folder(first), folder(second));
            let overlap = one.starts_with(&other) || other.starts_with(&one);
            assert_eq!(refused(&at(second)), overlap.then_some(Code::ReplayRunning), "{first} and then {second}");
        }
        drop(running);
        assert_eq!(refused(&at("")), None, "nobody is kept out by what has ended");
    }
}

#[test]
fn what_links_lead_to_is_kept_to_one_replay_too() {
    let directory = folders(&["here/7", "there/8", "there/9"]);
    let at = |name: &str| directory.path().join(name);
    symlink(at("there/8"), at("here/8")).unwrap();
    symlink(at("there/9/a.jsonl"), at("here/nine.jsonl")).unwrap();
    let running = Replay::open(&at("here")).unwrap();
    assert_eq!(running.entries().len(), 3);
    for second in ["here/7", "here/8", "there/8", "there/9", "there", ""] {
        assert_eq!(refused(&at(second)), Some(Code::ReplayRunning), "{second}");
    }
    drop(running);
    let running = Replay::open(&at("there/9")).unwrap();
    assert_eq!(refused(&at("here")), Some(Code::ReplayRunning));
    drop(running);
}

#[tokio::test]
async fn a_record_is_sent_once_whether_its_file_or_a_link_to_it_is_asked_for() {
    let directory = folders(&["7", "links"]);
    let at = |name: &str| directory.path().join(name);
    fs::remove_file(at("links/a.jsonl")).unwrap();
    symlink(at("7/a.jsonl"), at("links/today.jsonl")).unwrap();
    note_all(&Replay::open(&at("links/today.jsonl")).unwrap()).await;
    assert!(at("7").join(journal::NAME).exists() && !at("links").join(journal::NAME).exists());
    let replay = Replay::open(&at("7")).unwrap();
    assert_eq!((replay.entries().len(), replay.done()), (0, 1));
    drop(replay);
    let replay = Replay::open(&at("")).unwrap();
    assert_eq!((replay.files(), replay.done(), replay.again()), (1, 1, 0), "a file and a link to it are one");
}

#[tokio::test]
async fn journals_of_folders_within_are_written_though_they_are_not_held() {
    let directory = folders(&["7/customers", "7/plans"]);
    let replay = Replay::open(directory.path()).unwrap();
    note_all(&replay).await;
    assert_eq!(replay.noted(), 2);
    drop(replay);
    for folder in ["7/customers", "7/plans"] {
        let replay = Replay::open(&directory.path().join(folder)).unwrap();
        assert_eq!((replay.entries().len(), replay.done()), (0, 1), "{folder}");
    }
}

#[test]
fn rows_that_stand_there_twice_are_counted() {
    let directory = tempdir().unwrap();
    let rows = [row(1, "first"), row(2, "same"), row(1, "second"), row(2, "same"), row(3, "alone")];
    fs::write(directory.path().join("a.jsonl"), rows.concat()).unwrap();
    let replay = Replay::open(directory.path()).unwrap();
    assert_eq!((replay.entries().len(), replay.again()), (3, 2));
    let said: Vec<String> = replay.rows().map(|kept| kept.unwrap().data).collect();
    assert_eq!(said, [r#"{"name":"first"}"#, r#"{"name":"same"}"#, r#"{"name":"alone"}"#]);
    assert_eq!(replay.gone(), 0);
    fs::remove_file(directory.path().join("a.jsonl")).unwrap();
    assert_eq!((replay.rows().flatten().count(), replay.gone()), (0, 3));
}

#[test]
fn where_no_journal_can_be_made_the_next_folder_below_is_kept_to_one_replay() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = folders(&["volume/rejected/7", "volume/rejected/8"]);
    let at = |name: &str| directory.path().join(name);
    let may = |mode| fs::set_permissions(at("volume"), fs::Permissions::from_mode(mode)).unwrap();
    may(0o500);
    // Some users may write everywhere: they learn little here.
    let running = Replay::open(&at("volume")).unwrap();
    for second in ["volume", "volume/rejected", "volume/rejected/8"] {
        assert_eq!(refused(&at(second)), Some(Code::ReplayRunning), "{second}");
    }
    drop(running);
    may(0o700);
}

#[test]
fn a_folder_that_can_not_be_looked_into_is_told_and_holds_up_no_other() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = folders(&["a", "b"]);
    let closed = directory.path().join("b");
    let may = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    may(0);
    // Some users may look into everything: they learn nothing here.
    if fs::read_dir(&closed).is_err() {
        let replay = Replay::open(directory.path()).unwrap();
        assert_eq!((replay.entries().len(), replay.files()), (1, 1));
        assert!(replay.unread().unwrap().starts_with(&format!("{}: ", closed.display())), "{:?}", replay.unread());
        assert_eq!(refused(&closed), Some(Code::RejectsUnreadable));
    }
    may(0o700);
}
