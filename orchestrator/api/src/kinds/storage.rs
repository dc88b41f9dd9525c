//! `storage.k8s.io`.

use super::*;

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            scope: Scope::Cluster,
            columns: vec![
                NAME,
                typed("AttachRequired", "boolean", path("spec.attachRequired")),
                typed("PodInfoOnMount", "boolean", path("spec.podInfoOnMount")),
                typed("StorageCapacity", "boolean", path("spec.storageCapacity")),
                col("TokenRequests", Cell::Computed("csidriver.tokens")),
                typed("RequiresRepublish", "boolean", path("spec.requiresRepublish")),
                col("Modes", Cell::Computed("csidriver.modes")),
                AGE,
            ],
            acted_on: false,
            ..row("storage.k8s.io", "CSIDriver", "csidrivers")
        },
        Kind {
            scope: Scope::Cluster,
            columns: vec![NAME, typed("Drivers", "integer", Cell::Computed("csinode.drivers")), AGE],
            acted_on: false,
            ..row("storage.k8s.io", "CSINode", "csinodes")
        },
        Kind {
            columns: vec![
                NAME,
                col("StorageClassName", path("storageClassName")),
                col("Capacity", Cell::Computed("storagecapacity.capacity")),
            ],
            acted_on: false,
            ..row("storage.k8s.io", "CSIStorageCapacity", "csistoragecapacities")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("sc"),
            columns: vec![
                col("Name", Cell::Computed("storageclass.name")),
                col("Provisioner", path("provisioner")),
                col("ReclaimPolicy", path("reclaimPolicy")),
                col("VolumeBindingMode", path("volumeBindingMode")),
                typed("AllowVolumeExpansion", "boolean", path("allowVolumeExpansion")),
                AGE,
            ],
            acted_on: false,
            ..row("storage.k8s.io", "StorageClass", "storageclasses")
        },
        Kind {
            scope: Scope::Cluster,
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Attacher", path("spec.attacher")),
                col("PV", path("spec.source.persistentVolumeName")),
                col("Node", path("spec.nodeName")),
                typed("Attached", "boolean", path("status.attached")),
                AGE,
            ],
            acted_on: false,
            ..row("storage.k8s.io", "VolumeAttachment", "volumeattachments")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("vac"),
            columns: vec![
                col("Name", Cell::Computed("storageclass.name")),
                col("DriverName", path("driverName")),
                AGE,
            ],
            acted_on: false,
            ..row("storage.k8s.io", "VolumeAttributesClass", "volumeattributesclasses")
        },
    ]
}
