//! The core group.

use super::apps::replica_columns;
use super::events::event_columns;
use super::*;

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("ns"),
            subresources: vec![Subresource::Status, Subresource::Finalize],
            fields: texts!("status.phase"),
            columns: vec![NAME, col("Status", path("status.phase")), AGE],
            ..row("", "Namespace", "namespaces")
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
            ..row("", "Node", "nodes")
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
            ..row("", "Pod", "pods")
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
            ..row("", "Service", "services")
        },
        Kind {
            short_names: texts!("ep"),
            columns: vec![NAME, col("Endpoints", Cell::Computed("endpoints.addresses")), AGE],
            deprecation: t("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
            ..row("", "Endpoints", "endpoints")
        },
        Kind {
            short_names: texts!("cm"),
            columns: vec![NAME, col("Data", Cell::Computed("configmap.data")), AGE],
            ..row("", "ConfigMap", "configmaps")
        },
        Kind {
            fields: texts!("type"),
            columns: vec![NAME, col("Type", path("type")), col("Data", Cell::Computed("secret.data")), AGE],
            ..row("", "Secret", "secrets")
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
                "type",
                "source"
            ),
            columns: event_columns(),
            ..row("", "Event", "events")
        },
        Kind {
            short_names: texts!("sa"),
            subresources: vec![Subresource::Token],
            columns: vec![NAME, col("Secrets", Cell::Computed("serviceaccount.secrets")), AGE],
            ..row("", "ServiceAccount", "serviceaccounts")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("pv"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Capacity", path("spec.capacity.storage")),
                col("Access Modes", Cell::Computed("volume.spec-modes")),
                col("Reclaim Policy", path("spec.persistentVolumeReclaimPolicy")),
                col("Status", Cell::Computed("volume.phase")),
                col("Claim", Cell::Computed("volume.claim")),
                col("StorageClass", Cell::Computed("volume.class")),
                col("VolumeAttributesClass", Cell::Computed("volume.attributes-class")),
                col("Reason", path("status.reason")),
                AGE,
                wide("VolumeMode", Cell::Computed("volume.mode")),
            ],
            acted_on: false,
            ..row("", "PersistentVolume", "persistentvolumes")
        },
        Kind {
            short_names: texts!("pvc"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Status", Cell::Computed("volume.phase")),
                col("Volume", path("spec.volumeName")),
                col("Capacity", Cell::Computed("claim.capacity")),
                col("Access Modes", Cell::Computed("claim.modes")),
                col("StorageClass", Cell::Computed("volume.class")),
                col("VolumeAttributesClass", Cell::Computed("volume.attributes-class")),
                AGE,
                wide("VolumeMode", Cell::Computed("volume.mode")),
            ],
            acted_on: false,
            ..row("", "PersistentVolumeClaim", "persistentvolumeclaims")
        },
        Kind {
            short_names: texts!("rc"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            fields: texts!("status.replicas"),
            columns: replica_columns(wide("Selector", Cell::Computed("spec.selector-map"))),
            acted_on: false,
            ..row("", "ReplicationController", "replicationcontrollers")
        },
        Kind {
            columns: vec![
                NAME,
                col("Containers", Cell::Computed("podtemplate.containers")),
                col("Images", Cell::Computed("podtemplate.images")),
                col("Pod Labels", Cell::Computed("podtemplate.labels")),
            ],
            ..row("", "PodTemplate", "podtemplates")
        },
        Kind {
            short_names: texts!("limits"),
            columns: vec![NAME, col("Created At", path("metadata.creationTimestamp"))],
            ..row("", "LimitRange", "limitranges")
        },
        Kind {
            short_names: texts!("quota"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Request", Cell::Computed("quota.requests")),
                col("Limit", Cell::Computed("quota.limits")),
                AGE,
            ],
            ..row("", "ResourceQuota", "resourcequotas")
        },
        Kind { nature: Nature::Asked, ..row("", "Binding", "bindings") },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("cs"),
            columns: vec![
                NAME,
                col("Status", Cell::Computed("component.status")),
                col("Message", Cell::Computed("component.message")),
                col("Error", Cell::Computed("component.error")),
            ],
            deprecation: t("v1 ComponentStatus is deprecated in v1.19+"),
            nature: Nature::Told,
            ..row("", "ComponentStatus", "componentstatuses")
        },
    ]
}
