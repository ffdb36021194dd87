//! What a cloud must be told so that it delivers inventories that can be used.
//!
//! The document for the request that sets an inventory up, and the policy by
//! which the cloud may write to the bucket it delivers to. Nothing is sent: who
//! may change the settings of a bucket is not who backs it up.
//!
//! The elements are those of AWS, "PutBucketInventoryConfiguration"; Alibaba
//! Cloud, "PutBucketInventory"; Huawei Cloud, "Configuring Bucket Inventories";
//! and Tencent Cloud, "PUT Bucket inventory". Google and Azure set theirs up
//! through other services, and are not covered.

use serde_json::{Value, json};
use stocktake_core::{Error, InventoryFormat, InventoryVersions, Result};

use crate::xml::Xml;

/// An inventory that is to be delivered regularly.
///
/// It always asks for all fields that a backup needs, and for those that tell
/// when an ETag is a digest of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InventoryConfiguration {
    /// Its name in the bucket's settings, and of its folder. Default `daily`, or what [`with_id`](Self::with_id) says.
    pub id: String,
    /// The bucket to be listed.
    pub source_bucket: String,
    /// Only keys that begin so are listed. Default: all.
    pub source_prefix: String,
    /// The bucket that it is delivered to, in the same region.
    pub destination_bucket: String,
    /// The folder there. Default: the root.
    pub destination_prefix: String,
    /// How its files are written. Default CSV, which every cloud can.
    pub format: InventoryFormat,
    /// How often it is delivered. Default daily.
    pub schedule: DeliverySchedule,
    /// Which versions it lists. Default the current ones.
    pub versions: InventoryVersions,
    /// The key of the cloud's key service that it is encrypted with. Default: none is named.
    pub kms_key: Option<String>,
}

/// How often an inventory is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverySchedule {
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
}

/// The cloud that is to deliver an inventory, with what it alone has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Amazon S3: CSV or Parquet.
    AmazonS3 {
        /// The partition in ARNs: `aws`, `aws-cn` or `aws-us-gov`.
        partition: String,
        /// The account that owns the destination bucket. Not required, but without it
        /// the inventory could end in a bucket that someone else made meanwhile.
        account: Option<String>,
    },
    /// Alibaba Cloud OSS: CSV.
    AlibabaOss {
        /// The account that owns the destination bucket.
        account: String,
        /// The role by which OSS writes, as `acs:ram::ACCOUNT:role/NAME`. It has to trust OSS and be allowed to write.
        role: String,
    },
    /// Huawei Cloud OBS: CSV.
    HuaweiObs,
    /// Tencent Cloud COS: CSV.
    TencentCos {
        /// The region of the destination bucket, such as `ap-guangzhou`.
        region: String,
        /// The account that owns the destination bucket.
        account: Option<String>,
    },
}

impl InventoryConfiguration {
    /// A daily inventory of the current objects of `source_bucket`, as CSV.
    pub fn new(source_bucket: impl Into<String>, destination_bucket: impl Into<String>) -> Self {
        Self {
            id: "daily".into(),
            source_bucket: source_bucket.into(),
            source_prefix: String::new(),
            destination_bucket: destination_bucket.into(),
            destination_prefix: String::new(),
            format: InventoryFormat::Csv,
            schedule: DeliverySchedule::Daily,
            versions: InventoryVersions::Current,
            kms_key: None,
        }
    }

