//! A catalog in a vault keeps the promises of the trait, with tiny segments and with usual ones.

mod common;

mod plain {
    use crate::common::{Mode, empty};
    stocktake_testkit::catalog_conformance!(empty(Mode::Plain));
}

mod sealed {
    use crate::common::{Mode, empty};
    stocktake_testkit::catalog_conformance!(empty(Mode::Sealed));
}

mod usual_segments {
    use crate::common::{Mode, open};
    use stocktake_catalog::CatalogOptions;
    use stocktake_core::memory::MemoryVault;
    stocktake_testkit::catalog_conformance!(open(MemoryVault::new(), Mode::Plain, CatalogOptions::default()));
}
