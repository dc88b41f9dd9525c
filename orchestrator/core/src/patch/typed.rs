//! An applied configuration against its type. Server-side apply takes apart only what fits: a field that the type does not
//! declare, a value of another type or an item that cannot be told from others fails the request, whatever its
//! `fieldValidation` says.

use super::field_set::printed;
use super::structure::Shape;
use crate::schema::{Field, FieldType, Type};
use peapod_api::Error;
use serde_json::Value;
use std::collections::HashSet;

/// Most faults that are named to a client.
const MAX_FAULTS: usize = 100;

/// Checks a configuration that is to be applied to an object of `ty`. Errors: 500 without a reason, as Kubernetes answers;
/// the message names the object and the paths.
pub fn check(ty: &Type, config: &Value) -> Result<(), Error> {
    let faults = faults(ty, config);
    let list = match faults.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let [namespace, name] = ["namespace", "name"].map(|field| text(&config["metadata"][field]));
    let api_version = text(&config["apiVersion"]);
    let slash = if api_version.contains('/') { "" } else { "/" };
    let kind = format!("{slash}{api_version}, Kind={}", text(&config["kind"]));
    let why = format!("failed to create typed patch object ({namespace}/{name}; {kind}): {list}");
    Err(Error::answered(500, "", why))
}

/// What does not fit, each with its path.
fn faults(ty: &Type, config: &Value) -> Vec<String> {
    let mut walk = Walk::default();
    walk.object(ty, config, false);
    walk.faults.truncate(MAX_FAULTS);
    walk.faults
}

#[derive(Default)]
struct Walk {
    path: String,
    faults: Vec<String>,
}

impl Walk {
    fn fault(&mut self, why: &str) {
        let colon = if self.path.is_empty() { "" } else { ": " };
        self.faults.push(format!("{}{colon}{why}", self.path));
    }

    fn below(&mut self, element: &str, inner: impl FnOnce(&mut Walk)) {
        let before = self.path.len();
        self.path.push_str(element);
        inner(self);
        self.path.truncate(before);
    }

    /// `open`: what is not declared is allowed, here and further below.
    fn object(&mut self, ty: &Type, value: &Value, open: bool) {
        let Some(map) = self.expect(value, Value::as_object, "map") else { return };
        let open = open || ty.open;
        for (name, value) in map {
            self.below(&format!(".{name}"), |walk| match ty.field(name) {
                Some(field) => walk.field(field, value, open),
                None if open || ty.fields.is_empty() => {}
                None => walk.fault("field not declared in schema"),
            });
        }
    }

    fn field(&mut self, field: &Field, value: &Value, open: bool) {
        match &field.kind {
            FieldType::List(item) => self.list(Shape::of_field(field), item, value, open),
            kind => self.value(kind, value, open),
        }
    }

    fn value(&mut self, kind: &FieldType, value: &Value, open: bool) {
        match kind {
            FieldType::Object(reference) => self.object(reference.get(), value, open),
            FieldType::List(item) => self.list(Shape::Leaf, item, value, open),
            FieldType::Items => self.list(Shape::Leaf, &FieldType::String, value, open),
            FieldType::Map(item) => {
                for (key, value) in self.expect(value, Value::as_object, "map").into_iter().flatten() {
                    self.below(&format!(".{key}"), |walk| walk.value(item, value, open));
                }
            }
            scalar => {
                if let Some(why) = scalar_fault(scalar, value) {
                    self.fault(&why);
                }
            }
        }
    }

    fn list(&mut self, shape: Shape<'_>, item: &FieldType, value: &Value, open: bool) {
        let Some(list) = self.expect(value, Value::as_array, "list") else { return };
        let mut seen = HashSet::new();
        for (index, value) in list.iter().enumerate() {
            let element = match shape.is_list().then(|| element(shape, value)) {
                None => format!("[{index}]"),
                Some(Ok(element)) => element,
                // What comes after an item without a name cannot be told apart either.
                Some(Err(why)) => return self.fault(&format!("element {index}: {why}")),
            };
            if !seen.insert(element.clone()) {
                self.fault(&format!("duplicate entries for key {element}"));
            }
            self.below(&element, |walk| walk.value(item, value, open));
        }
    }

    /// The value as what is expected of it. Null stands for an empty one.
    fn expect<'v, T>(&mut self, value: &'v Value, read: fn(&'v Value) -> Option<T>, what: &str) -> Option<T> {
        let read = read(value);
        if read.is_none() && !value.is_null() {
            self.fault(&format!("expected {what}, got &{{{}}}", go_text(value)));
        }
        read
    }
}

/// The path element of an item of a list whose items are told apart.
fn element(shape: Shape<'_>, item: &Value) -> Result<String, String> {
    if let Shape::Keyed(keys, _) = shape {
        match item {
            Value::Null => return Err("associative list with keys may not have a null element".into()),
            Value::Object(_) => {}
            _ => return Err("associative list with keys may not have non-map elements".into()),
        }
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        return shape.element(item).map(|element| printed(&element)).ok_or_else(|| {
            let keys = keys.join(" ");
            format!(
                "associative list with keys has an element that omits all key fields [{keys}] (and doesn't have default \
                 values for any key fields)"
            )
        });
    }
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
        _ => Ok(shape.element(item).map(|element| printed(&element)).unwrap_or_default()),
    }
}

