//! The hosts of one destination, and who is next.

use super::draw::{Field, Member, Which};
use super::host::Host;
use super::table::Table;
use super::tried::Tried;
use super::{Algorithm, BalanceSettings, PeakEwma};
use crate::classify::{self, Health};
use crate::outlier::{Detector, Judged, OutlierSettings};
use crate::ratio::Ratio;
use crate::report::{Pushback, Report};
use crate::sync::atomic::{AtomicU32, Ordering};
use bowline_model::decision::PickWhy;
use bowline_model::time::nanos;
use bowline_model::{Instant, Random};
use std::sync::Arc;
use std::time::Duration;

/// The hosts of one destination and subset, and who is next.
///
/// All workers of a process share one, through atomics alone on the way of a call: with one worker or eight
/// it sees every try, and a host's queue is its whole queue. Only ejecting a host takes a lock.
#[derive(Debug)]
pub struct Balancer {
    settings: BalanceSettings,
    outlier: Option<OutlierSettings>,
    members: Box<[Member]>,
    /// Whether weights differ.
    weighted: bool,
    turn: AtomicU32,
    table: Option<Table>,
    detector: Arc<Detector>,
}

/// A host that belongs to a balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// What it is known by, over reloads too: its address.
    pub key: Arc<str>,
    /// Its share beside the others'; zero counts as one.
    pub weight: u32,
}

/// A host that was picked. It counts as one more try under way until [`Balancer::settle`] or
/// [`Balancer::give_back`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Picked {
    /// Its index.
    pub host: u16,
    /// Why this one.
    pub why: PickWhy,
    /// Tries under way there before this one.
    pub pending: u32,
    /// How long it is expected to take; zero where that is not measured.
    pub expected: Duration,
}

/// A host as a comparison of two sees it.
#[derive(Clone, Copy)]
struct Candidate {
    index: usize,
    cost: f32,
    expected: f32,
}

/// Among whom is picked, and whether all of them were tried before.
struct Round {
    which: Which,
    again: bool,
}

impl Balancer {
    /// A balancer of `hosts`, at most 65,535 of them. What `before` knows of those it has too goes on; a
    /// host that it has not is new at `now`, and without a `before` nobody is.
    #[must_use]
    pub fn new(
        settings: BalanceSettings,
        outlier: Option<OutlierSettings>,
        hosts: impl IntoIterator<Item = Joining>,
        now: Instant,
        before: Option<&Self>,
    ) -> Arc<Self> {
        let hosts: Vec<Joining> = hosts.into_iter().take(usize::from(u16::MAX)).collect();
        let heaviest = hosts.iter().map(|joining| joining.weight.max(1)).max().unwrap_or(1);
        let came = if before.is_some() { now } else { Instant::ZERO };
        let members: Box<[Member]> = hosts
            .into_iter()
            .map(|Joining { key, weight }| {
                let known = before.and_then(|before| before.host_named(&key));
                Member {
                    host: known.unwrap_or_else(|| Arc::new(Host::new(key, came))),
                    weight: weight.max(1) as f32 / heaviest as f32,
                }
            })
            .collect();
        let table = match settings.algorithm {
            Algorithm::RingHash { size_min } => Some(Table::ring(&members, size_min)),
            Algorithm::Maglev { size } => Some(Table::maglev(&members, size)),
            _ => None,
        };
        Arc::new(Self {
            settings,
            outlier,
            weighted: members.iter().any(|member| member.weight < 1.0),
            members,
            turn: AtomicU32::new(0),
            table,
            detector: before.map_or_else(Arc::default, |before| Arc::clone(&before.detector)),
        })
    }

    /// Whether [`Balancer::new`] would make the same of these.
    #[must_use]
    pub fn is_made_of(
        &self,
        settings: &BalanceSettings,
        outlier: Option<&OutlierSettings>,
        hosts: &[Joining],
    ) -> bool {
        let heaviest = hosts.iter().map(|joining| joining.weight.max(1)).max().unwrap_or(1) as f32;
        self.settings == *settings
            && self.outlier.as_ref() == outlier
            && self.members.iter().map(|member| (member.host.key(), member.weight)).eq(hosts
                .iter()
                .take(usize::from(u16::MAX))
                .map(|joining| (&joining.key, joining.weight.max(1) as f32 / heaviest)))
    }

    /// How hosts are picked.
    #[must_use]
    pub const fn settings(&self) -> &BalanceSettings {
        &self.settings
    }

    /// When hosts are left out.
    #[must_use]
    pub const fn outlier(&self) -> Option<&OutlierSettings> {
        self.outlier.as_ref()
    }

    /// What outlier detection has done so far.
    #[must_use]
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// How many hosts there are.
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.members.len() as u16
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Its hosts, by index.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &Arc<Host>> {
        self.members.iter().map(|member| &member.host)
    }

