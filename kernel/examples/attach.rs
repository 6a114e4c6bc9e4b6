//! Measures how long a sandbox with one endpoint and one published port takes to make and to remove.
//!
//! Run it in namespaces of its own: `unshare -nm cargo run --release -p kernel --example attach -- RUN_DIR`.

use std::{collections::BTreeSet, env, error::Error, path::Path, sync::Arc, time::Instant};

use cnm::{
    firewall::{Element, PortForward, Protocol},
    id::LinkName,
    plan::Plan,
    resource::{Bridge, LinkAddress, LinkAt, Namespace, Resource, Resources, Route, VethPair},
};
use kernel::{AdminChains, Host, InProcessKeeper, Kernel};

const ROUNDS: u8 = 40;

fn attachment(bridge: &LinkName, number: u8) -> Result<Resources, Box<dyn Error>> {
    let namespace = Namespace { sandbox: format!("s{number}").parse()? };
    let peer = LinkAt { namespace: namespace.at(), name: "eth0".parse()? };
    let forward = PortForward {
        protocol: Protocol::Tcp,
        host_address: None,
        host_first: 4000 + u16::from(number),
        endpoint: format!("172.20.1.{number}").parse()?,
        container_first: 80,
        count: 1,
        bridge: bridge.clone(),
    };
    let route = Route { destination: "0.0.0.0/0".parse()?, gateway: Some("172.20.1.1".parse()?), link: peer.clone() };
    let pair = VethPair {
        host_end: format!("bv{number:010x}").parse()?,
        bridge: bridge.clone(),
        peer: peer.clone(),
        peer_mac: format!("02:42:ac:14:01:{number:02x}").parse()?,
        mtu_bytes: 1500,
        isolated: false,
    };
    Ok(vec![
        Resource::Namespace(namespace),
        Resource::Veth(pair),
        Resource::Address(LinkAddress { link: peer, address: format!("172.20.1.{number}/24").parse()? }),
        Resource::Route(route),
        Resource::Element(Element::Port(forward)),
    ])
}

fn main() -> Result<(), Box<dyn Error>> {
    let run_dir = env::args().nth(1).ok_or("usage: attach RUN_DIR")?;
    let kernel = Kernel::new(Path::new(&run_dir), Arc::new(InProcessKeeper::default()))?;
    kernel.sync_firewall(&BTreeSet::new(), &AdminChains::default())?;
    let name: LinkName = "bb-000000000001".parse()?;
    let bridge = Bridge { name: name.clone(), mac: "02:42:00:00:00:01".parse()?, mtu_bytes: 1500 };
    let address = LinkAddress { link: LinkAt::on_host(&name), address: "172.20.1.1/24".parse()? };
    kernel.apply(&Plan::make([Resource::Bridge(bridge), Resource::Address(address)]))?;
    let (mut made, mut removed) = (Vec::new(), Vec::new());
    for number in 2..2 + ROUNDS {
        let resources = attachment(&name, number)?;
        let start = Instant::now();
        kernel.apply(&Plan::make(resources.clone()))?;
        made.push(start.elapsed());
        let start = Instant::now();
        kernel.apply(&Plan::teardown(&resources))?;
        removed.push(start.elapsed());
    }
    made.sort();
    removed.sort();
    let median = usize::from(ROUNDS / 2);
    println!("made in {:?}, removed in {:?} (medians of {ROUNDS})", made[median], removed[median]);
    Ok(())
}
