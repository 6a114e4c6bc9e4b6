//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container, as text.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::network::{ExtraHost, NetworkSpec};

/// Where names are looked up when none of the host's own servers can be reached from a container; Docker takes these too.
pub const FALLBACK_SERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

const LOCAL_NAMES: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// What `/etc/hosts` says besides localhost.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The container's host name.
    pub hostname: &'a str,
    /// Its domain; may be empty.
    pub domainname: &'a str,
    /// Its addresses on its networks.
    pub addresses: &'a [IpAddr],
    /// Lines that the user asked for.
    pub extra: &'a [ExtraHost],
    /// Other containers' addresses, each with its names.
    pub links: &'a [(IpAddr, String)],
    /// What `host-gateway` stands for, if anything.
    pub host_gateway: Option<IpAddr>,
}

/// `/etc/hosts` of a container with a network namespace of its own.
pub fn hosts(names: &Names<'_>) -> String {
    let mut text = LOCAL_NAMES.to_owned();
    extend_hosts(&mut text, names);
    for (address, linked) in names.links {
        let _ = writeln!(text, "{address}\t{linked}");
    }
    let own = match names.domainname {
        "" => names.hostname.to_owned(),
        domain => format!("{}.{domain}", names.hostname),
    };
    // The name may have its domain in it. The short name is looked for as well.
    let short = own.split_once('.').map(|(short, _)| format!(" {short}")).unwrap_or_default();
    for address in names.addresses {
        let _ = writeln!(text, "{address}\t{own}{short}");
    }
    text
}

/// `/etc/hosts` of a container in the host's network namespace: the host's, and what the user asked for.
pub fn hosts_of_host(host: &str, names: &Names<'_>) -> String {
    let mut text = host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    extend_hosts(&mut text, names);
    text
}

fn extend_hosts(text: &mut String, names: &Names<'_>) {
    for extra in names.extra {
        if let Some(address) = extra.address.or(names.host_gateway) {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{address}\t{}", extra.name);
        }
    }
}

/// What the host says of its name servers, as text.
#[derive(Debug, Clone, Copy)]
pub struct HostFiles<'a> {
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: &'a str,
    /// systemd-resolved's own file of the servers that its stub on the loopback asks; empty where it doesn't run.
    pub behind_stub: &'a str,
}

impl HostFiles<'_> {
    /// Whether no server that the host names can be reached from another network namespace than its own.
    pub fn name_only_loopback(self) -> bool {
        !self.for_containers().has_reachable()
    }

    /// systemd-resolved's servers where all that are named otherwise are on the loopback.
    fn for_containers(self) -> HostResolver {
        let own = HostResolver::parse(self.resolv_conf);
        if own.has_reachable() {
            return own;
        }
        let behind = HostResolver::parse(self.behind_stub);
        if behind.has_reachable() { behind } else { own }
    }
}

