//! A status for any kind, made from its schema.

use peapod_api::Kind;
use peapod_core::schema::{self, FieldType, Type};
use serde_json::{Value, json};

/// Some status that a writer of `kind`'s status may write; none if the kind has none.
pub(super) fn status(kind: &Kind) -> Option<Value> {
    let ty = schema::lookup_kind(&kind.api_version(), &kind.kind)?;
    let status = ty.field("status")?.kind.object()?;
    match &*kind.plural {
        "volumeattachments" => Some(json!({"attached": true})),
        "jobs" => Some(json!({"failed": 1})),
        "cronjobs" => Some(json!({"lastScheduleTime": "2026-01-02T03:04:05Z"})),
        "ingresses" => Some(json!({"loadBalancer": {"ingress": [{"ip": "10.9.8.7"}]}})),
        "horizontalpodautoscalers" => Some(json!({"desiredReplicas": 2})),
        "resourcequotas" => Some(json!({"used": {"secrets": "7"}})),
        _ => Some(conditions(status).unwrap_or_else(|| first_text(status))),
    }
}

fn conditions(status: &Type) -> Option<Value> {
    let FieldType::List(item) = &status.field("conditions")?.kind else { return None };
    let mut condition = json!({"type": "Tested", "status": "True"});
    let item = item.object()?;
    for (field, value) in
        [("reason", "Tested"), ("message", "it was"), ("lastTransitionTime", "2026-01-02T03:04:05Z")]
    {
        if item.field(field).is_some() {
            condition[field] = value.into();
        }
    }
    Some(json!({"conditions": [condition]}))
}

fn first_text(status: &Type) -> Value {
    let is_text = |field: &&schema::Field| matches!(field.kind, FieldType::String) && field.values.is_empty();
    let field = status.fields.iter().find(is_text).expect("a status has conditions or a text");
    json!({ &field.name: "tested" })
}
