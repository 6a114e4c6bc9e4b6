//! The client of netd's API: the engine, the command line and the CNI plugin ask for networking through it.
//!
//! A [`Client`] is cheap to make and to clone; clones share their connections. Nothing is opened before the first
//! request. Requests and replies are the types of [`cnm::api`].
//!
//! Every call has a deadline, and is given up earlier when netd doesn't answer at all: [`Error::is_given_up`].
#![forbid(unsafe_code)]

mod deadline;
mod error;
mod events;
pub mod keeper;
mod trace;
mod transport;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cnm::api::{
    API_VERSION, Claim, ClaimReply, Endpoint, EndpointRequest, FoundNamespace, Handshake, Info, Network, NetworkCreate,
    NetworkQuery, Owed, PruneRequest, Pruned, Sandbox, SandboxCheck, SandboxPut,
};
use hyper::Method;

use crate::{
    deadline::Deadline,
    transport::{HANDSHAKE, Transport, segment},
};
pub use cnm::api::TRACE_HEADER;

pub use crate::{error::Error, events::EventStream, trace::TraceId};

/// A client of the netd behind one Unix socket.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    trace: Option<TraceId>,
    owner: Option<Arc<str>>,
}

impl Client {
    /// A client of the netd that listens at `socket`. Connects with the first request, not here.
    pub fn connect(socket: impl Into<PathBuf>) -> Self {
        Self { transport: Transport::new(socket.into()), trace: None, owner: None }
    }

    /// The same client with every request carrying a trace id, which netd puts into its log lines.
    #[must_use]
    pub fn with_trace(&self, trace: TraceId) -> Self {
        Self { trace: Some(trace), ..self.clone() }
    }

    /// The same client in the name of an owner of sandboxes: netd lets it change these, and no others.
    #[must_use]
    pub fn of_owner(&self, owner: &str) -> Self {
        Self { owner: Some(owner.into()), ..self.clone() }
    }

    /// The path of netd's socket.
    pub fn socket(&self) -> &Path {
        self.transport.socket()
    }

    /// Who is there. An instance that differs from the last one seen means that netd was started anew: its owner
    /// should [`claim`](Self::claim) its sandboxes.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] when netd speaks another version of the API; and as for every request.
    pub async fn handshake(&self) -> Result<Handshake, Error> {
        let handshake: Handshake = self.get(HANDSHAKE).await?;
        if handshake.api == API_VERSION {
            Ok(handshake)
        } else {
            Err(Error::UnknownVersion { theirs: handshake.api, ours: API_VERSION })
        }
    }

