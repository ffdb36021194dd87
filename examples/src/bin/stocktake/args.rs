//! What all commands take, and the arguments that several share.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::commands::Command;

const LOCATIONS: &str = "\
Locations are s3://bucket/prefix, oss://bucket/prefix, file:///path or a plain path.

Stores are reached as the usual environment says: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT_URL and AWS_ALLOW_HTTP, or the OSS_* names for oss. Before each may stand SOURCE_, VAULT_,
INVENTORY_ or TARGET_; a role with a variable of its own takes nothing from the others.

Exit codes: 0 done; 1 failed, nothing committed; 2 usage; 3 completed with issues;
4 refused by a guard; 130 cancelled.";

/// Incremental backup of object stores from their inventories.
#[derive(Debug, Parser)]
#[command(name = "stocktake", version, after_help = LOCATIONS)]
pub(crate) struct Cli {
    /// Write JSON Lines to standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A vault and what opens it.
#[derive(Debug, Args)]
pub(crate) struct VaultArgs {
    /// Where the vault is.
    #[arg(long, value_name = "LOC")]
    pub(crate) vault: String,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

/// What opens a vault. The environment's `STOCKTAKE_PASSPHRASE` is taken where neither is given.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KeyArgs {
    /// A file of at least 32 random bytes that opens the vault.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// A file whose first line opens the vault. Else: the variable STOCKTAKE_PASSPHRASE.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// One snapshot of a vault.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
    /// Which snapshot: an id or enough of it, a name, or `latest`.
    #[arg(long, value_name = "ID|NAME|latest")]
    pub(crate) snapshot: String,
}
