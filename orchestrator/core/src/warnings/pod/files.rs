//! Files of a volume of which one takes the place of another, or would have to lie below it.

use crate::validation::{items, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// All volumes of a pod.
pub(super) fn look(volumes: &Value, out: &mut Vec<String>) {
    for volume in items(volumes) {
        let name = text(&volume["name"]);
        for (field, kind, called) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let source = &volume[field];
            let of = whose(kind, source[called].as_str());
            overlaps(&paths(source), &format!("volume {name:?} ({of}): overlapping paths"), out);
        }
        projected(name, &volume["projected"]["sources"], out);
    }
}

fn whose(kind: &str, name: Option<&str>) -> String {
    name.map_or_else(|| kind.into(), |name| format!("{kind} {name:?}"))
}

fn paths(source: &Value) -> Vec<&str> {
    items(&source["items"]).map(|item| text(&item["path"])).collect()
}

fn projected(name: &str, sources: &Value, out: &mut Vec<String>) {
    let mut all = BTreeSet::new();
    for source in items(sources) {
        if source.as_object().is_none_or(serde_json::Map::is_empty) {
            out.push(format!("volume {name:?} (Projected) has no sources provided"));
            continue;
        }
        let Some((of, own)) = projection(source) else { continue };
        let why = format!("volume {name:?} (Projected {of}): overlapping paths");
        overlaps(&own, &why, out);
        let own: BTreeSet<&str> = own.into_iter().collect();
        let mut both: Vec<&str> = own.iter().chain(&all).copied().collect();
        both.sort_unstable();
        overlaps(&both, &why, out);
        all.extend(own);
    }
}

/// What it is called and which files it makes, where it says so.
fn projection(source: &Value) -> Option<(String, Vec<&str>)> {
    let (config, secret) = (&source["configMap"], &source["secret"]);
    let (token, bundle) = (&source["serviceAccountToken"], &source["clusterTrustBundle"]);
    let found = if config["items"].is_array() {
        (whose("ConfigMap", Some(text(&config["name"]))), paths(config))
    } else if secret["items"].is_array() {
        (whose("Secret", Some(text(&secret["name"]))), paths(secret))
    } else if source["downwardAPI"]["items"].is_array() {
        ("DownwardAPI".into(), paths(&source["downwardAPI"]))
    } else if token.is_object() {
        ("ServiceAccountToken".into(), vec![text(&token["path"])])
    } else if bundle.is_object() {
        let name = bundle["name"].as_str().or(bundle["signerName"].as_str());
        (whose("ClusterTrustBundle", name), vec![text(&bundle["path"])])
    } else {
        return None;
    };
    Some(found).filter(|(_, paths)| !paths.is_empty())
}

/// Each path that is another one, or lies below or above it.
fn overlaps(paths: &[&str], why: &str, out: &mut Vec<String>) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for path in paths.iter().map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty()) {
        let above = path.match_indices('/').map(|(end, _)| &path[..end]).find(|above| seen.contains(above));
        let prefix = format!("{path}/");
        let below = seen.range(prefix.as_str()..).next().filter(|other| other.starts_with(&prefix));
        let other = seen.get(path).copied().or(above).or(below.copied());
        if let Some(other) = other {
            out.push(format!("{why}: {path:?} with {other:?}"));
        }
        seen.insert(path);
    }
}
