//! `poll_oneoff` over sockets, stdio, files and clocks together.
//!
//! What is not a socket goes to wasmtime in a memory of its own, with its own numbers; both are awaited at once.

use super::Preview1Ctx;
use super::descriptors::{Descriptor, Descriptors};
use super::memory::fault;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use wasmtime_wasi::p1::types::{
    Errno, Error, Event, EventFdReadwrite, Eventrwflags, Eventtype, Fd, Subscription,
    SubscriptionFdReadwrite, SubscriptionU, Userdata,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr, GuestType as _};

/// A subscription to a socket, or to a descriptor that is none.
struct Watched {
    fd: Fd,
    kind: Eventtype,
    userdata: Userdata,
}

impl Watched {
    /// The event, if it has come.
    fn poll(&self, descriptors: &Descriptors, context: &mut Context<'_>) -> Poll<Event> {
        let watched = match (descriptors.get(self.fd), self.kind) {
            (Ok(Descriptor::Listener { listener, .. }), Eventtype::FdRead) => {
                listener.poll_acceptable(context).map(|()| Ok((1, false)))
            }
            (Ok(Descriptor::Stream { connection, .. }), Eventtype::FdRead) => {
                let read = connection.read_half();
                read.poll_readable(context).map(|()| Ok((read.available_bytes(), read.is_ended())))
            }
            (Ok(Descriptor::Stream { connection, .. }), _) => {
                let write = connection.write_half();
                let room = || write.room_bytes().map_or((0, true), |room| (room, false));
                write.poll_writable(context).map(|()| Ok(room()))
            }
            (Ok(_), _) => Poll::Ready(Err(Errno::Inval)),
            (Err(error), _) => Poll::Ready(Err(error)),
        };
        watched.map(|outcome| self.event(outcome))
    }

    fn event(&self, outcome: Result<(usize, bool), Errno>) -> Event {
        let (error, (bytes, hung_up)) = match outcome {
            Ok(readiness) => (Errno::Success, readiness),
            Err(error) => (error, (0, false)),
        };
        let flags = if hung_up { Eventrwflags::FD_READWRITE_HANGUP } else { Eventrwflags::empty() };
        let fd_readwrite = EventFdReadwrite { nbytes: bytes as u64, flags };
        Event { userdata: self.userdata, error, type_: self.kind, fd_readwrite }
    }
}

/// The subscriptions of one call, parted.
#[derive(Default)]
struct Parted {
    sockets: Vec<Watched>,
    others: Vec<Subscription>,
}

impl Parted {
    fn add(&mut self, subscription: Subscription, descriptors: &Descriptors) {
        let userdata = subscription.userdata;
        let (fd, kind) = match &subscription.u {
            SubscriptionU::Clock(_) => return self.others.push(subscription),
            SubscriptionU::FdRead(read) => (read.file_descriptor, Eventtype::FdRead),
            SubscriptionU::FdWrite(write) => (write.file_descriptor, Eventtype::FdWrite),
        };
        let Ok(file_descriptor) = descriptors.file(fd, Errno::Badf) else {
            return self.sockets.push(Watched { fd, kind, userdata });
        };
        let inner = SubscriptionFdReadwrite { file_descriptor };
        let u = if kind == Eventtype::FdRead {
            SubscriptionU::FdRead(inner)
        } else {
            SubscriptionU::FdWrite(inner)
        };
        self.others.push(Subscription { userdata, u });
    }
}

impl Preview1Ctx {
    /// Waits until one subscription at least has come about and stores the events; returns how many.
    pub(super) async fn poll_all(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: u32,
    ) -> Result<u32, Error> {
        let cost = u64::from(count) * u64::from(Subscription::guest_size() + Event::guest_size());
        if count == 0 {
            return Err(Errno::Inval.into());
        }
        if usize::try_from(cost).is_ok_and(|cost| cost > self.fuel) {
            return Err(Errno::Nomem.into());
        }
        let mut parted = Parted::default();
        for place in subscriptions.as_array(count).iter() {
            let subscription = memory.read(place.map_err(fault)?).map_err(fault)?;
            parted.add(subscription, &self.descriptors);
        }
        let happened = self.wait(parted).await?;
        for (place, event) in events.as_array(count).iter().zip(&happened) {
            memory.write(place.map_err(fault)?, event.clone()).map_err(fault)?;
        }
        Ok(happened.len() as u32)
    }

    async fn wait(&mut self, parted: Parted) -> Result<Vec<Event>, Error> {
        let Parted { sockets, others } = parted;
        let Preview1Ctx { inner, descriptors, .. } = self;
        let none_others = others.is_empty();
        let mut others = pin!(async move {
            let mut scratch = Scratch::new(&others)?;
            let count = others.len() as u32;
            let mut memory = scratch.memory();
            let (from, to) = (GuestPtr::new(0), GuestPtr::new(count * Subscription::guest_size()));
            let happened = inner.poll_oneoff(&mut memory, from, to, count).await?;
            let places = to.as_array(happened);
            places.iter().map(|place| Ok(memory.read(place?)?)).collect::<Result<Vec<Event>, Error>>()
        });
        poll_fn(|context| {
            let mut happened: Vec<Event> = Vec::new();
            for watched in &sockets {
                if let Poll::Ready(event) = watched.poll(descriptors, context) {
                    happened.push(event);
                }
            }
            if !none_others && let Poll::Ready(more) = others.as_mut().poll(context) {
                match more {
                    Ok(more) => happened.extend(more),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            if happened.is_empty() { Poll::Pending } else { Poll::Ready(Ok(happened)) }
        })
        .await
    }
}

/// A memory with subscriptions, and room for their events behind them.
struct Scratch {
    bytes: Vec<u8>,
    start: usize,
}

/// The alignment of subscriptions and events.
const ALIGNMENT: usize = 8;

impl Scratch {
    fn new(subscriptions: &[Subscription]) -> Result<Scratch, Error> {
        let each = (Subscription::guest_size() + Event::guest_size()) as usize;
        let bytes = vec![0; subscriptions.len() * each + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        let mut scratch = Scratch { bytes, start };
        let mut memory = scratch.memory();
        let places = GuestPtr::<Subscription>::new(0).as_array(subscriptions.len() as u32);
        for (place, subscription) in places.iter().zip(subscriptions) {
            memory.write(place?, subscription.clone())?;
        }
        Ok(scratch)
    }

    fn memory(&mut self) -> GuestMemory<'_> {
        GuestMemory::Unshared(&mut self.bytes[self.start..])
    }
}
