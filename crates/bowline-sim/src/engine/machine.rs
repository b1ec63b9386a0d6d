//! Cores that are shared evenly by whatever works on them.
//!
//! Why virtual work. When one more job comes, all others become slower, and planning each of them anew would
//! cost as much as there are. So the machine keeps the work that each job *would* have got so far, which grows
//! at the same pace for all, and a job is done when that reaches what it stood at plus its own work. Only the
//! first of them needs an event (Kleinrock's processor sharing, as fair queueing computes it).

use super::event::{Future, What};
use super::slab::Handle;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug)]
pub(super) struct Machine {
    cores: f64,
    /// Work that each job under way has got since the beginning, in nanoseconds.
    given: f64,
    /// When that was true.
    since: u64,
    /// Until which `given` each job is under way. Bits of positive floats order as the floats do.
    jobs: BinaryHeap<Reverse<(u64, Handle)>>,
    /// Of the event that is planned; others are void.
    stamp: u32,
}

impl Machine {
    pub(super) fn new(cores: u32) -> Self {
        Self { cores: f64::from(cores), given: 0.0, since: 0, jobs: BinaryHeap::new(), stamp: 0 }
    }

    /// `job` begins `work` nanoseconds of work.
    pub(super) fn begin(&mut self, job: Handle, work: u64, now: u64, index: u32, future: &mut Future) {
        self.roll(now);
        let until = self.given + work as f64;
        self.jobs.push(Reverse((until.to_bits(), job)));
        self.plan(index, future);
    }

    /// The jobs that `gone` says are gone are under way no more.
    pub(super) fn forget(
        &mut self,
        gone: impl Fn(Handle) -> bool,
        now: u64,
        index: u32,
        future: &mut Future,
    ) {
        self.roll(now);
        self.jobs.retain(|Reverse((_, job))| !gone(*job));
        self.plan(index, future);
    }

    /// The event with this stamp has come: the job that is done, if it is the one that was planned. If there
    /// may be more of them, the next event is planned for now.
    pub(super) fn done(&mut self, stamp: u32, now: u64, index: u32, future: &mut Future) -> Option<Handle> {
        if stamp != self.stamp {
            return None;
        }
        self.roll(now);
        let Reverse((until, job)) = self.jobs.pop()?;
        // Events lie on whole nanoseconds: what little is left or too much is given back to nobody.
        self.given = self.given.max(f64::from_bits(until));
        self.plan(index, future);
        Some(job)
    }

    /// How fast each job goes: one core at most.
    fn pace(&self) -> f64 {
        (self.cores / self.jobs.len() as f64).min(1.0)
    }

    fn roll(&mut self, now: u64) {
        if !self.jobs.is_empty() {
            self.given += (now - self.since) as f64 * self.pace();
        }
        self.since = now;
    }

    fn plan(&mut self, index: u32, future: &mut Future) {
        self.stamp = self.stamp.wrapping_add(1);
        if let Some(Reverse((until, _))) = self.jobs.peek() {
            let left = (f64::from_bits(*until) - self.given).max(0.0) / self.pace();
            future.after(left.ceil() as u64, What::Shared { machine: index, stamp: self.stamp });
        }
    }
}
