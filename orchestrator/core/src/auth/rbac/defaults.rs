//! The roles and bindings that every cluster has, and how they are kept: what is missing is added at each start, what users
//! add stays. Rule: Kubernetes, "Using RBAC Authorization", default roles and auto-reconciliation.

use super::Rule;
use crate::auth::{AUTHENTICATED, MASTERS, NODES, UNAUTHENTICATED};
use crate::certificate::API_CLIENT;
use crate::validation::items;
use peapod_api::well_known::{KUBELET_CLIENT, RBAC_GROUP};
use serde_json::{Map, Value, json};

/// Objects with another value than `true` here are left as they are.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";
const ALL: &str = "create delete deletecollection get list patch update watch";
/// In the place of an API group: the resources are paths.
const PATHS: &str = "/";

/// Group, resources and verbs of a rule, each list in one word after the other.
type Line = (&'static str, &'static str, &'static str);

/// A role of the whole cluster.
struct ClusterRole {
    name: &'static str,
    /// The aggregated role whose part this is; empty for none.
    part_of: &'static str,
    /// Whether its rules are those of its parts.
    aggregated: bool,
    rules: &'static [Line],
}

const fn role(name: &'static str, rules: &'static [Line]) -> ClusterRole {
    ClusterRole { name, part_of: "", aggregated: false, rules }
}

const fn part(name: &'static str, part_of: &'static str, rules: &'static [Line]) -> ClusterRole {
    ClusterRole { name, part_of, aggregated: false, rules }
}

const fn aggregated(name: &'static str, part_of: &'static str) -> ClusterRole {
    ClusterRole { name, part_of, aggregated: true, rules: &[] }
}

const ROLES: &[ClusterRole] = &[
    role("cluster-admin", &[("*", "*", "*"), (PATHS, "*", "*")]),
    aggregated("admin", ""),
    aggregated("edit", "admin"),
    aggregated("view", "edit"),
    part(
        "system:aggregate-to-admin",
        "admin",
        &[
            ("authorization.k8s.io", "localsubjectaccessreviews", "create"),
            (RBAC_GROUP, "roles rolebindings", ALL),
        ],
    ),
    part(
        "system:aggregate-to-edit",
        "edit",
        &[
            ("", "pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy", READ),
            ("", "serviceaccounts", "impersonate"),
            ("", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
            ("", "pods/eviction", "create"),
            (
                "",
                "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets \
             serviceaccounts services services/proxy",
                WRITE,
            ),
            ("", "serviceaccounts/token", "create"),
            (
                "apps",
                "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets \
             statefulsets/scale",
                WRITE,
            ),
            ("autoscaling", "horizontalpodautoscalers", WRITE),
            ("batch", "cronjobs jobs", WRITE),
            ("policy", "poddisruptionbudgets", WRITE),
            ("networking.k8s.io", "ingresses networkpolicies", WRITE),
            ("coordination.k8s.io", "leases", ALL),
        ],
    ),
    part(
        "system:aggregate-to-view",
        "view",
        &[
            (
                "",
                "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers \
             replicationcontrollers/scale serviceaccounts services services/status",
                READ,
            ),
            (
                "",
                "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status \
             resourcequotas resourcequotas/status",
                READ,
            ),
            ("", "namespaces", READ),
            ("discovery.k8s.io", "endpointslices", READ),
            (
                "apps",
                "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status \
             replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
                READ,
            ),
            ("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
            ("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
            ("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
            ("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
        ],
    ),
    role(
        "system:basic-user",
        &[
            ("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
            ("authentication.k8s.io", "selfsubjectreviews", "create"),
        ],
    ),
    role(
        "system:discovery",
        &[(
            PATHS,
            "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
            "get",
        )],
    ),
    role("system:public-info-viewer", &[(PATHS, "/healthz /livez /readyz /version /version/", "get")]),
    role(
        "system:service-account-issuer-discovery",
        &[(
            PATHS,
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
            "get",
        )],
    ),
    role(
        "system:monitoring",
        &[(PATHS, "/healthz /healthz/* /livez /livez/* /metrics /readyz /readyz/*", "get")],
    ),
    role("system:image-puller", &[(PATHS, "/v2 /v2/*", "get head")]),
    role("system:image-pusher", &[(PATHS, "/v2 /v2/*", "delete get head patch post put")]),
    role(
        "system:auth-delegator",
        &[
            ("authentication.k8s.io", "tokenreviews", "create"),
            ("authorization.k8s.io", "subjectaccessreviews", "create"),
        ],
    ),
];

/// Approving what a signer is asked for.
const APPROVERS: [(&str, &str); 2] = [
    ("system:certificates.k8s.io:kube-apiserver-client-approver", API_CLIENT),
    ("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", KUBELET_CLIENT),
];

/// Role and group of each binding.
const BINDINGS: [(&str, &[&str]); 7] = [
    ("cluster-admin", &[MASTERS]),
    ("system:basic-user", &[AUTHENTICATED]),
    ("system:discovery", &[AUTHENTICATED]),
    ("system:public-info-viewer", &[AUTHENTICATED, UNAUTHENTICATED]),
    ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
    ("system:monitoring", &["system:monitoring"]),
    ("system:image-puller", &[NODES]),
];

/// All of them, complete with apiVersion and kind.
pub fn objects() -> Vec<Value> {
    let approvers = APPROVERS.iter().map(|(name, signer)| {
        let rule = json!({"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": [signer],
            "verbs": ["approve"]});
        object("ClusterRole", name, json!({"rules": [rule]}))
    });
    let bindings = BINDINGS.iter().map(|(role, groups)| {
        let subject = |group: &&str| json!({"kind": "Group", "apiGroup": RBAC_GROUP, "name": group});
        let subjects: Vec<Value> = groups.iter().map(subject).collect();
        let reference = json!({"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role});
        object("ClusterRoleBinding", role, json!({"roleRef": reference, "subjects": subjects}))
    });
    ROLES.iter().map(cluster_role).chain(approvers).chain(bindings).collect()
}

fn object(kind: &str, name: &str, mut rest: Value) -> Value {
    rest["apiVersion"] = format!("{RBAC_GROUP}/v1").into();
    rest["kind"] = kind.into();
    rest["metadata"] = json!({"name": name, "annotations": {AUTOUPDATE: "true"},
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}});
    rest
}

fn label(aggregate: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{aggregate}")
}

fn cluster_role(role: &ClusterRole) -> Value {
    let rules: Vec<Value> = if role.aggregated { gathered(role.name) } else { lines(role.rules) };
    let mut made = object("ClusterRole", role.name, json!({ "rules": rules }));
    if role.aggregated {
        made["aggregationRule"] =
            json!({"clusterRoleSelectors": [{"matchLabels": {label(role.name): "true"}}]});
    }
    if !role.part_of.is_empty() {
        made["metadata"]["labels"][label(role.part_of)] = "true".into();
    }
    made
}

/// The rules of all parts: what the controller would gather, so that no start is without them.
fn gathered(name: &str) -> Vec<Value> {
    let mut parts: Vec<&ClusterRole> = ROLES.iter().filter(|role| role.part_of == name).collect();
    parts.sort_by_key(|role| role.name);
    let rules = parts
        .into_iter()
        .flat_map(|role| if role.aggregated { gathered(role.name) } else { lines(role.rules) });
    rules.collect()
}

fn lines(rules: &[Line]) -> Vec<Value> {
    let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
    let line = |(group, resources, verbs): &Line| match *group {
        PATHS => json!({"nonResourceURLs": words(resources), "verbs": words(verbs)}),
        group => json!({"apiGroups": [group], "resources": words(resources), "verbs": words(verbs)}),
    };
    rules.iter().map(line).collect()
}

/// What has to happen to an object that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Mend {
    /// It becomes this.
    Change(Box<Value>),
    /// It makes room for the one that is wanted.
    Replace,
}

/// What makes `existing` hold at least what `wanted` does; none if it does already, or if its users have said that it is
/// theirs. A binding to another role is replaced, as its role cannot be changed.
pub fn reconciled(existing: &Value, wanted: &Value) -> Option<Mend> {
    let mut next = existing.clone();
    let is_theirs =
        existing["metadata"]["annotations"][AUTOUPDATE].as_str().is_some_and(|auto| auto != "true");
    if is_theirs {
        return None;
    }
    if existing["roleRef"] != wanted["roleRef"] {
        return Some(Mend::Replace);
    }
    for field in ["labels", "annotations"] {
        let mut map = wanted["metadata"][field].as_object().cloned().unwrap_or_default();
        map.extend(existing["metadata"][field].as_object().cloned().unwrap_or_default());
        next["metadata"][field] = Value::Object(Map::from_iter(map));
    }
    if wanted["aggregationRule"].is_null() {
        extend(&mut next, wanted, "subjects", |own, one| own.contains(one));
        extend(&mut next, wanted, "rules", |own, one| {
            let own = Rule::read_all(&Value::Array(own.to_vec()));
            let one = Rule::read_all(&Value::Array(vec![one.clone()]));
            one.iter().flat_map(Rule::single).all(|single| own.iter().any(|rule| rule.covers(&single)))
        });
    } else if existing["aggregationRule"].is_null() {
        next["aggregationRule"] = wanted["aggregationRule"].clone();
    }
    (next != *existing).then(|| Mend::Change(Box::new(next)))
}

/// Adds the items of a list that are not there yet.
fn extend(next: &mut Value, wanted: &Value, field: &str, holds: fn(&[Value], &Value) -> bool) {
    let mut list: Vec<Value> = items(&next[field]).cloned().collect();
    let missing: Vec<Value> = items(&wanted[field]).filter(|one| !holds(&list, one)).cloned().collect();
    if !missing.is_empty() {
        list.extend(missing);
        next[field] = list.into();
    }
}
