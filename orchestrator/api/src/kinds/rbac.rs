//! `rbac.authorization.k8s.io`: who may do what.

use super::{AGE, NAME, col, path, row, wide};
use crate::kind::{Cell, Kind, Scope};
use crate::well_known::RBAC_GROUP;

fn role(kind: &'static str, plural: &'static str) -> Kind {
    let columns = vec![NAME, col("Created At", path("metadata.creationTimestamp"))];
    Kind { columns, ..row(RBAC_GROUP, kind, plural) }
}

fn binding(kind: &'static str, plural: &'static str) -> Kind {
    let columns = vec![
        NAME,
        col("Role", Cell::Computed("rolebinding.role")),
        AGE,
        wide("Users", Cell::Computed("rolebinding.users")),
        wide("Groups", Cell::Computed("rolebinding.groups")),
        wide("ServiceAccounts", Cell::Computed("rolebinding.serviceaccounts")),
    ];
    Kind { columns, ..row(RBAC_GROUP, kind, plural) }
}

pub(super) fn rows() -> Vec<Kind> {
    vec![
        role("Role", "roles"),
        binding("RoleBinding", "rolebindings"),
        Kind { scope: Scope::Cluster, ..role("ClusterRole", "clusterroles") },
        Kind { scope: Scope::Cluster, ..binding("ClusterRoleBinding", "clusterrolebindings") },
    ]
}
