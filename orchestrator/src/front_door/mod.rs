//! The only way into the store: authorize, decode, default, admit, validate, commit. A dry run is the same path without
//! its last step.

mod act;
mod admit;
mod bootstrap;
mod commit;
mod decode;
mod delete;
mod event;
mod many;
mod pod;
mod prepare;
mod request;
mod scale;
mod steps;
mod write;

pub use bootstrap::Advertised;
pub(crate) use request::{BODIES, CUSTOM_BODIES, CUSTOM_PATCHES, PATCHES};
pub use request::{
    Body, DeleteOptions, FieldValidation, MediaType, PatchType, Shown, Target, WriteOptions, Written,
};

use crate::cache::Cache;
use crate::nodes::Nodes;
use crate::tasks::Tasks;
use crate::webhooks::Webhooks;
use jiff::Timestamp;
use peapod_api::correlation::Correlator;
use peapod_api::{Error, Key, Object};
use peapod_core::admission::Ranges;
pub use peapod_core::auth::User;
use peapod_core::auth::{self, Attributes};
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::Stamp;
use prepare::Moment;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// The server's time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How often a write that need not be made on a certain revision is tried on what it finds.
const MAX_ATTEMPTS: usize = 32;
/// Queues for objects that many want to write at the same time, chosen by the hash of the key.
const LANES: usize = 256;

/// What a front door is built with.
#[derive(Clone)]
pub struct Options {
    /// The time that objects are stamped with.
    pub clock: Clock,
    /// Addresses and ports of Services.
    pub ranges: Ranges,
    /// Whether NetworkPolicies are kept although nothing enforces them.
    pub accept_network_policies: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { clock: steady_clock(), ranges: Ranges::default(), accept_network_policies: false }
    }
}

/// The machine's time when it is called, then that and what has passed since: it never runs backwards.
fn steady_clock() -> Clock {
    let (start, began) = (Timestamp::now(), std::time::Instant::now());
    Arc::new(move || start.checked_add(began.elapsed()).unwrap_or(Timestamp::MAX))
}

/// The only writer of the store. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct FrontDoor(Arc<Inner>);

struct Inner {
    cache: Cache,
    options: Options,
    webhooks: Webhooks,
    lanes: Vec<Mutex<()>>,
    /// What the cluster's own components have told lately.
    correlator: parking_lot::Mutex<Correlator>,
}

impl FrontDoor {
    /// A front door to `cache`, whose webhooks are not in pods.
    pub fn new(cache: Cache, options: Options) -> FrontDoor {
        FrontDoor::reaching(Nodes::new(Tasks::default()), cache, options)
    }

    /// A front door to `cache`, whose webhooks may be in pods of `nodes`.
    pub(crate) fn reaching(nodes: Nodes, cache: Cache, options: Options) -> FrontDoor {
        let lanes = (0..LANES).map(|_| Mutex::new(())).collect();
        let webhooks = Webhooks::new(cache.clone(), nodes);
        FrontDoor(Arc::new(Inner { cache, options, webhooks, lanes, correlator: Default::default() }))
    }

    /// The state that reads are answered from.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
        (self.0.options.clock)()
    }

    /// Whether `user` may do that. Errors: 403. Writes ask for themselves; this is for reads.
    pub fn authorize(&self, user: &User, attributes: &Attributes<'_>) -> Result<(), Error> {
        auth::authorize(&self.0.cache.snapshot(), user, attributes)
    }

    fn admit_user(&self, snapshot: &Snapshot, user: &User, verb: &str, target: &Target) -> Result<(), Error> {
        let asked = Attributes::new(verb, &target.kind, &target.namespace, &target.name);
        auth::authorize(snapshot, user, &asked.part(target.subresource))
    }

    fn moment<'a>(&'a self, snapshot: &'a Snapshot) -> Moment<'a> {
        let (uid, seed) = uuid::Uuid::new_v4().as_u64_pair();
        let stamp = Stamp { now: self.now(), uid: uuid::Uuid::new_v4().to_string(), seed: uid ^ seed };
        let options = &self.0.options;
        Moment {
            snapshot,
            ranges: &options.ranges,
            stamp,
            accept_network_policies: options.accept_network_policies,
        }
    }

    /// Waits for a turn among those that want to write the same object. Only for those that were too late once.
    async fn lane(&self, key: &Key) -> MutexGuard<'_, ()> {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let index = usize::try_from(hash % LANES as u64).unwrap_or_default();
        self.0.lanes[index].lock().await
    }
}

/// The object, or 404.
fn existing(snapshot: &Snapshot, target: &Target) -> Result<Arc<Object>, Error> {
    let found = snapshot.get(&target.key()).cloned();
    found.ok_or_else(|| Error::not_found(&target.kind.resource(), &target.name))
}

fn too_busy(key: &Key) -> Error {
    Error::conflict(key.resource(), key.name(), "too many others write the object; please try again")
}

#[cfg(test)]
mod tests;
