//! A proxy that counts requests on the wire and spoils some of them.
//!
//! It stands between a client and an S3 server on loopback. The `Host` header
//! goes on unchanged, so what the client signed for the proxy is valid behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = BoxBody<Bytes, BoxError>;

/// What a request asks of an S3 server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// GET of an object or a range of it.
    Get,
    /// HEAD of an object or bucket.
    Head,
    /// GET of a bucket's objects.
    List,
    /// GET of anything else: a bucket's location, its uploads, an object's tags.
    GetOther,
    /// PUT of an object or a part of one.
    Put,
    /// POST: the begin and the end of an upload in parts, and bulk deletion.
    Post,
    /// DELETE of an object or an upload.
    Delete,
    /// Any other method.
    Other,
}

/// What happens to a request instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// It is answered with this status and S3 error code, and not passed on.
    Status(u16, &'static str),
    /// The connection ends without an answer, and the request is not passed on.
    Lost,
    /// The request is carried out, and then the connection ends without an answer.
    AnswerLost,
    /// The answer's body ends after this many bytes, short of its announced length.
    CutShort(u64),
}

/// A fault and the requests it befalls.
#[derive(Clone, Debug)]
pub struct FaultRule {
    kind: Option<RequestKind>,
    path_contains: String,
    skip: usize,
    times: usize,
    fault: WireFault,
}

impl FaultRule {
    /// Befalls every request.
    pub fn new(fault: WireFault) -> Self {
        Self { kind: None, path_contains: String::new(), skip: 0, times: usize::MAX, fault }
    }

    /// Only requests of this kind.
    #[must_use]
    pub fn of(mut self, kind: RequestKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only requests whose path or query, as it is sent, contains `text`.
    #[must_use]
    pub fn path_contains(mut self, text: &str) -> Self {
        self.path_contains = text.to_owned();
        self
    }

    /// Not the first `count` of the requests that match.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// At most `count` of the requests that match.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    /// The fault for a request, counting it where it matches.
    fn befalls(&mut self, kind: RequestKind, uri: &Uri) -> Option<WireFault> {
        let of_kind = self.kind.is_none_or(|wanted| wanted == kind);
        if !of_kind || !uri.to_string().contains(&self.path_contains) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.fault.clone())
    }
}

/// A running proxy. Dropping it closes its port.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the proxy has seen, and what it is to do.
struct State {
    upstream: String,
    client: Client<HttpConnector, Body>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    counts: BTreeMap<(String, RequestKind), u64>,
    rules: Vec<FaultRule>,
}

impl Proxy {
    /// Starts a proxy in front of `upstream`, such as `http://127.0.0.1:9000`, on a thread of its own.
    ///
    /// # Panics
    /// When no port or thread is to be had.
    pub fn start(upstream: &str) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be made not to block");
        let address = listener.local_addr().expect("a bound socket has an address");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let upstream = upstream.trim_end_matches('/').to_owned();
        let state = Arc::new(State { upstream, client, shared: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&state);
        // On a runtime of its own, the proxy outlives that of a test.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be started").block_on(async {
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL to be used in the place of the server's.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests of a kind came for a bucket, spoilt ones included.
    pub fn count(&self, bucket: &str, kind: RequestKind) -> u64 {
        self.shared().counts.get(&(bucket.to_owned(), kind)).copied().unwrap_or(0)
    }

    /// How many requests came for a bucket, by kind.
    pub fn counts(&self, bucket: &str) -> BTreeMap<RequestKind, u64> {
        let shared = self.shared();
        let of_bucket = shared.counts.iter().filter(|((name, _), _)| name == bucket);
        of_bucket.map(|((_, kind), count)| (*kind, *count)).collect()
    }

    /// Sets all counts to zero.
    pub fn reset_counts(&self) {
        self.shared().counts.clear();
    }

    /// Adds a fault. Of several that befall a request, the first added counts.
    pub fn inject(&self, rule: FaultRule) {
        self.shared().rules.push(rule);
    }

    /// Drops all faults.
    pub fn clear_faults(&self) {
        self.shared().rules.clear();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.state.shared()
    }
}

impl State {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and decides what befalls it.
    fn count(&self, kind: RequestKind, uri: &Uri) -> Option<WireFault> {
        let bucket = uri.path().trim_start_matches('/').split('/').next().unwrap_or("").to_owned();
        let mut shared = self.shared();
        *shared.counts.entry((bucket, kind)).or_default() += 1;
        shared.rules.iter_mut().find_map(|rule| rule.befalls(kind, uri))
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let kind = kind_of(request.method(), request.uri());
        match self.count(kind, request.uri()) {
            None => self.pass_on(request).await,
            Some(WireFault::Status(status, code)) => refuse(request, status, code).await,
            Some(WireFault::Lost) => Err("the request is lost".into()),
            Some(WireFault::AnswerLost) => {
                let answer = self.pass_on(request).await?;
                answer.into_body().collect().await?;
                Err("the answer is lost".into())
            }
            Some(WireFault::CutShort(length)) => Ok(self.pass_on(request).await?.map(|body| cut_short(body, length))),
        }
    }

