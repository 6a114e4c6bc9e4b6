//! `net create` flags → netd's request, or the engine's for what netd has no word for.

use std::net::IpAddr;

use bollard_stubs::models::{ConfigReference, Ipam, IpamConfig, NetworkCreateRequest};
use cnm::api::{NetworkCreate, PoolConfig};

use crate::flags::network::CreateFlags;

use super::error::{RequestError, refused};
use super::pairs;

/// Makes the request of the flags: each gateway, range and auxiliary address goes to the subnet that it lies in.
///
/// # Errors
/// Names the value that isn't an address or lies in no subnet.
pub(crate) fn network_create(flags: &CreateFlags) -> Result<NetworkCreate, RequestError> {
    let mut pools = flags.subnet.iter().map(|text| Pool::parse(text)).collect::<Result<Vec<_>, _>>()?;
    for text in &flags.ip_range {
        let range = Subnet::parse(text).ok_or_else(|| refused("--ip-range", text, "it isn't a CIDR range"))?;
        let pool = find(&mut pools, range.address, "--ip-range", text)?;
        set_once(&mut pool.config.ip_range, "--ip-range", text)?;
    }
    for text in &flags.gateway {
        let address = address("--gateway", text, text)?;
        let pool = find(&mut pools, address, "--gateway", text)?;
        set_once(&mut pool.config.gateway, "--gateway", text)?;
    }
    for spec in &flags.aux_address {
        let (name, text) = spec
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| refused("--aux-address", spec, "give NAME=ADDRESS"))?;
        let pool = find(&mut pools, address("--aux-address", spec, text)?, "--aux-address", spec)?;
        pool.config.aux_addresses.insert(name.to_owned(), text.to_owned());
    }
    for label in &flags.label {
        pairs::check_label("--label", label)?;
    }
    Ok(NetworkCreate {
        name: flags.name.clone(),
        driver: Some(flags.driver.clone()),
        internal: flags.internal,
        ipv4: flags.ipv4,
        ipv6: flags.ipv6,
        pools: pools.into_iter().map(|pool| pool.config).collect(),
        options: options(&flags.opt)?,
        labels: pairs::sorted_map(&flags.label),
    })
}

/// The same for the engine, which knows Docker's words, when there are flags that netd has none for.
///
/// # Errors
/// As above.
pub(crate) fn engine_create(flags: &CreateFlags) -> Result<Option<NetworkCreateRequest>, RequestError> {
    let has_default_ipam = flags.ipam_driver == "default" && flags.ipam_opt.is_empty();
    let is_plain = !(flags.attachable || flags.ingress || flags.config_only) && has_default_ipam;
    if is_plain && flags.scope.is_none() && flags.config_from.is_none() {
        return Ok(None);
    }
    let NetworkCreate { name, driver, internal, ipv4, ipv6, pools, options, labels } = network_create(flags)?;
    let pool = |pool: PoolConfig| IpamConfig {
        subnet: pool.subnet,
        ip_range: pool.ip_range,
        gateway: pool.gateway,
        auxiliary_addresses: Some(pool.aux_addresses.into_iter().collect()),
    };
    Ok(Some(NetworkCreateRequest {
        name,
        driver,
        scope: flags.scope.clone(),
        internal: Some(internal),
        attachable: Some(flags.attachable),
        ingress: Some(flags.ingress),
        config_only: Some(flags.config_only),
        config_from: flags.config_from.clone().map(|network| ConfigReference { network: Some(network) }),
        ipam: Some(Ipam {
            driver: Some(flags.ipam_driver.clone()),
            config: Some(pools.into_iter().map(pool).collect()),
            options: Some(pairs::map(&flags.ipam_opt)),
        }),
        enable_ipv4: ipv4,
        enable_ipv6: ipv6,
        options: Some(options.into_iter().collect()),
        labels: Some(labels.into_iter().collect()),
    }))
}

fn options(specs: &[String]) -> Result<std::collections::BTreeMap<String, String>, RequestError> {
    for spec in specs {
        if !spec.contains('=') || spec.starts_with('=') {
            return Err(refused("-o, --opt", spec, "give NAME=VALUE"));
        }
    }
    Ok(pairs::sorted_map(specs))
}

/// A subnet, and what of the request belongs to it.
struct Pool {
    subnet: Subnet,
    config: PoolConfig,
}

#[derive(Clone, Copy)]
struct Subnet {
    address: IpAddr,
    prefix: u8,
}

impl Pool {
    fn parse(text: &str) -> Result<Self, RequestError> {
        let subnet = Subnet::parse(text)
            .ok_or_else(|| refused("--subnet", text, format_args!("invalid CIDR address: {text}")))?;
        Ok(Self { subnet, config: PoolConfig { subnet: Some(text.to_owned()), ..PoolConfig::default() } })
    }
}

