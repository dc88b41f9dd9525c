//! The published types, parsed one by one as they are asked for.
//!
//! `kubernetes.txt` is written by `generate.py`, which documents its format.

use super::types::{Field, FieldType, ListType, Patch, Type, TypeRef};
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

const TEXT: &str = include_str!("kubernetes.txt");
const META: &str = "meta.k8s.io/v1";

struct Entry {
    package: &'static str,
    head: &'static str,
    lines: &'static str,
    parsed: OnceLock<Type>,
}

struct Table {
    types: HashMap<String, Entry>,
    kinds: HashMap<&'static str, HashMap<&'static str, String>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| index(TEXT));

/// The type of that full name, e.g. `io.k8s.api.core.v1.Pod`.
pub fn lookup(name: &str) -> Option<&'static Type> {
    let entry = TABLE.types.get(name)?;
    Some(entry.parsed.get_or_init(|| parse(name, entry)))
}

/// Versions whose types are those of another one.
const SAME: [(&str, &str); 1] = [("authentication.k8s.io/v1beta1", "authentication.k8s.io/v1")];

/// The type of a kind, e.g. `("apps/v1", "Deployment")`. What every group has (`DeleteOptions`, `Status` …) is found
/// under any group and version.
pub fn lookup_kind(api_version: &str, kind: &str) -> Option<&'static Type> {
    let find = |group_version: &str| TABLE.kinds.get(group_version)?.get(kind);
    let same = SAME.iter().find(|(version, _)| *version == api_version);
    let api_version = same.map_or(api_version, |(_, as_in)| as_in);
    lookup(find(api_version).or_else(|| find(META))?)
}

/// Every kind of the table as (apiVersion, kind), in no particular order.
pub fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE
        .kinds
        .iter()
        .flat_map(|(group_version, kinds)| kinds.keys().map(move |kind| (*group_version, *kind)))
}

/// The full names of all types, in no particular order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.types.keys().map(String::as_str)
}

fn index(text: &'static str) -> Table {
    let mut table = Table { types: HashMap::new(), kinds: HashMap::new() };
    for section in text.split('@').filter(|section| !section.is_empty()) {
        let (head, blocks) = section.split_once('\n').unwrap_or((section, ""));
        let (package, group_version) = head.split_once(' ').unwrap_or((head, ""));
        // Blocks begin with ':' at the start of a line; a field's name never does.
        for block in blocks.trim_start_matches(':').split("\n:") {
            let (head, lines) = block.split_once('\n').unwrap_or((block, ""));
            let name = head.split(' ').next().unwrap_or(head);
            let full = format!("{package}.{name}");
            if head.split(' ').any(|word| word == "top") {
                table.kinds.entry(group_version).or_default().insert(name, full.clone());
            }
            table.types.insert(full, Entry { package, head, lines, parsed: OnceLock::new() });
        }
    }
    table
}

fn parse(name: &str, entry: &Entry) -> Type {
    let fields = entry.lines.lines().filter_map(|line| parse_field(entry.package, line)).collect();
    let mut parsed = Type::new(name, fields);
    parsed.atomic = entry.head.split(' ').any(|word| word == "atomic");
    parsed.top = entry.head.split(' ').any(|word| word == "top");
    parsed
}

