//! Debian's `docker-registry` for tests, and who asks it.

use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::digest::Digest;
use crate::progress::PullProgress;
use crate::registry::{Credentials, Registries, RegistryConfig};
use crate::store::PullRequest;
use crate::testing::oci_archive;
use crate::{Pulled, Reference};

/// Ended with the test, also when that is killed.
pub(super) struct Registry {
    process: Child,
    dir: TempDir,
    pub(super) address: SocketAddr,
}

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// `ann` with the password `secret`, as bcrypt has it.
const HTPASSWD: &str = "ann:$2y$04$PGwzoBKWI7sxm/zSPaV/A.39HssQRnXWxO/f7jrlQmTeieV4M06gm\n";

impl Registry {
    pub(super) fn start(auth: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = free_address();
        let path = dir.path().display();
        fs::write(dir.path().join("htpasswd"), HTPASSWD).expect("written");
        let auth = auth.replace("DIR", &path.to_string());
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {path}/data}}}}\n\
             http: {{addr: \"{address}\"}}\n{auth}"
        );
        let file = dir.path().join("config.yml");
        fs::write(&file, config).expect("written");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(&file);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("setpriv (util-linux)");
        let registry = Self { process, dir, address };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "docker-registry (Debian's docker-registry) doesn't answer");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    pub(super) fn plain() -> Self {
        Self::start("")
    }

    /// Puts images there, each under a tag.
    pub(super) fn put<'a>(
        &self,
        repository: &str,
        images: impl IntoIterator<Item = &'a TestImage>,
        compress: fn(&[u8]) -> Vec<u8>,
    ) {
        for image in images {
            let archive = self.dir.path().join("archive.tar");
            fs::write(&archive, oci_archive([image], compress)).expect("written");
            let tag = image.names[0].rsplit_once(':').expect("a tag").1;
            self.skopeo(&format!("oci-archive:{}", archive.display()), &format!("{repository}:{tag}"));
        }
    }

    /// An index under one tag of the manifests under others.
    pub(super) fn index(&self, repository: &str, tag: &str, of: &[&str]) {
        let manifests: Vec<_> = of
            .iter()
            .map(|tag| {
                let manifest = self.http("GET", &format!("{repository}/manifests/{tag}"), None);
                let document: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
                let config = document["config"]["digest"].as_str().expect("a digest");
                let config = self.http("GET", &format!("{repository}/blobs/{config}"), None);
                let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
                serde_json::json!({
                    "mediaType": MANIFEST,
                    "digest": Digest::of(manifest.as_bytes()),
                    "size": manifest.len(),
                    "platform": {"os": config["os"], "architecture": config["architecture"]},
                })
            })
            .collect();
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.http("PUT", &format!("{repository}/manifests/{tag}"), Some(&index.to_string()));
    }

    pub(super) fn http(&self, method: &str, path: &str, body: Option<&str>) -> String {
        let mut command = Command::new("curl");
        command.args(["-fsS", "--noproxy", "*", "-X", method, "-H", &format!("Accept: {MANIFEST}")]);
        if let Some(body) = body {
            command.args(["-H", &format!("Content-Type: {INDEX}"), "--data-binary", body]);
        }
        let output = command.arg(format!("http://{}/v2/{path}", self.address)).output().expect("curl (Debian's curl)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    pub(super) fn skopeo(&self, from: &str, to: &str) {
        let output = Command::new("skopeo")
            .args(["copy", "--quiet", "--insecure-policy", "--all", "--dest-tls-verify=false"])
            .args(["--dest-creds", "ann:secret", from, &format!("docker://{}/{to}", self.address)])
            .output()
            .expect("skopeo (Debian's skopeo)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// A way to a registry that ends every connection's first answers after so many bytes.
pub(super) fn cutting(registry: SocketAddr, after_bytes: u64, cuts: usize) -> SocketAddr {
    let left = AtomicUsize::new(cuts);
    between(registry, move |server, client| {
        let is_cut = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        let limit = if is_cut { after_bytes } else { u64::MAX };
        std::io::copy(&mut server.take(limit), &mut { client }).ok();
        client.shutdown(Shutdown::Both).ok();
    })
}

/// A way to a registry on which nothing comes any more after so many bytes, on any connection, and none is ended. Tells when
/// that begins.
pub(super) fn drying_up(registry: SocketAddr, after_bytes: usize) -> (SocketAddr, Receiver<()>) {
    let left_bytes = AtomicUsize::new(after_bytes);
    let (tells, told) = channel();
    let address = between(registry, move |mut server, mut client| {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = server.read(&mut piece) {
            if left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(length)).is_ok() {
                client.write_all(&piece[..length]).ok();
            } else {
                left_bytes.store(0, Ordering::Relaxed);
                tells.send(()).ok();
            }
        }
    });
    (address, told)
}

/// A way to a registry on which answers are brought to the client so.
fn between(registry: SocketAddr, bring: impl Fn(&TcpStream, &TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    thread::spawn(move || {
        thread::scope(|scope| {
            for client in listener.incoming().flatten() {
                let bring = &bring;
                scope.spawn(move || {
                    let server = TcpStream::connect(registry).expect("the registry");
                    let (mut up, mut to_server) =
                        (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
                    scope.spawn(move || std::io::copy(&mut up, &mut to_server));
                    bring(&server, &client);
                });
            }
        });
    });
    address
}

pub(super) struct Puller {
    pub(super) registries: Registries,
    _runtime: Runtime,
}

impl Puller {
    pub(super) fn new(config: RegistryConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        Self { registries: Registries::new(config, runtime.handle().clone()), _runtime: runtime }
    }

    /// One that takes a registry for gone if it is silent for so long.
    pub(super) fn impatient(patience: Duration) -> Self {
        let Self { registries, _runtime } = Self::default();
        Self { registries: registries.with_patience(patience), _runtime }
    }

    pub(super) fn pull(&self, store: &Store, reference: &str) -> Result<Pulled, Error> {
        self.pull_as(store, reference, Credentials::Anonymous, &NoProgress)
    }

    pub(super) fn pull_as(
        &self,
        store: &Store,
        reference: &str,
        credentials: Credentials,
        progress: &dyn PullProgress,
    ) -> Result<Pulled, Error> {
        let reference = Reference::parse(reference).expect("a reference");
        let called_off = CancellationToken::new();
        store.pull(&self.registries, &PullRequest { reference, platform: None, credentials, called_off }, progress)
    }

    pub(super) fn pull_until(
        &self,
        store: &Store,
        reference: &str,
        called_off: &CancellationToken,
        progress: &dyn PullProgress,
    ) -> Result<Pulled, Error> {
        let reference = Reference::parse(reference).expect("a reference");
        let (credentials, called_off) = (Credentials::Anonymous, called_off.clone());
        store.pull(&self.registries, &PullRequest { reference, platform: None, credentials, called_off }, progress)
    }
}

impl Default for Puller {
    fn default() -> Self {
        Self::new(RegistryConfig::default())
    }
}

pub(super) fn image(name: &'static str) -> TestImage {
    let base = Tar::new().dir("etc/", 0o755).file("etc/gone", "base").file("etc/kept", "base").finish();
    let middle = Tar::new().file("new/implied", "middle").finish();
    let top = Tar::new().dir("etc/", 0o750).file("etc/.wh.gone", "").file("new/top", &"top".repeat(100_000)).finish();
    TestImage::new(name, vec![base, middle, top])
}
