//! `completions`: a script that lets a shell complete this program's arguments.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde::Serialize;

use crate::args::Cli;
use crate::exit::{Outcome, Result};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

#[derive(Serialize)]
struct Summary {
    shell: String,
    script: String,
}

pub(crate) fn run(args: CompletionsArgs, session: &Session) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stocktake", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let text = script.clone();
    session.output.summary(&Summary { shell: args.shell.to_string(), script }, text)?;
    Ok(Outcome::Done)
}
