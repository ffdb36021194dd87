//! Settings of stores, by the names that environments use for them.

use std::collections::BTreeMap;
use std::fmt;

/// How buckets are reached: endpoint, region and credentials, each by its usual name.
///
/// For `s3://` these are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
/// `AWS_REGION`, `AWS_ENDPOINT_URL` and `AWS_ALLOW_HTTP`; for `oss://` they are
/// `OSS_ACCESS_KEY_ID`, `OSS_ACCESS_KEY_SECRET`, `OSS_SESSION_TOKEN`, `OSS_REGION` and `OSS_ENDPOINT`.
/// A server without conditional writes is told of by `AWS_CONDITIONAL_PUT=disabled`; one job at a time may
/// write to a vault there.
///
/// A role is a name of the embedder's choice, such as `SOURCE` or `VAULT`. Its
/// variables carry it before their name: `VAULT_AWS_REGION`. A role that has any
/// variable of its own takes nothing from the others, so that the credentials of
/// two accounts never mix.
///
/// ```
/// use stocktake::location::Settings;
/// let settings = Settings::new([("VAULT_AWS_REGION".into(), "eu-central-1".into())]);
/// let vault = settings.for_role("VAULT");
/// ```
#[derive(Clone, Default)]
pub struct Settings {
    role: Option<String>,
    variables: BTreeMap<String, String>,
}

impl Settings {
    /// Settings with these variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { role: None, variables: variables.into_iter().collect() }
    }

    /// The same settings as one role sees them.
    #[must_use]
    pub fn for_role(&self, role: &str) -> Self {
        Self { role: Some(role.to_owned()), ..self.clone() }
    }
}

impl fmt::Debug for Settings {
    /// Shows names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, variables } = self;
        f.debug_struct("Settings").field("role", role).field("variables", &variables.keys()).finish()
    }
}

#[cfg(feature = "s3")]
mod buckets {
    use stocktake_core::Result;
    use stocktake_object_store::{OpenStore, StoreSettings, StoreUrl};

    use super::Settings;

    impl Settings {
        /// Opens a bucket as these settings say.
        pub(crate) fn open(&self, url: &StoreUrl) -> Result<OpenStore> {
            let Self { role, variables } = self;
            let settings = StoreSettings::from_env(url.scheme(), role.as_deref(), |name| variables.get(name).cloned())?;
            OpenStore::open(url, &settings)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown() {
        let settings = Settings::new([("AWS_SECRET_ACCESS_KEY".into(), "hunter2".into())]).for_role("VAULT");
        let shown = format!("{settings:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && shown.contains("VAULT") && !shown.contains("hunter2"));
    }
}
