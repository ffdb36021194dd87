//! Flat Parquet columns decoded from pages, without Arrow arrays
