//! Which events are told one by one, which together, and which not at all, and what the events are called. Rule: client-go's
//! event correlator. Pure: the caller says what time it is.

use hashlink::LruCache;
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Events, groups of similar ones, and objects about which they are told, that are remembered.
const MAX_REMEMBERED: usize = 4096;
/// Events that differ in their message alone and are still told one by one.
const TOLD_APART: usize = 9;
/// After so long a silence similar events are told one by one again.
const SILENCE: SignedDuration = SignedDuration::from_mins(10);
/// Events that a component may tell about an object at once.
const BURST: f64 = 25.0;
/// After a burst: one event about the object each this many seconds.
const REFILL_SECONDS: f64 = 300.0;
/// Longest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 1024;
/// What the message of those that are told together begins with.
const TOGETHER: &str = "(combined from similar events): ";
/// Characters that tell the events about one object apart.
const SUFFIX_CHARACTERS: usize = 16;
/// As much of the object's name as fits before the suffix.
const MAX_BASE_BYTES: usize = 253 - 1 - SUFFIX_CHARACTERS;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence<'a> {
    /// Who tells of it.
    pub source: &'a str,
    /// What it is about: anything that tells objects apart.
    pub regarding: &'a str,
    /// That object's uid.
    pub uid: &'a str,
    /// The part of it that it happened to, a field path; empty for the whole.
    pub part: &'a str,
    /// `Normal` or `Warning`.
    pub type_: &'a str,
    /// CamelCase.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
}

/// When something happens, in nanoseconds: nothing else that a [`Correlator`] hears of happens at the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i128);

impl Moment {
    /// The time.
    pub fn time(self) -> Timestamp {
        Timestamp::from_nanosecond(self.0).unwrap_or(Timestamp::MAX)
    }
}

/// An event as it is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it happened first: that of an earlier one if this is the same again.
    pub since: Moment,
    /// How many times it has been told, with this one.
    pub count: u32,
    /// Whether it is one of several that are similar: same but for their message, which becomes that of the event.
    pub together: bool,
}

impl Told {
    /// The name of the event about an object of that name: in order of time among those about the object.
    pub fn name(&self, regarding: &str) -> String {
        // Names are ASCII and at most 253 bytes, which the suffix has to fit into.
        let base = regarding.get(..MAX_BASE_BYTES).unwrap_or(regarding).trim_end_matches(['-', '.']);
        format!("{base}.{:0SUFFIX_CHARACTERS$x}", self.since.0)
    }

    /// The event's message, at most 1,024 bytes of that of the occurrence.
    pub fn message<'m>(&self, message: &'m str) -> Cow<'m, str> {
        let message = shortened(message);
        if self.together { format!("{TOGETHER}{message}").into() } else { message.into() }
    }
}

/// What has been told lately. Its memory is bounded.
pub struct Correlator {
    groups: LruCache<u64, Group>,
    budgets: LruCache<u64, Budget>,
    events: LruCache<u64, Event>,
    latest: i128,
}

/// Events that differ in their message alone.
struct Group {
    messages: BTreeSet<u64>,
    last: Timestamp,
}

struct Event {
    since: Moment,
    count: u32,
}

/// A token bucket.
struct Budget {
    tokens: f64,
    last: Timestamp,
}

impl Default for Correlator {
    fn default() -> Correlator {
        Correlator {
            groups: LruCache::new(MAX_REMEMBERED),
            budgets: LruCache::new(MAX_REMEMBERED),
            events: LruCache::new(MAX_REMEMBERED),
            latest: 0,
        }
    }
}

impl Correlator {
    /// The moment of what happens now, after all that happened before. It is to be taken before anybody can see what happens:
    /// others answer that with what they tell later.
    pub fn moment(&mut self, now: Timestamp) -> Moment {
        self.latest = now.as_nanosecond().max(self.latest + 1);
        Moment(self.latest)
    }

    /// Notes the occurrence and says how it is told; none if there is too much told about the object already.
    pub fn judge(&mut self, occurrence: &Occurrence<'_>, at: Moment) -> Option<Told> {
        let now = at.time();
        let Occurrence { source, regarding, uid, part, type_, reason, message } = *occurrence;
        let message = shortened(message);
        let group = hash(&[source, regarding, uid, type_, reason]);
        let together = self.belongs_together(group, hash(&[message]), now);
        if !self.has_budget(hash(&[source, regarding, uid, type_]), now) {
            return None;
        }
        let apart = || hash(&[source, regarding, uid, part, type_, reason, message]);
        let event = if together { group } else { apart() };
        let event = self.events.entry(event).or_insert(Event { since: at, count: 0 });
        event.count = event.count.saturating_add(1);
        Some(Told { since: event.since, count: event.count, together })
    }

    fn belongs_together(&mut self, group: u64, message: u64, now: Timestamp) -> bool {
        let fresh = || Group { messages: BTreeSet::new(), last: now };
        let group = self.groups.entry(group).or_insert_with(fresh);
        if now.duration_since(group.last) > SILENCE {
            *group = fresh();
        }
        group.last = now;
        let is_known = group.messages.contains(&message);
        let is_full = group.messages.len() >= TOLD_APART;
        if !is_known && !is_full {
            group.messages.insert(message);
        }
        !is_known && is_full
    }

