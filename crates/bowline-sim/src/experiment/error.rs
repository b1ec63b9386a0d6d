//! Why there is no experiment.

use crate::model::DesignError;
use crate::run::{Endless, SpecError};
use bowline_design::Mistake;
use std::error::Error;
use std::fmt;

/// Why there is no experiment.
#[derive(Debug)]
pub enum ExperimentError {
    /// The design, or the design with an arm's overlay, cannot be used: two voices that contradict each other,
    /// a name that leads nowhere.
    Mistakes {
        /// Which arm; `None`: the design itself.
        arm: Option<String>,
        /// What is wrong, each with its place.
        mistakes: Vec<Mistake>,
    },
    /// There is no such scenario.
    NoScenario {
        /// The one asked for.
        asked: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// No arms.
    NoArms,
    /// No seeds.
    NoSeeds,
    /// The arrivals stand in a file that nobody has read.
    TraceNotRead(String),
    /// There is no model of an arm.
    Model {
        /// Which arm.
        arm: String,
        /// Why.
        error: DesignError,
    },
    /// An arm cannot be run.
    Spec {
        /// Which arm.
        arm: String,
        /// Why.
        error: SpecError,
    },
    /// A fault is about nothing in every arm: a broker without topics.
    HitsNothing(String),
    /// It would not come to an end in reasonable time.
    TooMuch {
        /// About so many events in one run.
        events: f64,
        /// As many as there may be.
        events_max: u64,
    },
    /// A run of an arm did not come to an end.
    Endless {
        /// Which arm.
        arm: String,
        /// Which run, and how far it came.
        endless: Endless,
    },
    /// Whoever watched broke it off.
    BrokenOff,
}

impl fmt::Display for ExperimentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mistakes { arm, mistakes } => {
                match arm {
                    Some(arm) => write!(f, "arm `{arm}` cannot be used")?,
                    None => f.write_str("the design cannot be used")?,
                }
                match mistakes.as_slice() {
                    [] => Ok(()),
                    [one] => write!(f, ": {} at {}:{}", one.found, one.place.file, one.place.line),
                    [one, rest @ ..] => {
                        write!(f, ": {} at {}:{}", one.found, one.place.file, one.place.line)?;
                        write!(f, ", and {} more", rest.len())
                    }
                }
            }
            Self::NoScenario { asked, known } if known.is_empty() => {
                write!(f, "there is no scenario `{asked}`; the design has none")
            }
            Self::NoScenario { asked, known } => {
                write!(f, "there is no scenario `{asked}`; there are {}", known.join(", "))
            }
            Self::NoArms => f.write_str("an experiment needs an arm"),
            Self::NoSeeds => f.write_str("an experiment needs a seed"),
            Self::TraceNotRead(file) => write!(f, "the arrivals in `{file}` were not read"),
            Self::Model { arm, .. } => write!(f, "there is no model of arm `{arm}`"),
            Self::Spec { arm, .. } => write!(f, "arm `{arm}` cannot be run"),
            Self::HitsNothing(fault) => {
                write!(f, "{fault} is about nothing: no arm has a part that it could hit")
            }
            Self::TooMuch { events, events_max } => write!(
                f,
                "a run would take about {events:.0} events, more than {events_max}: shorten it or lower its rate"
            ),
            Self::Endless { arm, endless } => write!(f, "arm `{arm}`, {endless}"),
            Self::BrokenOff => f.write_str("it was broken off"),
        }
    }
}

impl Error for ExperimentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Model { error, .. } => Some(error),
            Self::Spec { error, .. } => Some(error),
            _ => None,
        }
    }
}
