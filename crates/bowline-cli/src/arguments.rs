//! What can be typed. Every verb has an example, because an example is read first.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The communication runtime for systems made of services: checks a design, runs it, and breaks it
/// on purpose.
#[derive(Debug, Parser)]
#[command(name = "bowline", version, disable_version_flag = true, propagate_version = false)]
#[command(
    after_help = "Start here:\n  bowline up examples/shop        runs the order system and prints what to try\n\n\
    Exit codes: 0 good, 1 findings or a failed test, 2 wrong use, 3 could not reach something."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,

    /// How to print: for people, or one JSON document for programs.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs; the fields are stable.
    Json,
    /// For code hosts and editors, of `check` alone: SARIF 2.1.0.
    Sarif,
}

/// How every verb can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// The same for what SARIF has no words for: what is shown while something runs, and failures.
    pub(crate) const fn plain(self) -> Output {
        match self {
            Self::Text | Self::Sarif => Output::Text,
            Self::Json => Output::Json,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a design: start its services, listen, route, retry, break, explain.
    #[command(
        after_help = "Example:\n  bowline up examples/shop\n  bowline up examples/shop --port 8080=18080 --workers 1\n  \
        bowline up design/ --only gateway\n  bowline up design/ --replace        takes over without a failed request"
    )]
    Up(Up),

    /// Find what can be seen to go wrong before anything runs.
    #[command(after_help = "Example:\n  bowline check examples/shop\n  \
        kubectl get virtualservices,destinationrules -A -o yaml | bowline check -\n  bowline check --explain T08\n  \
        bowline check design/ --output sarif > bowline.sarif\n  \
        bowline check design/ --no-exceptions        tells what `bowline.dev/allow` excuses, too\n  \
        bowline check examples/shop --simulate       what each suggested edit would give, in figures")]
    Check(Check),

    /// Say which rule a request meets and which policies govern it, or why a past one went as it did.
    #[command(after_help = "Example:\n  bowline explain examples/shop POST http://127.0.0.1:8080/orders\n  \
        bowline explain examples/shop GET http://reviews/ -H 'end-user: jason'\n  bowline explain last --status 504\n  \
        bowline explain last --output json")]
    Explain(Explain),

    /// Run a design's route tests (`testCases:`): request in, destination or response out.
    #[command(after_help = "Example:\n  bowline test examples/shop")]
    Test(Test),

    /// Put a design under load and faults in virtual time, each of a scenario's variants beside the others.
    #[command(after_help = "Example:\n  bowline simulate examples/shop black-friday\n  \
        bowline simulate examples/shop all --seeds 5\n  \
        bowline simulate examples/shop black-friday --require async --output json\n\n\
        Ends with 1 if no arm keeps every objective, or if the one named by --require does not.")]
    Simulate(Simulate),

    /// Turn one or two parameters over a grid: where a design is stable, and where it tips.
    #[command(after_help = "Example:\n  \
        bowline sweep examples/shop black-friday --x load=600/s,800/s,1000/s --y outage=5s,10s,20s --seeds 3\n  \
        bowline sweep examples/shop black-friday --x timeout@inventory=50ms..400ms:8 --arm sync")]
    Sweep(Sweep),

    /// Say of each call what it would give as a call, as a record and as both, by what the business needs.
    #[command(after_help = "Example:\n  bowline advise examples/shop\n  \
        bowline advise examples/shop black-friday broker-down --seeds 3 --for 2m")]
    Advise(Advise),

    /// Write a design out of what others have: a service graph of isotope's, recorded traces.
    #[command(after_help = "Example:\n  bowline import isotope graph.yaml --to design.yaml\n  \
        bowline import otlp traces.json > design.yaml\n\n\
        Ends with 1 if the file is refused. What was assumed or left out is told beside the design.")]
    Import(Import),

    /// Print the JSON Schema of Bowline's own kinds, for editors.
    #[command(after_help = "Example:\n  bowline schema > bowline.schema.json\n  \
        # then, at the top of a YAML file: # yaml-language-server: $schema=bowline.schema.json")]
    Schema,

    /// Put faults into the tries of a running design, and take them away.
    #[command(after_help = "Example:\n  bowline fault add inventory --error 503 --percent 100\n  \
        bowline fault add inventory.allocate --drop-first 2\n  bowline fault add payment --delay 2s --percent 10\n  \
        bowline fault ls\n  bowline fault clear inventory")]
    Fault(Fault),

    /// Watch a running design: services, requests, retries, breakers.
    #[command(after_help = "Example:\n  bowline top\n  bowline top --once --output json")]
    Top(Top),

    /// Print the version.
    #[command(after_help = "Example:\n  bowline version --output json")]
    Version,

    /// Become a command that dies with the process that started it. For `up` itself.
    #[command(hide = true)]
    Child(Child),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The design: a folder, a file, or `-` for standard input.
    pub(crate) design: PathBuf,

    /// Where to keep data, logs and the lock. Default: `.bowline` beside the design.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Run only these roles: services, gateway, mesh, console.
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// Run all roles but these.
    #[arg(long, value_name = "ROLES", value_delimiter = ',', conflicts_with = "only")]
    pub(crate) except: Vec<String>,

    /// Worker threads for the data path. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// Move a listening port of the design, for when it is taken: `--port 8080=18080`.
    #[arg(long = "port", value_name = "DESIGN=HERE", value_parser = moved_port)]
    pub(crate) ports: Vec<(u16, u16)>,

    /// Where the local API and the metrics listen.
    #[arg(long, value_name = "ADDR", default_value_t = bowline_runtime::API_ADDRESS)]
    pub(crate) api: SocketAddr,

    /// Who may ask the local API: a file of lines such as `read TOKEN` and `operate TOKEN`. Demanded where `--api` is no
    /// address of loopback; verbs take theirs from `BOWLINE_API_TOKEN`.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_tokens: Option<PathBuf>,

    /// Where the mesh listens.
    #[arg(long, value_name = "ADDR", default_value_t = bowline_runtime::MESH_ADDRESS)]
    pub(crate) mesh: SocketAddr,

    /// Take the place of the Bowline that runs on this data folder, without a failed request.
    #[arg(long)]
    pub(crate) replace: bool,

    /// How long requests in flight may take when stopping.
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span)]
    pub(crate) drain: Duration,

    /// Ask this DNS server for the addresses of endpoints, `10.0.0.2:53`. Default: those that `/etc/resolv.conf` names.
    #[arg(long, value_name = "ADDR")]
    pub(crate) dns: Option<SocketAddr>,

    /// Start although `check` finds errors.
    #[arg(long)]
    pub(crate) despite_errors: bool,

    /// Send traces to this collector: OTLP over HTTP, or gRPC at port 4317. Default: `OTEL_EXPORTER_OTLP_ENDPOINT`, or nowhere.
    #[cfg(feature = "trace")]
    #[arg(long, value_name = "URL")]
    pub(crate) trace: Option<String>,

    /// Record this share of the traces that begin here, from 0 to 1. Callers' decisions are followed.
    #[cfg(feature = "trace")]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) trace_ratio: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The design: a folder, a file, or `-` for standard input.
    #[arg(required_unless_present = "explain")]
    pub(crate) design: Option<PathBuf>,

    /// Read and validate the documents alone: `bowline check design/ --syntax`.
    #[arg(long)]
    pub(crate) syntax: bool,

    /// Tell more about one rule: `bowline check --explain T08`.
    #[arg(long, value_name = "RULE")]
    pub(crate) explain: Option<String>,

    /// Pass over the design's exceptions (`bowline.dev/allow`): `bowline check design/ --no-exceptions`.
    #[arg(long)]
    pub(crate) no_exceptions: bool,

    /// Simulate what each proven edit would do, before and after, under the design's scenarios, made short:
    /// `bowline check design/ --simulate`.
    #[arg(long, conflicts_with = "syntax")]
    pub(crate) simulate: bool,

    /// With `--simulate`: how many runs of each. Default: 5, or 3 where there is much to run; for instance
    /// `bowline check design/ --simulate --seeds 20`.
    #[arg(long, value_name = "N", requires = "simulate", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) seeds: Option<u32>,

    /// With `--simulate`: simulate so long, faults where the scenarios have them, instead of a minute around the
    /// faults: `bowline check design/ --simulate --for 10m`.
    #[arg(long = "for", value_name = "SPAN", requires = "simulate", value_parser = span)]
    pub(crate) length: Option<Duration>,

    /// With `--simulate`: threads, `--threads 1` for instance. Default: one for each core.
    #[arg(long, value_name = "N", requires = "simulate")]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A design, or `last` for the newest recorded request of the running one.
    pub(crate) design: PathBuf,

    /// The method of a request that is not sent.
    #[arg(requires = "url")]
    pub(crate) method: Option<String>,

    /// Its URL.
    pub(crate) url: Option<String>,

    /// A header of it, `name: value`.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub(crate) headers: Vec<String>,

    /// With `last`: the newest with this status.
    #[arg(long, value_parser = status)]
    pub(crate) status: Option<u16>,

    /// With `last`: the one with this id, as `x-bowline-explain-id` gave it.
    #[arg(long)]
    pub(crate) id: Option<String>,

    /// With `last`: where the running design's local API is.
    #[arg(long, value_name = "ADDR", default_value_t = bowline_runtime::API_ADDRESS)]
    pub(crate) api: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The design: a folder, a file, or `-` for standard input.
    pub(crate) design: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) experiment: Experiment,

    /// End with 1 unless this arm keeps every objective.
    #[arg(long, value_name = "ARM")]
    pub(crate) require: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    #[command(flatten)]
    pub(crate) experiment: Experiment,

    /// What is turned, and to which values: `load=400/s,800/s`, `outage=1s..20s:5` (five of them, evenly),
    /// `timeout@inventory=50ms,100ms`, `tries=1,2,3`, `queue@inventory=10,100`.
    #[arg(long, value_name = "KNOB=VALUES")]
    pub(crate) x: String,

    /// A second one, for a map.
    #[arg(long, value_name = "KNOB=VALUES")]
    pub(crate) y: Option<String>,

    /// The arm that is looked at. Default: the first.
    #[arg(long, value_name = "ARM")]
    pub(crate) arm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Advise {
    /// The design: a folder, a file, or `-` for standard input.
    pub(crate) design: PathBuf,

    /// The scenarios it is judged under; all of the design's where none is named. Their loads have to begin at
    /// the same operation.
    pub(crate) scenarios: Vec<String>,

    /// How many runs of each variant. Fewer than of `simulate`, because there are many variants.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) seeds: u32,

    /// The first seed; the others follow it.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Threads that simulate; how many there are shows in no result. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Simulate only so long instead of what the scenarios say; faults that begin later are left out.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub(crate) length: Option<Duration>,
}

