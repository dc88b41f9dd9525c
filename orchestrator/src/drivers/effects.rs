//! What controllers ask for and cannot do themselves, because it needs more than the snapshot: it is done here, and its
//! result takes the effect's place among the writes.

use crate::pki::Signer;
use jiff::Timestamp;
use peapod_api::meta;
use peapod_core::action::Action;
use serde_json::{Value, json};

/// Everything that effects need.
#[derive(Clone)]
pub(crate) struct Effects {
    /// Signs certificates.
    pub(crate) signer: Signer,
}

impl Effects {
    /// Runs an effect and gives the write that it comes to; a write stays what it is.
    pub(super) fn run(&self, action: Action, now: Timestamp) -> Action {
        let Action::Sign { key, request_pem, usages, lifetime_seconds, mut status } = action else {
            return action;
        };
        match self.signer.sign(&request_pem, &usages, lifetime_seconds) {
            Ok(certificate) => status["certificate"] = certificate.into(),
            Err(why) => fail(&mut status, &why, now),
        }
        Action::SetStatus { key, status }
    }
}

fn fail(status: &mut Value, why: &str, now: Timestamp) {
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let condition = json!({"type": "Failed", "status": "True", "reason": "SigningError", "message": why,
        "lastUpdateTime": meta::time(now)});
    meta::set_condition(&mut conditions, condition, now);
    status["conditions"] = conditions.into();
}
