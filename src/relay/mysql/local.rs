//! The state of the client's session at the upstream: taken over before a local statement, and told what that has changed.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::client_side::FIRST_LOCAL_STATEMENT;
use super::executor::Executor;
use super::own_queries::{self, status_of};
use super::user_variables;
use super::{Client, Relay};
use crate::session::{Parsed, Session, UpstreamSession};
use crate::sql::{self, Statement};
use crate::upstream::{Requests, Stream, upstream_handle};
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::codes::COM_QUERY;
use crate::wire::mysql::connection::Connection;
use crate::wire::mysql::dispatch::Served;
use crate::wire::mysql::login::client_of;
use crate::wire::mysql::result::Refusal;
use crate::wire::off_relay_thread;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// Takes over the state of the client's session at the upstream, unless nothing can have changed it. An error: the upstream
    /// did not tell, and nothing is guessed: neither the database nor who it is.
    pub(super) async fn take_over_state(&mut self) -> io::Result<Result<(), Refusal>> {
        self.take_over_state_for(None).await
    }

    /// The same before this command. While the upstream answers, its query is planned for the case that nothing has changed.
    pub(super) async fn take_over_state_for(&mut self, command: Option<&Bytes>) -> io::Result<Result<(), Refusal>> {
        if let Some(served) = self.served() {
            served.session.forget_planned_ahead();
        }
        if self.asked_at != Some(self.pump.relayed) {
            own_queries::ask_state(&mut self.upstream, self.server).await?;
            let now = status_of(self.pump.upstream_side.expected.status);
            let alone = command.filter(|_| now.autocommit && !now.in_transaction);
            if let Some((parsed, params)) = alone.and_then(|command| self.served()?.query_of(command)) {
                off_relay_thread().await;
                if let Some(served) = self.served() {
                    let Served { connection, session, .. } = served;
                    tokio::select! {
                        biased;
                        () = session.plan_speculatively(&parsed, &params) => {}
                        error = connection.vanished() => return Err(error),
                    }
                }
            }
            let mut status = self.pump.upstream_side.expected.status;
            let reading = own_queries::state(&mut self.upstream, self.server, self.capabilities, &mut status);
            let state = Self::while_connected(&mut self.client, reading).await?;
            // A local session lasts as long as its login.
            let principal = match self.served().and_then(|served| served.session.principal().cloned()) {
                Some(known) => Ok(known),
                None => {
                    let asking = own_queries::principal(&mut self.upstream, self.capabilities, &mut status);
                    Self::while_connected(&mut self.client, asking).await?
                }
            };
            self.pump.upstream_side.expected.stand(status);
            let unasked = self.upstream.take_inbox();
            self.pump.pass_on(&unasked);
            self.asked_at = None;
            off_relay_thread().await;
            let (state, principal) = match (state, principal) {
                (Ok(state), Ok(principal)) => (state, principal),
                (Err(unknown), _) | (_, Err(unknown)) => {
                    let charset = self.served().map_or(Charset::UTF8, |served| served.results);
                    return Ok(Err(unknown_state(&unknown, charset)));
                }
            };
            let turns = self.pump.upstream_side.expected.outside + self.text_scan.turns();
            let ended = std::mem::replace(&mut self.turns, turns) != turns;
            let doubts = self.text_scan.doubts();
            let doubtful = std::mem::replace(&mut self.doubts, doubts) != doubts;
            if let Some(served) = self.served() {
                if ended {
                    served.session.end_upstream_transaction().await;
                } else if doubtful {
                    served.session.release_time();
                }
            }
            self.give_state(UpstreamSession { principal: Some(principal), server: Some(self.server), ..state.upstream_session }).await?;
            if let Some(served) = self.served() {
                served.charset = served.charset.named(&state.charset_client);
                served.results = served.results.named(&state.charset_results);
            }
            self.asked_at = Some(self.pump.relayed);
        }
        off_relay_thread().await;
        if let Some(said) = self.pump.client_side.multi_statements
            && let Some(served) = self.served()
        {
            served.multi_statements = said;
        }
        Ok(Ok(()))
    }

    /// Gives the state to the local session, which is opened when there is none.
    async fn give_state(&mut self, upstream_session: UpstreamSession) -> io::Result<()> {
        if let Some(served) = self.served() {
            served.session.follow_upstream(upstream_session).await;
            return Ok(());
        }
        let client = client_of(&self.door, self.user.clone(), None, &self.attributes, self.charset)
            .map_err(|refusal| io::Error::other(refusal.message))?;
        let node = Arc::clone(&self.context.node);
        let session = Session::open_with_upstream(node, client, upstream_session).await.map_err(io::Error::other)?;
        let Client::Bare(connection) = std::mem::replace(&mut self.client, Client::Moved) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        self.text_scan.has_session();
        let mut served = Served::new(connection, session, self.user.clone(), self.capabilities, self.charset, self.door.clone());
        served.statements_from = FIRST_LOCAL_STATEMENT;
        served.extended = self.extended;
        self.client = Client::Served(Box::new(served));
        Ok(())
    }

    /// Fetches the user variables that the statements read. An error: as for [`Relay::take_over_state`].
    pub(super) async fn fetch_variables(&mut self, statements: &[Parsed]) -> io::Result<Result<(), Refusal>> {
        let Some(served) = self.served() else { return Ok(Ok(())) };
        let dialect = served.session.dialect();
        let mut names = Vec::new();
        for parsed in statements {
            names.extend(sql::user_variables(&dialect, &parsed.text));
            // What EXECUTE runs reads variables of its own.
            names.extend(served.session.text_executed_by(parsed).map(|text| sql::user_variables(&dialect, &text)).unwrap_or_default());
        }
        let charsets = (served.charset, served.results);
        if names.is_empty() {
            return Ok(Ok(()));
        }
        let mut status = self.pump.upstream_side.expected.status;
        let asking = user_variables::fetch(&mut self.upstream, (self.capabilities, charsets), &mut status, &names);
        let values = match Self::while_connected(&mut self.client, asking).await? {
            Ok(values) => values,
            Err(unknown) => return Ok(Err(unknown_state(&unknown, charsets.1))),
        };
        if let Some(served) = self.served() {
            served.session.set_user_variables(values);
        }
        Ok(Ok(()))
    }

    /// Tells the upstream's session what local statements have done to it: variables that they set, names that they took.
    pub(super) async fn carry_over(&mut self, statements: &[Parsed]) -> io::Result<()> {
        let Some(served) = self.served() else { return Ok(()) };
        let (values, charset) = (served.session.set_by(statements), served.charset);
        let mut status = self.pump.upstream_side.expected.status;
        let sending = user_variables::send_back(&mut self.upstream, self.capabilities, &mut status, &values);
        Self::while_connected(&mut self.client, sending).await?;
        for parsed in statements {
            if let Statement::Prepare { name, .. } = &parsed.statement {
                // As the database does, whether or not the new statement could be prepared. It may have none of the name.
                let mut command = vec![COM_QUERY];
                command.extend_from_slice(&charset.encode(&format!("DEALLOCATE PREPARE `{}`", name.replace('`', "``"))));
                let telling = own_queries::run(&mut self.upstream, self.capabilities, &mut status, &command);
                Self::while_connected(&mut self.client, telling).await?;
            }
        }
        Ok(())
    }
}

/// The upstream did not answer when it was asked for the state of the client's session: somebody may have stopped it.
fn unknown_state(unknown: &own_queries::StateUnknown, charset: Charset) -> Refusal {
    const MESSAGE: &str = "the upstream did not tell the state of this session, which a statement on cold tables depends on";
    unknown.0.as_ref().map_or_else(|| Refusal::new(1105, "HY000", MESSAGE), |error| own_queries::error_of(error, charset).into())
}

/// Lends the upstream to the statement that `served` runs next: gives the requests that it makes, the executor that answers
/// them, and what ends that. It is given back with `Session::end_upstream_loan`.
pub(super) fn lend<'a, S>(
    served: &mut Served<S>,
    (connection, capabilities, status): (&'a mut Connection<Stream>, Caps, u16),
) -> io::Result<(Requests, Executor<'a>, CancellationToken)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (upstream, requests, over) = upstream_handle();
    let zone = served.zone().map_err(io::Error::other)?;
    let charsets = (served.charset, served.results);
    served.session.lend_upstream(upstream);
    Ok((requests, Executor::new(connection, capabilities, status, charsets, zone), over))
}
