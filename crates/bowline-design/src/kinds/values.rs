//! Values that several of our kinds write: how many a second, how old, how many of all, and nothing at all.

use crate::format::{BadDuration, format_duration, parse_duration};
use crate::mistake::{Mistakes, Spot};
use crate::read::reader::{Read, Reader, describe, unknown_field};
use crate::read::shape::{Record, Shape};
use crate::read::tree::{Node, Value};
use std::fmt;
use std::time::Duration;

/// A mapping that has nothing to say: `embedded: {}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nothing;

impl Read for Nothing {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                for (key, _) in &**entries {
                    unknown_field(key, &[], reader);
                }
                entries.is_empty().then_some(Self)
            }
            _ => {
                reader.wrong(node, "an empty mapping, {}");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Record(Record { name: "Nothing", about: &["Nothing to say: `{}`."], fields: Vec::new })
    }
}

/// So many a second, finite and never below zero. It is written per second, minute or hour: `800/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// What a rate can be per, and how many seconds that is.
const PER: [(&str, f64); 3] = [("s", 1.0), ("min", 60.0), ("h", 3_600.0)];

/// The highest rate: one each nanosecond, the finest time there is here.
const RATE_MAX: f64 = 1e9;

impl Rate {
    /// A rate; `None` unless it is between zero and one each nanosecond.
    #[must_use]
    pub fn of(per_second: f64) -> Option<Self> {
        (0.0..=RATE_MAX).contains(&per_second).then_some(Self(per_second))
    }

    /// Reads `800/s`, `48000/min` or `5/h`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let (_, seconds) = PER.into_iter().find(|(word, _)| *word == unit)?;
        let plain = count.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let count = count.parse::<f64>().ok().filter(|_| plain)?;
        Self::of(count / seconds)
    }

    /// So many a second.
    #[must_use]
    pub const fn per_second(self) -> f64 {
        self.0
    }

    /// Whether it is none at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 <= 0.0
    }
}

/// As [`Rate::parse`] reads it.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl Read for Rate {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let rate = Self::parse(text);
        if rate.is_none() {
            let place = reader.place(node.extent);
            let expected = "a rate such as 800/s, 48000/min or 5/h";
            let mistake = reader.mistakes().add("bad-rate", &place, describe(node), expected);
            let closed = text.replace(' ', "");
            if Self::parse(&closed).is_some() {
                mistake.hint(format!("write it without spaces: {closed}"));
            } else if text.parse::<f64>().is_ok_and(|number| number >= 0.0) {
                mistake.hint(format!("say per what: {text}/s"));
            }
        }
        rate
    }

    fn shape() -> Shape {
        Shape::Form(r"^(\d+\.?\d*|\.\d+)/(s|min|h)$")
    }
}

/// How old something may get. Unlike other durations it may be written in days, of 24 hours: `7d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

impl Age {
    /// Reads `7d`, `1d12h` or any other duration.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadDuration> {
        const DAY: Duration = Duration::from_secs(86_400);
        let Some((days, rest)) = text.split_once('d') else { return parse_duration(text).map(Self) };
        if days.is_empty() || !days.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadDuration::Malformed);
        }
        let days = days.parse().map_err(|_| BadDuration::TooLong)?;
        let rest = if rest.is_empty() { Duration::ZERO } else { parse_duration(rest)? };
        let age =
            DAY.checked_mul(days).and_then(|days| days.checked_add(rest)).ok_or(BadDuration::TooLong)?;
        // What is longer could not be written as an ordinary duration.
        if parse_duration(&format_duration(age)).is_err() {
            return Err(BadDuration::TooLong);
        }
        Ok(Self(age))
    }
}

impl Read for Age {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let days = node.text().filter(|text| text.contains('d')).map(Self::parse);
        match days {
            Some(Ok(age)) => Some(age),
            Some(Err(_)) => {
                let place = reader.place(node.extent);
                let expected = "a duration such as 7d, 1d12h or 90s";
                reader.mistakes().add("bad-duration", &place, describe(node), expected);
                None
            }
            None => Duration::read(node, reader).map(Self),
        }
    }

    fn shape() -> Shape {
        Shape::Form(r"^((\d+d)|((\d+d)?((\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+))$")
    }
}

