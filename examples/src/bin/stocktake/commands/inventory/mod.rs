//! `inventory`: lists, checks and makes inventories, and writes what clouds must be told to deliver them.

mod bucket;
mod check;
mod configuration;
mod create;
mod list;
mod policy;

use clap::Subcommand;

use crate::exit::{Outcome, Result};
use crate::session::Session;

/// What can be done with inventories.
#[derive(Debug, Subcommand)]
pub(crate) enum InventoryCommand {
    /// List the inventories at a location, newest first.
    List(list::ListArgs),
    /// Check the newest inventory at a location against its checksums and what is to be backed up.
    Check(check::CheckArgs),
    /// Make an inventory of a bucket or folder by listing it.
    Create(create::CreateArgs),
    /// Write the document by which a cloud is told to deliver inventories.
    Configuration(Box<configuration::ConfigurationArgs>),
    /// Write the access policy of a plan: the least that it needs.
    Policy(Box<policy::PolicyArgs>),
}

pub(crate) async fn run(command: InventoryCommand, session: &Session) -> Result<Outcome> {
    match command {
        InventoryCommand::List(args) => list::run(args, session).await,
        InventoryCommand::Check(args) => check::run(args, session).await,
        InventoryCommand::Create(args) => create::run(args, session).await,
        InventoryCommand::Configuration(args) => configuration::run(&args, session),
        InventoryCommand::Policy(args) => policy::run(&args, session),
    }
}
