//! Blocking netlink sockets: many requests in one datagram, then all the answers.

use std::{collections::BTreeMap, fmt::Debug, io, marker::PhantomData};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};

/// The kernel fills datagrams of a dump up to 32 KiB (`NLMSG_GOODSIZE` grows to what the reader offered).
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// Answers wait in the socket's receive buffer until all requests are handled: the default buffer (208 KiB) holds about
/// 270 acknowledgements, each charged with its whole buffer in the kernel.
const REQUESTS_AT_ONCE: usize = 64;

/// One request: a message and its flags besides `NLM_F_REQUEST` and `NLM_F_ACK`.
#[derive(Debug, Clone)]
pub(crate) struct Request<M> {
    pub(crate) message: M,
    pub(crate) flags: u16,
}

/// The answer to one request: the messages that came before its acknowledgement, or the kernel's refusal.
pub(crate) type Answer<M> = Result<Vec<M>, io::Error>;

/// A netlink socket of one protocol. It stays in the network namespace in which it was opened, whoever uses it.
#[derive(Debug)]
pub(crate) struct Socket<M> {
    inner: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
    message: PhantomData<M>,
}

impl<M: NetlinkSerializable + NetlinkDeserializable + Debug> Socket<M> {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        inner.bind_auto()?;
        // Refusals then don't repeat the request.
        inner.set_cap_ack(true)?;
        Ok(Self { inner, sequence: 0, buffer: Vec::with_capacity(RECEIVE_BUFFER_BYTES), message: PhantomData })
    }

    /// Sends all requests and waits for all answers. The kernel handles each request, whatever becomes of those before.
    ///
    /// # Errors
    /// When the socket fails; refusals of requests are in the answers.
    pub(crate) fn exchange(&mut self, requests: Vec<Request<M>>) -> io::Result<Vec<Answer<M>>> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let first = self.sequence;
            let batch = requests.by_ref().take(REQUESTS_AT_ONCE);
            let mut datagram = Vec::new();
            for Request { message, flags } in batch {
                append(&mut datagram, message, flags | NLM_F_REQUEST | NLM_F_ACK, self.sequence);
                self.sequence = self.sequence.wrapping_add(1);
            }
            self.inner.send(&datagram, 0)?;
            answers.extend(self.collect(first, self.sequence.wrapping_sub(first))?);
        }
        Ok(answers)
    }

    /// Asks for all objects of a kind; asks again when the kernel's list changed meanwhile.
    ///
    /// # Errors
    /// When the socket fails or the kernel refuses.
    pub(crate) fn dump(&mut self, message: impl Fn() -> M) -> io::Result<Vec<M>> {
        loop {
            let sequence = self.sequence;
            self.sequence = self.sequence.wrapping_add(1);
            let mut datagram = Vec::new();
            append(&mut datagram, message(), NLM_F_REQUEST | NLM_F_DUMP, sequence);
            self.inner.send(&datagram, 0)?;
            if let Some(all) = self.collect_dump(sequence)? {
                return Ok(all);
            }
        }
    }

    /// Reads until `count` requests from sequence number `first` on are acknowledged or refused.
    fn collect(&mut self, first: u32, count: u32) -> io::Result<Vec<Answer<M>>> {
        let mut replies: BTreeMap<u32, Vec<M>> = BTreeMap::new();
        let mut answers: BTreeMap<u32, Answer<M>> = BTreeMap::new();
        while answers.len() < count as usize {
            for (header, payload) in self.receive()? {
                let request = header.sequence_number.wrapping_sub(first);
                match payload {
                    _ if request >= count => {}
                    NetlinkPayload::InnerMessage(message) => replies.entry(request).or_default().push(message),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        answers.insert(request, Err(error.to_io()));
                    }
                    NetlinkPayload::Error(_) => {
                        answers.insert(request, Ok(replies.remove(&request).unwrap_or_default()));
                    }
                    _ => {}
                }
            }
        }
        Ok(answers.into_values().collect())
    }

    /// Reads a dump to its end; none if it was inconsistent.
    fn collect_dump(&mut self, sequence: u32) -> io::Result<Option<Vec<M>>> {
        let mut all = Vec::new();
        let mut interrupted = false;
        loop {
            for (header, payload) in self.receive()? {
                if header.sequence_number != sequence {
                    continue;
                }
                interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
                match payload {
                    NetlinkPayload::InnerMessage(message) => all.push(message),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code));
                    }
                    NetlinkPayload::Done(_) => return Ok((!interrupted).then_some(all)),
                    _ => {}
                }
            }
        }
    }

    /// One datagram, as messages.
    fn receive(&mut self) -> io::Result<Vec<(NetlinkHeader, NetlinkPayload<M>)>> {
        self.buffer.clear();
        loop {
            match self.inner.recv(&mut self.buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        parse(&self.buffer)
    }
}

/// Appends a message to a datagram. Netlink messages are padded to 4 bytes (`NLMSG_ALIGNTO`).
pub(crate) fn append<M: NetlinkSerializable>(datagram: &mut Vec<u8>, message: M, flags: u16, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = datagram.len();
    datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut datagram[start..]);
}

/// Takes a datagram apart.
pub(crate) fn parse<M: NetlinkDeserializable>(datagram: &[u8]) -> io::Result<Vec<(NetlinkHeader, NetlinkPayload<M>)>> {
    let mut messages = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<M>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let length = (message.header.length as usize).next_multiple_of(4).min(rest.len());
        rest = &rest[length..];
        messages.push(message.into_parts());
    }
    Ok(messages)
}