    /// Counts, drivers and what an administrator should know.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn info(&self) -> Result<Info, Error> {
        self.get("/v1/info").await
    }

    /// What other programs were asked for and is to be given back to them; empty when all is as it should be.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn owed(&self) -> Result<Vec<Owed>, Error> {
        self.get("/v1/owed").await
    }

    /// All networks, in the order of their names.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn networks(&self, query: &NetworkQuery) -> Result<Vec<Network>, Error> {
        self.get(if query.endpoints { "/v1/networks?endpoints=true" } else { "/v1/networks" }).await
    }

    /// One network with its endpoints, by id, name or unique prefix of its id.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is none; and as for every request.
    pub async fn network(&self, reference: &str) -> Result<Network, Error> {
        self.get(&format!("/v1/networks/{}", segment(reference))).await
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`Error::Refused`] when the request is wrong or its name or addresses are taken; and as for every request.
    pub async fn create_network(&self, request: &NetworkCreate) -> Result<Network, Error> {
        self.send(Method::POST, "/v1/networks", request, Deadline::Change).await
    }

    /// Removes a network, by id, name or unique prefix of its id.
    ///
    /// # Errors
    /// [`Error::Refused`] with `Forbidden` when it is predefined or somebody is on it; and as for every request.
    pub async fn remove_network(&self, reference: &str) -> Result<(), Error> {
        self.delete(&format!("/v1/networks/{}", segment(reference))).await
    }

    /// Removes the networks that nobody is on.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn prune(&self, request: &PruneRequest) -> Result<Pruned, Error> {
        self.send(Method::POST, "/v1/networks/prune", request, Deadline::Many).await
    }

    /// Makes a sandbox with all its endpoints and published ports, has the owner's one of that id become that, or answers with it
    /// as it is.
    ///
    /// # Errors
    /// [`Error::Refused`] with `Conflict` when an address or a port is taken, with `Forbidden` when the id is another owner's; and
    /// as for every request.
    pub async fn put_sandbox(&self, id: &str, request: &SandboxPut) -> Result<Sandbox, Error> {
        let path = format!("/v1/sandboxes/{}", segment(id));
        self.send(Method::PUT, &path, request, Deadline::Change).await
    }

    /// One sandbox.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is none; and as for every request.
    pub async fn sandbox(&self, id: &str) -> Result<Sandbox, Error> {
        self.get(&format!("/v1/sandboxes/{}", segment(id))).await
    }

    /// One sandbox against what the kernel holds.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is none; and as for every request.
    pub async fn check_sandbox(&self, id: &str) -> Result<SandboxCheck, Error> {
        self.get(&format!("/v1/sandboxes/{}/check", segment(id))).await
    }

    /// All sandboxes, in the order of their ids.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn sandboxes(&self) -> Result<Vec<Sandbox>, Error> {
        self.get("/v1/sandboxes").await
    }

    /// Takes a sandbox of [this client's owner](Self::of_owner) down and releases its addresses and ports.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is none, with `Forbidden` when it is somebody else's; and as for every
    /// request.
    pub async fn remove_sandbox(&self, id: &str) -> Result<(), Error> {
        self.delete(&self.owned(format!("/v1/sandboxes/{}", segment(id)))).await
    }

    /// Attaches a sandbox of [this client's owner](Self::of_owner) to one more network.
    ///
    /// # Errors
    /// [`Error::Refused`] when the sandbox is on that network already or is somebody else's, or its address is taken; and as
    /// for every request.
    pub async fn connect_endpoint(&self, sandbox: &str, request: &EndpointRequest) -> Result<Endpoint, Error> {
        let path = self.owned(format!("/v1/sandboxes/{}/endpoints", segment(sandbox)));
        self.send(Method::POST, &path, request, Deadline::Change).await
    }

    /// Detaches a sandbox of [this client's owner](Self::of_owner) from a network, by the endpoint's id.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such endpoint, with `Forbidden` when it is somebody else's; and as
    /// for every request.
    pub async fn disconnect_endpoint(&self, sandbox: &str, endpoint: &str) -> Result<(), Error> {
        let path = format!("/v1/sandboxes/{}/endpoints/{}", segment(sandbox), segment(endpoint));
        self.delete(&self.owned(path)).await
    }

    /// Says which sandboxes `owner` still wants; netd takes its others down and names those that it doesn't have.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn claim(&self, owner: &str, claim: &Claim) -> Result<ClaimReply, Error> {
        let path = format!("/v1/owners/{}/claim", segment(owner));
        self.send(Method::POST, &path, claim, Deadline::Many).await
    }

    /// Says where the network namespace of a sandbox of [this client's owner](Self::of_owner) is, which nobody keeps any more.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is kept, or the path leads to none or to the host's; and as for every request.
    pub async fn adopt_namespace(&self, sandbox: &str, found: &FoundNamespace) -> Result<Sandbox, Error> {
        let path = self.owned(format!("/v1/sandboxes/{}/namespace", segment(sandbox)));
        self.send(Method::PUT, &path, found, Deadline::Change).await
    }

    /// What happens, from the event after revision `since` on, or from now on. A `Gap` event says that older ones are
    /// no longer kept. The stream ends with an error when netd goes away.
    ///
    /// # Errors
    /// Any [`Error`], as for every request.
    pub async fn events(&self, since: Option<u64>) -> Result<EventStream, Error> {
        let path = since.map_or_else(|| "/v1/events".to_owned(), |since| format!("/v1/events?since={since}"));
        let body = self.transport.open(Method::GET, &path, self.trace.as_ref()).await?;
        Ok(EventStream::new(body))
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.transport.fetch(Method::GET, path, self.trace.as_ref()).await
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        self.transport.discard(Method::DELETE, path, self.trace.as_ref(), Deadline::Change).await
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
        deadline: Deadline,
    ) -> Result<T, Error> {
        self.transport.send_json(method, path, self.trace.as_ref(), body, deadline).await
    }

    /// The path of a call that changes a sandbox, saying for whom.
    fn owned(&self, path: String) -> String {
        match &self.owner {
            Some(owner) => format!("{path}?owner={}", segment(owner)),
            None => path,
        }
    }
}
