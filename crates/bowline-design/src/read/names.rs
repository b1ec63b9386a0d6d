//! What names may look like.

use crate::mistake::{Mistakes, Spot};

/// Whether `text` is a DNS label: letters, digits and hyphens, neither end a hyphen, at most 63 (RFC 1123).
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A document's name: DNS labels with dots between them, lowercase, at most 253 letters, as Kubernetes has it.
pub(crate) fn check_name(name: &Spot<String>, mistakes: &mut Mistakes) {
    let fits = name.len() <= 253 && name.split('.').all(is_lowercase_label);
    if !fits {
        let expected = "lowercase letters, digits, `-` and `.`, beginning and ending with a letter or digit";
        mistakes.add("bad-name", &name.place, quoted(name), expected);
    }
}

/// A namespace: one DNS label, lowercase.
pub(crate) fn check_namespace(namespace: &Spot<String>, mistakes: &mut Mistakes) {
    if !is_lowercase_label(namespace) && !namespace.is_empty() {
        let expected = "lowercase letters, digits and `-`, at most 63";
        mistakes.add("bad-name", &namespace.place, quoted(namespace), expected);
    }
}

/// A text for a mistake's first half.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", crate::read::reader::shorten(text))
}

fn is_lowercase_label(text: &str) -> bool {
    is_label(text) && !text.bytes().any(|b| b.is_ascii_uppercase())
}
