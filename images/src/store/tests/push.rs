//! Images given to Debian's `docker-registry`.

use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::registry::{Puller, Registry, cutting, image};
use super::*;
use crate::progress::{PushProgress, PushStep};
use crate::registry::Credentials;
use crate::store::PushRequest;
use crate::testing::{gzip, oci_archive, zstd};
use crate::{DiffId, Digest, Pushed, Reference};

/// Remembers how it ended with each layer.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl PushProgress for Heard {
    fn report(&self, _layer: DiffId, step: PushStep<'_>) {
        let ended = match step {
            PushStep::Preparing | PushStep::Pushing { .. } => return,
            PushStep::Pushed => "pushed".to_owned(),
            PushStep::AlreadyExists => "there".to_owned(),
            PushStep::Mounted { from } => format!("from {from}"),
        };
        self.0.lock().expect("no panic").push(ended);
    }
}

impl Heard {
    fn all(self) -> Vec<String> {
        self.0.into_inner().expect("no panic")
    }
}

fn push(puller: &Puller, store: &Store, reference: &str, heard: &Heard) -> Result<Pushed, Error> {
    push_as(puller, store, reference, heard, Credentials::Anonymous)
}

fn push_as(
    puller: &Puller,
    store: &Store,
    reference: &str,
    heard: &Heard,
    credentials: Credentials,
) -> Result<Pushed, Error> {
    let reference = Reference::parse(reference).expect("a reference");
    let request = PushRequest { reference, platform: None, credentials, called_off: CancellationToken::new() };
    store.push(&puller.registries, &request, heard)
}

/// A store with an image from an archive under this name.
fn loaded(name: &str, image: &TestImage) -> TestStore {
    let store = TestStore::new();
    store.store().load(&oci_archive([image], gzip)[..], &NoProgress).expect("loaded");
    store.store().tag(image.names[0], &Reference::parse(name).expect("a reference")).expect("tagged");
    store
}

#[test]
fn what_is_pushed_is_pulled_and_not_sent_twice() {
    let registry = Registry::plain();
    let name = format!("{}/team/made:1", registry.address);
    let (store, puller) = (loaded(&name, &image("x:v1")), Puller::default());
    let heard = Heard::default();
    let pushed = push(&puller, store.store(), &name, &heard).expect("pushed");
    assert_eq!(heard.all(), ["pushed"; 3]);
    let other = TestStore::new();
    let pulled = puller.pull(other.store(), &name).expect("pulled");
    assert_eq!((pulled.digest, pulled.id.0), (pushed.digest, Digest::of(&image("x:v1").config())));
    let digests: Vec<_> = store.store().get(&name).expect("there").digests().map(ToString::to_string).collect();
    assert_eq!(digests, [format!("{}/team/made@{}", registry.address, pushed.digest)]);
    for (tag, expected) in [("1", "there"), ("2", "there")] {
        let name = format!("{}/team/made:{tag}", registry.address);
        store.store().tag("x:v1", &Reference::parse(&name).expect("a reference")).expect("tagged");
        let heard = Heard::default();
        assert_eq!(push(&puller, store.store(), &name, &heard).expect("pushed again"), pushed);
        assert_eq!(heard.all(), [expected; 3]);
    }
    // Elsewhere the same image has the same manifest: what is compressed again comes out the same.
    let another = Registry::plain();
    let name = format!("{}/x:1", another.address);
    store.store().tag("x:v1", &Reference::parse(&name).expect("a reference")).expect("tagged");
    let heard = Heard::default();
    assert_eq!(push(&puller, store.store(), &name, &heard).expect("pushed elsewhere"), pushed);
    assert_eq!(heard.all(), ["pushed"; 3]);
}

