//! Sign-in for browsers: a one-time code becomes a session, whose token stands for the credential with which the code was
//! asked for and counts as long as that does. Both are kept in memory as digests: a restart ends them all.

use crate::authn::Credential;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a code can be redeemed.
pub(crate) const CODE_FOR: Duration = Duration::from_secs(5 * 60);
/// How long a session lasts.
pub(crate) const SESSION_FOR: Duration = Duration::from_secs(12 * 60 * 60);
/// Codes that are open at a time; one more takes the place of the oldest.
const MAX_CODES: usize = 64;
/// Sessions at a time; one more ends the oldest.
const MAX_SESSIONS: usize = 256;

/// Who is signed in. Clones are the same.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Mutex<Books>>);

struct Books {
    codes: Book,
    sessions: Book,
}

/// A session that has just begun.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) token: String,
    pub(crate) credential: Credential,
}

impl Default for Sessions {
    fn default() -> Sessions {
        let books =
            Books { codes: Book::new(MAX_CODES, CODE_FOR), sessions: Book::new(MAX_SESSIONS, SESSION_FOR) };
        Sessions(Arc::new(Mutex::new(books)))
    }
}

impl Sessions {
    /// A code with which, once, somebody may begin a session that stands for `credential`.
    pub(crate) fn code(&self, credential: Credential, now: Instant) -> String {
        self.0.lock().codes.add(credential, now)
    }

    /// Begins the session that `code` stands for; none if there is no such code, or not any more.
    pub(crate) fn begin(&self, code: &str, now: Instant) -> Option<Session> {
        let mut books = self.0.lock();
        let credential = books.codes.remove(code, now)?;
        Some(Session { token: books.sessions.add(credential.clone(), now), credential })
    }

    /// What the session `token` stands for.
    pub(crate) fn credential(&self, token: &str, now: Instant) -> Option<Credential> {
        self.0.lock().sessions.find(token, now)
    }

    /// Ends a session; one that is not there is over already.
    pub(crate) fn end(&self, token: &str, now: Instant) {
        self.0.lock().sessions.remove(token, now);
    }
}

/// Credentials by the digest of a secret that ends by itself. Looking a digest up tells nothing about the secret.
struct Book {
    entries: HashMap<[u8; 32], Entry>,
    limit: usize,
    lifetime: Duration,
}

struct Entry {
    credential: Credential,
    until: Instant,
}

impl Book {
    fn new(limit: usize, lifetime: Duration) -> Book {
        Book { entries: HashMap::new(), limit, lifetime }
    }

    fn add(&mut self, credential: Credential, now: Instant) -> String {
        self.entries.retain(|_, entry| entry.until > now);
        if self.entries.len() >= self.limit {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| *key);
            oldest.and_then(|key| self.entries.remove(&key));
        }
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        self.entries.insert(digest(&secret), Entry { credential, until: now + self.lifetime });
        secret
    }

    fn find(&self, secret: &str, now: Instant) -> Option<Credential> {
        let entry = self.entries.get(&digest(secret)).filter(|entry| entry.until > now)?;
        Some(entry.credential.clone())
    }

    fn remove(&mut self, secret: &str, now: Instant) -> Option<Credential> {
        self.entries.remove(&digest(secret)).filter(|entry| entry.until > now).map(|entry| entry.credential)
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_core::auth::User;

    fn user(name: &str) -> Credential {
        Credential::of(User::new(name, &[]))
    }

    #[test]
    fn a_code_begins_one_session() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let code = sessions.code(user("ada"), now);
        assert!(sessions.credential(&code, now).is_none(), "a code is no token");
        let session = sessions.begin(&code, now).unwrap();
        assert_eq!(session.credential, user("ada"));
        assert!(sessions.begin(&code, now).is_none(), "it is used up");
        assert!(sessions.begin(&session.token, now).is_none(), "a token is no code");
        assert_eq!(sessions.credential(&session.token, now), Some(user("ada")));
        sessions.end(&session.token, now);
        assert!(sessions.credential(&session.token, now).is_none());
    }

    #[test]
    fn both_end_by_themselves() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (code, late) = (sessions.code(user("ada"), now), sessions.code(user("bob"), now));
        assert!(sessions.begin(&late, now + CODE_FOR).is_none());
        let token = sessions.begin(&code, now + CODE_FOR - Duration::from_secs(1)).unwrap().token;
        assert!(sessions.credential(&token, now + SESSION_FOR).is_some());
        assert!(sessions.credential(&token, now + CODE_FOR + SESSION_FOR).is_none());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let begin = |second: usize| {
            let now = now + Duration::from_secs(second as u64);
            sessions.begin(&sessions.code(user("ada"), now), now).unwrap().token
        };
        let tokens: Vec<_> = (0..=MAX_SESSIONS).map(begin).collect();
        let later = now + Duration::from_secs(1 + MAX_SESSIONS as u64);
        let alive = |token: &&String| sessions.credential(token, later).is_some();
        assert_eq!(tokens.iter().filter(alive).count(), MAX_SESSIONS);
        assert!(!alive(&&tokens[0]));
        let codes: Vec<_> = (0..=MAX_CODES).map(|_| sessions.code(user("ada"), later)).collect();
        assert_eq!(codes.iter().filter(|code| sessions.begin(code, later).is_some()).count(), MAX_CODES);
    }
}
