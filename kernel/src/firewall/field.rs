//! What keys and values of sets are made of: each type with its name in `nft`, its text, and its bytes in registers.

use std::net::{Ipv4Addr, Ipv6Addr};

use cnm::{
    firewall::Protocol,
    id::{LinkName, MacAddress},
};

use crate::Family;

/// A type of field.
pub(super) trait Field: Sized {
    /// The type's name in `nft`.
    const TYPE: &'static str;

    /// As `nft` writes it.
    fn text(&self) -> String;

    /// As it lies in registers, without the padding behind it.
    fn bytes(&self) -> Vec<u8>;

    /// Takes it off the front of what lies in registers.
    fn take(registers: &mut &[u8]) -> Option<Self>;
}

/// The fields of a key or a value in their order, `()` for none.
pub(super) trait Fields: Sized {
    /// The types' names in `nft`.
    const TYPES: &'static [&'static str];

    fn encode(&self) -> Encoded;

    /// What was encoded as these bytes; none if nothing is.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// A key or a value as text and as bytes, whatever its types were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Encoded {
    /// The text of each field.
    pub(super) texts: Vec<String>,
    pub(super) bytes: Vec<u8>,
}

impl Encoded {
    /// Each field begins a register; registers have 4 bytes.
    fn push(&mut self, field: &impl Field) {
        self.texts.push(field.text());
        self.bytes.extend(field.bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The first bytes of what lies in registers, which go with the padding behind them.
fn take<const LENGTH: usize>(registers: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (field, rest) = registers.split_at_checked(LENGTH.next_multiple_of(4))?;
    *registers = rest;
    field.first_chunk().copied()
}

impl Fields for () {
    const TYPES: &'static [&'static str] = &[];

    fn encode(&self) -> Encoded {
        Encoded::default()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}

impl<F: Field> Fields for F {
    const TYPES: &'static [&'static str] = &[F::TYPE];

    fn encode(&self) -> Encoded {
        let mut encoded = Encoded::default();
        encoded.push(self);
        encoded
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let field = F::take(&mut bytes)?;
        bytes.is_empty().then_some(field)
    }
}

macro_rules! concatenation {
    ($($index:tt $field:ident),*) => {
        impl<$($field: Field),*> Fields for ($($field,)*) {
            const TYPES: &'static [&'static str] = &[$($field::TYPE),*];

            fn encode(&self) -> Encoded {
                let mut encoded = Encoded::default();
                $(encoded.push(&self.$index);)*
                encoded
            }

            fn decode(mut bytes: &[u8]) -> Option<Self> {
                let fields = ($($field::take(&mut bytes)?,)*);
                bytes.is_empty().then_some(fields)
            }
        }
    };
}

concatenation!(0 A, 1 B);
concatenation!(0 A, 1 B, 2 C);

impl Field for LinkName {
    const TYPE: &'static str = "ifname";

    fn text(&self) -> String {
        format!("\"{self}\"")
    }

    /// Filled with NULs to 16 bytes (IFNAMSIZ).
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.as_str().as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = take(registers)?;
        std::str::from_utf8(&bytes).ok()?.trim_end_matches('\0').parse().ok()
    }
}

impl Field for MacAddress {
    const TYPE: &'static str = "ether_addr";

    fn text(&self) -> String {
        self.to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        take(registers).map(Self)
    }
}

impl Field for Family {
    const TYPE: &'static str = "nf_proto";

    fn text(&self) -> String {
        match self {
            Self::Ipv4 => "ipv4".to_owned(),
            Self::Ipv6 => "ipv6".to_owned(),
        }
    }

    /// `NFPROTO_IPV4` and `NFPROTO_IPV6`.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ipv4 => vec![2],
            Self::Ipv6 => vec![10],
        }
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        let number: [u8; 1] = take(registers)?;
        [Self::Ipv4, Self::Ipv6].into_iter().find(|family| family.bytes() == number)
    }
}

impl Field for Protocol {
    const TYPE: &'static str = "inet_proto";

    fn text(&self) -> String {
        self.to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        vec![self.number()]
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        let [number] = take(registers)?;
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|protocol| protocol.number() == number)
    }
}

/// A port of a transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port(pub(super) u16);

impl Field for Port {
    const TYPE: &'static str = "inet_service";

    fn text(&self) -> String {
        self.0.to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        take(registers).map(|bytes| Self(u16::from_be_bytes(bytes)))
    }
}

impl Field for Ipv4Addr {
    const TYPE: &'static str = "ipv4_addr";

    fn text(&self) -> String {
        self.to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        self.octets().to_vec()
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        take(registers).map(|octets: [u8; 4]| octets.into())
    }
}

impl Field for Ipv6Addr {
    const TYPE: &'static str = "ipv6_addr";

    fn text(&self) -> String {
        self.to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        self.octets().to_vec()
    }

    fn take(registers: &mut &[u8]) -> Option<Self> {
        take(registers).map(|octets: [u8; 16]| octets.into())
    }
}
