//! What the themes share: nodes on a manual clock, tiers that can be watched and held up, loaders.

pub(crate) mod gate;
pub(crate) mod loaders;
pub(crate) mod plain;
pub(crate) mod spy;
pub(crate) mod world;
