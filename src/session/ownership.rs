//! Whose is a statement, in front of an upstream? It is ours only if it really names something that Flashgate owns.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::instance::Instance;
use super::state::Session;
use crate::engine::{Located, Namespace};
use crate::gms::Catalog;
use crate::sql::ast::{self, Query as Tree, TableFactor, TableObject, Visit, Visitor};
use crate::sql::walk::walk;
use crate::sql::{
    CopySource, CreateTable, Dialect, Insert, Name, Parsed, PrepareSource, READ_TIME, Setting, ShowKind, Statement, StoragePrivilege,
};
use crate::store::is_engine;
use crate::types::{Family, same};

/// Who answers a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Flashgate.
    Ours,
    /// The database behind it.
    Upstream,
    /// It names tables of both.
    Both,
}

/// What the names of a statement belong to.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    cold: bool,
    hot: bool,
}

impl Seen {
    fn owner(self) -> Owner {
        match (self.cold, self.hot) {
            (true, true) => Owner::Both,
            (true, false) => Owner::Ours,
            (false, _) => Owner::Upstream,
        }
    }

    fn add(&mut self, cold: Option<bool>) {
        match cold {
            Some(true) => self.cold = true,
            Some(false) => self.hot = true,
            None => {}
        }
    }
}

/// The words of a name in the recycle bin begin so.
const BIN_PREFIX: &str = "file_storage_bin_";

impl Session {
    /// Whose statement is it, as far as it can be read?
    pub fn owner(&self, parsed: &Parsed) -> Owner {
        let catalog = self.instance.gms.catalog();
        Judge::of(self, &catalog).statement(&parsed.statement)
    }

    /// Is the table the upstream's? None is without a way to the upstream.
    pub(super) fn is_hot(&self, name: &Name) -> bool {
        self.is_behind() && self.lane.is_some() && Judge::of(self, &self.instance.gms.catalog()).cold(name) == Some(false)
    }

    /// Does an INSERT put its rows into a hot table?
    pub(super) fn inserts_hot(&self, insert: &Insert) -> bool {
        matches!(&insert.insert.table, TableObject::TableName(name) if self.is_hot(&Name::of(name)))
    }

    /// Is the table to be made at the upstream?
    pub(super) fn makes_hot(&self, create: &CreateTable) -> bool {
        let catalog = self.instance.gms.catalog();
        let ours = create.engine.as_deref().is_some_and(|engine| Judge::of(self, &catalog).is_engine(engine));
        let hot = self.is_hot(&create.name) || (self.is_behind() && Judge::of(self, &catalog).hides(create));
        !ours && create.archive_mode.is_none() && hot && create.like.as_ref().is_none_or(|like| self.is_hot(like))
    }

    /// The names without a schema or database by which a statement names tables of ours.
    pub fn bare_names(&self, parsed: &Parsed) -> BTreeSet<String> {
        let catalog = self.instance.gms.catalog();
        let judge = Judge::of(self, &catalog);
        judge.statement(&parsed.statement);
        judge.bare.into_inner()
    }

    /// A text that cannot be read: does it name something of ours, so that the error is ours to tell?
    pub fn owns_unreadable(&self, text: &str) -> bool {
        let catalog = self.instance.gms.catalog();
        Judge::of(self, &catalog).unreadable(text)
    }
}

/// May a text be ours, whatever the current database? Asked before the upstream is asked for its state, since that leaves
/// traces (ROW_COUNT() and the like). `session`: the one of ours, when there is one.
pub fn may_own(instance: &Instance, session: Option<&Session>, dialect: &Dialect, text: &str) -> bool {
    let catalog = instance.gms.catalog();
    let namespace = Namespace { family: dialect.family, database: None };
    let judge = Judge { instance, session, dialect: *dialect, catalog: &catalog, namespace, anywhere: true, bare: RefCell::default() };
    let read = match session.filter(|session| session.dialect() == *dialect) {
        Some(session) => session.parse_leading(text),
        None => crate::sql::parse_leading(dialect, text),
    };
    match read {
        Ok((statements, broken)) => {
            statements.iter().any(|parsed| judge.statement(&parsed.statement) != Owner::Upstream)
                || (broken.is_some() && judge.unreadable(text))
        }
        Err(_) => judge.unreadable(text),
    }
}

struct Judge<'a> {
    instance: &'a Instance,
    session: Option<&'a Session>,
    dialect: Dialect,
    catalog: &'a Catalog,
    namespace: Namespace,
    /// A bare name may be in any database.
    anywhere: bool,
    /// The bare names of ours that were seen.
    bare: RefCell<BTreeSet<String>>,
}