#[test]
fn a_registry_takes_blobs_over_and_keeps_the_manifest() {
    let registry = Registry::plain();
    for (tag, compress) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        let tagged: &'static str = String::leak(format!("x:{tag}"));
        registry.put("from/here", [&image(tagged)], compress);
        let (store, puller) = (TestStore::new(), Puller::default());
        let name = format!("{}/from/here:{tag}", registry.address);
        let pulled = puller.pull(store.store(), &name).expect("pulled");
        for (target, ended) in [("from/here", "there"), ("to/there", "from from/here")] {
            let target = format!("{}/{target}:{tag}-again", registry.address);
            store.store().tag(&name, &Reference::parse(&target).expect("a reference")).expect("tagged");
            let heard = Heard::default();
            let pushed = push(&puller, store.store(), &target, &heard).expect("pushed");
            assert_eq!(pushed.digest, pulled.digest, "{target}");
            assert_eq!(heard.all(), [ended; 3], "{target}");
        }
    }
}

#[test]
fn a_cut_upload_is_begun_again() {
    let registry = Registry::plain();
    let noise: String = (0..300_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    let mut big = image("x:big");
    big.layers.push(Tar::new().file("noise", &noise).finish());
    // The answers to an upload's requests are short: the second or third of a connection doesn't come.
    let address = cutting(registry.address, 700, 4);
    let name = format!("{address}/big:big");
    let (store, puller) = (loaded(&name, &big), Puller::default());
    let pushed = push(&puller, store.store(), &name, &Heard::default()).expect("pushed in spite of it");
    let other = TestStore::new();
    let pulled = puller.pull(other.store(), &format!("{}/big:big", registry.address)).expect("pulled");
    assert_eq!(pulled.digest, pushed.digest);
}

#[test]
fn only_who_may_pushes() {
    let registry = Registry::start("auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n");
    let name = format!("{}/closed:v1", registry.address);
    let (store, puller) = (loaded(&name, &image("x:v1")), Puller::default());
    let credentials = |password: &str| Credentials::Password { username: "ann".into(), password: password.into() };
    let heard = Heard::default();
    let refusal =
        |credentials| push_as(&puller, store.store(), &name, &heard, credentials).expect_err("closed").chain();
    assert_eq!(refusal(Credentials::Anonymous), "no basic auth credentials");
    assert_eq!(refusal(credentials("wrong")), "unauthorized: authentication required");
    push_as(&puller, store.store(), &name, &heard, credentials("secret")).expect("open to ann");
}

#[test]
fn what_is_not_there_is_not_pushed() {
    let (store, puller) = (loaded("127.0.0.1:1/x:v1", &image("x:v1")), Puller::default());
    let refusal = |name: &str| push(&puller, store.store(), name, &Heard::default()).expect_err("nothing").chain();
    assert_eq!(refusal("127.0.0.1:1/x:none"), "tag does not exist: 127.0.0.1:1/x:none");
    let nobody = refusal("127.0.0.1:1/x:v1");
    assert!(nobody.starts_with("can't talk to http"), "nobody is there: {nobody}");
    assert!(nobody.ends_with("127.0.0.1:1: Connection refused (os error 111)"), "by its last cause: {nobody}");
    let repository = |name: &str| Reference::parse(name).expect("a reference");
    assert_eq!(store.store().tags(&repository("127.0.0.1:1/x")).expect("tags").len(), 1);
    let error = store.store().tags(&repository("none")).expect_err("no tags");
    assert_eq!(error.to_string(), "An image does not exist locally with the tag: none");
}

#[test]
fn who_calls_a_push_off_ends_it() {
    struct CallsOff(CancellationToken);
    impl PushProgress for CallsOff {
        fn report(&self, _layer: DiffId, step: PushStep<'_>) {
            if matches!(step, PushStep::Pushing { .. }) {
                self.0.cancel();
            }
        }
    }
    let registry = Registry::plain();
    let name = format!("{}/off:v1", registry.address);
    let (store, puller) = (loaded(&name, &image("x:v1")), Puller::default());
    let called_off = CancellationToken::new();
    let request = PushRequest {
        reference: Reference::parse(&name).expect("a reference"),
        platform: None,
        credentials: Credentials::Anonymous,
        called_off: called_off.clone(),
    };
    let error = store.store().push(&puller.registries, &request, &CallsOff(called_off)).expect_err("called off");
    assert!(matches!(error, Error::CalledOff), "{error:?}");
    puller.pull(TestStore::new().store(), &name).expect_err("nothing is there");
    push(&puller, store.store(), &name, &Heard::default()).expect("the next one works");
}
