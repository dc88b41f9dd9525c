//! Cells of autoscalers.

use super::cells::{NONE, list};
use serde_json::Value;

/// How many metrics a cell shows before it says `+ N more...`.
const SHOWN: usize = 2;

/// What is scaled: `Deployment/web`.
pub(super) fn reference(autoscaler: &Value) -> String {
    let part = |field: &str| autoscaler["spec"]["scaleTargetRef"][field].as_str().unwrap_or_default();
    format!("{}/{}", part("kind"), part("name"))
}

/// Each metric's current and wanted value: `cpu: 12%/80%`.
pub(super) fn targets(autoscaler: &Value) -> String {
    let current: Vec<&Value> = list(&autoscaler["status"]["currentMetrics"]).collect();
    let metrics = list(&autoscaler["spec"]["metrics"]).enumerate();
    let all: Vec<String> = metrics
        .map(|(index, spec)| metric(spec, current.get(index).copied().unwrap_or(&Value::Null)))
        .collect();
    match all.len() {
        0 => NONE.into(),
        n if n <= SHOWN => all.join(", "),
        n => format!("{} + {} more...", all[..SHOWN].join(", "), n - SHOWN),
    }
}

fn metric(spec: &Value, status: &Value) -> String {
    let source = match spec["type"].as_str() {
        Some("Resource") => "resource",
        Some("ContainerResource") => "containerResource",
        Some("Pods") => "pods",
        Some("Object") => "object",
        Some("External") => "external",
        _ => return "<unknown type>".into(),
    };
    let (target, current) = (&spec[source]["target"], &status[source]["current"]);
    let known = |value: &Value, or: &str| value.as_str().unwrap_or(or).to_string();
    let percent = |value: &Value, or: &str| value.as_i64().map_or_else(|| or.into(), |n| format!("{n}%"));
    let average = || {
        let pair = [known(&current["averageValue"], "<unknown>"), known(&target["averageValue"], "")];
        pair.join("/")
    };
    let has_average = target["averageValue"].is_string();
    match source {
        "resource" | "containerResource" => {
            let name = spec[source]["name"].as_str().unwrap_or_default();
            let pair = if has_average {
                average()
            } else {
                let now = percent(&current["averageUtilization"], "<unknown>");
                format!("{now}/{}", percent(&target["averageUtilization"], "<auto>"))
            };
            format!("{name}: {pair}")
        }
        "pods" => average(),
        _ if has_average => format!("{} (avg)", average()),
        _ => format!("{}/{}", known(&current["value"], "<unknown>"), known(&target["value"], "")),
    }
}
