//! What a workload looks like as `autoscaling/v1 Scale`.

use crate::validation::{items, text};
use serde_json::{Value, json};

/// The Scale of a ReplicaSet or a Deployment.
pub fn scale_of(workload: &Value) -> Value {
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
            scale_of(&deployment),
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "web", "namespace": "d", "resourceVersion": "7"}, "spec": {"replicas": 3},
                "status": {"replicas": 2, "selector": "app=web,t notin (x,y),u"}})
        );
    }
}
