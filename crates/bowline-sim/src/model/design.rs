//! The model of a resolved design.

use super::{Model, ModelError};
use crate::{Arrivals, Dist};
use bowline_design::resolved::Design;
use std::fmt;

/// What a scenario adds to a design: who comes, and what the design does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmSpec {
    /// Who comes for what.
    pub load: Vec<(EntryName, Arrivals)>,
    /// How long a message takes between two processes, each way; `None`: an assumption is made and noted.
    pub latency: Option<Dist>,
    /// What is known of services beyond the design, by name.
    pub services: Vec<(String, ServiceTuning)>,
}

/// What a way in is called in the design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryName {
    /// `service.operation`, asked directly.
    Operation(String),
    /// The name of an intake.
    Intake(String),
    /// The name of a gateway's route.
    Route(String),
}

/// What is known of a service beyond the design.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceTuning {
    /// Requests that may wait in front of one replica.
    pub queue: Option<u32>,
    /// Services with the same name here share a machine of so many cores.
    pub machine: Option<(String, u32)>,
    /// How long a message to it takes, each way.
    pub latency: Option<Dist>,
    /// The share of messages to it that are lost and sent again.
    pub loss: f64,
}

/// Why there is no model of a design.
#[derive(Clone, Debug, PartialEq)]
pub enum DesignError {
    /// The scenario names what the design has not.
    Unknown(String),
    /// The model cannot be.
    Model(ModelError),
}

impl Model {
    /// The model of a resolved design under a scenario's load.
    ///
    /// What the design leaves open is assumed, and each assumption is noted: [`Model::assumptions`].
    ///
    /// # Errors
    /// The load names what the design has not, or the model cannot be: a cycle, a rate of zero.
    pub fn of(_design: &Design, _arm: &ArmSpec) -> Result<Self, DesignError> {
        Err(DesignError::Model(ModelError::NoEntry))
    }
}

impl fmt::Display for DesignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the design has no {name}"),
            Self::Model(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DesignError {}