    /// Names it.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self }
    }

    /// Lists only keys that begin so.
    #[must_use]
    pub fn with_source_prefix(self, prefix: impl Into<String>) -> Self {
        Self { source_prefix: prefix.into(), ..self }
    }

    /// Delivers to this folder.
    #[must_use]
    pub fn with_destination_prefix(self, prefix: impl Into<String>) -> Self {
        Self { destination_prefix: prefix.into(), ..self }
    }

    /// Writes files so.
    #[must_use]
    pub fn with_format(self, format: InventoryFormat) -> Self {
        Self { format, ..self }
    }

    /// Delivers this often.
    #[must_use]
    pub fn with_schedule(self, schedule: DeliverySchedule) -> Self {
        Self { schedule, ..self }
    }

    /// Lists these versions.
    #[must_use]
    pub fn with_versions(self, versions: InventoryVersions) -> Self {
        Self { versions, ..self }
    }

    /// Encrypts it with this key.
    #[must_use]
    pub fn with_kms_key(self, key: impl Into<String>) -> Self {
        Self { kms_key: Some(key.into()), ..self }
    }

    /// The document that sets it up, the body of `PUT /?inventory&id=ID` on the source
    /// bucket (OSS: `inventoryId=ID`).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what the cloud can't do: a format, an id or a prefix
    /// that it does not take, or a key on OBS and COS, where no use of one is certain.
    pub fn to_xml(&self, delivery: &Delivery) -> Result<String> {
        self.check(delivery)?;
        let mut xml = Xml::new();
        match delivery {
            Delivery::AmazonS3 { .. } => {
                xml.open("InventoryConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"");
            }
            _ => xml.open("InventoryConfiguration"),
        }
        xml.leaf("Id", &self.id)?;
        xml.leaf("IsEnabled", "true")?;
        if !self.source_prefix.is_empty() {
            xml.open("Filter");
            xml.leaf("Prefix", &self.source_prefix)?;
            xml.close();
        }
        self.put_destination(&mut xml, delivery)?;
        xml.open("Schedule");
        xml.leaf(
            "Frequency",
            match self.schedule {
                DeliverySchedule::Daily => "Daily",
                DeliverySchedule::Weekly => "Weekly",
            },
        )?;
        xml.close();
        xml.leaf(
            "IncludedObjectVersions",
            match self.versions {
                InventoryVersions::Current => "Current",
                InventoryVersions::All => "All",
            },
        )?;
        xml.open("OptionalFields");
        for field in delivery.fields() {
            xml.leaf("Field", field)?;
        }
        Ok(xml.finish())
    }

    /// The policy of the destination bucket by which the cloud may write there.
    ///
    /// That of S3 is for inventories of this source bucket alone, and of `account`
    /// if it is given. `None` for OSS, which writes by a role, and for COS, which is
    /// authorised in its console.
    pub fn destination_policy(&self, delivery: &Delivery) -> Option<Value> {
        let Self { source_bucket, destination_bucket, .. } = self;
        let objects = match self.folder() {
            "" => format!("{destination_bucket}/*"),
            folder => format!("{destination_bucket}/{folder}/*"),
        };
        match delivery {
            // AWS, "Granting permissions for Amazon S3 Inventory and Amazon S3 analytics".
            Delivery::AmazonS3 { partition, account } => {
                let mut equals = json!({ "s3:x-amz-acl": "bucket-owner-full-control" });
                if let Some(account) = account {
                    equals["aws:SourceAccount"] = json!(account);
                }
                Some(json!({
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Sid": "DeliverInventory",
                        "Effect": "Allow",
                        "Principal": { "Service": "s3.amazonaws.com" },
                        "Action": "s3:PutObject",
                        "Resource": format!("arn:{partition}:s3:::{objects}"),
                        "Condition": {
                            "ArnLike": { "aws:SourceArn": format!("arn:{partition}:s3:::{source_bucket}") },
                            "StringEquals": equals,
                        },
                    }],
                }))
            }
            // Huawei Cloud, "Configuring Bucket Inventories".
            Delivery::HuaweiObs => Some(json!({
                "Statement": [{
                    "Sid": "DeliverInventory",
                    "Effect": "Allow",
                    "Principal": { "Service": "obs" },
                    "Action": "PutObject",
                    "Resource": objects,
                }],
            })),
            Delivery::AlibabaOss { .. } | Delivery::TencentCos { .. } => None,
        }
    }

    /// Where it will be found in the destination bucket: the folder of its dated folders.
    ///
    /// `None` for COS, which puts a number of the account into the path.
    pub fn delivered_to(&self, delivery: &Delivery) -> Option<String> {
        let (source, id) = (&self.source_bucket, &self.id);
        match (delivery, self.folder()) {
            (Delivery::TencentCos { .. }, _) => None,
            // Its documentation gives this as the default.
            (Delivery::HuaweiObs, "") => Some(format!("BucketInventory/{source}/{id}")),
            (_, "") => Some(format!("{source}/{id}")),
            (_, folder) => Some(format!("{folder}/{source}/{id}")),
        }
    }

    fn folder(&self) -> &str {
        self.destination_prefix.trim_end_matches('/')
    }

    fn check(&self, delivery: &Delivery) -> Result<()> {
        let cloud = delivery.name();
        let fits = match delivery {
            Delivery::AmazonS3 { .. } => matches!(self.format, InventoryFormat::Csv | InventoryFormat::Parquet),
            _ => self.format == InventoryFormat::Csv,
        };
        if !fits {
            return Err(Error::invalid(format!(
                "{cloud} does not deliver inventories as {} that are read",
                self.format
            )));
        }
        let is_oss = matches!(delivery, Delivery::AlibabaOss { .. });
        let allowed = |byte: u8| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => true,
            b'A'..=b'Z' | b'.' | b'_' => !is_oss,
            _ => false,
        };
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(allowed) {
            return Err(Error::invalid(format!("{:?} can't be the id of an inventory of {cloud}", self.id)));
        }
        if is_oss && self.folder().chars().count() > 128 {
            return Err(Error::invalid(format!("{cloud} takes a prefix of at most 128 characters")));
        }
        if self.kms_key.is_some() && !matches!(delivery, Delivery::AmazonS3 { .. } | Delivery::AlibabaOss { .. }) {
            return Err(Error::invalid(format!("a key for inventories of {cloud} has to be set in its console")));
        }
        Ok(())
    }

    fn put_destination(&self, xml: &mut Xml, delivery: &Delivery) -> Result<()> {
        let bucket = &self.destination_bucket;
        let format = if self.format == InventoryFormat::Parquet { "Parquet" } else { "CSV" };
        xml.open("Destination");
        match delivery {
            Delivery::AmazonS3 { partition, account } => {
                xml.open("S3BucketDestination");
                xml.leaf("Format", format)?;
                xml.leaf_if("AccountId", account.as_deref())?;
                xml.leaf("Bucket", &format!("arn:{partition}:s3:::{bucket}"))?;
            }
            Delivery::AlibabaOss { account, role } => {
                xml.open("OSSBucketDestination");
                xml.leaf("Format", format)?;
                xml.leaf("AccountId", account)?;
                xml.leaf("RoleArn", role)?;
                xml.leaf("Bucket", &format!("acs:oss:::{bucket}"))?;
            }
            Delivery::HuaweiObs => {
                xml.leaf("Format", format)?;
                xml.leaf("Bucket", bucket)?;
            }
            Delivery::TencentCos { region, account } => {
                xml.open("COSBucketDestination");
                xml.leaf("Format", format)?;
                xml.leaf_if("AccountId", account.as_deref())?;
                xml.leaf("Bucket", &format!("qcs::cos:{region}::{bucket}"))?;
            }
        }
        xml.leaf_if("Prefix", Some(self.folder()).filter(|folder| !folder.is_empty()))?;
        if let Some(key) = &self.kms_key {
            xml.open("Encryption");
            xml.open("SSE-KMS");
            xml.leaf("KeyId", key)?;
            xml.close();
            xml.close();
        }
        if !matches!(delivery, Delivery::HuaweiObs) {
            xml.close();
        }
        xml.close();
        Ok(())
    }
}

