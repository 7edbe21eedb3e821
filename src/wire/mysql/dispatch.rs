//! One logged-in client: its commands, one after the other.
//!
//! The dispatcher only dispatches; results are in `query`, prepared statements in `prepared`. While a statement runs,
//! the client's side of the stream is watched, so that work for a client that has gone is dropped at once.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};

use super::charset::Charset;
use super::codec::Malformed;
use super::column::{Form, put_column};
use super::command::{ChangeUser, Command};
use super::connection::{Connection, Lost};
use super::limits;
use super::login::{Claim, Door, Failed, authenticate, client_of, wants_multi_statements};
use super::prepared::Prepared;
use super::result::{Ok as OkBody, Refusal, Tail, put_end, put_ok, status_flags};
use super::statistics;
use crate::error::Error;
use crate::session::{Change, Session};
use crate::types::like;

/// The largest message when the session does not say: MySQL's default max_allowed_packet.
const MAX_ALLOWED_PACKET: usize = 64 << 20;
/// How long a client whose connection is to end may leave its answer unread.
const LAST_WRITE: Duration = Duration::from_secs(10);

/// Why a command has no good end.
pub enum Failure {
    /// An error for the client; the connection goes on.
    Refused(Refusal),
    /// An error for the client; the connection ends.
    Fatal(Refusal),
    /// The connection ends.
    Lost(Lost),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Refused(error.into())
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Failure {
        Failure::Refused(malformed.into())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Failure {
        Failure::Lost(lost)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Lost(Lost::Gone(error))
    }
}

/// A client with its session.
pub struct Served<S> {
    pub(crate) connection: Connection<S>,
    pub(crate) session: Session,
    pub(crate) capabilities: Caps,
    /// The character set of what the client sends.
    pub(crate) charset: Charset,
    /// The character set of what it gets.
    pub(crate) results: Charset,
    /// Definitions carry MariaDB's extended metadata.
    pub(crate) extended: bool,
    pub(crate) multi_statements: bool,
    pub(crate) statements: HashMap<u32, Prepared>,
    pub(crate) last_statement: u32,
    /// Ids of prepared statements begin after this one; the upstream uses those before it.
    pub(crate) statements_from: u32,
    pub(crate) max_packet: usize,
    door: Door,
    user: String,
}

/// Does the connection go on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    Quit,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Served<S> {
    /// A client that has just logged in as `user`.
    pub fn new(
        mut connection: Connection<S>,
        session: Session,
        user: String,
        capabilities: Caps,
        charset: Charset,
        door: Door,
    ) -> Served<S> {
        let max_packet = session.variable("max_allowed_packet").and_then(|value| value.parse().ok()).unwrap_or(MAX_ALLOWED_PACKET);
        // SET GLOBAL may lower what the configuration allows, not raise it.
        let most = usize::try_from(session.node().config().limits.message_bytes.0).unwrap_or(usize::MAX);
        let max_packet = max_packet.min(most);
        connection.open_up(max_packet);
        Served {
            connection,
            session,
            capabilities,
            charset,
            results: charset,
            extended: false,
            multi_statements: wants_multi_statements(capabilities),
            statements: HashMap::new(),
            last_statement: 0,
            statements_from: 0,
            max_packet,
            door,
            user,
        }
    }

    /// The connection alone; the session ends here.
    pub fn into_connection(self) -> Connection<S> {
        self.connection
    }

    /// Serves commands until the client quits or goes, or the connection is to end.
    pub async fn run(mut self) -> io::Result<()> {
        let _connected = statistics::connected();
        loop {
            let closing = self.session.closing();
            let drain = self.door.drain.clone();
            let packet = tokio::select! {
                packet = self.connection.command() => packet,
                () = closing.cancelled() => return Ok(()),
                // An open transaction may still end, up to the server's deadline.
                () = drain.cancelled(), if !self.session.status().in_transaction => {
                    self.connection.out.sequence = 0;
                    let stopping = Refusal::new(1053, "08S01", "Server shutdown in progress");
                    return self.connection.refuse(&stopping, self.results).await;
                }
                () = limits::idle(&self.session) => {
                    // ER_CLIENT_INTERACTION_TIMEOUT, as server 8.0.24 and later say it: unasked, as a packet of its own.
                    self.connection.out.sequence = 0;
                    let message = "The client was disconnected by the server because of inactivity";
                    return self.connection.refuse(&Refusal::new(4031, "HY000", message), self.results).await;
                }
            };
            let outcome = match packet {
                Ok(packet) => self.command(packet).await,
                Err(lost) => Err(lost.into()),
            };
            if self.conclude(outcome).await? == Flow::Quit {
                return Ok(());
            }
        }
    }

    /// Answers one command that was read elsewhere.
    pub(crate) async fn answer_command(&mut self, packet: Bytes) -> io::Result<Flow> {
        let outcome = self.command(packet).await;
        self.conclude(outcome).await
    }

    /// Ends a command's answer.
    pub(crate) async fn conclude(&mut self, outcome: Result<Flow, Failure>) -> io::Result<Flow> {
        match outcome {
            Ok(Flow::Go) => {}
            Ok(Flow::Quit) => return Ok(Flow::Quit),
            Err(Failure::Refused(refusal)) => {
                let charset = self.results;
                self.connection.out.message(|out| refusal.put(out, charset));
            }
            Err(Failure::Fatal(refusal)) => {
                self.connection.refuse(&refusal, self.results).await?;
                return Ok(Flow::Quit);
            }
            Err(Failure::Lost(Lost::Frame(error))) => {
                self.connection.refuse(&error.into(), self.results).await?;
                return Ok(Flow::Quit);
            }
            Err(Failure::Lost(Lost::Gone(error))) => {
                tracing::debug!(id = self.door.id, %error, "mysql client went away");
                return Ok(Flow::Quit);
            }
        }
        if let Err(Failure::Lost(Lost::Gone(_))) = self.send().await {
            return Ok(Flow::Quit);
        }
        Ok(Flow::Go)
    }

