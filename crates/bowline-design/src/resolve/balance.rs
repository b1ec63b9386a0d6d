//! How endpoints are picked and left out: what a `DestinationRule` says, and what our policies say.

use super::findings::Findings;
use super::policies::ratio;
use crate::kinds::destination_rule::{ConsistentHash, LoadBalancer, OutlierDetection, SimpleBalancer};
use crate::kinds::policy::{Balance, By, HashOf, Outlier};
use crate::mistake::{Place, Spot};
use crate::resolved::{Balancing, HashBy, Sourced};
use bowline_policy::balance::{Algorithm, PeakEwma, SlowStart};
use bowline_policy::outlier::{FailureShare, Statuses, SuccessRate};
use bowline_policy::{BalanceSettings, OutlierSettings, Ratio};
use std::time::Duration;

/// Entries of a ring where nobody says how many: Envoy's and Istio's.
const RING: u64 = 1_024;
/// The most: at sixteen bytes an entry this is 16 MB a destination.
const RING_MAX: u64 = 1 << 20;
/// Entries of a Maglev table where nobody says how many, and the most: Envoy's.
const MAGLEV: u64 = 65_537;
const MAGLEV_MAX: u64 = 5_000_011;

// === Istio's ===

/// What `loadBalancer` says, and the part of `outlierDetection` that is about picking. `None`: nothing.
pub(super) fn of_istio(
    balancer: Option<&Spot<LoadBalancer>>,
    outlier: Option<&Spot<OutlierDetection>>,
) -> Option<Sourced<Balancing>> {
    let least = outlier.and_then(|outlier| outlier.min_health_percent.as_ref()).filter(|min| min.value > 0);
    let said = balancer.and_then(|balancer| Some((balancer, says(balancer)?)));
    if said.is_none() && least.is_none() {
        return None;
    }
    let (algorithm, hash) =
        said.as_ref().and_then(|(_, said)| said.clone().0).unwrap_or((BalanceSettings::OURS.algorithm, None));
    let settings = BalanceSettings {
        algorithm,
        slow_start: said.as_ref().and_then(|(_, (_, slow_start))| *slow_start),
        panic: least.map_or(Ratio::ZERO, |least| Ratio::percent(least.value)),
    };
    let place = said.map(|(balancer, _)| &balancer.place).or(least.map(|least| &least.place))?;
    Some(Sourced::written(Balancing { settings, hash }, place.clone()))
}

type Said = (Option<(Algorithm, Option<HashBy>)>, Option<SlowStart>);

/// The way and the slow start that a balancer names, if it names one of them.
fn says(balancer: &LoadBalancer) -> Option<Said> {
    let simple = balancer.simple.as_ref().and_then(|simple| match simple.value {
        // Istio picks where this is said, and we do.
        SimpleBalancer::Unspecified | SimpleBalancer::Passthrough => None,
        SimpleBalancer::LeastConn | SimpleBalancer::LeastRequest => Some(Algorithm::LeastRequest),
        SimpleBalancer::Random => Some(Algorithm::Random),
        SimpleBalancer::RoundRobin => Some(Algorithm::RoundRobin),
    });
    let hashed = balancer.consistent_hash.as_ref().and_then(|hash| Some((table(hash), Some(hash_by(hash)?))));
    let way = hashed.or(simple.map(|algorithm| (algorithm, None)));
    let slow_start = match (&balancer.warmup, &balancer.warmup_duration_secs) {
        (Some(warmup), _) => warmup.duration.as_ref().map(|window| SlowStart {
            window: window.value,
            // 10 and 1: `destination_rule.proto`, `WarmupConfiguration`.
            least: warmup.minimum_percent.as_ref().map_or(10.0, |percent| percent.value) / 100.0,
            aggression: warmup.aggression.as_ref().map_or(1.0, |aggression| aggression.value),
        }),
        (None, Some(window)) => Some(SlowStart::over(window.value)),
        (None, None) => None,
    };
    (way.is_some() || slow_start.is_some()).then_some((way, slow_start))
}

