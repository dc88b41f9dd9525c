//! `apps`: workloads that keep pods running.

use super::*;

/// How a number of pods of one template is printed.
pub(super) fn replica_columns(selector: Column) -> Vec<Column> {
    vec![
        NAME,
        number("Desired", "spec.replicas"),
        number("Current", "status.replicas"),
        number("Ready", "status.readyReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        selector,
    ]
}

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            short_names: texts!("rs"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            fields: texts!("status.replicas"),
            columns: replica_columns(SELECTOR),
            ..row("apps", "ReplicaSet", "replicasets")
        },
        Kind {
            short_names: texts!("deploy"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            columns: vec![
                NAME,
                col("Ready", Cell::Computed("deployment.ready")),
                number("Up-to-date", "status.updatedReplicas"),
                number("Available", "status.availableReplicas"),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            ..row("apps", "Deployment", "deployments")
        },
        Kind {
            short_names: texts!("sts"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            columns: vec![NAME, col("Ready", Cell::Computed("deployment.ready")), AGE, CONTAINERS, IMAGES],
            acted_on: false,
            ..row("apps", "StatefulSet", "statefulsets")
        },
        Kind {
            short_names: texts!("ds"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                number("Desired", "status.desiredNumberScheduled"),
                number("Current", "status.currentNumberScheduled"),
                number("Ready", "status.numberReady"),
                number("Up-to-date", "status.updatedNumberScheduled"),
                number("Available", "status.numberAvailable"),
                col("Node Selector", Cell::Computed("template.node-selector")),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            acted_on: false,
            ..row("apps", "DaemonSet", "daemonsets")
        },
        Kind {
            columns: vec![
                NAME,
                col("Controller", Cell::Computed("revision.controller")),
                number("Revision", "revision"),
                AGE,
            ],
            ..row("apps", "ControllerRevision", "controllerrevisions")
        },
    ]
}
