//! Label selectors and maps of labels.

use super::{Errors, child, indexed, invalid, names, text};
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
    let (operator, values) = (text(&expression["operator"]), child(path, "values"));
    let count = expression["values"].as_array().map_or(0, Vec::len);
    match operator {
        _ if !operators.contains(&operator) => {
            let why = "not a valid selector operator";
            errors.push(FieldError::invalid(&child(path, "operator"), &expression["operator"], why));
        }
        "In" | "NotIn" if count == 0 => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&values, why));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values, why));
        }
        "Gt" | "Lt" if count != 1 => {
            let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(&values, why));
        }
        _ => {}
    }
    let key = &expression["key"];
    invalid(errors, &child(path, "key"), key, names::label_key(text(key)));
}