impl<'a> Judge<'a> {
    fn of(session: &'a Session, catalog: &'a Catalog) -> Judge<'a> {
        Judge {
            instance: &session.instance,
            session: Some(session),
            dialect: session.dialect(),
            catalog,
            namespace: session.namespace(),
            anywhere: false,
            bare: RefCell::default(),
        }
    }

    fn unreadable(&self, text: &str) -> bool {
        let plain = without_comments(&self.dialect, text);
        let mut words = plain.split(|c: char| !(c.is_alphanumeric() || "_$.`\"".contains(c))).filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let is_any = |word: &str, of: &[&str]| of.iter().any(|one| word.eq_ignore_ascii_case(one));
        if is_any(first, &["GRANT", "REVOKE"]) {
            return self.unreadable_grant(&plain);
        }
        if is_any(first, &["CREATE", "DROP", "ALTER", "CLEAR", "SHOW", "PURGE"]) && is_any(second, &["FILESTORAGE", "RECYCLEBIN"]) {
            return true;
        }
        if is_any(first, &["CREATE", "DROP"]) && is_any(second, &["STANDIN"]) {
            return true;
        }
        // PostgreSQL's own, which hides a table of ours of that name: the upstream is asked for that.
        let temporary = self.namespace.family == Family::Postgres
            && is_any(first, &["CREATE"])
            && (is_any(second, &["TEMP", "TEMPORARY"]) || is_any(second, &["LOCAL", "GLOBAL"]));
        let mut before = first;
        std::iter::once(second).chain(words).any(|word| {
            let after_keyword = is_any(before, &["FROM", "JOIN", "INTO", "UPDATE"]) || (is_any(before, &["TABLE"]) && !temporary);
            before = word;
            let parts: Vec<String> = word.split('.').map(|part| part.trim_matches(['`', '"']).to_owned()).collect();
            after_keyword && self.parts(&parts) == Some(true)
        })
    }

    /// A temporary table of PostgreSQL hides one of ours of its name, and is the upstream's.
    fn hides(&self, create: &CreateTable) -> bool {
        create.temporary && self.namespace.family == Family::Postgres
    }

    /// A GRANT that cannot be read is the upstream's, unless it says what only ours say. What follows it counts as well.
    fn unreadable_grant(&self, text: &str) -> bool {
        let mut rest = text;
        while !rest.is_empty() {
            let (grant, behind) = rest.split_once(';').unwrap_or((rest, ""));
            let words: Vec<String> = grant.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_ascii_uppercase).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
            if !matches!(words.first(), None | Some(&("GRANT" | "REVOKE"))) {
                return self.unreadable(rest);
            }
            let storage = words.get(1).is_some_and(|word| StoragePrivilege::of_word(word).is_some());
            if words.windows(3).any(|three| three == ["ON", "COLD", "TABLE"])
                || (storage && words.windows(2).any(|two| two == ["ON", "FILESTORAGE"]))
            {
                return true;
            }
            rest = behind;
        }
        false
    }

    fn statement(&self, statement: &Statement) -> Owner {
        match statement {
            Statement::Query(query) | Statement::DeclareCursor { query, .. } => self.query(&query.query),
            Statement::SelectInto { query, .. } => self.query(&query.query),
            Statement::Explain(explain) => self.statement(&explain.inner),
            Statement::Insert(insert) => {
                let mut seen = self.walk(insert.insert.as_ref());
                if let TableObject::TableName(name) = &insert.insert.table {
                    seen.add(self.cold(&Name::of(name)));
                }
                seen.owner()
            }
            Statement::Update(update) => self.walk(update.as_ref()).owner(),
            Statement::Delete(delete) => self.walk(delete.as_ref()).owner(),
            Statement::Truncate { names }
            | Statement::DropTable { names, .. }
            | Statement::DropView { names, .. }
            | Statement::OptimizeTable { names }
            | Statement::AnalyzeTable { names }
            | Statement::CheckTable { names } => self.names(names),
            Statement::LockTables(tables) => self.names(tables.iter().map(|(name, _)| name)),
            Statement::RenameTable { pairs } => self.names(pairs.iter().map(|(from, _)| from)),
            Statement::CreateTable(create) => {
                let mut seen = Seen::default();
                if create.engine.as_deref().is_some_and(|engine| self.is_engine(engine)) {
                    seen.add(Some(true));
                } else {
                    seen.add(Some(!self.hides(create) && self.cold(&create.name) == Some(true)));
                }
                seen.add(create.like.as_ref().and_then(|name| self.cold(name)));
                if let Some(query) = &create.as_query {
                    let of = self.walk(query.query.as_ref());
                    (seen.cold, seen.hot) = (seen.cold | of.cold, seen.hot | of.hot);
                }
                seen.owner()
            }
            Statement::CreateView(create) => {
                let mut seen = self.walk(create.query.query.as_ref());
                seen.cold |= self.cold(&create.name) == Some(true);
                seen.owner()
            }
            Statement::AlterTable(alter) => self.names([&alter.name]),
            Statement::Describe { table, .. }
            | Statement::CreateIndex { table, .. }
            | Statement::Comment { table, .. }
            | Statement::DropIndex { table: Some(table), .. }
            | Statement::ShowFiles { table, .. } => self.names([table]),
            Statement::FlashbackTable { .. } | Statement::PurgeTable { .. } => Owner::Ours,
            Statement::ShowRecycleBin
            | Statement::PurgeRecycleBin
            | Statement::CreateFileStorage { .. }
            | Statement::DropFileStorage { .. }
            | Statement::ClearFileStorage { .. }
            | Statement::AlterFileStorage { .. }
            | Statement::ShowFlashgate(_)
            | Statement::ShowFileStorage
            | Statement::Grant(_)
            | Statement::StandIn(_)
            | Statement::ShowColdGrants(_) => Owner::Ours,
            Statement::Begin(begin) if begin.as_of.is_some() => Owner::Ours,
            Statement::Set(settings) => {
                let mut seen = Seen::default();
                for setting in settings {
                    match setting {
                        // A constant is anyone's; the value goes where the variable lives.
                        Setting::User { value, .. } => {
                            let of = self.walk(value);
                            (seen.cold, seen.hot) = (seen.cold | of.cold, seen.hot | of.hot);
                        }
                        setting => seen.add(Some(self.is_own_setting(setting))),
                    }
                }
                seen.owner()
            }
            Statement::Reset(Some(name)) if same(name, READ_TIME) => Owner::Ours,
            Statement::Show(show) => match &show.kind {
                ShowKind::Columns { table, .. }
                | ShowKind::Index { table }
                | ShowKind::CreateTable(table)
                | ShowKind::CreateView(table) => self.names([table]),
                ShowKind::Setting(name) if same(name, READ_TIME) => Owner::Ours,
                // The upstream's tables, then ours.
                ShowKind::Tables { database, .. } | ShowKind::TableStatus { database } if self.has_tables(database.as_deref()) => {
                    Owner::Both
                }
                _ => Owner::Upstream,
            },
            Statement::Prepare { source, .. } => match source {
                PrepareSource::Statement { statement, .. } => self.statement(statement),
                PrepareSource::Text(text) => match crate::sql::parse(&self.dialect, text).as_deref() {
                    Ok([inner]) => self.statement(&inner.statement),
                    _ => Owner::Upstream,
                },
                // What the variable holds is known to the upstream alone.
                PrepareSource::Variable(_) => Owner::Upstream,
            },
            Statement::Execute { name, .. } | Statement::Deallocate(Some(name)) => {
                if self.session.is_some_and(|session| session.prepared_statement(name).is_some()) { Owner::Ours } else { Owner::Upstream }
            }
            Statement::Fetch { name, .. } | Statement::CloseCursor(Some(name)) => {
                if self.session.is_some_and(|session| session.cursors.has(name)) { Owner::Ours } else { Owner::Upstream }
            }
            Statement::Copy(copy) => match &copy.source {
                CopySource::Table { name, .. } => self.names([name]),
                CopySource::Query(query) => self.query(&query.query),
            },
            Statement::LoadData(load) => self.names([&load.table]),
            // It runs a statement of ours, and perhaps one of the upstream's for that.
            Statement::Kill { id, .. } => {
                let id = id.to_string().parse().ok();
                if id.is_some_and(|id| self.instance.sessions.running_foreign(id).is_some()) { Owner::Ours } else { Owner::Upstream }
            }
            _ => Owner::Upstream,
        }
    }

    fn query(&self, query: &Tree) -> Owner {
        self.walk(query).owner()
    }

    fn names<'n>(&self, names: impl IntoIterator<Item = &'n Name>) -> Owner {
        let mut seen = Seen::default();
        names.into_iter().for_each(|name| seen.add(self.cold(name)));
        seen.owner()
    }

    fn walk(&self, tree: &impl Visit) -> Seen {
        let mut tables = Tables { judge: self, seen: Seen::default(), scopes: Vec::new(), bodies: HashMap::new() };
        let _ = walk(tree, &mut tables);
        tables.seen
    }

    fn cold(&self, name: &Name) -> Option<bool> {
        self.parts(&name.parts)
    }

    /// Is it a table of ours? None: it is one that both have, such as information_schema's.
    fn parts(&self, parts: &[String]) -> Option<bool> {
        if let ([name], true) = (parts, self.anywhere) {
            return Some(self.catalog.has_name(name) || starts_with(name, BIN_PREFIX));
        }
        if self.anywhere && self.namespace.family == Family::Postgres {
            // The schema's database is not known yet.
            return Some(parts.last().is_some_and(|name| self.catalog.has_name(name) || starts_with(name, "file_storage")));
        }
        if let [name] = parts
            && self.session.is_some_and(|session| session.hidden_names.covers(name))
        {
            return Some(false);
        }
        match self.namespace.locate(parts, |_, _| false) {
            Ok(Located::Table { database, name }) => {
                let ours = self.catalog.table(&database, &name).is_some() || self.catalog.view(&database, &name).is_some();
                if let (true, [bare]) = (ours, parts) {
                    self.bare.borrow_mut().insert(bare.clone());
                }
                Some(ours || starts_with(&name, BIN_PREFIX))
            }
            Ok(Located::Virtual { name, .. }) if starts_with(&name, "file_storage") => Some(true),
            Ok(Located::Virtual { .. }) => None,
            Err(_) => Some(false),
        }
    }

    /// Has the database (none: the current one) tables of ours that a listing would show?
    fn has_tables(&self, database: Option<&str>) -> bool {
        if !self.instance.config().upstream.list_cold_tables {
            return false;
        }
        match database.or(self.namespace.database.as_deref()) {
            Some(database) => self.catalog.tables(database).next().is_some() || self.catalog.views(database).next().is_some(),
            None => self.anywhere && self.catalog.all_tables().next().is_some(),
        }
    }

    fn is_engine(&self, engine: &str) -> bool {
        is_engine(engine) || self.catalog.storage(engine).is_some()
    }

    fn is_own_setting(&self, setting: &Setting) -> bool {
        match setting {
            Setting::ReadTime { .. } => true,
            Setting::System { name, .. } => same(name, READ_TIME),
            _ => false,
        }
    }
}

