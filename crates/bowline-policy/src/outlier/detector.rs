//! Who is put out, who is spared, who is back.

use super::{FailureShare, OutlierSettings, Seen, SuccessRate};
use crate::balance::Host;
use crate::report::Report;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, lock};
use bowline_model::Instant;
use bowline_model::decision::{EjectWhy, SpareWhy};
use bowline_model::time::nanos;
use std::time::Duration;

/// Decides about all hosts of one destination, one decision at a time.
#[derive(Debug, Default)]
pub struct Detector {
    /// When the last sweep was, once there was one.
    swept: Mutex<Option<Instant>>,
    /// When the next one is due.
    due: AtomicU64,
    ejected: [AtomicU64; EJECTIONS.len()],
    spared: [AtomicU64; SPARINGS.len()],
    returned: AtomicU64,
}

/// What became of a host that deserved to be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is left out.
    Ejected {
        /// Why.
        why: EjectWhy,
        /// For how long.
        span: Duration,
    },
    /// It stays.
    Spared {
        /// What it deserved it for.
        why: EjectWhy,
        /// Why it stays.
        because: SpareWhy,
    },
}

const EJECTIONS: [EjectWhy; 5] = [
    EjectWhy::Consecutive5xx,
    EjectWhy::ConsecutiveGateway,
    EjectWhy::ConsecutiveLocal,
    EjectWhy::SuccessRate,
    EjectWhy::FailureShare,
];

const SPARINGS: [SpareWhy; 2] = [SpareWhy::TooManyOut, SpareWhy::LastOne];

