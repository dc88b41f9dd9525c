//! Label selectors and maps of labels.

use super::{Errors, child, indexed, invalid, items, names, text};
use peapod_api::FieldError;
use serde_json::Value;

/// A map of labels: good keys, good values.
pub fn labels(errors: &mut Errors, path: &str, map: &Value) {
    for (key, value) in map.as_object().into_iter().flatten() {
        invalid(errors, path, &key.as_str().into(), names::label_key(key));
        invalid(errors, path, value, names::label_value(text(value)));
    }
}

/// A `metav1.LabelSelector`.
pub fn label_selector(errors: &mut Errors, path: &str, selector: &Value) {
    labels(errors, &child(path, "matchLabels"), &selector["matchLabels"]);
    let expressions = child(path, "matchExpressions");
    for (path, expression) in indexed(&selector["matchExpressions"], &expressions) {
        requirement(errors, &path, expression, &["In", "NotIn", "Exists", "DoesNotExist"]);
        for (path, value) in indexed(&expression["values"], &child(&path, "values")) {
            invalid(errors, &path, value, names::label_value(text(value)));
        }
    }
}

/// One requirement with a key, an operator of `operators`, and values where the operator takes them.
pub fn requirement(errors: &mut Errors, path: &str, expression: &Value, operators: &[&str]) {
    let operator = text(&expression["operator"]);
    match operator {
        _ if !operators.contains(&operator) => {
            let why = "not a valid selector operator";
            errors.push(FieldError::invalid(&child(path, "operator"), &expression["operator"], why));
        }
        "Gt" | "Lt" if items(&expression["values"]).count() != 1 => {
            let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(&child(path, "values"), why));
        }
        _ => operands(errors, path, expression),
    }
    let key = &expression["key"];
    invalid(errors, &child(path, "key"), key, names::label_key(text(key)));
}

/// Values where the operator asks for some, and none where it takes none.
pub fn operands(errors: &mut Errors, path: &str, expression: &Value) {
    let has_values = items(&expression["values"]).next().is_some();
    match text(&expression["operator"]) {
        "In" | "NotIn" if !has_values => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&child(path, "values"), why));
        }
        "Exists" | "DoesNotExist" if has_values => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&child(path, "values"), why));
        }
        _ => {}
    }
}