/// `/etc/resolv.conf`: the host's with the user's wishes instead of its lines. Name servers on the host's loopback can't
/// be reached from another network namespace and are left out of one.
pub fn resolv_conf(host: HostFiles<'_>, wish: &NetworkSpec, own_namespace: bool) -> String {
    let host = if own_namespace { host.for_containers() } else { HostResolver::parse(host.resolv_conf) };
    let mut text = String::new();
    for server in servers(&host, wish, own_namespace) {
        let _ = writeln!(text, "nameserver {server}");
    }
    let search = if wish.dns_search.is_empty() { &host.search } else { &wish.dns_search };
    // `--dns-search .` asks for no search domains.
    if !search.is_empty() && search.as_slice() != ["."] {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    let options = if wish.dns_options.is_empty() { &host.options } else { &wish.dns_options };
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

fn servers(host: &HostResolver, wish: &NetworkSpec, own_namespace: bool) -> Vec<String> {
    if !wish.dns_servers.is_empty() {
        return wish.dns_servers.iter().map(ToString::to_string).collect();
    }
    let servers: Vec<String> =
        host.servers.iter().filter(|server| !own_namespace || is_reachable(server)).cloned().collect();
    match servers.is_empty() {
        true => FALLBACK_SERVERS.map(str::to_owned).to_vec(),
        false => servers,
    }
}

/// Whether a server can be reached from another network namespace than the host's. A scoped address (fe80::1%eth0) names an
/// interface that a container doesn't have.
fn is_reachable(server: &str) -> bool {
    server.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback())
}

#[derive(Default)]
struct HostResolver {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl HostResolver {
    fn has_reachable(&self) -> bool {
        self.servers.iter().any(|server| is_reachable(server))
    }

    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let keyword = words.next();
            let words = words.map(str::to_owned);
            match keyword {
                Some("nameserver") => resolver.servers.extend(words.take(1)),
                // The last one holds, as in resolv.conf(5).
                Some("search" | "domain") => resolver.search = words.collect(),
                Some("options") => resolver.options.extend(words),
                _ => {}
            }
        }
        resolver
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::container::network::NetworkMode;

    fn host(resolv_conf: &str) -> HostFiles<'_> {
        HostFiles { resolv_conf, behind_stub: "" }
    }

    fn wish() -> NetworkSpec {
        NetworkSpec {
            mode: NetworkMode::Network("bridge".into()),
            ports: vec![],
            exposed: Default::default(),
            publish_all: false,
            dns_servers: vec![],
            dns_search: vec![],
            dns_options: vec![],
            extra_hosts: vec![],
            links: vec![],
        }
    }

    #[test]
    fn hosts_file() {
        let extra = [
            ExtraHost { name: "db".into(), address: Some("10.0.0.9".parse().unwrap()) },
            ExtraHost { name: "host.docker.internal".into(), address: None },
        ];
        let names = Names {
            hostname: "web",
            domainname: "example.org",
            addresses: &["172.17.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            extra: &extra,
            links: &[("172.17.0.3".parse().unwrap(), "alias 0123456789ab db2".into())],
            host_gateway: Some("172.17.0.1".parse().unwrap()),
        };
        assert_snapshot!(hosts(&names), @r"
        127.0.0.1	localhost
        ::1	localhost ip6-localhost ip6-loopback
        fe00::	ip6-localnet
        ff00::	ip6-mcastprefix
        ff02::1	ip6-allnodes
        ff02::2	ip6-allrouters
        10.0.0.9	db
        172.17.0.1	host.docker.internal
        172.17.0.3	alias 0123456789ab db2
        172.17.0.2	web.example.org web
        fd00::2	web.example.org web
        ");
        for (hostname, domainname, expected) in [
            ("web", "", "web"),
            ("web.example.org", "", "web.example.org web"),
            ("web.example", "org", "web.example.org web"),
        ] {
            let names = Names { hostname, domainname, addresses: &names.addresses[..1], ..names };
            let text = hosts(&names);
            assert_eq!(
                text.lines().last(),
                Some(format!("172.17.0.2\t{expected}").as_str()),
                "{hostname} {domainname}"
            );
        }
        assert_snapshot!(hosts_of_host("127.0.0.1 localhost", &names), @r"
        127.0.0.1 localhost
        10.0.0.9	db
        172.17.0.1	host.docker.internal
        ");
    }

    #[test]
    fn resolv_conf_of_the_host_without_its_loopback() {
        let text = "# made by hand\ndomain old\nsearch lan example.org\nnameserver 127.0.0.53\n\
                    nameserver fe80::1%eth0\nnameserver 10.0.0.1\nnameserver ::1\noptions edns0 trust-ad\n";
        assert_snapshot!(resolv_conf(host(text), &wish(), true), @r"
        nameserver 10.0.0.1
        search lan example.org
        options edns0 trust-ad
        ");
        assert_snapshot!(resolv_conf(host(text), &wish(), false), @r"
        nameserver 127.0.0.53
        nameserver fe80::1%eth0
        nameserver 10.0.0.1
        nameserver ::1
        search lan example.org
        options edns0 trust-ad
        ");
        assert_snapshot!(resolv_conf(host("nameserver 127.0.0.1"), &wish(), true), @r"
        nameserver 8.8.8.8
        nameserver 8.8.4.4
        ");
    }

    #[test]
    fn resolv_conf_as_asked() {
        let asked = NetworkSpec {
            dns_servers: vec!["1.1.1.1".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            dns_search: vec![".".into()],
            dns_options: vec!["ndots:2".into()],
            ..wish()
        };
        assert_snapshot!(resolv_conf(host("search lan\nnameserver 10.0.0.1\noptions edns0"), &asked, true), @r"
        nameserver 1.1.1.1
        nameserver 127.0.0.1
        options ndots:2
        ");
    }

    #[test]
    fn servers_behind_a_stub_on_the_loopback() {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n";
        let behind = "nameserver 10.1.0.1\nnameserver 10.1.0.2\nsearch corp.example\n";
        let files = HostFiles { resolv_conf: stub, behind_stub: behind };
        assert_snapshot!(resolv_conf(files, &wish(), true), @r"
        nameserver 10.1.0.1
        nameserver 10.1.0.2
        search corp.example
        ");
        // In the host's own namespace the stub answers.
        assert!(resolv_conf(files, &wish(), false).starts_with("nameserver 127.0.0.53\n"));
        assert!(!files.name_only_loopback());
        // A server of the host's own file counts more than what resolved knows.
        let own = HostFiles { resolv_conf: "nameserver 192.0.2.1\nnameserver 127.0.0.1", behind_stub: behind };
        assert_eq!(resolv_conf(own, &wish(), true), "nameserver 192.0.2.1\n");
        for behind_stub in ["", "nameserver 127.0.0.1", "# none\n"] {
            let files = HostFiles { resolv_conf: stub, behind_stub };
            assert!(
                files.name_only_loopback() && resolv_conf(files, &wish(), true).starts_with("nameserver 8.8.8.8\n")
            );
        }
    }
}
