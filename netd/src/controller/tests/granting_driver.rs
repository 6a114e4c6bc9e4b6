//! Driver `lent`: bridges whose subnets and addresses somebody else gives, who may take time, refuse, or never answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use cnm::{
    Error, Kind,
    api::{EndpointRequest, NetworkCreate, PoolConfig},
    driver::{DriverConfig, DriverTraits, HostView, NewEndpoint, Planner, Planners},
    endpoint::{Endpoint, Interface},
    grant::{
        EndpointGrant, EndpointGrantRequest, GrantFuture, Grantor, Holder, NetworkGrant, NetworkGrantRequest, Owed,
    },
    id::{DriverName, NetworkId},
    ipam::Pool,
    network::Network,
    ports::PublishedPort,
    resource::{NamespaceAt, Resources},
    spec::{EndpointSpec, NetworkSpec, PoolSpec, SandboxSpec},
};
use drivers::{BridgePlanner, Registry};
use tokio::sync::watch;

use super::{crashing_host::CrashingHost, world::request};

/// What the driver does when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Willing,
    Refusing,
    /// It does nothing until its mood changes.
    Silent,
    /// It has a fault of its own.
    Broken,
}

/// What the driver has given and taken back.
#[derive(Debug, Clone)]
pub(super) struct GrantingDriver {
    pub(super) giving: Behaviour,
    pub(super) taking: Behaviour,
    /// How often it was asked.
    pub(super) asked: usize,
    pub(super) given: BTreeSet<Holder>,
    /// In the order in which it was given back, also what had never been given.
    pub(super) taken_back: Vec<Holder>,
}

/// The driver, and who asks it.
#[derive(Debug, Clone)]
pub(super) struct Lent {
    pub(super) granting_driver: watch::Sender<GrantingDriver>,
    deadline: Duration,
    /// Said in place of the next free address, or subnet.
    says: Arc<Mutex<Option<EndpointGrant>>>,
    says_of_network: Arc<Mutex<Option<NetworkGrant>>>,
    addresses: Arc<Mutex<BTreeMap<Holder, u8>>>,
    crashing_host: Option<Mortal>,
}

#[derive(Clone)]
struct Mortal(Arc<CrashingHost>);

impl std::fmt::Debug for Mortal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mortal")
    }
}

/// Longer than any test takes.
pub(super) const NO_DEADLINE: Duration = Duration::from_secs(3600);

impl Lent {
    pub(super) fn new(deadline: Duration) -> Self {
        let granting_driver = GrantingDriver {
            giving: Behaviour::Willing,
            taking: Behaviour::Willing,
            asked: 0,
            given: BTreeSet::new(),
            taken_back: Vec::new(),
        };
        Self {
            granting_driver: watch::Sender::new(granting_driver),
            deadline,
            says: Arc::default(),
            says_of_network: Arc::default(),
            addresses: Arc::default(),
            crashing_host: None,
        }
    }

    /// The same driver, asked by a netd that dies with its host.
    pub(super) fn of(&self, crashing_host: Arc<CrashingHost>) -> Self {
        Self { crashing_host: Some(Mortal(crashing_host)), ..self.clone() }
    }

    pub(super) fn planners(&self) -> Arc<dyn Planners> {
        Arc::new(self.clone())
    }

    pub(super) fn gives(&self, behaviour: Behaviour) {
        self.granting_driver.send_modify(|granting_driver| granting_driver.giving = behaviour);
    }

    pub(super) fn takes(&self, behaviour: Behaviour) {
        self.granting_driver.send_modify(|granting_driver| granting_driver.taking = behaviour);
    }

    /// What it says to the next question about an endpoint.
    pub(super) fn says(&self, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        *self.says.lock().expect("not poisoned") = Some(EndpointGrant { addresses, mac: None });
    }

    /// What it says to the next question about a network.
    pub(super) fn says_of_network(&self, subnets: &[&str]) {
        let pools = subnets.iter().map(|subnet| pool(subnet)).collect();
        *self.says_of_network.lock().expect("not poisoned") = Some(NetworkGrant { pools });
    }

    /// Waits until something holds of the driver.
    pub(super) async fn until(&self, what: impl FnMut(&GrantingDriver) -> bool) {
        self.granting_driver.subscribe().wait_for(what).await.expect("the driver is there");
    }

    /// How many endpoints, and networks, have something.
    pub(super) fn lent(&self) -> (usize, usize) {
        let granting_driver = self.granting_driver.borrow();
        let endpoints = granting_driver.given.iter().filter(|holder| holder.endpoint.is_some()).count();
        (endpoints, granting_driver.given.len() - endpoints)
    }

    async fn step(&self) {
        if let Some(Mortal(crashing_host)) = &self.crashing_host {
            crashing_host.step().await;
        }
    }

    /// Called by netd: waits, then gives or refuses.
    async fn give(&self, holder: Holder) -> Result<u8, Error> {
        self.step().await;
        self.granting_driver.send_modify(|granting_driver| granting_driver.asked += 1);
        self.until(|granting_driver| granting_driver.giving != Behaviour::Silent).await;
        match self.granting_driver.borrow().giving {
            Behaviour::Refusing => return Err(Error::new(Kind::Conflict, "nothing is left")),
            Behaviour::Broken => panic!("as a fault in a driver does"),
            Behaviour::Willing | Behaviour::Silent => {}
        }
        let number = {
            let mut addresses = self.addresses.lock().expect("not poisoned");
            let next = u8::try_from(addresses.len()).expect("few");
            *addresses.entry(holder.clone()).or_insert(next)
        };
        self.granting_driver.send_modify(|granting_driver| {
            granting_driver.given.insert(holder);
        });
        self.step().await;
        Ok(number)
    }

