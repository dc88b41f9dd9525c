//! The newest changes, shared by all watchers: one ring, and for each topic that somebody watches the changes of the ring
//! that belong to it. A write touches the few topics of its key, not the watchers.

use super::interest::{Interest, Topic, nodes};
use parking_lot::RwLock;
use peapod_core::snapshot::Change;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// What a change costs besides the JSON of its object.
const CHANGE_OVERHEAD_BYTES: usize = 512;

/// How much the ring holds.
#[derive(Clone, Copy, Debug)]
pub struct RingLimits {
    /// Changes.
    pub entries: usize,
    /// Bytes of JSON that the changes hold on to.
    pub bytes: usize,
}

/// The changes of one topic, and who waits for more.
pub(super) struct Channel {
    list: RwLock<List>,
    /// Woken once per group of changes.
    pub(super) more: Notify,
}

/// Every change of the topic after revision `floor`, oldest first.
struct List {
    floor: u64,
    changes: VecDeque<Arc<Change>>,
}

/// What a cursor finds in its channel.
pub(super) enum Found {
    /// Nothing of interest is missing up to `upto`.
    Changes { changes: Vec<Arc<Change>>, upto: u64 },
    /// Some of it has left the ring.
    Behind,
}

/// The ring and its channels.
pub(super) struct Ring {
    inner: RwLock<Inner>,
    /// Every change up to this revision is in the channels that it belongs to.
    tip: AtomicU64,
}

struct Inner {
    limits: RingLimits,
    /// Every change after this revision is held.
    floor: u64,
    bytes: usize,
    changes: VecDeque<Arc<Change>>,
    prefixes: HashMap<String, Registered>,
    nodes: HashMap<String, Registered>,
}

struct Registered {
    channel: Arc<Channel>,
    cursors: usize,
}

impl Ring {
    /// An empty ring; `revision` is where the log stands.
    pub(super) fn new(limits: RingLimits, revision: u64) -> Ring {
        let inner = Inner {
            limits,
            floor: revision,
            bytes: 0,
            changes: VecDeque::new(),
            prefixes: HashMap::new(),
            nodes: HashMap::new(),
        };
        Ring { inner: RwLock::new(inner), tip: AtomicU64::new(revision) }
    }

    /// Adds changes in the order of their revisions and returns the channels whose watchers are to be woken.
    pub(super) fn push(&self, changes: Vec<Arc<Change>>) -> Vec<Arc<Channel>> {
        let Some(tip) = changes.last().map(|change| change.revision) else { return Vec::new() };
        let mut touched: HashMap<*const Channel, Arc<Channel>> = HashMap::new();
        let mut inner = self.inner.write();
        for change in changes {
            for channel in inner.channels(&change) {
                channel.list.write().changes.push_back(change.clone());
                touched.entry(Arc::as_ptr(channel)).or_insert_with(|| channel.clone());
            }
            inner.bytes += size_bytes(&change);
            inner.changes.push_back(change);
        }
        inner.evict();
        drop(inner);
        self.tip.store(tip, Ordering::Release);
        touched.into_values().collect()
    }

    /// Every change after this revision is held.
    pub(super) fn floor(&self) -> u64 {
        self.inner.read().floor
    }

    /// All cursors have been told of every change up to this revision.
    pub(super) fn tip(&self) -> u64 {
        self.tip.load(Ordering::Acquire)
    }

    /// The channel of `interest`, holding what the ring holds after revision `after`.
    pub(super) fn register(&self, interest: &Interest, after: u64) -> Arc<Channel> {
        let mut inner = self.inner.write();
        let topic = interest.topic();
        let floor = after.max(inner.floor);
        let known = inner.registered(&topic).get(topic.name());
        let known = known.filter(|known| known.channel.list.read().floor <= floor);
        if known.is_none() {
            let changes = inner.after(floor, &topic);
            let list = List { floor, changes };
            inner.open(&topic, list);
        }
        let registered = inner.registered_mut(&topic).get_mut(topic.name());
        let registered = registered.expect("the channel was opened above");
        registered.cursors += 1;
        registered.channel.clone()
    }

    /// Ends what [`Ring::register`] began; a channel without cursors is forgotten.
    pub(super) fn unregister(&self, interest: &Interest) {
        let topic = interest.topic();
        let mut inner = self.inner.write();
        let topics = inner.registered_mut(&topic);
        if let Some(registered) = topics.get_mut(topic.name()) {
            registered.cursors -= 1;
            if registered.cursors == 0 {
                topics.remove(topic.name());
            }
        }
    }

