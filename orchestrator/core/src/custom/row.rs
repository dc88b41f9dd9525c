//! Rows of the kinds table made of a definition, one a version.

use super::{Custom, ScalePaths};
use crate::validation::{items, text};
use peapod_api::kind::{Cell, Column, Nature};
use peapod_api::{JsonPath, Kind, Scope, Subresource};
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::{Arc, OnceLock};

/// Every version of a definition, by Kubernetes' priority: stable before beta before alpha, newer before older.
/// `stored` are the versions in which objects may be stored.
pub(super) fn versions(spec: &Value, names: &Value, stored: &Value, since: u64) -> Vec<Arc<Custom>> {
    let storage = items(&spec["versions"]).find(|version| version["storage"] == true);
    let storage = storage.map_or("", |version| text(&version["name"]));
    let only_version = items(stored).all(|version| version == storage);
    let custom = |version: &Value| {
        Arc::new(Custom {
            kind: kind(spec, names, version),
            scale: scale(&version["subresources"]["scale"]),
            published: version["schema"]["openAPIV3Schema"].clone(),
            served: version["served"] == true,
            stored_as: format!("{}/{storage}", text(&spec["group"])),
            since,
            only_version,
            compiled: OnceLock::new(),
        })
    };
    let mut versions: Vec<Arc<Custom>> = items(&spec["versions"]).map(custom).collect();
    versions.sort_by_key(|custom| Reverse(priority(&custom.kind.version)));
    versions
}

/// What versions are compared by: `v2` > `v1` > `v2beta1` > `v1alpha3` > anything else, in the order of the alphabet.
pub(crate) fn priority(version: &str) -> (u8, u32, u32, Reverse<String>) {
    let other = (0, 0, 0, Reverse(version.to_string()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (Ok(major), tail) = (rest[..end].parse::<u32>(), &rest[end..]) else { return other };
    let minor = |name: &str| tail.strip_prefix(name)?.parse::<u32>().ok();
    match (tail, minor("beta"), minor("alpha")) {
        ("", ..) => (3, major, 0, Reverse(String::new())),
        (_, Some(minor), _) => (2, major, minor, Reverse(String::new())),
        (_, _, Some(minor)) => (1, major, minor, Reverse(String::new())),
        _ => other,
    }
}

fn owned(value: &Value) -> Cow<'static, str> {
    Cow::Owned(text(value).to_string())
}

fn kind(spec: &Value, names: &Value, version: &Value) -> Kind {
    Kind {
        group: owned(&spec["group"]),
        version: owned(&version["name"]),
        kind: owned(&names["kind"]),
        plural: owned(&names["plural"]),
        singular: owned(&names["singular"]),
        short_names: items(&names["shortNames"]).map(owned).collect(),
        categories: items(&names["categories"]).map(owned).collect(),
        scope: if spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        subresources: subresources(&version["subresources"]),
        fields: fields(spec),
        columns: columns(&version["additionalPrinterColumns"]),
        acted_on: true,
        deprecation: deprecation(spec, names, version).into(),
        nature: Nature::Stored,
        custom: true,
    }
}

fn subresources(value: &Value) -> Vec<Subresource> {
    let all = [("status", Subresource::Status), ("scale", Subresource::Scale)];
    all.into_iter().filter(|(name, _)| value[name].is_object()).map(|(_, sub)| sub).collect()
}

fn scale(value: &Value) -> Option<ScalePaths> {
    let path = |name: &str| value[name].as_str().map(String::from);
    Some(ScalePaths {
        spec_replicas: path("specReplicasPath")?,
        status_replicas: path("statusReplicasPath")?,
        label_selector: path("labelSelectorPath").filter(|path| !path.is_empty()),
    })
}

fn deprecation(spec: &Value, names: &Value, version: &Value) -> String {
    if version["deprecated"] != true {
        return String::new();
    }
    let own = version["deprecationWarning"].as_str().map(String::from);
    let (group, kind) = (text(&spec["group"]), text(&names["kind"]));
    own.unwrap_or_else(|| format!("{group}/{} {kind} is deprecated", text(&version["name"])))
}

/// The selectable fields of all versions: an object is stored once for all of them.
fn fields(spec: &Value) -> Vec<Cow<'static, str>> {
    let mut fields: Vec<Cow<'static, str>> = Vec::new();
    for field in items(&spec["versions"]).flat_map(|version| items(&version["selectableFields"])) {
        let path = Cow::Owned(text(&field["jsonPath"]).trim_start_matches('.').to_string());
        if !fields.contains(&path) {
            fields.push(path);
        }
    }
    fields
}

fn columns(value: &Value) -> Vec<Column> {
    let plain = |name, type_, cell| Column {
        name: Cow::Borrowed(name),
        type_: Cow::Borrowed(type_),
        format: Cow::Borrowed(""),
        description: Cow::Borrowed(""),
        priority: 0,
        cell,
    };
    let name = plain("Name", "string", Cell::Name);
    if items(value).next().is_none() {
        return vec![name, plain("Age", "date", Cell::Age)];
    }
    let own = items(value).filter_map(|column| {
        Some(Column {
            name: owned(&column["name"]),
            type_: owned(&column["type"]),
            format: owned(&column["format"]),
            description: match text(&column["description"]) {
                "" => Cow::Owned(format!("The value at {}", text(&column["jsonPath"]))),
                description => Cow::Owned(description.into()),
            },
            priority: column["priority"]
                .as_u64()
                .map_or(0, |priority| u8::try_from(priority).unwrap_or(u8::MAX)),
            cell: Cell::JsonPath(JsonPath::parse(text(&column["jsonPath"])).ok()?),
        })
    });
    std::iter::once(name).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::priority;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut versions =
            ["foo10", "v1alpha2", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v1", "v2", "v10", "foo1"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        let expected =
            ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v1alpha2", "foo1", "foo10"];
        assert_eq!(versions, expected);
    }
}
