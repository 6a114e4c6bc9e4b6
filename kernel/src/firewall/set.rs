//! A set or map of the table as one value.
//!
//! A [`Set`] is a name and two types: what its keys are and, for a map, what they lead to. Everything else follows from
//! these: its declaration in the skeleton, the flag `interval` if keys are a [`RangeInclusive`] and `timeout` if they are
//! [`Expiring`], and its elements, which only the set itself makes from a key and a value of its types. So no key of
//! another shape, family or order of fields can get into a set. An element knows its text for `nft` and its attributes
//! for netlink (`element.rs`), both from what each type of field says of itself (`field.rs`). The sets of our table are
//! in `sets.rs`. What expires is the kernel's to keep: loading the table in place leaves such sets as they are, and only
//! a table that is made anew is given what was read from the old one, with the time that was left.

use std::{fmt, marker::PhantomData, ops::RangeInclusive, time::Duration};

use super::{
    element::SetElement,
    field::{Encoded, Fields},
};

/// A set, or with `V` a map, of which nothing is known but its types.
#[derive(Debug)]
pub(super) struct Set<K, V = ()> {
    pub(super) declaration: Declaration,
    types: PhantomData<fn(K) -> V>,
}

/// What is the same of sets of all types.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declaration {
    pub(super) name: Name,
    key: &'static [&'static str],
    value: &'static [&'static str],
    interval: bool,
    /// Whether its elements expire.
    pub(super) timeout: bool,
    restore: fn(Name, &[u8], &[u8], Duration) -> Option<SetElement>,
}

/// A set's name: one for all sets of its kind, and what tells those of the families apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(&'static str, &'static str);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(stem, suffix) = self;
        write!(f, "{stem}{suffix}")
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        other.strip_suffix(self.1) == Some(self.0)
    }
}

/// What the keys of a set are.
pub(super) trait Key: Sized {
    /// Of which they are made.
    type Fields: Fields;

    /// Whether elements are intervals.
    const INTERVAL: bool = false;

    /// Makes a key again from its fields and the time that it has left, if it expires.
    const RESTORE: Option<fn(Self::Fields, Duration) -> Self> = None;

    /// The key; the last one if it is an interval; its timeout if it expires.
    fn parts(self) -> (Encoded, Option<Encoded>, Option<Duration>);
}

impl<F: Fields> Key for F {
    type Fields = F;

    fn parts(self) -> (Encoded, Option<Encoded>, Option<Duration>) {
        (self.encode(), None, None)
    }
}

impl<F: Fields> Key for RangeInclusive<F> {
    type Fields = F;

    const INTERVAL: bool = true;

    fn parts(self) -> (Encoded, Option<Encoded>, Option<Duration>) {
        (self.start().encode(), Some(self.end().encode()), None)
    }
}

/// A key that the kernel takes out of its set after a time.
#[cfg_attr(not(test), expect(dead_code, reason = "no set of the table is of such keys yet: addresses by name will be"))]
#[derive(Debug)]
pub(super) struct Expiring<F> {
    pub(super) key: F,
    pub(super) timeout: Duration,
}

impl<F: Fields> Key for Expiring<F> {
    type Fields = F;

    const RESTORE: Option<fn(F, Duration) -> Self> = Some(|key, timeout| Self { key, timeout });

    fn parts(self) -> (Encoded, Option<Encoded>, Option<Duration>) {
        (self.key.encode(), None, Some(self.timeout))
    }
}

impl<K: Key, V: Fields> Set<K, V> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self::of_family(name, "")
    }

    /// One of two sets, one for each family of addresses.
    pub(super) const fn of_family(stem: &'static str, suffix: &'static str) -> Self {
        let declaration = Declaration {
            name: Name(stem, suffix),
            key: K::Fields::TYPES,
            value: V::TYPES,
            interval: K::INTERVAL,
            timeout: K::RESTORE.is_some(),
            restore: Self::restore,
        };
        Self { declaration, types: PhantomData }
    }

    /// What a key leads to in a map.
    pub(super) fn entry(&self, key: K, value: V) -> SetElement {
        Self::element(self.declaration.name, key, &value)
    }

    fn element(set: Name, key: K, value: &V) -> SetElement {
        let (key, last, timeout) = key.parts();
        SetElement { set, key, last, value: value.encode(), timeout }
    }

    fn restore(name: Name, key: &[u8], value: &[u8], left: Duration) -> Option<SetElement> {
        let key = K::RESTORE?(K::Fields::decode(key)?, left);
        Some(Self::element(name, key, &V::decode(value)?))
    }
}

impl<K: Key> Set<K> {
    pub(super) fn member(&self, key: K) -> SetElement {
        self.entry(key, ())
    }
}

impl Declaration {
    /// What it is called where it is named.
    pub(super) const fn kind(&self) -> &'static str {
        if self.value.is_empty() { "set" } else { "map" }
    }

    /// An element that the kernel told of; none if they don't expire, or the set has another shape there.
    pub(super) fn restore(&self, key: &[u8], value: &[u8], left: Duration) -> Option<SetElement> {
        (self.restore)(self.name, key, value, left)
    }
}

/// As it stands in the table's text.
impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {{ type {}", self.kind(), self.name, self.key.join(" . "))?;
        if !self.value.is_empty() {
            write!(f, " : {}", self.value.join(" . "))?;
        }
        for (flag, is_set) in [("interval", self.interval), ("timeout", self.timeout)] {
            if is_set {
                write!(f, "; flags {flag}")?;
            }
        }
        f.write_str("; }")
    }
}
