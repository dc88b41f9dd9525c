//! What every pod gets: the limits of its namespace, a service account, a priority, and patience with nodes that do not
//! answer.

use super::{limit_range, priority};
use crate::controllers::namespace_defaults::ROOT_CA;
use crate::name;
use crate::scheduler::taint::{NOT_READY, UNREACHABLE};
use crate::snapshot::Snapshot;
use crate::strategy::pod::name_account_twice;
use crate::validation::{items, text};
use peapod_api::Error;
use serde_json::{Value, json};

const DEFAULT_ACCOUNT: &str = "default";
/// How long a pod stays on a node that is not ready or cannot be reached.
const PATIENCE_SECONDS: i64 = 300;

/// Adds what is missing. Errors: 403 for an account or a class that is not there.
pub(super) fn complete(snapshot: &Snapshot, pod: &mut Value, seed: u64) -> Result<(), Error> {
    if !pod["spec"].is_object() {
        return Ok(());
    }
    limit_range::fill_pod(snapshot, pod);
    account(snapshot, pod)?;
    mount_token(snapshot, pod, seed);
    priority::admit(snapshot, pod)?;
    tolerate(&mut pod["spec"]);
    Ok(())
}

pub(super) fn refuse(pod: &Value, why: &str) -> Error {
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

/// Where clients inside a pod look for its account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What the volume that holds it is called, up to a few characters.
const TOKEN_VOLUME: &str = "kube-api-access-";
/// How long the token counts, in seconds: as Kubernetes asks for it.
const TOKEN_SECONDS: i64 = 3607;

/// Shows token, authority and namespace to every container of a pod that asks for it, or whose account does. Few modules
/// speak to the API: unlike in Kubernetes, saying nothing means no.
fn mount_token(snapshot: &Snapshot, pod: &mut Value, seed: u64) {
    let (namespace, account) =
        (text(&pod["metadata"]["namespace"]), text(&pod["spec"]["serviceAccountName"]));
    let field = "automountServiceAccountToken";
    let of_account = || snapshot.find("serviceaccounts", namespace, account)?.value()[field].as_bool();
    if pod["spec"][field].as_bool().or_else(of_account) != Some(true) {
        return;
    }
    let known = items(&pod["spec"]["volumes"]).map(|volume| text(&volume["name"]));
    let known = known.into_iter().find(|name| name.starts_with(TOKEN_VOLUME)).map(String::from);
    let is_known = known.is_some();
    let name = known.unwrap_or_else(|| format!("{TOKEN_VOLUME}{}", name::suffix(&[&seed.to_le_bytes()], 5)));
    let mount = json!({"name": name, "mountPath": TOKEN_PATH, "readOnly": true});
    let mut is_used = false;
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            if items(&container["volumeMounts"]).any(|own| own["mountPath"] == TOKEN_PATH) {
                continue;
            }
            is_used = true;
            push(&mut container["volumeMounts"], mount.clone());
        }
    }
    if is_used && !is_known {
        push(&mut pod["spec"]["volumes"], access_volume(&name));
    }
}

fn access_volume(name: &str) -> Value {
    let namespace =
        json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}})
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => *list = [item].as_slice().into(),
    }
}

fn tolerate(spec: &mut Value) {
    let covers = |toleration: &Value, key: &str| {
        let (own, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
        (own == key || own.is_empty()) && (effect == "NoExecute" || effect.is_empty())
    };
    let missing: Vec<Value> = [NOT_READY, UNREACHABLE]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rbac::tests::put;

    /// The pod's volumes and the mounts of its container after admission.
    fn admitted(automount: Value, mut account: Value, mounts: Value) -> (Value, Value) {
        let mut snapshot = Snapshot::default();
        account["metadata"] = json!({"uid": "a"});
        put(&mut snapshot, "serviceaccounts", "d", "robot", account);
        let mut pod = json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": {
            "serviceAccountName": "robot", "automountServiceAccountToken": automount,
            "containers": [{"name": "c", "volumeMounts": mounts}]}});
        complete(&snapshot, &mut pod, 7).unwrap();
        let once = pod.clone();
        complete(&snapshot, &mut pod, 8).unwrap();
        assert_eq!(pod, once, "adding again adds nothing");
        (pod["spec"]["volumes"].clone(), pod["spec"]["containers"][0]["volumeMounts"].clone())
    }

    #[test]
    fn a_token_is_mounted_where_it_is_asked_for() {
        let own = json!({"automountServiceAccountToken": true});
        let (volumes, mounts) = admitted(Value::Null, own.clone(), Value::Null);
        let name = volumes[0]["name"].as_str().unwrap();
        assert!(name.starts_with("kube-api-access-"), "{name}");
        assert_eq!(mounts, json!([{"name": name, "mountPath": TOKEN_PATH, "readOnly": true}]));
        assert_eq!(volumes[0]["projected"]["sources"][1]["configMap"]["name"], "kube-root-ca.crt");
        assert!(admitted(true.into(), json!({}), Value::Null).0.is_array());
        let none = (Value::Null, Value::Null);
        assert_eq!(admitted(Value::Null, json!({}), Value::Null), none);
        assert_eq!(admitted(false.into(), own, Value::Null), none, "the pod has the last word");
        let taken = json!([{"name": "mine", "mountPath": TOKEN_PATH}]);
        assert_eq!(admitted(true.into(), json!({}), taken.clone()), (Value::Null, taken));
    }
}
