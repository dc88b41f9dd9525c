//! Cells of certificate signing requests.

use super::age::human_duration;
use super::cells::{NONE, list};
use serde_json::Value;

/// The lifetime that was asked for.
pub(super) fn duration(request: &Value) -> String {
    request["spec"]["expirationSeconds"].as_i64().map_or_else(|| NONE.into(), human_duration)
}

/// `Pending`, or what was decided: `Approved,Issued`.
pub(super) fn condition(request: &Value) -> String {
    let status = &request["status"];
    let has = |type_: &str| list(&status["conditions"]).any(|condition| condition["type"] == type_);
    let decision = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    };
    let issued = status["certificate"].as_str().is_some_and(|certificate| !certificate.is_empty());
    let more = [(has("Failed"), ",Failed"), (issued, ",Issued")];
    more.iter().filter(|(holds, _)| *holds).fold(decision.to_string(), |text, (_, word)| text + word)
}
