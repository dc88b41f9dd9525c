//! The two wasmtime engines: one allocates instances from a pool made at start, the other on demand, for programs that
//! do not fit the pool's slots. Both compile to the same code, so that one cached artifact serves either.

use std::hash::{Hash, Hasher};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Memory mappings that one pool slot takes: two for its fiber stack at start, up to four while it is in use.
const MAPPINGS_PER_SLOT: u64 = 6;
/// Mappings left to the rest of the process.
const MAPPINGS_RESERVED: u64 = 8_000;
/// The kernel's default for `vm.max_map_count`, taken where it cannot be read.
const DEFAULT_MAX_MAP_COUNT: u64 = 65_530;
/// Address space given to the pool's linear memories: half of what a process has.
const POOL_ADDRESS_BYTES: u64 = 1 << 46;
/// A slot that a 32-bit memory can fill needs no bounds checks.
const FULL_SLOT_BYTES: u64 = 1 << 32;
/// Unmapped bytes after each memory, so that constant offsets need no check.
const GUARD_BYTES: u64 = 32 << 20;
/// The smallest slot that a pool is made with.
const MIN_SLOT_BYTES: u64 = 64 << 20;
/// Bytes of a freed slot that stay resident (only what was touched) for the next instance.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
/// Freed slots per pool that stay warm for their module.
const WARM_SLOTS: u32 = 64;
/// Stack that guest code may use; the rest of the fiber is for host calls.
const WASM_STACK_BYTES: usize = 1 << 20;
/// Stack of a guest's fiber.
const FIBER_STACK_BYTES: usize = 2 << 20;
/// Elements that a pooled table has room for.
const POOL_TABLE_ELEMENTS: usize = 20_000;
/// Tables and memories for each slot's core instances (a component has a table in its adapter, too).
const POOL_TABLES_PER_SLOT: u32 = 2;
/// The most instances that a pool is made for.
const MAX_SLOTS: u32 = 131_072;

/// The engines and what the pool was made for.
#[derive(Clone)]
pub(super) struct Engines {
    /// Allocates from the pool; `None` where the host has no address space for one.
    pub(super) pooled: Option<Engine>,
    pub(super) on_demand: Engine,
    /// Instances that can be alive at once.
    pub(super) slots: u32,
}

impl Engines {
    /// Makes the engines for up to `wanted_slots` live instances; `None` takes what `vm.max_map_count` carries.
    pub(super) fn new(wanted_slots: Option<u32>) -> wasmtime::Result<Engines> {
        let mut slots = wanted_slots.unwrap_or_else(|| carried_slots(max_map_count())).clamp(1, MAX_SLOTS);
        let slot_bytes = slot_bytes(slots);
        let on_demand = Engine::new(&config(slot_bytes))?;
        // A host with strict overcommit or an address space limit refuses large pools: ask for less until it agrees.
        while slots >= 16 {
            match Engine::new(config(slot_bytes).allocation_strategy(pool(slots, slot_bytes))) {
                Ok(pooled) => return Ok(Engines { pooled: Some(pooled), on_demand, slots }),
                Err(error) => tracing::debug!(slots, %error, "no address space for a pool of this size"),
            }
            slots /= 2;
        }
        tracing::warn!(
            "the host has no address space for an instance pool: instances are allocated on demand"
        );
        Ok(Engines { pooled: None, on_demand, slots: carried_slots(max_map_count()) })
    }

    /// The engine that compiles (the artifact fits both).
    pub(super) fn compiler(&self) -> &Engine {
        self.pooled.as_ref().unwrap_or(&self.on_demand)
    }

    pub(super) fn all(&self) -> Vec<Engine> {
        self.pooled.iter().chain([&self.on_demand]).cloned().collect()
    }

    /// Names what compiled code depends on (wasmtime's version, its settings, the host's CPU features).
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = std::hash::DefaultHasher::new();
        self.compiler().precompile_compatibility_hash().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// How many live instances the host's limit on memory mappings carries.
pub(super) fn carried_slots(max_map_count: u64) -> u32 {
    let slots = max_map_count.saturating_sub(MAPPINGS_RESERVED) / MAPPINGS_PER_SLOT;
    u32::try_from(slots).unwrap_or(u32::MAX).clamp(16, MAX_SLOTS)
}

fn max_map_count() -> u64 {
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_MAX_MAP_COUNT)
}

/// The address space of one slot: all that a 32-bit memory can use if so many fit, else an equal share.
fn slot_bytes(slots: u32) -> u64 {
    let share = POOL_ADDRESS_BYTES / u64::from(slots.max(1)) - GUARD_BYTES;
    if share >= FULL_SLOT_BYTES { FULL_SLOT_BYTES } else { (share & !(65536 - 1)).max(MIN_SLOT_BYTES) }
}

fn config(slot_bytes: u64) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20))
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .memory_reservation(slot_bytes)
        .memory_guard_size(GUARD_BYTES)
        .memory_init_cow(true);
    config
}

fn pool(slots: u32, slot_bytes: u64) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_stacks(slots)
        .total_memories(slots)
        .total_tables(slots.saturating_mul(POOL_TABLES_PER_SLOT))
        .total_gc_heaps(slots)
        .total_core_instances(slots.saturating_mul(8))
        .total_component_instances(slots)
        .max_memory_size(usize::try_from(slot_bytes).unwrap_or(usize::MAX))
        .table_elements(POOL_TABLE_ELEMENTS)
        .max_tables_per_module(POOL_TABLES_PER_SLOT)
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        // Finds the pages that a guest touched, where the kernel can tell: only those are cleared.
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_sized_by_the_hosts_mappings_and_addresses() {
        assert!((9_000..11_000).contains(&carried_slots(65_530)));
        assert_eq!(carried_slots(0), 16);
        assert_eq!(carried_slots(4_000_000), MAX_SLOTS);
        assert_eq!(slot_bytes(carried_slots(65_530)), FULL_SLOT_BYTES);
        assert!(slot_bytes(100_000) > 512 << 20);
    }

    #[test]
    fn both_engines_run_the_same_code() {
        let engines = Engines::new(Some(16)).unwrap();
        let code = engines.compiler().precompile_module(b"(module)").unwrap();
        let hash = |engine: &Engine| {
            let mut hasher = std::hash::DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        assert!(!code.is_empty());
        assert_eq!(hash(engines.pooled.as_ref().unwrap()), hash(&engines.on_demand));
    }
}
