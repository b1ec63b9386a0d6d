//! What a consumer does in one situation each.

use bowline_lane::{
    AfterDead, Aside, Assigned, Class, Consumer, ConsumerSettings, Cursor, DeliveryId, Effect, Ended,
    Expired, Fetched, Input, Key, Order,
};
use bowline_model::{Instant, Outcome, SplitMix64};
use bowline_policy::Backoff;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A consumer whose cursors are kept at once, so that a test speaks of records alone.
struct Bench {
    consumer: Consumer,
    now: Instant,
    effects: Vec<Effect>,
}

impl Bench {
    /// It owns so many partitions, each from offset zero.
    fn new(settings: ConsumerSettings, partitions: u32) -> Self {
        let mut bench =
            Self { consumer: Consumer::new(settings), now: Instant::from_millis(1), effects: Vec::new() };
        for partition in 0..partitions {
            bench.assign(partition, Cursor::starting_at(0), &[]);
        }
        bench
    }

    fn assign(&mut self, partition: u32, cursor: Cursor, parked: &[&str]) {
        let state = Assigned { cursor, parked: parked.iter().map(Key::new).collect() };
        self.tell(Input::Assigned { partition, epoch: 1, state });
    }

    fn tell(&mut self, input: Input) {
        let mut new = Vec::new();
        self.consumer.apply(input, self.now, &mut SplitMix64::new(1), &mut new, &mut ());
        for effect in new {
            self.effects.push(effect.clone());
            if let Effect::Commit { partition, epoch, version, .. } = effect {
                self.tell(Input::Committed { partition, epoch, version, kept: true });
            }
        }
    }

    /// The fetch of a partition brings records of these keys.
    fn bring(&mut self, partition: u32, records: Vec<Fetched>) {
        let fetch = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Fetch { partition: of, fetch, .. } if *of == partition => Some(*fetch),
            _ => None,
        });
        let next = records.last().map_or(0, |last| last.offset + 1);
        let fetch = fetch.expect("a fetch");
        self.tell(Input::Fetched { partition, epoch: 1, fetch, next, records });
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        self.tell(Input::Woke);
    }

    fn ends(&mut self, id: DeliveryId, ended: Ended) {
        self.tell(Input::Ended { id, ended });
    }

    /// What was given to handlers since the last question.
    fn handled(&mut self) -> Vec<DeliveryId> {
        let effects = std::mem::take(&mut self.effects);
        let handled = effects.iter().filter_map(|effect| match effect {
            Effect::Handle { id, .. } => Some(*id),
            _ => None,
        });
        let handled = handled.collect();
        self.effects =
            effects.into_iter().filter(|effect| !matches!(effect, Effect::Handle { .. })).collect();
        handled
    }

    fn asides(&self) -> Vec<(u64, Aside)> {
        let aside = |effect: &Effect| match effect {
            Effect::SetAside { id, aside, .. } => Some((id.offset, *aside)),
            _ => None,
        };
        self.effects.iter().filter_map(aside).collect()
    }
}

fn settings() -> ConsumerSettings {
    ConsumerSettings {
        backoff: Backoff::Decorrelated { base: SECOND, max: SECOND },
        ..ConsumerSettings::default()
    }
}

fn records(keys: &[&str]) -> Vec<Fetched> {
    let record = |(offset, key): (usize, &&str)| Fetched {
        offset: offset as u64,
        key: (!key.is_empty()).then(|| Key::new(key)),
        bytes: 100,
        expires: None,
        unfit: None,
    };
    keys.iter().enumerate().map(record).collect()
}

fn offsets(ids: &[DeliveryId]) -> Vec<u64> {
    ids.iter().map(|id| id.offset).collect()
}

const DONE: Ended = Ended::new(Outcome::Succeeded);

#[test]
fn keys_are_worked_on_side_by_side_and_each_in_order() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&["a", "b", "a", "", "b"]));
    let first = bench.handled();
    assert_eq!(offsets(&first), [0, 1, 3]);
    bench.ends(first[0], DONE);
    assert_eq!(offsets(&bench.handled()), [2]);
}

