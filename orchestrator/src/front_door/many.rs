//! Deletions of whole collections.

use super::FrontDoor;
use super::request::{DeleteOptions, Shown, Target, Written};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use peapod_api::error::Reason;
use peapod_api::selector::{FieldSelector, LabelSelector};
use peapod_api::{Error, Object};
use peapod_core::auth::User;
use serde_json::{Value, json};
use std::sync::Arc;

/// Deletions of one request that are under way at a time: one group commit takes them together.
const AT_A_TIME: usize = 64;

impl FrontDoor {
    /// DELETE of a collection: every object of `target`'s kind and namespace that both selectors match. Shows the list of
    /// them. One that is gone already is passed over.
    pub async fn delete_collection(
        &self,
        user: &User,
        target: Target,
        labels: &LabelSelector,
        fields: &FieldSelector,
        options: DeleteOptions,
    ) -> Result<Written, Error> {
        let snapshot = self.cache().snapshot();
        self.admit_user(&snapshot, user, "deletecollection", &target)?;
        let namespace = target.kind.namespaced().then_some(target.namespace.as_str());
        let matches = |object: &&Arc<Object>| labels.matches(&object.header.labels) && fields.matches(object);
        let resource = target.kind.stored_resource();
        let chosen: Vec<Arc<Object>> = snapshot.list(&resource, namespace).filter(matches).cloned().collect();
        // Owned and boxed: borrowing across the stream is more than the compiler can see to be `Send`.
        let doomed: Vec<BoxFuture<'static, Result<(), Error>>> = chosen
            .iter()
            .map(|object| {
                let one = Target {
                    namespace: object.namespace().into(),
                    name: object.name().into(),
                    ..target.clone()
                };
                self.clone().remove_if_there(user.clone(), one, options.clone()).boxed()
            })
            .collect();
        stream::iter(doomed).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        let items: Vec<Value> = chosen.iter().map(|object| target.kind.shown(object).value()).collect();
        Ok(Written::ok(Shown::Value(json!({
            "kind": format!("{}List", target.kind.kind), "apiVersion": target.kind.api_version(),
            "metadata": {"resourceVersion": snapshot.revision().to_string()}, "items": items,
        }))))
    }

    async fn remove_if_there(self, user: User, target: Target, options: DeleteOptions) -> Result<(), Error> {
        match self.remove(Some(&user), &target, &options).await {
            Err(error) if error.reason() == Reason::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
