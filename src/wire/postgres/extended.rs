//! The extended protocol: statements are parsed, bound to portals, described, executed and closed one by one; Sync
//! ends a pipeline of them, which is one implicit transaction.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::encode::Format;
use super::fault::{Fault, Step, put};
use super::rows::{self, Cursor};
use super::{params, types};
use crate::gms::Catalog;
use crate::session::{Description, Parsed, Reply};
use crate::sql::{Discard, PrepareSource, Statement};
use crate::types::SqlType;

/// What Parse found out: it need not be found out again for what follows it at once.
pub(crate) struct Fresh {
    name: String,
    description: Description,
    /// As it was then.
    catalog: Weak<Catalog>,
}

/// A prepared statement.
pub struct Prepared {
    /// None: an empty text.
    statement: Option<Parsed>,
    /// The parameter types that Parse named; 0: to be found out.
    oids: Vec<u32>,
    /// The types of all parameters, once found out.
    resolved: Option<Vec<u32>>,
    /// The types of its columns as Describe has told them.
    described: Option<Vec<u32>>,
}

impl Prepared {
    /// The types of all parameters: those that Parse named, the rest as they were found out.
    fn all_oids(&self, count: usize, found: &Description) -> Vec<u32> {
        let mut oids = self.oids.clone();
        oids.resize(count, 0);
        fill(&mut oids, &found.params);
        oids
    }
}

/// A statement bound to its parameters.
pub struct Portal {
    pub(crate) statement: Option<Parsed>,
    /// The name of the statement it was bound to.
    from: String,
    hints: Vec<Option<SqlType>>,
    pub(crate) params: Vec<ScalarValue>,
    pub(crate) result_formats: Vec<i16>,
    described: Option<Vec<u32>>,
    pub(crate) state: PortalState,
}

/// What a portal is run with.
struct Bound<'a> {
    params: &'a [ScalarValue],
    formats: &'a [i16],
    described: Option<&'a [u32]>,
}

