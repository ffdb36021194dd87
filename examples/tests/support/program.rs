//! Runs the built program as a script would, and reads what it answers.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program, with the environment that a test gives it.
#[derive(Clone, Default)]
pub(crate) struct Program {
    environment: BTreeMap<String, String>,
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output as it came.
    pub(crate) stdout: Vec<u8>,
    /// Standard error as text.
    pub(crate) stderr: String,
}

impl Program {
    /// The program with these variables, and none of the machine's that concern stores.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same program with one more variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Runs a command with `--json` to its end.
    pub(crate) fn json(&self, arguments: &[&str]) -> Run {
        self.run(&[arguments, &["--json"]].concat())
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().expect("the program can be run").into()
    }

    /// Starts a command and leaves it to itself.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program can be started")
    }

    /// The command, with nothing of the machine's stores in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stocktake"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["AWS_", "OSS_", "STOCKTAKE_"].iter().any(|part| name.contains(part)) {
                command.env_remove(&*name);
            }
        }
        command.args(arguments).envs(&self.environment).stdin(Stdio::null());
        command
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        Self { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }
}

impl Run {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.text(), self.stderr);
        self
    }

    /// Checks that it failed with this exit code and error code, and said what to do.
    #[track_caller]
    pub(crate) fn fails(self, exit: i32, code: &str) -> Self {
        let run = self.exits(exit);
        let last = run.last();
        assert_eq!((&last["event"], &last["code"]), (&"error".into(), &code.into()), "{last}");
        assert!(last["message"].as_str().is_some_and(|text| !text.is_empty()), "{last}");
        assert!(last["help"].as_str().is_some_and(|text| !text.is_empty()), "{last}");
        run
    }

    /// The summary, which has to be the last line.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let last = self.last();
        assert_eq!(last["event"], "summary", "{last}");
        last
    }

    /// Every line that is a row: neither progress nor the end.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let ends = ["progress", "summary", "error"].map(Value::from);
        self.lines().into_iter().filter(|line| !ends.contains(&line["event"])).collect()
    }

    /// The rows of one kind of event.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        self.rows().into_iter().filter(|row| row["event"] == event).collect()
    }

    /// Every line; each has to be JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("each line is JSON")).collect()
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    fn last(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("nothing was written; stderr: {}", self.stderr))
    }
}
