//! Header operations: remove, set, add.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What is done to the headers of a request and of its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderOps {
    /// On the way there.
    pub request: HeaderSide,
    /// On the way back.
    pub response: HeaderSide,
    /// The authority that the request goes out with, where headers set `host` or `:authority`.
    pub authority: Option<HeaderValue>,
}

impl HeaderOps {
    /// Whether nothing is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty() && self.authority.is_none()
    }

    /// First what `self` does and then what `later` does. An authority that is set already stays.
    #[must_use]
    pub fn then(&self, later: &Self) -> Self {
        Self {
            request: self.request.then(&later.request),
            response: self.response.then(&later.response),
            authority: self.authority.clone().or_else(|| later.authority.clone()),
        }
    }
}

/// What is done to the headers of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderSide {
    /// Removed, before anything is set or added (Envoy does it in this order).
    pub remove: Vec<HeaderName>,
    /// Set or added, in this order.
    pub put: Vec<HeaderPut>,
}

/// One header that is set or added.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderPut {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
    /// Whether it takes the place of what is there (`set`) or comes besides (`add`).
    pub replaces: bool,
}

impl HeaderSide {
    /// Whether nothing is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.put.is_empty()
    }

    /// Does it.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for put in &self.put {
            if put.replaces {
                headers.insert(put.name.clone(), put.value.clone());
            } else {
                headers.append(put.name.clone(), put.value.clone());
            }
        }
    }

    fn then(&self, later: &Self) -> Self {
        Self {
            remove: self.remove.iter().chain(&later.remove).cloned().collect(),
            put: self.put.iter().chain(&later.put).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_removed_before_anything_is_put() {
        let name = HeaderName::from_static("x-team");
        let put = |value, replaces| HeaderPut {
            name: HeaderName::from_static("x-team"),
            value: HeaderValue::from_static(value),
            replaces,
        };
        let ops = HeaderSide { remove: vec![name.clone()], put: vec![put("a", true), put("b", false)] };
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::from_static("old"));
        ops.apply(&mut headers);
        let left: Vec<_> = headers.get_all(&name).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(left, ["a", "b"]);
    }
}
