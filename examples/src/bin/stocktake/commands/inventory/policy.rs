//! `inventory policy`: the least that a plan has to be allowed, one document for each cloud it touches.

use clap::Args;
use serde::Serialize;
use stocktake::inventory::PlanAccess;

use super::bucket::{BucketArg, Cloud};
use super::configuration::{Document, Versions};
use crate::exit::{Failure, Outcome, Result};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// What is backed up: s3://bucket/prefix or oss://bucket/prefix.
    #[arg(long, value_name = "LOC")]
    source: BucketArg,
    /// The folder of the inventories' configuration, with its data files.
    #[arg(long, value_name = "LOC")]
    inventory: Option<BucketArg>,
    /// The vault.
    #[arg(long, value_name = "LOC")]
    vault: Option<BucketArg>,
    /// Which versions are read.
    #[arg(long, default_value = "current")]
    versions: Versions,
    /// The source is listed, as without inventories.
    #[arg(long)]
    traverse: bool,
    /// Inventories are removed after use.
    #[arg(long, requires = "inventory")]
    delete_inventory: bool,
    /// A key that the source or the inventories are encrypted with. May be repeated.
    #[arg(long, value_name = "KEY")]
    kms_key: Vec<String>,
    /// The key that the store encrypts the vault with.
    #[arg(long, value_name = "KEY", requires = "vault")]
    vault_kms_key: Option<String>,
    /// The partition in ARNs of AWS.
    #[arg(long, value_name = "aws|aws-cn|aws-us-gov", default_value = "aws")]
    partition: String,
}

#[derive(Serialize)]
struct Summary {
    documents: u64,
}

pub(crate) fn run(args: &PolicyArgs, session: &Session) -> Result<Outcome> {
    let places: Vec<_> =
        [Some(&args.source), args.inventory.as_ref(), args.vault.as_ref()].into_iter().flatten().collect();
    if let Some(place) = places.iter().find(|place| matches!(place.cloud, Cloud::Obs | Cloud::Cos)) {
        return Err(Failure::Usage(format!("policies of {} are not known", place.cloud.scheme())));
    }
    let mut documents = 0;
    for cloud in [Cloud::S3, Cloud::Oss] {
        if places.iter().all(|place| place.cloud != cloud) {
            continue;
        }
        let access = args.access(cloud);
        let policy = match cloud {
            Cloud::Oss => access.ram_policy()?,
            _ => access.iam_policy(&args.partition),
        };
        let (media_type, text) = ("application/json", format!("{policy:#}"));
        let document = Document { document: "policy", cloud: cloud.scheme(), media_type, text };
        session.output.row(&document, &document.text)?;
        documents += 1;
    }
    session.output.summary(&Summary { documents }, "")?;
    Ok(Outcome::Done)
}

impl PolicyArgs {
    /// What the plan does within one cloud.
    fn access(&self, cloud: Cloud) -> PlanAccess {
        let within = |place: Option<&BucketArg>| place.filter(|place| place.cloud == cloud).map(BucketArg::place);
        let mut access = PlanAccess::new();
        access.source = within(Some(&self.source));
        access.inventories = within(self.inventory.as_ref());
        access.vault = within(self.vault.as_ref());
        access.source_versions = matches!(self.versions, Versions::All);
        access.list_source = self.traverse;
        access.delete_inventories = self.delete_inventory;
        if access.source.is_some() || access.inventories.is_some() {
            access.decrypt_keys.clone_from(&self.kms_key);
        }
        access.vault_key = self.vault_kms_key.clone().filter(|_| access.vault.is_some());
        access
    }
}