    async fn take(&self, holder: Holder) -> Result<(), Error> {
        self.step().await;
        self.until(|granting_driver| granting_driver.taking != Behaviour::Silent).await;
        match self.granting_driver.borrow().taking {
            Behaviour::Refusing => return Err(Error::new(Kind::Internal, "come back tomorrow")),
            Behaviour::Broken => panic!("as a fault in a driver does"),
            Behaviour::Willing | Behaviour::Silent => {}
        }
        self.granting_driver.send_modify(|granting_driver| {
            granting_driver.given.remove(&holder);
            granting_driver.taken_back.push(holder);
        });
        self.step().await;
        Ok(())
    }
}

impl Grantor for Lent {
    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn request_network<'a>(&'a self, request: &'a NetworkGrantRequest) -> GrantFuture<'a, NetworkGrant> {
        Box::pin(async move {
            let number = self.give(Holder { network: request.network.clone(), endpoint: None }).await?;
            let said = self.says_of_network.lock().expect("not poisoned").take();
            Ok(said.unwrap_or_else(|| NetworkGrant { pools: vec![pool(&format!("10.9.{number}.0/24"))] }))
        })
    }

    fn request_endpoint<'a>(&'a self, request: &'a EndpointGrantRequest) -> GrantFuture<'a, EndpointGrant> {
        Box::pin(async move {
            let endpoint = Some((request.sandbox.clone(), request.endpoint.clone()));
            let number = self.give(Holder { network: request.network.id.clone(), endpoint }).await?;
            let said = self.says.lock().expect("not poisoned").take();
            let IpAddr::V4(subnet) = request.network.pools[0].subnet.ip() else { panic!("an IPv4 subnet was given") };
            let [first, second, third, _] = subnet.octets();
            let address = Ipv4Addr::new(first, second, third, 200 + number).into();
            let mac = Some("02:00:00:00:00:77".parse().expect("an address"));
            Ok(said.unwrap_or(EndpointGrant { addresses: vec![address], mac }))
        })
    }

    fn release<'a>(&'a self, owed: &'a Owed) -> GrantFuture<'a, ()> {
        Box::pin(self.take(owed.holder.clone()))
    }
}

impl Planners for Lent {
    fn planner(&self, driver: &DriverName) -> Option<&dyn Planner> {
        if driver.as_str() == "lent" { Some(&LentPlanner) } else { Registry.planner(driver) }
    }

    fn names(&self) -> Vec<&'static str> {
        Registry.names().into_iter().chain(["lent"]).collect()
    }

    fn grantor(&self, driver: &DriverName) -> Option<Arc<dyn Grantor>> {
        (driver.as_str() == "lent").then(|| Arc::new(self.clone()) as Arc<dyn Grantor>)
    }
}

/// Its networks are bridges.
#[derive(Debug)]
struct LentPlanner;

impl Planner for LentPlanner {
    fn name(&self) -> &'static str {
        "lent"
    }

    fn traits(&self) -> DriverTraits {
        BridgePlanner.traits()
    }

    fn configure(
        &self,
        id: &NetworkId,
        spec: &NetworkSpec,
        pools: &[Pool],
        host: &HostView,
    ) -> Result<DriverConfig, Error> {
        BridgePlanner.configure(id, spec, pools, host)
    }

    fn check_endpoint(&self, network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
        BridgePlanner.check_endpoint(network, spec)
    }

    fn attach(&self, network: &Network, endpoint: NewEndpoint<'_>) -> Option<Interface> {
        BridgePlanner.attach(network, endpoint)
    }

    fn network(&self, network: &Network) -> Resources {
        BridgePlanner.network(network)
    }

    fn endpoint(&self, network: &Network, namespace: &NamespaceAt, endpoint: &Endpoint) -> Resources {
        BridgePlanner.endpoint(network, namespace, endpoint)
    }

    fn published_ports(&self, network: &Network, endpoint: &Endpoint, ports: &[PublishedPort]) -> Resources {
        BridgePlanner.published_ports(network, endpoint, ports)
    }

    fn loopback_publishing(&self, network: &Network) -> Resources {
        BridgePlanner.loopback_publishing(network)
    }
}

fn pool(subnet: &str) -> PoolSpec {
    let wire = PoolConfig { subnet: Some(subnet.to_owned()), ..PoolConfig::default() };
    PoolSpec::try_from(&wire).expect("a valid pool")
}

/// A network of driver `lent`.
pub(super) fn network(name: &str) -> NetworkSpec {
    let wire = NetworkCreate { name: name.to_owned(), driver: Some("lent".to_owned()), ..NetworkCreate::default() };
    NetworkSpec::try_from(wire).expect("a valid request")
}

/// A sandbox on one network.
pub(super) fn on(network: &str, id: &str) -> SandboxSpec {
    let mut wire = request();
    wire.endpoints[0].network = network.to_owned();
    SandboxSpec::parse(id, wire).expect("a valid request")
}

/// An endpoint on a network.
pub(super) fn endpoint(network: &str) -> EndpointSpec {
    let wire = EndpointRequest { network: network.to_owned(), ..EndpointRequest::default() };
    EndpointSpec::try_from(wire).expect("a valid request")
}
