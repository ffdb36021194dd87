//! A vault that fails as planned.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{BlobInfo, Error, Location, Result, Vault, VaultCapabilities};

use super::FaultPlan;
use super::plan::Verdict;

/// A way for a call to a vault to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultFault {
    /// Nothing is done; [`Error::Unavailable`].
    Unavailable,
    /// Nothing is done; [`Error::AccessDenied`].
    AccessDenied,
    /// Nothing is done; [`Error::Rejected`].
    Rejected,
    /// Nothing is done; [`Error::BlobNotFound`]. A listing is empty.
    NotFound,
    /// The call is carried out, and the caller is told [`Error::Unavailable`].
    DoneButUnavailable,
    /// What is read ends after this many bytes, with no error. A listing ends
    /// after this many names, in [`Error::Unavailable`]. Other calls pass.
    Cut(usize),
    /// One bit of what is read is turned over: in the middle byte. Other calls pass.
    FlipBit,
}

/// A [`Vault`] whose calls go wrong by a [`FaultPlan`]. Clones share the plan.
#[derive(Clone)]
pub struct FaultyVault {
    inner: Arc<dyn Vault>,
    plan: FaultPlan<VaultFault>,
}

impl FaultyVault {
    /// Wraps a vault; calls go well until a fault is planned.
    pub fn new(inner: impl Vault) -> Self {
        Self { inner: Arc::new(inner), plan: FaultPlan::none() }
    }

    /// The plan.
    pub fn plan(&self) -> &FaultPlan<VaultFault> {
        &self.plan
    }

    /// Decides about a call: `Ok` with what is to be done to its outcome, or its error.
    fn judge(&self, name: &str) -> Result<Option<VaultFault>> {
        match self.plan.judge(name) {
            Verdict::Pass => Ok(None),
            Verdict::Stopped => Err(self.unavailable(name, "everything stopped")),
            Verdict::Fail(VaultFault::Unavailable) => Err(self.unavailable(name, "planned")),
            Verdict::Fail(VaultFault::AccessDenied) => {
                Err(Error::AccessDenied { location: self.location(), action: act_on(name), source: "planned".into() })
            }
            Verdict::Fail(VaultFault::Rejected) => {
                Err(Error::Rejected { location: self.location(), action: act_on(name), source: "planned".into() })
            }
            Verdict::Fail(VaultFault::NotFound) => {
                Err(Error::BlobNotFound { name: name.to_owned(), location: self.location() })
            }
            Verdict::Fail(fault) => Ok(Some(fault)),
        }
    }

    fn hidden<T>(&self, fault: Option<VaultFault>, name: &str, outcome: Result<T>) -> Result<T> {
        match fault {
            Some(VaultFault::DoneButUnavailable) => Err(self.unavailable(name, "it was done all the same")),
            _ => outcome,
        }
    }

    fn unavailable(&self, name: &str, why: &'static str) -> Error {
        Error::Unavailable { location: self.location(), action: act_on(name), source: why.into() }
    }

    fn location(&self) -> Location {
        Location::new(self.inner.to_string())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Vault for FaultyVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        let fault = self.judge(name)?;
        self.hidden(fault, name, self.inner.create(name, bytes).await)
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let fault = self.judge(name)?;
        let bytes = self.hidden(fault, name, self.inner.read(name, range).await)?;
        Ok(match fault {
            Some(VaultFault::Cut(length)) => bytes.slice(..bytes.len().min(length)),
            Some(VaultFault::FlipBit) => flip_bit(&bytes),
            _ => bytes,
        })
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        let fault = self.judge(name)?;
        self.hidden(fault, name, self.inner.stat(name).await)
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        let blobs = self.inner.list(prefix, start_after);
        match self.judge(prefix) {
            Ok(Some(VaultFault::Cut(names))) => {
                let cut = Err(self.unavailable(prefix, "the listing was cut"));
                blobs.take(names).chain(stream::iter([cut])).boxed()
            }
            Ok(Some(VaultFault::DoneButUnavailable)) => {
                stream::iter([Err(self.unavailable(prefix, "it was done all the same"))]).boxed()
            }
            Ok(_) => blobs,
            Err(Error::BlobNotFound { .. }) => stream::empty().boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let fault = self.judge(name)?;
        self.hidden(fault, name, self.inner.delete(name).await)
    }
}

fn act_on(name: &str) -> String {
    format!("do anything with {name}")
}

fn flip_bit(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

impl fmt::Display for FaultyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for FaultyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyVault").field("inner", &self.inner).field("plan", &self.plan).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use stocktake_core::memory::MemoryVault;

    crate::vault_conformance!(FaultyVault::new(MemoryVault::new()));

    #[test]
    fn a_call_fails_as_planned_and_the_next_one_does_not() {
        futures::executor::block_on(async {
            let vault = FaultyVault::new(MemoryVault::new());
            vault.plan().fail(0, VaultFault::Unavailable);
            assert!(matches!(vault.create("a", "x".into()).await, Err(Error::Unavailable { .. })));
            assert!(matches!(vault.read("a", None).await, Err(Error::BlobNotFound { .. })));
            vault.create("a", "x".into()).await.unwrap();
        });
    }

    #[test]
    fn a_call_may_be_done_though_it_failed() {
        futures::executor::block_on(async {
            let vault = FaultyVault::new(MemoryVault::new());
            vault.plan().fail_on("a", 0, 1, VaultFault::DoneButUnavailable);
            assert!(matches!(vault.create("a", "x".into()).await, Err(Error::Unavailable { .. })));
            assert_eq!(vault.read("a", None).await.unwrap(), "x");
        });
    }

    #[test]
    fn what_is_read_may_be_damaged() {
        futures::executor::block_on(async {
            let vault = FaultyVault::new(MemoryVault::new());
            vault.create("a", "abc".into()).await.unwrap();
            vault.plan().fail(0, VaultFault::Cut(2));
            assert_eq!(vault.read("a", None).await.unwrap(), "ab");
            vault.plan().fail(0, VaultFault::FlipBit);
            assert_eq!(vault.read("a", None).await.unwrap(), "acc");
            vault.plan().fail(0, VaultFault::Cut(0));
            assert!(vault.list("", None).try_collect::<Vec<_>>().await.is_err());
        });
    }
}