pub(crate) enum PortalState {
    Ready,
    /// A result set of which rows were sent; more may follow, or it has none left.
    Suspended(Cursor),
    /// A statement without a result set has run.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) async fn parse(&mut self, message: Parse) -> Step<()> {
        self.prepare(message).await?;
        put(&ParseComplete::new(), self.out());
        Ok(())
    }

    /// Prepares a statement, without telling the client. Errors of planning are reported now, as PostgreSQL does.
    pub(crate) async fn prepare(&mut self, message: Parse) -> Step<()> {
        let name = message.name.unwrap_or_default();
        self.check_name_is_free(&name)?;
        // A failed Parse leaves no older unnamed statement behind.
        self.statements.remove(&name);
        let _room = self.session.room(message.query.len()).await?;
        let mut statements = self.session.parse(&message.query)?;
        if statements.len() > 1 {
            return Err(Fault::error("42601", "cannot insert multiple commands into a prepared statement").into());
        }
        let mut prepared = Prepared { statement: statements.pop(), oids: message.type_oids, resolved: None, described: None };
        if let Some(statement) = &prepared.statement
            && is_planned(&statement.statement)
        {
            let catalog = Arc::downgrade(&self.session.node().gms.catalog());
            let description = self.session_describe(statement, &hints(&prepared.oids, statement.params)).await?;
            prepared.resolved = Some(prepared.all_oids(statement.params, &description));
            self.fresh = Some(Fresh { name: name.clone(), description, catalog });
            if !name.is_empty() {
                self.session.adopt_statement(&name, statement);
            }
        }
        self.statements.insert(name, prepared);
        Ok(())
    }

    /// Statements of SQL and of the protocol have the same names.
    fn check_name_is_free(&self, name: &str) -> Result<(), Fault> {
        match name.is_empty() || !self.statements.contains_key(name) {
            true => Ok(()),
            false => Err(Fault::error("42P05", format!("prepared statement \"{name}\" already exists"))),
        }
    }

    /// Textual PREPARE: the protocol knows the statement too from then on.
    pub(crate) async fn prepare_text(&mut self, parsed: &Parsed) -> Step<Option<String>> {
        let Statement::Prepare { name, source } = &parsed.statement else { return Ok(None) };
        let PrepareSource::Statement { types, text, statement, params } = source else { return Ok(None) };
        self.check_name_is_free(name)?;
        let oids: Vec<u32> = types.iter().map(|ty| types::describe(ty).oid).collect();
        // Errors of planning are reported now, as PostgreSQL does.
        let inner = Parsed {
            statement: statement.as_ref().clone(),
            text: Arc::clone(text),
            params: *params,
            hints: Vec::new(),
            limit: None,
            settings: Vec::new(),
        };
        self.session_describe(&inner, &hints(&oids, *params)).await?;
        let Reply::Done(outcome) = self.link.watching(self.session.execute(parsed, &[])).await?? else { return Ok(None) };
        let statement = self.session.prepared_statement(name);
        self.statements.insert(name.clone(), Prepared { statement, oids, resolved: None, described: None });
        Ok(Some(outcome.tag))
    }

    /// The query of a Bind message whose parameters can be read, as the session stands now.
    pub(crate) fn query_of(&self, message: &Bind) -> Option<(Parsed, Vec<ScalarValue>)> {
        let prepared = self.statements.get(message.statement_name.as_deref().unwrap_or_default())?;
        let parsed = prepared.statement.as_ref().filter(|parsed| matches!(parsed.statement, Statement::Query(_)))?.clone();
        let oids = prepared.resolved.as_ref().unwrap_or(&prepared.oids);
        let known = oids.len() == parsed.params && !oids.iter().any(|oid| of_no_type(*oid));
        let params = self.read_params(oids, &message.parameter_format_codes, &message.parameters).ok().filter(|_| known)?;
        Some((parsed, params))
    }

    pub(crate) async fn bind(&mut self, message: Bind) -> Step<()> {
        self.session.bind_planned_ahead();
        let (name, from) = (message.portal_name.unwrap_or_default(), message.statement_name.unwrap_or_default());
        let prepared = self.statements.get(&from).ok_or_else(|| no_statement(&from))?;
        let (statement, oids, described) = (prepared.statement.clone(), prepared.oids.clone(), prepared.described.clone());
        let needed = statement.as_ref().map_or(0, |s| s.params);
        let given = message.parameters.len();
        if given != needed {
            let text = format!("bind message supplies {given} parameters, but prepared statement \"{from}\" requires {needed}");
            return Err(Fault::protocol(text).into());
        }
        let codes = &message.parameter_format_codes;
        if codes.len() > 1 && codes.len() != given {
            let text = format!("bind message has {} parameter formats but {given} parameters", codes.len());
            return Err(Fault::protocol(text).into());
        }
        message.result_column_format_codes.iter().try_for_each(|code| Format::of_code(*code).map(|_| ()))?;
        if !name.is_empty() && self.portals.contains_key(&name) {
            return Err(Fault::error("42P03", format!("cursor \"{name}\" already exists")).into());
        }
        let types = self.param_oids(&from).await?;
        let params = self.read_params(&types, codes, &message.parameters)?;
        let portal = Portal {
            statement,
            from,
            hints: hints(&oids, needed),
            params,
            result_formats: message.result_column_format_codes,
            described,
            state: PortalState::Ready,
        };
        self.portals.insert(name, portal);
        put(&BindComplete::new(), self.out());
        Ok(())
    }

    fn read_params(&self, oids: &[u32], codes: &[i16], values: &[Option<Bytes>]) -> Result<Vec<ScalarValue>, Fault> {
        let style = self.style();
        let read = |(at, value): (usize, &Option<Bytes>)| {
            let code = codes.get(at).or(if codes.len() == 1 { codes.first() } else { None }).copied().unwrap_or(0);
            params::decode(oids.get(at).copied().unwrap_or(0), Format::of_code(code)?, value.as_deref(), &style.zone)
                .map_err(|fault| fault.in_context(format!("unnamed portal parameter ${}", at + 1)))
        };
        values.iter().enumerate().map(read).collect()
    }

    /// The types of a statement's parameters: those that Parse named, the rest as the session sees them.
    async fn param_oids(&mut self, name: &str) -> Step<Vec<u32>> {
        let Some(prepared) = self.statements.get(name) else { return Err(no_statement(name).into()) };
        if let Some(resolved) = &prepared.resolved {
            return Ok(resolved.clone());
        }
        let Some(statement) = prepared.statement.clone() else { return Ok(vec![]) };
        let mut oids = prepared.oids.clone();
        oids.resize(statement.params, 0);
        if oids.iter().any(|oid| of_no_type(*oid)) {
            let description = self.session_describe(&statement, &hints(&prepared.oids, statement.params)).await?;
            fill(&mut oids, &description.params);
        }
        if let Some(prepared) = self.statements.get_mut(name) {
            prepared.resolved = Some(oids.clone());
        }
        Ok(oids)
    }

    async fn session_describe(&mut self, statement: &Parsed, hints: &[Option<SqlType>]) -> Step<Description> {
        Ok(self.link.watching(self.session.describe(statement, hints)).await??)
    }

    /// What Parse found out of this statement, if nothing has happened since.
    fn take_fresh(&mut self, name: &str) -> Option<Description> {
        let fresh = self.fresh.take().filter(|fresh| fresh.name == name)?;
        let same = std::ptr::eq(fresh.catalog.as_ptr(), Arc::as_ptr(&self.session.node().gms.catalog()));
        same.then_some(fresh.description)
    }

    pub(crate) async fn describe(&mut self, message: Describe) -> Step<()> {
        let name = message.name.unwrap_or_default();
        let mut planned_ahead = None;
        let (statement, from, hints, formats) = if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let prepared = self.statements.get(&name).ok_or_else(|| no_statement(&name))?;
            let needed = prepared.statement.as_ref().map_or(0, |s| s.params);
            (prepared.statement.clone(), name.clone(), hints(&prepared.oids, needed), vec![])
        } else {
            let Some(portal) = self.portals.get(&name) else {
                // A cursor that DECLARE made is a portal too.
                let columns = self.session.cursor_columns(&name).ok_or_else(|| no_portal(&name))?;
                let formats = rows::formats(&[], columns.len())?;
                rows::describe(&columns, &formats, self.out());
                return Ok(());
            };
            if let PortalState::Suspended(cursor) = &portal.state {
                cursor.describe(&mut self.link.output);
                return Ok(());
            }
            let (statement, from) = (portal.statement.clone(), portal.from.clone());
            if let Some(parsed) = statement.as_ref().filter(|_| self.fresh.as_ref().is_none_or(|fresh| fresh.name != from)) {
                // Its rows are asked for next.
                let params = portal.params.clone();
                if self.session.planned_columns(parsed, &params).is_none() {
                    self.link.watching(self.session.plan_speculatively(parsed, &params)).await?;
                    self.session.bind_planned_ahead();
                }
                planned_ahead = self.session.planned_columns(parsed, &params);
            }
            let Some(portal) = self.portals.get(&name) else { return Err(no_portal(&name).into()) };
            (statement, from, portal.hints.clone(), portal.result_formats.clone())
        };
        let fetched = statement.as_ref().and_then(|statement| self.fetched_columns(statement));
        let description = match &statement {
            _ if fetched.is_some() => Description { params: vec![], columns: fetched },
            _ if planned_ahead.is_some() => Description { params: vec![], columns: planned_ahead },
            Some(statement) if !is_deallocate(&statement.statement) => match self.take_fresh(&from) {
                Some(description) => description,
                None => self.session_describe(statement, &hints).await?,
            },
            _ => Description { params: vec![], columns: None },
        };
        let told = description.columns.as_ref().map(|columns| columns.iter().map(|c| types::describe(&c.ty).oid).collect::<Vec<_>>());
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let oids = match self.statements.get_mut(&name) {
                Some(prepared) => {
                    let oids = prepared.all_oids(statement.as_ref().map_or(0, |s| s.params), &description);
                    prepared.resolved = Some(oids.clone());
                    prepared.described = told;
                    oids
                }
                None => vec![],
            };
            put(&ParameterDescription::new(oids), self.out());
        } else if let Some(portal) = self.portals.get_mut(&name) {
            portal.described = told;
        }
        match &description.columns {
            Some(columns) => {
                let formats = rows::formats(&formats, columns.len())?;
                rows::describe(columns, &formats, self.out());
            }
            None => put(&NoData::new(), self.out()),
        }
        Ok(())
    }

    pub(crate) async fn execute(&mut self, message: Execute) -> Step<()> {
        let name = message.name.unwrap_or_default();
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        let Some(statement) = portal.statement.clone() else {
            self.portals.insert(name, portal);
            put(&EmptyQueryResponse::new(), self.out());
            return Ok(());
        };
        let limit = u64::try_from(message.max_rows).unwrap_or(0);
        let was_in_transaction = self.session.status().in_transaction;
        portal.state = match std::mem::replace(&mut portal.state, PortalState::Ready) {
            PortalState::Ready => {
                let bound = Bound { params: &portal.params, formats: &portal.result_formats, described: portal.described.as_deref() };
                self.start(&statement, bound, limit).await?
            }
            PortalState::Suspended(cursor) => self.send_rows(cursor, limit).await?,
            PortalState::Ended => {
                return Err(Fault::error("55000", format!("portal \"{name}\" cannot be run anymore")).into());
            }
        };
        if was_in_transaction && !self.session.status().in_transaction {
            self.portals.clear();
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    /// Executes a portal for the first time.
    async fn start(&mut self, statement: &Parsed, bound: Bound<'_>, limit: u64) -> Step<PortalState> {
        self.fresh = None;
        if let Some(tag) = self.deallocate(&statement.statement) {
            self.complete(tag);
            return Ok(PortalState::Ended);
        }
        // A statement alone before its Sync needs no transaction around it: it commits, or fails, by itself.
        if !self.implicit && self.link.next_kind_now().await? != Some(b'S') {
            self.session.begin_implicit().await;
            self.implicit = true;
        }
        let done = match self.prepare_text(statement).await? {
            None => self.run_on_portal(statement, bound.formats, false).await?,
            tag => tag,
        };
        if let Some(tag) = done {
            self.complete(tag);
            return Ok(PortalState::Ended);
        }
        let tag = match self.link.watching(self.session.execute(statement, bound.params)).await?? {
            Reply::Rows(rows) => {
                let cursor = Cursor::new(rows, bound.formats)?;
                if bound.described.is_some_and(|told| !cursor.is_as_described(told)) {
                    return Err(Fault::error("0A000", "cached plan must not change result type").into());
                }
                return self.send_rows(cursor, limit).await;
            }
            Reply::Done(outcome) => outcome.tag,
            Reply::CopyIn(copy) => self.copy_in(copy).await?,
            Reply::CopyOut(copy) => self.copy_out(copy).await?,
        };
        self.complete(tag);
        Ok(PortalState::Ended)
    }

    async fn send_rows(&mut self, mut cursor: Cursor, limit: u64) -> Step<PortalState> {
        let style = self.style();
        let sent = cursor.send(limit, &style, &mut self.link).await?;
        if sent.ended {
            self.complete(cursor.tag(sent.rows));
        } else {
            put(&PortalSuspended::new(), self.out());
        }
        Ok(PortalState::Suspended(cursor))
    }

    pub(crate) fn close(&mut self, message: Close) {
        let name = message.name.unwrap_or_default();
        // Closing what is not there is no error.
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            self.forget(&name);
        } else {
            self.portals.remove(&name);
        }
        put(&CloseComplete::new(), self.out());
    }

    /// Forgets a prepared statement; false: there is none.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        self.session.forget_statement(name);
        self.statements.remove(name).is_some()
    }

    /// `DEALLOCATE` of a statement that Parse made: SQL and the protocol share their names. A name that is none of these
    /// is the session's to answer; so is `ALL`, after ours are gone.
    pub(crate) fn deallocate(&mut self, statement: &Statement) -> Option<String> {
        match statement {
            Statement::Deallocate(None) | Statement::Discard(Discard::All) => {
                self.statements.clear();
                None
            }
            Statement::Deallocate(Some(name)) => self.forget(name).then(|| "DEALLOCATE".to_owned()),
            _ => None,
        }
    }
}

