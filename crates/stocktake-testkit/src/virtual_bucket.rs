//! A bucket of as many keys as are wanted, which holds none of them.
//!
//! It answers ListObjectsV2 in byte order, with prefix, delimiter, `start-after` and
//! continuation, from the numbers of its keys alone, and nothing else. Signatures
//! are not looked at.

use std::convert::Infallible;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Keys of a page, as Amazon S3 has it.
const PAGE_KEYS: u64 = 1_000;

/// A running server of one bucket, by whatever name it is asked. Dropping it closes its port.
pub struct VirtualBucket {
    address: SocketAddr,
    listed: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl VirtualBucket {
    /// Starts a bucket of so many keys on a thread of its own. Each answer takes `latency` longer than it has to.
    ///
    /// # Panics
    /// When no port or thread is to be had.
    pub fn start(keys: u64, latency: Duration) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be made not to block");
        let address = listener.local_addr().expect("a bound socket has an address");
        let listed = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counter = Arc::clone(&listed);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be started").block_on(async {
                tokio::select! {
                    () = serve(listener, keys, latency, counter) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, listed, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL of the S3 endpoint, for path-style requests.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// LIST requests that came.
    pub fn listed(&self) -> u64 {
        self.listed.load(Relaxed)
    }

    /// The key of a number; keys ascend as numbers do.
    pub fn key(number: u64) -> String {
        format!("photos/{:06}/IMG_{number:010}.jpg", number / 1_000)
    }

    /// The size of the object of a number.
    pub fn size(number: u64) -> u64 {
        number % 4_096
    }
}

async fn serve(listener: std::net::TcpListener, keys: u64, latency: Duration, listed: Arc<AtomicU64>) {
    let listener = TcpListener::from_std(listener).expect("the socket does not block");
    while let Ok((stream, _)) = listener.accept().await {
        let listed = Arc::clone(&listed);
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<_>| {
                let query = request.uri().query().unwrap_or("").to_owned();
                let listed = &listed;
                async move {
                    let response = if query.contains("list-type=2") {
                        listed.fetch_add(1, Relaxed);
                        tokio::time::sleep(latency).await;
                        Response::new(Full::new(Bytes::from(Ask::of(&query).answer(keys))))
                    } else {
                        let mut response = Response::new(Full::default());
                        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
                        response
                    };
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

/// What a page is asked for by.
#[derive(Default)]
struct Ask {
    prefix: String,
    by_folder: bool,
    start_after: String,
    token: Option<u64>,
    most: u64,
}

impl Ask {
    fn of(query: &str) -> Self {
        let mut ask = Self { most: PAGE_KEYS, ..Self::default() };
        for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            let value = decoded(value);
            match name {
                "prefix" => ask.prefix = value,
                "delimiter" => ask.by_folder = true,
                "start-after" => ask.start_after = value,
                "continuation-token" => ask.token = value.parse().ok(),
                "max-keys" => ask.most = value.parse().unwrap_or(PAGE_KEYS).min(PAGE_KEYS),
                _ => {}
            }
        }
        ask
    }

    fn answer(&self, keys: u64) -> String {
        let behind = |text: &str| first(keys, |key| key > text);
        let mut number = match self.token {
            Some(token) => token,
            None => first(keys, |key| key >= self.prefix.as_str()).max(behind(&self.start_after)),
        };
        let (mut contents, mut folders, mut told) = (String::new(), String::new(), 0);
        let mut truncated = false;
        while number < keys {
            let key = VirtualBucket::key(number);
            let Some(rest) = key.strip_prefix(&self.prefix) else { break };
            if told == self.most {
                truncated = true;
                break;
            }
            told += 1;
            match rest.find('/').filter(|_| self.by_folder) {
                Some(slash) => {
                    let folder = &key[..=self.prefix.len() + slash];
                    push(&mut folders, format_args!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"));
                    // No key goes on with anything greater.
                    number = behind(&format!("{folder}~"));
                }
                None => {
                    push_object(&mut contents, &key, number);
                    number += 1;
                }
            }
        }
        let next = truncated.then(|| format!("<NextContinuationToken>{number}</NextContinuationToken>"));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><EncodingType>url</EncodingType>\
             <IsTruncated>{truncated}</IsTruncated>{}{contents}{folders}</ListBucketResult>",
            next.unwrap_or_default()
        )
    }
}

fn push_object(contents: &mut String, key: &str, number: u64) {
    let size = VirtualBucket::size(number);
    push(
        contents,
        format_args!(
            "<Contents><Key>{key}</Key><LastModified>2026-03-01T01:00:00.000Z</LastModified>\
             <ETag>&quot;{number:032x}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        ),
    );
}

fn push(text: &mut String, what: fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes all that is written to it");
}

/// The first number whose key is beyond what `is_beyond` says, which must hold for all that follow.
fn first(keys: u64, is_beyond: impl Fn(&str) -> bool) -> u64 {
    let (mut from, mut to) = (0, keys);
    while from < to {
        let middle = from.midpoint(to);
        if is_beyond(&VirtualBucket::key(middle)) { to = middle } else { from = middle + 1 }
    }
    from
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = &after[if escaped.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for VirtualBucket {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for VirtualBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualBucket").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_continue_and_folders_are_gathered() {
        let answer = |query: &str| Ask::of(query).answer(2_500);
        let first = answer("list-type=2&prefix=photos%2F");
        assert_eq!(first.matches("<Key>").count(), 1_000);
        assert!(first.contains("<NextContinuationToken>1000<"));
        let last = answer("prefix=&continuation-token=2000");
        assert!(last.matches("<Key>").count() == 500 && last.contains("<IsTruncated>false<"));
        let folders = answer("prefix=photos%2F&delimiter=%2F");
        assert_eq!((folders.matches("<Prefix>").count(), folders.matches("<Key>").count()), (3, 0));
        assert!(answer("prefix=photos%2F&start-after=photos%2F000002~").contains("<IsTruncated>false"));
        assert!(answer("start-after=photos%2F000001%2FIMG_0000001007.jpg&max-keys=1").contains("IMG_0000001008"));
    }
}
