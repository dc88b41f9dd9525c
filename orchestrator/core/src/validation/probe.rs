//! Probes of containers.

use super::{Errors, between, child, invalid, names, not_negative, text};
use peapod_api::FieldError;
use serde_json::Value;

const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const NUMBERS: [&str; 5] =
    ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

/// The probes that a container may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Restarts the container.
    Liveness,
    /// Takes the pod out of its services.
    Readiness,
    /// Holds the other two back.
    Startup,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Liveness, Role::Readiness, Role::Startup];

    /// The container's field.
    pub fn field(self) -> &'static str {
        match self {
            Role::Liveness => "livenessProbe",
            Role::Readiness => "readinessProbe",
            Role::Startup => "startupProbe",
        }
    }
}

/// A probe of that role.
pub fn probe(errors: &mut Errors, path: &str, probe: &Value, role: Role) {
    handler(errors, path, probe);
    for name in NUMBERS {
        not_negative(errors, &child(path, name), &probe[name]);
    }
    if role != Role::Readiness && probe["successThreshold"].as_i64().is_some_and(|n| n > 1) {
        let at = child(path, "successThreshold");
        errors.push(FieldError::invalid(&at, &probe["successThreshold"], "must be 1"));
    }
    let grace = &probe["terminationGracePeriodSeconds"];
    let at = child(path, "terminationGracePeriodSeconds");
    if role == Role::Readiness && !grace.is_null() {
        errors.push(FieldError::invalid(&at, grace, "must not be set for readinessProbes"));
    } else if grace.as_i64().is_some_and(|n| n <= 0) {
        errors.push(FieldError::invalid(&at, grace, "must be greater than 0"));
    }
}

fn handler(errors: &mut Errors, path: &str, probe: &Value) {
    let mut present = HANDLERS.iter().filter(|name| !probe[**name].is_null());
    if present.next().is_none() {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
    for second in present {
        let why = "may not specify more than 1 handler type";
        errors.push(FieldError::forbidden(&child(path, second), why));
    }
    let get = &probe["httpGet"];
    if !get.is_null() {
        http_get(errors, &child(path, "httpGet"), get);
    }
    let socket = &probe["tcpSocket"];
    if !socket.is_null() {
        port(errors, &child(path, "tcpSocket.port"), &socket["port"]);
    }
}

fn http_get(errors: &mut Errors, path: &str, get: &Value) {
    if text(&get["path"]).is_empty() {
        errors.push(FieldError::required(&child(path, "path"), ""));
    }
    port(errors, &child(path, "port"), &get["port"]);
    for header in super::items(&get["httpHeaders"]) {
        let name = text(&header["name"]);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex \
                       used for validation is '[-A-Za-z0-9]+')";
            errors.push(FieldError::invalid(&child(path, "httpHeaders"), &header["name"], why));
        }
    }
}

/// A port by number or by the name of a container's port.
pub fn port(errors: &mut Errors, path: &str, port: &Value) {
    match port {
        Value::String(name) => invalid(errors, path, port, names::port_name(name)),
        number => between(errors, path, number, 1, 65535),
    }
}
