//! Images from Debian's `docker-registry`, put there by skopeo.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::digest::Digest;
use crate::progress::{PullProgress, PullStep};
use crate::registry::{Credentials, Registries, RegistryConfig, RegistryError};
use crate::store::PullRequest;
use crate::testing::{gzip, oci_archive, zstd};
use crate::{ErrorKind, Platform, Pulled, Reference};

/// Ended with the test, also when that is killed.
struct Registry {
    process: Child,
    dir: TempDir,
    address: SocketAddr,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// `ann` with the password `secret`, as bcrypt has it.
const HTPASSWD: &str = "ann:$2y$04$PGwzoBKWI7sxm/zSPaV/A.39HssQRnXWxO/f7jrlQmTeieV4M06gm\n";

impl Registry {
    fn start(auth: &str) -> Self {
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

    fn plain() -> Self {
        Self::start("")
    }

    /// Puts images there, each under a tag.
    fn put<'a>(
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
    fn index(&self, repository: &str, tag: &str, of: &[&str]) {
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

    fn http(&self, method: &str, path: &str, body: Option<&str>) -> String {
        let mut command = Command::new("curl");
        command.args(["-fsS", "--noproxy", "*", "-X", method, "-H", &format!("Accept: {MANIFEST}")]);
        if let Some(body) = body {
            command.args(["-H", &format!("Content-Type: {INDEX}"), "--data-binary", body]);
        }
        let output = command.arg(format!("http://{}/v2/{path}", self.address)).output().expect("curl (Debian's curl)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn skopeo(&self, from: &str, to: &str) {
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

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// A way to a registry that ends every connection's first answers after so many bytes.
fn cutting(registry: SocketAddr, after_bytes: u64, cuts: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    thread::spawn(move || {
        let left = AtomicUsize::new(cuts);
        thread::scope(|scope| {
            for client in listener.incoming().flatten() {
                let left = &left;
                scope.spawn(move || {
                    let server = TcpStream::connect(registry).expect("the registry");
                    let (mut up, mut to_server) =
                        (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
                    scope.spawn(move || std::io::copy(&mut up, &mut to_server));
                    let is_cut = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
                    let limit = if is_cut { after_bytes } else { u64::MAX };
                    std::io::copy(&mut server.take(limit), &mut (&client)).ok();
                    client.shutdown(Shutdown::Both).ok();
                });
            }
        });
    });
    address
}

struct Puller {
    registries: Registries,
    _runtime: Runtime,
}

impl Puller {
    fn new(config: RegistryConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        Self { registries: Registries::new(config, runtime.handle().clone()), _runtime: runtime }
    }

    fn pull(&self, store: &Store, reference: &str) -> Result<Pulled, Error> {
        self.pull_as(store, reference, Credentials::Anonymous, &Silent)
    }

    fn pull_as(
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

    fn pull_until(
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

/// Remembers what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<PullStep>>);

impl PullProgress for Heard {
    fn report(&self, _blob: Digest, step: PullStep) {
        self.0.lock().expect("no panic").push(step);
    }
}

impl Heard {
    fn count(&self, step: PullStep) -> usize {
        self.0.lock().expect("no panic").iter().filter(|heard| **heard == step).count()
    }
}

fn image(name: &'static str) -> TestImage {
    let base = Tar::new().dir("etc/", 0o755).file("etc/gone", "base").file("etc/kept", "base").finish();
    let middle = Tar::new().file("new/implied", "middle").finish();
    let top = Tar::new().dir("etc/", 0o750).file("etc/.wh.gone", "").file("new/top", &"top".repeat(100_000)).finish();
    TestImage::new(name, vec![base, middle, top])
}

fn plain(content: &[u8]) -> Vec<u8> {
    content.to_vec()
}

#[test]
fn by_tag_and_digest_whatever_the_compression() {
    let registry = Registry::plain();
    for (tag, compress) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd), ("plain", plain)] {
        let name: &'static str = String::leak(format!("x:{tag}"));
        registry.put("test/image", [&image(name)], compress);
        let (store, puller) = (TestStore::new(), Puller::default());
        let reference = format!("{}/test/image:{tag}", registry.address);
        let pulled = puller.pull(store.store(), &reference).expect("pulled");
        assert_eq!(pulled.id.0, Digest::of(&image(name).config()));
        assert!(!pulled.was_there);
        let known = store.store().get(&reference).expect("by its tag");
        assert_eq!((known.id, known.layers.len()), (pulled.id, 3));
        let by_digest = format!("{}/test/image@{}", registry.address, pulled.digest);
        assert_eq!(store.store().get(&by_digest).expect("by its digest").id, pulled.id);
        let other = TestStore::new();
        assert_eq!(puller.pull(other.store(), &by_digest).expect("pulled").id, pulled.id);
        let heard = Heard::default();
        let again = puller.pull_as(store.store(), &reference, Credentials::Anonymous, &heard).expect("again");
        assert!(again.was_there);
        assert_eq!(heard.count(PullStep::AlreadyExists), 3);
        store.assert_layers(3);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let registry = Registry::plain();
    let (store, puller) = (TestStore::new(), Puller::default());
    let reference = format!("{}/no/such:v1", registry.address);
    let error = puller.pull(store.store(), &reference).expect_err("nothing there");
    assert_eq!(error.to_string(), format!("manifest for {reference} not found: manifest unknown: manifest unknown"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let nobody = format!("{}/no/such:v1", free_address());
    let error = puller.pull(store.store(), &nobody).expect_err("nobody there");
    assert!(matches!(error, Error::Registry(RegistryError::Connection { .. })), "{error:?}");
    assert!(error.chain().contains("refused"), "{}", error.chain());
}

#[test]
fn an_index_leads_to_the_platform() {
    let registry = Registry::plain();
    let mut arm = image("x:arm");
    arm.architecture = "arm64";
    registry.put("both", [&arm, &image("x:amd")], gzip);
    registry.index("both", "all", &["arm", "amd"]);
    let (store, puller) = (TestStore::new(), Puller::default());
    let reference = Reference::parse(&format!("{}/both:all", registry.address)).expect("a reference");
    let pull = |platform: &str| {
        let platform: Option<Platform> = Some(platform.parse().expect("a platform"));
        let request = PullRequest {
            reference: reference.clone(),
            platform,
            credentials: Credentials::Anonymous,
            called_off: CancellationToken::new(),
        };
        store.store().pull(&puller.registries, &request, &Silent)
    };
    let (arm64, amd64) = (pull("linux/arm64").expect("arm"), pull("linux/amd64").expect("amd"));
    assert_eq!(arm64.id.0, Digest::of(&arm.config()));
    assert_eq!(amd64.id.0, Digest::of(&image("x:amd").config()));
    assert_eq!(arm64.digest, amd64.digest, "both are what the index's digest stands for");
    let error = pull("linux/s390x").expect_err("no such platform");
    assert!(
        error.to_string().starts_with("no matching manifest for linux/s390x in the manifest list entries"),
        "{error}"
    );
    let single = format!("{}/both:arm", registry.address);
    let error = puller.pull(store.store(), &single).expect_err("for another machine");
    assert!(error.to_string().ends_with("is for linux/arm64"), "{error}");
}

#[test]
fn a_cut_connection_is_taken_up_where_it_was_cut() {
    let registry = Registry::plain();
    let noise: String = (0..300_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    let mut big = image("x:big");
    big.layers.push(Tar::new().file("noise", &noise).finish());
    registry.put("big", [&big], gzip);
    let address = cutting(registry.address, 300_000, 6);
    let (store, puller) = (TestStore::new(), Puller::default());
    let pulled = puller.pull(store.store(), &format!("{address}/big:big")).expect("pulled in spite of it");
    assert_eq!(pulled.id.0, Digest::of(&big.config()));
}

#[test]
fn only_who_may_gets_it() {
    let registry = Registry::start("auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n");
    registry.put("closed", [&image("x:v1")], gzip);
    let (store, puller) = (TestStore::new(), Puller::default());
    let reference = format!("{}/closed:v1", registry.address);
    let error = puller.pull(store.store(), &reference).expect_err("closed");
    assert!(error.to_string().starts_with(&format!("pull access denied for {}/closed,", registry.address)), "{error}");
    let credentials = |password: &str| Credentials::Password { username: "ann".into(), password: password.into() };
    puller.pull_as(store.store(), &reference, credentials("wrong"), &Silent).expect_err("wrong password");
    puller.pull_as(store.store(), &reference, credentials("secret"), &Silent).expect("open to ann");
}

#[test]
fn pulls_at_once_share_the_work() {
    let registry = Registry::plain();
    registry.put("shared", [&image("x:v1")], gzip);
    let (store, puller) = (TestStore::new(), Puller::default());
    let reference = format!("{}/shared:v1", registry.address);
    let heard: [Heard; 4] = Default::default();
    thread::scope(|scope| {
        for heard in &heard {
            scope.spawn(|| {
                puller.pull_as(store.store(), &reference, Credentials::Anonymous, heard).expect("pulled");
            });
        }
    });
    let complete: usize = heard.iter().map(|heard| heard.count(PullStep::Complete)).sum();
    let there: usize = heard.iter().map(|heard| heard.count(PullStep::AlreadyExists)).sum();
    assert_eq!((complete, there), (3, 9), "each layer is taken in once");
    store.assert_layers(3);
}

#[test]
fn who_calls_a_pull_off_ends_it() {
    struct CallsOff(CancellationToken);
    impl PullProgress for CallsOff {
        fn report(&self, _blob: Digest, _step: PullStep) {
            self.0.cancel();
        }
    }
    let registry = Registry::plain();
    registry.put("off", [&image("x:v1")], gzip);
    let (store, puller) = (TestStore::new(), Puller::default());
    let reference = format!("{}/off:v1", registry.address);
    let called_off = CancellationToken::new();
    let error = puller
        .pull_until(store.store(), &reference, &called_off, &CallsOff(called_off.clone()))
        .expect_err("called off");
    assert!(matches!(error, Error::CalledOff), "{error:?}");
    store.store().get(&reference).expect_err("no image");
    puller.pull(store.store(), &reference).expect("the next one works");
}

#[test]
fn who_calls_a_pull_off_need_not_wait_for_a_registry_that_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    let called_off = CancellationToken::new();
    let asked = called_off.clone();
    let silent = thread::spawn(move || {
        // One hello in TLS that is refused, then a question that gets no answer.
        let mut clients: Vec<TcpStream> = Vec::new();
        for mut client in listener.incoming().flatten() {
            let mut beginning = [0; 4];
            client.read_exact(&mut beginning).expect("a request");
            if &beginning == b"GET " {
                clients.push(client);
                asked.cancel();
                return clients;
            }
        }
        clients
    });
    let (store, puller) = (TestStore::new(), Puller::default());
    let begun = Instant::now();
    let error =
        puller.pull_until(store.store(), &format!("{address}/x:v1"), &called_off, &Silent).expect_err("nothing comes");
    assert!(matches!(error, Error::CalledOff), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for the registry");
    silent.join().expect("it was asked");
}
