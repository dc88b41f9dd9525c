//! Claims that name no storage class get the default one. Rule: Kubernetes, "Default StorageClass".

use crate::snapshot::Snapshot;
use crate::validation::text;
use serde_json::Value;

const CLASSES: &str = "storageclasses.storage.k8s.io";
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
/// The older way to name a class.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// Of several default classes the newest is taken, then the one whose name comes first. A claim that names the empty class
/// wants none.
pub(super) fn complete(snapshot: &Snapshot, claim: &mut Value) {
    let named = claim["spec"]["storageClassName"].is_string()
        || !text(&claim["metadata"]["annotations"][CLASS_ANNOTATION]).is_empty();
    if named || !claim["spec"].is_object() {
        return;
    }
    let is_default = |class: &Value| class["metadata"]["annotations"][IS_DEFAULT] == "true";
    let defaults = snapshot.list(CLASSES, None).filter(|class| is_default(&class.value()));
    let newest = defaults.max_by_key(|class| (class.header.created, std::cmp::Reverse(class.name())));
    if let Some(class) = newest {
        claim["spec"]["storageClassName"] = class.name().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Change;
    use peapod_api::{Draft, Key, kinds};
    use serde_json::json;
    use std::sync::Arc;

    fn world(classes: &[(&str, &str, &str)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (revision, (name, default, created)) in (1..).zip(classes) {
            let class = json!({"metadata": {"name": name, "annotations": {IS_DEFAULT: default}, "creationTimestamp": created}});
            let key = Key::new(CLASSES, "", name);
            let object = Draft::new(kinds::of_resource(CLASSES).unwrap(), key.clone(), class).at(revision);
            snapshot.apply(&Change::new(revision, key, None, Some(Arc::new(object))));
        }
        snapshot
    }

    #[test]
    fn the_newest_default_class_is_taken() {
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let snapshot =
            world(&[("a", "true", old), ("b", "true", new), ("c", "true", new), ("d", "false", new)]);
        let admitted = |snapshot: &Snapshot, spec: Value| {
            let mut claim = json!({"metadata": {"name": "x"}, "spec": spec});
            complete(snapshot, &mut claim);
            claim["spec"]["storageClassName"].take()
        };
        assert_eq!(admitted(&snapshot, json!({})), "b");
        assert_eq!(admitted(&snapshot, json!({"storageClassName": ""})), "");
        assert_eq!(admitted(&snapshot, json!({"storageClassName": "a"})), "a");
        assert_eq!(admitted(&world(&[]), json!({})), Value::Null);
    }
}
