//! Elements of the table's sets and maps, as `nft` writes them and as netlink wants them.

use std::{fmt, time::Duration};

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_netfilter::nftables::{DataAttribute, ListAttribute, SetElementAttribute, SetElementFlags};

use super::{
    field::Encoded,
    set::{Declaration, Name},
};

/// `NFTA_DATA_VALUE`: raw data inside a key or a value.
const NFTA_DATA_VALUE: u16 = 1;

/// What tells elements of a set apart.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    key: Vec<u8>,
    end: Vec<u8>,
    value: Vec<u8>,
}

/// One element of a set or a map; made by the [`super::set::Set`] that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SetElement {
    pub(super) set: Name,
    /// The key; the first of an interval.
    pub(super) key: Encoded,
    /// The last key of an interval; none in sets without intervals.
    pub(super) last: Option<Encoded>,
    /// What a map's key leads to; empty in sets.
    pub(super) value: Encoded,
    /// After what time it expires, if it does.
    pub(super) timeout: Option<Duration>,
}

impl fmt::Display for SetElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last.as_ref().unwrap_or(&self.key);
        for (index, (first, last)) in self.key.texts.iter().zip(&last.texts).enumerate() {
            f.write_str(if index == 0 { "" } else { " . " })?;
            f.write_str(first)?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        if let Some(timeout) = self.timeout {
            let milliseconds = milliseconds(timeout);
            // `nft` takes no number of more than 8 digits before `ms`.
            write!(f, " timeout {}s{}ms", milliseconds / 1000, milliseconds % 1000)?;
        }
        for (index, field) in self.value.texts.iter().enumerate() {
            write!(f, "{}{field}", if index == 0 { " : " } else { " . " })?;
        }
        Ok(())
    }
}

impl SetElement {
    /// The netlink attributes of the element: one list entry, or two for an interval of a key that isn't concatenated,
    /// which the kernel keeps as a start and an exclusive end.
    pub(super) fn attributes(&self) -> Vec<ListAttribute<SetElementAttribute>> {
        let mut element = vec![SetElementAttribute::Key(DataAttribute::Value(self.key.bytes.clone()))];
        if !self.value.bytes.is_empty() {
            element.push(SetElementAttribute::Data(DataAttribute::Value(self.value.bytes.clone())));
        }
        element.extend(self.timeout.map(|timeout| SetElementAttribute::Timeout(milliseconds(timeout))));
        match &self.last {
            None => vec![ListAttribute::Element(element)],
            Some(last) if self.key.texts.len() > 1 => {
                let last = DefaultNla::new(NFTA_DATA_VALUE, last.bytes.clone());
                element.push(SetElementAttribute::KeyEnd(vec![last]));
                vec![ListAttribute::Element(element)]
            }
            Some(last) => {
                let mut list = vec![ListAttribute::Element(element)];
                if let Some(end) = successor(last.bytes.clone()) {
                    list.push(ListAttribute::Element(vec![
                        SetElementAttribute::Key(DataAttribute::Value(end)),
                        SetElementAttribute::Flags(SetElementFlags::IntervalEnd),
                    ]));
                }
                list
            }
        }
    }

    /// What the kernel knows an element by: its key, the end of an interval, and what it leads to.
    pub(super) fn shape(attributes: &[SetElementAttribute]) -> Shape {
        let mut shape = Shape::default();
        for attribute in attributes {
            match attribute {
                SetElementAttribute::Key(DataAttribute::Value(bytes)) => shape.key.clone_from(bytes),
                SetElementAttribute::KeyEnd(values) => {
                    for value in values {
                        shape.end = vec![0; value.value_len()];
                        value.emit_value(&mut shape.end);
                    }
                }
                SetElementAttribute::Data(DataAttribute::Value(bytes)) => shape.value.clone_from(bytes),
                _ => {}
            }
        }
        shape
    }

    /// Its own.
    pub(super) fn own_shape(&self) -> Shape {
        match self.attributes().first() {
            Some(ListAttribute::Element(attributes)) => Self::shape(attributes),
            _ => Shape::default(),
        }
    }

    /// An element of a set as the kernel tells of it, with the time that it has left as its timeout; none if it doesn't
    /// expire, or the set has another shape there.
    pub(super) fn restore(set: &Declaration, attributes: &[SetElementAttribute]) -> Option<Self> {
        let (mut key, mut value, mut left): (&[u8], &[u8], _) = (&[], &[], None);
        for attribute in attributes {
            match attribute {
                SetElementAttribute::Key(DataAttribute::Value(bytes)) => key = bytes,
                SetElementAttribute::Data(DataAttribute::Value(bytes)) => value = bytes,
                SetElementAttribute::Expiration(milliseconds) => left = Some(Duration::from_millis(*milliseconds)),
                _ => {}
            }
        }
        set.restore(key, value, left?)
    }
}

/// At least one: with none it would never expire.
fn milliseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The number after this one, in network order; none after the last.
fn successor(mut number: Vec<u8>) -> Option<Vec<u8>> {
    for digit in number.iter_mut().rev() {
        *digit = digit.wrapping_add(1);
        if *digit != 0 {
            return Some(number);
        }
    }
    None
}
