//! The worlds, each with what it is after.

mod elections;
mod membership;
mod nightly;
mod reads;
mod snapshots;
mod storage;

use super::worlds::World;

/// All worlds, those of every change first.
pub fn worlds() -> Vec<World> {
    [
        elections::elections(),
        reads::reads(),
        storage::storage(),
        snapshots::snapshots(),
        membership::membership(),
        elections::large(),
        nightly::nightly(),
    ]
    .concat()
}

/// The world called `name`.
pub fn by_name(name: &str) -> Option<World> {
    worlds().into_iter().find(|world| world.name == name)
}
