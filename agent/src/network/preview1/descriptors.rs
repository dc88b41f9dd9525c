//! The guest's descriptors: which are sockets of ours and which number wasmtime knows the others by.

use crate::network::{Connection, Listener};
use std::collections::BTreeSet;
use wasmtime_wasi::p1::types::{Errno, Fd};

/// Files that a guest may have open: each is a descriptor of the node.
const MAX_FILES: usize = 1024;

/// What a number stands for.
pub(super) enum Descriptor {
    /// Stdio, a file or a directory, by wasmtime's number.
    File(u32),
    /// A listening socket.
    Listener { listener: Listener, nonblocking: bool },
    /// A connected socket.
    Stream { connection: Connection, nonblocking: bool },
}

impl Descriptor {
    pub(super) fn is_socket(&self) -> bool {
        !matches!(self, Descriptor::File(_))
    }

    /// Whether calls on this socket answer `EAGAIN` instead of waiting.
    pub(super) fn nonblocking_mut(&mut self) -> Option<&mut bool> {
        match self {
            Descriptor::File(_) => None,
            Descriptor::Listener { nonblocking, .. } | Descriptor::Stream { nonblocking, .. } => {
                Some(nonblocking)
            }
        }
    }
}

/// The table of a guest.
#[derive(Default)]
pub(super) struct Descriptors {
    used: Vec<Option<Descriptor>>,
    free: BTreeSet<u32>,
    files: usize,
}

impl Descriptors {
    /// Stdin, stdout and stderr.
    pub(super) fn stdio() -> Descriptors {
        let mut descriptors = Descriptors::default();
        for fd in 0..3 {
            descriptors.insert(Descriptor::File(fd));
        }
        descriptors
    }

    /// Gives the lowest free number to a descriptor.
    pub(super) fn insert(&mut self, descriptor: Descriptor) -> Fd {
        self.files += usize::from(!descriptor.is_socket());
        let fd = match self.free.pop_first() {
            Some(fd) => fd,
            None => {
                self.used.push(None);
                (self.used.len() - 1) as u32
            }
        };
        self.used[fd as usize] = Some(descriptor);
        Fd::from(fd)
    }

    /// Whether one file more may be opened.
    pub(super) fn has_room_for_file(&self) -> bool {
        self.files < MAX_FILES
    }

    /// Frees a number and returns what it stood for.
    pub(super) fn remove(&mut self, fd: Fd) -> Result<Descriptor, Errno> {
        let fd = u32::from(fd);
        let descriptor = self.used.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)?;
        self.files -= usize::from(!descriptor.is_socket());
        self.free.insert(fd);
        Ok(descriptor)
    }

    /// Moves `from` to the number `to` and returns what stood there; both are in use.
    pub(super) fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Descriptor>, Errno> {
        self.get(to)?;
        if u32::from(from) == u32::from(to) {
            return Ok(None);
        }
        self.get(from)?;
        let replaced = self.remove(to)?;
        let moved = self.remove(from)?;
        self.files += usize::from(!moved.is_socket());
        self.free.remove(&u32::from(to));
        self.used[u32::from(to) as usize] = Some(moved);
        Ok(Some(replaced))
    }

    /// What a number stands for.
    pub(super) fn get(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        self.used.get(u32::from(fd) as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    /// What a number stands for.
    pub(super) fn get_mut(&mut self, fd: Fd) -> Result<&mut Descriptor, Errno> {
        self.used.get_mut(u32::from(fd) as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// Whether a number is in use and stands for a socket.
    pub(super) fn is_socket(&self, fd: Fd) -> bool {
        self.get(fd).is_ok_and(Descriptor::is_socket)
    }

    /// Wasmtime's number; `if_socket` when it stands for a socket.
    pub(super) fn file(&self, fd: Fd, if_socket: Errno) -> Result<Fd, Errno> {
        match self.get(fd)? {
            Descriptor::File(inner) => Ok(Fd::from(*inner)),
            _ => Err(if_socket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(descriptors: &Descriptors, fd: u32) -> Option<u32> {
        descriptors.file(Fd::from(fd), Errno::Badf).ok().map(u32::from)
    }

    #[test]
    fn the_lowest_free_number_is_next() {
        let mut descriptors = Descriptors::stdio();
        assert_eq!(u32::from(descriptors.insert(Descriptor::File(10))), 3);
        assert_eq!(u32::from(descriptors.insert(Descriptor::File(11))), 4);
        descriptors.remove(Fd::from(3)).ok().unwrap();
        descriptors.remove(Fd::from(1)).ok().unwrap();
        assert_eq!(descriptors.remove(Fd::from(3)).err(), Some(Errno::Badf));
        assert_eq!(u32::from(descriptors.insert(Descriptor::File(12))), 1);
        assert_eq!(u32::from(descriptors.insert(Descriptor::File(13))), 3);
        assert_eq!(u32::from(descriptors.insert(Descriptor::File(14))), 5);
        assert_eq!(inner(&descriptors, 4), Some(11));
        assert_eq!(inner(&descriptors, u32::MAX), None);
    }

    #[test]
    fn renumbering_replaces() {
        let mut descriptors = Descriptors::stdio();
        descriptors.insert(Descriptor::File(7));
        assert!(descriptors.renumber(Fd::from(3), Fd::from(3)).is_ok_and(|replaced| replaced.is_none()));
        assert_eq!(descriptors.renumber(Fd::from(3), Fd::from(9)).err(), Some(Errno::Badf));
        assert_eq!(descriptors.renumber(Fd::from(9), Fd::from(3)).err(), Some(Errno::Badf));
        let replaced = descriptors.renumber(Fd::from(3), Fd::from(1)).ok().flatten();
        assert!(matches!(replaced, Some(Descriptor::File(1))));
        assert_eq!((inner(&descriptors, 1), inner(&descriptors, 3)), (Some(7), None));
        assert_eq!(u32::from(descriptors.insert(Descriptor::File(8))), 3);
        assert_eq!(descriptors.files, 4);
    }
}