    #[cfg(test)]
    pub(super) fn channels(&self) -> usize {
        let inner = self.inner.read();
        inner.prefixes.len() + inner.nodes.len()
    }

    /// What `channel` has for `interest` after revision `after`: at most `limit` changes.
    pub(super) fn read(&self, channel: &Channel, interest: &Interest, after: u64, limit: usize) -> Found {
        // Read before the list: what is in no list by then has a greater revision.
        let tip = self.tip();
        let list = channel.list.read();
        if after < list.floor {
            return Found::Behind;
        }
        let mut upto = after.max(tip);
        let mut changes = Vec::new();
        let from = list.changes.partition_point(|change| change.revision <= after);
        for change in list.changes.range(from..).filter(|change| interest.takes(change)) {
            if changes.len() == limit {
                upto = changes.last().map_or(after, |last: &Arc<Change>| last.revision);
                break;
            }
            upto = upto.max(change.revision);
            changes.push(change.clone());
        }
        Found::Changes { changes, upto }
    }
}

impl Topic {
    fn name(&self) -> &str {
        match self {
            Topic::Prefix(name) | Topic::Node(name) => name,
        }
    }

    fn takes(&self, change: &Change) -> bool {
        match self {
            Topic::Prefix(prefix) => topics_of(change).any(|topic| topic == prefix),
            Topic::Node(node) => nodes(change).any(|n| n == node),
        }
    }
}

/// The prefixes that a change belongs to: everything, its resource, its namespace, its own key.
fn topics_of(change: &Change) -> impl Iterator<Item = &str> {
    let key = change.key.as_str();
    let slashes = key.match_indices('/').map(|(at, _)| &key[..=at]);
    [""].into_iter().chain(slashes).chain([key])
}

impl Inner {
    fn registered(&self, topic: &Topic) -> &HashMap<String, Registered> {
        match topic {
            Topic::Prefix(_) => &self.prefixes,
            Topic::Node(_) => &self.nodes,
        }
    }

    fn registered_mut(&mut self, topic: &Topic) -> &mut HashMap<String, Registered> {
        match topic {
            Topic::Prefix(_) => &mut self.prefixes,
            Topic::Node(_) => &mut self.nodes,
        }
    }

    /// A new channel for `topic`, or a longer list for the one that is there.
    fn open(&mut self, topic: &Topic, list: List) {
        let topics = self.registered_mut(topic);
        match topics.get(topic.name()) {
            Some(registered) => *registered.channel.list.write() = list,
            None => {
                let channel = Arc::new(Channel { list: RwLock::new(list), more: Notify::new() });
                topics.insert(topic.name().into(), Registered { channel, cursors: 0 });
            }
        }
    }

    /// The channels that a change belongs to. One whose node did not change names it twice, hence the check.
    fn channels<'a>(&'a self, change: &'a Change) -> impl Iterator<Item = &'a Arc<Channel>> {
        let mut last = None;
        let nodes = nodes(change).filter(move |node| last.replace(*node) != Some(*node));
        let prefixes = topics_of(change).filter_map(|prefix| self.prefixes.get(prefix));
        prefixes.chain(nodes.filter_map(|node| self.nodes.get(node))).map(|registered| &registered.channel)
    }

    fn after(&self, floor: u64, topic: &Topic) -> VecDeque<Arc<Change>> {
        let from = self.changes.partition_point(|change| change.revision <= floor);
        self.changes.range(from..).filter(|change| topic.takes(change)).cloned().collect()
    }

    fn evict(&mut self) {
        while self.changes.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let Some(oldest) = self.changes.pop_front() else { return };
            self.floor = oldest.revision;
            self.bytes -= size_bytes(&oldest);
            for channel in self.channels(&oldest) {
                channel.list.write().forget(oldest.revision);
            }
        }
    }
}

impl List {
    fn forget(&mut self, revision: u64) {
        if self.changes.front().is_some_and(|change| change.revision == revision) {
            self.changes.pop_front();
            self.floor = revision;
        }
    }
}

fn size_bytes(change: &Change) -> usize {
    let object = change.after.as_ref().or(change.before.as_ref());
    CHANGE_OVERHEAD_BYTES + object.map_or(0, |object| object.json().len())
}
