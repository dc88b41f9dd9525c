//! `wasi:sockets/ip-name-lookup`.

use super::NetworkCtx;
use super::bindings::wasi::sockets::ip_name_lookup::{Host, HostResolveAddressStream};
use crate::network::NetworkError;
use futures_util::FutureExt;
use std::net::IpAddr;
use std::pin::Pin;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};

type Answer = Result<std::vec::IntoIter<IpAddr>, NetworkError>;

/// A `resolve-address-stream`.
pub enum ResolveAddressStream {
    /// The resolver outside of the cluster has been asked.
    Asking(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// What it answered, or what the tables had.
    Answered(Answer),
}

impl ResolveAddressStream {
    fn advance(&mut self) {
        if let ResolveAddressStream::Asking(asking) = self
            && let Some(answer) = asking.now_or_never()
        {
            *self = ResolveAddressStream::Answered(answer);
        }
    }
}

#[async_trait::async_trait]
impl Pollable for ResolveAddressStream {
    async fn ready(&mut self) {
        if let ResolveAddressStream::Asking(asking) = self {
            let answer = asking.await;
            *self = ResolveAddressStream::Answered(answer);
        }
    }
}

impl Host for NetworkCtx<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.table.get(&network)?;
        let pod = self.network.clone();
        let asking = Box::pin(async move { Ok(pod.resolve(&name).await?.into_iter()) });
        let mut stream = ResolveAddressStream::Asking(asking);
        stream.advance();
        match stream {
            ResolveAddressStream::Answered(Err(error)) => Err(error.into()),
            stream => Ok(self.table.push(stream)?),
        }
    }
}

impl HostResolveAddressStream for NetworkCtx<'_> {
    fn resolve_next_address(
        &mut self,
        this: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let stream = self.table.get_mut(&this)?;
        stream.advance();
        match stream {
            ResolveAddressStream::Asking(_) => Err(ErrorCode::WouldBlock.into()),
            ResolveAddressStream::Answered(Ok(addresses)) => Ok(addresses.next().map(IpAddress::from)),
            ResolveAddressStream::Answered(Err(error)) => Err((*error).into()),
        }
    }

    fn subscribe(&mut self, this: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
