//! How many requests are worked on at a time, by kind of client: a flood of one leaves seats to the others.
//!
//! Agents have seats of their own, so that heartbeats get through whatever users do; so have administrators and the
//! control plane's own users. Everybody else shares the rest, of which no single user gets all.

use parking_lot::Mutex;
use peapod_api::Error;
use peapod_api::error::Reason;
use peapod_core::auth::{MASTERS, NODES, User};
use std::collections::HashMap;

/// Requests of all agents together.
const MAX_OF_NODES: usize = 200;
/// Requests of administrators and of the control plane's own users together.
const MAX_OF_SYSTEM: usize = 1000;
/// Requests of everybody else together.
const MAX_OF_OTHERS: usize = 600;
/// Requests of one user of those.
const MAX_OF_ONE_USER: usize = 400;
/// Requests of one agent.
const MAX_OF_ONE_NODE: usize = 50;
/// When a client that got no seat may try again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Node,
    System,
    Other,
}

impl Class {
    fn of(user: &User) -> Class {
        if user.is_in(NODES) {
            Class::Node
        } else if user.is_in(MASTERS) || user.name.starts_with("system:kube-") {
            Class::System
        } else {
            Class::Other
        }
    }

    fn limit(self) -> usize {
        match self {
            Class::Node => MAX_OF_NODES,
            Class::System => MAX_OF_SYSTEM,
            Class::Other => MAX_OF_OTHERS,
        }
    }

    fn user_limit(self) -> usize {
        match self {
            Class::Node => MAX_OF_ONE_NODE,
            Class::System => MAX_OF_SYSTEM,
            Class::Other => MAX_OF_ONE_USER,
        }
    }
}

/// The seats of one server.
#[derive(Default)]
pub(super) struct Seats(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    by_class: HashMap<Class, usize>,
    by_user: HashMap<String, usize>,
}

/// One request's seat, free again when it is dropped.
pub(super) struct Seat<'a> {
    seats: &'a Seats,
    class: Class,
    user: String,
}

impl Seats {
    /// A seat for a request of `user`. Errors: 429 if there is none.
    pub(super) fn take(&self, user: &User) -> Result<Seat<'_>, Error> {
        let class = Class::of(user);
        let mut taken = self.0.lock();
        let of_class = taken.by_class.get(&class).copied().unwrap_or_default();
        let of_user = taken.by_user.get(&user.name).copied().unwrap_or_default();
        if of_class >= class.limit() || of_user >= class.user_limit() {
            let message = "too many requests, please try again later";
            return Err(Error::new(Reason::TooManyRequests, message).retry_after(RETRY_AFTER_SECONDS));
        }
        taken.by_class.insert(class, of_class + 1);
        taken.by_user.insert(user.name.clone(), of_user + 1);
        Ok(Seat { seats: self, class, user: user.name.clone() })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        if let Some(count) = taken.by_class.get_mut(&self.class) {
            *count -= 1;
        }
        if let Some(count) = taken.by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_seats_to_the_others() {
        let seats = Seats::default();
        let (loud, quiet) = (User::new("loud", &[]), User::new("quiet", &[]));
        let flood: Vec<_> = (0..).map_while(|_| seats.take(&loud).ok()).collect();
        assert_eq!(flood.len(), MAX_OF_ONE_USER);
        let refused = seats.take(&loud).err().unwrap();
        assert_eq!((refused.code(), refused.retry_after_seconds()), (429, Some(1)));
        let rest: Vec<_> = (0..).map_while(|_| seats.take(&quiet).ok()).collect();
        assert_eq!(rest.len(), MAX_OF_OTHERS - MAX_OF_ONE_USER);
        let agents = (0..MAX_OF_NODES).map(|at| User::new(&format!("system:node:n{at}"), &[NODES]));
        let heartbeats: Vec<_> = agents.map(|agent| seats.take(&agent).unwrap()).collect();
        assert!(seats.take(&User::new("kubernetes-admin", &[MASTERS])).is_ok());
        drop((flood, rest, heartbeats));
        assert!(seats.take(&loud).is_ok());
        assert!(seats.0.lock().by_user.is_empty());
    }
}
