//! What the objects of a namespace use, and whether its ResourceQuotas let it use more. Usage is counted on the snapshot, so
//! that no two writes can both take what is left. Rule: Kubernetes, "Resource Quotas".

use crate::snapshot::{Change, Snapshot};
use crate::strategy::pod::qos_class;
use crate::validation::{items, quantity, text};
use peapod_api::pod::is_terminal_phase;
use peapod_api::{Error, Kind, Object, Quantity};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// What a pod asks for in `list` (`requests` or `limits`): the sum over its containers, or its largest init container
/// where that is more.
pub fn total(spec: &Value, list: &str) -> Amounts {
    let of = |container: &Value| {
        let amounts = container["resources"][list].as_object().cloned().unwrap_or_default();
        amounts.into_iter().filter_map(|(name, amount)| Some((name, quantity(&amount)?)))
    };
    let mut sum = Amounts::new();
    for (name, amount) in items(&spec["containers"]).flat_map(of) {
        add(&mut sum, name, amount);
    }
    for (name, amount) in items(&spec["initContainers"]).flat_map(of) {
        let most = sum.entry(name).or_insert(amount);
        *most = (*most).max(amount);
    }
    sum
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
            let class = text(&spec["storageClassName"]);
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

/// Whether the quota's scopes take in a pod; other objects are taken in by quotas without scopes.
fn takes_in(spec: &Value, resource: &str, object: &Value) -> bool {
    let plain = items(&spec["scopes"]).map(|scope| (text(scope), "Exists", &Value::Null));
    let chosen = items(&spec["scopeSelector"]["matchExpressions"])
        .map(|e| (text(&e["scopeName"]), text(&e["operator"]), &e["values"]));
    let pod = &object["spec"];
    plain.chain(chosen).all(|(scope, operator, values)| {
        let class = &pod["priorityClassName"];
        let holds = match scope {
            "Terminating" => !pod["activeDeadlineSeconds"].is_null(),
            "NotTerminating" => pod["activeDeadlineSeconds"].is_null(),
            "BestEffort" => qos_class(pod) == "BestEffort",
            "NotBestEffort" => qos_class(pod) != "BestEffort",
            "PriorityClass" => match operator {
                "In" => items(values).any(|value| value == class),
                "NotIn" => !items(values).any(|value| value == class),
                "DoesNotExist" => text(class).is_empty(),
                _ => !text(class).is_empty(),
            },
            _ => false,
        };
        resource == PODS && holds
    })
}

fn hard(spec: &Value) -> Amounts {
    let amounts = spec["hard"].as_object().into_iter().flatten();
    amounts.filter_map(|(name, amount)| Some((name.clone(), quantity(amount)?))).collect()
}

/// What is used of what the quota limits; what nothing uses is 0.
pub fn used(snapshot: &Snapshot, quota: &Object) -> Amounts {
    let spec = quota.value()["spec"].take();
    let hard = hard(&spec);
    let mut sum: Amounts = hard.keys().map(|name| (name.clone(), Quantity::whole(0))).collect();
    let mut fresh: BTreeSet<String> = sum.keys().cloned().collect();
    let resources: BTreeSet<&str> = hard.keys().map(|name| resource_of(name)).collect();
    for resource in resources {
        let simple = resource == PODS
            && spec["scopes"].is_null()
            && spec["scopeSelector"].is_null()
            && hard
                .keys()
                .filter(|name| resource_of(name) == resource)
                .all(|name| IN_HEADER.contains(&name.as_str()));
        for object in snapshot.list(resource, Some(quota.namespace())) {
            for (name, amount) in if simple { in_header(object) } else { in_full(&spec, resource, object) } {
                if let Some(so_far) = sum.get_mut(&name) {
                    // The first amount brings its form along: `64Mi` stays binary.
                    *so_far = if fresh.remove(&name) { amount } else { so_far.plus(amount) };
                }
            }
        }
    }
    sum
}

/// What an object uses; nothing if the quota does not take it in.
fn in_full(spec: &Value, resource: &str, object: &Object) -> Amounts {
    let value = object.value();
    if takes_in(spec, resource, &value) { usage(resource, &value) } else { Amounts::new() }
}

/// What a pod uses, as far as its header tells.
fn in_header(pod: &Arc<Object>) -> Amounts {
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

/// Whether the quotas of its namespace leave room for a new object. Errors: 403.
pub fn admit(snapshot: &Snapshot, kind: &Kind, object: &Value) -> Result<(), Error> {
    let mut quotas = snapshot.list(QUOTAS, Some(text(&object["metadata"]["namespace"]))).peekable();
    if quotas.peek().is_none() {
        return Ok(());
    }
    let resource = kind.stored_resource();
    for quota in quotas {
        let spec = quota.value()["spec"].take();
        let hard = hard(&spec);
        if !hard.keys().any(|name| resource_of(name) == resource) || !takes_in(&spec, &resource, object) {
            continue;
        }
        let refuse = |why: &str| {
            let metadata = &object["metadata"];
            let name = if text(&metadata["name"]).is_empty() { "generateName" } else { "name" };
            Err(Error::forbidden(&kind.resource(), text(&metadata[name]), why))
        };
        if resource == PODS
            && let Some(missing) = unsaid(&hard, &object["spec"])
        {
            return refuse(&format!("failed quota: {}: must specify {missing}", quota.name()));
        }
        let (asked, used) = (usage(&resource, object), used(snapshot, quota));
        let over: Vec<(&String, Quantity)> = asked
            .iter()
            .filter(|(_, amount)| **amount > Quantity::whole(0))
            .filter(|(name, amount)| hard.get(*name).is_some_and(|most| used[*name].plus(**amount) > *most))
            .map(|(name, amount)| (name, *amount))
            .collect();
        if over.is_empty() {
            continue;
        }
        let list = |of: &dyn Fn(&String) -> Quantity| {
            over.iter().map(|(name, _)| format!("{name}={}", of(name))).collect::<Vec<_>>().join(",")
        };
        return refuse(&format!(
            "exceeded quota: {}, requested: {}, used: {}, limited: {}",
            quota.name(),
            list(&|name| asked[name]),
            list(&|name| used[name]),
            list(&|name| hard[name]),
        ));
    }
    Ok(())
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
