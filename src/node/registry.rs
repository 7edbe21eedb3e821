//! The connected clients, the statements that they run, and how to stop those.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::telemetry;
use crate::types::Protocol;

/// Who assigned the id (the upstream of this protocol; None: Flashgate), and the id.
type Key = (Option<Protocol>, u32);

/// All sessions of the process.
#[derive(Debug)]
pub struct Registry {
    next: AtomicU32,
    sessions: DashMap<Key, Arc<Handle>>,
    /// Clients in front of an upstream, by protocol and the upstream's id.
    relayed: DashMap<(Protocol, u32), Arc<Client>>,
}

#[derive(Debug)]
struct Client {
    user: String,
    peer: String,
    since: Instant,
}

/// One line of SHOW FLASHGATE SESSIONS.
#[derive(Debug, Clone)]
pub struct Connected {
    pub id: u32,
    pub protocol: Protocol,
    /// It is connected to an upstream.
    pub relayed: bool,
    pub user: String,
    pub peer: String,
    /// Seconds since it connected.
    pub seconds: u64,
    /// The local statement that it is running, if any.
    pub running: Option<String>,
}

/// A client of an upstream; it is listed until this is dropped.
#[derive(Debug)]
pub struct Listed {
    registry: Arc<Registry>,
    key: (Protocol, u32),
    client: Arc<Client>,
    _counted: telemetry::Session,
}

impl Listed {
    /// The id that the upstream assigned.
    pub fn id(&self) -> u32 {
        self.key.1
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // The upstream may have assigned the id to another client by now.
        self.registry.relayed.remove_if(&self.key, |_, known| Arc::ptr_eq(known, &self.client));
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry { next: AtomicU32::new(1), sessions: DashMap::new(), relayed: DashMap::new() }
    }
}

/// What other sessions see of a session, and how they stop it.
#[derive(Debug)]
pub struct Handle {
    /// The connection's id.
    pub id: u32,
    /// The upstream assigned the id.
    pub foreign: bool,
    /// The secret key that CancelRequest must carry.
    pub secret: u32,
    /// The user.
    pub user: String,
    /// Client address.
    pub peer: String,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// Fires when the connection is to end.
    pub closing: CancellationToken,
    /// When it connected.
    pub since: Instant,
    state: Mutex<State>,
    /// None: a relayed session is counted with its connection.
    _counted: Option<telemetry::Session>,
}

/// One running statement; stopping it never stops a later one of the same connection.
#[derive(Debug)]
pub struct RunningStatement {
    handle: Arc<Handle>,
    statement: CancellationToken,
}

impl RunningStatement {
    /// Stops it, or ends its connection.
    pub fn stop(&self, query_only: bool) {
        if query_only { self.statement.cancel() } else { self.handle.closing.cancel() }
    }
}

#[derive(Debug)]
struct State {
    database: Option<String>,
    /// The running statement: its verb, without text, since a text may hold secrets.
    running: Option<(String, Instant)>,
    cancel: CancellationToken,
    idle_since: Instant,
}

/// One line of SHOW PROCESSLIST.
#[derive(Debug, Clone)]
pub struct Process {
    pub id: u32,
    pub user: String,
    pub peer: String,
    pub protocol: Protocol,
    pub database: Option<String>,
    /// The running statement; None: idle.
    pub running: Option<String>,
    /// Seconds since it entered this state.
    pub seconds: u64,
}

impl Handle {
    /// A statement begins; gives the token that cancels it.
    pub fn begin(&self, what: &str) -> CancellationToken {
        let mut state = self.state.lock();
        state.cancel = self.closing.child_token();
        state.running = Some((what.to_owned(), Instant::now()));
        state.cancel.clone()
    }

    /// The statement has ended. If its rows still stream, its token still cancels it.
    pub fn end(&self) {
        let mut state = self.state.lock();
        state.running = None;
        state.idle_since = Instant::now();
    }

    /// The session's database changed.
    pub fn set_database(&self, database: Option<&str>) {
        self.state.lock().database = database.map(str::to_owned);
    }

    fn key(&self) -> Key {
        (self.foreign.then_some(self.protocol), self.id)
    }

    fn cancel(&self) {
        self.state.lock().cancel.cancel();
    }

    /// The verb of the running statement.
    fn running(&self) -> Option<String> {
        self.state.lock().running.as_ref().map(|(what, _)| what.clone())
    }
}

