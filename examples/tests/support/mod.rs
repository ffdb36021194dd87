//! What the tests of the program share: running it, and the stores it works on.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub mod folder;
pub mod program;
#[cfg(feature = "s3")]
pub mod seaweed;