/// The text with its comments and 'strings' left out.
fn without_comments(dialect: &Dialect, text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let code = rest.strip_prefix("/*").filter(|_| dialect.is_mysql()).and_then(|inside| dialect.server.code_in(inside.as_bytes()));
        let skipped = if let Some(code) = code {
            Some(2 + code)
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if rest.starts_with("--") || (first == '#' && dialect.is_mysql()) {
            rest.find('\n')
        } else if first == '\'' {
            let escapes = if dialect.is_mysql() { !dialect.no_backslash_escapes } else { plain.ends_with(['E', 'e']) };
            end_of_string(rest, escapes)
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        plain.push(' ');
        rest = skipped.map_or("", |end| &rest[end..]);
    }
    plain
}

/// Where the string ends that the text begins with.
fn end_of_string(text: &str, escapes: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if escapes => escaped = true,
            b'\'' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Looks at the tables of a tree, names of WITH left out where they hide a table.
struct Tables<'a> {
    judge: &'a Judge<'a>,
    seen: Seen,
    /// The names that WITH gives, per query that is open; how many of them are visible where we are.
    scopes: Vec<(Vec<String>, usize)>,
    /// Bodies of WITH, by address: how many names of their query they see, when they are not recursive.
    bodies: HashMap<*const Tree, (usize, usize, usize)>,
}

impl Visitor for Tables<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Tree) -> std::ops::ControlFlow<()> {
        if let Some((scope, before, _)) = self.bodies.get(&std::ptr::from_ref(query)).copied() {
            self.scopes[scope].1 = before;
        }
        let names: Vec<String> = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.clone()).collect();
        if let Some(with) = query.with.as_ref().filter(|with| !with.recursive) {
            for (index, cte) in with.cte_tables.iter().enumerate() {
                self.bodies.insert(std::ptr::from_ref(cte.query.as_ref()), (self.scopes.len(), index, names.len()));
            }
        }
        let all = names.len();
        self.scopes.push((names, all));
        std::ops::ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Tree) -> std::ops::ControlFlow<()> {
        self.scopes.pop();
        if let Some((scope, _, all)) = self.bodies.get(&std::ptr::from_ref(query)).copied() {
            self.scopes[scope].1 = all;
        }
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> std::ops::ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor {
            let name = Name::of(name);
            let hidden = name.parts.len() == 1
                && self.scopes.iter().any(|(names, visible)| names[..*visible].iter().any(|known| same(known, name.name())));
            if !hidden && !name.name().eq_ignore_ascii_case("dual") {
                self.seen.add(self.judge.cold(&name));
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> std::ops::ControlFlow<()> {
        // SELECT @@flashback_read_time
        let name = match expr {
            ast::Expr::Identifier(ident) => Some(ident),
            ast::Expr::CompoundIdentifier(parts) => parts.last().filter(|_| parts.first().is_some_and(|p| p.value.starts_with("@@"))),
            _ => None,
        };
        if name.is_some_and(|ident| same(ident.value.trim_start_matches('@'), READ_TIME)) {
            self.seen.add(Some(true));
        }
        std::ops::ControlFlow::Continue(())
    }
}
