//! Change detection, copy, pack, backup, restore and verify
