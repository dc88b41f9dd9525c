//! One request folded into the working snapshot. Pure: nothing is kept until the group is committed.

use super::MAX_OBJECT_BYTES;
use super::request::{Committed, Guard, Request, Write, WriteError};
use crate::store::Entry;
use bytes::Bytes;
use peapod_api::{Draft, Key, Object, kinds};
use peapod_core::snapshot::{Change, Snapshot};
use std::sync::Arc;

/// A change together with the bytes to store for it (none for a deletion).
pub(super) struct Step {
    pub(super) change: Arc<Change>,
    value: Option<Bytes>,
}

impl Step {
    /// The row to write; none for what is kept in memory only.
    pub(super) fn entry(&self) -> Option<Entry> {
        let key = &self.change.key;
        (!kinds::is_volatile(key.resource(), key.namespace())).then(|| Entry {
            revision: self.change.revision,
            key: key.clone(),
            prev: self.change.before.as_ref().map(|object| object.revision),
            value: self.value.clone(),
        })
    }
}

/// Checks `request` against `working` and folds its writes in. On an error `working` is as it was.
pub(super) fn fold(
    request: Request,
    working: &mut Snapshot,
    steps: &mut Vec<Step>,
) -> Result<Committed, WriteError> {
    for guard in &request.guards {
        check(guard, working)?;
    }
    request.writes.iter().try_for_each(check_size)?;
    if let Some(rule) = &request.rule {
        rule(working).map_err(WriteError::Rule)?;
    }
    let mut objects = Vec::with_capacity(request.writes.len());
    let mut revision = working.revision();
    for write in request.writes {
        let (object, step) = match write {
            Write::Put(draft) => put(draft, working),
            Write::Delete(key) => delete(key, working),
        };
        objects.push(object);
        if let Some(step) = step {
            working.apply(&step.change);
            revision = step.change.revision;
            steps.push(step);
        }
    }
    Ok(Committed { revision, objects })
}

fn check(guard: &Guard, working: &Snapshot) -> Result<(), WriteError> {
    let (holds, current) = match guard {
        Guard::Revision { key, revision } => {
            let current = working.get(key);
            (current.is_some_and(|object| object.revision == *revision), current)
        }
        Guard::Absent { key } => (working.get(key).is_none(), working.get(key)),
        Guard::Present { key } => (working.get(key).is_some(), None),
        Guard::NothingChangedUnder { uid, since } => (working.last_change_under(uid) <= *since, None),
    };
    if holds {
        return Ok(());
    }
    Err(WriteError::Guard { guard: guard.clone(), current: current.cloned() })
}

fn check_size(write: &Write) -> Result<(), WriteError> {
    match write {
        Write::Put(draft) if draft.json().len() > MAX_OBJECT_BYTES => {
            Err(WriteError::TooLarge { key: draft.key.clone(), size_bytes: draft.json().len() })
        }
        _ => Ok(()),
    }
}

type Done = (Option<Arc<Object>>, Option<Step>);

fn put(draft: Draft, working: &Snapshot) -> Done {
    let before = working.get(&draft.key).cloned();
    if let Some(same) = before.as_ref().filter(|object| draft.is_unchanged(object)) {
        return (Some(same.clone()), None);
    }
    let revision = working.revision() + 1;
    let value = Some(draft.json().clone());
    let after = Arc::new(draft.at(revision));
    let change = Change::new(revision, after.key.clone(), before, Some(after.clone()));
    (Some(after), Some(Step { change: Arc::new(change), value }))
}

fn delete(key: Key, working: &Snapshot) -> Done {
    let Some(before) = working.get(&key).cloned() else { return (None, None) };
    let change = Arc::new(Change::new(working.revision() + 1, key, Some(before), None));
    (change.deleted_object().cloned(), Some(Step { change, value: None }))
}
