//! Seeded bugs: see the core's module of the same name.

/// Whether `$mutant` is seeded into the replica `$replica`; plainly `false` without the feature.
macro_rules! mutated {
    ($mutant:expr, $variant:ident) => {{
        #[cfg(feature = "mutants")]
        {
            $mutant == Some(crate::mutant::Mutant::$variant)
        }
        #[cfg(not(feature = "mutants"))]
        {
            false
        }
    }};
}
pub(crate) use mutated;

/// A seeded bug of the node.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// One of the core's.
    Core(raft::Mutant),
    /// A node that begins to lead forgets its state.
    FailoverEmpties,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them, by name.
    pub fn all() -> impl Iterator<Item = (&'static str, Mutant)> {
        let core = raft::Mutant::ALL
            .into_iter()
            .map(|(name, mutant)| (name, Mutant::Core(mutant)));
        core.chain([("failover-empties", Mutant::FailoverEmpties)])
    }

    /// The one that is called `name`.
    pub fn by_name(name: &str) -> Option<Mutant> {
        Mutant::all()
            .find(|(known, _)| *known == name)
            .map(|(_, mutant)| mutant)
    }
}