fn table(hash: &ConsistentHash) -> Algorithm {
    if let Some(maglev) = &hash.maglev {
        let size = maglev.table_size.as_ref().map_or(MAGLEV, |size| size.value);
        return Algorithm::Maglev { size: size.min(MAGLEV_MAX) as u32 };
    }
    let ring = hash.ring_hash.as_ref().and_then(|ring| ring.minimum_ring_size.as_ref());
    let size = ring.or(hash.minimum_ring_size.as_ref()).map_or(RING, |size| size.value);
    Algorithm::RingHash { size_min: size.min(RING_MAX) as u32 }
}

fn hash_by(hash: &ConsistentHash) -> Option<HashBy> {
    let text = |spot: &Spot<String>| spot.value.as_str().into();
    let cookie = hash.http_cookie.as_ref().and_then(|cookie| cookie.name.as_ref());
    None.or(hash.http_header_name.as_ref().map(|name| HashBy::Header(text(name))))
        .or(cookie.map(|name| HashBy::Cookie(text(name))))
        .or(hash.use_source_ip.as_ref().filter(|by| by.value).map(|_| HashBy::SourceIp))
        .or(hash.http_query_parameter_name.as_ref().map(|name| HashBy::Query(text(name))))
}

/// Notes what a balancer asks for and does not get from this version.
pub(super) fn note(balancer: &Spot<LoadBalancer>, note: &mut impl FnMut(&str, &Place)) {
    if let Some(simple) =
        balancer.simple.as_ref().filter(|simple| simple.value == SimpleBalancer::Passthrough)
    {
        note("loadBalancer.simple PASSTHROUGH (requests find their host by its name)", &simple.place);
    }
    if let Some(locality) = &balancer.locality_lb_setting {
        note(
            "loadBalancer.localityLbSetting (nobody here knows where callers and endpoints are)",
            &locality.place,
        );
    }
    if let Some(zone) = &balancer.zone_aware_lb_setting {
        note(
            "loadBalancer.zoneAwareLbSetting (nobody here knows where callers and endpoints are)",
            &zone.place,
        );
    }
    let cookie = balancer.consistent_hash.as_ref().and_then(|hash| hash.http_cookie.as_ref());
    if let Some(cookie) = cookie {
        let made = "no cookie is made: a caller without one is sent anywhere";
        let made_by = [
            ("path", cookie.path.as_ref().map(|spot| &spot.place)),
            ("ttl", cookie.ttl.as_ref().map(|spot| &spot.place)),
            ("attributes", cookie.attributes.first().map(|spot| &spot.place)),
        ];
        for (field, place) in made_by {
            if let Some(place) = place {
                note(&format!("loadBalancer.consistentHash.httpCookie.{field} ({made})"), place);
            }
        }
    }
}

/// `outlierDetection`, with Istio's defaults. Zero switches a way to count off.
pub(super) fn outlier_of_istio(written: &Spot<OutlierDetection>) -> Sourced<OutlierSettings> {
    let istio = OutlierSettings::ISTIO;
    let span = |spot: &Option<Spot<Duration>>, default| spot.as_ref().map_or(default, |spot| spot.value);
    let count = |spot: &Option<Spot<u32>>, default: Option<u32>| {
        spot.as_ref().map(|spot| spot.value).or(default).filter(|count| *count > 0)
    };
    let fives = if written.consecutive_5xx_errors.is_some() {
        &written.consecutive_5xx_errors
    } else {
        &written.consecutive_errors
    };
    let split = written.split_external_local_origin_errors.as_ref().is_some_and(|split| split.value);
    let settings = OutlierSettings {
        consecutive_5xx: count(fives, istio.consecutive_5xx),
        consecutive_gateway: count(&written.consecutive_gateway_errors, istio.consecutive_gateway),
        // Without the split Envoy counts them as 5xx and never looks at this number.
        consecutive_local: if split {
            Some(count(&written.consecutive_local_origin_failures, Some(5)).unwrap_or(u32::MAX))
        } else {
            None
        },
        errors: Some(&written.outlier_detection_http_error_codes)
            .filter(|codes| !codes.is_empty())
            .map(|codes| Statuses::of(codes.iter().filter_map(|code| u16::try_from(code.value).ok()))),
        failures: count(&written.failure_percentage_threshold, None)
            .map(|percent| FailureShare::of(Ratio::percent(percent))),
        interval: span(&written.interval, istio.interval),
        base: span(&written.base_ejection_time, istio.base),
        out_max: written
            .max_ejection_percent
            .as_ref()
            .map_or(istio.out_max, |percent| Ratio::percent(percent.value)),
        ..istio
    };
    Sourced::written(settings, written.place.clone())
}

