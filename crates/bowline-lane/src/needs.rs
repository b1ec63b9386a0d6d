//! What a topic or a subscription asks of its broker.

use std::fmt;

/// What a topic or a subscription asks. The default asks for nothing: every broker meets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Which records stay in order.
    pub order: Order,
    /// What a record has survived once its publisher is answered.
    pub durability: Durability,
    /// Old records can be read again, from an offset or a time.
    pub replay: bool,
    /// A record can be settled while records before it are not.
    pub settlement: bool,
    /// A record can be put off without holding up the records of other keys.
    pub delay: bool,
    /// A record that was published twice under one id is kept once.
    pub dedup: bool,
    /// Several groups each get every record.
    pub fan_out: bool,
    /// The age of the oldest record not yet processed is known, in the broker's time.
    pub lag: bool,
    /// Records that are set aside stay in the order of their key, over restarts and rebalances.
    pub dead_letter_order: bool,
    /// How often the effect of a record may happen.
    pub effects: Effects,
}

/// Which records stay in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// None.
    #[default]
    None,
    /// Those of one key.
    Key,
    /// All of a partition; of the topic, where it has one partition.
    Partition,
}

/// What a record has survived once its publisher is answered. Two of them are different needs, not degrees: a record
/// may be synced on one disk, or in the memory of three machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Nothing: it is in the broker's memory.
    #[default]
    Memory,
    /// A crash of the broker: the operating system has it.
    Buffered,
    /// A power loss: it is synced to a disk.
    Fsync,
    /// The loss of a machine: others have it, in memory at least.
    Replicated,
}

/// How often the effect of a record may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effects {
    /// Once or more: whoever is effected recognises a record by its id.
    #[default]
    AtLeastOnce,
    /// Once: an inbox in the effect's own database, in its own transaction, makes it so.
    Once,
}

/// One thing that may be asked: a row of what `plan` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// See [`Needs::order`].
    Order(Order),
    /// See [`Needs::durability`].
    Durability(Durability),
    /// See [`Needs::replay`].
    Replay,
    /// See [`Needs::settlement`].
    Settlement,
    /// See [`Needs::delay`].
    Delay,
    /// See [`Needs::dedup`].
    Dedup,
    /// See [`Needs::fan_out`].
    FanOut,
    /// See [`Needs::lag`].
    Lag,
    /// See [`Needs::dead_letter_order`].
    DeadLetterOrder,
    /// See [`Needs::effects`].
    Effects(Effects),
}

impl Need {
    /// Everything that can be asked, in the order in which it is printed.
    pub const ALL: [Self; 16] = [
        Self::Order(Order::None),
        Self::Order(Order::Key),
        Self::Order(Order::Partition),
        Self::Durability(Durability::Memory),
        Self::Durability(Durability::Buffered),
        Self::Durability(Durability::Fsync),
        Self::Durability(Durability::Replicated),
        Self::Replay,
        Self::Settlement,
        Self::Delay,
        Self::Dedup,
        Self::FanOut,
        Self::Lag,
        Self::DeadLetterOrder,
        Self::Effects(Effects::AtLeastOnce),
        Self::Effects(Effects::Once),
    ];

    /// The words used in `plan`, in errors and as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order(Order::None) => "any order",
            Self::Order(Order::Key) => "order per key",
            Self::Order(Order::Partition) => "order per partition",
            Self::Durability(Durability::Memory) => "durability memory",
            Self::Durability(Durability::Buffered) => "durability buffered",
            Self::Durability(Durability::Fsync) => "durability fsync",
            Self::Durability(Durability::Replicated) => "durability replicated",
            Self::Replay => "replay",
            Self::Settlement => "settlement",
            Self::Delay => "delayed retry",
            Self::Dedup => "deduplication",
            Self::FanOut => "fan-out",
            Self::Lag => "lag",
            Self::DeadLetterOrder => "dead letters in order",
            Self::Effects(Effects::AtLeastOnce) => "effects at least once",
            Self::Effects(Effects::Once) => "effects once",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Needs {
    /// What is asked, a need at a time, in the order in which it is printed. What everybody has (any order,
    /// durability in memory) is left out; how often effects happen is always said.
    #[must_use]
    pub fn asked(&self) -> Vec<Need> {
        let Self { order, durability, .. } = *self;
        Need::ALL
            .into_iter()
            .filter(|need| match *need {
                Need::Order(asked) => asked == order && order != Order::None,
                Need::Durability(asked) => asked == durability && durability != Durability::Memory,
                Need::Replay => self.replay,
                Need::Settlement => self.settlement,
                Need::Delay => self.delay,
                Need::Dedup => self.dedup,
                Need::FanOut => self.fan_out,
                Need::Lag => self.lag,
                Need::DeadLetterOrder => self.dead_letter_order,
                Need::Effects(asked) => asked == self.effects,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_need_has_a_word_of_its_own() {
        let words: BTreeSet<_> = Need::ALL.into_iter().map(Need::as_str).collect();
        assert_eq!(words.len(), Need::ALL.len());
    }

    #[test]
    fn who_asks_for_nothing_is_told_how_often_effects_happen() {
        assert_eq!(Needs::default().asked(), [Need::Effects(Effects::AtLeastOnce)]);
    }

    #[test]
    fn what_is_asked_is_listed_in_the_order_of_the_table() {
        let needs = Needs { order: Order::Key, durability: Durability::Fsync, lag: true, ..Needs::default() };
        let words: Vec<_> = needs.asked().into_iter().map(Need::as_str).collect();
        assert_eq!(words, ["order per key", "durability fsync", "lag", "effects at least once"]);
    }
}
