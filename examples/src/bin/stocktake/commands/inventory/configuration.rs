//! `inventory configuration`: what a cloud must be told to deliver inventories.

use clap::{Args, ValueEnum};
use serde::Serialize;
use stocktake::inventory::{Delivery, DeliverySchedule, InventoryConfiguration};
use stocktake::{InventoryFormat, InventoryVersions};

use super::bucket::{BucketArg, Cloud};
use crate::exit::{Failure, Outcome, Result};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ConfigurationArgs {
    /// What is to be listed: s3://bucket/prefix, or the same with oss, obs or cos.
    #[arg(long, value_name = "LOC")]
    source: BucketArg,
    /// The bucket that it is delivered to, in the same cloud and region.
    #[arg(long, value_name = "LOC")]
    to: BucketArg,
    /// Its name in the bucket's settings, and of its folder. Default: `daily` or `weekly`.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// How its files are written. Only S3 delivers Parquet.
    #[arg(long, default_value = "csv")]
    format: Format,
    /// How often it is delivered.
    #[arg(long, default_value = "daily")]
    schedule: Schedule,
    /// Which versions it lists.
    #[arg(long, default_value = "current")]
    versions: Versions,
    /// The account that owns the destination bucket. OSS needs it.
    #[arg(long, value_name = "A")]
    account: Option<String>,
    /// The role by which OSS writes: acs:ram::ACCOUNT:role/NAME.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// The region of the destination bucket. COS needs it.
    #[arg(long, value_name = "R")]
    region: Option<String>,
    /// The partition in ARNs of AWS.
    #[arg(long, value_name = "aws|aws-cn|aws-us-gov", default_value = "aws")]
    partition: String,
    /// The key of the cloud's key service that it is encrypted with.
    #[arg(long, value_name = "KEY")]
    kms_key: Option<String>,
    /// Write the policy of the destination bucket instead, by which the cloud may write there.
    #[arg(long)]
    destination_policy: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Parquet,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Schedule {
    Daily,
    Weekly,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Versions {
    Current,
    All,
}

/// A document. People get its text alone, so that it can be sent on.
#[derive(Serialize)]
pub(super) struct Document {
    pub(super) document: &'static str,
    pub(super) cloud: &'static str,
    pub(super) media_type: &'static str,
    pub(super) text: String,
}

#[derive(Serialize)]
struct Summary {
    documents: u64,
    /// Where inventories will be found in their bucket.
    inventories: Option<String>,
}

pub(crate) fn run(args: &ConfigurationArgs, session: &Session) -> Result<Outcome> {
    let cloud = args.source.cloud;
    if args.to.cloud != cloud {
        return Err(Failure::Usage("a cloud delivers inventories to its own buckets only".into()));
    }
    let delivery = args.delivery()?;
    let configuration = args.configuration();
    let document = if args.destination_policy {
        let policy = configuration.destination_policy(&delivery).ok_or_else(|| {
            Failure::Usage(format!("{} is not authorised by a policy of the bucket", delivery.name()))
        })?;
        let (media_type, text) = ("application/json", format!("{policy:#}"));
        Document { document: "destination_policy", cloud: cloud.scheme(), media_type, text }
    } else {
        let (media_type, text) = ("application/xml", configuration.to_xml(&delivery)?);
        Document { document: "configuration", cloud: cloud.scheme(), media_type, text }
    };
    session.output.row(&document, &document.text)?;
    let inventories = configuration.delivered_to(&delivery);
    session.output.summary(&Summary { documents: 1, inventories }, "")?;
    Ok(Outcome::Done)
}

impl ConfigurationArgs {
    fn configuration(&self) -> InventoryConfiguration {
        let (schedule, name) = match self.schedule {
            Schedule::Daily => (DeliverySchedule::Daily, "daily"),
            Schedule::Weekly => (DeliverySchedule::Weekly, "weekly"),
        };
        let mut configuration = InventoryConfiguration::new(&*self.source.bucket, &*self.to.bucket)
            .with_id(self.id.as_deref().unwrap_or(name))
            .with_source_prefix(&*self.source.prefix)
            .with_destination_prefix(&*self.to.prefix)
            .with_schedule(schedule);
        configuration.format = match self.format {
            Format::Csv => InventoryFormat::Csv,
            Format::Parquet => InventoryFormat::Parquet,
        };
        configuration.versions = match self.versions {
            Versions::Current => InventoryVersions::Current,
            Versions::All => InventoryVersions::All,
        };
        configuration.kms_key.clone_from(&self.kms_key);
        configuration
    }

    fn delivery(&self) -> Result<Delivery> {
        let needed = |value: &Option<String>, option: &str| {
            let scheme = self.source.cloud.scheme();
            value.clone().ok_or_else(|| Failure::Usage(format!("{scheme} needs {option}")))
        };
        Ok(match self.source.cloud {
            Cloud::S3 => Delivery::AmazonS3 { partition: self.partition.clone(), account: self.account.clone() },
            Cloud::Oss => {
                let (account, role) = (needed(&self.account, "--account")?, needed(&self.role, "--role")?);
                Delivery::AlibabaOss { account, role }
            }
            Cloud::Obs => Delivery::HuaweiObs,
            Cloud::Cos => {
                Delivery::TencentCos { region: needed(&self.region, "--region")?, account: self.account.clone() }
            }
        })
    }
}
