//! Images from Debian's `docker-registry`, put there by skopeo.

use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::registry::{Puller, Registry, cutting, drying_up, free_address, image};
use super::*;
use crate::digest::Digest;
use crate::progress::{PullProgress, PullStep};
use crate::registry::{Credentials, RegistryError};
use crate::store::PullRequest;
use crate::testing::{gzip, zstd};
use crate::{ErrorKind, Platform, Reference};

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
        store.store().pull(&puller.registries, &request, &NoProgress)
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

/// Has a layer that stays large however it is compressed.
fn big_image(name: &'static str) -> TestImage {
    let noise: String = (0..300_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    let mut big = image(name);
    big.layers.push(Tar::new().file("noise", &noise).finish());
    big
}

#[test]
fn a_cut_connection_is_taken_up_where_it_was_cut() {
    let registry = Registry::plain();
    let big = big_image("x:big");
    registry.put("big", [&big], gzip);
    let address = cutting(registry.address, 300_000, 6);
    let (store, puller) = (TestStore::new(), Puller::default());
    let pulled = puller.pull(store.store(), &format!("{address}/big:big")).expect("pulled in spite of it");
    assert_eq!(pulled.id.0, Digest::of(&big.config()));
}

#[test]
fn who_waits_for_a_layer_that_another_pull_fails_at_takes_it_from_its_own_registry() {
    let registry = Registry::plain();
    let mut big = big_image("x:big");
    // Only the one that doesn't come: who has got how far with others is anybody's guess.
    big.layers.drain(..big.layers.len() - 1);
    registry.put("big", [&big], gzip);
    registry.put("other/big", [&big], gzip);
    let (bad, is_dry) = drying_up(registry.address, 100_000);
    let store = TestStore::new();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let puller = Puller::impatient(Duration::from_millis(500));
            puller.pull(store.store(), &format!("{bad}/big:big"))
        });
        is_dry.recv().expect("more is asked for than comes");
        let heard = Heard::default();
        let reference = format!("{}/other/big:big", registry.address);
        let second = Puller::default().pull_as(store.store(), &reference, Credentials::Anonymous, &heard);
        let error = first.join().expect("no panic").expect_err("nothing came any more");
        assert_eq!(error.chain(), format!("can't talk to http://{bad}: nothing came for 0.5 s"));
        assert_eq!(second.expect("pulled in spite of it").id.0, Digest::of(&big.config()));
        assert_eq!(heard.count(PullStep::Waiting), 1, "for the layer that the first one had begun");
    });
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
    puller.pull_as(store.store(), &reference, credentials("wrong"), &NoProgress).expect_err("wrong password");
    puller.pull_as(store.store(), &reference, credentials("secret"), &NoProgress).expect("open to ann");
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
fn what_a_pull_uses_stays_whatever_is_pruned_meanwhile() {
    struct Collects<'a>(&'a Store);
    impl PullProgress for Collects<'_> {
        fn report(&self, _blob: Digest, _step: PullStep) {
            self.0.prune(&[], |_| true).expect("pruned");
            self.0.prune_steps(|_| true).expect("pruned");
        }
    }
    let registry = Registry::plain();
    registry.put("used", [&image("x:v1")], gzip);
    let (store, puller) = (TestStore::new(), Puller::default());
    let reference = format!("{}/used:v1", registry.address);
    puller
        .pull_as(store.store(), &reference, Credentials::Anonymous, &Collects(store.store()))
        .expect("pulled in spite of it");
    store.assert_layers(3);
    let saved = store.store().save(&[reference]).and_then(|saving| saving.write(std::io::sink()));
    saved.expect("every layer can be made again");
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

/// A way to a registry on which no request with these words gets there, until what else is returned is dropped.
fn holding_back(registry: SocketAddr, words: String) -> (SocketAddr, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    let (holds, held) = channel();
    let held = Mutex::new(held);
    thread::spawn(move || {
        thread::scope(|scope| {
            for mut client in listener.incoming().flatten() {
                let (words, held) = (&words, &held);
                scope.spawn(move || {
                    let mut server = TcpStream::connect(registry).expect("the registry");
                    let mut answers = server.try_clone().expect("a copy");
                    let mut to_client = client.try_clone().expect("a copy");
                    scope.spawn(move || {
                        std::io::copy(&mut answers, &mut to_client).ok();
                        to_client.shutdown(Shutdown::Both).ok();
                    });
                    let mut request = [0; 8192];
                    while let Ok(length @ 1..) = client.read(&mut request) {
                        if String::from_utf8_lossy(&request[..length]).contains(words) {
                            held.lock().expect("no panic").recv().expect_err("nothing is ever sent");
                        }
                        if server.write_all(&request[..length]).is_err() {
                            break;
                        }
                    }
                    server.shutdown(Shutdown::Both).ok();
                });
            }
        });
    });
    (address, holds)
}

#[test]
fn what_came_of_a_pull_that_ended_is_kept_until_something_is_removed() {
    struct EndsWithTheFirst(CancellationToken, Heard);
    impl PullProgress for EndsWithTheFirst {
        fn report(&self, blob: Digest, step: PullStep) {
            self.1.report(blob, step);
            if step == PullStep::Complete {
                self.0.cancel();
            }
        }
    }
    let registry = Registry::plain();
    let mut many = image("x:many");
    // The other image has none of them, and they are more than are fetched at once.
    many.layers = Vec::from_iter((0..20).map(|number| Tar::new().file("number", &number.to_string()).finish()));
    let last = Digest::of(&gzip(many.layers.last().expect("a layer"))).to_string();
    registry.put("many", [&many], gzip);
    registry.put("another", [&image("x:v1")], gzip);
    for something_is_removed in [false, true] {
        // All might have come by the time that the first is known to be there.
        let (address, last_is_held) = holding_back(registry.address, last.clone());
        let [reference, another] = ["many:many", "another:v1"].map(|name| format!("{address}/{name}"));
        let (store, puller) = (TestStore::new(), Puller::default());
        puller.pull(store.store(), &another).expect("pulled");
        let called_off = CancellationToken::new();
        let ends = EndsWithTheFirst(called_off.clone(), Heard::default());
        puller.pull_until(store.store(), &reference, &called_off, &ends).expect_err("called off");
        drop(last_is_held);
        let came = ends.1.count(PullStep::Complete);
        assert_ne!(came, 0);
        if something_is_removed {
            store.store().remove(&another, false, &[]).expect("removed");
        }
        let heard = Heard::default();
        puller.pull_as(store.store(), &reference, Credentials::Anonymous, &heard).expect("pulled");
        let kept = heard.count(PullStep::AlreadyExists);
        assert!(if something_is_removed { kept == 0 } else { kept >= came }, "{kept} of {came} were kept");
    }
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
    let error = puller
        .pull_until(store.store(), &format!("{address}/x:v1"), &called_off, &NoProgress)
        .expect_err("nothing comes");
    assert!(matches!(error, Error::CalledOff), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for the registry");
    silent.join().expect("it was asked");
}
