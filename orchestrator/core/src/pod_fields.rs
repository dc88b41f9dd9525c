//! THE Pod field table: what becomes of every field that a pod spec can have.
//!
//! A row belongs to a field of a schema type, so one row serves containers and init containers alike. What stands below a
//! warned or refused field is not looked at. A test walks the schema and fails on a field without a row.

use crate::schema::{self, Type};
use crate::validation::{Errors, child};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What happens to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does what Kubernetes says it does.
    Honoured,
    /// It is stored and has no effect; the text says why.
    Warned(&'static str),
    /// A pod with it is not created; the text says why, or what to do instead.
    Refused(&'static str),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The short name of the schema type, e.g. `Container`.
    pub type_: &'static str,
    /// The field's JSON name.
    pub field: &'static str,
    /// What happens to it.
    pub verdict: Verdict,
    /// JSON texts of values for which nothing needs to be said: the default, or what a module has anyway.
    pub neutral: &'static [&'static str],
}

const fn row(type_: &'static str, field: &'static str, verdict: Verdict) -> Row {
    Row { type_, field, verdict, neutral: &[] }
}

const fn but(
    type_: &'static str,
    field: &'static str,
    verdict: Verdict,
    neutral: &'static [&'static str],
) -> Row {
    Row { type_, field, verdict, neutral }
}

use Verdict::{Honoured, Refused, Warned};

const SANDBOX: Verdict =
    Warned("has no effect: a WASI module is confined by its sandbox and has no users or capabilities");
const NO_KERNEL: Verdict = Refused("a WASI module runs without a kernel of its own to share with the host");
const NO_DRIVER: Verdict = Refused("this volume type is not supported; use emptyDir, configMap or secret");
const NOT_PROJECTED: Verdict =
    Refused("projected volumes are not supported; use configMap and secret volumes");
const OWN_DNS: Verdict = Warned("has no effect: names are resolved by the node's own table");
const SPREAD: Verdict = Warned("has no effect: pods of one workload are spread over nodes by default");
const POD_AFFINITY: Verdict = Refused(
    "required affinity between pods is not supported; use node affinity, or preferred affinity which is accepted",
);
const PREFERRED_POD_AFFINITY: Verdict =
    Warned("has no effect: pods of one workload are spread over nodes by default");

