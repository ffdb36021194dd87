//! One of the two states to be compared, as it is written on the command line.

use std::str::FromStr;
use std::time::Duration;

use stocktake::Location;
use stocktake::compare::Side;
use stocktake::select::{Choice, choose};

use crate::args::{KeyArgs, VaultArgs};
use crate::exit::Result;
use crate::session::Session;

/// `inventory:LOC` or `snapshot:VAULT#ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SideArg {
    Inventory(String),
    Snapshot { vault: String, snapshot: String },
}

impl FromStr for SideArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("inventory", location)) if !location.is_empty() => Ok(Self::Inventory(location.to_owned())),
            Some(("snapshot", rest)) => match rest.rsplit_once('#') {
                Some((vault, snapshot)) if !vault.is_empty() && !snapshot.is_empty() => {
                    Ok(Self::Snapshot { vault: vault.to_owned(), snapshot: snapshot.to_owned() })
                }
                _ => Err("a snapshot is written as snapshot:VAULT#ID".to_owned()),
            },
            _ => Err("write inventory:LOC or snapshot:VAULT#ID".to_owned()),
        }
    }
}

impl SideArg {
    /// Opens the state. Any inventory will do, however old.
    pub(super) async fn open(&self, key: &KeyArgs, session: &Session) -> Result<Side> {
        match self {
            Self::Inventory(location) => {
                let reader = session.open_inventories(location)?;
                let infos = reader.inventories().await?;
                let mut choice = Choice::default();
                choice.max_age = Duration::MAX;
                let info = choose(&infos, &choice, session.clock.now(), None, &Location::new(location.as_str()))?;
                Ok(Side::Inventory(reader.open(info).await?))
            }
            Self::Snapshot { vault, snapshot } => {
                let vault = VaultArgs { vault: vault.clone(), key: key.clone() };
                let opened = session.open_vault(&vault).await?;
                Ok(Side::Snapshot(opened.snapshot(snapshot).await?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_inventories_or_snapshots() {
        let snapshot =
            |vault: &str, snapshot: &str| SideArg::Snapshot { vault: vault.into(), snapshot: snapshot.into() };
        assert_eq!("inventory:s3://b/x/manifest.json".parse(), Ok(SideArg::Inventory("s3://b/x/manifest.json".into())));
        assert_eq!("snapshot:s3://b/v#latest".parse(), Ok(snapshot("s3://b/v", "latest")));
        assert_eq!("snapshot:/a#b#1".parse(), Ok(snapshot("/a#b", "1")));
        for text in ["", "inventory:", "snapshot:/v", "snapshot:/v#", "/plain"] {
            assert!(text.parse::<SideArg>().is_err(), "{text}");
        }
    }
}
