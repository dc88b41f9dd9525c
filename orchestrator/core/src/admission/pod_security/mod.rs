//! Pod security levels, which a namespace sets by labels: what its pods may ask for, and what their creators are warned of.
//! Rule: Kubernetes, "Pod Security Standards", translated to what a WASI pod can ask for (see [`checks`]).

mod checks;

use super::pod;
use crate::snapshot::Snapshot;
use crate::validation::text;
use checks::violations;
use peapod_api::{Error, FieldError, Kind};
use serde_json::Value;

const PREFIX: &str = "pod-security.kubernetes.io/";
const MODES: [&str; 3] = ["enforce", "audit", "warn"];
/// Violating pods of a namespace that are named when it is made stricter.
const MAX_NAMED_PODS: usize = 10;

/// How much is forbidden: each level forbids what the one before does, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(name: &str) -> Option<Level> {
        Some(match name {
            "privileged" => Level::Privileged,
            "baseline" => Level::Baseline,
            "restricted" => Level::Restricted,
            _ => return None,
        })
    }
}

/// What the labels of a namespace say of a mode: the level, and `level:version` as it was written.
fn wanted(namespace: &Value, mode: &str) -> Option<(Level, String)> {
    let labels = &namespace["metadata"]["labels"];
    let name = text(&labels[format!("{PREFIX}{mode}")]);
    let version = labels[format!("{PREFIX}{mode}-version")].as_str().unwrap_or("latest");
    Level::parse(name).map(|level| (level, format!("{name}:{version}")))
}

/// Where a kind has the template of its pods; none if it makes no pods.
fn template(kind: &Kind) -> Option<&'static str> {
    match (&*kind.group, &*kind.kind) {
        ("", "Pod") => Some(""),
        ("", "PodTemplate") => Some("/template"),
        ("", "ReplicationController") => Some("/spec/template"),
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") | ("batch", "Job") => {
            Some("/spec/template")
        }
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// Judges an object that is a pod or makes pods, new or changed. Returns warnings. Errors: 403 for a pod that its namespace
/// does not allow; what makes pods is only warned of, as its pods are judged when they come.
pub(super) fn admit(
    snapshot: &Snapshot,
    kind: &Kind,
    object: &Value,
    old: Option<&Value>,
) -> Result<Vec<String>, Error> {
    let Some(pod) = template(kind).and_then(|path| object.pointer(path)) else { return Ok(Vec::new()) };
    let before = old.and_then(|old| old.pointer(template(kind)?));
    let same = |field: &str| before.is_some_and(|before| before.pointer(field) == pod.pointer(field));
    let namespace = snapshot.find("namespaces", "", text(&object["metadata"]["namespace"]));
    let Some(namespace) = namespace.filter(|_| !(same("/spec") && same("/metadata/annotations"))) else {
        return Ok(Vec::new());
    };
    if !namespace.header.labels.keys().any(|label| label.starts_with(PREFIX)) {
        return Ok(Vec::new());
    }
    let namespace = namespace.value();
    let against = |mode: &str| {
        let (level, named) = wanted(&namespace, mode)?;
        let found = violations(level, pod);
        (!found.is_empty()).then(|| format!("violate PodSecurity {named:?}: {}", found.join(", ")))
    };
    if kind.kind == "Pod"
        && let Some(found) = against("enforce")
    {
        return Err(pod::refuse(object, &found.replacen("violate", "violates", 1)));
    }
    Ok(against("warn").map(|found| format!("would {found}")).into_iter().collect())
}

/// Judges the labels of a namespace, and the pods that are in it when it is made stricter. Returns warnings. Errors: 422.
pub(super) fn admit_namespace(
    snapshot: &Snapshot,
    namespace: &Value,
    old: Option<&Value>,
) -> Result<Vec<String>, Error> {
    let faults: Vec<FieldError> = MODES.iter().flat_map(|mode| faults(namespace, mode)).collect();
    let name = text(&namespace["metadata"]["name"]);
    if !faults.is_empty() {
        return Err(Error::invalid("", "Namespace", name, &faults));
    }
    let level = |namespace: &Value| wanted(namespace, "enforce").map(|(level, _)| level);
    match (wanted(namespace, "enforce"), old.and_then(level)) {
        (Some((new, named)), old) if old.is_none_or(|old| new > old) => {
            Ok(violating_pods(snapshot, name, new, &named))
        }
        _ => Ok(Vec::new()),
    }
}