fn scalar_fault(kind: &FieldType, value: &Value) -> Option<String> {
    let fits = match kind {
        FieldType::String | FieldType::Bytes | FieldType::Duration => value.is_string(),
        FieldType::Bool => value.is_boolean(),
        FieldType::Int32 | FieldType::Int64 | FieldType::Double => value.is_number(),
        FieldType::Time | FieldType::MicroTime | FieldType::Quantity | FieldType::IntOrString => {
            !value.is_object() && !value.is_array()
        }
        // Any value.
        _ => true,
    };
    if fits || value.is_null() {
        return None;
    }
    Some(match kind {
        FieldType::String | FieldType::Bytes | FieldType::Duration => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value))
        }
        FieldType::Bool => format!("expected boolean, got &{{{}}}", go_text(value)),
        FieldType::Int32 | FieldType::Int64 | FieldType::Double => {
            format!("expected numeric (int or float), got {}", go_type(value))
        }
        _ => format!("expected any scalar, got &{{{}}}", go_text(value)),
    })
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As Go prints it with `%v`.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// As Go prints it with `%#v`.
fn go_syntax(value: &Value) -> String {
    let type_ = go_type(value);
    match value {
        Value::Null => type_.into(),
        Value::Array(items) => {
            format!("{type_}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("{type_}{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::lookup_kind;
    use serde_json::json;

    fn of_deployment(spec: Value) -> Vec<String> {
        faults(lookup_kind("apps/v1", "Deployment").unwrap(), &json!({"apiVersion": "apps/v1", "spec": spec}))
    }

    #[test]
    fn what_no_type_declares_is_a_fault() {
        let container = |container| json!({"template": {"spec": {"containers": [container]}}});
        for (spec, wanted) in [
            (json!({"foo": 1}), ".spec.foo: field not declared in schema"),
            (
                container(json!({"name": "a", "imagee": "x"})),
                ".spec.template.spec.containers[name=\"a\"].imagee: field not declared in schema",
            ),
            (json!({"replicas": "3"}), ".spec.replicas: expected numeric (int or float), got string"),
            (json!({"paused": "yes"}), ".spec.paused: expected boolean, got &{yes}"),
            (
                json!({"selector": {"matchLabels": {"a": 1}}}),
                ".spec.selector.matchLabels.a: expected string, got &value.valueUnstructured{Value:1}",
            ),
            (json!({"template": []}), ".spec.template: expected map, got &{[]}"),
            (
                container(json!({"name": "a", "ports": {"x": "y"}})),
                ".spec.template.spec.containers[name=\"a\"].ports: expected list, got &{map[x:y]}",
            ),
            (
                container(json!({"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 80}]})),
                ".spec.template.spec.containers[name=\"a\"].ports: duplicate entries for key \
                 [containerPort=80,protocol=\"TCP\"]",
            ),
            (
                container(json!({"image": "a"})),
                ".spec.template.spec.containers: element 0: associative list with keys has an element that omits all key \
                 fields [\"name\"] (and doesn't have default values for any key fields)",
            ),
        ] {
            assert_eq!(of_deployment(spec), [wanted]);
        }
        let fine = json!({"replicas": null, "template": {"spec": {"containers": [{"name": "a", "resources":
            {"limits": {"cpu": 1, "memory": "1Mi"}}, "ports": null}]}}});
        assert_eq!(of_deployment(fine), [""; 0]);
    }

    #[test]
    fn the_object_is_named_as_it_names_itself() {
        let ty = lookup_kind("v1", "ConfigMap").unwrap();
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "d"}, "a": 1, "b": 2});
        let error = check(ty, &config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to create typed patch object (d/m; /v1, Kind=ConfigMap): errors:\n  .a: field not declared in schema\n  \
             .b: field not declared in schema"
        );
        let status = error.status();
        assert_eq!((&status["code"], &status["reason"]), (&json!(500), &Value::Null));
    }

    #[test]
    fn below_an_open_object_everything_goes() {
        let mut inner = Type::new("Inner", vec![Field::new("a", FieldType::Int64)]);
        let closed = Type::new("Closed", vec![Field::new("b", FieldType::Bool)]);
        let closed = FieldType::Object(crate::schema::TypeRef::Inline(std::sync::Arc::new(closed)));
        inner.fields.push(Field::new("closed", closed));
        let mut inner = Type::new("Inner", inner.fields);
        inner.open = true;
        let value = json!({"a": "x", "other": {"any": 1}, "closed": {"more": 1, "b": 2}});
        assert_eq!(
            faults(&inner, &value),
            [".a: expected numeric (int or float), got string", ".closed.b: expected boolean, got &{2}"]
        );
    }
}
