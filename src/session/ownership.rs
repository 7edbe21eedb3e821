//! Whose is a statement, in front of an upstream? It is ours only if it really names something that Flashgate owns.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::state::Session;
use crate::engine::{Located, Namespace};
use crate::gms::Catalog;
use crate::node::Node;
use crate::sql::ast::{self, Query as Tree, TableFactor, TableObject, Visit, Visitor};
use crate::sql::walk::walk;
use crate::sql::{
    AlterAction, CopySource, CreateTable, Dialect, Insert, Name, Parsed, PrepareSource, READ_TIME, Setting, ShowKind, Statement,
};
use crate::store::is_engine;
use crate::types::{Family, same};

/// Who answers a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Flashgate.
    Flashgate,
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
            (true, false) => Owner::Flashgate,
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
        let catalog = self.node.gms.catalog();
        OwnerResolver::of(self, &catalog).in_any_schema().statement(&parsed.statement)
    }

    /// The same, as if no name was hidden.
    pub fn owner_unhidden(&self, parsed: &Parsed) -> Owner {
        let catalog = self.node.gms.catalog();
        OwnerResolver::of(self, &catalog).in_any_schema().unhidden().statement(&parsed.statement)
    }

    /// Has a schema a cold table or view of this name?
    pub fn has_cold(&self, schema: &str, name: &str) -> bool {
        let catalog = self.node.gms.catalog();
        self.namespace().database_of_schema(schema).is_ok_and(|database| OwnerResolver::of(self, &catalog).has(&database, name))
    }

    /// Is the table the upstream's? None is without a way to the upstream.
    pub(super) fn is_hot(&self, name: &Name) -> bool {
        self.has_upstream() && self.upstream.handle.is_some() && OwnerResolver::of(self, &self.node.gms.catalog()).cold(name) == Some(false)
    }

    /// Does an INSERT put its rows into a hot table?
    pub(super) fn inserts_hot(&self, insert: &Insert) -> bool {
        matches!(&insert.insert.table, TableObject::TableName(name) if self.is_hot(&Name::of(name)))
    }

    /// Is the table to be made at the upstream?
    pub(super) fn makes_hot(&self, create: &CreateTable) -> bool {
        let catalog = self.node.gms.catalog();
        let ours = create.shadow || create.engine.as_deref().is_some_and(|engine| OwnerResolver::of(self, &catalog).is_engine(engine));
        let hot = self.is_hot(&create.name) || (self.has_upstream() && OwnerResolver::of(self, &catalog).hides(create));
        !ours && create.archive_mode.is_none() && hot && create.like.as_ref().is_none_or(|like| self.is_hot(like))
    }

    /// The names without a schema or database by which a statement names tables of ours.
    pub fn bare_names(&self, parsed: &Parsed) -> BTreeSet<String> {
        let catalog = self.node.gms.catalog();
        let resolver = OwnerResolver::of(self, &catalog).in_any_schema();
        resolver.statement(&parsed.statement);
        resolver.bare.into_inner()
    }

    /// The same, as if no name was hidden.
    pub fn bare_names_unhidden(&self, parsed: &Parsed) -> BTreeSet<String> {
        let catalog = self.node.gms.catalog();
        let resolver = OwnerResolver::of(self, &catalog).in_any_schema().unhidden();
        resolver.statement(&parsed.statement);
        resolver.bare.into_inner()
    }
}

pub(super) struct OwnerResolver<'a> {
    pub(super) node: &'a Node,
    pub(super) session: Option<&'a Session>,
    pub(super) dialect: Dialect,
    pub(super) catalog: &'a Catalog,
    pub(super) namespace: Namespace,
    /// A bare name may be in any database.
    pub(super) anywhere: bool,
    /// A bare name may be in any schema of the database: the search_path is the upstream's to know (PostgreSQL).
    pub(super) in_any_schema: bool,
    /// Names that the session hides are looked up like all others.
    pub(super) unhidden: bool,
    /// The bare names of ours that were seen.
    pub(super) bare: RefCell<BTreeSet<String>>,
}