impl Detector {
    /// Hosts that were left out so far, by reason.
    pub fn ejected(&self) -> impl Iterator<Item = (EjectWhy, u64)> + '_ {
        EJECTIONS.into_iter().zip(self.ejected.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Hosts that deserved it and stayed so far, by why they stayed.
    pub fn spared(&self) -> impl Iterator<Item = (SpareWhy, u64)> + '_ {
        SPARINGS.into_iter().zip(self.spared.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Hosts that sweeps have seen back so far.
    #[must_use]
    pub fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    /// The try at the `at`-th of `hosts` ended this way; `tell` hears what is decided for it.
    #[inline]
    pub(crate) fn saw<'h, I: Iterator<Item = &'h Host>>(
        &self,
        settings: &OutlierSettings,
        hosts: impl Fn() -> I,
        at: u16,
        now: Instant,
        report: &Report,
        tell: &mut impl FnMut(u16, Judged),
    ) {
        if self.due.load(Ordering::Relaxed) <= now.as_nanos() {
            self.sweep(settings, &hosts, now, tell);
        }
        let Some(host) = hosts().nth(usize::from(at)) else { return };
        // It was sent before the host was put out.
        if now < host.record.ejected_until() {
            return;
        }
        if let Some(why) = host.record.count(settings, Seen::of(report, settings.errors.as_ref())) {
            let _one_at_a_time = lock(&self.swept);
            self.judge(settings, &hosts, at, now, why, tell);
        }
    }

    /// Puts a host out, or spares it. Under the lock.
    #[cold]
    fn judge<'h, I: Iterator<Item = &'h Host>>(
        &self,
        settings: &OutlierSettings,
        hosts: &impl Fn() -> I,
        at: u16,
        now: Instant,
        why: EjectWhy,
        tell: &mut impl FnMut(u16, Judged),
    ) {
        let Some(host) = hosts().nth(usize::from(at)) else { return };
        // Another worker was faster.
        if now < host.record.ejected_until() {
            return;
        }
        let (mut all, mut out, mut others_in) = (0_u32, 0_u32, 0_u32);
        for (index, other) in hosts().enumerate() {
            all += 1;
            out += u32::from(now < other.record.ejected_until());
            others_in += u32::from(index != usize::from(at) && other.is_well(now));
        }
        let because = if others_in == 0 && !settings.last_too {
            Some(SpareWhy::LastOne)
        } else if u64::from(out) < settings.out_max.of(all.into()) || (settings.one_always && out == 0) {
            None
        } else {
            Some(SpareWhy::TooManyOut)
        };
        if let Some(because) = because {
            // It has to deserve it anew: a destination that may lose nobody is not judged at every failure.
            host.record.forgive();
            count(SPARINGS.iter().position(|known| *known == because).map(|index| &self.spared[index]));
            return tell(at, Judged::Spared { why, because });
        }
        let mut span = Duration::ZERO;
        host.record.put_out(|times| {
            span = settings.base.saturating_mul(times).min(settings.max.max(settings.base));
            now + span
        });
        count(EJECTIONS.iter().position(|known| *known == why).map(|index| &self.ejected[index]));
        tell(at, Judged::Ejected { why, span });
    }

    /// What happens every interval. It is driven by finished tries: without any there is nothing to compare
    /// and nobody to ask a host that is back.
    #[cold]
    fn sweep<'h, I: Iterator<Item = &'h Host>>(
        &self,
        settings: &OutlierSettings,
        hosts: &impl Fn() -> I,
        now: Instant,
        tell: &mut impl FnMut(u16, Judged),
    ) {
        let mut swept = lock(&self.swept);
        let interval = nanos(settings.interval).max(1);
        let before = *swept.get_or_insert(now);
        let passed = nanos(now.since(before)) / interval;
        let last = before + Duration::from_nanos(passed * interval);
        *swept = Some(last);
        self.due.store(last.as_nanos().saturating_add(interval), Ordering::Relaxed);
        if passed == 0 {
            return;
        }
        for host in hosts() {
            let back = host.record.ejected_until();
            if back <= now {
                let intervals = nanos(last.since(back.max(before))) / interval;
                let is_back = host.record.was_in_for(u32::try_from(intervals).unwrap_or(u32::MAX));
                self.returned.fetch_add(is_back.into(), Ordering::Relaxed);
            }
        }
        if settings.compares() {
            let counts: Vec<(u32, u32)> = hosts().map(|host| host.record.take_counts()).collect();
            if let Some(rate) = &settings.success_rate {
                self.compare(settings, rate, &counts, hosts, now, tell);
            }
            if let Some(failures) = &settings.failures {
                self.measure(settings, failures, &counts, hosts, now, tell);
            }
        }
    }

    /// Puts out whose share of successes is far below that of the others.
    fn compare<'h, I: Iterator<Item = &'h Host>>(
        &self,
        settings: &OutlierSettings,
        rate: &SuccessRate,
        counts: &[(u32, u32)],
        hosts: &impl Fn() -> I,
        now: Instant,
        tell: &mut impl FnMut(u16, Judged),
    ) {
        let share = |(successes, calls): &(u32, u32)| {
            (rate.calls_min.max(1) <= *calls).then(|| f64::from(*successes) / f64::from(*calls))
        };
        let shares: Vec<Option<f64>> = counts.iter().map(share).collect();
        let compared = shares.iter().flatten().count() as f64;
        if compared < f64::from(rate.hosts_min.max(1)) {
            return;
        }
        let mean = shares.iter().flatten().sum::<f64>() / compared;
        let variance = shares.iter().flatten().map(|share| (share - mean) * (share - mean)).sum::<f64>();
        let least = mean - rate.deviations * (variance / compared).sqrt();
        for (index, share) in shares.iter().enumerate() {
            if share.is_some_and(|share| share < least) {
                self.judge(settings, hosts, index as u16, now, EjectWhy::SuccessRate, tell);
            }
        }
    }

    /// Puts out whose share of failures is too much.
    fn measure<'h, I: Iterator<Item = &'h Host>>(
        &self,
        settings: &OutlierSettings,
        failures: &FailureShare,
        counts: &[(u32, u32)],
        hosts: &impl Fn() -> I,
        now: Instant,
        tell: &mut impl FnMut(u16, Judged),
    ) {
        let is_enough = |calls: u32| failures.calls_min.max(1) <= calls;
        let measured = counts.iter().filter(|(_, calls)| is_enough(*calls)).count();
        if measured < failures.hosts_min.max(1) as usize {
            return;
        }
        for (index, (successes, calls)) in counts.iter().enumerate() {
            if is_enough(*calls) && failures.share.is_reached(calls.saturating_sub(*successes), *calls) {
                self.judge(settings, hosts, index as u16, now, EjectWhy::FailureShare, tell);
            }
        }
    }
}

fn count(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
