//! How a store is reached: endpoint, region, credentials.

use std::fmt;

use stocktake_core::{Error, Result};

use crate::Scheme;

/// What is needed to open a bucket beside its name.
///
/// Shown without its secrets.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSettings {
    /// The URL of the store, without a bucket. Default: that of Amazon S3 in the
    /// region; Alibaba OSS must be given one.
    pub endpoint: Option<String>,
    /// The region that requests are signed for. Default: `us-east-1`.
    pub region: Option<String>,
    /// Default: what the machine's role gives out, as on EC2, ECS and EKS.
    pub access_key: Option<String>,
    /// Belongs to the access key.
    pub secret_key: Option<String>,
    /// Belongs to an access key that is temporary.
    pub session_token: Option<String>,
    /// Whether an endpoint may be `http://`. Default: it may not.
    pub allow_http: bool,
    /// Where in a URL the bucket stands.
    pub addressing: Addressing,
    /// Whether the store refuses to create what is there (`If-None-Match: *`). Default: by the scheme, S3 does and
    /// OSS does not. Where it does not, one writer at a time may use a vault.
    pub conditional_put: Option<bool>,
}

/// Where in a URL the bucket stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In the host for Amazon S3 and Alibaba OSS, in the path for other endpoints.
    #[default]
    Usual,
    /// In the path: `https://endpoint/bucket/key`.
    Path,
    /// In the host: `https://bucket.endpoint/key`.
    VirtualHost,
}

/// The names of the environment that set each field.
struct Names {
    endpoint: &'static [&'static str],
    region: &'static [&'static str],
    access_key: &'static [&'static str],
    secret_key: &'static [&'static str],
    session_token: &'static [&'static str],
    allow_http: &'static [&'static str],
    virtual_host: &'static [&'static str],
    conditional_put: &'static [&'static str],
}

const AWS: Names = Names {
    endpoint: &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"],
    region: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    access_key: &["AWS_ACCESS_KEY_ID"],
    secret_key: &["AWS_SECRET_ACCESS_KEY"],
    session_token: &["AWS_SESSION_TOKEN"],
    allow_http: &["AWS_ALLOW_HTTP"],
    virtual_host: &["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"],
    conditional_put: &["AWS_CONDITIONAL_PUT"],
};

const OSS: Names = Names {
    endpoint: &["OSS_ENDPOINT"],
    region: &["OSS_REGION"],
    access_key: &["OSS_ACCESS_KEY_ID"],
    secret_key: &["OSS_ACCESS_KEY_SECRET"],
    session_token: &["OSS_SESSION_TOKEN"],
    allow_http: &["OSS_ALLOW_HTTP"],
    virtual_host: &["OSS_VIRTUAL_HOSTED_STYLE_REQUEST"],
    conditional_put: &["OSS_CONDITIONAL_PUT"],
};

impl Names {
    const fn of(scheme: Scheme) -> &'static Self {
        match scheme {
            Scheme::S3 => &AWS,
            Scheme::Oss => &OSS,
        }
    }

    fn all(&self) -> impl Iterator<Item = &'static str> {
        let Self { endpoint, region, access_key, secret_key, session_token, allow_http, virtual_host, conditional_put } =
            *self;
        let keys = [access_key, secret_key, session_token];
        let others = [endpoint, region, allow_http, virtual_host, conditional_put];
        keys.into_iter().chain(others).flatten().copied()
    }
}

impl StoreSettings {
    /// Reads settings from an environment, given as a function from name to value.
    ///
    /// A role, such as `VAULT`, stands before each name: `VAULT_AWS_REGION`. A role
    /// that has any variable of its own, of either scheme, takes nothing from the
    /// names without a role, so that the credentials of two accounts never mix.
    /// Empty values count as absent.
    ///
    /// # Errors
    /// [`InvalidInput`](stocktake_core::Error::InvalidInput) for a flag that is neither
    /// `true` nor `false`, for conditional puts that are neither `etag` nor `disabled`,
    /// and for one half of a pair of keys.
    pub fn from_env(scheme: Scheme, role: Option<&str>, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let own = |name: &str| role.and_then(|role| lookup(&format!("{role}_{name}")));
        if AWS.all().chain(OSS.all()).any(|name| own(name).is_some()) {
            Self::read(Names::of(scheme), own)
        } else {
            Self::read(Names::of(scheme), lookup)
        }
    }

