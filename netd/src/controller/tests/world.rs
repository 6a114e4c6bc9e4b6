//! A host in memory, directories of its own, and any number of netd one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use cnm::{
    api::{EndpointRequest, NamespaceRequest, PortRange, PortRequest, SandboxPut},
    driver::Planners,
    firewall::Element,
    id::SandboxId,
    ipam::DefaultPools,
    observed::ObservedNamespace,
    resource::NamespaceAt,
    spec::{EndpointSpec, SandboxSpec},
};
use drivers::Registry;
use kernel::{Host, fake::FakeHost};
use tempfile::TempDir;

use crate::{
    Error,
    controller::{ClockAndRandom, Controller, PutSandbox, Start, Timed, start},
    store::Store,
};

const BOOT: &str = "boot";

pub(super) struct World {
    pub(super) host: Arc<FakeHost>,
    directory: TempDir,
    planners: Arc<dyn Planners>,
}

/// Everything of a host that plans change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    namespaces: BTreeMap<NamespaceAt, ObservedNamespace>,
    elements: BTreeSet<Element>,
    /// Of those that aren't at their default.
    sysctls: BTreeMap<(NamespaceAt, String), String>,
}

impl Controller {
    /// A test is every owner.
    pub(super) async fn connect(&self, id: SandboxId, spec: EndpointSpec) -> Result<cnm::api::Endpoint, Error> {
        let owner = self.read_view().sandbox(id.as_str())?.spec.owner.clone();
        self.connect_of(&owner, id, spec).await
    }

    pub(super) async fn remove_sandbox(&self, id: SandboxId) -> Result<Timed<()>, Error> {
        // One that is only on its way is nobody's yet.
        let there = self.read_view().sandbox(id.as_str()).map(|sandbox| sandbox.spec.owner.clone());
        self.remove_sandbox_of(&there.unwrap_or("tests".parse()?), id).await
    }

    pub(super) async fn disconnect(&self, id: SandboxId, endpoint: String) -> Result<(), Error> {
        let owner = self.read_view().sandbox(id.as_str())?.spec.owner.clone();
        self.disconnect_of(&owner, id, endpoint).await
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Arc::new(Registry))
    }

    /// With drivers of the test's.
    pub(super) fn with(planners: Arc<dyn Planners>) -> Self {
        Self { host: Arc::new(FakeHost::new()), directory: tempfile::tempdir().expect("a directory"), planners }
    }

    /// A netd on this world's own host.
    pub(super) async fn netd(&self) -> Controller {
        self.netd_on(self.host.clone()).await
    }

    pub(super) async fn netd_on(&self, host: Arc<dyn Host>) -> Controller {
        self.netd_of(host, self.planners.clone()).await
    }

    pub(super) async fn netd_of(&self, host: Arc<dyn Host>, planners: Arc<dyn Planners>) -> Controller {
        start_in(self.directory.path(), BOOT, host, planners).await.expect("a netd")
    }

    /// The files as a kill at this moment leaves them, with a netd started on them.
    pub(super) async fn netd_after_kill(&self) -> (TempDir, Controller) {
        self.next_netd(BOOT, self.planners.clone(), &[]).await
    }

    /// The same after something was done to the files: to which, and what.
    pub(super) async fn netd_after_kill_and(&self, changes: &[(&str, &str)]) -> (TempDir, Controller) {
        self.next_netd(BOOT, self.planners.clone(), changes).await
    }

    /// The same in another boot, or with other drivers.
    pub(super) async fn next_netd(
        &self,
        boot: &str,
        planners: Arc<dyn Planners>,
        changes: &[(&str, &str)],
    ) -> (TempDir, Controller) {
        let copy = tempfile::tempdir().expect("a directory");
        for entry in fs::read_dir(self.directory.path()).expect("a listing").filter_map(Result::ok) {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
        }
        for (file, change) in changes {
            let file = rusqlite::Connection::open(copy.path().join(file)).expect("the file");
            file.execute_batch(change).expect("a change");
        }
        let controller = start_in(copy.path(), boot, self.host.clone(), planners).await.expect("a netd");
        (copy, controller)
    }

    /// Makes a file's table refuse records for which something holds, as a full disk would. To be called before a netd
    /// opens them.
    pub(super) fn refuse_to_store(&self, file: &str, table: &str, which: &str) {
        drop(Store::open(self.directory.path(), self.directory.path(), BOOT).expect("new files"));
        let file = rusqlite::Connection::open(self.directory.path().join(file)).expect("the file");
        let full = format!(
            "CREATE TRIGGER full BEFORE INSERT ON {table} WHEN {which}
                            BEGIN SELECT RAISE(ABORT, 'full'); END"
        );
        file.execute_batch(&full).expect("a trigger");
    }

    pub(super) fn seen(&self) -> Seen {
        let state = self.host.read();
        let sysctls = state.sysctls.into_iter().filter(|(_, value)| value != "0").collect();
        Seen { namespaces: state.namespaces, elements: state.elements, sysctls }
    }
}

async fn start_in(
    directory: &Path,
    boot: &str,
    host: Arc<dyn Host>,
    planners: Arc<dyn Planners>,
) -> Result<Controller, Error> {
    let (store, loaded) = Store::open(directory, directory, boot)?;
    let started = start(Start {
        host,
        planners,
        pools: DefaultPools::default(),
        store: Arc::new(store),
        loaded,
        forwarding_drop: true,
        namespaces: directory.join("netns"),
        clock_and_random: ClockAndRandom::default(),
    });
    Ok(started.await?.0)
}

/// On network `bridge`, with a port of 127.0.0.1 that netd chooses: the shape with the most steps.
pub(super) fn request() -> SandboxPut {
    SandboxPut {
        owner: "tests".to_owned(),
        name: "web".to_owned(),
        labels: BTreeMap::new(),
        namespace: NamespaceRequest::New,
        endpoints: vec![EndpointRequest { network: "bridge".to_owned(), ..EndpointRequest::default() }],
        ports: vec![PortRequest {
            protocol: "tcp".to_owned(),
            host_ip: Some("127.0.0.1".to_owned()),
            host_ports: None,
            container_ports: PortRange { first: 80, last: 80 },
        }],
    }
}

pub(super) fn spec(id: &str) -> SandboxSpec {
    SandboxSpec::parse(id, request()).expect("a valid request")
}

pub(super) fn id(text: &str) -> SandboxId {
    text.parse().expect("an id")
}

pub(super) async fn put(netd: &Controller, id: &str) -> Result<Arc<cnm::sandbox::Sandbox>, Error> {
    put_as(netd, id, request()).await
}

pub(super) async fn put_as(netd: &Controller, id: &str, wire: SandboxPut) -> Result<Arc<cnm::sandbox::Sandbox>, Error> {
    let put = netd.put_sandbox(SandboxSpec::parse(id, wire).expect("a valid request")).await?;
    Ok(match put.value {
        PutSandbox::There(sandbox) | PutSandbox::Changed(sandbox) | PutSandbox::Made(sandbox) => sandbox,
    })
}

/// The address of a sandbox's first endpoint.
pub(super) fn address(sandbox: &cnm::sandbox::Sandbox) -> String {
    let interface = sandbox.endpoints[0].interface().expect("a link");
    interface.addresses[0].address.ip().to_string()
}
