//! Deletions of single objects.

use super::admit::{Asked, Given};
use super::commit::Failure;
use super::decode;
use super::prepare;
use super::request::{Body, DeleteOptions, Shown, Target, Written};
use super::{FrontDoor, MAX_ATTEMPTS, existing, too_busy};
use peapod_api::{Error, Object};
use peapod_core::admission::namespace;
use peapod_core::auth::User;
use peapod_core::strategy::deletion;

impl DeleteOptions {
    /// Reads the body of a DELETE, which may be empty. Errors: 400, 415, 422.
    pub fn decode(body: &Body) -> Result<DeleteOptions, Error> {
        DeleteOptions::read(&decode::delete_options(body)?)
    }
}

impl FrontDoor {
    /// DELETE: removes the object, or marks it if something has to happen first.
    pub async fn delete(
        &self,
        user: &User,
        target: Target,
        options: DeleteOptions,
    ) -> Result<Written, Error> {
        if target.subresource.is_some() {
            return Err(Error::method_not_allowed());
        }
        self.admit_user(&self.cache().snapshot(), user, "delete", &target)?;
        self.remove(Some(user), &target, &options).await
    }

    /// As [`FrontDoor::delete`], for a caller who may. Policies and webhooks are asked about a deletion by `user`; where none
    /// is named, they have been asked before.
    pub(super) async fn remove(
        &self,
        user: Option<&User>,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Written, Error> {
        namespace::admit_delete(&target.kind, &target.name)?;
        let asked = user.map(|user| Asked::new(user, target, Given::Delete(options)));
        let mut before = target.kind.shown(&existing(&self.cache().snapshot(), target)?);
        let mut turn = None;
        for _ in 0..MAX_ATTEMPTS {
            preconditions(target, &before, options)?;
            let Some(step) = prepare::delete(&target.kind, &before, options.wish, self.now()) else {
                return Ok(Written::ok(Shown::Object(before)));
            };
            let warnings = match &asked {
                Some(asked) => self.judge_deletion(asked, &before).await?,
                None => Vec::new(),
            };
            let shown = if step.removes {
                Shown::Value(deletion::success(&target.kind, &target.name, &before.header.uid))
            } else {
                FrontDoor::rehearse(&step)
            };
            if options.dry_run {
                return Ok(Written { warnings, ..Written::ok(shown) });
            }
            let removes = step.removes;
            match self.commit(Vec::new(), vec![step]).await {
                Ok(_) if removes => return Ok(Written { warnings, ..Written::ok(shown) }),
                Ok(objects) => {
                    let marked = objects.into_iter().next().flatten();
                    return Ok(Written { warnings, ..Written::ok(marked.map_or(shown, Shown::Object)) });
                }
                Err(Failure::Moved(_, Some(current))) => before = target.kind.shown(&current),
                Err(other) => return Err(other.into_error()),
            }
            if turn.is_none() {
                turn = Some(self.lane(&target.key()).await);
            }
        }
        Err(too_busy(&target.key()))
    }
}

fn preconditions(target: &Target, object: &Object, options: &DeleteOptions) -> Result<(), Error> {
    let (resource, uid) = (target.kind.resource(), &object.header.uid);
    if let Some(wanted) = options.uid.as_ref().filter(|wanted| ***wanted != **uid) {
        return Err(Error::precondition(&resource, &target.name, "UID", wanted, uid));
    }
    let version = object.revision.to_string();
    if let Some(wanted) = options.resource_version.as_ref().filter(|wanted| **wanted != version) {
        return Err(Error::precondition(&resource, &target.name, "ResourceVersion", wanted, version));
    }
    Ok(())
}
