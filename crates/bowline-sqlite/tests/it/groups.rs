//! Cursors, what is in flight, deliveries, parked keys, dead letters.

use crate::folder::{Folder, numbered};
use bowline_sqlite::{Blame, Class, Group, Limits, Reason, Store, Topic, TopicSpec, Write};
use bytes::Bytes;
use std::collections::BTreeMap;

async fn ten_orders(store: &Store) -> (Topic, Group) {
    let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
    topic.append(1, &(0..10).map(numbered).collect::<Vec<_>>()).await.unwrap();
    let group = topic.group("billing");
    (topic, group)
}

fn blame() -> Blame {
    Blame { class: "schema".to_owned(), detail: "no amount".to_owned(), deliveries: 3 }
}

#[tokio::test]
async fn a_cursor_moves_on_and_forgets_what_is_behind_it() {
    let folder = Folder::new();
    let store = folder.store();
    let (topic, group) = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    assert_eq!(group.progress(1).await.unwrap(), Default::default());
    let write = Write::new().fetched("billing", one, 6).settle("billing", one, &[4, 2, 2]).count(
        "billing",
        one,
        &[1, 3, 3],
    );
    store.write(Class::Bulk, write).await.unwrap();
    let progress = group.progress(1).await.unwrap();
    assert_eq!((progress.cursor, progress.fetched, progress.settled), (0, 6, vec![2, 4]));
    assert_eq!(progress.deliveries, BTreeMap::from([(1, 1), (3, 2)]));
    store.write(Class::Bulk, Write::new().advance("billing", one, 3)).await.unwrap();
    let progress = group.progress(1).await.unwrap();
    assert_eq!((progress.cursor, progress.fetched, progress.settled), (3, 6, vec![4]));
    assert_eq!(progress.deliveries, BTreeMap::from([(3, 2)]));
    assert_eq!(group.progress(0).await.unwrap(), Default::default());
    assert_eq!(topic.group("shipping").progress(1).await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_cursor_neither_goes_back_nor_beyond_the_end() {
    let folder = Folder::new();
    let store = folder.store();
    let (topic, group) = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    store.write(Class::Bulk, Write::new().advance("billing", one, 5)).await.unwrap();
    for write in [
        Write::new().advance("billing", one, 4),
        Write::new().advance("billing", one, 11),
        Write::new().fetched("billing", one, 11),
        Write::new().settle("billing", one, &[10]),
        Write::new().count("billing", one, &[u64::MAX]),
        Write::new().seek("billing", one, 11),
    ] {
        let error = store.write(Class::Bulk, write).await.unwrap_err();
        assert_eq!(error.reason(), Reason::BadCursor, "{error}");
    }
    store.write(Class::Bulk, Write::new().seek("billing", one, 1)).await.unwrap();
    assert_eq!(group.progress(1).await.unwrap().cursor, 1);
    let error = store.write(Class::Bulk, Write::new().advance("bil ling", one, 5)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadValue);
}

#[tokio::test]
async fn too_many_in_flight_are_refused() {
    let folder = Folder::new();
    let mut settings = crate::folder::quiet();
    settings.in_flight_max = 5;
    let store = Store::open(folder.path(), settings).unwrap();
    let (topic, _) = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    store.write(Class::Bulk, Write::new().fetched("billing", one, 5)).await.unwrap();
    let error = store.write(Class::Bulk, Write::new().fetched("billing", one, 6)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TooLarge);
}

#[tokio::test]
async fn what_a_crash_cut_off_counts_as_delivered_and_what_was_released_does_not() {
    let folder = Folder::new();
    let store = folder.store();
    let (topic, _) = ten_orders(&store).await;
    let [zero, one] = [topic.partition(0).unwrap(), topic.partition(1).unwrap()];
    topic.append(0, &[numbered(1), numbered(2)]).await.unwrap();
    let write = Write::new()
        .advance("billing", one, 2)
        .fetched("billing", one, 6)
        .settle("billing", one, &[4])
        .count("billing", one, &[3])
        .fetched("billing", zero, 2)
        .released("billing", zero);
    store.write(Class::Bulk, write).await.unwrap();
    drop(store);
    for _ in 0..2 {
        let store = folder.store();
        let group = store.topic("orders").unwrap().group("billing");
        let progress = group.progress(1).await.unwrap();
        assert_eq!(progress.deliveries, BTreeMap::from([(2, 1), (3, 2), (5, 1)]), "counted once");
        assert_eq!((progress.cursor, progress.fetched), (2, 2));
        assert_eq!(group.progress(0).await.unwrap().deliveries, BTreeMap::new());
    }
}

#[tokio::test]
async fn a_dead_letter_has_its_record_and_is_set_aside_with_its_cursor() {
    let folder = Folder::new();
    let store = folder.store();
    let (topic, group) = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    let key = Bytes::from("key 4");
    let write = Write::new()
        .dead_letter("billing", one, 4, blame())
        .park("billing", one, key.clone(), 4)
        .settle("billing", one, &[4]);
    let letters = store.write(Class::Bulk, write).await.unwrap().letters;
    let found = group.letters(0, Limits::default()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].partition, found[0].stored.position), (letters[0], 1, 4));
    assert_eq!(found[0].stored.record, numbered(4));
    assert_eq!(
        (&found[0].class, &found[0].detail, found[0].deliveries),
        (&blame().class, &blame().detail, 3)
    );
    assert_eq!(group.progress(1).await.unwrap().parked, BTreeMap::from([(key.clone(), 4)]));

    let again = store.write(Class::Bulk, Write::new().dead_letter("billing", one, 4, blame())).await;
    assert_eq!(again.unwrap_err().reason(), Reason::BadLetter);
    store.write(Class::Bulk, Write::new().dead_letter("shipping", one, 4, blame())).await.unwrap();
    assert_eq!(group.letters(found[0].id, Limits::default()).await.unwrap(), []);

    let redriven = Write::new().discard(found[0].id).unpark("billing", one, key);
    store.write(Class::Bulk, redriven).await.unwrap();
    assert_eq!(group.letters(0, Limits::default()).await.unwrap(), []);
    assert_eq!(group.progress(1).await.unwrap().parked, BTreeMap::new());
    let error = store.write(Class::Bulk, Write::new().discard(found[0].id)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadLetter);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn letters_come_in_pages() {
    let folder = Folder::new();
    let store = folder.store();
    let (topic, group) = ten_orders(&store).await;
    let one = topic.partition(1).unwrap();
    let write = (0..10).fold(Write::new(), |write, n| write.dead_letter("billing", one, n, blame()));
    store.write(Class::Bulk, write).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = group.letters(after, Limits { records: 3, bytes: 1 << 20 }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        assert!(page.len() <= 3);
        seen.extend(page.iter().map(|letter| letter.stored.position));
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}
