//! Wrappers that watch or spoil what goes through a trait.
//!
//! Those that record prove what is *not* called: with nothing changed, a backup
//! reads no object. Those that fail show what is left when a call fails, when it
//! succeeds unseen, and when everything stops.

mod faulty_source;
mod faulty_vault;
mod plan;
mod recording_source;
mod recording_vault;

pub use faulty_source::{FaultySource, SourceFault};
pub use faulty_vault::{FaultyVault, VaultFault};
pub use plan::FaultPlan;
pub use recording_source::{RecordingSource, SourceCall};
pub use recording_vault::{RecordingVault, VaultCall, VaultOp};
