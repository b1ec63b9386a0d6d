//! Power that is lost at any change, syncs that fail, disks that are full or cannot be written.
//!
//! `BOWLINE_SEED` chooses what survives.

use crate::folder::{Folder, numbered, numbers, quiet};
use bowline_forgetful::{Disk, Image, Mount, Survive};
use bowline_lane::Cursor;
use bowline_model::Outcome;
use bowline_sqlite::{Class, Limits, Reason, Settings, Store, TopicSpec, Write};

/// Requests of one run: enough for the log to be copied and to begin again several times.
const REQUESTS: u64 = 14;

/// What a run got so far as to be told.
#[derive(Debug, Default)]
struct Told {
    /// Requests that were acknowledged: the first so many.
    acknowledged: u64,
    /// Whether the next one may be there, too.
    unknown: bool,
    /// The cursor that was acknowledged.
    cursor: u64,
    /// An acknowledgement that came before its sync.
    too_early: bool,
}

fn settings(mount: &Mount, forget_to_sync: bool) -> Settings {
    let mut settings = quiet();
    settings.readers = 1;
    settings.checkpoint_pages = 12;
    settings.world.vfs = Some(mount.name().to_owned());
    settings.world.forget_to_sync = forget_to_sync;
    settings
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// One record in each of two partitions, and now and then a cursor: all there or nothing.
fn request(topic: &bowline_sqlite::Topic, number: u64, epoch: u64) -> Write {
    let [a, b] = [topic.partition(0).unwrap(), topic.partition(1).unwrap()];
    let padded = [numbered(number).with_header("pad", vec![number as u8; 900])];
    let write = Write::new().append(a, &padded).append(b, &padded);
    if number % 3 == 2 { write.commit("billing", a, epoch, Cursor::starting_at(number)) } else { write }
}

/// Works until something fails.
fn run(disk: &Disk, folder: &Folder, forget_to_sync: bool) -> Told {
    let mount = Mount::new(disk);
    let mut told = Told::default();
    let Ok(store) = Store::open(folder.path(), settings(&mount, forget_to_sync)) else { return told };
    block_on(async {
        let Ok(topic) = store.create_topic("orders", TopicSpec::new(2)).await else { return };
        let claim = Write::new().claim("billing", topic.partition(0).unwrap());
        let Ok(claimed) = store.write(Class::Bulk, claim).await else { return };
        for number in 0..REQUESTS {
            match store.write(Class::Bulk, request(&topic, number, claimed.claimed[0].epoch)).await {
                Ok(_) => {
                    // No other request is under way: what is not synced now was not synced then.
                    told.too_early |= disk.unsynced("-wal") > 0 && !disk.is_off();
                    told.acknowledged = number + 1;
                    told.cursor = if number % 3 == 2 { number } else { told.cursor };
                }
                Err(error) => {
                    told.unknown = error.outcome() == Outcome::Unknown;
                    return;
                }
            }
        }
    });
    told
}

/// What is wrong with what is left; nothing, if it is as it should be.
fn wrong(image: Image, told: &Told) -> Option<String> {
    let (disk, folder) = (Disk::with(image), Folder::new());
    let mount = Mount::new(&disk);
    let store = match Store::open(folder.path(), settings(&mount, false)) {
        Ok(store) => store,
        Err(error) => return Some(format!("does not open: {error}")),
    };
    block_on(async {
        let report = store.verify().await.unwrap();
        if !report.is_sound() {
            return Some(format!("{:?}", report.findings));
        }
        let Ok(topic) = store.topic("orders") else {
            return (told.acknowledged > 0).then(|| "the topic is gone".to_owned());
        };
        let [a, b] = [topic.read(0, 0, Limits::default()).await, topic.read(1, 0, Limits::default()).await];
        let (a, b) = (numbers(&a.unwrap()), numbers(&b.unwrap()));
        let most = told.acknowledged + u64::from(told.unknown);
        let count = a.len() as u64;
        if a != b || a != (0..count).collect::<Vec<_>>() {
            return Some(format!("torn: {a:?} and {b:?}"));
        }
        if count < told.acknowledged || most < count {
            return Some(format!("{count} are there; {told:?}"));
        }
        let cursor = topic.cursor("billing", 0).await.unwrap().map_or(0, |cursor| cursor.floor);
        if cursor < told.cursor || count < cursor {
            return Some(format!("the cursor is at {cursor}; {told:?}"));
        }
        // And it goes on.
        let number = numbered(count);
        (topic.append(0, &[number]).await.unwrap().first != count).then(|| "appends elsewhere".to_owned())
    })
}

fn seed() -> u64 {
    let seed = std::env::var("BOWLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_201);
    println!("BOWLINE_SEED={seed}");
    seed
}

/// Switches the power off with every change of a run, or every so many; answers how many instants there were and what
/// was wrong.
fn sweep(forget_to_sync: bool, every: usize) -> (u64, Vec<String>) {
    let seed = seed();
    let whole = Disk::new();
    let told = run(&whole, &Folder::new(), forget_to_sync);
    assert_eq!(told.acknowledged, REQUESTS, "without a failure everything is acknowledged");
    let mut findings = Vec::new();
    let mut instants = 0;
    for change in (1..=whole.changes()).step_by(every) {
        instants += 1;
        let disk = Disk::new();
        disk.switch_off_after(change);
        let told = run(&disk, &Folder::new(), forget_to_sync);
        if told.too_early {
            findings.push(format!("change {change}: acknowledged before the sync"));
        }
        let choices = [
            Survive::Nothing,
            Survive::Everything,
            Survive::Some(seed.wrapping_add(change)),
            Survive::Some(seed.wrapping_mul(31).wrapping_add(change)),
        ];
        for survive in choices {
            if let Some(what) = wrong(disk.survivors(survive), &told) {
                findings.push(format!("change {change}, {survive:?}: {what}"));
            }
        }
    }
    (instants, findings)
}

#[test]
fn power_lost_at_any_change_loses_nothing_that_was_acknowledged_and_tears_nothing() {
    let (instants, findings) = sweep(false, 1);
    println!("{instants} instants");
    assert!(instants > 100, "{instants} instants prove little");
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn a_store_that_forgets_to_sync_is_found_out() {
    let (_, findings) = sweep(true, 5);
    assert!(findings.iter().any(|found| found.contains("acknowledged before the sync")));
    assert!(findings.iter().any(|found| found.contains("are there")), "{findings:#?}");
}

#[test]
fn after_a_sync_that_failed_nothing_that_is_acknowledged_is_lost() {
    let whole = Disk::new();
    run(&whole, &Folder::new(), false);
    let (mut reopened, mut unknown) = (0, 0);
    for sync in 1..=whole.syncs() {
        let (disk, folder) = (Disk::new(), Folder::new());
        disk.fail_sync(sync);
        let mount = Mount::new(&disk);
        // A start that fails is made again, as a person would.
        let store = (0..3).find_map(|_| Store::open(folder.path(), settings(&mount, false)).ok()).unwrap();
        block_on(async {
            let topic = loop {
                if let Ok(topic) = store.create_topic("orders", TopicSpec::new(2)).await {
                    break topic;
                }
            };
            let claim = || Write::new().claim("billing", topic.partition(0).unwrap());
            let epoch = loop {
                if let Ok(claimed) = store.write(Class::Bulk, claim()).await {
                    break claimed.claimed[0].epoch;
                }
            };
            let mut number = 0;
            while number < REQUESTS {
                match store.write(Class::Bulk, request(&topic, number, epoch)).await {
                    Ok(_) => number += 1,
                    Err(error) => {
                        unknown += u32::from(error.outcome() == Outcome::Unknown);
                        // Whoever does not know looks.
                        while topic.bounds(0).await.is_err() {}
                        // Let the store be back before it is asked again.
                        while store.write(Class::Bulk, Write::new()).await.is_err() {}
                        number = topic.bounds(0).await.unwrap().next;
                    }
                }
            }
        });
        reopened += store.metrics().reopened;
        // The power goes while the store is open: closing it would make up for much.
        let image = disk.survivors(Survive::Nothing);
        let told = Told { acknowledged: REQUESTS, cursor: 11, ..Told::default() };
        assert_eq!(wrong(image, &told), None, "sync {sync}");
    }
    assert!(reopened > 5 && unknown > 5, "{reopened} times opened anew, {unknown} times unknown");
}

#[test]
fn a_full_disk_refuses_tears_nothing_and_heals_by_itself() {
    let (disk, folder) = (Disk::new(), Folder::new());
    let mount = Mount::new(&disk);
    let store = Store::open(folder.path(), settings(&mount, false)).unwrap();
    block_on(async {
        let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
        disk.set_bytes_max(Some(disk.bytes() + 60_000));
        let mut number = 0;
        let error = loop {
            match store.write(Class::Bulk, request(&topic, number * 3, 0)).await {
                Ok(_) => number += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.reason(), error.outcome()), (Reason::DiskFull, Outcome::Refused));
        assert_eq!(
            (topic.bounds(0).await.unwrap().next, topic.bounds(1).await.unwrap().next),
            (number, number)
        );
        assert!(store.verify().await.unwrap().is_sound());
        disk.set_bytes_max(None);
        store.write(Class::Bulk, request(&topic, number * 3, 0)).await.unwrap();
        assert_eq!(topic.bounds(1).await.unwrap().next, number + 1);
    });
}

#[test]
fn a_disk_that_cannot_be_written_is_refused_by_name() {
    let (disk, folder) = (Disk::new(), Folder::new());
    let mount = Mount::new(&disk);
    drop(Store::open(folder.path(), settings(&mount, false)).unwrap());
    disk.set_read_only(true);
    let error = Store::open(folder.path(), settings(&mount, false)).unwrap_err();
    assert_eq!((error.reason(), error.outcome()), (Reason::ReadOnly, Outcome::Refused), "{error}");
    disk.set_read_only(false);
    let store = Store::open(folder.path(), settings(&mount, false)).unwrap();
    disk.set_read_only(true);
    let error = block_on(store.create_topic("orders", TopicSpec::new(2))).unwrap_err();
    assert_eq!(error.reason(), Reason::ReadOnly, "{error}");
    disk.set_read_only(false);
    // It is the commit that failed, so the file is opened anew first.
    while block_on(store.create_topic("orders", TopicSpec::new(2))).is_err() {}
}
