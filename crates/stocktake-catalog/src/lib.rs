//! A catalog of snapshots kept in any vault: base and delta segments, roots and slots
