//! The local session beside the upstream's: it takes over that one's state, and borrows the client's stream while a
//! local statement runs.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::Relay;
use super::executor::Executor;
use super::own_queries::{Found, Speculative};
use crate::node::Listed;
use crate::session::{Client, HiddenNames, Parsed, Principal, Session, Status, UpstreamSession};
use crate::types::Protocol;
use crate::upstream::{run_with_executor, upstream_handle};
use crate::wire::off_relay_thread;
use crate::wire::postgres::connection::Connection;
use crate::wire::postgres::fault::{Fault, Step, Stop};
use crate::wire::postgres::frame::Link;
use crate::wire::transport::Transport;

/// The schema whose cold tables need no schema before their names.
const PUBLIC: &str = "public";
/// What is followed of the upstream's settings and is none that a local session takes.
const UNSET: [&str; 4] = ["client_encoding", "session_authorization", "is_superuser", "role"];

/// A stream that is here at times.
pub struct LentStream<S>(pub Option<S>);

impl<S: Unpin> LentStream<S> {
    fn pinned(self: Pin<&mut Self>) -> io::Result<Pin<&mut S>> {
        self.get_mut().0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LentStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LentStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.pinned()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.poll_shutdown(cx)
    }
}

/// The local session, with its prepared statements and portals.
pub struct Local<S> {
    pub connection: Connection<LentStream<Transport<S>>>,
    /// `relayed` when the upstream was last asked for its settings.
    pub asked_at: Option<u64>,
    /// `idles` when a local statement last ran.
    idles: u64,
    /// A COMMIT or ROLLBACK went to the upstream since then.
    pub transaction_ended: bool,
    pub followed: Followed,
    pub cursors: super::cursors::Cursors,
    /// Names that were taken at the upstream for nothing.
    pub unused: Vec<Vec<u8>>,
    /// The schemas of the search path, as far as it was asked.
    path: Vec<String>,
    /// Cold tables that hide a hot one and of which the client was warned.
    told_hidden: BTreeSet<String>,
    /// What the upstream has of names without a schema, as far as it was asked.
    found: HashMap<String, Found>,
}

/// Prepared statements of the upstream that, when they are executed, change what is kept here: COMMIT, DISCARD ALL and
/// the like.
#[derive(Default)]
pub struct Followed {
    pub statements: HashMap<Vec<u8>, Parsed>,
    pub portals: HashMap<Vec<u8>, Parsed>,
}

impl Followed {
    /// `target`: S or P and a name, as in Describe and Close.
    pub fn has(&self, target: &[u8]) -> bool {
        match target.split_first() {
            Some((b'S', name)) => self.statements.contains_key(name),
            Some((_, name)) => self.portals.contains_key(name),
            None => false,
        }
    }

    pub fn forget(&mut self, target: &[u8]) {
        match target.split_first() {
            Some((b'S', name)) => drop(self.statements.remove(name)),
            Some((_, name)) => drop(self.portals.remove(name)),
            None => {}
        }
    }
}

