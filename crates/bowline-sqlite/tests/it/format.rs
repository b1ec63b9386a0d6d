//! Golden files: what an earlier build wrote is read by this one.
//!
//! `BOWLINE_GOLDEN=write` makes them anew, which is right only for a new version's.

use crate::folder::{Folder, in_world, numbered};
use bowline_lane::{Cursor, Key};
use bowline_model::WallTime;
use bowline_sqlite::clock::Clock;
use bowline_sqlite::format::{decode, decode_cursor, encode, encode_cursor, seal};
use bowline_sqlite::{Class, Keep, Letter, Limits, Record, Slot, Store, TopicSpec, Write};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn writing() -> bool {
    std::env::var_os("BOWLINE_GOLDEN").is_some_and(|value| value == "write")
}

fn records() -> Vec<(&'static str, Record)> {
    vec![
        ("nothing", Record::default()),
        ("value", Record::unkeyed("two pieces")),
        ("key and value", Record::new("A47", "two pieces")),
        ("tombstone", Record::tombstone("A47")),
        ("headers", Record::new("A47", "").with_header("type", "reserved").with_header("", vec![0, 255])),
        ("long", Record::new(vec![b'k'; 200], vec![b'v'; 300])),
    ]
}

fn cursor() -> Cursor {
    Cursor {
        floor: 0,
        settled: std::iter::once(1..2).collect(),
        marked: 2,
        alone: Some(0),
        deliveries: BTreeMap::from([(0, 300), (1, 1)]),
    }
}

fn letter() -> Letter {
    Letter {
        slot: Slot { topic: "orders".to_owned(), group: "billing".to_owned(), partition: 1 },
        position: 1,
        record: numbered(1),
        class: Some(bowline_lane::Class::Poison),
        parks: true,
        deliveries: 3,
        at: WallTime::from_unix_nanos(1_764_547_200_000_000_000),
        detail: "no amount".to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(hex: &str) -> Bytes {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

#[test]
fn cursors_are_stored_as_they_were() {
    let text = format!("{}\n", hex(&encode_cursor(&cursor())));
    if writing() {
        std::fs::write(golden("cursor-v1.txt"), &text).unwrap();
    }
    let stored = std::fs::read_to_string(golden("cursor-v1.txt")).unwrap();
    assert_eq!(text, stored);
    assert_eq!(decode_cursor(&unhex(stored.trim())), Ok(cursor()));
}

#[test]
fn records_are_stored_as_they_were() {
    let mut text = String::new();
    for (name, record) in records() {
        let mut body = encode(&record);
        seal(&mut body, (7 << 43) | 5, 1_764_547_200_000);
        writeln!(text, "{name}: {}", hex(&body)).unwrap();
    }
    if writing() {
        std::fs::write(golden("records-v1.txt"), &text).unwrap();
    }
    let stored = std::fs::read_to_string(golden("records-v1.txt")).unwrap();
    assert_eq!(text, stored);
    for (line, (name, record)) in stored.lines().zip(records()) {
        let body = unhex(line.split_once(": ").unwrap().1);
        assert_eq!(decode(&body, (7 << 43) | 5, 1_764_547_200_000), Ok(record), "{name}");
    }
}

#[tokio::test]
async fn a_store_of_version_1_is_opened() {
    if writing() {
        write_golden_store().await;
    }
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path()).unwrap();
    std::fs::copy(golden("state-v1.db"), folder.path().join("state.db")).unwrap();
    let store = folder.store();
    assert_eq!(store.topics(), ["orders", "prices"]);
    let orders = store.topic("orders").unwrap();
    assert_eq!(orders.keep(), Keep::All { age: Some(Duration::from_secs(86_400)), bytes: Some(1 << 30) });
    let page = orders.read(1, 0, Limits::default()).await.unwrap();
    assert_eq!(
        page.records.iter().map(|stored| stored.record.clone()).collect::<Vec<_>>(),
        [numbered(0), numbered(1)]
    );
    assert_eq!(orders.cursor("billing", 1).await.unwrap(), Some(cursor()));
    assert_eq!(store.letters(letter().slot, 0, Limits::default()).await.unwrap(), [letter()]);
    assert_eq!(store.parked(letter().slot).await.unwrap(), [Key::new("key 1")]);
    assert!(store.verify().await.unwrap().is_sound());
    orders.append(1, &[numbered(2)]).await.unwrap();
}

async fn write_golden_store() {
    let folder = Folder::new();
    let clock = Clock::manual(WallTime::from_unix_nanos(1_764_547_200_000_000_000));
    let store = Store::open(folder.path(), in_world(|world| world.clock = clock)).unwrap();
    let keep = Keep::All { age: Some(Duration::from_secs(86_400)), bytes: Some(1 << 30) };
    let orders = store.create_topic("orders", TopicSpec::new(2).keeping(keep)).await.unwrap();
    let latest = Keep::Latest { tombstones: Duration::from_secs(3_600) };
    let prices = store.create_topic("prices", TopicSpec::new(1).keeping(latest)).await.unwrap();
    prices.append(0, &[numbered(0), numbered(7), Record::tombstone("gone")]).await.unwrap();
    orders.append(1, &[numbered(0), numbered(1)]).await.unwrap();
    let one = orders.partition(1).unwrap();
    let write = Write::new().claim("billing", one).commit("billing", one, 1, cursor()).set_aside(letter());
    store.write(Class::Bulk, write).await.unwrap();
    store.upkeep().await.unwrap();
    drop(store);
    std::fs::copy(folder.path().join("state.db"), golden("state-v1.db")).unwrap();
}