    fn read(names: &Names, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |names: &[&str]| names.iter().find_map(|name| lookup(name));
        let flag = |names: &[&str]| match text(names).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(Error::invalid(format!("{} is {other:?}, neither true nor false", names[0]))),
        };
        let conditional_put = match text(names.conditional_put).as_deref() {
            None => None,
            Some("etag") => Some(true),
            Some("disabled") => Some(false),
            Some(other) => {
                let name = names.conditional_put[0];
                return Err(Error::invalid(format!("{name} is {other:?}, neither etag nor disabled")));
            }
        };
        let settings = Self {
            conditional_put,
            endpoint: text(names.endpoint),
            region: text(names.region),
            access_key: text(names.access_key),
            secret_key: text(names.secret_key),
            session_token: text(names.session_token),
            allow_http: flag(names.allow_http)?.unwrap_or(false),
            addressing: match flag(names.virtual_host)? {
                None => Addressing::Usual,
                Some(false) => Addressing::Path,
                Some(true) => Addressing::VirtualHost,
            },
        };
        if settings.access_key.is_some() != settings.secret_key.is_some() {
            let [access, secret] = [names.access_key[0], names.secret_key[0]];
            return Err(Error::invalid(format!("of {access} and {secret}, only one is set")));
        }
        Ok(settings)
    }

    /// The same settings with an endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The same settings with a region.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The same settings with a pair of keys.
    #[must_use]
    pub fn with_keys(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        (self.access_key, self.secret_key) = (Some(access_key.into()), Some(secret_key.into()));
        self
    }

    /// The same settings, allowing an endpoint without TLS.
    #[must_use]
    pub fn with_http_allowed(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The same settings for a store that refuses, or does not refuse, to create what is there.
    #[must_use]
    pub fn with_conditional_put(mut self, refuses: bool) -> Self {
        self.conditional_put = Some(refuses);
        self
    }

    /// The same settings with another place for the bucket's name.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = addressing;
        self
    }
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, access_key, secret_key, session_token, allow_http, addressing, conditional_put } =
            self;
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "hidden");
        f.debug_struct("StoreSettings")
            .field("endpoint", endpoint)
            .field("region", region)
            .field("access_key", access_key)
            .field("secret_key", &hidden(secret_key))
            .field("session_token", &hidden(session_token))
            .field("allow_http", allow_http)
            .field("addressing", addressing)
            .field("conditional_put", conditional_put)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(scheme: Scheme, role: Option<&str>, env: &[(&str, &str)]) -> Result<StoreSettings> {
        let lookup = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        StoreSettings::from_env(scheme, role, lookup)
    }

    const SHARED: [(&str, &str); 4] = [
        ("AWS_ACCESS_KEY_ID", "shared"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];

    #[test]
    fn a_role_without_variables_of_its_own_takes_the_shared_ones() {
        for role in [None, Some("VAULT")] {
            let settings = read(Scheme::S3, role, &SHARED).unwrap();
            assert_eq!(settings.access_key.as_deref(), Some("shared"));
            assert!(settings.allow_http);
        }
    }

    #[test]
    fn a_role_with_any_variable_of_its_own_takes_none_of_the_shared_ones() {
        for own in ["VAULT_AWS_ENDPOINT_URL", "VAULT_OSS_REGION"] {
            let env: Vec<_> = SHARED.into_iter().chain([(own, "x")]).collect();
            let settings = read(Scheme::S3, Some("VAULT"), &env).unwrap();
            assert_eq!((settings.access_key, settings.region, settings.allow_http), (None, None, false));
            assert_eq!(read(Scheme::S3, Some("SOURCE"), &env).unwrap().access_key.as_deref(), Some("shared"));
        }
    }

    #[test]
    fn an_empty_variable_is_none() {
        let env: Vec<_> = SHARED.into_iter().chain([("VAULT_AWS_REGION", "")]).collect();
        assert_eq!(read(Scheme::S3, Some("VAULT"), &env).unwrap().region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn each_scheme_has_its_names() {
        let env = [("OSS_ACCESS_KEY_ID", "a"), ("OSS_ACCESS_KEY_SECRET", "b"), ("OSS_ENDPOINT", "https://oss")];
        let settings = read(Scheme::Oss, Some("SOURCE"), &env).unwrap();
        assert_eq!((settings.secret_key.as_deref(), settings.endpoint.as_deref()), (Some("b"), Some("https://oss")));
        assert_eq!(read(Scheme::S3, None, &env).unwrap(), StoreSettings::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(read(Scheme::S3, None, &[("AWS_ALLOW_HTTP", "yes")]).is_err());
        assert!(read(Scheme::S3, None, &[("AWS_CONDITIONAL_PUT", "dynamo")]).is_err());
        assert!(read(Scheme::S3, None, &[("AWS_ACCESS_KEY_ID", "a")]).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut settings = StoreSettings::default().with_keys("AK", "s3cret");
        settings.session_token = Some("t0ken".into());
        let shown = format!("{settings:?}");
        assert!(shown.contains("AK") && !shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }
}
