use super::defaults::Mend;
use super::*;
use crate::auth::{AUTHENTICATED, MASTERS, UNAUTHENTICATED, authorize, authorize_path};
use crate::snapshot::Snapshot;
use peapod_api::{Draft, kinds};
use serde_json::json;

/// Folds the creation, change (or, for null, deletion) of an object into `snapshot`.
pub(crate) fn put(snapshot: &mut Snapshot, resource: &str, namespace: &str, name: &str, mut value: Value) {
    let key = Key::new(resource, namespace, name);
    let kind = kinds::of_resource(resource).unwrap();
    let revision = snapshot.revision() + 1;
    let after = (!value.is_null()).then(|| {
        value["metadata"]["name"] = name.into();
        value["metadata"]["namespace"] = namespace.into();
        Arc::new(Draft::new(kind, key.clone(), value).at(revision))
    });
    let before = snapshot.get(&key).cloned();
    snapshot.apply(&Change::new(revision, key, before, after));
}

/// A cluster with its default roles.
pub(crate) fn cluster() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for object in defaults::objects() {
        let resource = if object["kind"] == "ClusterRole" { CLUSTER_ROLES } else { CLUSTER_BINDINGS };
        let name = object["metadata"]["name"].as_str().unwrap().to_string();
        put(&mut snapshot, resource, "", &name, object);
    }
    snapshot
}

fn bind(snapshot: &mut Snapshot, namespace: &str, name: &str, role: &str, subjects: Value) {
    let resource = if namespace.is_empty() { CLUSTER_BINDINGS } else { BINDINGS };
    let (kind, role) = role.split_once('/').unwrap();
    put(
        snapshot,
        resource,
        namespace,
        name,
        json!({"roleRef": {"kind": kind, "name": role}, "subjects": subjects}),
    );
}

fn user(name: &str) -> Value {
    json!([{"kind": "User", "name": name}])
}

fn may(snapshot: &Snapshot, user: &User, verb: &str, what: &str, namespace: &str) -> bool {
    refusal(snapshot, user, verb, what, namespace).is_none()
}

/// `what`: `deployments.apps/scale` or `pods`, and after a blank a name.
fn refusal(snapshot: &Snapshot, user: &User, verb: &str, what: &str, namespace: &str) -> Option<String> {
    let (what, name) = what.split_once(' ').unwrap_or((what, ""));
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let asked = Attributes { verb, group, resource, subresource, namespace, name, fields: None };
    authorize(snapshot, user, &asked).err().map(|error| error.to_string())
}

#[test]
fn roles_count_where_they_are_bound() {
    let mut cluster = cluster();
    let (jane, joe) = (User::new("jane", &["dev"]), User::new("joe", &[]));
    assert!(!may(&cluster, &jane, "list", "pods", "a"));
    bind(&mut cluster, "a", "dev-edit", "ClusterRole/edit", json!([{"kind": "Group", "name": "dev"}]));
    for (verb, what, namespace, allowed) in [
        ("list", "pods", "a", true),
        ("get", "pods/log x", "a", true),
        ("create", "deployments.apps", "a", true),
        ("update", "deployments.apps/scale x", "a", true),
        ("update", "deployments.apps/status x", "a", false),
        ("get", "secrets x", "a", true),
        ("impersonate", "serviceaccounts x", "a", true),
        ("get", "namespaces a", "a", true),
        ("list", "pods", "b", false),
        ("list", "pods", "", false),
        ("create", "rolebindings.rbac.authorization.k8s.io", "a", false),
        ("delete", "nodes n", "", false),
    ] {
        assert_eq!(may(&cluster, &jane, verb, what, namespace), allowed, "{verb} {what} {namespace}");
        assert!(!may(&cluster, &joe, verb, what, namespace), "joe: {verb} {what}");
    }
    bind(&mut cluster, "", "joe-views", "ClusterRole/view", user("joe"));
    assert!(may(&cluster, &joe, "watch", "pods", "") && may(&cluster, &joe, "watch", "pods", "z"));
    assert!(!may(&cluster, &joe, "get", "secrets", "z"), "viewers see no secrets");
    put(&mut cluster, CLUSTER_BINDINGS, "", "joe-views", Value::Null);
    assert!(!may(&cluster, &joe, "watch", "pods", ""));
    assert!(may(&cluster, &User::new("root", &[MASTERS]), "delete", "unicorns.example.com x", "a"));
}

