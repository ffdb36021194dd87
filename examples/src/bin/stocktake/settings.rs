//! The environment's settings of stores, for each role that a store can have.

use stocktake::location::Settings;

/// What a store is to a command. The word stands before the names of its variables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// It is backed up.
    Source,
    /// It holds backups.
    Vault,
    /// It holds inventories.
    Inventory,
    /// It is restored to.
    Target,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Source => "SOURCE",
            Self::Vault => "VAULT",
            Self::Inventory => "INVENTORY",
            Self::Target => "TARGET",
        }
    }
}

/// The environment as the store of `role` sees it.
pub(crate) fn settings(role: Role) -> Settings {
    // A name or value that is not UTF-8 can't be one of a store's settings.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Settings::new(variables).for_role(role.word())
}
