//! What a workload, or a custom resource, looks like as `autoscaling/v1 Scale`.

use crate::custom::ScalePaths;
use crate::patch::merge;
use crate::served::Served;
use crate::validation::{items, text};
use peapod_api::meta;
use serde_json::{Value, json};

/// Where the wanted number of replicas stands, field by field.
pub fn replicas_path(kind: &Served) -> Vec<String> {
    let path =
        kind.custom().and_then(|custom| custom.scale.as_ref()).map(|paths| paths.spec_replicas.as_str());
    let path = path.unwrap_or(".spec.replicas");
    path.trim_start_matches('.').split('.').map(String::from).collect()
}

/// `replicas` where an object of the kind has them, in an object that has nothing else.
pub fn nested(path: &[String], replicas: i64) -> Value {
    path.iter().rev().fold(replicas.into(), |value: Value, name| json!({ name: value }))
}

/// `object` with as many replicas as `scale` asks for.
pub fn with_scale(kind: &Served, object: &mut Value, scale: &Value) {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if let Ok(scaled) = merge::apply(object, &nested(&replicas_path(kind), replicas)) {
        *object = scaled;
    }
}

/// The Scale of an object of a kind that has one.
pub fn scale_of(kind: &Served, object: &Value) -> Value {
    let mut scale = scale_of_workload(object);
    if let Some(paths) = kind.custom().and_then(|custom| custom.scale.as_ref()) {
        read_paths(&mut scale, object, paths);
    }
    scale
}

fn read_paths(scale: &mut Value, object: &Value, paths: &ScalePaths) {
    let at = |path: &str| meta::at(object, path.trim_start_matches('.'));
    let count = |path: &str| at(path).and_then(Value::as_i64).unwrap_or(0);
    scale["spec"]["replicas"] = count(&paths.spec_replicas).into();
    scale["status"] = json!({ "replicas": count(&paths.status_replicas) });
    if let Some(selector) = paths.label_selector.as_deref().and_then(at).and_then(Value::as_str) {
        scale["status"]["selector"] = selector.into();
    }
}

fn scale_of_workload(workload: &Value) -> Value {
    let from = &workload["metadata"];
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !from[field].is_null() {
            metadata.insert(field.into(), from[field].clone());
        }
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": workload["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {
            "replicas": workload["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector_text(&workload["spec"]["selector"]),
        },
    })
}

/// A label selector as it stands in a query. That of a ReplicationController is a map of labels alone.
fn selector_text(selector: &Value) -> String {
    let is_structured = selector["matchLabels"].is_object() || selector["matchExpressions"].is_array();
    let equal = if is_structured { &selector["matchLabels"] } else { selector };
    let equal = equal.as_object().into_iter().flatten();
    let mut terms: Vec<String> = equal.map(|(key, value)| format!("{key}={}", text(value))).collect();
    for expression in items(&selector["matchExpressions"]) {
        let key = text(&expression["key"]);
        let values = items(&expression["values"]).map(text).collect::<Vec<_>>().join(",");
        terms.push(match text(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_string(),
            _ => format!("!{key}"),
        });
    }
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_as_a_scale() {
        let deployment = json!({"metadata": {"name": "web", "namespace": "d", "labels": {"a": "b"}, "resourceVersion": "7"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"},
                "matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["x", "y"]}, {"key": "u", "operator": "Exists"}]}},
            "status": {"replicas": 2}});
        assert_eq!(
            scale_of_workload(&deployment),
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "web", "namespace": "d", "resourceVersion": "7"}, "spec": {"replicas": 3},
                "status": {"replicas": 2, "selector": "app=web,t notin (x,y),u"}})
        );
    }
}