#[test]
fn a_partition_in_order_has_one_record_in_hands() {
    let mut bench = Bench::new(ConsumerSettings { order: Order::Partition, ..settings() }, 1);
    bench.bring(0, records(&["a", "b", ""]));
    for offset in 0..3 {
        let handled = bench.handled();
        assert_eq!(offsets(&handled), [offset]);
        bench.ends(handled[0], DONE);
    }
}

#[test]
fn a_record_that_is_put_off_holds_up_its_key_alone() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&["a", "a", "b", "b"]));
    let first = bench.handled();
    bench.ends(first[0], Ended::new(Outcome::Unknown));
    bench.ends(first[1], DONE);
    assert_eq!(offsets(&bench.handled()), [3]);
    bench.wait(SECOND);
    assert_eq!(offsets(&bench.handled()), [0], "again, and before the next of its key");
}

#[test]
fn a_target_may_ask_for_a_longer_pause_than_the_back_off() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&["a"]));
    let first = bench.handled();
    bench.ends(first[0], Ended { after: Some(SECOND * 30), ..Ended::new(Outcome::Refused) });
    bench.wait(SECOND * 29);
    assert_eq!(bench.handled(), []);
    bench.wait(SECOND);
    assert_eq!(offsets(&bench.handled()), [0]);
}

#[test]
fn refusals_do_not_count_and_unknown_ends_do() {
    let mut bench = Bench::new(ConsumerSettings { deliveries_max: Some(2), ..settings() }, 1);
    bench.bring(0, records(&["a"]));
    for outcome in [Outcome::Refused, Outcome::Refused, Outcome::Unknown, Outcome::Refused, Outcome::Unknown]
    {
        assert_eq!(bench.asides(), []);
        let handled = bench.handled();
        bench.ends(handled[0], Ended::new(outcome));
        bench.wait(SECOND * 2);
    }
    assert_eq!(bench.asides(), [(0, Aside::Dead(Class::Exhausted))]);
}

#[test]
fn while_the_target_s_breaker_is_open_nothing_starts_and_nothing_is_set_aside() {
    let mut bench = Bench::new(ConsumerSettings { deliveries_max: Some(1), ..settings() }, 1);
    let until = bench.now + SECOND * 10;
    bench.tell(Input::TargetOpen { until });
    bench.bring(0, records(&["a", "b", "c"]));
    bench.wait(SECOND * 9);
    assert_eq!((bench.handled(), bench.asides()), (vec![], vec![]));
    assert_eq!(bench.consumer.wake_at(), until);
    bench.wait(SECOND);
    let probe = bench.handled();
    assert_eq!(offsets(&probe), [0], "one to find out");
    bench.ends(probe[0], DONE);
    assert_eq!(bench.handled().len(), 1, "one after the other");
    bench.tell(Input::TargetClosed);
    assert_eq!(offsets(&bench.handled()), [2]);
}

#[test]
fn a_record_whose_time_is_over_is_set_aside_or_dropped_as_was_asked() {
    for (expired, asides) in
        [(Expired::SetAside, vec![(0, Aside::Dead(Class::Expired))]), (Expired::Discard, vec![])]
    {
        let mut bench = Bench::new(ConsumerSettings { expired, ..settings() }, 1);
        let mut brought = records(&["a", "a"]);
        brought[0].expires = Some(bench.now);
        brought[1].expires = Some(bench.now + SECOND);
        bench.bring(0, brought);
        assert_eq!(bench.asides(), asides);
        assert_eq!(bench.handled().len(), usize::from(expired == Expired::Discard));
    }
}

#[test]
fn what_no_handler_shall_see_goes_to_the_dead_letters_in_its_turn() {
    let mut bench = Bench::new(settings(), 1);
    let mut brought = records(&["a", "a"]);
    brought[1].unfit = Some(Class::OffContract);
    bench.bring(0, brought);
    assert_eq!(bench.asides(), []);
    let first = bench.handled();
    bench.ends(first[0], DONE);
    assert_eq!(bench.asides(), [(1, Aside::Dead(Class::OffContract))]);
}