impl<S> Local<S> {
    /// Fires when the session is to end.
    pub fn closing(&self) -> CancellationToken {
        self.connection.session.closing()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// The local session; opened when there is none.
    pub(super) async fn local(&mut self) -> Result<&mut Local<S>, Fault> {
        if self.local.is_none() {
            off_relay_thread().await;
            let client = Client {
                protocol: Protocol::Postgres,
                peer: self.peer.to_string(),
                user: self.greeting.user.clone(),
                database: None,
                settings: Vec::new(),
                tls: self.client_tls,
                id: self.listed.as_ref().map(Listed::id),
            };
            let upstream_session = self.upstream_session(Vec::new(), false);
            let session = Session::open_with_upstream(Arc::clone(&self.context.node), client, upstream_session).await?;
            let mut link = Link::new(LentStream(None), BytesMut::new());
            link.max = self.context.node.config().limits.message_bytes.as_usize();
            let connection = Connection::new(link, session, CancellationToken::new(), None);
            let idles = self.pump.upstream_side.idles;
            self.local = Some(Box::new(Local {
                connection,
                asked_at: None,
                idles,
                transaction_ended: false,
                followed: Followed::default(),
                cursors: super::cursors::Cursors::default(),
                unused: Vec::new(),
                path: vec![PUBLIC.to_owned()],
                told_hidden: BTreeSet::new(),
                found: HashMap::new(),
            }));
            self.pump.also = super::decide::concerns_state;
        }
        self.local.as_deref_mut().ok_or_else(|| Fault::error("XX000", "no session"))
    }

    fn upstream_session(&self, asked: Vec<(&'static str, String)>, in_block: bool) -> UpstreamSession {
        let upstream_side = &self.pump.upstream_side;
        let role = asked.iter().find(|(name, _)| *name == "role").map(|(_, role)| role.clone());
        let principal = self.principal(role);
        let reported = upstream_side.settings().iter().filter(|(name, _)| !UNSET.contains(name)).cloned();
        let asked = asked.into_iter().filter(|(name, _)| !UNSET.contains(name));
        let variables = reported.chain(asked).map(|(name, value)| (name.to_owned(), value)).collect();
        let status = Status {
            in_transaction: in_block || upstream_side.status != b'I' || upstream_side.expected.has_executed(),
            failed: upstream_side.status == b'E',
            autocommit: true,
            ..Status::default()
        };
        UpstreamSession { database: Some(self.greeting.database.clone()), variables, status, principal, server: None }
    }

    /// Who the client is to the upstream: the role that it has taken on, or else the one it logged in as. `role` is what
    /// SHOW role says; None: it was not asked, and is as it was.
    fn principal(&self, role: Option<String>) -> Option<Principal> {
        let before = self.local.as_ref().and_then(|local| local.connection.session.principal().cloned());
        let login = || self.pump.upstream_side.setting("session_authorization").map(str::to_owned);
        let account = match role {
            Some(role) if role != "none" => Some(role),
            Some(_) => login(),
            None => before.map(|before| before.account).or_else(login),
        };
        let superuser = self.pump.upstream_side.setting("is_superuser") == Some("on");
        Some(Principal { account: account?, superuser })
    }

    /// Makes the local session see what the upstream's session is like now. Everything before must be answered.
    /// `in_block`: what runs is part of a transaction that was opened around it.
    pub(super) async fn take_over_state(&mut self, in_block: bool) -> Step<()> {
        self.take_over_state_asking(in_block, &BTreeSet::new(), None).await
    }

    /// The same before something that is to be done next; it is planned while the upstream is asked, for the case that nothing
    /// has changed.
    pub(super) async fn take_over_state_for(&mut self, next: Option<Speculative>) -> Step<()> {
        self.local().await?.connection.session.forget_planned_ahead();
        self.take_over_state_asking(false, &BTreeSet::new(), next).await
    }

    /// The same; afterwards it is known whether these names, without a schema, are the upstream's.
    pub(super) async fn take_over_state_asking(&mut self, in_block: bool, names: &BTreeSet<String>, next: Option<Speculative>) -> Step<()> {
        let relayed = self.pump.client_side.relayed;
        let local = self.local().await?;
        let stale = local.asked_at != Some(relayed);
        if stale {
            local.found.clear();
        }
        let unknown: Vec<String> = names.iter().filter(|name| !local.found.contains_key(*name)).cloned().collect();
        let failed = self.pump.upstream_side.status == b'E' || self.pump.upstream_side.expected.is_skipping();
        let asked = match (stale || !unknown.is_empty()) && !failed {
            true => {
                // Within a transaction of the upstream's it depends on that when a query reads.
                let next = next.filter(|_| self.pump.upstream_side.status == b'I' && !self.pump.upstream_side.expected.has_executed());
                let asked = self.ask(&unknown, next).await?;
                let local = self.local().await?;
                local.found.extend(asked.found);
                asked.settings
            }
            false => Vec::new(),
        };
        off_relay_thread().await;
        let path = asked.iter().find(|(name, _)| *name == "search_path").map(|(_, path)| path.clone());
        let idles = self.pump.upstream_side.idles;
        let now = self.upstream_session(asked, in_block);
        let local = self.local().await?;
        if std::mem::take(&mut local.transaction_ended) | (local.idles != idles) {
            local.connection.session.end_upstream_transaction().await;
        }
        if let Some(path) = path {
            let user = local.connection.session.principal().map(|principal| principal.account.clone());
            let own = |schema: String| if schema == "$user" { user.clone().unwrap_or_default() } else { schema };
            local.path = super::decide::schemas_of(&path).into_iter().map(own).collect();
        }
        if stale && !failed {
            local.asked_at = Some(relayed);
        }
        local.idles = idles;
        local.connection.session.follow_upstream(now).await;
        Ok(())
    }

    /// Which of these names, without a schema, are the upstream's. Of cold tables only those in `public` are found by a search
    /// path; a name that means another is an error, and not the stand-in of that.
    pub(super) fn hidden_names(&mut self, names: &BTreeSet<String>) -> Result<HiddenNames, Fault> {
        let Some(local) = self.local.as_deref_mut() else { return Ok(HiddenNames::None) };
        let place = |schema: &str| local.path.iter().position(|known| known == schema);
        let public = place(PUBLIC).unwrap_or(usize::MAX);
        let mut hidden = BTreeSet::new();
        let mut hides = Vec::new();
        for name in names {
            let found = local.found.get(name);
            let in_public = found.is_some_and(|found| found.in_public);
            let found = found.and_then(|found| found.schema.as_deref());
            // What is found in no schema of the path is found before those: a temporary table, one of pg_catalog.
            let at = found.map_or(Some(usize::MAX), place);
            let cold = |schema: &str| local.connection.session.has_cold(schema, name);
            let elsewhere = local.path.iter().position(|schema| schema != PUBLIC && cold(schema));
            match (elsewhere, at) {
                (Some(elsewhere), Some(at)) if elsewhere <= at && elsewhere < public => {
                    let schema = &local.path[elsewhere];
                    let message =
                        format!("\"{name}\" is the cold table {schema}.{name} by this search_path, which finds cold tables in public only");
                    return Err(Fault::error("0A000", message).with_hint(format!("write {schema}.{name}")));
                }
                (_, at) if found.is_some() && at.is_none_or(|at| at < public) || !cold(PUBLIC) => {
                    hidden.insert(name.clone());
                }
                _ if in_public => hides.push(name),
                _ => {}
            }
        }
        for name in hides {
            if !local.told_hidden.contains(name) && local.connection.session.warn_of_hidden(name) {
                local.told_hidden.insert(name.clone());
            }
        }
        Ok(match (public, hidden.is_empty()) {
            (usize::MAX, _) => HiddenNames::All,
            (_, true) => HiddenNames::None,
            (_, false) => HiddenNames::Some(hidden),
        })
    }

    /// The local names as the client means them now: those that the upstream has taken since are dropped.
    fn agree_on_names(&mut self) {
        let names = &self.pump.client_side.names;
        if let Some(local) = self.local.as_deref_mut() {
            local.connection.statements.retain(|name, _| names.statements.contains(name.as_bytes()));
            local.connection.portals.retain(|name, _| names.portals.contains(name.as_bytes()));
            local.followed.statements.retain(|name, _| names.statements.contains(name));
            local.followed.portals.retain(|name, _| names.portals.contains(name));
        }
    }

    /// Does `work` with the client's stream, and with the upstream at its service. The outer error is the connection's.
    pub(super) async fn with_client<T>(
        &mut self,
        extended: bool,
        work: impl AsyncFnOnce(&mut Connection<LentStream<Transport<S>>>) -> Step<T>,
    ) -> Step<Step<T>> {
        off_relay_thread().await;
        let running = self.lend().await?;
        let local = self.local.as_deref_mut().ok_or_else(super::upstream_ended)?;
        let (upstream, mut requests, over) = upstream_handle();
        local.connection.session.lend_upstream(upstream);
        let mut executor = Executor::new(&mut self.pump, extended);
        let gone = |done: &Step<T>| matches!(done, Err(Stop::Gone(_)));
        let done = run_with_executor(work(&mut local.connection), executor.serve(&mut requests), over, gone).await;
        self.take_back();
        drop(running);
        Ok(done?)
    }

    /// Gives the client's stream to the local connection, which can be cancelled from now on.
    async fn lend(&mut self) -> Step<super::cancel::Running> {
        self.local().await?;
        self.agree_on_names();
        let pump = &mut self.pump;
        let local = self.local.as_deref_mut().ok_or_else(super::upstream_ended)?;
        let link = &mut local.connection.link;
        link.exchange(LentStream(pump.client.stream.0.take()), std::mem::take(&mut pump.client.input));
        link.output = std::mem::take(&mut pump.client.outgoing.bytes);
        Ok(self.cancelled.begin((local.connection.session.id(), local.connection.session.secret())))
    }

    /// Takes the client's stream back, with what is still to be sent and what was read ahead.
    fn take_back(&mut self) {
        let pump = &mut self.pump;
        let Some(local) = self.local.as_deref_mut() else { return };
        let link = &mut local.connection.link;
        let (stream, input) = link.exchange(LentStream(None), BytesMut::new());
        pump.client.stream = stream;
        pump.client.input = input;
        // What the upstream has said to the client meanwhile comes after.
        let aside = std::mem::replace(&mut pump.client.outgoing.bytes, std::mem::take(&mut link.output));
        pump.client.outgoing.bytes.unsplit(aside);
        local.connection.session.end_upstream_loan();
        pump.look_again();
        let names = &mut pump.client_side.names;
        let (statements, portals) = (local.connection.statements.keys(), local.connection.portals.keys());
        names.statements = statements.map(|name| name.clone().into_bytes()).chain(local.followed.statements.keys().cloned()).collect();
        names.portals = portals.map(|name| name.clone().into_bytes()).chain(local.followed.portals.keys().cloned()).collect();
        // A cursor that DECLARE made is a portal too.
        names.portals.extend(local.connection.session.cursor_names().map(|name| name.as_bytes().to_vec()));
        names.held = local.connection.session.held_cursor_names().map(|name| name.as_bytes().to_vec()).collect();
        pump.client_side.stops_at_sync = local.connection.implicit;
        pump.client_side.stops_at_execute = local.connection.implicit && local.connection.session.has_changes();
    }

    /// Our encoding of values is UTF-8.
    pub(super) fn check_encoding(&self) -> Result<(), Fault> {
        match self.pump.upstream_side.setting("client_encoding") {
            None | Some("UTF8" | "SQL_ASCII") => Ok(()),
            Some(other) => Err(Fault::error("0A000", format!("cold tables cannot be read in client encoding {other}"))
                .with_hint("SET client_encoding = 'UTF8'")),
        }
    }
}
