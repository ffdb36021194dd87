//! A source that remembers what was read from it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stocktake_core::{Entry, ObjectKey, ObjectRead, Result, Source, Wanted};

/// One call to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCall {
    /// The object.
    pub key: ObjectKey,
    /// The entry that was wanted; `None` when whatever is current was.
    pub exactly: Option<Entry>,
    /// The range asked for.
    pub range: Option<Range<u64>>,
}

/// A [`Source`] that logs every call before it passes it on. Clones share the log.
#[derive(Clone)]
pub struct RecordingSource {
    inner: Arc<dyn Source>,
    calls: Arc<Mutex<Vec<SourceCall>>>,
}

impl RecordingSource {
    /// Wraps a source.
    pub fn new(inner: impl Source) -> Self {
        Self { inner: Arc::new(inner), calls: Arc::default() }
    }

    /// All calls so far, in the order they were made.
    pub fn calls(&self) -> Vec<SourceCall> {
        self.log().clone()
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        self.log().len()
    }

    /// Forgets all calls, and returns them.
    pub fn take_calls(&self) -> Vec<SourceCall> {
        std::mem::take(&mut self.log())
    }

    fn log(&self) -> MutexGuard<'_, Vec<SourceCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for RecordingSource {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let exactly = match wanted {
            Wanted::Exactly(entry) => Some(entry.clone()),
            Wanted::Current(_) => None,
        };
        self.log().push(SourceCall { key: wanted.key().clone(), exactly, range: range.clone() });
        self.inner.read(wanted, range).await
    }
}

impl fmt::Display for RecordingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for RecordingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingSource").field("inner", &self.inner).field("calls", &self.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::BucketUnderTest;
    use stocktake_core::memory::MemoryBucket;

    fn recorded() -> BucketUnderTest {
        let bucket = MemoryBucket::new("bucket");
        BucketUnderTest::new(RecordingSource::new(bucket.clone()), bucket)
    }

    crate::source_conformance!(recorded());

    #[test]
    fn every_call_is_logged_with_what_it_asked_for() {
        futures::executor::block_on(async {
            let bucket = MemoryBucket::new("bucket");
            let entry = bucket.put("a", "bytes");
            let source = RecordingSource::new(bucket);
            source.read(Wanted::Exactly(&entry), Some(1..2)).await.unwrap();
            source.read(Wanted::Current(&"b".into()), None).await.unwrap_err();
            let calls = source.take_calls();
            assert_eq!(calls[0], SourceCall { key: "a".into(), exactly: Some(entry), range: Some(1..2) });
            assert_eq!(calls[1], SourceCall { key: "b".into(), exactly: None, range: None });
            assert_eq!(source.count(), 0);
        });
    }
}
