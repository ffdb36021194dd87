//! The least that a plan has to be allowed, as policies of the clouds.
//!
//! One policy for each cloud that a plan touches, to be given to the identity its
//! jobs run as. It names the places of the plan and nothing else. Actions are
//! those of AWS, "Actions, resources, and condition keys for Amazon S3", and
//! Alibaba Cloud, "RAM policies" of OSS. Other clouds are not covered.

use serde_json::{Value, json};
use stocktake_core::{Error, Result};

/// A bucket, or a prefix of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPlace {
    /// The bucket.
    pub bucket: String,
    /// What names begin with; empty for the whole bucket.
    pub prefix: String,
}

impl BucketPlace {
    /// Names of `bucket` that begin with `prefix`. A folder's ends in a slash.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), prefix: prefix.into() }
    }
}

/// What a plan does, and where, within one cloud.
///
/// What lies in another cloud is left out here, and stands in the policy of that one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanAccess {
    /// What is read.
    pub source: Option<BucketPlace>,
    /// Whether versions are read by their ids, as from an inventory of all versions.
    pub source_versions: bool,
    /// Whether the source is listed, as a plan without inventories does.
    ///
    /// On S3, whoever may not list the whole bucket is told 403 of an object that is
    /// gone, not 404; it then counts as failed rather than as vanished.
    pub list_source: bool,
    /// The folder of the inventories' configuration, with its data files.
    pub inventories: Option<BucketPlace>,
    /// Whether inventories are removed after use.
    pub delete_inventories: bool,
    /// The vault. Pruning deletes there.
    pub vault: Option<BucketPlace>,
    /// Keys of the cloud's key service that source and inventories are encrypted with, by their full names.
    pub decrypt_keys: Vec<String>,
    /// The key that the store encrypts the vault with, by its full name.
    pub vault_key: Option<String>,
}

/// One statement: actions on resources.
struct Grant<'a> {
    sid: &'static str,
    actions: Vec<&'static str>,
    on: On<'a>,
}

/// What a statement is about.
enum On<'a> {
    /// The objects of a place.
    Objects(&'a BucketPlace),
    /// The listing of a place.
    Listing(&'a BucketPlace),
    /// Keys of the key service.
    Keys(Vec<&'a str>),
}

impl PlanAccess {
    /// Nothing yet; set the fields that the plan has.
    pub fn new() -> Self {
        Self::default()
    }

    /// The policy for IAM of AWS, in this partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn iam_policy(&self, partition: &str) -> Value {
        let arn = |text: String| format!("arn:{partition}:s3:::{text}");
        let statements = self.grants().into_iter().map(|Grant { sid, actions, on }| {
            let actions: Vec<_> = actions.iter().map(|action| action_of_aws(&on, action)).collect();
            let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions });
            match on {
                On::Objects(place) => {
                    statement["Resource"] = json!(arn(format!("{}/{}*", place.bucket, literal(&place.prefix))));
                }
                On::Listing(place) => {
                    statement["Resource"] = json!(arn(place.bucket.clone()));
                    if !place.prefix.is_empty() {
                        let prefix = format!("{}*", literal(&place.prefix));
                        statement["Condition"] = json!({ "StringLike": { "s3:prefix": prefix } });
                    }
                }
                On::Keys(keys) => statement["Resource"] = json!(keys),
            }
            statement
        });
        json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
    }

    /// The policy for RAM of Alibaba Cloud.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a prefix with `*` or `?`, which would stand for any text.
    pub fn ram_policy(&self) -> Result<Value> {
        let places = [&self.source, &self.inventories, &self.vault];
        if let Some(place) = places.into_iter().flatten().find(|place| place.prefix.contains(['*', '?'])) {
            return Err(Error::invalid(format!("{:?} would match other names too in a RAM policy", place.prefix)));
        }
        let statements = self.grants().into_iter().map(|Grant { actions, on, .. }| {
            let actions: Vec<_> = actions.iter().map(|action| action_of_alibaba(&on, action)).collect();
            let mut statement = json!({ "Effect": "Allow", "Action": actions });
            match on {
                On::Objects(place) => {
                    statement["Resource"] = json!([format!("acs:oss:*:*:{}/{}*", place.bucket, place.prefix)]);
                }
                On::Listing(place) => {
                    statement["Resource"] = json!([format!("acs:oss:*:*:{}", place.bucket)]);
                    if !place.prefix.is_empty() {
                        let prefix = format!("{}*", place.prefix);
                        statement["Condition"] = json!({ "StringLike": { "oss:Prefix": [prefix] } });
                    }
                }
                On::Keys(keys) => statement["Resource"] = json!(keys),
            }
            statement
        });
        Ok(json!({ "Version": "1", "Statement": statements.collect::<Vec<_>>() }))
    }

    fn grants(&self) -> Vec<Grant<'_>> {
        let Self {
            source,
            source_versions,
            list_source,
            inventories,
            delete_inventories,
            vault,
            decrypt_keys,
            vault_key,
        } = self;
        let mut grants = Vec::new();
        let mut grant = |sid, actions: &[&'static str], on| grants.push(Grant { sid, actions: actions.to_vec(), on });
        if let Some(source) = source {
            let read: &[_] = if *source_versions { &["GetObject", "GetObjectVersion"] } else { &["GetObject"] };
            grant("ReadSource", read, On::Objects(source));
            if *list_source {
                grant("ListSource", &[LIST], On::Listing(source));
            }
        }
        if let Some(inventories) = inventories {
            grant("FindInventories", &[LIST], On::Listing(inventories));
            grant("ReadInventories", &["GetObject"], On::Objects(inventories));
            if *delete_inventories {
                grant("DeleteInventories", &["DeleteObject"], On::Objects(inventories));
            }
        }
        if let Some(vault) = vault {
            grant("ListVault", &[LIST], On::Listing(vault));
            grant("UseVault", &["GetObject", "PutObject", "DeleteObject"], On::Objects(vault));
        }
        if !decrypt_keys.is_empty() {
            grant("DecryptSource", &["Decrypt"], On::Keys(decrypt_keys.iter().map(String::as_str).collect()));
        }
        if let Some(key) = vault_key {
            grant("EncryptVault", &["Decrypt", "GenerateDataKey"], On::Keys(vec![key]));
        }
        grants
    }
}

