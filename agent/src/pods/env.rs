//! A container's arguments and environment, resolved from its spec, its pod and the objects that it refers to.

use super::spec::{Container, EnvSource, EnvVar, KeyRef, Pod, ResourceFieldRef, quantity};
use crate::volume::reference::{Content, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A ConfigMap or Secret by its name.
pub(crate) type Name = (Kind, String);
/// What is known of the objects that a container refers to; none where one is not there.
pub(crate) type Objects = BTreeMap<Name, Option<Arc<Content>>>;

/// Where a pod runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) node_name: String,
    pub(crate) host_ip: IpAddr,
    pub(crate) pod_ip: Option<IpAddr>,
}

/// The objects that a container's environment refers to.
pub(crate) fn references(container: &Container) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for from in &container.env_from {
        names.extend(from.config_map_ref.iter().map(|object| (Kind::ConfigMap, object.name.clone())));
        names.extend(from.secret_ref.iter().map(|object| (Kind::Secret, object.name.clone())));
    }
    for source in container.env.iter().filter_map(|var| var.value_from.as_ref()) {
        names.extend(source.config_map_key_ref.iter().map(|key| (Kind::ConfigMap, key.name.clone())));
        names.extend(source.secret_key_ref.iter().map(|key| (Kind::Secret, key.name.clone())));
    }
    names
}

/// The environment in order, each name once: HOSTNAME, `envFrom`, `env`.
///
/// # Errors
/// A sentence in kubelet's words about what is missing.
pub(crate) fn environment(
    pod: &Pod,
    container: &Container,
    objects: &Objects,
    place: &Place,
) -> Result<Vec<(String, String)>, String> {
    let mut env = Env::default();
    env.set("HOSTNAME", pod.hostname().to_string());
    for from in &container.env_from {
        let named = from.config_map_ref.as_ref().map(|object| (Kind::ConfigMap, object));
        let named = named.or_else(|| from.secret_ref.as_ref().map(|object| (Kind::Secret, object)));
        let Some((kind, object)) = named else { continue };
        match objects.get(&(kind, object.name.clone())).cloned().flatten() {
            Some(content) => content.iter().for_each(|(key, bytes)| {
                env.set(&format!("{}{key}", from.prefix), String::from_utf8_lossy(bytes).into_owned());
            }),
            None if object.optional => {}
            None => return Err(format!("{} \"{}\" not found", kind.noun(), object.name)),
        }
    }
    for var in &container.env {
        let value = match &var.value_from {
            None => Some(expand(var.value.as_deref().unwrap_or_default(), |name| env.get(name))),
            Some(source) => from_source(pod, container, var, source, objects, place)?,
        };
        if let Some(value) = value {
            env.set(&var.name, value);
        }
    }
    Ok(env.0)
}

#[derive(Default)]
struct Env(Vec<(String, String)>);

impl Env {
    fn set(&mut self, name: &str, value: String) {
        self.0.retain(|(held, _)| held != name);
        self.0.push((name.to_string(), value));
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone())
    }
}

fn from_source(
    pod: &Pod,
    container: &Container,
    var: &EnvVar,
    source: &EnvSource,
    objects: &Objects,
    place: &Place,
) -> Result<Option<String>, String> {
    if let Some(field) = &source.field_ref {
        let value = pod_field(pod, &field.field_path, place);
        return value.map(Some).ok_or_else(|| format!("unsupported fieldPath: {}", field.field_path));
    }
    if let Some(field) = &source.resource_field_ref {
        return resource_field(pod, container, field).map(Some);
    }
    if let Some(key) = &source.config_map_key_ref {
        return from_key(pod, Kind::ConfigMap, "ConfigMap", key, objects);
    }
    if let Some(key) = &source.secret_key_ref {
        return from_key(pod, Kind::Secret, "Secret", key, objects);
    }
    Err(format!("environment variable {:?} has a valueFrom that this node does not know", var.name))
}

fn from_key(
    pod: &Pod,
    kind: Kind,
    title: &str,
    key: &KeyRef,
    objects: &Objects,
) -> Result<Option<String>, String> {
    let Some(content) = objects.get(&(kind, key.name.clone())).cloned().flatten() else {
        let missing = format!("{} \"{}\" not found", kind.noun(), key.name);
        return if key.optional { Ok(None) } else { Err(missing) };
    };
    match content.get(&key.key) {
        Some(bytes) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
        None if key.optional => Ok(None),
        None => {
            let object = format!("{}/{}", pod.metadata.namespace, key.name);
            Err(format!("couldn't find key {} in {title} {object}", key.key))
        }
    }
}

fn pod_field(pod: &Pod, path: &str, place: &Place) -> Option<String> {
    let ip = || place.pod_ip.map(|ip| ip.to_string()).unwrap_or_default();
    Some(match path {
        "spec.nodeName" => place.node_name.clone(),
        "spec.serviceAccountName" => pod.spec.service_account_name.clone().unwrap_or_default(),
        "status.podIP" | "status.podIPs" => ip(),
        "status.hostIP" | "status.hostIPs" => place.host_ip.to_string(),
        _ => return metadata_field(pod, path),
    })
}

/// What the metadata of the pod has at `path`; none for a path that is not known.
pub(crate) fn metadata_field(pod: &Pod, path: &str) -> Option<String> {
    let metadata = &pod.metadata;
    Some(match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        _ => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            match map {
                "metadata.labels" => metadata.labels.get(key).cloned().unwrap_or_default(),
                "metadata.annotations" => metadata.annotations.get(key).cloned().unwrap_or_default(),
                _ => return None,
            }
        }
    })
}

