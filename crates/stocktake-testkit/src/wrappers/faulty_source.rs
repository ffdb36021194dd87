//! A source that fails as planned.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Error, Location, ObjectKey, ObjectRead, Result, Source, Wanted};

use super::FaultPlan;
use super::plan::Verdict;

/// A way for a read to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    /// The object is gone: [`Error::ObjectNotFound`].
    NotFound,
    /// Another version is there: [`Error::ObjectChanged`].
    Changed,
    /// It must be thawed: [`Error::ObjectArchived`].
    Archived,
    /// [`Error::AccessDenied`].
    AccessDenied,
    /// [`Error::Unavailable`], at once.
    Unavailable,
    /// [`Error::Unavailable`], after this many bytes of the body.
    BreakOff(usize),
    /// [`Error::ObjectChanged`], after this many bytes of the body.
    ChangedWhileRead(usize),
    /// The body ends after this many bytes with no error. No source may do that;
    /// whoever reads should notice all the same.
    EndEarly(usize),
    /// One bit of the first piece of the body is turned over.
    FlipBit,
}

/// A [`Source`] whose reads go wrong by a [`FaultPlan`]. Clones share the plan.
#[derive(Clone)]
pub struct FaultySource {
    inner: Arc<dyn Source>,
    plan: FaultPlan<SourceFault>,
}

impl FaultySource {
    /// Wraps a source; reads go well until a fault is planned.
    pub fn new(inner: impl Source) -> Self {
        Self { inner: Arc::new(inner), plan: FaultPlan::none() }
    }

    /// The plan. The name of a call is its key, as it is shown.
    pub fn plan(&self) -> &FaultPlan<SourceFault> {
        &self.plan
    }

    fn error(&self, key: &ObjectKey, fault: Option<SourceFault>) -> Error {
        let (key, location) = (key.clone(), Location::new(self.inner.to_string()));
        let action = format!("read {key}");
        match fault {
            Some(SourceFault::NotFound) => Error::ObjectNotFound { key, location },
            Some(SourceFault::Changed | SourceFault::ChangedWhileRead(_)) => {
                Error::ObjectChanged { key, location, expected: "planned".to_owned() }
            }
            Some(SourceFault::Archived) => Error::ObjectArchived { key, location },
            Some(SourceFault::AccessDenied) => Error::AccessDenied { location, action, source: "planned".into() },
            _ => Error::Unavailable { location, action, source: "planned".into() },
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for FaultySource {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        use SourceFault::{BreakOff, ChangedWhileRead, EndEarly, FlipBit};
        let key = wanted.key();
        let fault = match self.plan.judge(&key.to_string()) {
            Verdict::Pass => return self.inner.read(wanted, range).await,
            Verdict::Stopped => return Err(self.error(key, None)),
            Verdict::Fail(fault) => fault,
        };
        let spoil = |body: BoxStream<'static, Result<Bytes>>| match fault {
            BreakOff(length) | ChangedWhileRead(length) => {
                Some(prefix(body, length).chain(stream::iter([Err(self.error(key, Some(fault)))])).boxed())
            }
            EndEarly(length) => Some(prefix(body, length)),
            FlipBit => Some(flip_bit(body)),
            _ => None,
        };
        // Told at once, so nothing is opened.
        let Some(_) = spoil(stream::empty().boxed()) else { return Err(self.error(key, Some(fault))) };
        let mut read = self.inner.read(wanted, range).await?;
        let body = std::mem::replace(&mut read.body, stream::empty().boxed());
        read.body = spoil(body).expect("this fault concerns the body");
        Ok(read)
    }
}

/// The first `length` bytes of a body.
fn prefix(body: BoxStream<'static, Result<Bytes>>, length: usize) -> BoxStream<'static, Result<Bytes>> {
    body.scan(length, |left, piece| {
        let piece = piece.map(|bytes| bytes.slice(..bytes.len().min(*left)));
        *left -= piece.as_ref().map_or(0, Bytes::len);
        std::future::ready((piece.is_err() || piece.as_ref().is_ok_and(|bytes| !bytes.is_empty())).then_some(piece))
    })
    .boxed()
}

fn flip_bit(body: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    let flip = |(number, piece): (usize, Result<Bytes>)| match piece {
        Ok(bytes) if number == 0 => {
            let mut bytes = bytes.to_vec();
            bytes.first_mut().into_iter().for_each(|byte| *byte ^= 1);
            Ok(bytes.into())
        }
        piece => piece,
    };
    body.enumerate().map(flip).boxed()
}

impl fmt::Display for FaultySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for FaultySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultySource").field("inner", &self.inner).field("plan", &self.plan).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::BucketUnderTest;
    use futures::TryStreamExt;
    use stocktake_core::memory::MemoryBucket;

    fn faultless() -> BucketUnderTest {
        let bucket = MemoryBucket::new("bucket");
        BucketUnderTest::new(FaultySource::new(bucket.clone()), bucket)
    }

    crate::source_conformance!(faultless());

    async fn read_with(fault: SourceFault) -> Result<Vec<u8>> {
        let bucket = MemoryBucket::new("bucket");
        let entry = bucket.put("a", "bytes");
        let source = FaultySource::new(bucket);
        source.plan().fail(0, fault);
        let body = source.read(Wanted::Exactly(&entry), None).await?.body;
        Ok(body.try_collect::<Vec<_>>().await?.concat())
    }

    #[test]
    fn each_fault_is_what_it_says() {
        futures::executor::block_on(async {
            use SourceFault::*;
            assert!(matches!(read_with(NotFound).await, Err(Error::ObjectNotFound { .. })));
            assert!(matches!(read_with(Changed).await, Err(Error::ObjectChanged { .. })));
            assert!(matches!(read_with(Archived).await, Err(Error::ObjectArchived { .. })));
            assert!(matches!(read_with(AccessDenied).await, Err(Error::AccessDenied { .. })));
            assert!(matches!(read_with(Unavailable).await, Err(Error::Unavailable { .. })));
            assert!(matches!(read_with(BreakOff(2)).await, Err(Error::Unavailable { .. })));
            assert!(matches!(read_with(ChangedWhileRead(2)).await, Err(Error::ObjectChanged { .. })));
            assert_eq!(read_with(EndEarly(2)).await.unwrap(), b"by");
            assert_eq!(read_with(FlipBit).await.unwrap(), b"cytes");
        });
    }
}
