//! LimitRanges: what containers get that ask for nothing, and how much they and their pods may ask for.
//! Rule: Kubernetes, "Limit Ranges".

use crate::quota::{Amounts, total};
use crate::snapshot::Snapshot;
use crate::strategy::pod::qos_class;
use crate::validation::{items, quantity, text};
use peapod_api::{Error, Quantity};
use serde_json::{Map, Value};

const RESOURCE: &str = "limitranges";
/// Where it is written down what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const LISTS: [(&str, &str); 2] = [("initContainers", "init container"), ("containers", "container")];

/// The limits of the namespace for objects of `type_`.
fn limits(snapshot: &Snapshot, namespace: &str, type_: &str) -> Vec<Value> {
    let ranges = snapshot.list(RESOURCE, Some(namespace)).map(|range| range.value());
    let limits = ranges.flat_map(|range| items(&range["spec"]["limits"]).cloned().collect::<Vec<_>>());
    limits.filter(|limit| limit["type"] == type_).collect()
}

/// Fills in what a new pod's containers do not say.
pub(super) fn fill_pod(snapshot: &Snapshot, pod: &mut Value) {
    let container_limits = limits(snapshot, text(&pod["metadata"]["namespace"]), "Container");
    fill(pod, &container_limits);
}

/// Judges a new pod, whose class is that of what was filled in. Errors: 403 with all that is beyond the limits.
pub(super) fn admit_pod(snapshot: &Snapshot, pod: &mut Value) -> Result<(), Error> {
    let namespace = text(&pod["metadata"]["namespace"]).to_string();
    if snapshot.list(RESOURCE, Some(&namespace)).next().is_none() {
        return Ok(());
    }
    pod["status"]["qosClass"] = qos_class(&pod["spec"]).into();
    let container_limits = limits(snapshot, &namespace, "Container");
    let mut faults = Vec::new();
    for container in LISTS.iter().flat_map(|(list, _)| items(&pod["spec"][*list])) {
        let asked = Asked::of(&container["resources"]);
        container_limits.iter().for_each(|limit| judge("Container", limit, &asked, &mut faults));
    }
    let whole = Asked::of_pod(&pod["spec"]);
    limits(snapshot, &namespace, "Pod").iter().for_each(|limit| judge("Pod", limit, &whole, &mut faults));
    refuse("pods", pod, &faults)
}

/// Judges a claim that is created or changed. Errors: 403.
pub(super) fn admit_claim(snapshot: &Snapshot, claim: &Value) -> Result<(), Error> {
    const TYPE: &str = "PersistentVolumeClaim";
    let limits = limits(snapshot, text(&claim["metadata"]["namespace"]), TYPE);
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    let asked = Asked { limits: requests.clone(), requests };
    let mut faults = Vec::new();
    limits.iter().for_each(|limit| judge(TYPE, limit, &asked, &mut faults));
    refuse("persistentvolumeclaims", claim, &faults)
}

fn refuse(resource: &str, object: &Value, faults: &[String]) -> Result<(), Error> {
    let metadata = &object["metadata"];
    let name = if text(&metadata["name"]).is_empty() { "generateName" } else { "name" };
    match faults {
        [] => Ok(()),
        [one] => Err(Error::forbidden(resource, text(&metadata[name]), one)),
        all => Err(Error::forbidden(resource, text(&metadata[name]), &format!("[{}]", all.join(", ")))),
    }
}

fn amounts(list: &Value) -> Amounts {
    let entries = list.as_object().into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.clone(), quantity(amount)?))).collect()
}

/// What a container or a pod asks for.
struct Asked {
    requests: Amounts,
    limits: Amounts,
}

impl Asked {
    fn of(resources: &Value) -> Asked {
        Asked { requests: amounts(&resources["requests"]), limits: amounts(&resources["limits"]) }
    }

    fn of_pod(spec: &Value) -> Asked {
        Asked { requests: total(spec, "requests"), limits: total(spec, "limits") }
    }
}