impl Subnet {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let subnet = Self { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
        (subnet.prefix <= subnet.bits()).then_some(subnet)
    }

    fn bits(self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    fn contains(self, address: IpAddr) -> bool {
        // Aligned to the left, so that one shift serves both families.
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let shift = 128 - u32::from(self.prefix);
        let same = (number(self.address) ^ number(address)).checked_shr(shift).unwrap_or(0) == 0;
        self.address.is_ipv4() == address.is_ipv4() && same
    }
}

fn address(name: &'static str, spec: &str, text: &str) -> Result<IpAddr, RequestError> {
    text.parse().map_err(|_| refused(name, spec, format_args!("'{text}' isn't an IP address")))
}

fn find<'a>(
    pools: &'a mut [Pool],
    address: IpAddr,
    name: &'static str,
    spec: &str,
) -> Result<&'a mut Pool, RequestError> {
    let pool = pools.iter_mut().find(|pool| pool.subnet.contains(address));
    pool.ok_or_else(|| refused(name, spec, "no --subnet contains it"))
}

fn set_once(field: &mut Option<String>, name: &'static str, text: &str) -> Result<(), RequestError> {
    match field.replace(text.to_owned()) {
        None => Ok(()),
        Some(first) => Err(refused(name, text, format_args!("its subnet has {first} already"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(change: impl FnOnce(&mut CreateFlags)) -> Result<NetworkCreate, String> {
        let mut flags = CreateFlags { name: "lab".to_owned(), driver: "bridge".to_owned(), ..CreateFlags::default() };
        change(&mut flags);
        network_create(&flags).map_err(|error| error.to_string())
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn addresses_go_to_their_subnets() {
        let request = create(|flags| {
            flags.subnet = list(&["10.9.0.0/24", "fd00::/64"]);
            flags.gateway = list(&["fd00::1", "10.9.0.1"]);
            flags.ip_range = list(&["10.9.0.128/25"]);
            flags.aux_address = list(&["router=10.9.0.2", "printer=fd00::2"]);
            flags.label = list(&["tier=db", "plain"]);
            flags.opt = list(&["com.docker.network.driver.mtu=1400"]);
            flags.ipv6 = Some(true);
        });
        insta::assert_json_snapshot!(request.unwrap(), @r#"
        {
          "name": "lab",
          "driver": "bridge",
          "internal": false,
          "ipv6": true,
          "pools": [
            {
              "subnet": "10.9.0.0/24",
              "ip_range": "10.9.0.128/25",
              "gateway": "10.9.0.1",
              "aux_addresses": {
                "router": "10.9.0.2"
              }
            },
            {
              "subnet": "fd00::/64",
              "gateway": "fd00::1",
              "aux_addresses": {
                "printer": "fd00::2"
              }
            }
          ],
          "options": {
            "com.docker.network.driver.mtu": "1400"
          },
          "labels": {
            "plain": "",
            "tier": "db"
          }
        }
        "#);
        assert_eq!(create(|_| ()).unwrap().pools, []);
    }

    #[test]
    fn wrong_forms() {
        type Change = fn(&mut CreateFlags);
        let cases: [(Change, &str); 8] = [
            (
                |flags| flags.subnet = list(&["x"]),
                "invalid argument \"x\" for \"--subnet\" flag: invalid CIDR address: x",
            ),
            (
                |flags| flags.subnet = list(&["10.0.0.0/33"]),
                "invalid argument \"10.0.0.0/33\" for \"--subnet\" flag: invalid CIDR address: 10.0.0.0/33",
            ),
            (
                |flags| flags.gateway = list(&["10.9.0.1"]),
                "invalid argument \"10.9.0.1\" for \"--gateway\" flag: no --subnet contains it",
            ),
            (
                |flags| flags.gateway = list(&["x"]),
                "invalid argument \"x\" for \"--gateway\" flag: 'x' isn't an IP address",
            ),
            (
                |flags| flags.ip_range = list(&["10.0.0.1"]),
                "invalid argument \"10.0.0.1\" for \"--ip-range\" flag: it isn't a CIDR range",
            ),
            (
                |flags| flags.aux_address = list(&["10.0.0.1"]),
                "invalid argument \"10.0.0.1\" for \"--aux-address\" flag: give NAME=ADDRESS",
            ),
            (|flags| flags.opt = list(&["mtu"]), "invalid argument \"mtu\" for \"-o, --opt\" flag: give NAME=VALUE"),
            (
                |flags| {
                    flags.subnet = list(&["10.9.0.0/24"]);
                    flags.gateway = list(&["10.9.0.1", "10.9.0.2"]);
                },
                "invalid argument \"10.9.0.2\" for \"--gateway\" flag: its subnet has 10.9.0.1 already",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(create(change).unwrap_err(), expected);
        }
    }
}
