//! Users: names, groups, and what else is known of who asks.

pub use peapod_api::well_known::{NODE_PREFIX, NODES};

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
/// Members may join as nodes.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// Everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The name of those who did not.
pub const ANONYMOUS: &str = "system:anonymous";

/// Who makes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// e.g. `system:node:edge-1`.
    pub name: String,
    /// Empty where the source of identities has none.
    pub uid: String,
    /// e.g. `system:nodes`.
    pub groups: Vec<String>,
    /// Whatever else the source of identities says.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// A user of the groups, authenticated.
    pub fn new(name: &str, groups: &[&str]) -> User {
        let groups = groups.iter().copied().chain([AUTHENTICATED]).map(String::from).collect();
        User { name: name.into(), groups, ..User::default() }
    }

    /// Nobody in particular.
    pub fn anonymous() -> User {
        User { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..User::default() }
    }

    /// Whether the user belongs to `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node whose agent this is.
    pub fn node(&self) -> Option<&str> {
        self.name.strip_prefix(NODE_PREFIX).filter(|name| self.is_in(NODES) && !name.is_empty())
    }
}