/// Fills in default limits and requests, and writes down what was filled in.
fn fill(pod: &mut Value, limits: &[Value]) {
    let mut told = Vec::new();
    for (list, called) in LISTS {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = text(&container["name"]).to_string();
            for (half, default, what) in
                [("requests", "defaultRequest", "request"), ("limits", "default", "limit")]
            {
                let set = fill_half(container, half, limits.iter().map(|limit| &limit[default]));
                if !set.is_empty() {
                    told.push(format!("{} {what} for {called} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] =
            format!("LimitRanger plugin set: {}", told.join("; ")).into();
    }
}

fn fill_half<'a>(
    container: &mut Value,
    half: &str,
    defaults: impl Iterator<Item = &'a Value>,
) -> Vec<String> {
    let mut set = Vec::new();
    for (name, amount) in defaults.flat_map(|list| list.as_object().into_iter().flatten()) {
        if container["resources"][half][name].is_null() {
            let Some(resources) = container["resources"].as_object_mut() else { continue };
            let half = resources.entry(half).or_insert_with(|| Value::Object(Map::new()));
            half[name] = amount.clone();
            set.push(name.clone());
        }
    }
    set
}

fn judge(type_: &str, limit: &Value, asked: &Asked, faults: &mut Vec<String>) {
    for (name, least) in amounts(&limit["min"]) {
        let head = format!("minimum {name} usage per {type_} is {least}");
        match (asked.requests.get(&name), asked.limits.get(&name)) {
            (None, _) => faults.push(format!("{head}.  No request is specified")),
            (_, Some(limit)) if *limit < least => faults.push(format!("{head}, but limit is {limit}")),
            (Some(request), _) if *request < least => {
                faults.push(format!("{head}, but request is {request}"))
            }
            _ => {}
        }
    }
    for (name, most) in amounts(&limit["max"]) {
        let head = format!("maximum {name} usage per {type_} is {most}");
        match (asked.requests.get(&name), asked.limits.get(&name)) {
            (_, None) => faults.push(format!("{head}.  No limit is specified")),
            (_, Some(limit)) if *limit > most => faults.push(format!("{head}, but limit is {limit}")),
            (Some(request), _) if *request > most => faults.push(format!("{head}, but request is {request}")),
            _ => {}
        }
    }
    for (name, ratio) in amounts(&limit["maxLimitRequestRatio"]) {
        let head = format!("{name} max limit to request ratio per {type_} is {ratio}");
        let milli = |amounts: &Amounts| amounts.get(&name).map(Quantity::milli).filter(|amount| *amount > 0);
        match (milli(&asked.requests), milli(&asked.limits)) {
            (None, _) => faults.push(format!("{head}, but no request is specified or request is 0")),
            (_, None) => faults.push(format!("{head}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                // Of numbers below 2^53 nothing is lost; beyond, a ratio is not more exact than its printed form.
                let found = limit as f64 / request as f64;
                if found > ratio.milli() as f64 / 1000.0 {
                    faults.push(format!("{head}, but provided ratio is {found:.6}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Change;
    use peapod_api::{Draft, Key, kinds};
    use serde_json::json;
    use std::sync::Arc;

    fn world(limits: Value) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let range = json!({"metadata": {"name": "r", "namespace": "d"}, "spec": {"limits": limits}});
        let key = Key::new(RESOURCE, "d", "r");
        let object = Draft::new(kinds::of_resource(RESOURCE).unwrap(), key.clone(), range).at(1);
        snapshot.apply(&Change::new(1, key, None, Some(Arc::new(object))));
        snapshot
    }

    fn admitted(limits: Value, resources: Value) -> Result<Value, String> {
        let mut pod = json!({"metadata": {"name": "p", "namespace": "d"},
            "spec": {"containers": [{"name": "a", "resources": resources}]}});
        let world = world(limits);
        fill_pod(&world, &mut pod);
        let once = pod.clone();
        fill_pod(&world, &mut pod);
        assert_eq!(pod, once, "filling in again adds nothing");
        admit_pod(&world, &mut pod).map(|()| pod).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_filled_in_and_told() {
        let limits = json!([{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "500m", "memory": "1Mi"}}]);
        let pod = admitted(limits.clone(), json!({})).unwrap();
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"requests": {"cpu": "500m", "memory": "1Mi"}, "limits": {"cpu": "1"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu, memory request for container a; cpu limit for container a"
        );
        let own = json!({"requests": {"cpu": "2", "memory": "2Mi"}, "limits": {"cpu": "2"}});
        let pod = admitted(limits, own.clone()).unwrap();
        assert_eq!(pod["spec"]["containers"][0]["resources"], own);
        assert!(pod["metadata"]["annotations"].is_null());
    }

    #[test]
    fn what_is_beyond_the_limits_is_refused() {
        let container = |limit: Value| {
            let mut limit = limit;
            limit["type"] = "Container".into();
            json!([limit])
        };
        let both =
            |request: &str, limit: &str| json!({"requests": {"cpu": request}, "limits": {"cpu": limit}});
        for (limits, resources, complaint) in [
            (
                container(json!({"max": {"cpu": "1"}})),
                both("1", "2"),
                "maximum cpu usage per Container is 1, but limit is 2",
            ),
            (
                container(json!({"max": {"cpu": "1"}})),
                json!({}),
                "maximum cpu usage per Container is 1.  No limit is specified",
            ),
            (
                container(json!({"min": {"cpu": "1"}})),
                both("500m", "1"),
                "minimum cpu usage per Container is 1, but request is 500m",
            ),
            (
                container(json!({"min": {"cpu": "1"}})),
                json!({}),
                "minimum cpu usage per Container is 1.  No request is specified",
            ),
            (
                container(json!({"maxLimitRequestRatio": {"cpu": "2"}})),
                both("1", "3"),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
            (
                json!([{"type": "Pod", "max": {"cpu": "1"}}]),
                both("1", "2"),
                "maximum cpu usage per Pod is 1, but limit is 2",
            ),
            (container(json!({"max": {"cpu": "1", "memory": "1Mi"}})), json!({}), "[maximum cpu usage"),
        ] {
            let error = admitted(limits, resources).unwrap_err();
            assert!(error.starts_with("pods \"p\" is forbidden: ") && error.contains(complaint), "{error}");
        }
        let claim = json!({"metadata": {"name": "c", "namespace": "d"}, "spec": {"resources": {"requests": {"storage": "5Gi"}}}});
        let limits = json!([{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]);
        let error = admit_claim(&world(limits), &claim).unwrap_err().to_string();
        assert!(
            error.contains("maximum storage usage per PersistentVolumeClaim is 1Gi, but limit is 5Gi"),
            "{error}"
        );
    }
}