/// The table. Types in the order in which a pod spec reaches them.
pub static ROWS: &[Row] = &[
    row("PodSpec", "volumes", Honoured),
    row("PodSpec", "initContainers", Honoured),
    row("PodSpec", "containers", Honoured),
    row(
        "PodSpec",
        "ephemeralContainers",
        Refused("ephemeral containers are not supported: there is no process to attach to"),
    ),
    row("PodSpec", "restartPolicy", Honoured),
    row("PodSpec", "terminationGracePeriodSeconds", Honoured),
    row("PodSpec", "activeDeadlineSeconds", Honoured),
    but("PodSpec", "dnsPolicy", OWN_DNS, &["\"ClusterFirst\""]),
    row("PodSpec", "nodeSelector", Honoured),
    row("PodSpec", "serviceAccountName", Honoured),
    row("PodSpec", "serviceAccount", Honoured),
    but(
        "PodSpec",
        "automountServiceAccountToken",
        Warned("has no effect: no token is mounted into pods"),
        &["false"],
    ),
    row("PodSpec", "nodeName", Honoured),
    but(
        "PodSpec",
        "hostNetwork",
        Refused("pods live in their own network; use a Service of type NodePort"),
        &["false"],
    ),
    but("PodSpec", "hostPID", NO_KERNEL, &["false"]),
    but("PodSpec", "hostIPC", NO_KERNEL, &["false"]),
    but(
        "PodSpec",
        "shareProcessNamespace",
        Warned("has no effect: modules have no processes to share"),
        &["false"],
    ),
    row("PodSpec", "securityContext", Honoured),
    row("PodSpec", "imagePullSecrets", Warned("has no effect: images are read from the node's own store")),
    row("PodSpec", "hostname", Honoured),
    row("PodSpec", "subdomain", Honoured),
    row("PodSpec", "affinity", Honoured),
    row("PodSpec", "schedulerName", Honoured),
    row("PodSpec", "tolerations", Honoured),
    row(
        "PodSpec",
        "hostAliases",
        Refused("host aliases are not supported; use a Service without a selector"),
    ),
    row("PodSpec", "priorityClassName", Honoured),
    row("PodSpec", "priority", Honoured),
    row("PodSpec", "dnsConfig", OWN_DNS),
    row("PodSpec", "readinessGates", Refused("readiness gates are not supported; use a readinessProbe")),
    row("PodSpec", "runtimeClassName", Warned("has no effect: there is one runtime, wasmtime")),
    but(
        "PodSpec",
        "enableServiceLinks",
        Warned("has no effect: Services are found by name, not by environment variables"),
        &["true", "false"],
    ),
    but(
        "PodSpec",
        "preemptionPolicy",
        Warned("has no effect: no pod is evicted in favour of another"),
        &["\"PreemptLowerPriority\"", "\"Never\""],
    ),
    row("PodSpec", "overhead", Refused("may only be set by a RuntimeClass, of which there is none")),
    row("PodSpec", "topologySpreadConstraints", Honoured),
    but("PodSpec", "setHostnameAsFQDN", Warned("has no effect: the hostname is the short name"), &["false"]),
    row("PodSpec", "os", Honoured),
    but("PodSpec", "hostUsers", SANDBOX, &["true", "false"]),
    row("PodSpec", "schedulingGates", Refused("scheduling gates are not supported")),
    row("PodSpec", "resourceClaims", Refused("dynamic resource allocation is not supported")),
    but(
        "PodSpec",
        "resources",
        Refused("resources of a whole pod are not supported; set them on its containers"),
        &["{}"],
    ),
    row("PodSpec", "hostnameOverride", Refused("is not supported; use hostname")),
    row("PodSpec", "schedulingGroup", Refused("scheduling groups are not supported")),
    // Volumes
    row("Volume", "name", Honoured),
    row("Volume", "emptyDir", Honoured),
    row("Volume", "configMap", Honoured),
    row("Volume", "secret", Honoured),
    row(
        "Volume",
        "hostPath",
        Refused("pods have no access to the node's files; use emptyDir, configMap or secret"),
    ),
    row("Volume", "gcePersistentDisk", NO_DRIVER),
    row("Volume", "awsElasticBlockStore", NO_DRIVER),
    row("Volume", "gitRepo", NO_DRIVER),
    row("Volume", "nfs", NO_DRIVER),
    row("Volume", "iscsi", NO_DRIVER),
    row("Volume", "glusterfs", NO_DRIVER),
    row("Volume", "persistentVolumeClaim", Refused("persistent volumes are not supported")),
    row("Volume", "rbd", NO_DRIVER),
    row("Volume", "flexVolume", NO_DRIVER),
    row("Volume", "cinder", NO_DRIVER),
    row("Volume", "cephfs", NO_DRIVER),
    row("Volume", "flocker", NO_DRIVER),
    row("Volume", "downwardAPI", Refused("downwardAPI volumes are not supported; use env with fieldRef")),
    row("Volume", "fc", NO_DRIVER),
    row("Volume", "azureFile", NO_DRIVER),
    row("Volume", "vsphereVolume", NO_DRIVER),
    row("Volume", "quobyte", NO_DRIVER),
    row("Volume", "azureDisk", NO_DRIVER),
    row("Volume", "photonPersistentDisk", NO_DRIVER),
    row("Volume", "projected", NOT_PROJECTED),
    row("Volume", "portworxVolume", NO_DRIVER),
    row("Volume", "scaleIO", NO_DRIVER),
    row("Volume", "storageos", NO_DRIVER),
    row("Volume", "csi", NO_DRIVER),
    row("Volume", "ephemeral", NO_DRIVER),
    row("Volume", "image", Refused("image volumes are not supported")),
    but(
        "EmptyDirVolumeSource",
        "medium",
        Warned("has no effect: the volume is a directory on the node"),
        &["\"\""],
    ),
    row("EmptyDirVolumeSource", "sizeLimit", Warned("has no effect: the size of the volume is not limited")),
    row("ConfigMapVolumeSource", "name", Honoured),
    row("ConfigMapVolumeSource", "items", Honoured),
    row("ConfigMapVolumeSource", "defaultMode", Honoured),
    row("ConfigMapVolumeSource", "optional", Honoured),
    row("SecretVolumeSource", "secretName", Honoured),
    row("SecretVolumeSource", "items", Honoured),
    row("SecretVolumeSource", "defaultMode", Honoured),
    row("SecretVolumeSource", "optional", Honoured),
    row("KeyToPath", "key", Honoured),
    row("KeyToPath", "path", Honoured),
    row("KeyToPath", "mode", Honoured),
    // Containers
    row("Container", "name", Honoured),
    row("Container", "image", Honoured),
    row("Container", "command", Honoured),
    row("Container", "args", Honoured),
    row("Container", "workingDir", Honoured),
    row("Container", "ports", Honoured),
    row("Container", "envFrom", Honoured),
    row("Container", "env", Honoured),
    row("Container", "resources", Honoured),
    row("Container", "resizePolicy", Warned("has no effect: resources are not changed in place")),
    but(
        "Container",
        "restartPolicy",
        Refused(
            "containers with a restart policy of their own (sidecars) are not supported; use an ordinary container",
        ),
        &[],
    ),
    row(
        "Container",
        "restartPolicyRules",
        Refused("restart rules are not supported; use the pod's restartPolicy"),
    ),
    row("Container", "volumeMounts", Honoured),
    row("Container", "volumeDevices", Refused("block devices are not supported")),
    row("Container", "livenessProbe", Honoured),
    row("Container", "readinessProbe", Honoured),
    row("Container", "startupProbe", Honoured),
    but("Container", "lifecycle", Refused("lifecycle hooks are not supported"), &["{}"]),
    but(
        "Container",
        "terminationMessagePath",
        Warned("has no effect: a module cannot write to that file"),
        &["\"/dev/termination-log\""],
    ),
    but(
        "Container",
        "terminationMessagePolicy",
        Warned("has no effect: the message is the reason for which the module ended"),
        &["\"File\"", "\"FallbackToLogsOnError\""],
    ),
    row("Container", "imagePullPolicy", Honoured),
    row("Container", "securityContext", Honoured),
    but("Container", "stdin", Warned("has no effect: standard input of a module is empty"), &["false"]),
    but("Container", "stdinOnce", Warned("has no effect: standard input of a module is empty"), &["false"]),
    but("Container", "tty", Warned("has no effect: a module has no terminal"), &["false"]),
    row("ContainerPort", "name", Honoured),
    row(
        "ContainerPort",
        "hostPort",
        Warned(
            "opens no port of the node, it only keeps pods with the same one apart; use a Service of type NodePort",
        ),
    ),
    row("ContainerPort", "containerPort", Honoured),
    but("ContainerPort", "protocol", Refused("only TCP and UDP are supported"), &["\"TCP\"", "\"UDP\""]),
    row("ContainerPort", "hostIP", Warned("has no effect: no port of the node is opened")),
    row("EnvVar", "name", Honoured),
    row("EnvVar", "value", Honoured),
    row("EnvVar", "valueFrom", Honoured),
    row("EnvVarSource", "fieldRef", Honoured),
    row("EnvVarSource", "resourceFieldRef", Refused("resource fields in the environment are not supported")),
    row("EnvVarSource", "configMapKeyRef", Honoured),
    row("EnvVarSource", "secretKeyRef", Honoured),
    row("EnvVarSource", "fileKeyRef", Refused("environment files are not supported; use configMapKeyRef")),
    row("ObjectFieldSelector", "apiVersion", Honoured),
    row("ObjectFieldSelector", "fieldPath", Honoured),
    row("ConfigMapKeySelector", "name", Honoured),
    row("ConfigMapKeySelector", "key", Honoured),
    row("ConfigMapKeySelector", "optional", Honoured),
    row("SecretKeySelector", "name", Honoured),
    row("SecretKeySelector", "key", Honoured),
    row("SecretKeySelector", "optional", Honoured),
    row("EnvFromSource", "prefix", Honoured),
    row("EnvFromSource", "configMapRef", Honoured),
    row("EnvFromSource", "secretRef", Honoured),
    row("ConfigMapEnvSource", "name", Honoured),
    row("ConfigMapEnvSource", "optional", Honoured),
    row("SecretEnvSource", "name", Honoured),
    row("SecretEnvSource", "optional", Honoured),
    row("ResourceRequirements", "limits", Honoured),
    row("ResourceRequirements", "requests", Honoured),
    row("ResourceRequirements", "claims", Refused("dynamic resource allocation is not supported")),
    row("VolumeMount", "name", Honoured),
    row("VolumeMount", "readOnly", Honoured),
    row("VolumeMount", "recursiveReadOnly", Warned("has no effect: there are no mounts below a volume")),
    row("VolumeMount", "mountPath", Honoured),
    row("VolumeMount", "subPath", Honoured),
    but("VolumeMount", "mountPropagation", Refused("mounts are not propagated"), &["\"None\""]),
    row("VolumeMount", "subPathExpr", Refused("is not supported; use subPath")),
    row(
        "Probe",
        "exec",
        Refused("exec probes are not supported: a module starts no processes; use httpGet or tcpSocket"),
    ),
    row("Probe", "httpGet", Honoured),
    row("Probe", "tcpSocket", Honoured),
    row("Probe", "grpc", Refused("gRPC probes are not supported; use httpGet or tcpSocket")),
    row("Probe", "initialDelaySeconds", Honoured),
    row("Probe", "timeoutSeconds", Honoured),
    row("Probe", "periodSeconds", Honoured),
    row("Probe", "successThreshold", Honoured),
    row("Probe", "failureThreshold", Honoured),
    row("Probe", "terminationGracePeriodSeconds", Honoured),
    row("HTTPGetAction", "path", Honoured),
    row("HTTPGetAction", "port", Honoured),
    row(
        "HTTPGetAction",
        "host",
        Refused("a probe asks its own pod; set the Host header in httpHeaders instead"),
    ),
    but(
        "HTTPGetAction",
        "scheme",
        Refused("HTTPS probes are not supported; use HTTP or tcpSocket"),
        &["\"HTTP\""],
    ),
    row("HTTPGetAction", "httpHeaders", Honoured),
    row("HTTPHeader", "name", Honoured),
    row("HTTPHeader", "value", Honoured),
    row("TCPSocketAction", "port", Honoured),
    row("TCPSocketAction", "host", Refused("a probe asks its own pod")),
    // Security
    row("SecurityContext", "capabilities", SANDBOX),
    but("SecurityContext", "privileged", Refused("no module is privileged"), &["false"]),
    row("SecurityContext", "seLinuxOptions", SANDBOX),
    row("SecurityContext", "windowsOptions", SANDBOX),
    row("SecurityContext", "runAsUser", SANDBOX),
    row("SecurityContext", "runAsGroup", SANDBOX),
    row("SecurityContext", "runAsNonRoot", SANDBOX),
    but(
        "SecurityContext",
        "readOnlyRootFilesystem",
        Warned("has no effect: a module has no root file system, only its volumes"),
        &["true"],
    ),
    but("SecurityContext", "allowPrivilegeEscalation", SANDBOX, &["false"]),
    but("SecurityContext", "procMount", SANDBOX, &["\"Default\""]),
    row("SecurityContext", "seccompProfile", SANDBOX),
    row("SecurityContext", "appArmorProfile", SANDBOX),
    row("PodSecurityContext", "seLinuxOptions", SANDBOX),
    row("PodSecurityContext", "windowsOptions", SANDBOX),
    row("PodSecurityContext", "runAsUser", SANDBOX),
    row("PodSecurityContext", "runAsGroup", SANDBOX),
    row("PodSecurityContext", "runAsNonRoot", SANDBOX),
    row("PodSecurityContext", "supplementalGroups", SANDBOX),
    row("PodSecurityContext", "supplementalGroupsPolicy", SANDBOX),
    row("PodSecurityContext", "fsGroup", SANDBOX),
    row("PodSecurityContext", "sysctls", SANDBOX),
    row("PodSecurityContext", "fsGroupChangePolicy", SANDBOX),
    row("PodSecurityContext", "seccompProfile", SANDBOX),
    row("PodSecurityContext", "appArmorProfile", SANDBOX),
    row("PodSecurityContext", "seLinuxChangePolicy", SANDBOX),
    // Scheduling
    row("Affinity", "nodeAffinity", Honoured),
    row("Affinity", "podAffinity", Honoured),
    row("Affinity", "podAntiAffinity", Honoured),
    row("NodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", Honoured),
    row("NodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", Honoured),
    row("NodeSelector", "nodeSelectorTerms", Honoured),
    row("NodeSelectorTerm", "matchExpressions", Honoured),
    row("NodeSelectorTerm", "matchFields", Honoured),
    row("NodeSelectorRequirement", "key", Honoured),
    row("NodeSelectorRequirement", "operator", Honoured),
    row("NodeSelectorRequirement", "values", Honoured),
    row("PreferredSchedulingTerm", "weight", Honoured),
    row("PreferredSchedulingTerm", "preference", Honoured),
    row("PodAffinity", "requiredDuringSchedulingIgnoredDuringExecution", POD_AFFINITY),
    row("PodAffinity", "preferredDuringSchedulingIgnoredDuringExecution", PREFERRED_POD_AFFINITY),
    row("PodAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution", POD_AFFINITY),
    row("PodAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution", PREFERRED_POD_AFFINITY),
    row("Toleration", "key", Honoured),
    row("Toleration", "operator", Honoured),
    row("Toleration", "value", Honoured),
    row("Toleration", "effect", Honoured),
    row("Toleration", "tolerationSeconds", Honoured),
    row("TopologySpreadConstraint", "maxSkew", Honoured),
    row("TopologySpreadConstraint", "topologyKey", SPREAD),
    but(
        "TopologySpreadConstraint",
        "whenUnsatisfiable",
        Refused("DoNotSchedule is not supported; use ScheduleAnyway, which is accepted"),
        &["\"ScheduleAnyway\""],
    ),
    row("TopologySpreadConstraint", "labelSelector", Honoured),
    row("TopologySpreadConstraint", "minDomains", SPREAD),
    row("TopologySpreadConstraint", "nodeAffinityPolicy", SPREAD),
    row("TopologySpreadConstraint", "nodeTaintsPolicy", SPREAD),
    row("TopologySpreadConstraint", "matchLabelKeys", SPREAD),
    row("LabelSelector", "matchLabels", Honoured),
    row("LabelSelector", "matchExpressions", Honoured),
    row("LabelSelectorRequirement", "key", Honoured),
    row("LabelSelectorRequirement", "operator", Honoured),
    row("LabelSelectorRequirement", "values", Honoured),
    but("PodOS", "name", Refused("pods are WASI modules, which no Windows node runs"), &["\"linux\""]),
];

