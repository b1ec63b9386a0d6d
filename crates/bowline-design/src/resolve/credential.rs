//! The files of a credential: what Istio keeps in a secret, as a folder beside the design.

use crate::resolved::caller_tls::CREDENTIALS;

/// The parts of a credential, with the names that Kubernetes gives them in a secret of type `kubernetes.io/tls`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// The certificate, and what vouches for it.
    Certificate,
    /// Its key.
    Key,
    /// Whose word is taken.
    Authority,
}

/// What a credential may be called.
pub(super) const NAMES: &str = "a folder within `credentials`, named by letters, digits, `-`, `_` and `.`";

/// A file of a credential: `credentials/NAME/FILE`. `None`: it cannot be called that.
pub(super) fn file(name: &str, part: Part) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) || name.starts_with('.') {
        return None;
    }
    let file = match part {
        Part::Certificate => "tls.crt",
        Part::Key => "tls.key",
        Part::Authority => "ca.crt",
    };
    Some(format!("{CREDENTIALS}/{name}/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_folder_beside_the_design_and_nowhere_else() {
        assert_eq!(file("shop-1.a_b", Part::Key).as_deref(), Some("credentials/shop-1.a_b/tls.key"));
        for name in ["", ".", "..", "../shop", "a/b", "/etc", ".hidden", "a b", "kubernetes://a", "$NAME"] {
            assert_eq!(file(name, Part::Key), None, "{name}");
        }
    }
}