#[test]
fn a_dead_letter_that_is_not_kept_holds_back_its_key_until_it_is() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&["a", "a", "b"]));
    let first = bench.handled();
    bench.ends(first[0], Ended::new(Outcome::Failed));
    let id = |bench: &Bench| {
        let asked = bench.effects.iter().rev().find_map(|effect| match effect {
            Effect::SetAside { id, .. } => Some(*id),
            _ => None,
        });
        asked.unwrap()
    };
    let asked = id(&bench);
    bench.tell(Input::SetAside { id: asked, kept: false });
    assert_eq!(bench.handled(), []);
    bench.wait(SECOND);
    let asked = id(&bench);
    bench.tell(Input::SetAside { id: asked, kept: true });
    assert_eq!(offsets(&bench.handled()), [1]);
}

#[test]
fn a_key_that_is_opened_again_is_worked_on_again() {
    let settings = ConsumerSettings { after_dead: AfterDead::Park, ..settings() };
    let mut bench = Bench::new(settings, 0);
    bench.assign(0, Cursor::starting_at(0), &["a"]);
    bench.tell(Input::Reopened { partition: 0, key: Key::new("a") });
    bench.bring(0, records(&["a"]));
    assert_eq!((offsets(&bench.handled()), bench.asides()), (vec![0], vec![]));
}

#[test]
fn what_was_settled_above_the_floor_is_not_delivered_again() {
    let mut bench = Bench::new(settings(), 0);
    bench.assign(0, Cursor { settled: vec![1..2, 3..4], ..Cursor::starting_at(0) }, &[]);
    bench.bring(0, records(&["a", "b", "c", "d"]));
    assert_eq!(offsets(&bench.handled()), [0, 2]);
}

#[test]
fn a_record_larger_than_all_credits_comes_and_then_nothing_until_it_is_settled() {
    let mut bench = Bench::new(ConsumerSettings { bytes_max: 150, ..settings() }, 1);
    let mut brought = records(&["a"]);
    brought[0].bytes = 1_000;
    bench.bring(0, brought);
    let fetches = |bench: &Bench| bench.effects.iter().filter(|e| matches!(e, Effect::Fetch { .. })).count();
    assert_eq!(fetches(&bench), 1);
    let first = bench.handled();
    bench.ends(first[0], DONE);
    assert_eq!(fetches(&bench), 2);
}

#[test]
fn a_partition_with_many_records_leaves_turns_to_the_others() {
    let mut bench = Bench::new(ConsumerSettings { concurrency: 2, ..settings() }, 2);
    bench.bring(0, records(&[""; 20]));
    let of_first = bench.handled();
    bench.bring(1, records(&[""; 20]));
    for id in of_first {
        bench.ends(id, DONE);
    }
    let mut partitions: Vec<u32> = bench.handled().iter().map(|id| id.partition).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1]);
}

#[test]
fn who_stops_lets_handlers_end_and_then_lets_go_in_peace() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&["a", "a"]));
    let first = bench.handled();
    bench.tell(Input::Stop { until: bench.now + SECOND });
    assert!(!bench.consumer.is_empty());
    bench.ends(first[0], DONE);
    assert!(bench.consumer.is_empty());
    let last = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Commit { cursor, .. } => Some(cursor.clone()),
        _ => None,
    });
    assert_eq!(last, Some(Cursor::starting_at(1)), "the second record is nobody's suspect");
    assert!(bench.effects.contains(&Effect::Release { partition: 0, lost: false }));
}

#[test]
fn who_is_late_to_let_go_has_its_handlers_cancelled_and_marks_what_they_had() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&["a", "b"]));
    let first = bench.handled();
    bench.tell(Input::Revoking { partition: 0, epoch: 1, until: bench.now + SECOND });
    bench.ends(first[1], DONE);
    bench.wait(SECOND);
    assert!(bench.effects.contains(&Effect::Cancel { id: first[0] }));
    let marked = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Commit { cursor, .. } => Some((cursor.floor, cursor.marked)),
        _ => None,
    });
    assert_eq!(marked, Some((0, 1)));
}

#[test]
fn a_fetch_is_noted_once_however_many_records_it_brings() {
    let mut bench = Bench::new(settings(), 1);
    bench.bring(0, records(&[""; 16]));
    let commits = bench.effects.iter().filter(|effect| matches!(effect, Effect::Commit { .. })).count();
    assert_eq!((bench.handled().len(), commits), (16, 1));
}
