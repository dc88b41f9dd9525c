//! Rows of the kinds table made of a definition, one a version.

use super::Custom;
use crate::schema::{Field, FieldType, Type};
use crate::validation::{items, text};
use peapod_api::kind::{Cell, Column};
use peapod_api::{Kind, Scope, Subresource};
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

/// Every version of a definition, by Kubernetes' priority: stable before beta before alpha, newer before older.
pub(super) fn versions(spec: &Value, names: &Value, since: u64) -> Vec<Arc<Custom>> {
    let stored = items(&spec["versions"]).find(|version| version["storage"] == true);
    let stored_as =
        format!("{}/{}", text(&spec["group"]), stored.map_or("", |version| text(&version["name"])));
    let custom = |version: &Value| {
        Arc::new(Custom {
            kind: kind(spec, names, version),
            served: version["served"] == true,
            stored_as: stored_as.clone(),
            since,
            ty: ty(spec, names, version),
        })
    };
    let mut versions: Vec<Arc<Custom>> = items(&spec["versions"]).map(custom).collect();
    versions.sort_by_key(|custom| Reverse(priority(&custom.kind.version)));
    versions
}

/// What versions are compared by: `v2` > `v1` > `v2beta1` > `v1alpha3` > anything else, in the order of the alphabet.
fn priority(version: &str) -> (u8, u32, u32, Reverse<String>) {
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
        fields: fields(version),
        columns: columns(),
        acted_on: true,
        stored: true,
    }
}

fn subresources(value: &Value) -> Vec<Subresource> {
    let all = [("status", Subresource::Status), ("scale", Subresource::Scale)];
    all.into_iter().filter(|(name, _)| value[name].is_object()).map(|(_, sub)| sub).collect()
}

fn fields(version: &Value) -> Vec<Cow<'static, str>> {
    let paths = items(&version["selectableFields"]).map(|field| text(&field["jsonPath"]));
    paths.map(|path| Cow::Owned(path.trim_start_matches('.').to_string())).collect()
}

fn columns() -> Vec<Column> {
    let column = |name, cell| Column { name: Cow::Borrowed(name), type_: "string".into(), priority: 0, cell };
    vec![column("Name", Cell::Name), column("Age", Cell::Age)]
}

fn ty(spec: &Value, names: &Value, version: &Value) -> Type {
    let name = format!("{}.{}.{}", text(&spec["group"]), text(&version["name"]), text(&names["kind"]));
    let metadata = crate::schema::object_meta();
    let mut ty = Type::new(
        name,
        vec![
            Field::new("apiVersion", FieldType::String),
            Field::new("kind", FieldType::String),
            Field::new("metadata", metadata),
        ],
    );
    ty.top = true;
    ty.open = true;
    ty
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