/// How many of all requests: so many, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many: `0`.
    Count(u64),
    /// A share, from 0 to 1: `0.1%` is 0.001.
    Share(f64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            // Twelve digits are more than anybody writes and fewer than show what binary fractions lack.
            Self::Share(share) => write!(f, "{}%", (share * 1e14).round() / 1e12),
        }
    }
}

impl Read for Amount {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let amount = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse::<f64>()
                .ok()
                .filter(|share| plain(percent) && (0.0..=100.0).contains(share))
                .map(|percent| Self::Share(percent / 100.0)),
            None => match &node.value {
                Value::Scalar(scalar) if scalar.is_number() && plain(text) => {
                    text.parse().ok().map(Self::Count)
                }
                _ => None,
            },
        };
        if amount.is_none() {
            let place = reader.place(node.extent);
            let expected = "a count such as 0 or 12, or a share such as 0.1%";
            let mistake = reader.mistakes().add("bad-value", &place, describe(node), expected);
            if let Some(share) = text.parse::<f64>().ok().filter(|share| (0.0..1.0).contains(share)) {
                mistake.hint(format!("if you mean a share, write {}", Self::Share(share)));
            }
        }
        amount
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![Shape::Whole(u64::MAX), Shape::Form(r"^(\d+\.?\d*|\.\d+)%$")])
    }
}

/// Demands some time.
pub(crate) fn longer_than_zero(span: Option<&Spot<Duration>>, mistakes: &mut Mistakes) {
    if let Some(span) = span.filter(|span| span.value.is_zero()) {
        mistakes
            .add("bad-value", &span.place, "no time at all", "more than 0s")
            .hint("to have none, leave the field out");
    }
}

/// Demands at least one.
pub(crate) fn at_least_one(count: Option<&Spot<u32>>, mistakes: &mut Mistakes) {
    if let Some(count) = count.filter(|count| count.value == 0) {
        mistakes.add("bad-value", &count.place, "0", "at least 1");
    }
}

/// Demands a share in percent.
pub(crate) fn percent(percent: Option<&Spot<f64>>, mistakes: &mut Mistakes) {
    if let Some(percent) = percent.filter(|percent| !(0.0..=100.0).contains(&percent.value)) {
        mistakes.add("bad-value", &percent.place, format!("{} percent", percent.value), "0 to 100");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_so_many_per_second_minute_or_hour() {
        let rate = |text| Rate::parse(text).map(Rate::per_second);
        assert_eq!(rate("800/s"), Some(800.0));
        assert_eq!(rate("48000/min"), Some(800.0));
        assert_eq!(rate("1800/h"), Some(0.5));
        assert_eq!(rate("0.5/s"), Some(0.5));
        for none in ["800", "/s", "800/", "800/d", "-1/s", "1e3/s", "inf/s", "2000000000/s", "800 /s", "a/s"]
        {
            assert_eq!(rate(none), None, "{none}");
        }
        assert_eq!(Rate::of(800.0).map(|rate| rate.to_string()).as_deref(), Some("800/s"));
    }

    #[test]
    fn an_age_may_be_written_in_days() {
        let hours = |text| Age::parse(text).map(|age| age.0.as_secs() / 3_600);
        assert_eq!(hours("7d"), Ok(168));
        assert_eq!(hours("1d12h"), Ok(36));
        assert_eq!(hours("2h"), Ok(2));
        assert_eq!(hours("1.5d"), Err(BadDuration::Malformed));
        assert_eq!(hours("d"), Err(BadDuration::Malformed));
        assert_eq!(hours("200000d"), Err(BadDuration::TooLong));
    }

    #[test]
    fn a_share_is_written_in_percent() {
        assert_eq!(Amount::Share(0.001).to_string(), "0.1%");
        assert_eq!(Amount::Share(0.983).to_string(), "98.3%");
        assert_eq!(Amount::Count(12).to_string(), "12");
    }
}
