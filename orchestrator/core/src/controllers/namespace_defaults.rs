//! Gives every namespace what pods and clients expect in it: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::snapshot::{Change, Snapshot};
use peapod_api::{Key, Object};
use serde_json::json;

/// The ConfigMap that holds the certificate that clients trust. Its copy in `kube-system` is the original, written when
/// the server starts.
pub const ROOT_CA: &str = "kube-root-ca.crt";
/// Where the original lives.
pub const SYSTEM: &str = "kube-system";
const ACCOUNT: &str = "default";

pub(super) const CONTROLLER: Controller = Controller { name: "namespace-defaults", triggers, reconcile };

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let key = &change.key;
    let namespace = || vec![Key::new("namespaces", "", key.namespace())];
    match (key.resource(), key.name()) {
        ("namespaces", _) => vec![key.clone()],
        ("serviceaccounts", ACCOUNT) if change.after.is_none() => namespace(),
        ("configmaps", ROOT_CA) if key.namespace() == SYSTEM => {
            snapshot.list("namespaces", None).map(|namespace| namespace.key.clone()).collect()
        }
        ("configmaps", ROOT_CA) => namespace(),
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let namespace = key.name();
    if snapshot.get(key).is_none_or(|found| found.header.deleted.is_some()) {
        return Outcome::nothing();
    }
    let mut actions = Vec::new();
    if snapshot.find("serviceaccounts", namespace, ACCOUNT).is_none() {
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": namespace}});
        actions.push(Action::Create { object });
    }
    if let Some(original) = snapshot.find("configmaps", SYSTEM, ROOT_CA).filter(|_| namespace != SYSTEM) {
        actions.extend(copy(
            original,
            snapshot.find("configmaps", namespace, ROOT_CA).map(|c| &**c),
            namespace,
        ));
    }
    actions.into()
}

/// Makes the namespace's copy say what the original says.
fn copy(original: &Object, existing: Option<&Object>, namespace: &str) -> Option<Action> {
    let data = original.value()["data"].clone();
    let Some(existing) = existing else {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": ROOT_CA, "namespace": namespace}, "data": data});
        return Some(Action::Create { object });
    };
    let differs = existing.value()["data"] != data && existing.header.deleted.is_none();
    differs.then(|| Action::Patch { key: existing.key.clone(), patch: json!({"data": data}) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use peapod_api::{Draft, kinds};
    use serde_json::Value;
    use std::sync::Arc;
    use std::time::Duration;

    fn put(
        snapshot: &mut Snapshot,
        resource: &str,
        namespace: &str,
        name: &str,
        mut object: Value,
    ) -> Change {
        let key = Key::new(resource, namespace, name);
        object["metadata"] = json!({"name": name, "namespace": namespace});
        let revision = snapshot.revision() + 1;
        let after =
            Arc::new(Draft::new(kinds::of_resource(resource).unwrap(), key.clone(), object).at(revision));
        let change = Change::new(revision, key.clone(), snapshot.get(&key).cloned(), Some(after));
        snapshot.apply(&change);
        change
    }

    #[test]
    fn every_namespace_gets_its_account_and_its_certificate() {
        let mut snapshot = Snapshot::default();
        let context = Context { now: Timestamp::UNIX_EPOCH, node_grace: Duration::from_secs(40) };
        let namespace = put(&mut snapshot, "namespaces", "", "team", json!({}));
        let key = Key::new("namespaces", "", "team");
        assert_eq!(triggers(&snapshot, &namespace), std::slice::from_ref(&key));
        assert_eq!(reconcile(&snapshot, &key, &context).actions.len(), 1);
        let source = put(&mut snapshot, "configmaps", SYSTEM, ROOT_CA, json!({"data": {"ca.crt": "one"}}));
        assert_eq!(triggers(&snapshot, &source), std::slice::from_ref(&key));
        assert_eq!(reconcile(&snapshot, &key, &context).actions.len(), 2);
        put(&mut snapshot, "serviceaccounts", "team", ACCOUNT, json!({}));
        put(&mut snapshot, "configmaps", "team", ROOT_CA, json!({"data": {"ca.crt": "one"}}));
        assert_eq!(reconcile(&snapshot, &key, &context), Outcome::nothing());
        put(&mut snapshot, "configmaps", SYSTEM, ROOT_CA, json!({"data": {"ca.crt": "two"}}));
        let patch = json!({"data": {"ca.crt": "two"}});
        let key_of_copy = Key::new("configmaps", "team", ROOT_CA);
        assert_eq!(reconcile(&snapshot, &key, &context).actions, [Action::Patch { key: key_of_copy, patch }]);
    }
}
