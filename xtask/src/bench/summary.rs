//! Medians, the table for people, the line of JSON for programs.
//!
//! A ratio is taken within each round, where both were measured within a minute of each other, and
//! the median of these is reported: what the rest of the machine does meanwhile then touches both.

use super::candidates::BOWLINE;
use super::measure::{MEMORY_CONNECTIONS, OPEN_RATE, Sample};
use super::protocol::Protocol;
use serde_json::{Map, Value};

/// Everything that was found about one candidate. Rounds are in the same order for all.
pub(super) struct Found {
    pub(super) name: &'static str,
    pub(super) saturated: Vec<Sample>,
    pub(super) open: Vec<Sample>,
    /// In the order of [`MEMORY_CONNECTIONS`].
    pub(super) resident_mb: [f64; 2],
    pub(super) instructions: Option<f64>,
    pub(super) instructions_two_workers: Option<f64>,
}

/// What Bowline promises, by the figure's name in the JSON: at most this.
const fn promises(protocol: Protocol) -> &'static [(&'static str, f64)] {
    match protocol {
        Protocol::Http1 => &[
            ("cpu_vs_envoy", 0.30),
            ("cpu_vs_nginx", 1.10),
            ("cpu_vs_haproxy", 1.10),
            ("instructions", super::ratchet::CEILING as f64),
            ("instructions_two_workers_vs_one", 1.05),
            ("rss_mb_256", 15.0),
            ("rss_mb_1000", 25.0),
        ],
        Protocol::Http2 => &[("cpu_vs_envoy", 0.38), ("cpu_vs_haproxy", 1.60)],
        Protocol::Grpc => &[("cpu_vs_envoy", 0.33), ("cpu_vs_haproxy", 1.60)],
    }
}

/// One figure of a sample.
type Figure = fn(&Sample) -> f64;

/// The middle, and how far the rounds were apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) };
        Some(Self { median, min, max })
    }

    fn over(samples: &[Sample], figure: Figure) -> Option<Self> {
        Self::of(samples.iter().map(figure).collect())
    }

    fn of_ratios(ours: &[Sample], theirs: &[Sample]) -> Option<Self> {
        Self::of(ours.iter().zip(theirs).map(|(our, their)| our.cpu_us / their.cpu_us).collect())
    }
}

