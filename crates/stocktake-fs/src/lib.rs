//! Source, vault, target and folder walk on a local file system
