//! Whether a broker meets what is asked, and at which price.
//!
//! Why a refusal and no substitute. Whoever asks for `fsync` and gets the page cache finds out after the power loss.
//! Nothing is downgraded: a need is met by the broker itself, met by a recipe of ours whose cost is printed, or
//! refused with the reason, before anything starts.

use crate::needs::{Durability, Effects, Need, Needs, Order};
use std::borrow::Cow;
use std::fmt;

/// A text that is usually written down here and sometimes made by an adapter out of what its broker says.
pub type Text = Cow<'static, str>;

/// How a broker meets a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// By itself.
    Native {
        /// By what.
        by: Text,
    },
    /// With something built on top of it.
    Emulated {
        /// What is built.
        recipe: Text,
        /// What that costs.
        cost: Text,
    },
    /// Not at all.
    Impossible {
        /// Why, and what to ask for instead.
        why: Text,
    },
}

impl Support {
    /// The broker does it by itself.
    #[must_use]
    pub const fn native(by: &'static str) -> Self {
        Self::Native { by: Text::Borrowed(by) }
    }

    /// It is built on top.
    #[must_use]
    pub const fn emulated(recipe: &'static str, cost: &'static str) -> Self {
        Self::Emulated { recipe: Text::Borrowed(recipe), cost: Text::Borrowed(cost) }
    }

    /// It cannot be had.
    #[must_use]
    pub const fn impossible(why: &'static str) -> Self {
        Self::Impossible { why: Text::Borrowed(why) }
    }

    /// Whether the need is met, by whomever.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        !matches!(self, Self::Impossible { .. })
    }

    /// The word for it: `native`, `emulated` or `impossible`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Native { .. } => "native",
            Self::Emulated { .. } => "emulated",
            Self::Impossible { .. } => "impossible",
        }
    }
}

/// The word, and what there is to say about it.
impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.as_str();
        match self {
            Self::Native { by } => write!(f, "{word}: {by}"),
            Self::Emulated { recipe, cost } => write!(f, "{word}: {recipe} ({cost})"),
            Self::Impossible { why } => write!(f, "{word}: {why}"),
        }
    }
}

/// What one broker, as it is configured, can do. Adapters declare it; the conformance suite of `bowline-bus` picks its
/// tests by it, so that what is declared is what was tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The broker, for people.
    pub broker: Text,
    /// Records of one key stay in order.
    pub order_key: Support,
    /// Records of one partition stay in order.
    pub order_partition: Support,
    /// A confirmed record survives a crash of the broker.
    pub buffered: Support,
    /// A confirmed record survives a power loss.
    pub fsync: Support,
    /// A confirmed record survives the loss of a machine.
    pub replicated: Support,
    /// See [`Needs::replay`].
    pub replay: Support,
    /// See [`Needs::settlement`].
    pub settlement: Support,
    /// See [`Needs::delay`].
    pub delay: Support,
    /// See [`Needs::dedup`].
    pub dedup: Support,
    /// See [`Needs::fan_out`].
    pub fan_out: Support,
    /// See [`Needs::lag`].
    pub lag: Support,
    /// See [`Needs::dead_letter_order`].
    pub dead_letter_order: Support,
    /// A record that was confirmed reaches its group once or more, whatever crashes but the broker's own storage.
    pub at_least_once: Support,
}

/// Who is effected by a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Somebody who is reached over a network, or a function that promises nothing.
    #[default]
    Remote,
    /// A handler with an inbox in its own database, in the transaction of its effect.
    Inbox,
}

/// One need, and how it is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is asked.
    pub need: Need,
    /// How it is met.
    pub support: Support,
}

/// What was asked, row by row, all of it met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The broker.
    pub broker: Text,
    /// In the order of [`Need::ALL`].
    pub rows: Vec<Row>,
}

/// At least one need cannot be met: nothing starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The broker.
    pub broker: Text,
    /// All rows, those that are met as well: whoever mends the one wants to see the others.
    pub rows: Vec<Row>,
}

impl Unmet {
    /// The needs that cannot be met, each with its reason.
    pub fn gaps(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.support.is_met())
    }
}

impl Capabilities {
    /// How one need is met.
    #[must_use]
    pub fn support(&self, need: Need, target: Target) -> Support {
        match need {
            Need::Order(Order::None) => Support::native("nothing is asked"),
            Need::Order(Order::Key) => self.order_key.clone(),
            Need::Order(Order::Partition) => self.order_partition.clone(),
            Need::Durability(Durability::Memory) => Support::native("nothing is asked"),
            Need::Durability(Durability::Buffered) => self.buffered.clone(),
            Need::Durability(Durability::Fsync) => self.fsync.clone(),
            Need::Durability(Durability::Replicated) => self.replicated.clone(),
            Need::Replay => self.replay.clone(),
            Need::Settlement => self.settlement.clone(),
            Need::Delay => self.delay.clone(),
            Need::Dedup => self.dedup.clone(),
            Need::FanOut => self.fan_out.clone(),
            Need::Lag => self.lag.clone(),
            Need::DeadLetterOrder => self.dead_letter_order.clone(),
            Need::Effects(Effects::AtLeastOnce) => self.at_least_once.clone(),
            Need::Effects(Effects::Once) => self.once(target),
        }
    }

    fn once(&self, target: Target) -> Support {
        match (target, &self.at_least_once) {
            (_, Support::Impossible { .. }) => self.at_least_once.clone(),
            (Target::Inbox, _) => Support::emulated(
                "an inbox in the handler's database, in the transaction of its effect",
                "one row a record",
            ),
            (Target::Remote, _) => Support::impossible(
                "the target has no inbox: it is effected at least once and has to recognise a record by its id; \
                 ask for at least once, or use the inbox library in the target",
            ),
        }
    }
}

/// Asks a broker for everything that is needed.
///
/// # Errors
/// [`Unmet`], if one need or more cannot be met.
pub fn negotiate(needs: &Needs, capabilities: &Capabilities, target: Target) -> Result<Plan, Unmet> {
    let row = |need| Row { need, support: capabilities.support(need, target) };
    let rows: Vec<Row> = needs.asked().into_iter().map(row).collect();
    let broker = capabilities.broker.clone();
    if rows.iter().all(|row| row.support.is_met()) {
        Ok(Plan { broker, rows })
    } else {
        Err(Unmet { broker, rows })
    }
}

/// The table that `plan` prints: a line a need.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table(&self.rows, f)
    }
}

/// The reasons, in one line.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot give what is asked", self.broker)?;
        for (n, Row { need, support }) in self.gaps().enumerate() {
            let Support::Impossible { why } = support else { continue };
            write!(f, "{} {need}: {why}", if n == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Unmet {}

fn table(rows: &[Row], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let wide = rows.iter().map(|row| row.need.as_str().len()).max().unwrap_or(0);
    for Row { need, support } in rows {
        let text = match support {
            Support::Native { by } => by.to_string(),
            Support::Emulated { recipe, cost } => format!("{recipe} ({cost})"),
            Support::Impossible { why } => why.to_string(),
        };
        writeln!(f, "{:wide$}  {:10}  {text}", need.as_str(), support.as_str())?;
    }
    Ok(())
}