fn faults(namespace: &Value, mode: &str) -> Vec<FieldError> {
    let labels = &namespace["metadata"]["labels"];
    let fault = |label: &str, value: &Value, why: &str| {
        FieldError::invalid(&format!("metadata.labels[{label}]"), value, why)
    };
    let (level, version) = (format!("{PREFIX}{mode}"), format!("{PREFIX}{mode}-version"));
    let mut found = Vec::new();
    if labels[&level].as_str().is_some_and(|name| Level::parse(name).is_none()) {
        let why = "must be one of privileged, baseline, restricted";
        found.push(fault(&level, &labels[&level], why));
    }
    let is_version = |text: &str| {
        let minor = text.strip_prefix("v1.");
        text == "latest"
            || minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit()))
    };
    if labels[&version].as_str().is_some_and(|text| !is_version(text)) {
        found.push(fault(&version, &labels[&version], "must be \"latest\" or \"v1.x\""));
    }
    found
}

fn violating_pods(snapshot: &Snapshot, namespace: &str, level: Level, named: &str) -> Vec<String> {
    let pods = snapshot.list("pods", Some(namespace));
    let mut found: Vec<String> = pods
        .filter_map(|pod| {
            let found = violations(level, &pod.value());
            (!found.is_empty()).then(|| format!("{}: {}", pod.name(), found.join(", ")))
        })
        .take(MAX_NAMED_PODS)
        .collect();
    if !found.is_empty() {
        let head = format!(
            "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level {named:?}"
        );
        found.insert(0, head);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_api::kinds;
    use peapod_api::{Draft, Key};
    use serde_json::json;
    use std::sync::Arc;

    fn put(snapshot: &mut Snapshot, resource: &str, namespace: &str, name: &str, mut value: Value) {
        value["metadata"]["name"] = name.into();
        value["metadata"]["namespace"] = namespace.into();
        let key = Key::new(resource, namespace, name);
        let revision = snapshot.revision() + 1;
        let kind = kinds::of_resource(resource).unwrap();
        let object = Arc::new(Draft::new(kind, key.clone(), value).at(revision));
        snapshot.apply(&crate::snapshot::Change::new(revision, key, None, Some(object)));
    }

    fn world(labels: &Value) -> Snapshot {
        let mut snapshot = Snapshot::default();
        put(&mut snapshot, "namespaces", "", "n", json!({"metadata": {"labels": labels}}));
        snapshot
    }

    fn pod(annotations: &Value, container: &Value) -> Value {
        json!({"metadata": {"name": "p", "namespace": "n", "annotations": annotations}, "spec": {"containers": [container]}})
    }

    #[test]
    fn pods_are_refused_and_what_makes_them_is_warned_of() {
        let snapshot = world(
            &json!({"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "baseline",
            "pod-security.kubernetes.io/enforce-version": "v1.30"}),
        );
        let pods = kinds::lookup("", "pods").unwrap();
        let plain = pod(&json!({}), &json!({"name": "a"}));
        assert_eq!(admit(&snapshot, pods, &plain, None).unwrap(), Vec::<String>::new());
        let rooted = pod(&json!({}), &json!({"name": "a", "securityContext": {"runAsUser": 0}}));
        assert_eq!(
            admit(&snapshot, pods, &rooted, None).unwrap_err().to_string(),
            "pods \"p\" is forbidden: violates PodSecurity \"restricted:v1.30\": runAsUser=0 (container \"a\" must not set runAsUser=0)"
        );
        assert!(admit(&snapshot, pods, &rooted, Some(&rooted)).is_ok(), "nothing changes");
        let adding = json!({"name": "a", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}});
        let deployment = json!({"metadata": {"name": "d", "namespace": "n"}, "spec": {"template": pod(&json!({}), &adding)}});
        let warned =
            admit(&snapshot, kinds::lookup("apps", "deployments").unwrap(), &deployment, None).unwrap();
        assert_eq!(
            warned,
            [
                "would violate PodSecurity \"baseline:latest\": non-default capabilities (container \"a\" must not include \
              \"NET_ADMIN\" in securityContext.capabilities.add)"
            ]
        );
    }

    #[test]
    fn a_namespace_that_is_made_stricter_names_its_violators() {
        let mut snapshot = world(&json!({}));
        let far = pod(&json!({"peapod.dev/allow-egress": "example.com"}), &json!({"name": "a"}));
        put(&mut snapshot, "pods", "n", "far", far);
        let labelled = |level: &str| json!({"metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": level}}});
        let warned =
            admit_namespace(&snapshot, &labelled("restricted"), Some(&labelled("baseline"))).unwrap();
        assert_eq!(
            warned,
            [
                "existing pods in namespace \"n\" violate the new PodSecurity enforce level \"restricted:latest\"",
                "far: egress (annotation peapod.dev/allow-egress must not be set)",
            ]
        );
        assert!(admit_namespace(&snapshot, &labelled("baseline"), None).unwrap().is_empty());
        let wrong = admit_namespace(&snapshot, &labelled("strict"), None).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "Namespace \"n\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": \
             must be one of privileged, baseline, restricted"
        );
    }
}
