//! What controllers ask for and cannot do themselves, because it needs more than the snapshot: it is done here, and its
//! result takes the effect's place among the writes.

use crate::pki::{Signer, Tokens};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use peapod_api::{Error, meta};
use peapod_core::action::Action;
use serde_json::{Value, json};

/// Everything that effects need.
#[derive(Clone)]
pub(crate) struct Effects {
    /// Signs certificates.
    pub(crate) signer: Signer,
    /// Makes tokens of service accounts.
    pub(crate) tokens: Tokens,
}

impl Effects {
    /// Runs an effect and gives the write that it comes to; a write stays what it is. Errors: a token cannot be made, and
    /// is to be asked for again.
    pub(super) fn run(&self, action: Action, now: Timestamp) -> Result<Action, Error> {
        match action {
            Action::Sign { key, request_pem, usages, lifetime_seconds, mut status } => {
                match self.signer.sign(&request_pem, &usages, lifetime_seconds) {
                    Ok(certificate) => status["certificate"] = certificate.into(),
                    Err(why) => fail(&mut status, &why, now),
                }
                Ok(Action::SetStatus { key, status })
            }
            Action::MintToken { key, claims, mut patch } => {
                let token = self.tokens.sign(&claims).map_err(Error::internal)?;
                patch["data"]["token"] = STANDARD.encode(token).into();
                Ok(Action::Patch { key, patch })
            }
            write => Ok(write),
        }
    }
}

fn fail(status: &mut Value, why: &str, now: Timestamp) {
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let condition = json!({"type": "Failed", "status": "True", "reason": "SigningError", "message": why,
        "lastUpdateTime": meta::time(now)});
    meta::set_condition(&mut conditions, condition, now);
    status["conditions"] = conditions.into();
}
