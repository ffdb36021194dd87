//! The commands, one file each.

mod backup;
mod browse;
mod cat;
mod completions;
mod diff;
mod find;
mod init;
mod inventory;
mod restore;
mod snapshots;
mod verify;

use clap::Subcommand;

use crate::exit::{Outcome, Result};
use crate::session::Session;

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a vault.
    Init(init::InitArgs),
    /// Back up a bucket or folder.
    Backup(Box<backup::BackupArgs>),
    /// List the snapshots of a vault, oldest first.
    Snapshots(snapshots::SnapshotsArgs),
    /// Look into a snapshot as into folders.
    Browse(browse::BrowseArgs),
    /// Find objects in snapshots.
    Find(find::FindArgs),
    /// Write one object to standard output, straight from the vault.
    Cat(cat::CatArgs),
    /// Restore objects to a bucket or folder.
    Restore(Box<restore::RestoreArgs>),
    /// Show what differs between two inventories or snapshots.
    Diff(diff::DiffArgs),
    /// Check that what is in a vault can be restored.
    Verify(verify::VerifyArgs),
    /// List, check and make inventories, or say what a cloud must be told to deliver them.
    #[command(subcommand)]
    Inventory(inventory::InventoryCommand),
    /// Write completions for a shell.
    Completions(completions::CompletionsArgs),
}

/// Runs a command to its end.
pub(crate) async fn run(command: Command, session: &Session) -> Result<Outcome> {
    match command {
        Command::Init(args) => init::run(args, session).await,
        Command::Backup(args) => backup::run(*args, session).await,
        Command::Snapshots(args) => snapshots::run(args, session).await,
        Command::Browse(args) => browse::run(args, session).await,
        Command::Find(args) => find::run(args, session).await,
        Command::Cat(args) => cat::run(args, session).await,
        Command::Restore(args) => restore::run(*args, session).await,
        Command::Diff(args) => diff::run(args, session).await,
        Command::Verify(args) => verify::run(args, session).await,
        Command::Inventory(command) => inventory::run(command, session).await,
        Command::Completions(args) => completions::run(args, session),
    }
}
