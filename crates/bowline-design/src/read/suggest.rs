//! What a misspelt word was meant to be.

use crate::read::reader::Root;
use crate::read::shape::Shape;

/// The word among `words` that `written` was most likely meant to be.
///
/// A third of its letters may be wrong: enough for a slip or two, too few to turn one word into another.
pub(crate) fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let fold = |word: &str| word.replace(['_', '-'], "").to_lowercase();
    let wanted = fold(written);
    // A word nobody would write is not worth measuring.
    if wanted.is_empty() || wanted.len() > 64 {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).max(1);
    words
        .into_iter()
        .map(|word| (distance(&wanted, &fold(word)), word))
        .filter(|(distance, word)| *distance <= allowed && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Whether `written` is `word` but for a slip or two: near enough to call it a mistake, where others have names of their
/// own.
pub(crate) fn is_slip(written: &str, word: &str) -> bool {
    const SLIPS_MAX: usize = 2;
    let (written, word) = (written.to_lowercase(), word.to_lowercase());
    // What differs more in its length is not worth measuring.
    written.len().abs_diff(word.len()) <= SLIPS_MAX && distance(&written, &word) <= SLIPS_MAX
}

/// Where below `root` a field of this name exists: the shortest path, with `[]` for list items.
pub(crate) fn elsewhere(field: &str, root: Root) -> Option<String> {
    let mut seen = Vec::new();
    let mut level = vec![(root.shape as fn() -> Shape, root.path.to_owned())];
    while !level.is_empty() {
        let mut below = Vec::new();
        for (shape, path) in level {
            let shape = shape();
            let Some((record, through)) = shape.record() else { continue };
            if seen.contains(&record.name) {
                continue;
            }
            seen.push(record.name);
            for candidate in (record.fields)() {
                let path = format!("{path}{through}.{}", candidate.name).trim_start_matches('.').to_owned();
                if candidate.name == field {
                    return Some(path);
                }
                below.push((candidate.shape, path));
            }
        }
        level = below;
    }
    None
}

/// Edits from one word to the other: a letter more, less, other, or two swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut edits = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let before: &Vec<usize> = &before_last;
                edits = edits.min(before[j - 2] + 1);
            }
            row.push(edits);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let words = ["retries", "route", "redirect", "timeout", "perTryTimeout"];
        assert_eq!(nearest("retires", words), Some("retries"));
        assert_eq!(nearest("per_try_timeout", words), Some("perTryTimeout"));
        assert_eq!(nearest("Timeout", words), Some("timeout"));
        assert_eq!(nearest("routes", words), Some("route"));
        assert_eq!(nearest("deadline", words), None);
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn swapped_letters_are_one_edit() {
        assert_eq!(distance("retires", "retries"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
