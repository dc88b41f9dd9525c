//! The node's certificate is renewed long before it ends, with a new key, by the certificate that still holds. What time
//! it is, the server says.

use super::dial::Dialer;
use super::identity::{self, Identity};
use super::join::{Failure, certify};
use crate::api::Api;
use jiff::Timestamp;
use std::time::Duration;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// How soon the server's first answer is looked for.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// After a renewal that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

/// Keeps the certificate fresh. It never returns.
pub async fn keep_certificate(mut identity: Identity, dialer: &Dialer, client: kube::Client) {
    let api = Api::new(client);
    let mut wait = FIRST_LOOK;
    loop {
        tokio::time::sleep(wait + wait.mul_f64(fastrand::f64() / 10.0)).await;
        let Some(now) = dialer.clock().now() else { continue };
        wait = LOOK_EVERY;
        if !identity.validity_seconds().is_none_or(|validity| is_due(validity, now)) {
            continue;
        }
        match renew(&identity, dialer, &api).await {
            Ok(renewed) => {
                tracing::info!(node = identity.node_name(), "the node's certificate was renewed");
                identity = renewed;
            }
            Err(error) => {
                tracing::warn!(%error, "the node's certificate could not be renewed, will try again");
                wait = AGAIN_AFTER;
            }
        }
    }
}

/// A certificate is renewed when two thirds of its life are over.
fn is_due((from, to): (i64, i64), now: Timestamp) -> bool {
    now.as_second() >= to - (to - from) / 3
}

async fn renew(identity: &Identity, dialer: &Dialer, api: &Api) -> anyhow::Result<Identity> {
    let asked = identity::ask(identity.dir(), identity.node_name())?;
    let certificate = certify(api, &asked).await.map_err(|failure| match failure {
        Failure::Api(error) => anyhow::anyhow!("{error}"),
        Failure::Refused(why) => {
            identity::forget_asked(identity.dir());
            anyhow::anyhow!("the server refused: {why}")
        }
        Failure::Slow => anyhow::anyhow!("the server has not signed it yet"),
    })?;
    let renewed = identity.renewed(format!("{certificate}{}", asked.key_pem))?;
    dialer.use_identity(&renewed).map_err(anyhow::Error::msg)?;
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_third_is_for_renewal() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(!is_due((0, 300), at(199)));
        assert!(is_due((0, 300), at(200)));
        assert!(is_due((0, 300), at(400)));
    }
}
