//! Memory limits: one account per container, shared by all of its instances, and the limiter of each store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio_util::sync::CancellationToken;
use wasmtime::ResourceLimiter;

/// Elements that one table may have.
pub(super) const MAX_TABLE_ELEMENTS: usize = 10_000_000;
/// Core instances in one store (a component is made of several).
pub(super) const MAX_INSTANCES: usize = 1_000;
/// Tables in one store.
pub(super) const MAX_TABLES: usize = 1_000;
/// Linear memories in one store.
pub(super) const MAX_MEMORIES: usize = 100;
/// Bytes that one table element takes.
const TABLE_ELEMENT_BYTES: u64 = 8;

/// Linear memory and tables of one container: what it holds, its peak and its limit. The first growth that would pass
/// the limit is the container's end: every instance of it is interrupted, as the kernel does.
#[derive(Debug)]
pub struct MemoryAccount {
    limit_bytes: u64,
    held_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    killed: CancellationToken,
}

impl MemoryAccount {
    /// An account limited to `limit_bytes`; `None` is unlimited.
    pub fn new(limit_bytes: Option<u64>) -> Arc<MemoryAccount> {
        Arc::new(MemoryAccount {
            limit_bytes: limit_bytes.unwrap_or(u64::MAX),
            held_bytes: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            killed: CancellationToken::new(),
        })
    }

    /// Bytes of linear memory and tables held now.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Relaxed)
    }

    /// The most that was ever held.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Relaxed)
    }

    /// The limit, if there is one.
    pub fn limit_bytes(&self) -> Option<u64> {
        (self.limit_bytes != u64::MAX).then_some(self.limit_bytes)
    }

    /// Ends when a growth has been refused.
    pub(super) async fn out_of_memory(&self) {
        self.killed.cancelled().await;
    }

    fn take(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let taken = self.held_bytes.fetch_update(Relaxed, Relaxed, |held| {
            held.checked_add(bytes).filter(|&sum| sum <= self.limit_bytes)
        });
        match taken {
            Ok(before) => {
                self.peak_bytes.fetch_max(before + bytes, Relaxed);
                Ok(())
            }
            Err(held_bytes) => {
                self.killed.cancel();
                Err(OutOfMemory { wanted_bytes: bytes, held_bytes, limit_bytes: self.limit_bytes })
            }
        }
    }

    fn give_back(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Relaxed);
    }
}

/// A growth that would pass the container's memory limit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("memory limit of {limit_bytes} bytes exceeded: {held_bytes} bytes held, {wanted_bytes} more wanted")]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub wanted_bytes: u64,
    /// Bytes held when they were asked for.
    pub held_bytes: u64,
    /// The container's limit.
    pub limit_bytes: u64,
}

/// The limiter of one store; what the store holds goes back to the account when it is dropped.
#[derive(Debug)]
pub(super) struct Limiter {
    account: Arc<MemoryAccount>,
    held_bytes: u64,
}

impl Limiter {
    pub(super) fn new(account: Arc<MemoryAccount>) -> Limiter {
        Limiter { account, held_bytes: 0 }
    }

    fn take(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        self.account.take(bytes)?;
        self.held_bytes += bytes;
        Ok(())
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.account.give_back(self.held_bytes);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.take(desired.saturating_sub(current) as u64)?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > MAX_TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.take((desired.saturating_sub(current) as u64) * TABLE_ELEMENT_BYTES)?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65536;

    #[test]
    fn stores_of_a_container_share_its_limit() {
        let account = MemoryAccount::new(Some(3 * PAGE as u64));
        let mut first = Limiter::new(account.clone());
        let mut second = Limiter::new(account.clone());
        assert!(first.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(second.memory_growing(0, PAGE, None).unwrap());
        assert!(!account.killed.is_cancelled());
        let error = second.memory_growing(PAGE, 2 * PAGE, None).unwrap_err();
        assert!(error.downcast_ref::<OutOfMemory>().is_some());
        assert!(account.killed.is_cancelled());
        drop(first);
        assert_eq!((account.held_bytes(), account.peak_bytes()), (PAGE as u64, 3 * PAGE as u64));
    }

    #[test]
    fn a_module_that_passes_its_own_maximum_is_not_out_of_memory() {
        let account = MemoryAccount::new(Some(PAGE as u64));
        let mut limiter = Limiter::new(account.clone());
        assert!(!limiter.memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE)).unwrap());
        assert!(!account.killed.is_cancelled());
    }
}