fn parse_field(package: &str, line: &str) -> Option<Field> {
    let mut parts = line.split('\t');
    let (name, number, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let mut field = Field::new(name, parse_kind(package, kind));
    field.number = number.parse().ok()?;
    field.omit_empty = false;
    for flag in parts {
        match flag.split_once('=') {
            None => match flag {
                "r" => field.required = true,
                "p" => field.pointer = true,
                "o" => field.omit_empty = true,
                "z" => field.omit_zero = true,
                _ => {}
            },
            Some(("via", path)) => field.via = path.split('.').filter_map(|part| part.parse().ok()).collect(),
            Some(("list", text)) => field.list = parse_list(text),
            Some(("map", _)) => field.atomic = true,
            Some(("patch", text)) => field.patch = parse_patch(text),
            Some(("default", json)) => field.default = serde_json::from_str(json).ok(),
            Some(("enum", values)) => field.values = values.split('|').map(String::from).collect(),
            Some(_) => {}
        }
    }
    Some(field)
}

fn parse_list(text: &str) -> ListType {
    match text.split_once(':') {
        Some((_, keys)) => ListType::Map(keys.split(',').map(String::from).collect()),
        None if text == "set" => ListType::Set,
        None => ListType::Atomic,
    }
}

fn parse_patch(text: &str) -> Patch {
    let (strategies, key) = match text.split_once(':') {
        Some((strategies, key)) => (strategies, Some(key.to_string())),
        None => (text, None),
    };
    let has = |name| strategies.split(',').any(|strategy| strategy == name);
    Patch { merge: has("merge"), replace: has("replace"), retain_keys: has("retainKeys"), key }
}

fn parse_kind(package: &str, text: &str) -> FieldType {
    if let Some(item) = text.strip_prefix("[]") {
        return FieldType::List(Box::new(parse_kind(package, item)));
    }
    if let Some(item) = text.strip_prefix("{}") {
        return FieldType::Map(Box::new(parse_kind(package, item)));
    }
    if let Some(name) = text.strip_prefix('=') {
        let local = format!("{package}.{name}");
        return FieldType::Object(TypeRef::named(if name.contains('.') { name } else { &local }));
    }
    match text {
        "string" => FieldType::String,
        "int32" => FieldType::Int32,
        "int64" => FieldType::Int64,
        "bool" => FieldType::Bool,
        "double" => FieldType::Double,
        "bytes" => FieldType::Bytes,
        "time" => FieldType::Time,
        "microtime" => FieldType::MicroTime,
        "duration" => FieldType::Duration,
        "quantity" => FieldType::Quantity,
        "intorstring" => FieldType::IntOrString,
        "fieldsv1" => FieldType::FieldsV1,
        "raw" => FieldType::Raw,
        "json" => FieldType::Json,
        "schemaorbool" => FieldType::SchemaOrBool,
        "schemaorarray" => FieldType::SchemaOrArray,
        "schemaorstrings" => FieldType::SchemaOrStrings,
        "items" => FieldType::Items,
        _ => FieldType::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_parses_and_names_only_types_that_exist() {
        let mut fields = 0;
        for name in names() {
            let found = lookup(name).expect(name);
            for field in &found.fields {
                fields += 1;
                assert_eq!(found.field(&field.name).map(|f| &f.name), Some(&field.name));
                field.kind.object();
            }
            let lines = TABLE.types[name].lines;
            assert_eq!(found.fields.len(), lines.lines().count(), "{name}");
        }
        assert!(fields > 2000, "{fields}");
    }

    #[test]
    fn flags_are_read() {
        let container = lookup("io.k8s.api.core.v1.Container").unwrap();
        let ports = container.field("ports").unwrap();
        assert_eq!(ports.list, ListType::Map(vec!["containerPort".into(), "protocol".into()]));
        assert_eq!(ports.patch.key.as_deref(), Some("containerPort"));
        assert!(ports.patch.merge && !ports.required && ports.number == 6);
        let volume = lookup("io.k8s.api.core.v1.Volume").unwrap();
        assert_eq!(volume.field("emptyDir").unwrap().via, [2]);
        let port = lookup("io.k8s.api.core.v1.ContainerPort").unwrap().field("protocol").unwrap();
        assert_eq!((port.default.clone(), port.values.len()), (Some("TCP".into()), 3));
    }

    #[test]
    fn kinds_are_found_by_group_and_version() {
        assert_eq!(lookup_kind("v1", "Pod").unwrap().name, "io.k8s.api.core.v1.Pod");
        assert_eq!(lookup_kind("apps/v1", "Deployment").unwrap().short_name(), "Deployment");
        assert!(lookup_kind("apps/v1", "DeleteOptions").is_some());
        assert!(lookup_kind("apps/v1", "Pod").is_none());
        assert!(lookup_kind("v1", "Container").is_none());
    }
}