#[test]
fn changes_of_roles_and_subjects_count_at_once() {
    let mut cluster = cluster();
    let robot = User::new("system:serviceaccount:a:robot", &["system:serviceaccounts"]);
    let account =
        |namespace: Value| json!([{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}]);
    bind(&mut cluster, "a", "one", "Role/reader", account("a".into()));
    let refused = refusal(&cluster, &robot, "get", "configmaps c", "a").unwrap();
    assert_eq!(
        refused,
        "configmaps \"c\" is forbidden: User \"system:serviceaccount:a:robot\" cannot get resource \"configmaps\" in API \
         group \"\" in the namespace \"a\": RBAC: role.rbac.authorization.k8s.io \"reader\" not found"
    );
    let rules = |names: Value| json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["get"]}]});
    put(&mut cluster, ROLES, "a", "reader", rules(json!(["c"])));
    assert!(
        may(&cluster, &robot, "get", "configmaps c", "a")
            && !may(&cluster, &robot, "get", "configmaps d", "a")
    );
    put(&mut cluster, ROLES, "a", "reader", rules(json!(["d"])));
    assert!(
        !may(&cluster, &robot, "get", "configmaps c", "a")
            && may(&cluster, &robot, "get", "configmaps d", "a")
    );
    bind(&mut cluster, "a", "two", "Role/reader", account("a".into()));
    put(&mut cluster, BINDINGS, "a", "one", Value::Null);
    assert!(may(&cluster, &robot, "get", "configmaps d", "a"), "the other binding stays");
    let asked = Attributes {
        verb: "get",
        resource: "configmaps",
        namespace: "a",
        name: "d",
        ..Attributes::default()
    };
    assert_eq!(
        cluster.rbac().allows(&robot, &asked).unwrap().reason(),
        "RBAC: allowed by RoleBinding \"two/a\" of Role \"reader\" to ServiceAccount \"robot/a\""
    );
    bind(&mut cluster, "a", "two", "Role/reader", account("b".into()));
    assert!(!may(&cluster, &robot, "get", "configmaps d", "a"));
    put(&mut cluster, BINDINGS, "a", "two", Value::Null);
    assert!(cluster.rbac().users.is_empty(), "nothing is left behind");
}

#[test]
fn paths_are_open_as_kubernetes_opens_them() {
    let cluster = cluster();
    let (jane, nobody) = (User::new("jane", &[]), User::anonymous());
    for (path, known, unknown) in [
        ("/livez", true, true),
        ("/version/", true, true),
        ("/livez/ping", false, false),
        ("/api", true, false),
        ("/apis/apps/v1", true, false),
        ("/openapi/v3", true, false),
        ("/metrics", false, false),
        ("/", false, false),
        ("/openid/v1/jwks", false, false),
    ] {
        assert_eq!(authorize_path(&cluster, &jane, "get", path).is_ok(), known, "{path}");
        assert_eq!(authorize_path(&cluster, &nobody, "get", path).is_ok(), unknown, "{path}");
    }
    assert!(authorize_path(&cluster, &jane, "post", "/api").is_err());
    assert!(authorize_path(&cluster, &User::new("root", &[MASTERS]), "post", "/anything").is_ok());
    let robot = User::new("r", &["system:serviceaccounts"]);
    assert!(authorize_path(&cluster, &robot, "get", "/openid/v1/jwks").is_ok());
    assert_eq!(
        authorize_path(&cluster, &nobody, "get", "/apis").unwrap_err().to_string(),
        "forbidden: User \"system:anonymous\" cannot get path \"/apis\""
    );
    assert_eq!((AUTHENTICATED, UNAUTHENTICATED), (jane.groups[0].as_str(), nobody.groups[0].as_str()));
}

