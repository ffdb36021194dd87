//! Incremental backup of object stores from their inventories
