//! What a disk holds after the power was cut: everything synced, and of the rest whatever it liked to keep.

use std::collections::BTreeMap;

/// Disks write whole sectors.
const SECTOR_BYTES: usize = 512;

/// One thing that SQLite did to a file.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
    Delete,
    Sync,
}

/// What was done, in order, with the name of the file.
pub(crate) type Record = Vec<(String, Op)>;

/// What the disk keeps of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsynced {
    Lost,
    Kept,
    /// Some operations, in part.
    Torn {
        seed: u64,
    },
}

#[derive(Clone, Default)]
struct File {
    /// None: does not exist.
    synced: Option<Vec<u8>>,
    pending: Vec<Op>,
}

/// A disk that runs through a record.
#[derive(Default)]
pub(crate) struct Disk(BTreeMap<String, File>);

impl Disk {
    pub(crate) fn run(&mut self, file: &str, op: &Op) {
        let file = self.0.entry(file.into()).or_default();
        match op {
            Op::Sync => {
                let pending = std::mem::take(&mut file.pending);
                pending.iter().for_each(|op| apply(&mut file.synced, op));
            }
            other => file.pending.push(other.clone()),
        }
    }

    /// The files that a machine finds that starts again now.
    pub(crate) fn after_power_cut(&self, unsynced: Unsynced) -> BTreeMap<String, Vec<u8>> {
        let mut random = match unsynced {
            Unsynced::Torn { seed } => numbers(seed),
            _ => numbers(0),
        };
        let mut files = BTreeMap::new();
        for (name, file) in &self.0 {
            let mut content = file.synced.clone();
            for op in &file.pending {
                match unsynced {
                    Unsynced::Lost => {}
                    Unsynced::Kept => apply(&mut content, op),
                    Unsynced::Torn { .. } => apply_part(&mut content, op, random()),
                }
            }
            files.extend(content.map(|content| (name.clone(), content)));
        }
        files
    }
}

/// splitmix64: small, and the same for the same seed everywhere.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn apply(content: &mut Option<Vec<u8>>, op: &Op) {
    match op {
        Op::Write { offset, bytes } => {
            let content = content.get_or_insert_default();
            let end = offset + bytes.len();
            content.resize(content.len().max(end), 0);
            content[*offset..end].copy_from_slice(bytes);
        }
        Op::Truncate(len) => content.get_or_insert_default().resize(*len, 0),
        Op::Delete => *content = None,
        Op::Sync => {}
    }
}

/// A third of the operations is lost, a third kept; of the other writes any of the sectors are kept.
fn apply_part(content: &mut Option<Vec<u8>>, op: &Op, random: u64) {
    match (random % 3, op) {
        (0, _) => {}
        (1, Op::Write { offset, bytes }) => {
            for (at, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                if random >> (2 + at % 60) & 1 == 1 {
                    let offset = offset + at * SECTOR_BYTES;
                    apply(content, &Op::Write { offset, bytes: sector.to_vec() });
                }
            }
        }
        _ => apply(content, op),
    }
}
