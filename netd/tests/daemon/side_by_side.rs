//! Many requests at once.

use std::collections::BTreeSet;

use futures::future::join_all;

use crate::netd_host::NetdHost;

#[tokio::test]
async fn fifty_sandboxes_are_made_and_removed_at_once() {
    let netd = NetdHost::new();
    let before = netd.traces();
    let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    let ports: Vec<[(&str, u16, u16); 1]> = (0..50).map(|number| [("tcp", 7000 + number, 1)]).collect();
    let sandboxes = join_all(names.iter().zip(&ports).map(|(name, ports)| netd.put(name, ports))).await;
    let addresses: BTreeSet<_> = sandboxes.iter().map(|sandbox| sandbox.endpoints[0].addresses[0].address).collect();
    assert_eq!(addresses.len(), 50);
    assert_eq!(netd.host.sh("ip -o link show master berth0 | wc -l").trim(), "50");
    let removals = join_all(names.iter().map(|name| netd.client.remove_sandbox(name))).await;
    removals.into_iter().for_each(|removed| removed.expect("the sandbox"));
    let info = netd.client.info().await.expect("info");
    assert_eq!((info.sandboxes, info.endpoints), (0, 0));
    assert_eq!(netd.traces(), before);
}
