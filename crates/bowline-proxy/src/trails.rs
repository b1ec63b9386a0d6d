//! The last decisions worth looking at: what `bowline explain last` reads.
//!
//! Every request is recorded while it runs, into memory that is used again. Only what somebody may ask
//! about is kept: what failed, what was tried more than once, what met a fault, and what asked for it.

use crate::protocol::Protocol;
use bowline_model::{Trail, WallTime};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One request and everything that was decided about it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number, from one, of this process; zero where it is not kept.
    pub id: u64,
    /// When it began.
    pub at: WallTime,
    /// When it began, on the clock of its decisions.
    pub began: bowline_model::Instant,
    /// Its method.
    pub method: http::Method,
    /// Its path and query, as they came.
    pub target: Box<str>,
    /// Its authority.
    pub authority: Box<str>,
    /// The answer's status; 499 where the caller went away first.
    pub status: u16,
    /// How long until the answer's head.
    pub took: Duration,
    /// How long until all of the answer was passed on, or given up; `None` while it comes.
    pub through: Option<Duration>,
    /// What the caller speaks.
    pub speaks: Protocol,
    /// What is spoken to where it went.
    pub callee: Option<Protocol>,
    /// What went wrong, in Envoy's letters.
    pub flag: crate::Flag,
    /// The listener it came in by.
    pub listener: Arc<str>,
    /// Who its caller proved to be.
    pub caller: Option<Box<str>>,
    /// The rule of the design that let it through to where it went.
    pub access: Option<AccessTaken>,
    /// The route it took.
    pub route: Option<RouteTaken>,
    /// Where it went: the service's name, and `service.operation` where it asked for a declared one.
    pub destination: Option<Box<str>>,
    /// The endpoints, in the order of the indexes that the decisions name.
    pub hosts: Arc<[Arc<str>]>,
    /// Whether it is a gRPC call.
    pub grpc: bool,
    /// Its trace.
    pub trace: u128,
    /// Its span in that trace; those of its tries follow from it ([`bowline_model::TraceContext::of_try`]).
    pub span: u64,
    /// Its caller's span, where the caller named one.
    pub parent: Option<u64>,
    /// What was decided, in order.
    pub trail: Trail,
}

impl Record {
    /// What the caller speaks, one word: `h1`, `h2`, or `grpc`.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        if self.grpc { "grpc" } else { self.speaks.as_str() }
    }

    /// What is spoken to where it went, one word.
    #[must_use]
    pub fn callee_protocol(&self) -> Option<&'static str> {
        self.callee.map(|callee| if self.grpc { "grpc" } else { callee.as_str() })
    }
}

/// The rule that let a request through.
#[derive(Clone, Debug)]
pub struct AccessTaken {
    /// What it is called: `Access shop/orders-may-pay`.
    pub name: Arc<str>,
    /// Where it is written.
    pub place: bowline_design::Place,
}

/// The route a request took.
#[derive(Clone, Debug)]
pub struct RouteTaken {
    /// What it is called.
    pub name: Arc<str>,
    /// Where it is written.
    pub place: bowline_design::Place,
}

/// Which records are wanted. The default wants all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this one.
    pub id: Option<u64>,
    /// Only answers with this status.
    pub status: Option<u16>,
    /// Only what went to this service (or `service.operation`).
    pub destination: Option<String>,
    /// Only this trace.
    pub trace: Option<u128>,
    /// Only paths that start so.
    pub path: Option<String>,
}

impl Filter {
    /// Whether `record` is wanted.
    #[must_use]
    pub fn wants(&self, record: &Record) -> bool {
        let destination = |wanted: &String| {
            record.destination.as_deref().is_some_and(|own| {
                own == wanted || own.split_once('.').is_some_and(|(service, _)| service == wanted)
            })
        };
        self.id.is_none_or(|id| id == record.id)
            && self.status.is_none_or(|status| status == record.status)
            && self.trace.is_none_or(|trace| trace == record.trace)
            && self.path.as_ref().is_none_or(|path| record.target.starts_with(path.as_str()))
            && self.destination.as_ref().is_none_or(destination)
    }
}

/// The last records of a process, oldest dropped first.
#[derive(Debug)]
pub struct Trails {
    max: usize,
    kept: AtomicU64,
    records: Mutex<VecDeque<Arc<Record>>>,
}