/// The amount of a resource that a container, `own` where none is named, has asked for or is limited to.
pub(crate) fn resource_field(pod: &Pod, own: &Container, field: &ResourceFieldRef) -> Result<String, String> {
    let container = match field.container_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => pod.container(name).ok_or_else(|| format!("container {name} not found"))?,
        None => own,
    };
    let (list, name) = field.resource.split_once('.').unwrap_or(("", &field.resource));
    let amount = match list {
        "limits" => container.resources.limit(name),
        "requests" => container.resources.request(name),
        _ => return Err(format!("unsupported container resource : {}", field.resource)),
    };
    // Without a limit a container may use the whole node.
    let amount = match (amount, list, name) {
        (Some(amount), ..) => amount.milli(),
        (None, "limits", "cpu") => std::thread::available_parallelism().map_or(1, |n| n.get() as i64) * 1000,
        (None, "limits", "memory") => memory_bytes().saturating_mul(1000),
        (None, ..) => 0,
    };
    let divisor = field.divisor.as_ref().and_then(quantity).map_or(1000, |divisor| divisor.milli());
    let divisor = if divisor <= 0 { 1000 } else { divisor };
    Ok((amount.saturating_add(divisor - 1) / divisor).to_string())
}

fn memory_bytes() -> i64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<i64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

/// The argument vector. `command` replaces the program's name, which is else its image's.
pub(crate) fn arguments(container: &Container, env: &[(String, String)]) -> Vec<String> {
    let get = |name: &str| env.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone());
    let mut args: Vec<String> = container.command.iter().map(|text| expand(text, get)).collect();
    if args.is_empty() {
        let name = container.image.rsplit('/').next().unwrap_or_default();
        args.push(name.split([':', '@']).next().unwrap_or_default().to_string());
    }
    args.extend(container.args.iter().map(|text| expand(text, get)));
    args
}

/// Replaces `$(NAME)` by the variable's value; `$$` stands for `$`, and what names no variable stays as it is.
fn expand(text: &str, get: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let name = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        match name {
            Some((name, after)) => {
                out.push_str(&get(name).unwrap_or_else(|| format!("$({name})")));
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn place() -> Place {
        Place { node_name: "n".into(), host_ip: [127, 0, 0, 1].into(), pod_ip: Some([10, 244, 0, 2].into()) }
    }

    fn pod(container: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "d", "uid": "u", "labels": {"app": "web"}},
            "spec": {"serviceAccountName": "robot", "containers": [container,
                {"name": "side", "resources": {"requests": {"cpu": "250m"}}}]},
        }))
        .unwrap()
    }

    fn objects() -> Objects {
        let content = |pairs: &[(&str, &str)]| {
            let map: Content = pairs.iter().map(|(k, v)| (k.to_string(), v.as_bytes().to_vec())).collect();
            Some(Arc::new(map))
        };
        Objects::from([
            ((Kind::ConfigMap, "c".into()), content(&[("a", "1"), ("b", "2")])),
            ((Kind::Secret, "s".into()), content(&[("k", "hidden")])),
            ((Kind::ConfigMap, "none".into()), None),
        ])
    }

    fn resolve(container: Value) -> Result<Vec<(String, String)>, String> {
        let pod = pod(container);
        environment(&pod, &pod.spec.containers[0], &objects(), &place())
    }

    #[test]
    fn every_source_is_read() {
        let env = resolve(json!({
            "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}},
            "envFrom": [{"prefix": "X_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}},
                {"configMapRef": {"name": "none", "optional": true}}, {"secretRef": {"name": "none", "optional": true}}],
            "env": [
                {"name": "PLAIN", "value": "$(X_a)-$(NOPE)-$$(X_a)"}, {"name": "X_b", "value": "over"},
                {"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
                {"name": "ACCOUNT", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": true}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                {"name": "OTHER", "valueFrom": {"resourceFieldRef":
                    {"containerName": "side", "resource": "requests.cpu", "divisor": "1m"}}},
            ],
        }))
        .unwrap();
        let text: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text,
            [
                "HOSTNAME=p",
                "X_a=1",
                "k=hidden",
                "PLAIN=1-$(NOPE)-$(X_a)",
                "X_b=over",
                "IP=10.244.0.2",
                "ACCOUNT=robot",
                "APP=web",
                "KEY=hidden",
                "CPU=2",
                "MEM=64",
                "OTHER=250"
            ]
        );
    }

    #[test]
    fn what_is_missing_is_said_as_kubelet_says_it() {
        for (container, expected) in [
            (json!({"envFrom": [{"configMapRef": {"name": "none"}}]}), "configmap \"none\" not found"),
            (json!({"envFrom": [{"secretRef": {"name": "none"}}]}), "secret \"none\" not found"),
            (
                json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "z"}}}]}),
                "couldn't find key z in ConfigMap d/c",
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}),
                "unsupported fieldPath: spec.x",
            ),
        ] {
            assert_eq!(resolve(container).unwrap_err(), expected);
        }
    }

    #[test]
    fn arguments_expand_and_have_a_program_name() {
        let env = vec![("A".to_string(), "1".to_string())];
        let container = |value: Value| serde_json::from_value::<Container>(value).unwrap();
        let plain = container(json!({"image": "reg/x/hello:v1", "args": ["-a", "$(A)"]}));
        assert_eq!(arguments(&plain, &env), ["hello", "-a", "1"]);
        let named = container(json!({"image": "hello", "command": ["run", "$$(A)"], "args": ["$(B)", "5$"]}));
        assert_eq!(arguments(&named, &env), ["run", "$(A)", "$(B)", "5$"]);
    }
}
