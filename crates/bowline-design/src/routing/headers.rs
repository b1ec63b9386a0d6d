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
        self.with(later, HeaderSide::then)
    }

    /// What `self` and `more` do as one: everything is removed, then set, then added, as Envoy does it with the
    /// operations of one list. An authority that is set already stays.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        self.with(more, HeaderSide::and)
    }

    fn with(&self, other: &Self, side: fn(&HeaderSide, &HeaderSide) -> HeaderSide) -> Self {
        Self {
            request: side(&self.request, &other.request),
            response: side(&self.response, &other.response),
            authority: self.authority.clone().or_else(|| other.authority.clone()),
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
        // What the later one removes was put for nothing; removing what was there can come first.
        let before = self.put.iter().filter(|put| !later.remove.contains(&put.name));
        Self { remove: self.removed_with(later), put: before.chain(&later.put).cloned().collect() }
    }

    fn and(&self, more: &Self) -> Self {
        let all = || self.put.iter().chain(&more.put);
        let put = all().filter(|put| put.replaces).chain(all().filter(|put| !put.replaces));
        Self { remove: self.removed_with(more), put: put.cloned().collect() }
    }

    fn removed_with(&self, other: &Self) -> Vec<HeaderName> {
        self.remove.iter().chain(&other.remove).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: HeaderName = HeaderName::from_static("x-team");

    fn put(value: &'static str, replaces: bool) -> HeaderPut {
        HeaderPut { name: NAME, value: HeaderValue::from_static(value), replaces }
    }

    /// What a header `old` becomes.
    fn done(side: &HeaderSide) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, HeaderValue::from_static("old"));
        side.apply(&mut headers);
        headers.get_all(NAME).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_removed_is_removed_before_anything_is_put() {
        let ops = HeaderSide { remove: vec![NAME], put: vec![put("a", true), put("b", false)] };
        assert_eq!(done(&ops), ["a", "b"]);
    }

    #[test]
    fn what_comes_later_removes_and_replaces_what_was_put_before() {
        let first = HeaderSide { remove: vec![], put: vec![put("a", false)] };
        let remove = HeaderSide { remove: vec![NAME], put: vec![] };
        assert!(done(&first.then(&remove)).is_empty());
        assert_eq!(done(&remove.then(&first)), ["a"]);
        let set = HeaderSide { remove: vec![], put: vec![put("b", true)] };
        assert_eq!(done(&first.then(&set)), ["b"]);
        assert_eq!(done(&set.then(&first)), ["b", "a"]);
    }

    #[test]
    fn as_one_everything_is_removed_then_set_then_added() {
        let first = HeaderSide { remove: vec![], put: vec![put("a", false)] };
        let set = HeaderSide { remove: vec![], put: vec![put("b", true)] };
        assert_eq!(done(&first.and(&set)), ["b", "a"]);
        let remove = HeaderSide { remove: vec![NAME], put: vec![] };
        assert_eq!(done(&first.and(&remove)), ["a"]);
    }
}
