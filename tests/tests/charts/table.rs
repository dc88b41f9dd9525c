//! The charts, with what is to be seen of each.

use crate::{Life, Whole};

const REQUIRED_AFFINITY: &str = "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution";
const REQUIRED_ANTI_AFFINITY: &str =
    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution";

const NO_CONTROLLER: &str = "are stored, but nothing acts on them yet";

pub(crate) const CILIUM: Whole = Whole {
    chart: "cilium",
    values: true,
    objects: 84,
    refused: &[
        ("CronJob.batch \"hubble-generate-certs\"", &["hostNetwork"]),
        (
            "DaemonSet.apps \"cilium\"",
            &[
                REQUIRED_ANTI_AFFINITY,
                "containers.lifecycle",
                "containers.livenessProbe.httpGet.host",
                "containers.readinessProbe.httpGet.host",
                "containers.startupProbe.httpGet.host",
                "containers.volumeMounts.mountPropagation",
                "hostNetwork",
                "initContainers.securityContext.privileged",
                "initContainers.volumeMounts.mountPropagation",
                "volumes.hostPath",
            ],
        ),
        (
            "DaemonSet.apps \"cilium-envoy\"",
            &[
                REQUIRED_AFFINITY,
                REQUIRED_ANTI_AFFINITY,
                "containers.livenessProbe.httpGet.host",
                "containers.readinessProbe.httpGet.host",
                "containers.startupProbe.httpGet.host",
                "containers.volumeMounts.mountPropagation",
                "hostNetwork",
                "volumes.hostPath",
            ],
        ),
        ("DaemonSet.apps \"cilium-node-init\"", &["hostNetwork", "hostPID"]),
        ("DaemonSet.apps \"spire-agent\"", &["hostNetwork", "hostPID", "volumes.hostPath"]),
        (
            "Deployment.apps \"cilium-operator\"",
            &[
                REQUIRED_ANTI_AFFINITY,
                "containers.livenessProbe.httpGet.host",
                "containers.readinessProbe.httpGet.host",
                "hostNetwork",
                "volumes.hostPath",
            ],
        ),
        ("Deployment.apps \"clustermesh-apiserver\"", &[REQUIRED_ANTI_AFFINITY]),
        (
            "Deployment.apps \"hubble-relay\"",
            &[
                REQUIRED_AFFINITY,
                "containers.livenessProbe.grpc",
                "containers.readinessProbe.grpc",
                "containers.startupProbe.grpc",
            ],
        ),
        ("StatefulSet.apps \"spire-server\"", &["volumes.hostPath"]),
    ],
    said: &[
        ("ingressclasses.networking.k8s.io ", NO_CONTROLLER),
        ("ingresses.networking.k8s.io ", NO_CONTROLLER),
        ("spec.type: ", "no load balancer is made: the Service is reached on its node ports"),
        ("v1 Endpoints ", "is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    ],
};

pub(crate) const CLUSTER_AUTOSCALER: Whole = Whole {
    chart: "cluster-autoscaler",
    values: true,
    objects: 10,
    refused: &[],
    said: &[
        (
            "spec.template.spec.priorityClassName: ",
            "has no effect: no pod is scheduled before another or evicted in its favour",
        ),
        (
            "spec.template.spec.topologySpreadConstraints[0].labelSelector: ",
            "a null labelSelector results in matching no pod",
        ),
        (
            "spec.template.spec.topologySpreadConstraints[0].{maxSkew,topologyKey}: ",
            "has no effect: pods of one workload are spread over nodes by default",
        ),
    ],
};

pub(crate) const CINDER: Whole = Whole {
    chart: "openstack-cinder-csi",
    values: false,
    objects: 17,
    refused: &[
        (
            "DaemonSet.apps \"openstack-cinder-csi-nodeplugin\"",
            &[
                "containers.securityContext.privileged",
                "containers.volumeMounts.mountPropagation",
                "hostNetwork",
                "volumes.hostPath",
            ],
        ),
        ("Deployment.apps \"openstack-cinder-csi-controllerplugin\"", &["volumes.hostPath"]),
    ],
    said: &[("csidrivers.storage.k8s.io ", NO_CONTROLLER), ("storageclasses.storage.k8s.io ", NO_CONTROLLER)],
};

pub(crate) const MANILA: Whole = Whole {
    chart: "openstack-manila-csi",
    values: false,
    objects: 14,
    refused: &[
        (
            "DaemonSet.apps \"openstack-manila-csi-nodeplugin\"",
            &["containers.securityContext.privileged", "hostNetwork", "volumes.hostPath"],
        ),
        (
            "StatefulSet.apps \"openstack-manila-csi-controllerplugin\"",
            &[
                "containers.securityContext.privileged",
                "containers.volumeMounts.mountPropagation",
                "volumes.hostPath",
            ],
        ),
    ],
    said: &[("csidrivers.storage.k8s.io ", NO_CONTROLLER)],
};

pub(crate) const CILIUM_RUNS: Life = Life {
    chart: "cilium",
    objects: [
        &[
            "clusterrole.rbac.authorization.k8s.io/hubble-ui",
            "clusterrolebinding.rbac.authorization.k8s.io/hubble-ui",
            "configmap/hubble-ui-nginx",
            "deployment.apps/hubble-ui",
            "endpoints/cilium-ingress",
            "ingress.networking.k8s.io/hubble-ui",
            "ingressclass.networking.k8s.io/cilium",
            "namespace/cilium-secrets",
            "poddisruptionbudget.policy/hubble-ui",
            "secret/cilium-ca",
            "service/cilium-ingress",
            "service/hubble-ui",
            "serviceaccount/hubble-ui",
        ],
        &[
            "clusterrole.rbac.authorization.k8s.io/hubble-ui",
            "clusterrolebinding.rbac.authorization.k8s.io/hubble-ui",
            "configmap/cilium-dashboard",
            "configmap/hubble-ui-nginx",
            "deployment.apps/hubble-ui",
            "poddisruptionbudget.policy/hubble-ui",
            "secret/cilium-ca",
            "service/hubble-ui",
            "serviceaccount/hubble-ui",
        ],
    ],
    shows: &[
        ("deployment hubble-ui", "{.status.readyReplicas}", ["2", "3"]),
        ("pdb hubble-ui", "{.spec.maxUnavailable} {.status.expectedPods}", ["1 2", "2 3"]),
    ],
    service: "hubble-ui",
    bad: (
        "hubble.ui.ingress.enabled=true,hubble.ui.ingress.hosts[0]=No_Host",
        "spec.rules[0].host: Invalid value: \"No_Host\"",
    ),
};

pub(crate) const CLUSTER_AUTOSCALER_RUNS: Life = Life {
    chart: "cluster-autoscaler",
    objects: [
        &[
            "clusterrole.rbac.authorization.k8s.io/autoscaler",
            "clusterrolebinding.rbac.authorization.k8s.io/autoscaler",
            "deployment.apps/autoscaler",
            "poddisruptionbudget.policy/autoscaler",
            "role.rbac.authorization.k8s.io/autoscaler",
            "rolebinding.rbac.authorization.k8s.io/autoscaler",
            "secret/autoscaler",
            "service/autoscaler",
            "serviceaccount/autoscaler",
        ],
        &[
            "clusterrole.rbac.authorization.k8s.io/autoscaler",
            "clusterrolebinding.rbac.authorization.k8s.io/autoscaler",
            "configmap/cluster-autoscaler-priority-expander",
            "deployment.apps/autoscaler",
            "role.rbac.authorization.k8s.io/autoscaler",
            "rolebinding.rbac.authorization.k8s.io/autoscaler",
            "secret/autoscaler",
            "service/autoscaler",
            "serviceaccount/autoscaler",
        ],
    ],
    shows: &[
        (
            "deployment autoscaler",
            "{.status.readyReplicas} {.spec.strategy.rollingUpdate.maxSurge}",
            ["1 25%", "2 1"],
        ),
        ("secret autoscaler", "{.data.AwsSecretAccessKey}", ["a2V5", "b3RoZXI="]),
    ],
    service: "autoscaler",
    bad: ("service.servicePort=70000", "spec.ports[0].port: Invalid value: 70000"),
};
