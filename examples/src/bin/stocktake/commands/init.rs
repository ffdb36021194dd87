//! `init`: makes a vault, encrypted unless the user says otherwise.

use std::fs;

use clap::Args;
use serde::Serialize;
use stocktake::{Error, Protection, init_vault, location};

use crate::args::KeyArgs;
use crate::exit::{Failure, Outcome, Result};
use crate::session::Session;
use crate::settings::{Role, settings};
use crate::table::Table;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where the vault will be: an empty bucket, prefix or folder.
    #[arg(value_name = "VAULT")]
    vault: String,
    /// Do without encryption: whoever can read the store can read the backups.
    #[arg(long, conflicts_with_all = ["key_file", "passphrase_file"])]
    unencrypted: bool,
    /// A key file that is not there yet is made, with random bytes that only its owner can read.
    #[command(flatten)]
    key: KeyArgs,
}

const NO_KEY: &str = "\
a vault is encrypted, and nothing was given to open it with. Choose one:
  --key-file FILE         a file of random bytes; it is made if it is not there
  --passphrase-file FILE  a file whose first line is the passphrase
  STOCKTAKE_PASSPHRASE    the passphrase in the environment
  --unencrypted           do without: whoever can read the store can read the backups
Without the key or the passphrase nobody can read the backups: keep a copy elsewhere.";

#[derive(Serialize)]
struct Summary {
    vault: String,
    id: String,
    encrypted: bool,
    key_file_created: bool,
}

pub(crate) async fn run(args: InitArgs, session: &Session) -> Result<Outcome> {
    let store = location::open_vault_store(&args.vault, &settings(Role::Vault))?;
    let key_file_created = args.key.create_key_file(&*session.entropy)?;
    let provider = if args.unencrypted { None } else { args.key.provider()? };
    let protection = match &provider {
        Some(provider) => Protection::Encrypted(&**provider),
        None if args.unencrypted => Protection::Unencrypted,
        None => return Err(Failure::Usage(NO_KEY.to_owned())),
    };
    let made = init_vault(store, protection, &*session.clock, &*session.entropy).await;
    // A key that opens nothing is in the way only; any other failure may have left a vault that it opens.
    if let (Err(Error::VaultExists { .. }), true, Some(path)) = (&made, key_file_created, &args.key.key_file) {
        fs::remove_file(path).map_err(Error::local("remove the key file", path))?;
    }
    let vault = made?;
    let (id, encrypted) = (vault.config.id.to_string(), vault.config.encrypted);
    let mut table = Table::new().line("vault", &args.vault).line("id", &id).line("encrypted", encrypted);
    if let (true, Some(path)) = (key_file_created, &args.key.key_file) {
        table = table.line("key file", format!("{} (new; keep a copy elsewhere)", path.display()));
    }
    session.output.summary(&Summary { vault: args.vault, id, encrypted, key_file_created }, table)?;
    Ok(Outcome::Done)
}
