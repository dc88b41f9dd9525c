//! What the objects of a namespace use, and whether its ResourceQuotas let it use more. Usage is carried by the snapshot, so
//! that no two writes can both take what is left. Rule: Kubernetes, "Resource Quotas".

mod index;

pub use index::Index;

use crate::classes;
use crate::snapshot::Change;
use crate::strategy::pod::qos_class;
use crate::validation::{items, quantity, text};
use peapod_api::pod::is_terminal_phase;
use peapod_api::{Kind, Object, Quantity};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The resource of the quotas.
pub const QUOTAS: &str = "resourcequotas";
const PODS: &str = "pods";
const SERVICES: &str = "services";
const CLAIMS: &str = "persistentvolumeclaims";
/// Kinds that are counted under their plain names too.
const COUNTED: [&str; 7] =
    [PODS, SERVICES, CLAIMS, "configmaps", "secrets", "replicationcontrollers", "resourcequotas"];
/// What a container may ask for without a domain in its name; a request also counts under the plain name.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Names in a quota that can be told from a pod's header alone.
const IN_HEADER: [&str; 6] = ["pods", "count/pods", "cpu", "memory", "requests.cpu", "requests.memory"];

/// Amounts by the names that stand in a quota.
pub type Amounts = BTreeMap<String, Quantity>;

fn add(sum: &mut Amounts, name: String, amount: Quantity) {
    sum.entry(name).and_modify(|sum| *sum = sum.plus(amount)).or_insert(amount);
}

/// What a pod asks for in `list` (`requests` or `limits`): the sum over the containers that run together, or what is needed
/// at some moment of its start where that is more.
pub fn total(spec: &Value, list: &str) -> Amounts {
    let of = |container: &Value| {
        let amounts = container["resources"][list].as_object().cloned().unwrap_or_default();
        amounts.into_iter().filter_map(|(name, amount)| Some((name, quantity(&amount)?))).collect::<Amounts>()
    };
    let (mut beside, mut most) = (Amounts::new(), Amounts::new());
    for container in items(&spec["initContainers"]) {
        let mut now = beside.clone();
        of(container).into_iter().for_each(|(name, amount)| add(&mut now, name, amount));
        if container["restartPolicy"] == "Always" {
            beside = now.clone();
        }
        for (name, amount) in now {
            let most = most.entry(name).or_insert(amount);
            *most = (*most).max(amount);
        }
    }
    for (name, amount) in items(&spec["containers"]).flat_map(of) {
        add(&mut beside, name, amount);
    }
    for (name, amount) in most {
        let sum = beside.entry(name).or_insert(amount);
        *sum = (*sum).max(amount);
    }
    beside
}

/// What an object of `resource` (`pods`, `deployments.apps`) uses.
fn usage(resource: &str, object: &Value) -> Amounts {
    let one = Quantity::whole(1);
    let mut used = Amounts::from([(format!("count/{resource}"), one)]);
    let over = object["status"]["phase"].as_str().is_some_and(is_terminal_phase);
    if resource == PODS && over {
        return used;
    }
    if COUNTED.contains(&resource) {
        used.insert(resource.into(), one);
    }
    let spec = &object["spec"];
    match resource {
        PODS => {
            for (name, amount) in total(spec, "requests") {
                if COMPUTE.contains(&name.as_str()) {
                    used.insert(name.clone(), amount);
                }
                used.insert(format!("requests.{name}"), amount);
            }
            let limits = total(spec, "limits").into_iter();
            used.extend(limits.map(|(name, amount)| (format!("limits.{name}"), amount)));
        }
        SERVICES => {
            let ports =
                items(&spec["ports"]).filter(|port| port["nodePort"].as_i64().unwrap_or(0) != 0).count();
            used.insert("services.nodeports".into(), Quantity::whole(i64::try_from(ports).unwrap_or(0)));
            let balanced = i64::from(spec["type"] == "LoadBalancer");
            used.insert("services.loadbalancers".into(), Quantity::whole(balanced));
        }
        CLAIMS => {
            let storage = quantity(&spec["resources"]["requests"]["storage"]).unwrap_or(Quantity::bytes(0));
            used.insert("requests.storage".into(), storage);
            let class = classes::STORAGE.named(object).unwrap_or_default();
            if !class.is_empty() {
                let of_class = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
                used.insert(of_class("requests.storage"), storage);
                used.insert(of_class(CLAIMS), one);
            }
        }
        _ => {}
    }
    used
}

/// The resource whose objects use what is called `name` in a quota.
fn resource_of(name: &str) -> &str {
    match name {
        _ if name.starts_with("count/") => &name["count/".len()..],
        "requests.storage" => CLAIMS,
        _ if name.contains(".storageclass.storage.k8s.io/") => CLAIMS,
        "services.nodeports" | "services.loadbalancers" => SERVICES,
        _ if COUNTED.contains(&name) => name,
        _ => PODS,
    }
}