// === ours ===

/// A policy's `balance`; what it leaves out is [`BalanceSettings::OURS`].
pub(super) fn of_ours(it: &Spot<Balance>, findings: &mut Findings) -> Sourced<Balancing> {
    let hash = it.hash.as_ref().map(|hash| match &hash.value {
        HashOf::Header(name) => HashBy::Header(name.value.as_str().into()),
        HashOf::Cookie(name) => HashBy::Cookie(name.value.as_str().into()),
        HashOf::Query(name) => HashBy::Query(name.value.as_str().into()),
        HashOf::SourceIp(_) => HashBy::SourceIp,
    });
    let by = it.by.as_ref().map_or(if hash.is_some() { By::RingHash } else { By::PeakEwma }, |by| by.value);
    let algorithm = match by {
        By::PeakEwma => Algorithm::PeakEwma(PeakEwma::DEFAULT),
        By::LeastRequest => Algorithm::LeastRequest,
        By::RoundRobin => Algorithm::RoundRobin,
        By::Random => Algorithm::Random,
        By::RingHash => Algorithm::RingHash { size_min: RING as u32 },
        By::Maglev => Algorithm::Maglev { size: MAGLEV as u32 },
    };
    let settings = BalanceSettings {
        algorithm,
        slow_start: it.slow_start.as_ref().map(|window| SlowStart::over(window.value)),
        panic: ratio(it.panic_below.as_ref(), findings).unwrap_or(Ratio::ZERO),
    };
    Sourced::written(Balancing { settings, hash }, it.place.clone())
}

/// A policy's `outlier`; what it leaves out is [`OutlierSettings::OURS`]. As with a breaker, one that names a
/// way to count has that one alone.
pub(super) fn outlier_of_ours(it: &Spot<Outlier>, findings: &mut Findings) -> Sourced<OutlierSettings> {
    let ours = OutlierSettings::OURS;
    let count = |spot: &Option<Spot<u32>>| spot.as_ref().map(|spot| spot.value);
    let span = |spot: &Option<Spot<Duration>>, default| spot.as_ref().map_or(default, |spot| spot.value);
    let names_one = it.consecutive_5xx.is_some()
        || it.consecutive_gateway.is_some()
        || it.consecutive_local.is_some()
        || it.success_rate.is_some();
    let base = span(&it.base, ours.base);
    let settings = OutlierSettings {
        consecutive_5xx: count(&it.consecutive_5xx).or(ours.consecutive_5xx.filter(|_| !names_one)),
        consecutive_gateway: count(&it.consecutive_gateway),
        consecutive_local: count(&it.consecutive_local),
        errors: None,
        failures: None,
        success_rate: it.success_rate.as_ref().map(|rate| {
            let default = SuccessRate::default();
            SuccessRate {
                hosts_min: rate.min_hosts.as_ref().map_or(default.hosts_min, |min| min.value),
                calls_min: rate.min_calls.as_ref().map_or(default.calls_min, |min| min.value),
                deviations: rate.deviations.as_ref().map_or(default.deviations, |it| it.value),
            }
        }),
        interval: span(&it.interval, ours.interval),
        base,
        max: span(&it.max, ours.max.max(base)),
        out_max: ratio(it.max_ejected.as_ref(), findings).unwrap_or(ours.out_max),
        one_always: it.one_always.as_ref().map_or(ours.one_always, |it| it.value),
        last_too: it.last_too.as_ref().is_some_and(|it| it.value),
    };
    Sourced::written(settings, it.place.clone())
}
