//! What the tests of the program share: running it, and the stores it works on.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod folder;
pub(crate) mod program;
#[cfg(feature = "s3")]
pub(crate) mod seaweed;
