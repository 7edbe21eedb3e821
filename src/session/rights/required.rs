//! The privileges that a statement requires. In doubt it requires more, never less.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::{RequiredPrivilege, Rights, key};
use crate::engine::{Located, Namespace};
use crate::session::state::Session;
use crate::sql::ast::{Expr, FromTable, TableFactor, Visit, Visitor};
use crate::sql::walk::walk;
use crate::sql::{
    AlterAction, CopySource, Dialect, Insert, Name, PrepareSource, Setting, ShowFilter, ShowKind, StandIn, Statement, StorageAction,
    StoragePrivilege, TablePrivilege, Topic,
};
use crate::types::fold;

/// The privileges that `statement` requires, in the order in which they are checked.
pub(super) fn privileges_of(session: &Session, rights: &Rights, statement: &Statement) -> Vec<RequiredPrivilege> {
    let mut collector = Collector { session, rights, required: Vec::new(), opened: HashSet::new() };
    collector.statement(statement);
    collector.required
}

struct Collector<'a> {
    session: &'a Session,
    rights: &'a Rights,
    required: Vec<RequiredPrivilege>,
    /// Views whose definition was read already.
    opened: HashSet<(String, String)>,
}

impl Collector<'_> {
    fn statement(&mut self, statement: &Statement) {
        use TablePrivilege::{Alter, Create, Drop, Insert as Add, Select};
        match statement {
            Statement::Query(query) | Statement::DeclareCursor { query, .. } | Statement::SelectInto { query, .. } => {
                self.reads(query.query.as_ref());
            }
            Statement::Explain(explain) => self.statement(&explain.inner),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(_) | Statement::Delete(_) => self.change(statement),
            Statement::Truncate { names } | Statement::DropTable { names, .. } | Statement::DropView { names, .. } => {
                names.iter().for_each(|name| self.table(Drop, name));
            }
            Statement::CreateTable(create) => {
                // Who may make a hot table is the upstream's to say.
                if !self.session.makes_hot(create) {
                    self.table(Create, &create.name);
                }
                create.like.iter().for_each(|name| self.table(Select, name));
                create.as_query.iter().for_each(|query| self.reads(query.query.as_ref()));
            }
            Statement::CreateView(create) => {
                self.table(Create, &create.name);
                if create.or_replace {
                    self.table(Drop, &create.name);
                }
                self.reads(create.query.query.as_ref());
            }
            Statement::AlterTable(alter) => {
                self.table(Alter, &alter.name);
                alter.actions.iter().for_each(|action| self.alter(&alter.name, action));
            }
            Statement::RenameTable { pairs } => {
                for (from, to) in pairs {
                    self.rename(from, to);
                }
            }
            Statement::OptimizeTable { names } => names.iter().for_each(|name| self.table(Alter, name)),
            Statement::CreateIndex { table, .. } | Statement::Comment { table, .. } => self.table(Alter, table),
            Statement::DropIndex { name, table, .. } => self.table(Alter, table.as_ref().unwrap_or(name)),
            Statement::AnalyzeTable { names } | Statement::CheckTable { names } => names.iter().for_each(|name| self.some(name)),
            Statement::Describe { table, .. } | Statement::ShowFiles { table, .. } => self.some(table),
            Statement::Show(show) => {
                if let ShowKind::Columns { table, .. }
                | ShowKind::Index { table }
                | ShowKind::CreateTable(table)
                | ShowKind::CreateView(table) = &show.kind
                {
                    self.some(table);
                }
                if let Some(ShowFilter::Where(condition)) = &show.filter {
                    self.reads(condition.as_ref());
                }
            }
            // It tells what DESCRIBE tells; the rest is the upstream's to allow.
            Statement::StandIn(StandIn::Create { names, .. }) => names.iter().for_each(|name| self.some(name)),
            Statement::LockTables(tables) => tables.iter().for_each(|(name, _)| self.table(Select, name)),
            Statement::LoadData(load) => self.table(Add, &load.table),
            Statement::Copy(copy) => match &copy.source {
                CopySource::Table { name, .. } if copy.from => self.table(Add, name),
                CopySource::Table { name, .. } => {
                    self.table(Select, name);
                    self.read(&self.session.namespace(), name);
                }
                CopySource::Query(query) => self.reads(query.query.as_ref()),
            },
            Statement::CreateDatabase { name, .. } => self.database(Create, name),
            Statement::DropDatabase { name, .. } => self.database(Drop, name),

            Statement::ShowFileStorage => self.storage(StoragePrivilege::Backup),
            Statement::AlterFileStorage { action, .. } => self.storage(match action {
                StorageAction::Backup => StoragePrivilege::Backup,
                StorageAction::AsOf(_) => StoragePrivilege::Restore,
                StorageAction::PurgeBefore(_) | StorageAction::Set(_) => StoragePrivilege::Admin,
            }),
            Statement::ShowRecycleBin | Statement::FlashbackTable { .. } => self.storage(StoragePrivilege::Restore),
            Statement::PurgeTable { .. }
            | Statement::PurgeRecycleBin
            | Statement::CreateFileStorage { .. }
            | Statement::DropFileStorage { .. }
            | Statement::ClearFileStorage { .. }
            | Statement::Grant(_) => self.storage(StoragePrivilege::Admin),
            Statement::ShowColdGrants(Some(user)) if !self.rights.is_own(&key(self.session.family(), user)) => {
                self.storage(StoragePrivilege::Admin);
            }

            Statement::Prepare { source, .. } | Statement::ExecuteImmediate { source, .. } => match source {
                PrepareSource::Statement { statement, .. } => self.statement(statement),
                PrepareSource::Text(text) => {
                    let parsed = crate::sql::parse(&self.session.dialect(), text).unwrap_or_default();
                    parsed.iter().for_each(|inner| self.statement(&inner.statement));
                }
                // Its text is looked at when it is executed.
                PrepareSource::Variable(_) | PrepareSource::Expr { .. } => {}
            },
            Statement::Execute { name, args } => {
                args.iter().for_each(|arg| self.reads(arg));
                if let Some(inner) = self.session.prepared_statement(name) {
                    self.statement(&inner.statement);
                }
            }
            Statement::Set(settings) => settings.iter().for_each(|setting| self.setting(setting)),
            Statement::Do(expressions) => expressions.iter().for_each(|e| self.reads(e)),
            Statement::Kill { id, .. } => self.reads(id),

            Statement::ShowFlashgate(topic) => match topic {
                Topic::Version => {}
                // They tell of others' connections, of all tables, and of the server's machine.
                Topic::Status | Topic::Sessions | Topic::Config => self.storage(StoragePrivilege::Admin),
            },

            Statement::ShowColdGrants(_)
            | Statement::StandIn(_)
            | Statement::Begin(_)
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint(_)
            | Statement::RollbackTo(_)
            | Statement::Release(_)
            | Statement::SetTransaction { .. }
            | Statement::Reset(_)
            | Statement::Discard(_)
            | Statement::Unlisten(_)
            | Statement::Use(_)
            | Statement::Deallocate(_)
            | Statement::Fetch { .. }
            | Statement::CloseCursor(_)
            | Statement::UnlockTables
            | Statement::Flush(_)
            | Statement::Unsupported(_) => {}
        }
    }

    fn setting(&mut self, setting: &Setting) {
        match setting {
            Setting::User { value, .. } => self.reads(value),
            Setting::System { values, .. } => values.iter().for_each(|value| self.reads(value)),
            Setting::Names { .. } | Setting::Charset(_) | Setting::ReadTime { .. } => {}
        }
    }

    fn insert(&mut self, insert: &Insert) {
        if let crate::sql::ast::TableObject::TableName(name) = &insert.insert.table
            && !self.session.inserts_hot(insert)
        {
            self.table(TablePrivilege::Insert, &Name::of(name));
        }
        self.reads(insert.insert.as_ref());
    }

    /// UPDATE and DELETE: what is read needs SELECT, the target's own rows included when a column of them is named.
    fn change(&mut self, statement: &Statement) {
        let (privilege, tables, reads, alone) = match statement {
            Statement::Update(update) => {
                let alone = update.table.joins.is_empty() && update.from.is_none();
                (TablePrivilege::Update, factors(update.as_ref()), names_columns(update.as_ref()), alone.then_some(&update.table.relation))
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                let alone = match from.as_slice() {
                    [one] if one.joins.is_empty() && delete.using.is_none() && delete.tables.is_empty() => Some(&one.relation),
                    _ => None,
                };
                (TablePrivilege::Delete, factors(delete.as_ref()), names_columns(delete.as_ref()), alone)
            }
            _ => return,
        };
        if let Some(TableFactor::Table { name, .. }) = alone {
            self.table(privilege, &Name::of(name));
        }
        if reads || alone.is_none() || tables.len() > 1 {
            let namespace = self.session.namespace();
            tables.iter().for_each(|name| self.read(&namespace, name));
        }
        if alone.is_none()
            && let Some(target) = self.session.change_target(statement)
        {
            self.required.push(RequiredPrivilege::Table { privilege, database: target.database.clone(), table: target.name.clone() });
        }
    }

    fn alter(&mut self, table: &Name, action: &AlterAction) {
        match action {
            AlterAction::Rename(to) => self.rename(table, to),
            AlterAction::DropFile(_) => self.table(TablePrivilege::Delete, table),
            // The file may be another table's, and its history is not to be lost.
            AlterAction::AddFile(_) | AlterAction::PurgeBefore { .. } => self.storage(StoragePrivilege::Admin),
            _ => {}
        }
    }

    fn rename(&mut self, from: &Name, to: &Name) {
        self.table(TablePrivilege::Alter, from);
        self.table(TablePrivilege::Drop, from);
        let Ok((database, _)) = self.session.namespace().table(&from.parts) else { return };
        if let Ok((database, table)) = self.session.rename_target(&database, to) {
            self.required.push(RequiredPrivilege::Table { privilege: TablePrivilege::Create, database, table });
        }
    }

    fn storage(&mut self, privilege: StoragePrivilege) {
        self.required.push(RequiredPrivilege::Storage(privilege));
    }

    /// A name that cannot be placed is the statement's own error.
    fn table(&mut self, privilege: TablePrivilege, name: &Name) {
        if let Ok((database, table)) = self.session.namespace().table(&name.parts) {
            self.required.push(RequiredPrivilege::Table { privilege, database, table });
        }
    }

    fn some(&mut self, name: &Name) {
        if let Ok((database, table)) = self.session.namespace().table(&name.parts) {
            self.required.push(RequiredPrivilege::Some { database, table });
        }
    }

    fn database(&mut self, privilege: TablePrivilege, name: &Name) {
        let database = name.parts.join(".");
        self.required.push(RequiredPrivilege::Table { privilege, database, table: super::EVERY.to_owned() });
    }

    /// Every table that a tree reads. A name that WITH gives is taken for a table all the same: two readings of its scope
    /// must not become a way in.
    fn reads(&mut self, tree: &impl Visit) {
        let namespace = self.session.namespace();
        factors(tree).iter().for_each(|name| self.read(&namespace, name));
    }

    /// A table is read; of a view, what it reads too.
    fn read(&mut self, namespace: &Namespace, name: &Name) {
        let Ok(Located::Table { database, name: table }) = namespace.locate(&name.parts, |_, _| false) else { return };
        let catalog = std::sync::Arc::clone(&self.rights.catalog);
        let view = catalog.view(&database, &table);
        if view.is_none() && catalog.table(&database, &table).is_none() {
            return;
        }
        self.required.push(RequiredPrivilege::Table {
            privilege: TablePrivilege::Select,
            database: database.clone(),
            table: table.clone(),
        });
        let Some(view) = view.filter(|_| self.opened.insert((fold(&database), fold(&table)))) else { return };
        let dialect = if view.dialect == "postgres" { Dialect::POSTGRES } else { Dialect::MYSQL };
        let inner = Namespace { family: namespace.family, database: Some(view.database.clone()) };
        for parsed in crate::sql::parse(&dialect, &view.definition).unwrap_or_default() {
            if let Statement::Query(query) = &parsed.statement {
                factors(query.query.as_ref()).iter().for_each(|name| self.read(&inner, name));
            }
        }
    }
}

/// The tables that a tree names.
fn factors(tree: &impl Visit) -> Vec<Name> {
    struct Factors(Vec<Name>);
    impl Visitor for Factors {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, .. } = factor {
                self.0.push(Name::of(name));
            }
            ControlFlow::Continue(())
        }
    }
    let mut factors = Factors(Vec::new());
    let _ = walk(tree, &mut factors);
    factors.0
}

/// Does the tree name any column in an expression?
fn names_columns(tree: &impl Visit) -> bool {
    struct Columns;
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    walk(tree, &mut Columns).is_break()
}
