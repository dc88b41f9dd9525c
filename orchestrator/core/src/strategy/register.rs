//! Which kind has which strategy.

use super::{ALL_METADATA, PLAIN, Strategy, policy};
use super::{
    autoscaler, budget, certificate, class, cronjob, daemonset, data, definition, deployment, endpoints,
    event, ingress, job, lease, namespace, network_policy, node, pod, quota, rbac, registration, replicaset,
    service, statefulset, storage, volume, webhook, workload,
};
use peapod_api::Kind;

/// The strategy of a kind.
pub fn of(kind: &Kind) -> &'static Strategy {
    static OTHERS: Strategy = PLAIN;
    static CUSTOM: Strategy = Strategy { counts_generations: true, status_keeps: ALL_METADATA, ..PLAIN };
    match (&*kind.group, &*kind.plural) {
        ("", "namespaces") => &namespace::STRATEGY,
        ("", "nodes") => &node::STRATEGY,
        ("", "pods") => &pod::STRATEGY,
        ("", "services") => &service::STRATEGY,
        ("", "endpoints") => &endpoints::ENDPOINTS,
        ("", "configmaps") => &data::CONFIG_MAP,
        ("", "secrets") => &data::SECRET,
        ("", "events") => &event::STRATEGY,
        ("events.k8s.io", "events") => &event::NEWER,
        ("apps", "replicasets") => &replicaset::STRATEGY,
        ("apps", "deployments") => &deployment::STRATEGY,
        ("discovery.k8s.io", "endpointslices") => &endpoints::SLICE,
        ("coordination.k8s.io", "leases") => &lease::STRATEGY,
        ("certificates.k8s.io", _) => &certificate::STRATEGY,
        ("", "persistentvolumes") => &volume::VOLUME,
        ("", "persistentvolumeclaims") => &volume::CLAIM,
        ("", "replicationcontrollers") => &replicaset::CONTROLLER,
        ("", "podtemplates") => &workload::POD_TEMPLATE,
        ("", "limitranges") => &quota::LIMIT_RANGE,
        ("", "resourcequotas") => &quota::RESOURCE_QUOTA,
        ("apps", "statefulsets") => &statefulset::STRATEGY,
        ("apps", "daemonsets") => &daemonset::STRATEGY,
        ("apps", "controllerrevisions") => &workload::REVISION,
        ("autoscaling", _) => &autoscaler::STRATEGY,
        ("batch", "jobs") => &job::STRATEGY,
        ("batch", "cronjobs") => &cronjob::STRATEGY,
        ("networking.k8s.io", "ingresses") => &ingress::STRATEGY,
        ("networking.k8s.io", "ingressclasses") => &ingress::CLASS,
        ("networking.k8s.io", "networkpolicies") => &network_policy::STRATEGY,
        ("networking.k8s.io", "ipaddresses") => &network_policy::ADDRESS,
        ("networking.k8s.io", "servicecidrs") => &network_policy::RANGE,
        ("policy", "poddisruptionbudgets") => &budget::STRATEGY,
        ("rbac.authorization.k8s.io", "roles") => &rbac::ROLE,
        ("rbac.authorization.k8s.io", "clusterroles") => &rbac::CLUSTER_ROLE,
        ("rbac.authorization.k8s.io", "rolebindings") => &rbac::ROLE_BINDING,
        ("rbac.authorization.k8s.io", "clusterrolebindings") => &rbac::CLUSTER_ROLE_BINDING,
        ("scheduling.k8s.io", "priorityclasses") => &class::PRIORITY,
        ("node.k8s.io", "runtimeclasses") => &class::RUNTIME,
        ("storage.k8s.io", "storageclasses") => &storage::CLASS,
        ("storage.k8s.io", "volumeattributesclasses") => &storage::ATTRIBUTES_CLASS,
        ("storage.k8s.io", "volumeattachments") => &storage::ATTACHMENT,
        ("storage.k8s.io", "csinodes") => &storage::NODE,
        ("storage.k8s.io", "csidrivers") => &registration::COUNTED,
        (
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations" | "mutatingwebhookconfigurations",
        ) => &webhook::STRATEGY,
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => &policy::MUTATING,
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings") => &policy::MUTATING_BINDING,
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => &policy::POLICY,
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings") => &policy::BINDING,
        ("flowcontrol.apiserver.k8s.io", _) => &registration::FLOW_CONTROL,
        ("admissionregistration.k8s.io", _) => &registration::COUNTED,
        ("apiregistration.k8s.io", _) => &registration::API_SERVICE,
        ("apiextensions.k8s.io", _) => &definition::STRATEGY,
        _ if kind.custom => &CUSTOM,
        _ => &OTHERS,
    }
}