    /// Sends what waits. A client that is to go and does not read is left.
    pub(crate) async fn send(&mut self) -> Result<(), Failure> {
        let closing = self.session.closing();
        tokio::select! {
            biased;
            sent = self.connection.flush() => Ok(sent?),
            () = async { closing.cancelled().await; tokio::time::sleep(LAST_WRITE).await } => {
                Err(Failure::Lost(Lost::Gone(io::ErrorKind::TimedOut.into())))
            }
        }
    }

    async fn command(&mut self, packet: Bytes) -> Result<Flow, Failure> {
        match Command::parse(&packet, self.capabilities)? {
            Command::Quit => return Ok(Flow::Quit),
            Command::Ping => self.ok(),
            Command::Query { text } => self.query(&text).await?,
            Command::InitDb { database } => {
                let name = self.charset.decode(&database)?;
                self.session.use_database(&name).await?;
                self.ok();
            }
            Command::FieldList { table, pattern } => self.field_list(&table, &pattern).await?,
            Command::Statistics => self.connection.out.message(|out| out.extend_from_slice(statistics::line().as_bytes())),
            Command::ProcessKill { id } => {
                self.session.node().sessions.kill(&self.user, id, false)?;
                self.ok();
            }
            Command::ChangeUser(change) => self.change_user(change).await?,
            Command::ResetConnection => {
                self.session.reset().await?;
                self.statements.clear();
                self.ok();
            }
            Command::SetOption { multi_statements } => {
                self.multi_statements = multi_statements;
                self.end(false);
            }
            Command::Prepare { text } => self.prepare(&text).await?,
            Command::Execute { statement, params, .. } => self.execute_prepared(statement, &params).await?,
            Command::BulkExecute { statement, flags, params } => self.execute_bulk(statement, flags, &params).await?,
            Command::LongData { statement, param, data } => self.long_data(statement, param, &data),
            Command::ResetStatement { statement } => self.reset_statement(statement)?,
            Command::Close { statement } => {
                self.statements.remove(&statement);
            }
            Command::Fetch { statement } => return Err(self.fetch(statement).into()),
            // ER_UNKNOWN_COM_ERROR
            Command::Unknown { code } => return Err(Refusal::new(1047, "08S01", format!("Unknown command 0x{code:02x}")).into()),
        }
        Ok(Flow::Go)
    }

    /// What the session says at the end of an answer; takes over a changed character set.
    pub(crate) fn tail(&mut self, more: bool) -> Tail {
        let changes = self.session.drain_changes();
        for change in &changes {
            if let Change::Variable { name, value } = change {
                match name.as_str() {
                    "character_set_client" => self.charset = self.charset.named(value),
                    "character_set_results" => self.results = self.results.named(value),
                    _ => {}
                }
            }
        }
        Tail { status: status_flags(self.session.status()), warnings: self.session.warning_count(), more, changes }
    }

    /// Answers OK with nothing affected.
    pub(crate) fn ok(&mut self) {
        let tail = self.tail(false);
        let capabilities = self.capabilities;
        self.connection.out.message(|out| put_ok(out, 0, &OkBody::default(), &tail, capabilities));
    }

    /// How the client takes definitions of columns.
    pub(crate) fn form(&self) -> Form {
        Form { charset: self.results, extended: self.extended }
    }

    /// Ends column definitions or rows.
    pub(crate) fn end(&mut self, more: bool) {
        let tail = self.tail(more);
        let capabilities = self.capabilities;
        self.connection.out.message(|out| put_end(out, &tail, capabilities));
    }

    async fn field_list(&mut self, table: &[u8], pattern: &[u8]) -> Result<(), Failure> {
        let table = self.charset.decode(table)?.replace('`', "``");
        let pattern = self.charset.decode(pattern)?;
        let statements = self.session.parse(&format!("SELECT * FROM `{table}` LIMIT 0"))?;
        if let Some(statement) = statements.first() {
            let description = self.session.describe(statement, &[]).await?;
            let form = self.form();
            for column in description.columns.unwrap_or_default() {
                if pattern.is_empty() || like(&column.label, &pattern) {
                    self.connection.out.message(|out| put_column(out, &column, form, true));
                }
            }
        }
        self.end(false);
        Ok(())
    }

    async fn change_user(&mut self, change: ChangeUser) -> Result<(), Failure> {
        let charset = change.collation.map_or(self.charset, Charset::of_collation);
        let node = Arc::clone(self.session.node());
        let claim = Claim { user: &change.user, plugin: change.plugin.as_deref(), answer: &change.auth, charset };
        let user = match authenticate(&mut self.connection, &mut self.door, &node.users, claim).await {
            Ok(user) => user,
            Err(Failed::Lost(lost)) => return Err(lost.into()),
            Err(Failed::Refused(refusal)) => return Err(Failure::Fatal(refusal)),
        };
        let client =
            client_of(&self.door, user.clone(), change.database.as_deref(), &change.attributes, charset).map_err(Failure::Fatal)?;
        self.session.reopen(client).await.map_err(|error| Failure::Fatal(error.into()))?;
        self.user = user;
        (self.charset, self.results) = (charset, charset);
        self.statements.clear();
        self.ok();
        Ok(())
    }
}