impl Delivery {
    /// How the cloud's service is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AmazonS3 { .. } => "Amazon S3",
            Self::AlibabaOss { .. } => "Alibaba Cloud OSS",
            Self::HuaweiObs => "Huawei Cloud OBS",
            Self::TencentCos { .. } => "Tencent Cloud COS",
        }
    }

    /// The fields that are asked for, beside those that are always there.
    fn fields(&self) -> &'static [&'static str] {
        const FIELDS: [&str; 6] =
            ["Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded", "EncryptionStatus"];
        // COS offers no field for encryption.
        if matches!(self, Self::TencentCos { .. }) { &FIELDS[..5] } else { &FIELDS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> InventoryConfiguration {
        InventoryConfiguration::new("photos", "inventories")
            .with_source_prefix("R&D/2026/")
            .with_destination_prefix("inv/")
    }

    fn amazon() -> Delivery {
        Delivery::AmazonS3 { partition: "aws".into(), account: Some("111122223333".into()) }
    }

    fn alibaba() -> Delivery {
        let role = "acs:ram::1000000000000000:role/deliver-inventories".into();
        Delivery::AlibabaOss { account: "1000000000000000".into(), role }
    }

    fn tencent() -> Delivery {
        Delivery::TencentCos { region: "ap-guangzhou".into(), account: None }
    }

    #[test]
    fn each_cloud_gets_its_document() {
        let s3 = configuration()
            .with_format(InventoryFormat::Parquet)
            .with_schedule(DeliverySchedule::Weekly)
            .with_versions(InventoryVersions::All)
            .with_id("Weekly_1");
        let s3 = s3.with_kms_key("arn:aws:kms:eu-central-1:111122223333:key/k");
        let cases = [
            (s3, amazon(), include_str!("../tests/golden/configuration-s3.xml")),
            (configuration(), alibaba(), include_str!("../tests/golden/configuration-oss.xml")),
            (configuration(), Delivery::HuaweiObs, include_str!("../tests/golden/configuration-obs.xml")),
            (
                InventoryConfiguration::new("photos", "inventories-1250000000"),
                tencent(),
                include_str!("../tests/golden/configuration-cos.xml"),
            ),
        ];
        for (configuration, delivery, golden) in cases {
            assert_eq!(configuration.to_xml(&delivery).unwrap(), golden, "{}", delivery.name());
        }
    }

    #[test]
    fn only_the_cloud_may_write_only_inventories_of_this_bucket() {
        let policy = configuration().destination_policy(&amazon()).unwrap();
        let golden: Value = serde_json::from_str(include_str!("../tests/golden/destination-policy-s3.json")).unwrap();
        assert_eq!(policy, golden);
        let obs = configuration().destination_policy(&Delivery::HuaweiObs).unwrap();
        assert_eq!(obs["Statement"][0]["Principal"], json!({ "Service": "obs" }));
        assert_eq!(obs["Statement"][0]["Resource"], "inventories/inv/*");
        assert_eq!(configuration().destination_policy(&alibaba()), None);
    }

    #[test]
    fn what_a_cloud_can_not_do_is_refused() {
        let refused = |configuration: InventoryConfiguration, delivery: Delivery| {
            let error = configuration.to_xml(&delivery).unwrap_err();
            assert_eq!(error.code(), "invalid_input");
            assert!(error.to_string().contains(delivery.name()), "{error}");
        };
        refused(configuration().with_format(InventoryFormat::Parquet), alibaba());
        refused(configuration().with_format(InventoryFormat::Orc), amazon());
        refused(configuration().with_id("Daily"), alibaba());
        refused(configuration().with_id("a/b"), amazon());
        refused(configuration().with_kms_key("k"), tencent());
        assert!(configuration().with_source_prefix("\u{1}").to_xml(&amazon()).is_err());
    }

    #[test]
    fn the_folder_of_the_inventories_is_known_beforehand() {
        let folder = |delivery| configuration().delivered_to(&delivery);
        assert_eq!(folder(amazon()).as_deref(), Some("inv/photos/daily"));
        assert_eq!(folder(tencent()), None);
        let at_root = InventoryConfiguration::new("photos", "inventories");
        assert_eq!(at_root.delivered_to(&amazon()).as_deref(), Some("photos/daily"));
    }
}
