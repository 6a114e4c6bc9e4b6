//! Identifiers and names: what may be one is decided here, once, by their constructors.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Makes a newtype over 64 lower-case hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id whose 32 bytes the caller drew at random.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }

            /// The full id.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits, as people see it.
            pub fn short(&self) -> &str {
                &self.0[..12]
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Error::invalid(format!(
                        concat!("{:?} is not a ", $what, " id: 64 hexadecimal digits are expected"),
                        text
                    )))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_id!(
    /// A network, for as long as it exists.
    NetworkId,
    "network"
);
hex_id!(
    /// The attachment of one sandbox to one network.
    EndpointId,
    "endpoint"
);

/// Makes a newtype over a string that a predicate accepts.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let accepts: fn(&str) -> bool = $check;
                if accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Error::invalid(format!(concat!("invalid ", $what, " {:?}: ", $rule), text)))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Docker's grammar for names: a letter or digit, then letters, digits, `_`, `.` and `-`.
fn is_name(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

checked_name!(
    /// A network's name.
    ///
    /// Links are named by ids, so whatever people call a network will do, as with Docker; a `/` would end it in URLs.
    NetworkName,
    "network name",
    "1 to 255 bytes are allowed, not only white space, no control characters, no '/', and no 'container:' at the beginning",
    |text| {
        text.len() <= 255
            && !text.trim().is_empty()
            && !text.contains(|c: char| c.is_control() || c == '/')
            && !text.starts_with("container:")
    }
);
checked_name!(
    /// A sandbox's id, chosen by the caller (a container's id, a CNI attachment), so that asking twice makes one.
    SandboxId,
    "sandbox id",
    "only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed, at most 128 characters",
    |text| is_name(text, 128)
);
checked_name!(
    /// Who holds sandboxes: an engine instance, `cni`, a person at a shell.
    OwnerName,
    "owner",
    "only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed, at most 128 characters",
    |text| is_name(text, 128)
);
checked_name!(
    /// The kind of a network: `bridge`, `host`, `null`.
    DriverName,
    "driver name",
    "only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed, at most 64 characters",
    |text| is_name(text, 64)
);
checked_name!(
    /// The name of a network interface; at most 15 bytes (IFNAMSIZ less the NUL), as in the kernel's `dev_valid_name`.
    LinkName,
    "interface name",
    "1 to 15 characters are allowed, none of them '/', ':' or white space, and not '.' or '..'",
    |text| {
        (1..=15).contains(&text.len())
            && text != "."
            && text != ".."
            && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'))
    }
);

impl LinkName {
    /// The bridge of the network that is there from the start.
    pub const DEFAULT_BRIDGE: &str = "berth0";

    /// The bridge of a network of ours: `bb-` and the first 12 digits of the network's id.
    pub fn of_bridge(network: &NetworkId) -> Self {
        Self(format!("bb-{}", network.short()))
    }

    /// The host end of an endpoint's veth pair: `bv` and the first 10 digits of the endpoint's id.
    pub fn of_host_end(endpoint: &EndpointId) -> Self {
        Self(format!("bv{}", &endpoint.as_str()[..10]))
    }

    /// A bridge of ours on its way out, whose own name others may have: `bb-x` and ten random digits.
    pub fn of_retired_bridge(random: u64) -> Self {
        Self(format!("bb-x{:010x}", random >> 24))
    }

    /// Whether it is a name that we give links: one of those above.
    pub fn is_ours(&self) -> bool {
        let is_bridge = self.0 == Self::DEFAULT_BRIDGE || self.is_digits_after("bb-", 12);
        is_bridge || self.is_host_end() || self.is_retired_bridge()
    }

    /// Whether the name is of the pattern of [`LinkName::of_host_end`].
    pub fn is_host_end(&self) -> bool {
        self.is_digits_after("bv", 10)
    }

    /// Whether the name is of the pattern of [`LinkName::of_retired_bridge`].
    pub fn is_retired_bridge(&self) -> bool {
        self.is_digits_after("bb-x", 10)
    }

    fn is_digits_after(&self, prefix: &str, count: usize) -> bool {
        let digits = self.0.strip_prefix(prefix).unwrap_or_default();
        digits.len() == count && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// An Ethernet address (EUI-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The address that belongs to an IPv4 address: `02:42` and its four bytes. A reused IP address then keeps its MAC,
    /// so neighbours' ARP caches stay right.
    pub const fn of_ipv4(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The address of a network's bridge: `06` and the first ten digits of the network's id. It is locally administered
    /// and none of [`MacAddress::of_ipv4`].
    pub fn of_bridge(network: &NetworkId) -> Self {
        let mut bytes = [0x06; 6];
        for (byte, digits) in bytes[1..].iter_mut().zip(network.as_str().as_bytes().chunks(2)) {
            let digit = |at: usize| (digits[at] as char).to_digit(16).expect("ids are hexadecimal") as u8;
            *byte = digit(0) << 4 | digit(1);
        }
        Self(bytes)
    }
}

impl FromStr for MacAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| Error::invalid(format!("invalid MAC address {text:?}: {why}"));
        let expected = "six pairs of hexadecimal digits separated by ':' are expected, as in 02:42:ac:11:00:02";
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(|| refuse(expected))?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| refuse(expected))?;
        }
        if parts.next().is_some() {
            return Err(refuse(expected));
        }
        if bytes[0] & 1 == 1 {
            return Err(refuse("it is a multicast address"));
        }
        if bytes == [0; 6] {
            return Err(refuse("it is all zeros"));
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> String {
        mac.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_ours_are_known_by_the_names_that_we_give_them() {
        let name = |text: &str| text.parse::<LinkName>().expect("a name");
        let bytes = [0x4f; 32];
        let bridge = LinkName::of_bridge(&NetworkId::from_bytes(bytes));
        let host_end = LinkName::of_host_end(&EndpointId::from_bytes(bytes));
        let retired = LinkName::of_retired_bridge(u64::MAX);
        for (link, is_host_end, is_retired) in [
            (name(LinkName::DEFAULT_BRIDGE), false, false),
            (bridge, false, false),
            (host_end, true, false),
            (retired, false, true),
            (LinkName::of_retired_bridge(0), false, true),
        ] {
            assert!(link.is_ours(), "{link}");
            assert_eq!((link.is_host_end(), link.is_retired_bridge()), (is_host_end, is_retired), "{link}");
        }
        for others in ["berth1", "bb-", "bb-0123456789a", "bb-0123456789aB", "bb-x012345678", "bv012345678g", "eth0"] {
            assert!(!name(others).is_ours(), "{others}");
        }
    }
}
