//! Errors of single fields, worded as Kubernetes' `field.Error`.

use crate::error::Cause;
use serde_json::Value;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Required,
    Invalid,
    TypeInvalid,
    Duplicate,
    NotSupported,
    NotFound,
    Forbidden,
    TooLong,
    TooMany,
}

/// What is wrong with one field. `Display` is `path: Fault: value: detail`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Path in Kubernetes' notation, e.g. `spec.containers[0].ports[1].hostPort`.
    pub field: String,
    fault: Fault,
    value: Option<Value>,
    detail: String,
}

impl FieldError {
    fn new(fault: Fault, field: &str, value: Option<Value>, detail: &str) -> FieldError {
        FieldError { field: field.into(), fault, value, detail: detail.into() }
    }

    /// The field is missing or empty.
    pub fn required(field: &str, detail: &str) -> FieldError {
        FieldError::new(Fault::Required, field, None, detail)
    }

    /// The value breaks a rule; `detail` says which.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> FieldError {
        FieldError::new(Fault::Invalid, field, Some(value.clone()), detail)
    }

    /// As [`FieldError::invalid`] where the value is too much to be shown.
    pub fn invalid_whole(field: &str, detail: &str) -> FieldError {
        FieldError::new(Fault::Invalid, field, None, detail)
    }

    /// The value is of another JSON type than the schema's.
    pub fn type_invalid(field: &str, value: &Value, detail: &str) -> FieldError {
        FieldError::new(Fault::TypeInvalid, field, Some(value.clone()), detail)
    }

    /// The value stands twice where it must be unique.
    pub fn duplicate(field: &str, value: &Value) -> FieldError {
        FieldError::new(Fault::Duplicate, field, Some(value.clone()), "")
    }

    /// The value is none of `supported`.
    pub fn not_supported(field: &str, value: &Value, supported: &[&str]) -> FieldError {
        let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let detail = format!("supported values: {}", list.join(", "));
        FieldError::new(Fault::NotSupported, field, Some(value.clone()), &detail)
    }

    /// The value names something that does not exist.
    pub fn not_found(field: &str, value: &Value) -> FieldError {
        FieldError::new(Fault::NotFound, field, Some(value.clone()), "")
    }

    /// The field may not be set, or not be changed, here.
    pub fn forbidden(field: &str, detail: &str) -> FieldError {
        FieldError::new(Fault::Forbidden, field, None, detail)
    }

    /// More than `max` bytes.
    pub fn too_long(field: &str, max: usize) -> FieldError {
        FieldError::new(Fault::TooLong, field, None, &format!("may not be more than {max} bytes"))
    }

    /// More than `max` items.
    pub fn too_many(field: &str, actual: usize, max: usize) -> FieldError {
        let detail = format!("must have at most {max} items");
        FieldError::new(Fault::TooMany, field, Some(actual.into()), &detail)
    }

    /// As an entry of `status.details.causes`.
    pub fn cause(&self) -> Cause {
        let reason = match self.fault {
            Fault::Required => "FieldValueRequired",
            Fault::Invalid => "FieldValueInvalid",
            Fault::TypeInvalid => "FieldValueTypeInvalid",
            Fault::Duplicate => "FieldValueDuplicate",
            Fault::NotSupported => "FieldValueNotSupported",
            Fault::NotFound => "FieldValueNotFound",
            Fault::Forbidden => "FieldValueForbidden",
            Fault::TooLong => "FieldValueTooLong",
            Fault::TooMany => "FieldValueTooMany",
        };
        Cause { reason: reason.into(), message: self.message(), field: self.field.clone() }
    }

    fn message(&self) -> String {
        let fault = match self.fault {
            Fault::Required => "Required value",
            Fault::Invalid | Fault::TypeInvalid => "Invalid value",
            Fault::Duplicate => "Duplicate value",
            Fault::NotSupported => "Unsupported value",
            Fault::NotFound => "Not found",
            Fault::Forbidden => "Forbidden",
            Fault::TooLong => "Too long",
            Fault::TooMany => "Too many",
        };
        let value = self.value.as_ref().map(|v| format!(": {v}")).unwrap_or_default();
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        format!("{fault}{value}{detail}")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}
