//! Fields of a pod's volumes.

use super::Verdict::{self, Honoured, Refused, Warned};
use super::{Row, but, row};

const NO_DRIVER: Verdict = Refused("this volume type is not supported; use emptyDir, configMap or secret");
const NOT_PROJECTED: Verdict =
    Refused("projected volumes are not supported; use configMap and secret volumes");

pub(super) static ROWS: &[Row] = &[
    row("Volume", "name", Honoured),
    row("Volume", "emptyDir", Honoured),
    row("Volume", "configMap", Honoured),
    row("Volume", "secret", Honoured),
    row(
        "Volume",
        "hostPath",
        Refused("pods have no access to the node's files; use emptyDir, configMap or secret"),
    ),
    row("Volume", "gcePersistentDisk", NO_DRIVER),
    row("Volume", "awsElasticBlockStore", NO_DRIVER),
    row("Volume", "gitRepo", NO_DRIVER),
    row("Volume", "nfs", NO_DRIVER),
    row("Volume", "iscsi", NO_DRIVER),
    row("Volume", "glusterfs", NO_DRIVER),
    row("Volume", "persistentVolumeClaim", Refused("persistent volumes are not supported")),
    row("Volume", "rbd", NO_DRIVER),
    row("Volume", "flexVolume", NO_DRIVER),
    row("Volume", "cinder", NO_DRIVER),
    row("Volume", "cephfs", NO_DRIVER),
    row("Volume", "flocker", NO_DRIVER),
    row("Volume", "downwardAPI", Refused("downwardAPI volumes are not supported; use env with fieldRef")),
    row("Volume", "fc", NO_DRIVER),
    row("Volume", "azureFile", NO_DRIVER),
    row("Volume", "vsphereVolume", NO_DRIVER),
    row("Volume", "quobyte", NO_DRIVER),
    row("Volume", "azureDisk", NO_DRIVER),
    row("Volume", "photonPersistentDisk", NO_DRIVER),
    row("Volume", "projected", NOT_PROJECTED),
    row("Volume", "portworxVolume", NO_DRIVER),
    row("Volume", "scaleIO", NO_DRIVER),
    row("Volume", "storageos", NO_DRIVER),
    row("Volume", "csi", NO_DRIVER),
    row("Volume", "ephemeral", NO_DRIVER),
    row("Volume", "image", Refused("image volumes are not supported")),
    but(
        "EmptyDirVolumeSource",
        "medium",
        Warned("has no effect: the volume is a directory on the node"),
        &["\"\""],
    ),
    row("EmptyDirVolumeSource", "sizeLimit", Warned("has no effect: the size of the volume is not limited")),
    row("ConfigMapVolumeSource", "name", Honoured),
    row("ConfigMapVolumeSource", "items", Honoured),
    row("ConfigMapVolumeSource", "defaultMode", Honoured),
    row("ConfigMapVolumeSource", "optional", Honoured),
    row("SecretVolumeSource", "secretName", Honoured),
    row("SecretVolumeSource", "items", Honoured),
    row("SecretVolumeSource", "defaultMode", Honoured),
    row("SecretVolumeSource", "optional", Honoured),
    row("KeyToPath", "key", Honoured),
    row("KeyToPath", "path", Honoured),
    row("KeyToPath", "mode", Honoured),
];
