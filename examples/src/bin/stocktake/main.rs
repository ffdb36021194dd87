//! The program `stocktake`: backup of object stores from their inventories.
//!
//! It holds no knowledge of its own about backups. Each command reads its
//! arguments, calls the library through its public API, and writes the answer;
//! whatever it does an embedder can do in as many lines.
//!
//! One file a command in `commands`; `args` says what all of them take, `session`
//! what they work with, `output` how they answer, `exit` how they end.

mod args;
mod commands;
mod exit;
mod keys;
mod output;
mod parse;
mod progress;
mod row;
mod session;
mod settings;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::args::Cli;
use crate::exit::{Failure, Outcome, Result};
use crate::output::Output;
use crate::session::Session;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let logs = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(logs).with_writer(io::stderr).init();
    let output = Arc::new(Output::new(cli.json));
    let result = run(cli, &output);
    let told = match &result {
        Err(failure) if failure.is_broken_pipe() => Ok(()),
        Err(failure) => output.failure(failure),
        Ok(_) => output.flush(),
    };
    // A reader that has gone away can't be told anything more.
    if told.is_err() && result.is_ok() { ExitCode::FAILURE } else { exit::code(&result) }
}

/// Runs the command until it ends or is interrupted.
fn run(cli: Cli, output: &Arc<Output>) -> Result<Outcome> {
    let runtime = Runtime::new().map_err(|error| stocktake::Error::invalid(format!("no runtime: {error}")))?;
    let cancel = CancellationToken::new();
    let session = Session::new(output.clone(), cancel.clone());
    let result = runtime.block_on(async {
        // From here on, not from when the task is first run.
        if let (Ok(interrupt), Ok(terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            tokio::spawn(cancel_on_signal([interrupt, terminate], cancel.clone()));
        }
        let interrupted = async {
            cancel.cancelled().await;
            if session.ends_by_itself() {
                // A commit that was begun comes to its end, and what is told is what happened.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            result = commands::run(cli.command, &session) => result,
            () = interrupted => Err(stocktake::Error::Cancelled.into()),
        }
    });
    // Work that a cancelled command left on other threads has no effect any more, but it may hold temporary files.
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

/// Cancels at the first interrupt or request to terminate; at the second, ends whatever is still going on.
async fn cancel_on_signal([mut interrupt, mut terminate]: [Signal; 2], cancel: CancellationToken) {
    let mut signalled = async || {
        tokio::select! {
            Some(()) = interrupt.recv() => {}
            Some(()) = terminate.recv() => {}
        }
    };
    signalled().await;
    cancel.cancel();
    signalled().await;
    let _ = io::stderr()
        .write_all(b"stopped at once; if a snapshot was being committed, the list of snapshots tells whether it is\n");
    std::process::exit(exit::CANCELLED.into());
}

/// Tells what is wrong with the arguments; help and version are what was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let failure = Failure::Usage(error.to_string().trim().to_owned());
        let _ = Output::new(true).failure(&failure);
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
