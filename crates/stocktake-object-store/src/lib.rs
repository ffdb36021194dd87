//! Source, vault, target and listing over any object_store backend
