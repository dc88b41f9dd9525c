//! Volumes, claims and classes.

use super::*;

#[test]
fn volumes_and_claims() {
    refused(
        "PersistentVolume",
        &[
            ("/spec/accessModes", json!([]), "spec.accessModes: Required value"),
            ("/spec/accessModes", json!(["Sometimes"]), "Unsupported value: \"Sometimes\""),
            ("/spec/capacity", json!({}), "spec.capacity: Required value"),
            (
                "/spec/capacity",
                json!({"cpu": "1"}),
                "spec.capacity: Unsupported value: {\"cpu\":\"1\"}: supported values: \"storage\"",
            ),
            (
                "/spec/capacity",
                json!({"storage": "0"}),
                "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
            ),
            ("/spec/hostPath", json!(null), "spec: Required value: must specify a volume type"),
            (
                "/spec/nfs",
                json!({"server": "s", "path": "/"}),
                "spec.nfs: Forbidden: may not specify more than 1 volume type",
            ),
        ],
    );
    unchangeable(
        "PersistentVolume",
        &[
            (
                "/spec/hostPath/path",
                json!("/other"),
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
            ),
            (
                "/spec/volumeMode",
                json!("Block"),
                "spec.volumeMode: Invalid value: \"Block\": field is immutable",
            ),
        ],
    );
    refused(
        "PersistentVolumeClaim",
        &[
            (
                "/spec/accessModes",
                json!([]),
                "spec.accessModes: Required value: at least 1 access mode is required",
            ),
            (
                "/spec/accessModes",
                json!(["ReadWriteOnce", "ReadWriteOncePod"]),
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            ),
            ("/spec/resources", json!({}), "spec.resources[storage]: Required value"),
            (
                "/spec/resources/requests/storage",
                json!("-1Gi"),
                "spec.resources[storage]: Invalid value: \"-1Gi\": must be greater than zero",
            ),
            ("/spec/volumeMode", json!("Odd"), "spec.volumeMode: Unsupported value: \"Odd\""),
            ("/spec/storageClassName", json!("A"), "spec.storageClassName: Invalid value: \"A\""),
        ],
    );
    let why = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    unchangeable(
        "PersistentVolumeClaim",
        &[
            ("/spec/accessModes", json!(["ReadWriteMany"]), why),
            ("/spec/resources/requests/storage", json!("2Gi"), why),
        ],
    );
    let mut bound = create(minimal("PersistentVolumeClaim")).unwrap();
    bound["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
    let resized =
        |size: &str| update(&bound, |claim| claim["spec"]["resources"]["requests"]["storage"] = size.into());
    assert!(resized("2Gi").is_ok());
    assert!(
        resized("1Mi").unwrap_err().contains(
            "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
        )
    );
}

#[test]
fn classes() {
    refused(
        "StorageClass",
        &[
            ("/provisioner", json!(""), "provisioner: Required value"),
            ("/provisioner", json!("a b"), "provisioner: Invalid value: \"a b\""),
            ("/reclaimPolicy", json!("Keep"), "reclaimPolicy: Unsupported value: \"Keep\""),
        ],
    );
    unchangeable(
        "StorageClass",
        &[
            (
                "/provisioner",
                json!("example.com/other"),
                "provisioner: Forbidden: updates to provisioner are forbidden.",
            ),
            ("/parameters", json!({"a": "b"}), "parameters: Forbidden: updates to parameters are forbidden."),
            (
                "/volumeBindingMode",
                json!("WaitForFirstConsumer"),
                "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
            ),
        ],
    );
    refused(
        "VolumeAttributesClass",
        &[
            ("/driverName", json!(""), "driverName: Required value"),
            (
                "/parameters",
                json!({}),
                "parameters: Required value: must contain at least one key/value pair",
            ),
        ],
    );
    refused(
        "VolumeAttachment",
        &[
            (
                "/spec/source",
                json!({}),
                "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            ),
            ("/spec/attacher", json!(""), "spec.attacher: Required value"),
        ],
    );
    refused(
        "PriorityClass",
        &[
            (
                "/value",
                json!(1_000_000_001),
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
            ),
            (
                "/metadata/name",
                json!("system-x"),
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class",
            ),
            ("/preemptionPolicy", json!("Maybe"), "preemptionPolicy: Unsupported value: \"Maybe\""),
        ],
    );
    unchangeable(
        "PriorityClass",
        &[
            ("/value", json!(5), "value: Forbidden: may not be changed in an update."),
            (
                "/preemptionPolicy",
                json!("Never"),
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ),
        ],
    );
    refused("RuntimeClass", &[("/handler", json!("A.b"), "handler: Invalid value: \"A.b\"")]);
    unchangeable(
        "RuntimeClass",
        &[("/handler", json!("other"), "handler: Invalid value: \"other\": field is immutable")],
    );
}