/// Stands for the listing of objects, which each cloud names in its own way.
const LIST: &str = "ListObjects";

fn action_of_aws(on: &On<'_>, action: &str) -> String {
    match on {
        On::Keys(_) => format!("kms:{action}"),
        // The action that ListObjectsV2 asks for.
        On::Listing(_) => "s3:ListBucket".into(),
        On::Objects(_) => format!("s3:{action}"),
    }
}

fn action_of_alibaba(on: &On<'_>, action: &str) -> String {
    match on {
        On::Keys(_) => format!("kms:{action}"),
        On::Listing(_) | On::Objects(_) => format!("oss:{action}"),
    }
}

/// A text that stands for itself in a policy of AWS: `*`, `?` and `$` have a meaning
/// there (AWS, "IAM policy elements: Variables and tags").
fn literal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut literal, char| {
        match char {
            '*' => literal.push_str("${*}"),
            '?' => literal.push_str("${?}"),
            '$' => literal.push_str("${$}"),
            other => literal.push(other),
        }
        literal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> PlanAccess {
        PlanAccess {
            source: Some(BucketPlace::new("photos", "2026/")),
            inventories: Some(BucketPlace::new("inventories", "inv/photos/daily/")),
            vault: Some(BucketPlace::new("backups", "photos/")),
            ..PlanAccess::new()
        }
    }

    fn all() -> PlanAccess {
        PlanAccess {
            source_versions: true,
            list_source: true,
            delete_inventories: true,
            decrypt_keys: vec!["key-1".into()],
            vault_key: Some("key-2".into()),
            ..access()
        }
    }

    #[track_caller]
    fn check(policy: &Value, golden: &str) {
        assert_eq!(*policy, serde_json::from_str::<Value>(golden).unwrap(), "{policy:#}");
    }

    #[test]
    fn a_plan_may_do_what_it_does_and_nothing_else() {
        check(&access().iam_policy("aws"), include_str!("../tests/golden/plan-policy-s3.json"));
        check(&access().ram_policy().unwrap(), include_str!("../tests/golden/plan-policy-oss.json"));
    }

    #[test]
    fn what_a_plan_does_beyond_that_is_added() {
        check(&all().iam_policy("aws-cn"), include_str!("../tests/golden/plan-policy-s3-all.json"));
        let text = all().ram_policy().unwrap().to_string();
        for action in ["oss:GetObjectVersion", "oss:DeleteObject", "kms:Decrypt", "kms:GenerateDataKey"] {
            assert!(text.contains(action), "{action}");
        }
    }

    #[test]
    fn without_the_deletion_of_inventories_nothing_there_may_be_deleted() {
        let deletable = |access: &PlanAccess| {
            let policy = access.iam_policy("aws");
            let statements = policy["Statement"].as_array().unwrap();
            let deletes = statements.iter().filter(|statement| statement["Action"].to_string().contains("Delete"));
            deletes.map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(deletable(&access()), ["UseVault"]);
        assert_eq!(deletable(&all()), ["DeleteInventories", "UseVault"]);
    }

    #[test]
    fn a_prefix_stands_for_itself() {
        let odd = PlanAccess { source: Some(BucketPlace::new("b", "a*${x}?/")), ..PlanAccess::new() };
        assert_eq!(odd.iam_policy("aws")["Statement"][0]["Resource"], "arn:aws:s3:::b/a${*}${$}{x}${?}/*");
        assert!(odd.ram_policy().is_err());
    }
}
