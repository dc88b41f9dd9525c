//! `events.k8s.io`: the Events of the core group under newer names.

use super::*;

/// How Events are printed, whatever their group.
pub(super) fn event_columns() -> Vec<Column> {
    vec![
        col("Last Seen", Cell::Computed("event.last-seen")),
        col("Type", path("type")),
        col("Reason", path("reason")),
        col("Object", Cell::Computed("event.object")),
        wide("Subobject", path("involvedObject.fieldPath")),
        wide("Source", Cell::Computed("event.source")),
        col("Message", path("message")),
        wide("First Seen", Cell::Computed("event.first-seen")),
        wide("Count", Cell::Computed("event.count")),
        wide("Name", Cell::Name),
    ]
}

pub(super) fn rows() -> Vec<Kind> {
    vec![Kind {
        short_names: texts!("ev"),
        fields: texts!(
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type"
        ),
        columns: event_columns(),
        ..row("events.k8s.io", "Event", "events")
    }]
}
