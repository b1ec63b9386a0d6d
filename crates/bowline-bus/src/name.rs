//! Names of topics and groups.

use std::fmt;
use std::sync::Arc;

/// The most bytes of a name. Kafka's limit for topics, the least of the brokers that we know.
pub const NAME_BYTES_MAX: usize = 249;

/// A name that every broker takes: 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
fn checked(what: &'static str, name: &str) -> Result<Arc<str>, BadName> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good =
        (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(sound) && name != "." && name != "..";
    if good { Ok(Arc::from(name)) } else { Err(BadName { what, found: name.chars().take(64).collect() }) }
}

/// A name that some broker would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    what: &'static str,
    found: String,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found } = self;
        write!(
            f,
            "`{found}` is no name of a {what}: use 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, `.`, `_` and `-`"
        )
    }
}

impl std::error::Error for BadName {}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the name.
            ///
            /// # Errors
            /// [`BadName`], if a broker would refuse it.
            pub fn new(name: &str) -> Result<Self, BadName> {
                checked($what, name).map(Self)
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// The name of a topic.
    Topic, "topic"
}
name! {
    /// The name of a group: consumers that share the records of a topic.
    Group, "group"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_every_broker_takes() {
        for good in ["orders", "order-events.v2", "A_1", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(Topic::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "größe", "a\n", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(Group::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_name_says_what_would_be_a_good_one() {
        let bad = Topic::new("order events").unwrap_err();
        assert_eq!(
            bad.to_string(),
            "`order events` is no name of a topic: use 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`"
        );
    }
}