fn is_deallocate(statement: &Statement) -> bool {
    matches!(statement, Statement::Deallocate(_) | Statement::Discard(Discard::All))
}

/// PostgreSQL plans these when they are parsed, others when they are run.
fn is_planned(statement: &Statement) -> bool {
    matches!(statement, Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
}

fn of_no_type(oid: u32) -> bool {
    oid == 0 || oid == types::UNKNOWN
}

/// The types that the client named, for the session.
pub(crate) fn hints(oids: &[u32], count: usize) -> Vec<Option<SqlType>> {
    (0..count).map(|at| oids.get(at).and_then(|oid| types::of_oid(*oid))).collect()
}

/// Puts the session's types where the client named none.
fn fill(oids: &mut [u32], found: &[SqlType]) {
    for (oid, ty) in oids.iter_mut().zip(found) {
        if of_no_type(*oid) {
            *oid = types::describe(ty).oid;
        }
    }
}

fn no_statement(name: &str) -> Fault {
    let text = if name.is_empty() {
        "unnamed prepared statement does not exist".into()
    } else {
        format!("prepared statement \"{name}\" does not exist")
    };
    Fault::error("26000", text)
}

fn no_portal(name: &str) -> Fault {
    Fault::error("34000", format!("portal \"{name}\" does not exist"))
}