impl Registry {
    /// An id that no connection of this process has had before.
    pub fn next_id(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a session under `id` (a fresh one without).
    pub fn add(&self, id: Option<u32>, user: &str, peer: &str, protocol: Protocol) -> Arc<Handle> {
        self.insert(id.unwrap_or_else(|| self.next_id()), false, user, peer, protocol)
    }

    /// Adds a session under the id that the upstream assigned to its client.
    pub fn add_foreign(&self, id: u32, user: &str, peer: &str, protocol: Protocol) -> Arc<Handle> {
        self.insert(id, true, user, peer, protocol)
    }

    fn insert(&self, id: u32, foreign: bool, user: &str, peer: &str, protocol: Protocol) -> Arc<Handle> {
        let handle = Arc::new(Handle {
            id,
            foreign,
            secret: rand::random(),
            user: user.to_owned(),
            peer: peer.to_owned(),
            protocol,
            closing: CancellationToken::new(),
            since: Instant::now(),
            _counted: (!foreign).then(|| telemetry::Session::new(protocol.label(), "local")),
            state: Mutex::new(State { database: None, running: None, cancel: CancellationToken::new(), idle_since: Instant::now() }),
        });
        self.sessions.insert(handle.key(), Arc::clone(&handle));
        handle
    }

    /// Removes a session. Another session may have its id by now: several upstreams behind one address assign ids independently.
    pub fn remove(&self, handle: &Handle) {
        self.sessions.remove_if(&handle.key(), |_, known| std::ptr::eq(&**known, handle));
    }

    /// `KILL [QUERY] id`: anyone may stop their own connections, root all of them.
    pub fn kill(&self, by_user: &str, id: u32, query_only: bool) -> Result<()> {
        let Some(handle) = self.session((None, id)) else {
            return Err(Error::new(Kind::UnknownThread, format!("Unknown thread id: {id}")));
        };
        if handle.user != by_user && by_user != "root" {
            return Err(Error::new(Kind::Denied, format!("You are not owner of thread {id}")));
        }
        if query_only {
            handle.cancel()
        } else {
            handle.closing.cancel()
        }
        Ok(())
    }

    /// The local statement that connection `id` of the MySQL upstream is running, if any. The upstream decides who may stop it.
    pub fn running_foreign(&self, id: u32) -> Option<RunningStatement> {
        let handle = self.session((Some(Protocol::MySql), id))?;
        let statement = {
            let state = handle.state.lock();
            state.running.is_some().then(|| state.cancel.clone())?
        };
        Some(RunningStatement { handle, statement })
    }

    /// CancelRequest: stops the running statement when the secret fits; says nothing either way.
    pub fn cancel(&self, id: u32, secret: u32) {
        for upstream in [None, Some(Protocol::Postgres)] {
            if let Some(handle) = self.session((upstream, id)).filter(|handle| handle.secret == secret) {
                handle.cancel();
            }
        }
    }

    /// Lists a client that has logged in to the upstream.
    pub fn list_relayed(self: &Arc<Self>, protocol: Protocol, id: u32, user: &str, peer: &str) -> Listed {
        let client = Arc::new(Client { user: user.to_owned(), peer: peer.to_owned(), since: Instant::now() });
        self.relayed.insert((protocol, id), Arc::clone(&client));
        let _counted = telemetry::Session::new(protocol.label(), "upstream");
        Listed { registry: Arc::clone(self), key: (protocol, id), client, _counted }
    }

    /// All clients: those of local sessions, and those in front of an upstream, by id.
    pub fn clients(&self) -> Vec<Connected> {
        let local = self.sorted().into_iter().filter(|handle| !handle.foreign).map(|handle| Connected {
            id: handle.id,
            protocol: handle.protocol,
            relayed: false,
            user: handle.user.clone(),
            peer: handle.peer.clone(),
            seconds: handle.since.elapsed().as_secs(),
            running: handle.running(),
        });
        let mut relayed: Vec<_> = self.relayed.iter().map(|entry| (*entry.key(), Arc::clone(&entry))).collect();
        relayed.sort_by_key(|(key, _)| *key);
        let relayed = relayed.into_iter().map(|((protocol, id), client)| Connected {
            id,
            protocol,
            relayed: true,
            user: client.user.clone(),
            peer: client.peer.clone(),
            seconds: client.since.elapsed().as_secs(),
            running: self.session((Some(protocol), id)).and_then(|handle| handle.running()),
        });
        local.chain(relayed).collect()
    }

    /// All sessions, by id.
    pub fn list(&self) -> Vec<Process> {
        let process = |handle: Arc<Handle>| {
            let state = handle.state.lock();
            let (running, since) = match &state.running {
                Some((what, since)) => (Some(what.clone()), *since),
                None => (None, state.idle_since),
            };
            Process {
                id: handle.id,
                user: handle.user.clone(),
                peer: handle.peer.clone(),
                protocol: handle.protocol,
                database: state.database.clone(),
                running,
                seconds: since.elapsed().as_secs(),
            }
        };
        self.sorted().into_iter().map(process).collect()
    }

    /// No entry of the map stays locked, so that a caller may look at other entries.
    fn session(&self, key: Key) -> Option<Arc<Handle>> {
        self.sessions.get(&key).map(|handle| Arc::clone(&handle))
    }

    fn sorted(&self) -> Vec<Arc<Handle>> {
        let mut handles: Vec<Arc<Handle>> = self.sessions.iter().map(|entry| Arc::clone(&entry)).collect();
        handles.sort_by_key(|handle| handle.key());
        handles
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_or_root_kills_and_only_the_secret_cancels() {
        let registry = Registry::default();
        let handle = registry.add(None, "ann", "x", Protocol::MySql);
        let token = handle.begin("SELECT");
        assert_eq!(registry.kill("bob", handle.id, true).unwrap_err().kind(), Kind::Denied);
        registry.cancel(handle.id, handle.secret.wrapping_add(1));
        assert!(!token.is_cancelled());
        registry.cancel(handle.id, handle.secret);
        assert!(token.is_cancelled() && !handle.closing.is_cancelled());
        assert_eq!(registry.kill("root", 4_000_000, false).unwrap_err().kind(), Kind::UnknownThread);
        registry.kill("root", handle.id, false).unwrap();
        assert!(handle.closing.is_cancelled());
    }

    #[test]
    fn what_is_stopped_is_the_statement_that_ran_and_not_the_next() {
        let registry = Registry::default();
        let handle = registry.add_foreign(7, "ann", "x", Protocol::MySql);
        assert!(registry.running_foreign(7).is_none() && registry.running_foreign(8).is_none());
        let first = handle.begin("SELECT");
        let running = registry.running_foreign(7).unwrap();
        let next = handle.begin("SELECT");
        running.stop(true);
        assert!(first.is_cancelled() && !next.is_cancelled() && !handle.closing.is_cancelled());
        running.stop(false);
        assert!(next.is_cancelled() && handle.closing.is_cancelled());
    }
}
