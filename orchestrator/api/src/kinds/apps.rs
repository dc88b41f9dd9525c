//! `apps`: workloads that keep pods running.

use super::*;

/// How a number of pods of one template is printed; `selector` makes the last cell.
pub(super) fn replica_columns(selector: &'static str) -> Vec<Column> {
    vec![
        NAME,
        number("Desired", "spec.replicas"),
        number("Current", "status.replicas"),
        number("Ready", "status.readyReplicas"),
        AGE,
        wide("Containers", Cell::Computed("template.containers")),
        wide("Images", Cell::Computed("template.images")),
        wide("Selector", Cell::Computed(selector)),
    ]
}

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            short_names: texts!("rs"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            fields: texts!("status.replicas"),
            columns: replica_columns("spec.selector"),
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
                wide("Containers", Cell::Computed("template.containers")),
                wide("Images", Cell::Computed("template.images")),
                wide("Selector", Cell::Computed("spec.selector")),
            ],
            ..row("apps", "Deployment", "deployments")
        },
        Kind {
            short_names: texts!("sts"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status, Subresource::Scale],
            columns: vec![
                NAME,
                col("Ready", Cell::Computed("deployment.ready")),
                AGE,
                wide("Containers", Cell::Computed("template.containers")),
                wide("Images", Cell::Computed("template.images")),
            ],
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
                wide("Containers", Cell::Computed("template.containers")),
                wide("Images", Cell::Computed("template.images")),
                wide("Selector", Cell::Computed("spec.selector")),
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
