//! The table: one row per kind that the server serves. Routes, discovery, schema names, storage keys, printing and the
//! generic conformance test are all derived from it.

use crate::kind::{Cell, Column, Kind, Scope, Subresource};
use std::borrow::Cow;
use std::sync::LazyLock;

type Text = Cow<'static, str>;

const fn t(text: &'static str) -> Text {
    Cow::Borrowed(text)
}

const fn col(name: &'static str, cell: Cell) -> Column {
    Column { name: t(name), type_: t("string"), priority: 0, cell }
}

const fn number(name: &'static str, path: &'static str) -> Column {
    Column { name: t(name), type_: t("integer"), priority: 0, cell: Cell::Path(t(path)) }
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { name: t(name), type_: t("string"), priority: 1, cell }
}

const fn path(text: &'static str) -> Cell {
    Cell::Path(t(text))
}

const NAME: Column = col("Name", Cell::Name);
const AGE: Column = col("Age", Cell::Age);

/// What most rows share: a namespaced kind in `v1` that somebody acts on, printed by name and age.
fn row(group: &'static str, kind: &'static str, plural: &'static str, singular: &'static str) -> Kind {
    Kind {
        group: t(group),
        version: t("v1"),
        kind: t(kind),
        plural: t(plural),
        singular: t(singular),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        subresources: vec![],
        fields: Vec::new(),
        columns: vec![NAME, AGE],
        acted_on: true,
    }
}

macro_rules! texts { ($($text:literal),*) => { vec![$(t($text)),*] } }

/// Every kind.
pub static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    vec![
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("ns"),
            subresources: vec![Subresource::Status],
            fields: texts!("status.phase"),
            columns: vec![NAME, col("Status", path("status.phase")), AGE],
            ..row("", "Namespace", "namespaces", "namespace")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("no"),
            subresources: vec![Subresource::Status],
            fields: texts!("spec.unschedulable", "spec.podCIDR"),
            columns: vec![
                NAME,
                col("Status", Cell::Computed("node.status")),
                col("Roles", Cell::Computed("node.roles")),
                AGE,
                col("Version", path("status.nodeInfo.kubeletVersion")),
                wide("Internal-IP", Cell::Computed("node.internal-ip")),
                wide("External-IP", Cell::Computed("node.external-ip")),
                wide("OS-Image", path("status.nodeInfo.osImage")),
                wide("Kernel-Version", path("status.nodeInfo.kernelVersion")),
                wide("Container-Runtime", path("status.nodeInfo.containerRuntimeVersion")),
            ],
            ..row("", "Node", "nodes", "node")
        },
        Kind {
            short_names: texts!("po"),
            categories: texts!("all"),
            subresources: vec![
                Subresource::Status,
                Subresource::Binding,
                Subresource::Eviction,
                Subresource::Log,
            ],
            fields: texts!(
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName"
            ),
            columns: vec![
                NAME,
                col("Ready", Cell::Computed("pod.ready")),
                col("Status", Cell::Computed("pod.status")),
                col("Restarts", Cell::Computed("pod.restarts")),
                AGE,
                wide("IP", Cell::Computed("pod.ip")),
                wide("Node", Cell::Computed("pod.node")),
                wide("Nominated Node", Cell::Computed("pod.nominated-node")),
                wide("Readiness Gates", Cell::Computed("pod.readiness-gates")),
            ],
            ..row("", "Pod", "pods", "pod")
        },
        Kind {
            short_names: texts!("svc"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status],
            fields: texts!("spec.clusterIP", "spec.type"),
            columns: vec![
                NAME,
                col("Type", path("spec.type")),
                col("Cluster-IP", Cell::Computed("service.cluster-ip")),
                col("External-IP", Cell::Computed("service.external-ip")),
                col("Port(s)", Cell::Computed("service.ports")),
                AGE,
                wide("Selector", Cell::Computed("service.selector")),
            ],
            ..row("", "Service", "services", "service")
        },
        Kind {
            short_names: texts!("ep"),
            columns: vec![NAME, col("Endpoints", Cell::Computed("endpoints.addresses")), AGE],
            ..row("", "Endpoints", "endpoints", "endpoints")
        },
        Kind {
            short_names: texts!("cm"),
            columns: vec![NAME, col("Data", Cell::Computed("configmap.data")), AGE],
            ..row("", "ConfigMap", "configmaps", "configmap")
        },
        Kind {
            fields: texts!("type"),
            columns: vec![NAME, col("Type", path("type")), col("Data", Cell::Computed("secret.data")), AGE],
            ..row("", "Secret", "secrets", "secret")
        },
        Kind {
            short_names: texts!("ev"),
            fields: texts!(
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type"
            ),
            columns: vec![
                col("Last Seen", Cell::Computed("event.last-seen")),
                col("Type", path("type")),
                col("Reason", path("reason")),
                col("Object", Cell::Computed("event.object")),
                wide("Subobject", path("involvedObject.fieldPath")),
                wide("Source", Cell::Computed("event.source")),
                col("Message", path("message")),
                wide("First Seen", Cell::Computed("event.first-seen")),
                wide("Count", Cell::Computed("event.count")),
                wide("Name", Cell::Name),
            ],
            ..row("", "Event", "events", "event")
        },
        Kind {
            short_names: texts!("sa"),
            columns: vec![NAME, col("Secrets", Cell::Computed("serviceaccount.secrets")), AGE],
            ..row("", "ServiceAccount", "serviceaccounts", "serviceaccount")
        },
        Kind {
            short_names: texts!("rs"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            fields: texts!("status.replicas"),
            columns: vec![
                NAME,
                number("Desired", "spec.replicas"),
                number("Current", "status.replicas"),
                number("Ready", "status.readyReplicas"),
                AGE,
                wide("Containers", Cell::Computed("template.containers")),
                wide("Images", Cell::Computed("template.images")),
                wide("Selector", Cell::Computed("spec.selector")),
            ],
            ..row("apps", "ReplicaSet", "replicasets", "replicaset")
        },
        Kind {
            short_names: texts!("deploy"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            columns: vec![
                NAME,
                col("Ready", Cell::Computed("deployment.ready")),
                number("Up-to-date", "status.updatedReplicas"),
                number("Available", "status.availableReplicas"),
                AGE,
                wide("Containers", Cell::Computed("template.containers")),
                wide("Images", Cell::Computed("template.images")),
                wide("Selector", Cell::Computed("spec.selector")),
            ],
            ..row("apps", "Deployment", "deployments", "deployment")
        },
        Kind {
            columns: vec![
                NAME,
                col("AddressType", path("addressType")),
                col("Ports", Cell::Computed("endpointslice.ports")),
                col("Endpoints", Cell::Computed("endpointslice.endpoints")),
                AGE,
            ],
            ..row("discovery.k8s.io", "EndpointSlice", "endpointslices", "endpointslice")
        },
        Kind {
            columns: vec![NAME, col("Holder", path("spec.holderIdentity")), AGE],
            ..row("coordination.k8s.io", "Lease", "leases", "lease")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("csr"),
            subresources: vec![Subresource::Status, Subresource::Approval],
            fields: texts!("spec.signerName"),
            columns: vec![
                NAME,
                AGE,
                col("SignerName", path("spec.signerName")),
                col("Requestor", path("spec.username")),
                col("RequestedDuration", Cell::Computed("csr.duration")),
                col("Condition", Cell::Computed("csr.condition")),
            ],
            ..row(
                "certificates.k8s.io",
                "CertificateSigningRequest",
                "certificatesigningrequests",
                "certificatesigningrequest",
            )
        },
    ]
});

