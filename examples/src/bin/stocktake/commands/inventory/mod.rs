//! `inventory`: lists, checks and makes inventories.

mod check;
mod create;
mod list;

use clap::Subcommand;

use crate::exit::{Outcome, Result};
use crate::session::Session;

/// What can be done with inventories.
#[derive(Debug, Subcommand)]
pub(crate) enum InventoryCommand {
    /// List the inventories at a location, newest first.
    List(list::ListArgs),
    /// Read the newest inventory at a location to its end, and check it against its checksums.
    Check(check::CheckArgs),
    /// Make an inventory of a bucket or folder by listing it.
    Create(create::CreateArgs),
}

pub(crate) async fn run(command: InventoryCommand, session: &Session) -> Result<Outcome> {
    match command {
        InventoryCommand::List(args) => list::run(args, session).await,
        InventoryCommand::Check(args) => check::run(args, session).await,
        InventoryCommand::Create(args) => create::run(args, session).await,
    }
}
