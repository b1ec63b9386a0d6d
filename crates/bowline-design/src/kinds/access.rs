//! Our Access: who may ask for what.

use crate::kinds::Meta;
use crate::kinds::values::Nothing;
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::record::{either, record};
use std::collections::BTreeMap;

record! {
    /// Who may ask for what. With the first one in a design, whatever none of them lets through is denied.
    pub struct Access {
        /// Who: whoever proves one of these.
        pub from: Vec<Spot<AccessFrom>>,
        /// What they may do.
        pub may: Vec<Spot<AccessTo>>,
    }
}

either! {
    /// What a caller proves.
    pub enum AccessFrom {
        /// That it is this service: by a certificate with one of its `identities`, or, at the mesh port, by the token
        /// that `bowline up` gave it.
        Service(Spot<String>) = "service",
        /// That it has this name, by a certificate that the gateway's `caCertificates` vouch for: a URI to the letter,
        /// or a name of DNS.
        Identity(Spot<String>) = "identity",
        /// What a token says.
        Jwt(JwtFrom) = "jwt",
        /// Nothing: everybody is let through.
        Anyone(Nothing) = "anyone",
    }
}

record! {
    /// What a token says.
    pub struct JwtFrom {
        /// Whose token it is: the name of an Issuer.
        pub issuer: Spot<String>,
        /// Whom it is about (`sub`); anybody when absent.
        pub subject: Option<Spot<String>>,
        /// Claims that it makes, each by its name or, with a slash before it, by its JSON Pointer; where the token has
        /// a list, one of it is enough.
        pub claims: BTreeMap<String, Spot<String>>,
    }
}

either! {
    /// Something that can be asked for.
    pub enum AccessTo {
        /// A call: of an operation, `service.operation`, or of whatever a service can be asked, `service`.
        Call(Spot<String>) = "call",
        /// A record of a topic. Not served yet.
        Publish(Spot<String>) = "publish",
        /// The start of a saga. Not served yet.
        Start(Spot<String>) = "start",
    }
}

impl Kind for Access {
    const KIND: &'static str = "Access";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, place: &Place, mistakes: &mut Mistakes) {
        if spec.from.is_empty() {
            let expected = "`from` with at least one; `{ anyone: {} }` for everybody";
            mistakes.add("missing-field", place, "an Access for nobody", expected);
        }
        if spec.may.is_empty() {
            let expected = "`may` with at least one, such as `{ call: payment.authorize }`";
            mistakes.add("missing-field", place, "an Access to nothing", expected);
        }
    }
}
