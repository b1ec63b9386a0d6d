//! Which document of our kinds a name means: one of the same namespace, or `namespace/name`.

use super::findings::{Findings, did_you_mean};
use crate::kinds::{Doc, Meta};
use crate::mistake::Spot;
use std::collections::BTreeMap;

/// A kind of ours that is named elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// What it is called in a sentence, `topic`.
    what: &'static str,
    /// The code of the mistake when a name leads nowhere.
    code: &'static str,
}

/// A broker.
pub(super) const BROKER: Named = Named { what: "broker", code: "unknown-broker" };
/// A topic.
pub(super) const TOPIC: Named = Named { what: "topic", code: "unknown-topic" };
/// A subscription.
pub(super) const SUBSCRIPTION: Named = Named { what: "subscription", code: "unknown-subscription" };
/// An intake.
pub(super) const INTAKE: Named = Named { what: "intake", code: "unknown-intake" };

/// An issuer.
pub(super) const ISSUER: Named = Named { what: "issuer", code: "unknown-issuer" };

/// The documents of one kind by their names.
#[derive(Debug)]
pub(super) struct Directory<'d> {
    kind: Named,
    by_name: BTreeMap<(&'d str, &'d str), u32>,
}

impl<'d> Directory<'d> {
    pub(super) fn of<T>(kind: Named, documents: &'d [Doc<T>]) -> Self {
        let key = |meta: &'d Meta| (meta.namespace.as_str(), meta.name.as_str());
        let by_name = (0..).zip(documents).map(|(index, document)| (key(&document.meta), index)).collect();
        Self { kind, by_name }
    }

    /// The document that `name` means, used in `namespace`.
    pub(super) fn find(&self, name: &str, namespace: &str) -> Option<u32> {
        let key = name.split_once('/').unwrap_or((namespace, name));
        self.by_name.get(&key).copied()
    }

    /// The same; a name that leads nowhere is a mistake, with the one that was probably meant.
    pub(super) fn look_up(
        &self,
        name: &Spot<String>,
        namespace: &str,
        findings: &mut Findings,
    ) -> Option<u32> {
        let found = self.find(name, namespace);
        if found.is_none() {
            let Named { what, code } = self.kind;
            let hint = self.near(name, namespace);
            let said = format!("no {what} is named `{}`", name.value);
            findings.mistake(code, &name.place, said, format!("a {what} of the design"), hint);
        }
        found
    }

    /// What a name was probably meant to be.
    pub(super) fn near(&self, name: &str, namespace: &str) -> Option<String> {
        let own = self.by_name.keys().filter(|(own, _)| *own == namespace).map(|(_, name)| *name);
        did_you_mean(name, own).or_else(|| {
            let (elsewhere, _) = self.by_name.keys().find(|(_, other)| *other == name)?;
            Some(format!("there is one in another namespace: `{elsewhere}/{name}`"))
        })
    }
}