    fn has_budget(&mut self, object: u64, now: Timestamp) -> bool {
        let budget = self.budgets.entry(object).or_insert_with(|| Budget { tokens: BURST, last: now });
        let refilled = now.duration_since(budget.last).as_secs_f64().max(0.0) / REFILL_SECONDS;
        budget.tokens = (budget.tokens + refilled).min(BURST);
        budget.last = now;
        let has = budget.tokens >= 1.0;
        budget.tokens -= f64::from(u8::from(has));
        has
    }
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]
}

fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about<'a>(regarding: &'a str, message: &'a str) -> Occurrence<'a> {
        Occurrence { source: "c", regarding, uid: "u", part: "", type_: "Normal", reason: "R", message }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn judge(correlator: &mut Correlator, occurrence: &Occurrence<'_>, second: i64) -> Option<Told> {
        let moment = correlator.moment(at(second));
        correlator.judge(occurrence, moment)
    }

    fn together(correlator: &mut Correlator, second: i64, message: &str) -> Option<bool> {
        judge(correlator, &about("pods/a", message), second).map(|told| told.together)
    }

    #[test]
    fn similar_events_are_told_together_from_the_tenth_on() {
        let mut correlator = Correlator::default();
        let mut judge = |second: i64, message: &str| together(&mut correlator, second, message).unwrap();
        for number in 0..9 {
            assert!(!judge(number, &format!("m{number}")));
        }
        assert!(judge(9, "m9"));
        assert!(!judge(10, "m3"), "the same as before is counted as before");
        assert!(judge(11, "m10"));
        assert!(!judge(11 + 601, "m11"), "after ten minutes it begins anew");
    }

    #[test]
    fn the_same_again_has_the_time_of_the_first_and_others_have_their_own() {
        let mut correlator = Correlator::default();
        let mut since = |second: i64, message: &str| {
            judge(&mut correlator, &about("pods/a", message), second).unwrap().since
        };
        let first = since(1, "m");
        assert_eq!(first.time(), at(1));
        assert_eq!(since(5, "m"), first);
        assert!(since(1, "n") > first, "also at the same time");
        assert_eq!(since(7, "o").time(), at(7));
    }

    #[test]
    fn what_began_first_is_named_first_whoever_tells_first() {
        let mut correlator = Correlator::default();
        let moments = [1, 1, 2].map(|second| correlator.moment(at(second)));
        assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
        let names = [2, 0, 1].map(|index| {
            let told = correlator.judge(&about("pods/a", &index.to_string()), moments[index]).unwrap();
            (index, told.name("a"))
        });
        let mut by_name = names.to_vec();
        by_name.sort_by(|(_, a), (_, b)| a.cmp(b));
        assert_eq!(by_name.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn names_are_in_the_order_of_what_happened_and_count_what_happened_again() {
        let mut correlator = Correlator::default();
        let mut told = |message: &str| judge(&mut correlator, &about("pods/a", message), 1).unwrap();
        let (first, second, again) = (told("m"), told("n"), told("m"));
        let part = Occurrence { part: "spec.containers{c}", ..about("pods/a", "m") };
        assert_eq!(judge(&mut correlator, &part, 1).unwrap().count, 1, "another part");
        assert!(first.name("a") < second.name("a"), "at the same time");
        assert_eq!((again.name("a"), again.count), (first.name("a"), 2));
        let long = first.name(&"a".repeat(253));
        assert!(long.len() == 253 && first.name("a").ends_with(&long[long.len() - 16..]), "{long}");
    }

    #[test]
    fn messages_say_that_they_stand_for_others_and_are_cut_between_characters() {
        let told = |together| Told { since: Moment(1), count: 1, together };
        assert_eq!(told(false).message("m"), "m");
        assert_eq!(told(true).message("m"), "(combined from similar events): m");
        assert_eq!(told(false).message(&"é".repeat(600)).len(), 1024);
        assert_eq!(told(false).message(&format!("a{}", "é".repeat(600))).len(), 1023);
    }

    #[test]
    fn a_component_tells_so_much_of_an_object_and_no_more() {
        let mut correlator = Correlator::default();
        let mut count = |regarding: &str, second: i64| {
            let occurrence = about(regarding, "m");
            (0..100).filter(|_| judge(&mut correlator, &occurrence, second).is_some()).count()
        };
        assert_eq!((count("pods/a", 0), count("pods/b", 0)), (25, 25));
        assert_eq!(count("pods/a", 299), 0);
        assert_eq!(count("pods/a", 601), 2);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut correlator = Correlator::default();
        for number in 0..10_000 {
            judge(&mut correlator, &about(&number.to_string(), "m"), number);
        }
        let sizes = [correlator.groups.len(), correlator.budgets.len(), correlator.events.len()];
        // One more than are kept goes when the next one comes.
        assert_eq!(sizes, [MAX_REMEMBERED + 1; 3]);
    }
}
