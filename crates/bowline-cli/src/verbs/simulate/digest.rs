//! One number that says which design it was.

use bowline_design::Text;

/// FNV-1a (Fowler, Noll, Vo) over the names and texts of a design, each followed by a byte that no text has. It
/// tells designs apart; it does not withstand somebody who wants two to be the same.
pub(super) fn of(texts: &[Text]) -> u64 {
    let parts = texts.iter().flat_map(|text| [text.name.as_bytes(), text.text.as_bytes()]);
    parts.flat_map(|part| part.iter().copied().chain([0xff])).fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_another_file_is_another_design() {
        let of = |texts: &[(&str, &str)]| {
            let text = |(name, text): &(&str, &str)| Text { name: (*name).into(), text: (*text).to_owned() };
            super::of(&texts.iter().map(text).collect::<Vec<_>>())
        };
        assert_eq!(of(&[("a", "b")]), of(&[("a", "b")]));
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "bcd")]));
    }
}
