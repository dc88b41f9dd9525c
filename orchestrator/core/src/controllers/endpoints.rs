//! The older Endpoints object of each Service, for the clients that still read it.

use super::endpointslice::{self, Backend, Port};
use super::owned::map_changes;
use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::snapshot::{Change, Snapshot};
use peapod_api::{Key, Object};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const CONTROLLER: Controller = Controller { name: "endpoint", triggers, reconcile };

/// Kubernetes truncates Endpoints here.
const MAX_ADDRESSES: usize = 1000;
/// What the objects carry that follow a Service. Those that users make belong to the users.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let mut keys = endpointslice::services_of(snapshot, change);
    if change.key.resource() == "endpoints" {
        keys.push(Key::new("services", change.key.namespace(), change.key.name()));
    }
    keys
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let current = snapshot.find("endpoints", key.namespace(), key.name());
    let service = snapshot.get(key).filter(|s| s.header.deleted.is_none() && s.header.selector.is_some());
    let Some(service) = service else {
        let gone = snapshot.get(key).is_none();
        let own =
            |object: &&Arc<Object>| object.header.labels.get(MANAGED_BY).is_some_and(|by| by == MANAGER);
        let doomed = current.filter(|object| gone && own(object)).map(|object| Action::delete(object));
        return Vec::from_iter(doomed).into();
    };
    let groups = endpointslice::backends(snapshot, service);
    let subsets: Vec<Value> = groups.iter().filter_map(|(ports, backends)| subset(ports, backends)).collect();
    let subsets = if subsets.is_empty() { Value::Null } else { subsets.into() };
    let mut labels = json!(endpointslice::labels_of(service));
    labels[MANAGED_BY] = MANAGER.into();
    match current {
        Some(object) => Vec::from_iter(change(object, subsets, &labels)).into(),
        None => {
            let mut object = json!({
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": {"name": key.name(), "namespace": key.namespace(), "labels": labels},
            });
            if !subsets.is_null() {
                object["subsets"] = subsets;
            }
            vec![Action::Create { object }].into()
        }
    }
}

/// What makes the Endpoints those that are wanted: nothing if they are.
fn change(endpoints: &Object, subsets: Value, labels: &Value) -> Option<Action> {
    let (old, mut patch) = (endpoints.value(), json!({}));
    if old["subsets"] != subsets {
        patch["subsets"] = subsets;
    }
    if let Some(changes) = map_changes(&old["metadata"]["labels"], labels) {
        patch["metadata"]["labels"] = changes;
    }
    (patch != json!({})).then(|| Action::Patch { key: endpoints.key.clone(), patch })
}

/// None if all of the backends are about to go.
fn subset(ports: &[Port], backends: &BTreeMap<Key, Backend>) -> Option<Value> {
    let address =
        |backend: &Backend| json!({"ip": backend.ip, "nodeName": backend.node, "targetRef": backend.target});
    let of = |ready: bool| -> Vec<Value> {
        let wanted = backends.values().filter(|b| b.ready == ready && !b.terminating);
        wanted.take(MAX_ADDRESSES).map(address).collect()
    };
    let lists = [("addresses", of(true)), ("notReadyAddresses", of(false))];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return None;
    }
    let mut subset = json!({"ports": ports.iter().map(Port::value).collect::<Vec<_>>()});
    for (field, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        subset[field] = list.into();
    }
    Some(subset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use peapod_api::{Draft, kinds};
    use std::time::Duration;

    fn add(snapshot: &mut Snapshot, resource: &str, object: Value) -> Key {
        let key = Key::new(resource, "d", "a");
        let revision = snapshot.revision() + 1;
        let kind = kinds::of_resource(resource).unwrap();
        let object = Arc::new(Draft::new(kind, key.clone(), object).at(revision));
        snapshot.apply(&Change::new(revision, key.clone(), None, Some(object)));
        key
    }

    /// The subsets that a Service has whose one pod is `dying` or not.
    fn subsets(dying: bool) -> Value {
        let mut snapshot = Snapshot::default();
        let mut pod = json!({
            "metadata": {"name": "a", "namespace": "d", "uid": "p", "labels": {"app": "a"}},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True"}]},
        });
        if dying {
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        add(&mut snapshot, "pods", pod);
        let service = json!({"metadata": {"name": "a", "namespace": "d"},
            "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}});
        let service = add(&mut snapshot, "services", service);
        let context = Context { now: Timestamp::UNIX_EPOCH, node_grace: Duration::ZERO };
        match reconcile(&snapshot, &service, &context).actions.as_slice() {
            [Action::Create { object }] => object["subsets"].clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_what_goes_no_empty_subset_is_left() {
        assert_eq!(subsets(false)[0]["addresses"][0]["ip"], "10.0.0.1");
        assert_eq!(subsets(true), Value::Null);
    }
}