    /// Picks a host for a try at `now`, none that is in `tried` while there are others, and none that is
    /// left out. `hash` is what a consistent way goes by; without one it draws.
    pub fn pick(
        &self,
        now: Instant,
        tried: &mut Tried,
        hash: Option<u64>,
        rng: &mut impl Random,
    ) -> Option<Picked> {
        let which = self.which(now);
        let mut round = Round { which, again: false };
        let chosen = match self.choose(&self.field(now, tried, which), hash, rng) {
            None => self.choose_otherwise(now, tried, hash, &mut round, rng),
            chosen => chosen,
        };
        let (index, why, expected) = chosen?;
        let host = index as u16;
        tried.add(host);
        let pending = self.members[index].host.begin();
        let why = match (round.which, round.again) {
            (Which::In | Which::All, _) => PickWhy::Panic,
            (Which::Well, true) => PickWhy::AllTried,
            (Which::Well, false) => why,
        };
        Some(Picked { host, why, pending, expected: Duration::from_nanos(expected as u64) })
    }

    /// Whether a host that may be picked at `now` is not in `tried`.
    #[must_use]
    pub fn has_untried(&self, now: Instant, tried: &Tried) -> bool {
        let any = |which| {
            let field = self.field(now, tried, which);
            (0..self.members.len()).any(|index| field.may(index))
        };
        match self.which(now) {
            Which::Well => any(Which::Well) || (self.is_nobody_well(now) && any(Which::In)),
            which => any(which),
        }
    }

    /// The try at `host` ended this way after `took`. `tell` hears which hosts are left out for it.
    #[inline]
    pub fn settle(
        &self,
        host: u16,
        now: Instant,
        report: &Report,
        took: Duration,
        mut tell: impl FnMut(u16, Judged),
    ) {
        let Some(member) = self.members.get(usize::from(host)) else { return };
        member.host.over();
        if let Algorithm::PeakEwma(settings) = &self.settings.algorithm {
            learn(settings, &member.host, now, report, took);
        }
        if let Some(outlier) = &self.outlier {
            let hosts = || self.members.iter().map(|member| &*member.host);
            self.detector.saw(outlier, hosts, host, now, report, &mut tell);
        }
    }

    /// The try at `host` was cancelled after `took`, because another was answered first. It says nothing about
    /// whether the host is well, and one true thing about how fast it is: it takes at least so long.
    pub fn outrun(&self, host: u16, now: Instant, took: Duration) {
        let Some(member) = self.members.get(usize::from(host)) else { return };
        member.host.over();
        if let Algorithm::PeakEwma(settings) = &self.settings.algorithm {
            member.host.estimate.at_least(now, settings.tau, took);
        }
    }

    /// The try at `host` was dropped: it says nothing.
    #[inline]
    pub fn give_back(&self, host: u16) {
        if let Some(member) = self.members.get(usize::from(host)) {
            member.host.over();
        }
    }
}

impl Balancer {
    fn host_named(&self, key: &str) -> Option<Arc<Host>> {
        self.hosts().find(|host| **host.key() == *key).cloned()
    }

    const fn field<'a>(&'a self, now: Instant, tried: &'a Tried, which: Which) -> Field<'a> {
        let slow_start = self.settings.slow_start.as_ref();
        Field { members: &self.members, tried, now, which, weighted: self.weighted, slow_start }
    }

    #[inline]
    fn which(&self, now: Instant) -> Which {
        if self.settings.panic != Ratio::ZERO && self.panics(now) { Which::All } else { Which::Well }
    }

    /// Nobody is both well and untried: a round begins again, among those that checks have found ill where
    /// nobody is well. A check looks at one path from here, and a mistake in it must not take away every host
    /// that answers; those that tries have put out stay out.
    #[cold]
    fn choose_otherwise(
        &self,
        now: Instant,
        tried: &mut Tried,
        hash: Option<u64>,
        round: &mut Round,
        rng: &mut impl Random,
    ) -> Option<(usize, PickWhy, f32)> {
        if round.which == Which::Well && self.is_nobody_well(now) {
            round.which = Which::In;
            let chosen = self.choose(&self.field(now, tried, round.which), hash, rng);
            if chosen.is_some() {
                return chosen;
            }
        }
        if tried.is_empty() {
            return None;
        }
        round.again = true;
        tried.begin_again();
        let chosen = self.choose(&self.field(now, tried, round.which), hash, rng);
        if chosen.is_some() {
            return chosen;
        }
        tried.clear();
        self.choose(&self.field(now, tried, round.which), hash, rng)
    }