static BY_FIELD: LazyLock<HashMap<(&str, &str), &Row>> =
    LazyLock::new(|| ROWS.iter().map(|row| ((row.type_, row.field), row)).collect());

/// The row of a field; none if the table has none.
pub fn lookup(type_: &str, field: &str) -> Option<&'static Row> {
    BY_FIELD.get(&(type_, field)).copied()
}

const POD_SPEC: &str = "io.k8s.api.core.v1.PodSpec";

/// Judges the pod spec that stands at `path`: errors for refused fields, warnings for those without effect.
pub fn judge(path: &str, spec: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    if let Some(ty) = schema::lookup(POD_SPEC) {
        judge_object(ty, path, spec, errors, warnings);
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            amounts(&format!("{path}.{list}[{index}].resources"), &container["resources"], errors, warnings);
        }
    }
}

fn judge_object(ty: &Type, path: &str, value: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let (Some(field), Some(row)) = (ty.field(name), lookup(ty.short_name(), name)) else { continue };
        let path = child(path, name);
        let is_neutral = is_unset(value) || row.neutral.contains(&value.to_string().as_str());
        match row.verdict {
            Honoured => {
                if let Some(inner) = field.kind.object() {
                    judge_below(inner, &path, value, errors, warnings);
                }
            }
            _ if is_neutral => {}
            Warned(_) if value.as_object().is_some_and(|map| map.is_empty()) => {}
            Warned(why) => warnings.push(format!("{path}: {why}")),
            Refused(why) => errors.push(FieldError::forbidden(&path, why)),
        }
    }
}

