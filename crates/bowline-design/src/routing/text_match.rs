//! `exact`, `prefix` and `regex`, as Istio's `StringMatch` means them.

use regex::Regex;
use std::fmt;

/// How a text is compared.
#[derive(Clone, Debug)]
pub enum TextMatch {
    /// It is this.
    Exact(Box<str>),
    /// It starts so.
    Prefix(Box<str>),
    /// All of it has this form.
    Regex(FullRegex),
    /// It is there at all.
    Present,
}

impl TextMatch {
    /// Whether `text` is meant.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == &**exact,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Regex(regex) => regex.matches(text),
            Self::Present => true,
        }
    }

    /// The same without regard to case, which regular expressions never ignore (Istio's `ignoreUriCase`).
    #[must_use]
    pub fn matches_ignoring_case(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text.eq_ignore_ascii_case(exact),
            Self::Prefix(prefix) => text
                .as_bytes()
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes())),
            Self::Regex(_) | Self::Present => self.matches(text),
        }
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => write!(f, "exact {exact:?}"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix:?}"),
            Self::Regex(regex) => write!(f, "regex {:?}", &*regex.text),
            Self::Present => f.write_str("present"),
        }
    }
}

/// A regular expression that has to match a whole text, as Istio's do.
#[derive(Clone, Debug)]
pub struct FullRegex {
    text: Box<str>,
    regex: Regex,
}

impl FullRegex {
    /// The largest compiled form, in bytes. RE2's default in Envoy gives up on larger ones as well;
    /// a design with more is more likely an accident than a wish.
    const COMPILED_MAX: usize = 1 << 20;

    /// Compiles `text`.
    ///
    /// # Errors
    /// What is wrong with it, in the words of the compiler.
    pub fn new(text: &str) -> Result<Self, String> {
        // Alone first: `a)(b` is only balanced by the group that is put around it.
        compile(text)?;
        let regex = compile(&format!(r"\A(?:{text})\z"))?;
        Ok(Self { text: text.into(), regex })
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether all of `text` has this form.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Compiles a regular expression of a design, within the limit that all of them have.
///
/// # Errors
/// What is wrong with it, in the words of the compiler.
pub fn compile(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text)
        .size_limit(FullRegex::COMPILED_MAX)
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_matches_all_of_the_text() {
        let digits = FullRegex::new(r"\d+$").unwrap();
        assert!(digits.matches("123"));
        assert!(!digits.matches("a123"));
        let either = FullRegex::new("a|bc").unwrap();
        assert!(either.matches("bc"));
        assert!(!either.matches("abc"));
        assert!(FullRegex::new("a)(b").is_err());
    }

    #[test]
    fn case_is_ignored_for_exact_and_prefix_alone() {
        assert!(TextMatch::Exact("/Orders".into()).matches_ignoring_case("/orders"));
        assert!(TextMatch::Prefix("/Orders".into()).matches_ignoring_case("/orders/1"));
        assert!(!TextMatch::Prefix("/Orders".into()).matches_ignoring_case("/order"));
        assert!(!TextMatch::Regex(FullRegex::new("/Orders").unwrap()).matches_ignoring_case("/orders"));
        assert!(!TextMatch::Prefix("/\u{e9}".into()).matches_ignoring_case("/e"));
    }
}
