//! What a start looks at, what `verify` finds, and who may open a folder.

use crate::folder::{Folder, numbered, quiet};
use bowline_sqlite::{Reason, Settings, Store, TopicSpec, verify};

async fn filled(folder: &Folder) {
    let store = folder.store();
    let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
    for number in 0..40 {
        topic.append((number % 2) as u32, &[numbered(number)]).await.unwrap();
    }
}

fn error(folder: &Folder) -> bowline_sqlite::Error {
    Store::open(folder.path(), quiet()).unwrap_err()
}

#[test]
fn a_folder_in_use_is_refused_with_the_process_id() {
    let folder = Folder::new();
    let store = folder.store();
    let refused = error(&folder);
    assert_eq!(refused.reason(), Reason::InUse);
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    assert_eq!(verify(folder.path()).unwrap_err().reason(), Reason::InUse);
    drop(store);
    folder.store();
}

#[test]
fn settings_without_meaning_are_refused_by_name() {
    let folder = Folder::new();
    let mut settings = Settings::default();
    settings.readers = 0;
    let error = Store::open(folder.path(), settings).unwrap_err();
    assert_eq!(error.to_string(), "`readers` is 0; it has to be at least 1");
}

#[test]
fn what_is_no_store_is_left_alone() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path()).unwrap();
    let file = folder.path().join("state.db");
    let text = "This is a text, and no database, of more than a hundred bytes, so that it is read as one. "
        .repeat(20);
    std::fs::write(&file, &text).unwrap();
    assert_eq!(error(&folder).reason(), Reason::NotOurs);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    std::fs::remove_file(&file).unwrap();
    folder.sqlite().execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
    assert_eq!(error(&folder).reason(), Reason::NotOurs);
    assert_eq!(verify(Folder::new().path()).unwrap_err().reason(), Reason::NotOurs);
}

#[tokio::test]
async fn a_later_version_is_refused_and_told_what_to_run() {
    let folder = Folder::new();
    filled(&folder).await;
    folder.sqlite().execute("UPDATE version SET version = 9, since = 8", []).unwrap();
    assert_eq!(error(&folder).reason(), Reason::VersionUnknown);
    folder.sqlite().execute("UPDATE version SET version = 2, since = 1", []).unwrap();
    folder.store();
}

#[tokio::test]
async fn a_damaged_tail_stops_the_start_and_a_damaged_middle_is_found_by_verify() {
    let folder = Folder::new();
    filled(&folder).await;
    let change = "UPDATE record SET body = CAST(substr(body, 1, length(body) - 1) || '!' AS BLOB)
        WHERE id = (2 << 43) + ?1";
    folder.sqlite().execute(change, [2]).unwrap();
    let report = verify(folder.path()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].to_string(), "orders/1 at 2: does not match its checksum");
    assert_eq!((report.topics, report.partitions, report.records), (1, 2, 40));
    let store = folder.store();
    let topic = store.topic("orders").unwrap();
    let read = topic.read(1, 2, Default::default()).await.unwrap_err();
    assert_eq!(read.reason(), Reason::Corrupt);
    assert!(topic.read(1, 3, Default::default()).await.is_ok(), "what is sound is read");
    assert!(topic.append(1, &[numbered(1)]).await.is_ok());
    drop(store);
    folder.sqlite().execute(change, [20]).unwrap();
    let refused = error(&folder);
    assert_eq!(refused.reason(), Reason::Corrupt);
    assert!(refused.to_string().starts_with("the record orders/1 at 20 does not match"), "{refused}");
}

#[tokio::test]
async fn verify_finds_what_does_not_add_up() {
    for (change, finding) in [
        ("DELETE FROM record WHERE id = (1 << 43) + 5", "orders/0 at 6: the records from 5 on are missing"),
        ("DELETE FROM record WHERE id = (1 << 43) + 19", "orders/0: the records from 19 to 20 are missing"),
        ("UPDATE partition SET bytes = bytes + 1 WHERE id = 1", "orders/0: has"),
        ("UPDATE partition SET first = 3 WHERE id = 2", "orders/1 at 0: is outside of 3 to 20"),
        (
            "INSERT INTO cursor VALUES ('billing', 9, 1, NULL)",
            "group billing, partition id 9: the partition does",
        ),
        (
            "INSERT INTO cursor VALUES ('billing', 1, 1, x'0100')",
            "group billing, partition id 1: the cursor ends",
        ),
        (
            "INSERT INTO letter VALUES (7, 'orders', 'billing', 0, 0, NULL, NULL, 0, 0, 0, '', x'02')",
            "dead letter 7: has format 2",
        ),
        ("INSERT INTO record VALUES (9 << 43, 0, x'01')", "partition id 9: has records and does not exist"),
    ] {
        let folder = Folder::new();
        filled(&folder).await;
        folder.sqlite().execute(change, []).unwrap();
        let report = verify(folder.path()).unwrap();
        assert!(
            report.findings.iter().any(|found| found.to_string().starts_with(finding)),
            "{change}: {report:?}"
        );
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found() {
    let folder = Folder::new();
    filled(&folder).await;
    let file = folder.path().join("state.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(5).rposition(|window| window == b"key 3").unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    let report = verify(folder.path()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(report.findings[0].to_string().ends_with("does not match its checksum"));
}