/// A name ending for figures, the samples they are of.
type Load = (&'static str, fn(&Found) -> &[Sample]);
const LOADS: &[Load] = &[("", |found| &found.saturated), ("_2k", |found| &found.open)];

/// Every figure by name. Bowline's have no prefix, a peer's have its name.
pub(super) fn figures(all: &[Found]) -> Map<String, Value> {
    let mut figures = Map::new();
    let mut put = |name: String, value: f64| {
        // Three digits behind the point are more than any of these is known to.
        figures.insert(name, ((value * 1e3).round() / 1e3).into());
    };
    for found in all {
        let prefix = if found.name == BOWLINE { String::new() } else { format!("{}_", found.name) };
        for (load, samples) in LOADS {
            let samples = samples(found);
            let of: &[(&str, Figure)] = &[
                ("cpu{}_us", |sample| sample.cpu_us),
                ("user{}_us", |sample| sample.user_us),
                ("system{}_us", |sample| sample.system_us),
                ("requests_per_second{}", |sample| sample.per_second),
                ("p50{}_ms", |sample| sample.p50_ms),
                ("p99{}_ms", |sample| sample.p99_ms),
                ("stolen{}_percent", |sample| sample.stolen_percent),
            ];
            for (name, figure) in of {
                let name = format!("{prefix}{}", name.replace("{}", load));
                let Some(spread) = Spread::over(samples, *figure) else { continue };
                put(name.clone(), spread.median);
                if name.contains("cpu") {
                    put(format!("{name}_min"), spread.min);
                    put(format!("{name}_max"), spread.max);
                }
            }
            put(format!("{prefix}failed{load}"), samples.iter().map(|sample| sample.failed as f64).sum());
        }
        for (connections, resident) in MEMORY_CONNECTIONS.iter().zip(found.resident_mb) {
            put(format!("{prefix}rss_mb_{connections}"), resident);
        }
        if let Some(instructions) = found.instructions {
            put(format!("{prefix}instructions"), instructions);
            if let Some(two) = found.instructions_two_workers {
                put(format!("{prefix}instructions_two_workers"), two);
                put(format!("{prefix}instructions_two_workers_vs_one"), two / instructions);
            }
        }
    }
    if let Some(ours) = all.iter().find(|found| found.name == BOWLINE) {
        for peer in all.iter().filter(|found| found.name != BOWLINE) {
            for (load, samples) in LOADS {
                let Some(ratio) = Spread::of_ratios(samples(ours), samples(peer)) else { continue };
                put(format!("cpu{load}_vs_{}", peer.name), ratio.median);
                put(format!("cpu{load}_vs_{}_min", peer.name), ratio.min);
                put(format!("cpu{load}_vs_{}_max", peer.name), ratio.max);
            }
        }
    }
    figures
}

/// Prints what was found.
pub(super) fn print(protocol: Protocol, all: &[Found], figures: &Map<String, Value>) {
    let saturated = protocol.either("saturated, 64 connections", "saturated, 8 connections of 16 streams");
    let of_loads = [saturated.to_owned(), format!("{OPEN_RATE} requests a second, open loop")];
    for ((_, samples), title) in LOADS.iter().zip(of_loads) {
        println!("\n{title}");
        println!(
            "{:9} {:>8}  {:>22} {:>13} {:>8} {:>8} {:>7} {:>7}",
            "", "req/s", "CPU us/req [min-max]", "user+system", "p50 ms", "p99 ms", "failed", "stolen"
        );
        for found in all {
            let samples = samples(found);
            let median =
                |figure: fn(&Sample) -> f64| Spread::over(samples, figure).map_or(f64::NAN, |s| s.median);
            let Some(cpu) = Spread::over(samples, |sample| sample.cpu_us) else { continue };
            println!(
                "{:9} {:>8.0}  {:>22} {:>13} {:>8.2} {:>8.2} {:>7} {:>6.1}%",
                found.name,
                median(|sample| sample.per_second),
                format!("{:.1} [{:.1}-{:.1}]", cpu.median, cpu.min, cpu.max),
                format!("{:.1}+{:.1}", median(|sample| sample.user_us), median(|sample| sample.system_us)),
                median(|sample| sample.p50_ms),
                median(|sample| sample.p99_ms),
                samples.iter().map(|sample| sample.failed).sum::<u64>(),
                median(|sample| sample.stolen_percent),
            );
        }
    }

    let [some, many] = MEMORY_CONNECTIONS;
    println!("\nresident at {some} and at {many} connections");
    for found in all {
        let [some, many] = found.resident_mb;
        println!("{:9} {some:>8.1} MB {many:>8.1} MB", found.name);
    }

    let ratios: Vec<&String> =
        figures.keys().filter(|name| name.starts_with("cpu") && name.contains("_vs_")).collect();
    let ratios = ratios.into_iter().filter(|name| !name.ends_with("_min") && !name.ends_with("_max"));
    let mut heading = Some("\nBowline's CPU for each request, beside its peers'");
    for name in ratios {
        if let Some(heading) = heading.take() {
            println!("{heading}");
        }
        let figure = |ending: &str| {
            figures.get(&format!("{name}{ending}")).and_then(Value::as_f64).unwrap_or(f64::NAN)
        };
        println!("{name:20} {:.2} [{:.2}-{:.2}]", figure(""), figure("_min"), figure("_max"));
    }

    let mut heading = Some("\npromised");
    for (name, limit) in promises(protocol) {
        let Some(figure) = figures.get(*name).and_then(Value::as_f64) else { continue };
        if let Some(heading) = heading.take() {
            println!("{heading}");
        }
        let verdict = if figure <= *limit { "holds" } else { "DOES NOT HOLD" };
        println!("{name:20} {figure:>9}  at most {limit:<7} {verdict}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_us: f64) -> Sample {
        Sample {
            cpu_us,
            user_us: cpu_us / 2.0,
            system_us: cpu_us / 2.0,
            per_second: 1e6 / cpu_us,
            p50_ms: 1.0,
            p99_ms: 2.0,
            failed: 1,
            stolen_percent: 0.0,
        }
    }

    fn found(name: &'static str, cpu: &[f64]) -> Found {
        let samples: Vec<Sample> = cpu.iter().map(|&cpu| sample(cpu)).collect();
        Found {
            name,
            saturated: samples.clone(),
            open: samples,
            resident_mb: [9.5, 12.5],
            instructions: None,
            instructions_two_workers: None,
        }
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let spread = Spread { median: 2.5, min: 1.0, max: 4.0 };
        assert_eq!(Spread::of(vec![4.0, 1.0, 3.0, 2.0]), Some(spread));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine was twice as slow in the second round, for both.
        let figures = figures(&[found(BOWLINE, &[40.0, 80.0, 42.0]), found("nginx", &[40.0, 80.0, 40.0])]);
        assert_eq!(figures["cpu_vs_nginx"], 1.0);
        assert_eq!(figures["cpu_vs_nginx_max"], 1.05);
        assert_eq!(figures["cpu_2k_vs_nginx"], 1.0);
    }

    #[test]
    fn figures_have_the_names_that_are_promised() {
        let figures = figures(&[
            Found {
                instructions: Some(4e4),
                instructions_two_workers: Some(4.1e4),
                ..found(BOWLINE, &[40.0])
            },
            found("envoy", &[160.0]),
        ]);
        for name in [
            "cpu_us",
            "cpu_vs_envoy",
            "cpu_2k_us",
            "rss_mb_256",
            "rss_mb_1000",
            "instructions",
            "instructions_two_workers_vs_one",
            "requests_per_second",
        ] {
            assert!(figures.contains_key(name), "{name}");
        }
        assert_eq!(figures["envoy_cpu_us"], 160.0);
        assert_eq!(figures["failed"], 1.0);
    }
}