impl Trails {
    /// Keeps `max` records.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), kept: AtomicU64::new(0), records: Mutex::default() }
    }

    /// The latest record that `filter` wants.
    #[must_use]
    pub fn last(&self, filter: &Filter) -> Option<Arc<Record>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().rev().find(|record| filter.wants(record)).cloned()
    }

    /// Up to `max` records that `filter` wants, the latest first.
    #[must_use]
    pub fn list(&self, filter: &Filter, max: usize) -> Vec<Arc<Record>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().rev().filter(|record| filter.wants(record)).take(max).cloned().collect()
    }

    /// How many were ever kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Keeps `record` under a new number.
    pub(crate) fn keep(&self, mut record: Record) -> Arc<Record> {
        let id = self.kept.fetch_add(1, Ordering::Relaxed) + 1;
        record.id = id;
        let record = Arc::new(record);
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if records.len() == self.max { records.pop_front() } else { None };
        records.push_back(Arc::clone(&record));
        drop(records);
        // Freed outside of the lock.
        drop(oldest);
        record
    }

    /// Puts `record`, of which more is known now, in the place of the one with its number, if that is still
    /// here.
    pub(crate) fn replace(&self, record: &Arc<Record>) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        // Mostly among the last.
        let place = records.iter().rposition(|kept| kept.id == record.id);
        let before = place.map(|place| std::mem::replace(&mut records[place], Arc::clone(record)));
        drop(records);
        // Freed outside of the lock.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: u16, destination: &str) -> Record {
        Record {
            id: 0,
            at: WallTime::default(),
            began: bowline_model::Instant::ZERO,
            method: http::Method::GET,
            target: "/orders/1".into(),
            authority: "shop".into(),
            status,
            took: Duration::ZERO,
            through: None,
            speaks: Protocol::Http1,
            callee: None,
            flag: crate::Flag::None,
            listener: "shop/gate".into(),
            caller: None,
            access: None,
            route: None,
            destination: Some(destination.into()),
            hosts: Arc::new([]),
            grpc: false,
            trace: 1,
            span: 1,
            parent: None,
            trail: Trail::default(),
        }
    }

    #[test]
    fn the_oldest_make_room_and_numbers_go_on() {
        let trails = Trails::new(2);
        for status in [500, 502, 504] {
            trails.keep(record(status, "inventory.allocate"));
        }
        let kept: Vec<_> =
            trails.list(&Filter::default(), 9).iter().map(|record| (record.id, record.status)).collect();
        assert_eq!(kept, [(3, 504), (2, 502)]);
    }

    #[test]
    fn what_is_known_later_takes_the_place_of_what_was_kept() {
        let trails = Trails::new(2);
        let kept = trails.keep(record(200, "payment"));
        trails.keep(record(504, "inventory"));
        let through = Some(Duration::from_secs(1));
        trails.replace(&Arc::new(Record { through, ..Record::clone(&kept) }));
        let ids: Vec<_> =
            trails.list(&Filter::default(), 9).iter().map(|record| (record.id, record.through)).collect();
        assert_eq!(ids, [(2, None), (1, through)]);
        trails.keep(record(500, "orders"));
        trails.replace(&kept);
        assert_eq!(
            trails.list(&Filter { id: Some(1), ..Filter::default() }, 9).len(),
            0,
            "made room already"
        );
    }

    #[test]
    fn a_filter_wants_what_all_its_parts_want() {
        let trails = Trails::new(8);
        trails.keep(record(504, "inventory.allocate"));
        trails.keep(record(503, "payment"));
        let find = |filter: Filter| trails.last(&filter).map(|record| record.status);
        assert_eq!(find(Filter::default()), Some(503));
        assert_eq!(find(Filter { status: Some(504), ..Filter::default() }), Some(504));
        assert_eq!(find(Filter { destination: Some("inventory".into()), ..Filter::default() }), Some(504));
        assert_eq!(find(Filter { destination: Some("invent".into()), ..Filter::default() }), None);
        assert_eq!(
            find(Filter { path: Some("/orders".into()), status: Some(404), ..Filter::default() }),
            None
        );
        assert_eq!(find(Filter { id: Some(1), ..Filter::default() }), Some(504));
    }
}
