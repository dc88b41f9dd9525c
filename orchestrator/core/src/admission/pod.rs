//! What every pod gets: a service account, a priority, and patience with nodes that do not answer.

use crate::snapshot::Snapshot;
use crate::strategy::pod::name_account_twice;
use crate::validation::{items, text};
use peapod_api::Error;
use serde_json::{Value, json};

const DEFAULT_ACCOUNT: &str = "default";
/// How long a pod stays on a node that is not ready or cannot be reached.
const PATIENCE_SECONDS: i64 = 300;
const CONDITIONS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// The priority classes that every cluster has.
const CLASSES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) fn admit(snapshot: &Snapshot, pod: &mut Value) -> Result<(), Error> {
    if !pod["spec"].is_object() {
        return Ok(());
    }
    account(snapshot, pod)?;
    priority(pod)?;
    tolerate(&mut pod["spec"]);
    Ok(())
}

fn refuse(pod: &Value, why: &str) -> Error {
    let metadata = &pod["metadata"];
    let name = if text(&metadata["name"]).is_empty() { "generateName" } else { "name" };
    Error::forbidden("pods", text(&metadata[name]), why)
}

fn account(snapshot: &Snapshot, pod: &mut Value) -> Result<(), Error> {
    if text(&pod["spec"]["serviceAccountName"]).is_empty() {
        pod["spec"]["serviceAccountName"] = DEFAULT_ACCOUNT.into();
        name_account_twice(&mut pod["spec"]);
    }
    let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["spec"]["serviceAccountName"]));
    // The default one comes with its namespace: where it is missing it is on its way.
    if name == DEFAULT_ACCOUNT || snapshot.find("serviceaccounts", namespace, name).is_some() {
        return Ok(());
    }
    let why =
        format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
    Err(refuse(pod, &why))
}

fn priority(pod: &mut Value) -> Result<(), Error> {
    let class = text(&pod["spec"]["priorityClassName"]);
    let value = match CLASSES.iter().find(|(name, _)| *name == class) {
        Some((_, value)) => *value,
        None if class.is_empty() => 0,
        None => return Err(refuse(pod, &format!("no PriorityClass with name {class} was found"))),
    };
    if let Some(asked) = pod["spec"]["priority"].as_i64().filter(|asked| *asked != value) {
        let why = format!(
            "the integer value of priority ({asked}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        );
        return Err(refuse(pod, &why));
    }
    pod["spec"]["priority"] = value.into();
    if pod["spec"]["preemptionPolicy"].is_null() {
        pod["spec"]["preemptionPolicy"] = "PreemptLowerPriority".into();
    }
    Ok(())
}

fn tolerate(spec: &mut Value) {
    let covers = |toleration: &Value, key: &str| {
        let (own, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
        (own == key || own.is_empty()) && (effect == "NoExecute" || effect.is_empty())
    };
    let missing: Vec<Value> = CONDITIONS
        .iter()
        .filter(|key| !items(&spec["tolerations"]).any(|toleration| covers(toleration, key)))
        .map(|key| {
            json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": PATIENCE_SECONDS})
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    match spec["tolerations"].as_array_mut() {
        Some(tolerations) => tolerations.extend(missing),
        None => spec["tolerations"] = missing.into(),
    }
}
