//! Judges what clients of a watch saw: events ordered, unique and complete, bookmarks true, resumption without loss, every
//! list the fold of the watch. Pure, and the same for cursors and for streams off the wire.

use std::collections::BTreeMap;

/// What an event says of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It came, or began to match the selector.
    Added,
    /// It changed.
    Modified,
    /// It went, or matches the selector no more.
    Deleted,
}

/// One line of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An object's event.
    Object {
        /// What happened.
        type_: EventType,
        /// Which object: any name that is the same in lists.
        key: String,
        /// Its resourceVersion.
        revision: u64,
    },
    /// A bookmark with its resourceVersion.
    Bookmark(u64),
}

/// One list: the revision of the list, and that of each object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// `metadata.resourceVersion` of the list.
    pub revision: u64,
    /// Objects by key.
    pub objects: BTreeMap<String, u64>,
}

/// One watch from its start to where it was broken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The resourceVersion that it was asked to begin after.
    pub after: u64,
    /// What came.
    pub events: Vec<Event>,
}

/// Everything that was seen through one and the same filter, in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Lists.
    pub lists: Vec<List>,
    /// Watches.
    pub watches: Vec<Watch>,
}

type Events<'a> = BTreeMap<u64, (EventType, &'a str)>;

/// Checks `history`. Errors: the first contradiction, in words.
pub fn check(history: &History) -> Result<(), String> {
    let mut all = Events::new();
    for watch in &history.watches {
        in_order(watch)?;
        gather(watch, &mut all)?;
    }
    for watch in &history.watches {
        complete(watch, &all)?;
    }
    let mut lists: Vec<&List> = history.lists.iter().collect();
    lists.sort_by_key(|list| list.revision);
    for span in spans(&history.watches) {
        folds(span, &lists, &all)?;
    }
    same_at_same_revision(&lists)
}

/// The revision up to which a watch has seen everything.
fn reached(watch: &Watch) -> u64 {
    let last = watch.events.last().map(|event| match event {
        Event::Object { revision, .. } | Event::Bookmark(revision) => *revision,
    });
    last.unwrap_or(watch.after)
}

fn in_order(watch: &Watch) -> Result<(), String> {
    let mut last = watch.after;
    for event in &watch.events {
        match event {
            Event::Object { revision, key, .. } if *revision <= last => {
                return Err(format!("the event of {key} at {revision} came when {last} was reached already"));
            }
            Event::Bookmark(revision) if *revision < last => {
                return Err(format!("the bookmark {revision} came when {last} was reached already"));
            }
            Event::Object { revision, .. } | Event::Bookmark(revision) => last = *revision,
        }
    }
    Ok(())
}

fn objects(watch: &Watch) -> impl Iterator<Item = (u64, (EventType, &str))> {
    watch.events.iter().filter_map(|event| match event {
        Event::Object { type_, key, revision } => Some((*revision, (*type_, key.as_str()))),
        Event::Bookmark(_) => None,
    })
}

fn gather<'a>(watch: &'a Watch, all: &mut Events<'a>) -> Result<(), String> {
    for (revision, event) in objects(watch) {
        let known = *all.entry(revision).or_insert(event);
        if known != event {
            return Err(format!("at {revision} one watch saw {known:?} and another {event:?}"));
        }
    }
    Ok(())
}

/// What another watch saw in the span of this one, this one has seen, too.
fn complete(watch: &Watch, all: &Events<'_>) -> Result<(), String> {
    let mut seen = objects(watch).map(|(revision, _)| revision);
    let upto = reached(watch);
    if upto == watch.after {
        return Ok(());
    }
    for (revision, event) in all.range(watch.after + 1..=upto) {
        if seen.next() != Some(*revision) {
            return Err(format!(
                "a watch after {} that has reached {upto} has not seen {event:?} at {revision}",
                watch.after
            ));
        }
    }
    Ok(())
}

/// The spans of revisions that are watched without a gap.
fn spans(watches: &[Watch]) -> Vec<(u64, u64)> {
    let mut sorted: Vec<(u64, u64)> = watches.iter().map(|watch| (watch.after, reached(watch))).collect();
    sorted.sort_unstable();
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for (after, upto) in sorted {
        match spans.last_mut() {
            Some(last) if after <= last.1 => last.1 = last.1.max(upto),
            _ => spans.push((after, upto)),
        }
    }
    spans
}

/// What is known of the objects at some point of a span. Before the first list, only those that had an event.
#[derive(Default)]
struct State<'a> {
    objects: BTreeMap<&'a str, Option<u64>>,
    is_whole: bool,
}

