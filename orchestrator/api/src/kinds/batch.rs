//! `batch` and `autoscaling`: what runs pods to an end, and how many of them there are.

use super::*;

pub(super) fn rows() -> Vec<Kind> {
    vec![
        autoscaler("v2"),
        autoscaler("v1"),
        Kind {
            short_names: texts!("cj"),
            categories: texts!("all"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Schedule", path("spec.schedule")),
                col("Timezone", Cell::Computed("cronjob.zone")),
                typed("Suspend", "boolean", Cell::Computed("cronjob.suspend")),
                typed("Active", "integer", Cell::Computed("cronjob.active")),
                col("Last Schedule", Cell::Computed("cronjob.last")),
                AGE,
                wide("Containers", Cell::Computed("cronjob.containers")),
                wide("Images", Cell::Computed("cronjob.images")),
                wide("Selector", Cell::Computed("cronjob.selector")),
            ],
            acted_on: false,
            ..row("batch", "CronJob", "cronjobs")
        },
        Kind {
            categories: texts!("all"),
            subresources: vec![Subresource::Status],
            fields: texts!("status.successful"),
            columns: vec![
                NAME,
                col("Status", Cell::Computed("job.status")),
                col("Completions", Cell::Computed("job.completions")),
                col("Duration", Cell::Computed("job.duration")),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            acted_on: false,
            ..row("batch", "Job", "jobs")
        },
    ]
}

fn autoscaler(version: &'static str) -> Kind {
    Kind {
        short_names: texts!("hpa"),
        categories: texts!("all"),
        subresources: vec![Subresource::Status],
        columns: vec![
            NAME,
            col("Reference", Cell::Computed("autoscaler.reference")),
            col("Targets", Cell::Computed("autoscaler.targets")),
            col("MinPods", Cell::Computed("autoscaler.min")),
            number("MaxPods", "spec.maxReplicas"),
            number("Replicas", "status.currentReplicas"),
            AGE,
        ],
        acted_on: false,
        version: t(version),
        ..row("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
    }
}
