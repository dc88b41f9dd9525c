//! Reading, writing and accepting on the guest's sockets.

use super::Preview1Ctx;
use super::descriptors::Descriptor;
use super::memory::{fault, scatter, total_bytes};
use crate::network::{Connection, NetworkError, ReadHalf};
use bytes::Bytes;
use std::future::poll_fn;
use std::net::Shutdown;
use wasmtime_wasi::p1::types::{Errno, Error, Fd, Fdflags, Fdstat, Filestat, Filetype, Rights, Sdflags};
use wiggle::{GuestMemory, GuestPtr};

impl Preview1Ctx {
    fn stream(&mut self, fd: Fd) -> Result<(&mut Connection, bool), Errno> {
        match self.descriptors.get_mut(fd)? {
            Descriptor::Stream { connection, nonblocking } => Ok((connection, *nonblocking)),
            Descriptor::Listener { .. } => Err(Errno::Notconn),
            Descriptor::File(_) => Err(Errno::Notsock),
        }
    }

    /// Accepts a connection and gives it a number.
    pub(super) async fn accept(&mut self, fd: Fd, flags: Fdflags) -> Result<Fd, Error> {
        let accepted = match self.descriptors.get(fd)? {
            Descriptor::Listener { listener, nonblocking: true } => listener.try_accept(),
            Descriptor::Listener { listener, nonblocking: false } => listener.accept().await,
            Descriptor::Stream { .. } => return Err(Errno::Inval.into()),
            Descriptor::File(_) => return Err(Errno::Notsock.into()),
        };
        let connection = accepted.map_err(Errno::from)?;
        let nonblocking = flags.contains(Fdflags::NONBLOCK);
        Ok(self.descriptors.insert(Descriptor::Stream { connection, nonblocking }))
    }

    /// Fills the buffers with what has arrived, waiting for the first byte only; with `whole` until they are full.
    /// Returns the number of bytes, 0 at the end of the stream.
    pub(super) async fn receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffers: &[GuestPtr<[u8]>],
        whole: bool,
    ) -> Result<usize, Error> {
        let (connection, nonblocking) = self.stream(fd)?;
        let (read, _) = connection.halves();
        let total = total_bytes(buffers);
        let mut filled = 0;
        while filled < total {
            let bytes = match read.try_read(total - filled) {
                Err(NetworkError::WouldBlock) if !nonblocking && (whole || filled == 0) => {
                    poll_fn(|context| read.poll_readable(context)).await;
                    continue;
                }
                Err(_) if filled > 0 => break,
                outcome => outcome.map_err(Errno::from)?,
            };
            if bytes.is_empty() {
                break;
            }
            scatter(memory, buffers, filled, &bytes)?;
            filled += bytes.len();
        }
        Ok(filled)
    }

    /// Copies what comes next into the buffers and leaves it to be received.
    pub(super) async fn peek(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffers: &[GuestPtr<[u8]>],
    ) -> Result<usize, Error> {
        let (connection, nonblocking) = self.stream(fd)?;
        let (read, _) = connection.halves();
        let bytes = next(read, nonblocking).await.map_err(Errno::from)?;
        let length = bytes.len().min(total_bytes(buffers));
        scatter(memory, buffers, 0, &bytes[..length])?;
        Ok(length)
    }

    /// Sends the buffers, all of them unless the socket does not wait.
    pub(super) async fn send(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: Fd,
        buffers: &[GuestPtr<[u8]>],
    ) -> Result<usize, Error> {
        let (connection, nonblocking) = self.stream(fd)?;
        let (_, write) = connection.halves();
        let mut sent = 0;
        for buffer in buffers {
            let mut start = 0;
            while start < buffer.len() {
                let rest = buffer.get_range(start..buffer.len()).ok_or(Errno::Fault)?;
                match write.try_write(&memory.as_cow(rest).map_err(fault)?) {
                    Ok(length) => {
                        start += length as u32;
                        sent += length;
                    }
                    Err(NetworkError::WouldBlock) if !nonblocking => {
                        poll_fn(|context| write.poll_writable(context)).await;
                    }
                    Err(_) if sent > 0 => return Ok(sent),
                    Err(error) => return Err(Errno::from(error).into()),
                }
            }
        }
        if buffers.is_empty() {
            write.room_bytes().map_err(Errno::from)?;
        }
        Ok(sent)
    }

    /// Shuts a stream down in the directions that `how` names.
    pub(super) fn shut_down(&mut self, fd: Fd, how: Sdflags) -> Result<(), Errno> {
        let (connection, _) = self.stream(fd)?;
        let how = match (how.contains(Sdflags::RD), how.contains(Sdflags::WR)) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            (false, true) => Shutdown::Write,
            (false, false) => return Err(Errno::Inval),
        };
        connection.end().shutdown(how);
        Ok(())
    }

    /// Sets whether calls on a socket wait; no other flag means anything there.
    pub(super) fn set_socket_flags(&mut self, fd: Fd, flags: Fdflags) -> Result<(), Errno> {
        if !(flags & !Fdflags::NONBLOCK).is_empty() {
            return Err(Errno::Inval);
        }
        let nonblocking = self.descriptors.get_mut(fd)?.nonblocking_mut().ok_or(Errno::Notsock)?;
        *nonblocking = flags.contains(Fdflags::NONBLOCK);
        Ok(())
    }

    /// What a socket is, for `fd_fdstat_get`.
    pub(super) fn socket_fdstat(&mut self, fd: Fd) -> Result<Fdstat, Errno> {
        let nonblocking = *self.descriptors.get_mut(fd)?.nonblocking_mut().ok_or(Errno::Notsock)?;
        let rights = Rights::FD_READ
            | Rights::FD_WRITE
            | Rights::FD_FDSTAT_SET_FLAGS
            | Rights::FD_FILESTAT_GET
            | Rights::POLL_FD_READWRITE
            | Rights::SOCK_SHUTDOWN
            | Rights::SOCK_ACCEPT;
        Ok(Fdstat {
            fs_filetype: Filetype::SocketStream,
            fs_flags: if nonblocking { Fdflags::NONBLOCK } else { Fdflags::empty() },
            fs_rights_base: rights,
            fs_rights_inheriting: rights,
        })
    }
}

/// The next bytes, left where they are.
async fn next(read: &mut ReadHalf, nonblocking: bool) -> Result<Bytes, NetworkError> {
    loop {
        match read.try_peek() {
            Err(NetworkError::WouldBlock) if !nonblocking => {
                poll_fn(|context| read.poll_readable(context)).await
            }
            outcome => return outcome,
        }
    }
}

/// What `fd_filestat_get` tells of a socket.
pub(super) fn socket_filestat() -> Filestat {
    Filestat {
        dev: 0,
        ino: 0,
        filetype: Filetype::SocketStream,
        nlink: 1,
        size: 0,
        atim: 0,
        mtim: 0,
        ctim: 0,
    }
}
