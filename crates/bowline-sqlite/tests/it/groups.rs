//! Cursors and their owners; records that were set aside.

use crate::folder::{Folder, numbered};
use bowline_lane::{Class as Kind, Cursor, Key};
use bowline_model::{Outcome, WallTime};
use bowline_sqlite::{Class, Letter, Limits, Reason, Slot, Store, Topic, TopicSpec, Write};
use std::collections::BTreeMap;

async fn ten_orders(store: &Store) -> Topic {
    let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
    topic.append(1, &(0..10).map(numbered).collect::<Vec<_>>()).await.unwrap();
    topic
}

fn slot(group: &str) -> Slot {
    Slot { topic: "orders".to_owned(), group: group.to_owned(), partition: 1 }
}

fn letter(position: u64, class: Option<Kind>) -> Letter {
    Letter {
        slot: slot("billing"),
        position,
        record: numbered(position),
        class,
        parks: true,
        deliveries: 3,
        at: WallTime::from_unix_nanos(1_000_000_000),
        detail: "no amount".to_owned(),
    }
}

#[tokio::test]
async fn a_cursor_is_kept_whole_and_given_to_the_next_owner() {
    let folder = Folder::new();
    let cursor = Cursor {
        floor: 2,
        settled: vec![4..5, 7..9],
        marked: 10,
        alone: Some(3),
        deliveries: BTreeMap::from([(2, 1), (3, 4)]),
    };
    let mut epoch = 0;
    for restart in [false, true] {
        let store = folder.store();
        let topic = if restart { store.topic("orders").unwrap() } else { ten_orders(&store).await };
        let one = topic.partition(1).unwrap();
        assert_eq!(topic.cursor("billing", 1).await.unwrap(), restart.then(|| cursor.clone()));
        let claimed = store.write(Class::Bulk, Write::new().claim("billing", one)).await.unwrap().claimed;
        assert!(claimed[0].epoch > epoch);
        assert_eq!(claimed[0].cursor, restart.then(|| cursor.clone()));
        epoch = claimed[0].epoch;
        let commit = Write::new().commit("billing", one, epoch, cursor.clone());
        store.write(Class::Bulk, commit).await.unwrap();
        assert_eq!(topic.cursor("billing", 1).await.unwrap(), Some(cursor.clone()));
        assert_eq!(topic.cursor("shipping", 1).await.unwrap(), None);
        assert_eq!(topic.cursor("billing", 0).await.unwrap(), None);
        assert!(store.verify().await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn an_owner_of_an_earlier_epoch_can_write_nothing() {
    let folder = Folder::new();
    let store = folder.store();
    let topic = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    let claim = || Write::new().claim("billing", one);
    let old = store.write(Class::Bulk, claim()).await.unwrap().claimed[0].epoch;
    let new = store.write(Class::Bulk, claim()).await.unwrap().claimed[0].epoch;
    let commit = |epoch, floor| Write::new().commit("billing", one, epoch, Cursor::starting_at(floor));
    store.write(Class::Bulk, commit(new, 5)).await.unwrap();
    for stranger in [old, new + 1] {
        // What comes with a cursor that is refused is refused with it.
        let write = commit(stranger, 6).append(one, &[numbered(99)]);
        let error = store.write(Class::Bulk, write).await.unwrap_err();
        assert_eq!((error.reason(), error.outcome()), (Reason::Fenced, Outcome::Failed));
    }
    assert_eq!(topic.cursor("billing", 1).await.unwrap(), Some(Cursor::starting_at(5)));
    assert_eq!(topic.bounds(1).await.unwrap().next, 10);
}

#[tokio::test]
async fn a_cursor_never_goes_beyond_the_end() {
    let folder = Folder::new();
    let store = folder.store();
    let topic = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    let epoch = store.write(Class::Bulk, Write::new().claim("billing", one)).await.unwrap().claimed[0].epoch;
    let sound = Cursor::starting_at(3);
    for beyond in [
        Cursor::starting_at(11),
        Cursor { marked: 11, ..sound.clone() },
        Cursor { alone: Some(10), ..sound.clone() },
        Cursor { settled: vec![4..5, 6..11], ..sound.clone() },
        Cursor { deliveries: BTreeMap::from([(u64::MAX, 1)]), ..sound.clone() },
    ] {
        let error =
            store.write(Class::Bulk, Write::new().commit("billing", one, epoch, beyond)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::BadCursor, "{error}");
    }
    let error = store.write(Class::Bulk, Write::new().claim("bil ling", one)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadValue);
}

#[tokio::test]
async fn what_is_set_aside_is_kept_once_and_parks_its_key_until_it_is_gone() {
    let folder = Folder::new();
    let store = folder.store();
    let _topic = ten_orders(&store).await;
    let (dead, behind) = (letter(2, Some(Kind::OffContract)), letter(9, None));
    let mut other = letter(4, Some(Kind::Exhausted));
    other.parks = false;
    let write = || Write::new().set_aside(dead.clone()).set_aside(behind.clone()).set_aside(other.clone());
    store.write(Class::Bulk, write()).await.unwrap();
    store.write(Class::Bulk, write()).await.unwrap();
    let kept = store.letters(slot("billing"), 0, Limits::default()).await.unwrap();
    assert_eq!(kept, [dead.clone(), other.clone(), behind.clone()]);
    assert_eq!(store.letters(slot("shipping"), 0, Limits::default()).await.unwrap(), []);
    assert_eq!(store.parked(slot("billing")).await.unwrap(), [Key::new("key 2")]);

    let gone = store.write(Class::Bulk, Write::new().discard(slot("billing"), 2)).await.unwrap().discarded;
    assert_eq!(gone, [true]);
    assert_eq!(
        store.parked(slot("billing")).await.unwrap(),
        [Key::new("key 2")],
        "another of its key is kept"
    );
    let rest = Write::new().discard(slot("billing"), 9).discard(slot("billing"), 2);
    assert_eq!(store.write(Class::Bulk, rest).await.unwrap().discarded, [true, false]);
    assert_eq!(store.parked(slot("billing")).await.unwrap(), []);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn letters_come_in_pages() {
    let folder = Folder::new();
    let store = folder.store();
    let write = (0..10).fold(Write::new(), |write, n| write.set_aside(letter(n, None)));
    store.write(Class::Bulk, write).await.unwrap();
    let (mut seen, mut from) = (Vec::new(), 0);
    loop {
        let page = store.letters(slot("billing"), from, Limits { records: 3, bytes: 1 << 20 }).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.position + 1;
        assert!(page.len() <= 3);
        seen.extend(page.iter().map(|letter| letter.position));
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}