/// What is simulated, how often and how long, and where the page goes.
#[derive(Debug, Args)]
pub(crate) struct Experiment {
    /// The design: a folder, a file, or `-` for standard input.
    pub(crate) design: PathBuf,

    /// One of its scenarios; `simulate` takes `all`, too. May be left out where there is one alone.
    pub(crate) scenario: Option<String>,

    /// How many runs of each, with other random numbers each time. Default: what the scenario says, or 20.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) seeds: Option<u32>,

    /// The first seed; the others follow it.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Where the page goes, with the same figures as JSON (and of `simulate` as CSV) beside it. Default:
    /// `.bowline/reports/SCENARIO.html` beside the design.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Threads that simulate; how many there are shows in no result. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Simulate only so long instead of what the scenario says; faults that begin later are left out.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub(crate) length: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    pub(crate) what: ImportVerb,

    /// Write the design to this file, which must not exist yet. Default: standard output.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportVerb {
    /// From a service graph of Istio's isotope: services, scripts, sleeps, probabilities.
    #[command(after_help = "Example:\n  bowline import isotope graph.yaml --to design.yaml")]
    Isotope {
        /// The graph, or `-` for standard input.
        file: PathBuf,
    },
    /// From traces, OTLP in JSON: graph, own times, how often, how many a second.
    #[command(after_help = "Example:\n  bowline import otlp traces.json --to design.yaml\n  \
        zcat traces.json.gz | bowline import otlp -")]
    Otlp {
        /// The traces, or `-` for standard input.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Fault {
    #[command(subcommand)]
    pub(crate) what: FaultVerb,

    /// Where the running design's local API is.
    #[arg(long, global = true, value_name = "ADDR", default_value_t = bowline_runtime::API_ADDRESS)]
    pub(crate) api: SocketAddr,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FaultVerb {
    /// Put a fault into the tries of calls to a service or operation.
    #[command(after_help = "Example:\n  bowline fault add inventory --error 503 --percent 50")]
    Add(FaultAdd),
    /// List the faults that are in.
    #[command(after_help = "Example:\n  bowline fault ls --output json")]
    Ls,
    /// Take faults away: all, or those of one target.
    #[command(after_help = "Example:\n  bowline fault clear\n  bowline fault clear inventory")]
    Clear {
        /// A service, or `service.operation`.
        target: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("kind").required(true).args(["error", "delay", "drop_first", "drop"]))]
pub(crate) struct FaultAdd {
    /// A service, or `service.operation`.
    pub(crate) target: String,

    /// Answer with this status instead of sending.
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(crate) error: Option<u16>,

    /// Hold each try back for this long before sending it.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) delay: Option<Duration>,

    /// Drop the first N tries of every call, as if the connection were refused.
    #[arg(long, value_name = "N")]
    pub(crate) drop_first: Option<u32>,

    /// Drop tries, as if the connection were refused.
    #[arg(long)]
    pub(crate) drop: bool,

    /// Of how many calls out of a hundred.
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0)]
    pub(crate) percent: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Print one table and end.
    #[arg(long)]
    pub(crate) once: bool,