/// Every list within a span is what the list before it and the events between the two give.
fn folds((after, upto): (u64, u64), lists: &[&List], all: &Events<'_>) -> Result<(), String> {
    let mut state = State::default();
    let mut at = after;
    for list in lists.iter().filter(|list| (after..=upto).contains(&list.revision)) {
        state.fold(at, list.revision, all)?;
        state.meet(list)?;
        at = list.revision;
    }
    state.fold(at, upto, all)
}

impl<'a> State<'a> {
    fn fold(&mut self, after: u64, upto: u64, all: &Events<'a>) -> Result<(), String> {
        if after >= upto {
            return Ok(());
        }
        for (revision, (type_, key)) in all.range(after + 1..=upto) {
            let known = self.objects.get(key).copied();
            let was_there =
                if self.is_whole { Some(known.flatten().is_some()) } else { known.map(|k| k.is_some()) };
            if was_there == Some(*type_ == EventType::Added) {
                return Err(format!("{key} at {revision}: {type_:?}, but it was there: {was_there:?}"));
            }
            self.objects.insert(key, (*type_ != EventType::Deleted).then_some(*revision));
        }
        Ok(())
    }

    fn meet(&mut self, list: &'a List) -> Result<(), String> {
        let listed = |key: &str| list.objects.get(key).copied();
        let wrong = self.objects.iter().find(|(key, revision)| listed(key) != **revision);
        if let Some((key, revision)) = wrong {
            let at = list.revision;
            return Err(format!(
                "the list at {at} has {key} at {:?}, the watch at {revision:?}",
                listed(key)
            ));
        }
        if self.is_whole
            && let Some(key) = list.objects.keys().find(|key| !self.objects.contains_key(key.as_str()))
        {
            return Err(format!("the list at {} has {key}, which no event brought", list.revision));
        }
        self.objects = list.objects.iter().map(|(key, revision)| (key.as_str(), Some(*revision))).collect();
        self.is_whole = true;
        Ok(())
    }
}

fn same_at_same_revision(lists: &[&List]) -> Result<(), String> {
    let differ = lists.windows(2).find(|pair| pair[0].revision == pair[1].revision && pair[0] != pair[1]);
    differ.map_or(Ok(()), |pair| Err(format!("two lists at {} differ", pair[0].revision)))
}

#[cfg(test)]
mod tests {
    use super::EventType::{Added, Deleted, Modified};
    use super::*;

    fn event(type_: EventType, key: &str, revision: u64) -> Event {
        Event::Object { type_, key: key.into(), revision }
    }

    fn list(revision: u64, objects: &[(&str, u64)]) -> List {
        List { revision, objects: objects.iter().map(|(k, r)| (k.to_string(), *r)).collect() }
    }

    fn good() -> History {
        let first = Watch {
            after: 2,
            events: vec![
                event(Modified, "a", 3),
                event(Added, "b", 5),
                Event::Bookmark(7),
                event(Deleted, "a", 8),
            ],
        };
        let resumed = Watch { after: 5, events: vec![event(Deleted, "a", 8), event(Added, "a", 9)] };
        let lists =
            vec![list(2, &[("a", 2)]), list(7, &[("a", 3), ("b", 5)]), list(9, &[("a", 9), ("b", 5)])];
        History { lists, watches: vec![first, resumed] }
    }

    #[test]
    fn a_true_history_passes() {
        assert_eq!(check(&good()), Ok(()));
    }

    /// A name, and how to spoil a good history.
    type Lie = (&'static str, fn(&mut History));

    #[test]
    fn every_lie_is_found() {
        let lies: &[Lie] = &[
            ("lost", |h| drop(h.watches[0].events.remove(1))),
            ("lost on resumption", |h| drop(h.watches[1].events.remove(0))),
            ("twice", |h| h.watches[0].events.insert(1, event(Modified, "a", 3))),
            ("out of order", |h| h.watches[0].events.swap(0, 1)),
            ("a bookmark too far", |h| h.watches[0].events[2] = Event::Bookmark(8)),
            ("a bookmark too early", |h| h.watches[0].events[2] = Event::Bookmark(4)),
            ("added while there", |h| h.watches[0].events[0] = event(Added, "a", 3)),
            ("a list that misses one", |h| h.lists[1].objects.retain(|key, _| key != "b")),
            ("a list that invents one", |h| h.lists[2].objects.extend([("c".to_string(), 6)])),
            ("a stale list", |h| h.lists[1].objects.extend([("a".to_string(), 2)])),
            ("two lists at odds", |h| h.lists.push(list(9, &[("b", 5)]))),
        ];
        for (name, spoil) in lies {
            let mut history = good();
            spoil(&mut history);
            assert!(check(&history).is_err(), "{name}");
        }
    }
}