impl<'a> OwnerResolver<'a> {
    pub(super) fn of(session: &'a Session, catalog: &'a Catalog) -> OwnerResolver<'a> {
        OwnerResolver {
            node: &session.node,
            session: Some(session),
            dialect: session.dialect(),
            catalog,
            namespace: session.namespace(),
            anywhere: false,
            in_any_schema: false,
            unhidden: false,
            bare: RefCell::default(),
        }
    }

    pub(super) fn in_any_schema(self) -> OwnerResolver<'a> {
        OwnerResolver { in_any_schema: self.namespace.family == Family::Postgres, ..self }
    }

    pub(super) fn unhidden(self) -> OwnerResolver<'a> {
        OwnerResolver { unhidden: true, ..self }
    }

    /// A temporary table of PostgreSQL hides one of ours of its name, and is the upstream's.
    fn hides(&self, create: &CreateTable) -> bool {
        create.temporary && self.namespace.family == Family::Postgres
    }

    pub(super) fn statement(&self, statement: &Statement) -> Owner {
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
            Statement::Delete(delete) => self.delete(delete).owner(),
            Statement::Truncate { names }
            | Statement::DropTable { names, .. }
            | Statement::DropView { names, .. }
            | Statement::OptimizeTable { names }
            | Statement::AnalyzeTable { names }
            | Statement::CheckTable { names } => self.names(names),
            Statement::LockTables(tables) => self.names(tables.iter().map(|(name, _)| name)),
            Statement::RenameTable { pairs } => {
                let mut seen = Seen::default();
                for (from, to) in pairs {
                    seen.add(self.cold(from));
                    seen.cold |= self.is_taken(to);
                }
                seen.owner()
            }
            Statement::CreateTable(create) => {
                let mut seen = Seen::default();
                if create.shadow || create.engine.as_deref().is_some_and(|engine| self.is_engine(engine)) {
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
                seen.cold |= create.shadow || self.cold(&create.name) == Some(true);
                seen.owner()
            }
            Statement::AlterTable(alter) => {
                let mut seen = Seen::default();
                seen.add(self.cold(&alter.name));
                seen.cold |= alter.actions.iter().any(|action| matches!(action, AlterAction::Rename(to) if self.is_taken(to)));
                seen.owner()
            }
            Statement::Describe { table, .. }
            | Statement::CreateIndex { table, .. }
            | Statement::Comment { table, .. }
            | Statement::DropIndex { table: Some(table), .. }
            | Statement::ShowFiles { table, .. } => self.names([table]),
            Statement::FlashbackTable { .. } | Statement::PurgeTable { .. } => Owner::Flashgate,
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
            | Statement::ShowColdGrants(_) => Owner::Flashgate,
            Statement::Begin(begin) if begin.as_of.is_some() => Owner::Flashgate,
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
            Statement::Reset(Some(name)) if same(name, READ_TIME) => Owner::Flashgate,
            Statement::Show(show) => match &show.kind {
                ShowKind::Columns { table, .. }
                | ShowKind::Index { table }
                | ShowKind::CreateTable(table)
                | ShowKind::CreateView(table) => self.names([table]),
                ShowKind::Setting(name) if same(name, READ_TIME) => Owner::Flashgate,
                // The upstream's tables, then ours.
                ShowKind::Tables { database, .. } | ShowKind::TableStatus { database } if self.has_tables(database.as_deref()) => {
                    Owner::Both
                }
                _ => Owner::Upstream,
            },
            // Only MariaDB knows these.
            Statement::ExecuteImmediate { .. } | Statement::Prepare { source: PrepareSource::Expr { .. }, .. }
                if self.dialect.is_mysql() && !self.dialect.server.mariadb =>
            {
                Owner::Upstream
            }
            Statement::Prepare { source, .. } | Statement::ExecuteImmediate { source, .. } => match source {
                PrepareSource::Statement { statement, .. } => self.statement(statement),
                PrepareSource::Text(text) => self.single(text),
                // What they hold is known to the upstream alone, which is asked for it where it may matter.
                PrepareSource::Variable(_) | PrepareSource::Expr { .. } => {
                    let any = self.catalog.all_tables().next().is_some() || self.catalog.all_views().next().is_some();
                    if self.anywhere && any { Owner::Flashgate } else { Owner::Upstream }
                }
            },
            Statement::Execute { name, .. } | Statement::Deallocate(Some(name)) => {
                if self.session.is_some_and(|session| session.prepared_statement(name).is_some()) {
                    Owner::Flashgate
                } else {
                    Owner::Upstream
                }
            }
            Statement::Fetch { name, .. } | Statement::CloseCursor(Some(name)) => {
                if self.session.is_some_and(|session| session.cursors.has(name)) { Owner::Flashgate } else { Owner::Upstream }
            }
            Statement::Copy(copy) => match &copy.source {
                CopySource::Table { name, .. } => self.names([name]),
                CopySource::Query(query) => self.query(&query.query),
            },
            Statement::LoadData(load) => self.names([&load.table]),
            // It runs a statement of ours, and perhaps one of the upstream's for that.
            Statement::Kill { id, .. } => {
                let id = id.to_string().parse().ok();
                if id.is_some_and(|id| self.node.sessions.running_foreign(id).is_some()) { Owner::Flashgate } else { Owner::Upstream }
            }
            _ => Owner::Upstream,
        }
    }

    /// In MySQL what stands before USING are names of the tables behind it.
    fn delete(&self, delete: &ast::Delete) -> Seen {
        match &delete.using {
            Some(_) if self.dialect.is_mysql() => {
                let mut rest = delete.clone();
                let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) = &mut rest.from;
                from.clear();
                self.walk(&rest)
            }
            _ => self.walk(delete),
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
        let mut tables = Tables { resolver: self, seen: Seen::default(), scopes: Vec::new(), bodies: HashMap::new() };
        let _ = walk(tree, &mut tables);
        tables.seen
    }

    /// Would a table of this new name be hidden by a cold one? In PostgreSQL a new name stays in the table's schema, which is
    /// not known here.
    fn is_taken(&self, to: &Name) -> bool {
        self.dialect.is_mysql() && self.cold(to) == Some(true)
    }

    fn cold(&self, name: &Name) -> Option<bool> {
        self.parts(&name.parts)
    }

    /// Is it a table of ours? None: it is one that both have, such as information_schema's.
    pub(super) fn parts(&self, parts: &[String]) -> Option<bool> {
        if let ([name], true) = (parts, self.anywhere) {
            return Some(self.catalog.has_name(name) || starts_with(name, BIN_PREFIX));
        }
        if self.anywhere && self.namespace.family == Family::Postgres {
            // The schema's database is not known yet.
            return Some(parts.last().is_some_and(|name| self.catalog.has_name(name) || starts_with(name, "file_storage")));
        }
        if let [name] = parts
            && !self.unhidden
            && self.session.is_some_and(|session| session.upstream.hidden_names.covers(name))
        {
            return Some(false);
        }
        match self.namespace.locate(parts, |_, _| false) {
            Ok(Located::Table { database, name }) => {
                let ours = self.has(&database, &name) || parts.len() == 1 && self.in_any_schema && self.is_elsewhere(&database, &name);
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

    fn has(&self, database: &str, name: &str) -> bool {
        self.catalog.table(database, name).is_some() || self.catalog.view(database, name).is_some()
    }

    /// Has another schema of the database a cold table of this name?
    fn is_elsewhere(&self, database: &str, name: &str) -> bool {
        let is_schema =
            |of: &str| of.get(..database.len()).is_some_and(|start| same(start, database)) && of[database.len()..].starts_with('.');
        let tables = self.catalog.all_tables().map(|table| (&table.database, &table.name));
        let mut all = tables.chain(self.catalog.all_views().map(|view| (&view.database, &view.name)));
        self.catalog.has_name(name) && all.any(|(of, known)| same(known, name) && is_schema(of))
    }

    /// Has the database (none: the current one) tables of ours that a listing would show?
    fn has_tables(&self, database: Option<&str>) -> bool {
        if !self.node.config().upstream.list_cold_tables {
            return false;
        }
        match database.or(self.namespace.database.as_deref()) {
            Some(database) => self.catalog.tables(database).next().is_some() || self.catalog.views(database).next().is_some(),
            None => self.anywhere && self.catalog.all_tables().next().is_some(),
        }
    }

    pub(super) fn is_engine(&self, engine: &str) -> bool {
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

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Looks at the tables of a tree, names of WITH left out where they hide a table.
struct Tables<'a> {
    resolver: &'a OwnerResolver<'a>,
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
                self.seen.add(self.resolver.cold(&name));
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> std::ops::ControlFlow<()> {
        // SELECT @@flashback_read_time
        let name = match expr {
            ast::Expr::Identifier(ident) => Some(ident).filter(|ident| ident.value.starts_with("@@")),
            ast::Expr::CompoundIdentifier(parts) => parts.last().filter(|_| parts.first().is_some_and(|p| p.value.starts_with("@@"))),
            _ => None,
        };
        if name.is_some_and(|ident| same(ident.value.trim_start_matches('@'), READ_TIME)) {
            self.seen.add(Some(true));
        }
        std::ops::ControlFlow::Continue(())
    }
}
