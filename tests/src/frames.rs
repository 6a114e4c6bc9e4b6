//! Frames as they lie on the wire, sent and heard on one link of a namespace: what an attacker with CAP_NET_RAW has.

use std::{
    fs::File,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns},
    sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
        sockopt::ReceiveTimeout,
    },
    sys::time::{TimeVal, TimeValLike},
    unistd::Pid,
};

use crate::Host;

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody on the link.
pub const BROADCAST: Mac = [0xff; 6];

/// For experiments on the local network (IEEE 802, local experimental ethertype 1).
pub const EXPERIMENTAL: u16 = 0x88b5;

/// A packet socket on one link (packet(7)). What it hears are whole frames, those sent by others on its host as well.
#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
    mac: Mac,
}

impl Tap {
    /// On a link of a host.
    pub fn on_host(host: &Host, link: &str) -> Self {
        Self::open(PathBuf::from(format!("/proc/{}/ns/net", host.pid())), link)
    }

    /// On a link of a container.
    pub fn in_container(host: &Host, container: &str, link: &str) -> Self {
        let inside = host.docker(&["inspect", "-f", "{{.NetworkSettings.SandboxKey}}", container]).ok();
        // A link into the host's /proc, which isn't ours.
        let seen_from_here = |path: &str| format!("/proc/{}/root{path}", host.pid());
        let inside = std::fs::read_link(seen_from_here(&inside)).expect("a link to a namespace");
        Self::open(PathBuf::from(seen_from_here(&inside.to_string_lossy())), link)
    }

    fn open(namespace: PathBuf, link: &str) -> Self {
        let link = link.to_owned();
        // Of a thread that does nothing else: it stays in the namespace.
        let opened = std::thread::spawn(move || {
            setns(File::open(&namespace).expect("a namespace"), CloneFlags::CLONE_NEWNET).expect("entering it");
            let links = nix::ifaddrs::getifaddrs().expect("the links");
            let found = links.filter(|entry| entry.interface_name == link);
            let found: Option<LinkAddr> = found.filter_map(|entry| Some(*entry.address?.as_link_addr()?)).next();
            let address = found.unwrap_or_else(|| panic!("{} has no link {link}", namespace.display()));
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                .expect("root");
            bind(socket.as_raw_fd(), &address).expect("a link");
            setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(1)).expect("a deadline");
            Self { socket, mac: address.addr().expect("a MAC address") }
        });
        opened.join().expect("a packet socket")
    }

    /// The link's own MAC address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        assert_eq!(send(self.socket.as_raw_fd(), frame, MsgFlags::empty()), Ok(frame.len()), "sending a frame");
    }

    /// Sends frames, then a marker to everybody, and returns when the marker is heard there: the kernel is done with the
    /// frames by then, since all of them wait in the queue of one processor.
    pub fn send_and_wait(&self, frames: &[Vec<u8>], there: &Self) {
        let marker = marker(self.mac);
        on_one_processor(|| {
            frames.iter().for_each(|frame| self.send(frame));
            self.send(&marker);
        });
        there.hear(|frame| frame == marker);
    }

    /// Waits for a frame that is as wanted.
    ///
    /// # Panics
    /// When none comes within ten seconds.
    pub fn hear(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        self.hear_until(wanted, |_| false).unwrap_or_else(|| panic!("no such frame came"))
    }

    /// Waits for a frame that is as wanted; none if another one comes first that ends the wait.
    ///
    /// # Panics
    /// When neither comes within ten seconds.
    pub fn hear_until(&self, wanted: impl Fn(&[u8]) -> bool, last: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let begun = Instant::now();
        let mut buffer = vec![0; 65536];
        while begun.elapsed() < Duration::from_secs(10) {
            let Ok(length) = recv(self.socket.as_fd().as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
            let frame = &buffer[..length];
            if wanted(frame) {
                return Some(frame.to_vec());
            }
            if last(frame) {
                return None;
            }
        }
        panic!("nothing of what was waited for came")
    }
}

/// Runs something on the first processor that this thread may use: what it sends is handled there, in order.
fn on_one_processor(work: impl FnOnce()) {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this).expect("the processors");
    let first = (0..CpuSet::count()).find(|number| all.is_set(*number).unwrap_or(false)).expect("a processor");
    let mut one = CpuSet::new();
    one.set(first).expect("a processor");
    sched_setaffinity(this, &one).expect("one of our own");
    work();
    sched_setaffinity(this, &all).expect("as before");
}

/// A frame that no protocol stack answers, by which a sender is known.
pub fn marker(from: Mac) -> Vec<u8> {
    ethernet(BROADCAST, from, EXPERIMENTAL, b"all before this has come")
}

/// An Ethernet frame.
pub fn ethernet(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ethertype.to_be_bytes(), payload].concat()
}

/// An ARP answer (RFC 826): "this address is mine", to one or to everybody.
pub fn arp_answer(to: (Mac, Ipv4Addr), claimed: Ipv4Addr, from: Mac) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 2];
    let payload = [&fixed[..], &from, &claimed.octets(), &to.0, &to.1.octets()].concat();
    ethernet(to.0, from, 0x0806, &payload)
}

/// A UDP datagram over IPv4 without a UDP checksum (RFC 768 lets it be 0).
pub fn udp(macs: (Mac, Mac), from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), text: &[u8]) -> Vec<u8> {
    let length = |more: usize| u16::try_from(text.len() + more).expect("a short text").to_be_bytes();
    let (source, destination) = (from.0.octets(), to.0.octets());
    let mut header = [&[0x45, 0][..], &length(28), &[0, 1, 0, 0, 64, 17, 0, 0], &source, &destination].concat();
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    let datagram = [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &length(8), &[0, 0], text].concat();
    ethernet(macs.0, macs.1, 0x0800, &[header, datagram].concat())
}

/// A router advertisement (RFC 4861 section 4.2) from fe80::bad to all nodes: a default route through the sender, and
/// 2001:db8:bad::/64 to take an address from.
pub fn router_advertisement(to: Mac, from: Mac) -> Vec<u8> {
    let source: Ipv6Addr = "fe80::bad".parse().expect("an address");
    let everybody: Ipv6Addr = "ff02::1".parse().expect("an address");
    let prefix: Ipv6Addr = "2001:db8:bad::".parse().expect("an address");
    // Type, code, checksum; hop limit 64, no flags, lifetime 1800 s, timers that say nothing.
    let mut message = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    // Prefix information: of 64 bits, on the link and to take addresses from, valid for an hour.
    message.extend([3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0]);
    message.extend(prefix.octets());
    let length = u8::try_from(message.len()).expect("a short message");
    let pseudo = [&source.octets()[..], &everybody.octets(), &[0, 0, 0, length, 0, 0, 0, 58], &message].concat();
    let sum = checksum(&pseudo);
    message[2..4].copy_from_slice(&sum);
    let header = [&[0x60, 0, 0, 0, 0, length, 58, 255][..], &source.octets(), &everybody.octets()].concat();
    ethernet(to, from, 0x86dd, &[header, message].concat())
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).expect("folded")).to_be_bytes()
}