/// The row of a resource, by group and plural name.
pub fn lookup(group: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.group == group && kind.plural == plural)
}

/// The row of a storage key's resource: `pods`, `deployments.apps`.
pub fn of_resource(resource: &str) -> Option<&'static Kind> {
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    lookup(group, plural)
}

/// The row of a kind, by `apiVersion` and `kind`.
pub fn of_object(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    KINDS.iter().find(|row| row.group == group && row.version == version && row.kind == kind)
}

/// Resources and namespaces that are kept in memory only: heartbeats would wear out flash.
const VOLATILE: &[(&str, &str)] = &[("leases.coordination.k8s.io", "kube-node-lease")];

/// Whether objects of `resource` in `namespace` are kept in memory only.
pub fn is_volatile(resource: &str, namespace: &str) -> bool {
    VOLATILE.contains(&(resource, namespace))
}

/// Whether any object of `resource` (empty: of any) in `namespace` (none: in any) is kept in memory only.
pub fn includes_volatile(resource: &str, namespace: Option<&str>) -> bool {
    let named = |(r, n): &(&str, &str)| {
        (resource.is_empty() || *r == resource) && namespace.is_none_or(|namespace| *n == namespace)
    };
    VOLATILE.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for kind in KINDS.iter() {
            assert_eq!(lookup(&kind.group, &kind.plural), Some(kind));
            assert_eq!(of_resource(&kind.resource()), Some(kind));
            assert_eq!(of_object(&kind.api_version(), &kind.kind), Some(kind));
        }
    }
}