    /// Where the running design's local API is.
    #[arg(long, value_name = "ADDR", default_value_t = bowline_runtime::API_ADDRESS)]
    pub(crate) api: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Child {
    pub(crate) parent: u32,
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

/// A share from 0 to 1.
#[cfg(feature = "trace")]
fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "a share from 0 to 1, like 0.1".to_owned())
}

/// An HTTP status.
fn status(text: &str) -> Result<u16, String> {
    let known = text.parse().ok().filter(|status| (100..=599).contains(status));
    known.ok_or_else(|| "an HTTP status from 100 to 599, such as 504".to_owned())
}

fn moved_port(text: &str) -> Result<(u16, u16), String> {
    let expected = || format!("`{text}` is not DESIGN=HERE, two ports such as 8080=18080");
    let (design, here) = text.split_once('=').ok_or_else(expected)?;
    Ok((design.parse().map_err(|_| expected())?, here.parse().map_err(|_| expected())?))
}

fn span(text: &str) -> Result<Duration, String> {
    bowline_design::format::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a span of time such as 250ms, 10s or 1m30s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Arguments::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example:"), "{}", verb.get_name());
        }
    }

    #[test]
    fn a_moved_port_that_is_none_says_what_was_expected() {
        assert_eq!(moved_port("8080=18080"), Ok((8080, 18080)));
        assert!(moved_port("8080").unwrap_err().contains("8080=18080"));
    }

    #[test]
    fn a_status_that_is_none_says_what_was_expected() {
        assert_eq!(status("504"), Ok(504));
        for none in ["abc", "99", "600", "-1", ""] {
            assert_eq!(status(none).unwrap_err(), "an HTTP status from 100 to 599, such as 504");
        }
    }

    #[test]
    fn the_verb_that_was_meant_is_named() {
        for (written, meant) in [("chek", "check"), ("simulat", "simulate"), ("explian", "explain")] {
            let told =
                Arguments::command().try_get_matches_from(["bowline", written]).unwrap_err().to_string();
            assert!(told.contains(&format!("'{meant}'")), "{told}");
        }
    }
}
