//! Bucket inventories: discovery, checks, CSV and Parquet readers, listing, and inventories made for stores that have none
