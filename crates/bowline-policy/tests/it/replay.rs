//! One bad host of ten, replayed in virtual time: how many requests meet it, and how many would with Envoy's
//! least request.
//!
//! Requests come at a constant rate, with gaps spread evenly up to twice the mean; a good host takes 5 to 15 ms. Each is one try, so that
//! what is counted is whom the balancer sends where, and not what retries make good again.

use crate::world::MS;
use bowline_model::decision::TryEnd;
use bowline_model::{Instant, Random, SplitMix64};
use bowline_policy::balance::{Balancer, Joining, Tried};
use bowline_policy::{BalanceSettings, OutlierSettings, Report, classify};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const HOSTS: u16 = 10;
/// Which one is bad.
const BAD: u16 = 3;
const SECONDS: u64 = 12;
/// Requests a second, and what chance is drawn from.
const RUNS: [(u64, u64); 7] = [(100, 1), (100, 2), (100, 3), (1_000, 1), (1_000, 2), (1_000, 3), (4_000, 1)];

/// How the bad host is bad.
#[derive(Clone, Copy, Debug)]
enum Bad {
    /// It answers 503 within a tenth of a millisecond.
    FailsAtOnce,
    /// It never answers: tries end after a second.
    Hangs,
    /// It answers, and takes half a second.
    IsSlow,
}

impl Bad {
    fn tries(self) -> (Duration, TryEnd) {
        match self {
            Self::FailsAtOnce => (MS / 10, TryEnd::Answered { status: 503 }),
            Self::Hangs => (MS * 1_000, TryEnd::TimedOut),
            Self::IsSlow => (MS * 500, TryEnd::Answered { status: 200 }),
        }
    }
}

/// Somebody who picks hosts.
trait Picks {
    fn pick(&mut self, now: Instant, rng: &mut SplitMix64) -> u16;
    fn ended(&mut self, host: u16, now: Instant, end: TryEnd, took: Duration);
}

impl Picks for &Balancer {
    fn pick(&mut self, now: Instant, rng: &mut SplitMix64) -> u16 {
        Balancer::pick(self, now, &mut Tried::default(), None, rng).expect("never all are out").host
    }

    fn ended(&mut self, host: u16, now: Instant, end: TryEnd, took: Duration) {
        self.settle(host, now, &Report::new(end, classify::of(end, false)), took, |_, _| ());
    }
}

/// Envoy's least request between equal weights, as its documentation says it: of two drawn at random, with
/// repetition, the one with fewer requests under way.
#[derive(Default)]
struct EnvoysLeastRequest([u32; HOSTS as usize]);

impl Picks for EnvoysLeastRequest {
    fn pick(&mut self, _: Instant, rng: &mut SplitMix64) -> u16 {
        let mut draw = || rng.below(HOSTS.into()) as usize;
        let (first, second) = (draw(), draw());
        let host = if self.0[second] < self.0[first] { second } else { first };
        self.0[host] += 1;
        host as u16
    }

    fn ended(&mut self, host: u16, _: Instant, _: TryEnd, _: Duration) {
        self.0[usize::from(host)] -= 1;
    }
}

/// The share of requests after the first second that meet the bad host.
fn meets(mut picks: impl Picks, bad: Bad, per_second: u64, seed: u64) -> f64 {
    let (mut arrivals, mut choices, mut work) =
        (SplitMix64::new(seed), SplitMix64::new(seed ^ 1), SplitMix64::new(seed ^ 2));
    let mut under_way = BinaryHeap::new();
    let (mut now, end) = (Instant::from_millis(1_000), Instant::from_millis(1_000 * (SECONDS + 1)));
    let after = now + MS * 1_000;
    let (mut all, mut met) = (0_u32, 0_u32);
    while now < end {
        now += Duration::from_nanos(1 + arrivals.below(2 * 1_000_000_000 / per_second));
        while let Some(&Reverse((at, host, began))) = under_way.peek()
            && at <= now
        {
            under_way.pop();
            let how = if host == BAD { bad.tries().1 } else { TryEnd::Answered { status: 200 } };
            picks.ended(host, at, how, at.since(began));
        }
        let host = picks.pick(now, &mut choices);
        let takes = if host == BAD { bad.tries().0 } else { MS * 5 + work.up_to(MS * 10) };
        under_way.push(Reverse((now + takes, host, now)));
        if after <= now {
            all += 1;
            met += u32::from(host == BAD);
        }
    }
    f64::from(met) / f64::from(all)
}

fn ours(outlier: Option<OutlierSettings>) -> std::sync::Arc<Balancer> {
    let joining = (0..HOSTS).map(|host| Joining { key: host.to_string().into(), weight: 1 });
    Balancer::new(BalanceSettings::OURS, outlier, joining, Instant::ZERO, None)
}

#[test]
fn of_ten_hosts_one_bad_one_is_met_by_at_most_one_request_in_a_hundred_after_the_first_second() {
    for bad in [Bad::FailsAtOnce, Bad::Hangs, Bad::IsSlow] {
        for (per_second, seed) in RUNS {
            let alone = meets(&*ours(None), bad, per_second, seed);
            let with_outlier = meets(&*ours(Some(OutlierSettings::OURS)), bad, per_second, seed);
            let envoys = meets(EnvoysLeastRequest::default(), bad, per_second, seed);
            println!(
                "{bad:?}, {per_second}/s, seed {seed}: {:.2} %, with outlier detection {:.2} %, \
                 Envoy's least request {:.2} %",
                alone * 1e2,
                with_outlier * 1e2,
                envoys * 1e2,
            );
            assert!(alone <= 0.01, "{bad:?}, {per_second}/s, seed {seed}: {alone}");
            assert!(with_outlier <= 0.01, "{bad:?}, {per_second}/s, seed {seed}: {with_outlier}");
            assert!(alone < envoys, "{bad:?}, {per_second}/s, seed {seed}: {alone}, Envoy's {envoys}");
        }
    }
}
