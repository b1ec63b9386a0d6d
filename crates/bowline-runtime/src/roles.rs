//! Which parts of Bowline a process runs.

use std::fmt;

/// A part that can be had alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Builds, starts and watches the services that the design says how to run.
    Services,
    /// Listens where the design's gateways say.
    Gateway,
    /// Listens at the mesh port and routes by authority.
    Mesh,
    /// Serves the local API and the metrics.
    Console,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Services, Self::Gateway, Self::Mesh, Self::Console];

    /// The word of `--only` and `--except`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Gateway => "gateway",
            Self::Mesh => "mesh",
            Self::Console => "console",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// All roles, or those in `only`, less those in `except`.
    ///
    /// # Errors
    /// A word that is no role; the text names those that are.
    pub fn parse(only: &[String], except: &[String]) -> Result<Self, String> {
        let role = |word: &String| {
            let found = Role::ALL.into_iter().find(|role| role.as_str() == word.trim());
            found.ok_or_else(|| {
                let all = Role::ALL.map(Role::as_str).join(", ");
                format!("`{word}` is no role of this version; the roles are {all}")
            })
        };
        let only: Vec<Role> = only.iter().map(role).collect::<Result<_, _>>()?;
        let except: Vec<Role> = except.iter().map(role).collect::<Result<_, _>>()?;
        let wanted =
            |candidate: &Role| (only.is_empty() || only.contains(candidate)) && !except.contains(candidate);
        Ok(Self(Role::ALL.into_iter().filter(wanted).collect()))
    }

    /// Whether `role` is one of them.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_and_except_choose() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let roles = Roles::parse(&words(&["gateway"]), &[]).unwrap();
        assert!(roles.has(Role::Gateway) && !roles.has(Role::Services));
        let roles = Roles::parse(&[], &words(&["mesh"])).unwrap();
        assert!(roles.has(Role::Gateway) && !roles.has(Role::Mesh));
        let error = Roles::parse(&words(&["gate"]), &[]).unwrap_err();
        assert!(error.contains("services, gateway, mesh, console"), "{error}");
    }
}
