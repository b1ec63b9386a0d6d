//! Names that others gave, as names of a design: lowercase letters, digits and `-`, each of them once.

use std::collections::{BTreeMap, BTreeSet};

/// Letters of a name; six of a label's 63 are left for what tells two alike apart.
const LETTERS_MAX: usize = 57;

/// One space of names: the services, or the operations of one service.
#[derive(Debug, Default)]
pub(crate) struct Names {
    given: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Names {
    /// The name for `original`: the same one each time, and nobody else's. `otherwise` where no letter is left.
    pub(crate) fn give(&mut self, original: &str, otherwise: &str) -> String {
        self.give_for(original, original, otherwise)
    }

    /// The name for whatever `key` is, out of `original`: two keys have two names, also where they are called the
    /// same.
    pub(crate) fn give_for(&mut self, key: &str, original: &str, otherwise: &str) -> String {
        if let Some(given) = self.given.get(key) {
            return given.clone();
        }
        let base = label(original, otherwise);
        let mut name = base.clone();
        let mut number = 2_u32;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        self.given.insert(key.to_owned(), name.clone());
        name
    }

    /// All names that were given, in the order of the letters.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.taken.iter().map(String::as_str)
    }
}

/// `text` in lowercase letters and digits, with one `-` for all that lies between them.
fn label(text: &str, otherwise: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if name.len() >= LETTERS_MAX {
            break;
        }
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_letters_and_two_alike_are_told_apart() {
        let mut names = Names::default();
        assert_eq!(names.give("POST /orders/{id}", "op"), "post-orders-id");
        assert_eq!(names.give("post orders id", "op"), "post-orders-id-2");
        assert_eq!(names.give("POST /orders/{id}", "op"), "post-orders-id");
        assert_eq!(names.give("--", "op"), "op");
        assert!(names.give(&"x".repeat(500), "op").len() <= 63);
    }
}
