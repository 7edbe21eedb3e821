//! Who is connected, what they run, and how to stop it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::telemetry;
use crate::types::Protocol;

/// Whose id it is (an upstream's of this protocol, or our own), and the id.
type Key = (Option<Protocol>, u32);

/// All sessions of the process.
#[derive(Debug)]
pub struct Registry {
    next: AtomicU32,
    sessions: Mutex<BTreeMap<Key, Arc<Handle>>>,
    /// Clients in front of an upstream, by protocol and the upstream's id.
    relayed: Mutex<BTreeMap<(Protocol, u32), Arc<Client>>>,
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
    /// An upstream is behind it.
    pub relayed: bool,
    pub user: String,
    pub peer: String,
    /// Connected for so many seconds.
    pub seconds: u64,
    /// The statement of ours that it runs.
    pub running: Option<String>,
}

/// A client in front of an upstream; it is listed until this is dropped.
#[derive(Debug)]
pub struct Listed {
    registry: Arc<Registry>,
    key: (Protocol, u32),
    client: Arc<Client>,
    _counted: telemetry::Session,
}

impl Listed {
    /// The id that the upstream has given.
    pub fn id(&self) -> u32 {
        self.key.1
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut relayed = self.registry.relayed.lock();
        // An upstream may have given the id to another by now.
        if relayed.get(&self.key).is_some_and(|known| Arc::ptr_eq(known, &self.client)) {
            relayed.remove(&self.key);
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry { next: AtomicU32::new(1), sessions: Mutex::default(), relayed: Mutex::default() }
    }
}

/// What others may know of a session, and do to it.
#[derive(Debug)]
pub struct Handle {
    /// The connection's id.
    pub id: u32,
    /// The id is one that the upstream has given.
    pub foreign: bool,
    /// What CancelRequest must bring.
    pub secret: u32,
    /// The user.
    pub user: String,
    /// Client address.
    pub peer: String,
    /// Which wire.
    pub protocol: Protocol,
    /// Fires when the connection is to end.
    pub closing: CancellationToken,
    /// Since when it is connected.
    pub since: Instant,
    state: Mutex<State>,
    /// One that an upstream knows is counted with its connection.
    _counted: Option<telemetry::Session>,
}

/// A statement that is running, and no other one of its connection.
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
    /// In this state for so many seconds.
    pub seconds: u64,
}

impl Handle {
    /// A statement begins: what cancels it from now on.
    pub fn begin(&self, what: &str) -> CancellationToken {
        let mut state = self.state.lock();
        state.cancel = self.closing.child_token();
        state.running = Some((what.to_owned(), Instant::now()));
        state.cancel.clone()
    }

    /// The statement has ended (or streams on, then its token still cancels it).
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
}

impl Registry {
    /// An id that no connection of this process has had.
    pub fn next_id(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a session under `id` (a fresh one without).
    pub fn add(&self, id: Option<u32>, user: &str, peer: &str, protocol: Protocol) -> Arc<Handle> {
        self.insert(id.unwrap_or_else(|| self.next_id()), false, user, peer, protocol)
    }

    /// Adds a session under the id that the upstream has given to its client.
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
        self.sessions.lock().insert(handle.key(), Arc::clone(&handle));
        handle
    }

    /// Forgets a session. Several upstreams behind one address may have given its id away once more.
    pub fn remove(&self, handle: &Handle) {
        let mut sessions = self.sessions.lock();
        if sessions.get(&handle.key()).is_some_and(|known| std::ptr::eq(&**known, handle)) {
            sessions.remove(&handle.key());
        }
    }

    /// `KILL [QUERY] id`: anyone may stop their own connections, root all of them.
    pub fn kill(&self, by_user: &str, id: u32, query_only: bool) -> Result<()> {
        let Some(handle) = self.sessions.lock().get(&(None, id)).cloned() else {
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

    /// The statement of ours that a client of the MySQL upstream runs. Who may stop it is for the upstream to say.
    pub fn running_foreign(&self, id: u32) -> Option<RunningStatement> {
        let handle = self.sessions.lock().get(&(Some(Protocol::MySql), id)).cloned()?;
        let statement = {
            let state = handle.state.lock();
            state.running.is_some().then(|| state.cancel.clone())?
        };
        Some(RunningStatement { handle, statement })
    }

    /// CancelRequest: stops the running statement when the secret fits; says nothing either way.
    pub fn cancel(&self, id: u32, secret: u32) {
        let sessions = self.sessions.lock();
        for whose in [None, Some(Protocol::Postgres)] {
            if let Some(handle) = sessions.get(&(whose, id)).filter(|handle| handle.secret == secret) {
                handle.cancel();
            }
        }
    }

    /// Lists a client that has logged in to the upstream.
    pub fn list_relayed(self: &Arc<Self>, protocol: Protocol, id: u32, user: &str, peer: &str) -> Listed {
        let client = Arc::new(Client { user: user.to_owned(), peer: peer.to_owned(), since: Instant::now() });
        self.relayed.lock().insert((protocol, id), Arc::clone(&client));
        let _counted = telemetry::Session::new(protocol.label(), "upstream");
        Listed { registry: Arc::clone(self), key: (protocol, id), client, _counted }
    }

    /// All clients: those of sessions of ours, and those in front of an upstream.
    pub fn clients(&self) -> Vec<Connected> {
        let sessions = self.sessions.lock();
        let own = sessions.values().filter(|handle| !handle.foreign).map(|handle| Connected {
            id: handle.id,
            protocol: handle.protocol,
            relayed: false,
            user: handle.user.clone(),
            peer: handle.peer.clone(),
            seconds: handle.since.elapsed().as_secs(),
            running: handle.state.lock().running.as_ref().map(|(what, _)| what.clone()),
        });
        let mut clients: Vec<Connected> = own.collect();
        clients.extend(self.relayed.lock().iter().map(|((protocol, id), client)| Connected {
            id: *id,
            protocol: *protocol,
            relayed: true,
            user: client.user.clone(),
            peer: client.peer.clone(),
            seconds: client.since.elapsed().as_secs(),
            running:
                sessions.get(&(Some(*protocol), *id)).and_then(|handle| handle.state.lock().running.as_ref().map(|(what, _)| what.clone())),
        }));
        clients
    }

    /// All sessions, by id.
    pub fn list(&self) -> Vec<Process> {
        self.sessions
            .lock()
            .values()
            .map(|handle| {
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
            })
            .collect()
    }

    /// How many are connected.
    pub fn count(&self) -> usize {
        self.sessions.lock().len()
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
