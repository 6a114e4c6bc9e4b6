//! Who connects to a socket whose daemon stays away, until they are told so.

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::net::{SendFlags, SocketFlags, accept_with};

use super::kept::Kept;

/// How long a client may take to say what it wants before it is told that nobody is there.
const SPEAKS_WITHIN: Duration = Duration::from_secs(1);
/// More clients at one time are not accepted: they wait in the socket's queue.
const MOST: usize = 64;

#[derive(Default)]
pub(super) struct PendingClients(VecDeque<PendingClient>);

struct PendingClient {
    connection: OwnedFd,
    farewell: String,
    until: Instant,
}

impl PendingClients {
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// In the order in which [`PendingClients::dismiss`] wants to know of them.
    pub(super) fn connections(&self) -> impl ExactSizeIterator<Item = &OwnedFd> {
        self.0.iter().map(|client| &client.connection)
    }

    /// When the next is told at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|client| client.until).min()
    }

    pub(super) fn accept(&mut self, kept: &Kept) {
        // Its daemon, if it came back this moment, may have been faster.
        if let Ok(connection) = accept_with(&kept.descriptor, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            let until = Instant::now() + SPEAKS_WITHIN;
            self.0.push_back(PendingClient { connection, farewell: kept.farewell.clone(), until });
        }
    }

    /// Says the farewell to clients that have spoken, or won't: who is told while it still talks may not listen.
    pub(super) fn dismiss(&mut self, spoke: &[bool]) {
        let now = Instant::now();
        let mut spoke = spoke.iter();
        self.0.retain(|client| {
            let stays = spoke.next() == Some(&false) && now < client.until;
            if !stays {
                let mut heard = [0; 16384];
                let _ = rustix::io::read(&client.connection, &mut heard);
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                let _ = rustix::net::send(&client.connection, client.farewell.as_bytes(), flags);
            }
            stays
        });
    }
}