/// Whether the quota's scopes take in a pod, or a claim where they are about those; other objects are taken in by quotas
/// without scopes.
fn takes_in(spec: &Value, resource: &str, object: &Value) -> bool {
    let plain = items(&spec["scopes"]).map(|scope| (text(scope), "Exists", &Value::Null));
    let chosen = items(&spec["scopeSelector"]["matchExpressions"])
        .map(|e| (text(&e["scopeName"]), text(&e["operator"]), &e["values"]));
    let pod = &object["spec"];
    plain.chain(chosen).all(|(scope, operator, values)| match scope {
        "VolumeAttributesClass" => {
            let wanted = &pod["volumeAttributesClassName"];
            let classes = [wanted, &object["status"]["currentVolumeAttributesClassName"]];
            resource == CLAIMS && classes.iter().any(|class| is_chosen(class, operator, values))
        }
        _ if resource != PODS => false,
        "Terminating" => !pod["activeDeadlineSeconds"].is_null(),
        "NotTerminating" => pod["activeDeadlineSeconds"].is_null(),
        "BestEffort" => qos_class(pod) == "BestEffort",
        "NotBestEffort" => qos_class(pod) != "BestEffort",
        "PriorityClass" => is_chosen(&pod["priorityClassName"], operator, values),
        "CrossNamespacePodAffinity" => reaches_other_namespaces(pod),
        _ => false,
    })
}

fn is_chosen(class: &Value, operator: &str, values: &Value) -> bool {
    match operator {
        "In" => items(values).any(|value| value == class),
        "NotIn" => !items(values).any(|value| value == class),
        "DoesNotExist" => text(class).is_empty(),
        _ => !text(class).is_empty(),
    }
}

/// Whether a term of the pod's affinity, or anti-affinity, names namespaces.
fn reaches_other_namespaces(pod: &Value) -> bool {
    let names =
        |term: &Value| items(&term["namespaces"]).next().is_some() || term["namespaceSelector"].is_object();
    ["podAffinity", "podAntiAffinity"].iter().any(|side| {
        let side = &pod["affinity"][side];
        items(&side["requiredDuringSchedulingIgnoredDuringExecution"]).any(names)
            || items(&side["preferredDuringSchedulingIgnoredDuringExecution"])
                .any(|weighted| names(&weighted["podAffinityTerm"]))
    })
}

fn hard(spec: &Value) -> Amounts {
    let amounts = spec["hard"].as_object().into_iter().flatten();
    amounts.filter_map(|(name, amount)| Some((name.clone(), quantity(amount)?))).collect()
}

/// What a pod uses, as far as its header tells.
fn in_header(pod: &Object) -> Amounts {
    let one = Quantity::whole(1);
    let mut used = Amounts::from([("count/pods".to_string(), one)]);
    if pod.header.phase.as_deref().is_some_and(is_terminal_phase) {
        return used;
    }
    used.insert(PODS.into(), one);
    let (cpu, memory) = (pod.header.requests.cpu_millis, pod.header.requests.memory_bytes);
    for (name, amount) in [("cpu", Quantity::millis(cpu)), ("memory", Quantity::bytes(memory))] {
        used.insert(format!("requests.{name}"), amount);
        used.insert(name.into(), amount);
    }
    used
}

/// Whether changes of such objects can ask for more than they had. A pod cannot.
pub(crate) fn grows(kind: &Kind) -> bool {
    kind.group.is_empty() && [SERVICES, CLAIMS].contains(&&*kind.plural)
}

/// What containers have to say because a quota counts it, and do not: `cpu for: a,b; memory for: a`.
fn unsaid(hard: &Amounts, pod: &Value) -> Option<String> {
    let lacking = |name: &String| {
        let (list, amount) = match name.split_once('.') {
            Some((list @ ("requests" | "limits"), amount)) if amount != "storage" => (list, amount),
            None if COMPUTE.contains(&name.as_str()) => ("requests", name.as_str()),
            _ => return None,
        };
        let containers = items(&pod["containers"]).chain(items(&pod["initContainers"]));
        let silent = containers.filter(|container| container["resources"][list][amount].is_null());
        let names: BTreeSet<&str> = silent.map(|container| text(&container["name"])).collect();
        let names: Vec<&str> = names.into_iter().collect();
        (!names.is_empty()).then(|| format!("{name} for: {}", names.join(",")))
    };
    let all: Vec<String> = hard.keys().filter_map(lacking).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Whether a change can alter what is used: an object that comes, goes or comes to its end, or asks for something else.
pub fn is_felt(change: &Change) -> bool {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if change.key.resource() == PODS => {
            before.header.phase != after.header.phase
        }
        (Some(_), Some(_)) => [SERVICES, CLAIMS].contains(&change.key.resource()),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