#[test]
fn nobody_grants_what_he_does_not_hold() {
    let mut cluster = cluster();
    let jane = User::new("jane", &["dev"]);
    bind(&mut cluster, "a", "jane", "ClusterRole/admin", user("jane"));
    let kind = |resource: &str| kinds::of_resource(resource).unwrap();
    let role = |verbs: &[&str], resources: &[&str]| {
        json!({"metadata": {"name": "r", "namespace": "a"},
            "rules": [{"apiGroups": [""], "resources": resources, "verbs": verbs}]})
    };
    let admit = |cluster: &Snapshot, resource: &str, new: &Value, old: Option<&Value>| {
        admit_write(cluster, &jane, kind(resource), new, old).map_err(|error| error.to_string())
    };
    assert_eq!(admit(&cluster, ROLES, &role(&["get", "list"], &["pods", "secrets"]), None), Ok(()));
    let wide = role(&["get", "create"], &["nodes", "pods"]);
    assert_eq!(
        admit(&cluster, ROLES, &wide, None).unwrap_err(),
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"dev\" \"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], \
         Verbs:[\"get\" \"create\"]}"
    );
    let mut released = wide.clone();
    released["metadata"]["finalizers"] = json!([]);
    assert_eq!(admit(&cluster, ROLES, &released, Some(&wide)), Ok(()), "the garbage collector may go on");

    let binding = |role: &str| {
        let (kind, name) = role.split_once('/').unwrap();
        json!({"metadata": {"name": "b", "namespace": "a"}, "roleRef": {"kind": kind, "name": name}})
    };
    assert_eq!(admit(&cluster, BINDINGS, &binding("ClusterRole/view"), None), Ok(()));
    let refused = admit(&cluster, BINDINGS, &binding("ClusterRole/cluster-admin"), None).unwrap_err();
    assert!(refused.contains("{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"), "{refused}");
    let absent = admit(&cluster, BINDINGS, &binding("Role/absent"), None).unwrap_err();
    assert_eq!(absent, "roles.rbac.authorization.k8s.io \"absent\" not found");

    let powers = json!({"rules": [{"apiGroups": [RBAC_GROUP], "resources": ["roles", "clusterroles"],
        "verbs": ["bind", "escalate"]}]});
    put(&mut cluster, ROLES, "a", "powers", powers);
    bind(&mut cluster, "a", "powers", "Role/powers", user("jane"));
    assert_eq!(admit(&cluster, ROLES, &wide, None), Ok(()));
    assert_eq!(admit(&cluster, BINDINGS, &binding("ClusterRole/cluster-admin"), None), Ok(()));
    let root = User::new("root", &[MASTERS]);
    assert!(admit_write(&cluster, &root, kind(ROLES), &wide, None).is_ok());
}

#[test]
fn only_who_holds_everything_gathers() {
    let mut cluster = cluster();
    let kind = kinds::of_resource(CLUSTER_ROLES).unwrap();
    let role = json!({"metadata": {"name": "sum"}, "aggregationRule": {"clusterRoleSelectors": []}});
    let jane = User::new("jane", &[]);
    let refused = admit_write(&cluster, &jane, kind, &role, None).unwrap_err().to_string();
    assert!(refused.ends_with("must have cluster-admin privileges to use the aggregationRule"), "{refused}");
    bind(&mut cluster, "", "jane", "ClusterRole/cluster-admin", user("jane"));
    assert!(admit_write(&cluster, &jane, kind, &role, None).is_ok());
}

#[test]
fn default_roles_are_completed_and_never_cut() {
    let wanted = defaults::objects();
    let find = |name: &str, kind: &str| {
        wanted.iter().find(|o| o["metadata"]["name"] == name && o["kind"] == kind).unwrap().clone()
    };
    let discovery = find("system:discovery", "ClusterRole");
    assert_eq!(defaults::reconciled(&discovery, &discovery), None);
    let mut own = discovery.clone();
    own["rules"] = json!([{"verbs": ["get"], "nonResourceURLs": ["/mine"]}]);
    own["metadata"]["labels"] = json!({"own": "x"});
    let changed = |existing: &Value, wanted: &Value| match defaults::reconciled(existing, wanted) {
        Some(Mend::Change(next)) => *next,
        other => panic!("{other:?}"),
    };
    let next = changed(&own, &discovery);
    assert_eq!(
        (next["rules"].as_array().unwrap().len(), &next["metadata"]["labels"]["own"]),
        (2, &json!("x"))
    );
    assert_eq!(next["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
    own["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false".into();
    assert_eq!(defaults::reconciled(&own, &discovery), None);
    let binding = find("system:discovery", "ClusterRoleBinding");
    let mut emptied = binding.clone();
    emptied["subjects"] = json!([]);
    assert_eq!(changed(&emptied, &binding)["subjects"], binding["subjects"]);
    let mut altered = binding.clone();
    altered["roleRef"]["name"] = "cluster-admin".into();
    assert_eq!(defaults::reconciled(&altered, &binding), Some(Mend::Replace));
    altered["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false".into();
    assert_eq!(defaults::reconciled(&altered, &binding), None);
    let mut summed = find("edit", "ClusterRole");
    assert!(summed["rules"].as_array().unwrap().len() > 15, "the parts are in it from the start");
    let edit = summed.clone();
    summed["rules"] = json!([]);
    assert_eq!(defaults::reconciled(&summed, &edit), None, "the controller sees to the sums");
}