    fn is_nobody_well(&self, now: Instant) -> bool {
        self.members.iter().all(|member| !member.host.is_well(now))
    }

    /// Whether so few hosts are well that all are used.
    fn panics(&self, now: Instant) -> bool {
        let well = self.field(now, &Tried::default(), Which::Well).count() as u32;
        !self.settings.panic.is_reached(well, u32::from(self.len()))
    }

    #[inline]
    fn choose(
        &self,
        field: &Field<'_>,
        hash: Option<u64>,
        rng: &mut impl Random,
    ) -> Option<(usize, PickWhy, f32)> {
        // One host needs no chance, and draws none: what follows in the stream stays what it is.
        if self.members.len() == 1 {
            return field.may(0).then_some((0, PickWhy::OnlyOne, 0.0));
        }
        match (&self.settings.algorithm, hash) {
            (Algorithm::RoundRobin, _) => Some((self.in_turn(field)?, PickWhy::Turn, 0.0)),
            (Algorithm::PeakEwma(settings), _) => {
                let cost = |index: usize| {
                    let host = &self.members[index].host;
                    let pending = host.pending();
                    let known = host.estimate.read(field.now, settings.tau);
                    let expected =
                        known.unwrap_or_else(|| unknown(settings, pending)) + host.penalty(field.now);
                    Candidate { index, expected, cost: expected * (pending as f32 + 1.0) }
                };
                better_of_two(field, PickWhy::LowerCost, cost, rng)
            }
            (Algorithm::LeastRequest, _) => {
                let cost = |index: usize| {
                    let pending = self.members[index].host.pending() as f32;
                    Candidate { index, expected: 0.0, cost: pending }
                };
                better_of_two(field, PickWhy::FewerPending, cost, rng)
            }
            (Algorithm::RingHash { .. } | Algorithm::Maglev { .. }, Some(hash)) => {
                Some((self.table.as_ref()?.lookup(hash, field)?, PickWhy::Hash, 0.0))
            }
            (Algorithm::Random | Algorithm::RingHash { .. } | Algorithm::Maglev { .. }, _) => {
                Some((field.draw(None, rng)?, PickWhy::Random, 0.0))
            }
        }
    }

    /// The next one. By weight: the golden ratio's multiples, taken modulo 1, fall as evenly as any sequence
    /// can (Knuth, TAOCP 3, 6.4), so that every stretch of turns has each host about as often as its weight
    /// says, with one counter and no schedule to keep.
    fn in_turn(&self, field: &Field<'_>) -> Option<usize> {
        const GOLDEN: u32 = 0x9e37_79b9;
        let turn = || self.turn.fetch_add(1, Ordering::Relaxed);
        if field.is_even() {
            let hosts = u32::from(self.len());
            return (0..hosts).map(|_| (turn() % hosts) as usize).find(|index| field.may(*index));
        }
        let share = f64::from(turn().wrapping_mul(GOLDEN)) / f64::from(u32::MAX).next_up();
        field.at_share(None, share)
    }
}

/// Draws two and takes the one with the lower cost.
#[inline]
fn better_of_two(
    field: &Field<'_>,
    why: PickWhy,
    cost: impl Fn(usize) -> Candidate,
    rng: &mut impl Random,
) -> Option<(usize, PickWhy, f32)> {
    let first = cost(field.draw(None, rng)?);
    let Some(second) = field.draw(Some(first.index), rng) else {
        return Some((first.index, PickWhy::OnlyOne, first.expected));
    };
    let second = cost(second);
    let better = if second.cost < first.cost { second } else { first };
    Some((better.index, why, better.expected))
}

/// What a host is expected to take that has not answered yet. Whoever meets it first asks it, because nothing
/// else tells how fast it is; until it has answered it counts as usual, so that they do not all ask.
fn unknown(settings: &PeakEwma, pending: u32) -> f32 {
    if pending == 0 { 0.0 } else { nanos(settings.first) as f32 }
}

/// What a try says about how long the host takes.
#[inline]
fn learn(settings: &PeakEwma, host: &Host, now: Instant, report: &Report, took: Duration) {
    match classify::health(report.end, report.outcome) {
        Health::Good => {
            host.did_well();
            if !report.callers_turn {
                host.estimate.record(now, settings.tau, took);
            }
        }
        // How fast it failed says nothing about how long it takes to do it.
        Health::Bad if !report.callers_turn => host.failed(now, took, settings.penalty),
        Health::Neutral if classify::is_elsewhere_only(report.end, report.outcome) => {
            let span = match report.pushback {
                Some(Pushback::After(span)) => span.min(Pushback::WAIT_MAX),
                Some(Pushback::Never) | None => settings.penalty,
            };
            host.busy_for(now, span);
        }
        Health::Bad | Health::Neutral => (),
    }
}
