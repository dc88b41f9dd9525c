//! Acting as somebody else. Rule: Kubernetes, "Authenticating", user impersonation.

use super::rbac::ACCOUNT_PREFIX;
use super::{ANONYMOUS, AUTHENTICATED, Attributes, UNAUTHENTICATED, User, account, authorize};
use crate::snapshot::Snapshot;
use peapod_api::Error;

/// The group of what is no object: uids and extras.
const GROUP: &str = "authentication.k8s.io";

/// `user` as whom he wants to be seen, `wanted` being all that he said of it: groups that come by themselves are added.
/// Errors: 400 for parts of a user without a name, 403 for the first part that he may not take on.
pub fn impersonate(snapshot: &Snapshot, user: &User, wanted: User) -> Result<User, Error> {
    if wanted.name.is_empty() {
        let parts = "groups, uid or extra";
        return Err(Error::bad_request(format!("requested {parts} without impersonating a user")));
    }
    let ask = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let verb = "impersonate";
        let asked = Attributes { verb, group, resource, subresource, namespace, name, fields: None };
        authorize(snapshot, user, &asked)
    };
    let account = split_account(&wanted.name);
    match account {
        Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name)?,
        None => ask("", "users", "", "", &wanted.name)?,
    }
    wanted.groups.iter().try_for_each(|group| ask("", "groups", "", "", group))?;
    for (key, values) in &wanted.extra {
        values.iter().try_for_each(|value| ask(GROUP, "userextras", key, "", value))?;
    }
    if !wanted.uid.is_empty() {
        ask(GROUP, "uids", "", "", &wanted.uid)?;
    }
    let mut groups = wanted.groups;
    if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
        groups.extend(account::groups(namespace));
    }
    let known = if wanted.name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
    if !groups.iter().any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED) {
        groups.push(known.into());
    }
    Ok(User { groups, ..wanted })
}

/// Namespace and name of the service account that acts under `name`.
pub(super) fn split_account(name: &str) -> Option<(&str, &str)> {
    let (namespace, name) = name.strip_prefix(ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::MASTERS;
    use crate::auth::rbac::tests::{cluster, put};
    use crate::auth::rbac::{CLUSTER_BINDINGS, CLUSTER_ROLES};
    use serde_json::json;

    fn wanted(name: &str, groups: &[&str]) -> User {
        User { name: name.into(), groups: groups.iter().map(|g| (*g).into()).collect(), ..User::default() }
    }

    #[test]
    fn who_may_becomes_the_other_with_the_groups_that_come_by_themselves() {
        let (cluster, root) = (cluster(), User::new("root", &[MASTERS]));
        let become_ =
            |name, groups: &[&str]| impersonate(&cluster, &root, wanted(name, groups)).unwrap().groups;
        assert_eq!(become_("jane", &[]), [AUTHENTICATED]);
        assert_eq!(become_("jane", &["dev"]), ["dev", AUTHENTICATED]);
        assert_eq!(become_(ANONYMOUS, &[]), [UNAUTHENTICATED]);
        let account = become_("system:serviceaccount:a:robot", &[]);
        assert_eq!(account, ["system:serviceaccounts", "system:serviceaccounts:a", AUTHENTICATED]);
        assert_eq!(impersonate(&cluster, &root, wanted("", &["dev"])).unwrap_err().code(), 400);
    }

    #[test]
    fn each_part_needs_its_right() {
        let mut cluster = cluster();
        let rules = json!([
            {"apiGroups": [""], "resources": ["users"], "resourceNames": ["jane"], "verbs": ["impersonate"]},
            {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["dev"], "verbs": ["impersonate"]},
            {"apiGroups": [GROUP], "resources": ["userextras/scopes"], "resourceNames": ["view"],
                "verbs": ["impersonate"]},
        ]);
        put(&mut cluster, CLUSTER_ROLES, "", "acts", json!({ "rules": rules }));
        let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "acts"},
            "subjects": [{"kind": "User", "name": "proxy"}]});
        put(&mut cluster, CLUSTER_BINDINGS, "", "acts", binding);
        let proxy = User::new("proxy", &[]);
        let refusal =
            |user: User| impersonate(&cluster, &proxy, user).err().map(|e| e.to_string()).unwrap_or_default();
        let scoped = |value: &str| User {
            extra: vec![("scopes".into(), vec![value.into()])],
            ..wanted("jane", &["dev"])
        };
        assert_eq!(refusal(scoped("view")), "");
        assert!(refusal(scoped("all")).starts_with("userextras.authentication.k8s.io \"all\" is forbidden"));
        assert_eq!(
            refusal(wanted("joe", &[])),
            "users \"joe\" is forbidden: User \"proxy\" cannot impersonate resource \"users\" in API group \"\" at the \
             cluster scope"
        );
        assert!(refusal(wanted("jane", &[MASTERS])).starts_with("groups \"system:masters\" is forbidden"));
        assert!(
            refusal(User { uid: "7".into(), ..wanted("jane", &[]) })
                .starts_with("uids.authentication.k8s.io")
        );
        assert!(refusal(wanted("system:serviceaccount:a:b", &[])).starts_with("serviceaccounts \"b\""));
    }
}
