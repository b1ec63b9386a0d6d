//! Names and wildcards.

use std::cmp::Ordering;

/// A name of a virtual host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This name, in lower case.
    Exact(Box<str>),
    /// Names that end so, and have something before it: `*.shop.example` is `.shop.example`.
    Suffix(Box<str>),
    /// Every name: `*`.
    Any,
}

impl HostPattern {
    /// Reads `name`, `*.suffix` or `*`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.strip_prefix('*') {
            Some("") => Self::Any,
            Some(suffix) => Self::Suffix(suffix.to_ascii_lowercase().into()),
            None => Self::Exact(text.to_ascii_lowercase().into()),
        }
    }

    /// Whether `name`, without port, is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(own) => own.eq_ignore_ascii_case(name),
            // A wildcard never stands for nothing (Envoy, `VirtualHost.domains`).
            Self::Suffix(suffix) => name.len() > suffix.len() && ends_with_ignoring_case(name, suffix),
            Self::Any => true,
        }
    }

    /// Whether every name that `other` means is meant.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Suffix(own), Self::Suffix(other)) => other.ends_with(&**own),
            (Self::Exact(_), Self::Suffix(_)) => false,
        }
    }

    /// The names that both mean: the narrower of the two, if it lies within the other.
    #[must_use]
    pub fn intersection<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        if self.covers(other) {
            Some(other)
        } else if other.covers(self) {
            Some(self)
        } else {
            None
        }
    }

    /// Orders what is tried first before what is tried later: exact, then longer suffixes, then `*`.
    #[must_use]
    pub fn by_specificity(a: &Self, b: &Self) -> Ordering {
        let rank = |pattern: &Self| match pattern {
            Self::Exact(_) => (0, 0),
            Self::Suffix(suffix) => (1, usize::MAX - suffix.len()),
            Self::Any => (2, 0),
        };
        rank(a).cmp(&rank(b))
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Exact(name) => name.to_string(),
            Self::Suffix(suffix) => format!("*{suffix}"),
            Self::Any => "*".to_owned(),
        }
    }
}

/// The authority without its port. `[::1]:80` is `[::1]`.
#[must_use]
pub fn without_port(authority: &str) -> &str {
    split_port(authority).0
}

/// The port in an authority, if it names one.
#[must_use]
pub fn port_of(authority: &str) -> Option<u16> {
    split_port(authority).1
}

fn split_port(authority: &str) -> (&str, Option<u16>) {
    // A colon within brackets belongs to the address.
    let Some((name, port)) = authority.rsplit_once(':') else { return (authority, None) };
    let within_brackets = name.starts_with('[') && !name.ends_with(']');
    if within_brackets || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return (authority, None);
    }
    (name, port.parse().ok())
}

fn ends_with_ignoring_case(name: &str, suffix: &str) -> bool {
    let (name, suffix) = (name.as_bytes(), suffix.as_bytes());
    name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_the_name() {
        for (authority, name, port) in [
            ("shop", "shop", None),
            ("shop:8080", "shop", Some(8080)),
            ("shop:", "shop", None),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("shop:http", "shop:http", None),
            ("", "", None),
        ] {
            assert_eq!((without_port(authority), port_of(authority)), (name, port), "{authority}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_something() {
        let pattern = HostPattern::new("*.Shop.example");
        assert!(pattern.matches("www.shop.EXAMPLE"));
        assert!(pattern.matches("a.b.shop.example"));
        assert!(!pattern.matches(".shop.example"));
        assert!(!pattern.matches("shop.example"));
    }

    #[test]
    fn the_intersection_is_the_narrower_one() {
        let check = |a: &str, b: &str, expected: Option<&str>| {
            let (a, b) = (HostPattern::new(a), HostPattern::new(b));
            let text = |found: Option<&HostPattern>| found.map(HostPattern::text);
            assert_eq!(text(a.intersection(&b)).as_deref(), expected);
            assert_eq!(text(b.intersection(&a)).as_deref(), expected);
        };
        check("*", "*", Some("*"));
        check("*", "shop.example", Some("shop.example"));
        check("*.example", "shop.example", Some("shop.example"));
        check("*.example", "*.shop.example", Some("*.shop.example"));
        check("*.example", "*.test", None);
        check("a.example", "b.example", None);
        check("*.example", "example", None);
    }
}
