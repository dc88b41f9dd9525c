//! Classes that claims, volumes and Ingresses name, by a field or by the annotation that came before it, and which one is taken
//! where none is named. Rules: Kubernetes, "Default StorageClass" and "Default IngressClass".

use crate::snapshot::Snapshot;
use crate::validation::text;
use serde_json::Value;
use std::cmp::Reverse;

/// How objects name their class.
pub(crate) struct Classes {
    resource: &'static str,
    /// Of the object's spec.
    field: &'static str,
    /// Of the object: the older way to name a class.
    pub(crate) annotation: &'static str,
    /// Of a class: each of them with the value `true` makes it the default one.
    is_default: &'static [&'static str],
    /// Whether the annotation counts where the field says something else.
    annotation_first: bool,
}

/// Of claims and volumes.
pub(crate) static STORAGE: Classes = Classes {
    resource: "storageclasses.storage.k8s.io",
    field: "storageClassName",
    annotation: "volume.beta.kubernetes.io/storage-class",
    is_default: &[
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ],
    annotation_first: true,
};

/// Of Ingresses.
pub(crate) static INGRESS: Classes = Classes {
    resource: "ingressclasses.networking.k8s.io",
    field: "ingressClassName",
    annotation: "kubernetes.io/ingress.class",
    is_default: &["ingressclass.kubernetes.io/is-default-class"],
    annotation_first: false,
};

impl Classes {
    /// The class that the object names. An empty name is one too: it says that none is wanted.
    pub(crate) fn named<'a>(&self, object: &'a Value) -> Option<&'a str> {
        let old = object["metadata"]["annotations"][self.annotation].as_str();
        let new = object["spec"][self.field].as_str();
        if self.annotation_first { old.or(new) } else { new.or(old) }
    }

    /// Whether the class is taken where none is named.
    pub(crate) fn is_default(&self, class: &Value) -> bool {
        let annotations = &class["metadata"]["annotations"];
        self.is_default.iter().any(|key| text(&annotations[*key]) == "true")
    }

    /// Names the default class in an object that names none. Of several the newest is taken, then the one whose name comes
    /// first.
    pub(crate) fn complete(&self, snapshot: &Snapshot, object: &mut Value) {
        if self.named(object).is_some() || !object["spec"].is_object() {
            return;
        }
        let defaults = snapshot.list(self.resource, None).filter(|class| self.is_default(&class.value()));
        let newest = defaults.max_by_key(|class| (class.header.created, Reverse(class.name())));
        if let Some(class) = newest {
            object["spec"][self.field] = class.name().into();
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

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-02-01T00:00:00Z";

    fn world(classes: &Classes, all: &[(&str, Value, &str)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (revision, (name, annotations, created)) in (1..).zip(all) {
            let class =
                json!({"metadata": {"name": name, "annotations": annotations, "creationTimestamp": created}});
            let key = Key::new(classes.resource, "", name);
            let kind = kinds::of_resource(classes.resource).unwrap();
            let object = Draft::new(kind, key.clone(), class).at(revision);
            snapshot.apply(&Change::new(revision, key, None, Some(Arc::new(object))));
        }
        snapshot
    }

    fn completed(classes: &Classes, snapshot: &Snapshot, annotations: Value, spec: Value) -> Value {
        let mut object = json!({"metadata": {"name": "x", "annotations": annotations}, "spec": spec});
        classes.complete(snapshot, &mut object);
        object["spec"][classes.field].take()
    }

    #[test]
    fn the_newest_default_class_is_taken() {
        for classes in [&STORAGE, &INGRESS] {
            let mark = |is: &str| json!({ classes.is_default[0]: is });
            let all = [
                ("a", mark("true"), OLD),
                ("b", mark("true"), NEW),
                ("c", mark("true"), NEW),
                ("d", mark("false"), NEW),
            ];
            let snapshot = world(classes, &all);
            let admitted = |annotations: Value, spec: Value| completed(classes, &snapshot, annotations, spec);
            assert_eq!(admitted(json!(null), json!({})), "b");
            assert_eq!(admitted(json!(null), json!({ classes.field: "" })), "");
            assert_eq!(admitted(json!(null), json!({ classes.field: "a" })), "a");
            for named in ["", "a"] {
                assert_eq!(admitted(json!({ classes.annotation: named }), json!({})), Value::Null);
            }
            assert_eq!(completed(classes, &world(classes, &[]), json!(null), json!({})), Value::Null);
        }
    }

    #[test]
    fn the_beta_annotation_makes_a_default_storage_class_too() {
        let beta = json!({"storageclass.beta.kubernetes.io/is-default-class": "true"});
        let snapshot = world(&STORAGE, &[("slow", json!(null), NEW), ("fast", beta, OLD)]);
        assert_eq!(completed(&STORAGE, &snapshot, json!(null), json!({})), "fast");
    }

    #[test]
    fn a_claims_annotation_counts_before_its_field_and_an_ingresses_after_it() {
        let object = |classes: &Classes| {
            json!({"metadata": {"annotations": {classes.annotation: "old"}},
            "spec": {classes.field: "new"}})
        };
        assert_eq!(STORAGE.named(&object(&STORAGE)), Some("old"));
        assert_eq!(INGRESS.named(&object(&INGRESS)), Some("new"));
    }
}
