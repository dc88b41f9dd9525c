//! Namespaces: phase and the finalizer that the namespace controller removes once nothing is left inside.

use super::{PLAIN, Strategy};
use crate::validation::names::NameRule;
use crate::validation::status;
use serde_json::{Value, json};

pub(super) static STRATEGY: Strategy = Strategy {
    name: NameRule::Label,
    prepare_create: |namespace| {
        namespace["status"] = json!({"phase": "Active"});
        namespace["spec"] = json!({"finalizers": ["kubernetes"]});
        label(namespace);
    },
    prepare_update: |new, old| {
        new["spec"] = old["spec"].clone();
        label(new);
    },
    validate_status: status::namespace,
    ..PLAIN
};

/// Every namespace can be selected by its name.
fn label(namespace: &mut Value) {
    let Some(metadata) = namespace["metadata"].as_object_mut() else { return };
    let Some(name) = metadata.get("name").cloned() else { return };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".into(), name);
    }
}
