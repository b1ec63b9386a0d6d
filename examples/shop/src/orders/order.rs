//! An order, the states it goes through, and what it owes.
//!
//! ```text
//!  placing ----> capturing ----> confirmed
//!     |              |
//!     +--> failed <--+ (only if payment says that nothing is held)
//! ```
//! `capturing` is the point of no return: before it an order goes back when something fails, after it
//! only forward. It is written down *before* the call, so that a crash in between finds the way.

use crate::inventory::Item;
use crate::money::Amount;
use crate::reply::Reply;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// What a customer sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// What is ordered.
    pub items: Vec<Item>,
}

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its name, and the key of everything that is asked of other services for it.
    pub id: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// What it costs.
    pub total: Amount,
    /// How far it got.
    pub state: State,
    /// What has still to be asked of others because of it. Empty: nothing more will happen.
    pub owes: Vec<Debt>,
    /// Why it failed, if it did.
    pub problem: Option<Problem>,
}

/// How far an order got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The money is being held and the goods put aside.
    Placing,
    /// Both are there; the money is being taken.
    Capturing,
    /// Done.
    Confirmed,
    /// Will not be.
    Failed,
}

/// Something that must still be asked of another service until it says yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Debt {
    /// Take the money that is held.
    Capture,
    /// Put the goods back, if they were put aside.
    Release,
    /// Let go of the money, if it is held.
    Reversal,
}

/// What went wrong, as the customer sees it. Stored, so that a repeated request hears the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What happened.
    pub error: String,
    /// What to do about it.
    pub hint: String,
}

/// An order as a customer sees it.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    order_id: &'a str,
    status: &'static str,
    total: Amount,
    items: &'a [Item],
    owes: &'a [Debt],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl State {
    /// The word that stands in the table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Placing => "placing",
            Self::Capturing => "capturing",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Placing, Self::Capturing, Self::Confirmed, Self::Failed]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

impl Order {
    /// Gives the order up because of `problem`; `owes` is what may have happened and must be undone.
    #[must_use]
    pub fn failed(self, problem: Problem, owes: Vec<Debt>) -> Self {
        Self { state: State::Failed, owes, problem: Some(problem), ..self }
    }

    /// The word a customer understands.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self.state {
            State::Placing | State::Capturing => "pending",
            State::Confirmed => "confirmed",
            State::Failed => "failed",
        }
    }

    /// The order as a customer sees it.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            order_id: &self.id,
            status: self.status(),
            total: self.total,
            items: &self.items,
            owes: &self.owes,
            error: self.problem.as_ref().map(|problem| &*problem.error),
            hint: self.problem.as_ref().map(|problem| &*problem.hint),
        }
    }

    /// The answer to the request that made the order: its result, or where to look for it.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let status = match (self.state, &self.problem) {
            (State::Confirmed, _) => StatusCode::CREATED,
            (State::Failed, Some(problem)) => {
                StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => StatusCode::ACCEPTED,
        };
        Reply { location: Some(format!("/orders/{}", self.id)), ..Reply::new(status, &self.shown()) }
    }
}