    async fn pass_on(&self, mut request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.upstream).parse()?;
        let answer = self.client.request(request.map(|body| body.map_err(BoxError::from).boxed())).await?;
        Ok(answer.map(|body| body.map_err(BoxError::from).boxed()))
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).expect("the socket does not block");
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let answer = service_fn(|request| state.answer(request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

/// Answers with an error, after the request has been read: a client that is still sending would not see the answer.
async fn refuse(request: Request<Incoming>, status: u16, code: &str) -> Result<Response<Body>, BoxError> {
    let is_head = request.method() == Method::HEAD;
    request.into_body().collect().await?;
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>");
    let text = if is_head { String::new() } else { text };
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    Ok(Response::builder().status(StatusCode::from_u16(status)?).body(body)?)
}

/// The first `length` bytes of a body, and then a broken connection.
fn cut_short(body: Body, length: u64) -> Body {
    let frames = BodyStream::new(body).scan(length, |left, frame| {
        let frame = match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) if *left > 0 => {
                let kept = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= kept as u64;
                Ok(Frame::data(bytes.slice(..kept)))
            }
            Ok(_) => Err(BoxError::from(io::Error::from(io::ErrorKind::ConnectionReset))),
            Err(error) => Err(error),
        };
        std::future::ready(Some(frame))
    });
    BodyExt::boxed(StreamBody::new(SyncFrames(Mutex::new(frames.boxed()))))
}

/// A stream made `Sync`, as a boxed body must be; it is only ever polled through `&mut`.
struct SyncFrames<S>(Mutex<S>);

impl<S: futures::Stream + Unpin> futures::Stream for SyncFrames<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }
}

fn kind_of(method: &Method, uri: &Uri) -> RequestKind {
    let has =
        |name: &str| uri.query().is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some(name)));
    let is_bucket = !uri.path().trim_start_matches('/').trim_end_matches('/').contains('/');
    let sub_resources = ["location", "uploads", "uploadId", "tagging", "acl", "versioning", "versions", "retention"];
    match *method {
        Method::GET if sub_resources.into_iter().any(has) => RequestKind::GetOther,
        Method::GET if is_bucket => RequestKind::List,
        Method::GET => RequestKind::Get,
        Method::HEAD => RequestKind::Head,
        Method::PUT => RequestKind::Put,
        Method::POST => RequestKind::Post,
        Method::DELETE => RequestKind::Delete,
        _ => RequestKind::Other,
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("endpoint", &self.endpoint()).field("upstream", &self.state.upstream).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let kind = |method: &str, uri: &str| kind_of(&method.parse().unwrap(), &uri.parse().unwrap());
        assert_eq!(kind("GET", "/bucket/a/b"), RequestKind::Get);
        assert_eq!(kind("GET", "/bucket/a?versionId=1"), RequestKind::Get);
        assert_eq!(kind("GET", "/bucket?list-type=2&prefix=uploads"), RequestKind::List);
        assert_eq!(kind("GET", "/bucket/?list-type=2"), RequestKind::List);
        assert_eq!(kind("GET", "/bucket?location"), RequestKind::GetOther);
        assert_eq!(kind("GET", "/bucket/a?tagging"), RequestKind::GetOther);
        assert_eq!(kind("PUT", "/bucket/a?partNumber=1&uploadId=2"), RequestKind::Put);
        assert_eq!(kind("POST", "/bucket/a?uploads"), RequestKind::Post);
    }

    #[test]
    fn a_rule_befalls_the_requests_it_names_and_no_more() {
        let mut rule = FaultRule::new(WireFault::Lost).of(RequestKind::Put).path_contains("jobs/").after(1).times(2);
        let mut befalls = |kind, path: &str| rule.befalls(kind, &path.parse().unwrap()).is_some();
        assert!(!befalls(RequestKind::Get, "/b/jobs/1"));
        assert!(!befalls(RequestKind::Put, "/b/keys/1"));
        assert!(!befalls(RequestKind::Put, "/b/jobs/1"));
        assert!(befalls(RequestKind::Put, "/b/jobs/2"));
        assert!(befalls(RequestKind::Put, "/b/jobs/3"));
        assert!(!befalls(RequestKind::Put, "/b/jobs/4"));
    }
}