fn judge_below(ty: &Type, path: &str, value: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                judge_object(ty, &format!("{path}[{index}]"), item, errors, warnings);
            }
        }
        object => judge_object(ty, path, object, errors, warnings),
    }
}

/// An empty object is set: `projected: {}` asks for a volume.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Which resources can be asked for.
fn amounts(path: &str, resources: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    for list in ["limits", "requests"] {
        for name in resources[list].as_object().into_iter().flatten().map(|(name, _)| name) {
            let path = format!("{path}.{list}[{name}]");
            match name.as_str() {
                "cpu" | "memory" => {}
                "ephemeral-storage" => {
                    warnings.push(format!("{path}: has no effect: only cpu and memory are limited"))
                }
                _ => errors.push(FieldError::forbidden(&path, "only cpu and memory can be asked for")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn walk(ty: &'static Type, seen: &mut BTreeSet<(&'static str, String)>, missing: &mut Vec<String>) {
        for field in &ty.fields {
            let Some(row) = lookup(ty.short_name(), &field.name) else {
                missing.push(format!("{}.{}", ty.short_name(), field.name));
                continue;
            };
            if seen.insert((row.type_, field.name.clone()))
                && row.verdict == Honoured
                && let Some(inner) = field.kind.object()
            {
                walk(schema::lookup(&inner.name).unwrap(), seen, missing);
            }
        }
    }

    #[test]
    fn every_field_of_a_pod_spec_has_one_row_and_every_row_a_field() {
        let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
        walk(schema::lookup(POD_SPEC).unwrap(), &mut seen, &mut missing);
        assert!(missing.is_empty(), "no row for {missing:?}");
        let rows: BTreeSet<_> = ROWS.iter().map(|row| (row.type_, row.field.to_string())).collect();
        assert_eq!(rows.len(), ROWS.len(), "a field has two rows");
        assert!(rows.difference(&seen).next().is_none(), "no such field: {:?}", rows.difference(&seen));
    }

    #[test]
    fn what_does_not_work_is_said() {
        let spec = json!({"hostNetwork": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
            "containers": [{"name": "a", "stdin": true, "securityContext": {"runAsUser": 1, "privileged": false},
                "livenessProbe": {"exec": {"command": ["x"]}}, "resources": {"limits": {"nvidia.com/gpu": "1"}}}]});
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        judge("spec", &spec, &mut errors, &mut warnings);
        let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "spec.containers[0].livenessProbe.exec",
                "spec.hostNetwork",
                "spec.volumes[0].hostPath",
                "spec.containers[0].resources.limits[nvidia.com/gpu]"
            ]
        );
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    #[test]
    fn what_kubectl_and_charts_send_passes() {
        let spec = json!({"enableServiceLinks": true, "dnsPolicy": "ClusterFirst", "securityContext": {},
            "serviceAccountName": "web", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30,
            "affinity": {"nodeAffinity": {}}, "containers": [{"name": "a", "image": "b", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
            "livenessProbe": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 1}}]});
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        judge("spec", &spec, &mut errors, &mut warnings);
        assert_eq!((errors, warnings), (Vec::new(), Vec::<String>::new()));
    }
}
