//! ALTER TABLE: columns, files, names. One statement is one commit.

use std::sync::Arc;

use super::tables::{check_default, new_column};
use crate::cold::Delta;
use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::session::call::Call;
use crate::session::changes::column_index;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{AddedFile, AlterAction, AlterTable, ColumnPosition, Name, Parsed};
use crate::types::{Column, Default, Family, SqlType, same};

impl Session {
    pub(in crate::session) async fn alter_table(&mut self, alter: &AlterTable, parsed: &Parsed, call: &Call) -> Result<Reply> {
        if let [AlterAction::PurgeBefore { time, mode }] = alter.actions.as_slice() {
            let table = self.table(&alter.name)?;
            return self.purge_table_before(&table, time, *mode, parsed, call).await;
        }
        let alone = |action: &AlterAction| matches!(action, AlterAction::DropFile(_) | AlterAction::AddFile(_) | AlterAction::Rename(_));
        if alter.actions.len() > 1 && alter.actions.iter().any(alone) {
            return Err(Error::unsupported("ADD FILE, DROP FILE or RENAME beside another action of one ALTER TABLE")
                .with_hint("each of them is a commit of its own: write one statement for each"));
        }
        self.end_before_ddl("ALTER TABLE").await?;
        let table = match self.table(&alter.name) {
            Ok(table) => table,
            Err(error) if alter.if_exists && error.kind() == Kind::UnknownTable => {
                self.diagnostics.note(1146, error.to_string());
                return Ok(Reply::Done(Outcome::tag("ALTER TABLE")));
            }
            Err(error) => return Err(error),
        };
        let mut columns = table.columns().to_vec();
        let mut next_id = table.schemas.iter().flat_map(|s| &s.columns).map(|c| c.id).max().unwrap_or(0) + 1;
        let mut schema_changed = false;
        for action in &alter.actions {
            match action {
                AlterAction::DropFile(names) => drop(self.node.gms.drop_files(table.id, names).await?),
                AlterAction::AddFile(files) => self.add_files(&table, files, call).await?,
                AlterAction::Rename(to) => self.rename(&table, to).await?,
                AlterAction::AddKey(_) | AlterAction::DropKey(_) => {
                    self.diagnostics.warn(1105, "keys of cold tables are documentation: this changes nothing");
                }
                AlterAction::Comment(_) => self.diagnostics.warn(1105, "the comment of a cold table is that of its CREATE TABLE"),
                AlterAction::Engine(engine) if same(engine, &table.engine) => {}
                AlterAction::Engine(engine) => {
                    return Err(Error::unsupported(format!("moving a cold table to engine '{engine}'"))
                        .with_hint("CREATE TABLE .. ENGINE=.. AS SELECT copies it"));
                }
                other => {
                    schema_changed |= change_columns(&mut columns, &mut next_id, other, self.family(), &table)?;
                }
            }
        }
        if schema_changed {
            self.node.gms.alter_columns(table.id, table.schema_ts(), columns).await?;
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("ALTER TABLE")))
    }

    async fn add_files(&mut self, table: &Arc<Table>, files: &[AddedFile], call: &Call) -> Result<()> {
        let own = self.begin_write().await?;
        let outcome = self.adopted(table, files, call).await;
        self.end_write(own, outcome).await
    }

    async fn adopted(&mut self, table: &Arc<Table>, files: &[AddedFile], call: &Call) -> Result<Vec<Delta>> {
        let task = self.transactions.task().await?;
        let cold = self.node.engine.cold.clone();
        let family = self.client.protocol.family();
        let mut deltas = Vec::new();
        for file in files {
            // All that a folder or a pattern names is found before any of it is read.
            for object in call.guard.run(cold.foreign_objects(table, &file.uri)).await? {
                let adopted = cold.adopt(Arc::clone(table), &object, &file.columns, task, family, &self.settings.zone);
                deltas.push(call.guard.run(adopted).await?.0);
            }
        }
        Ok(deltas)
    }

    pub(in crate::session) fn document_key(&mut self, table: &Name, verb: &'static str) -> Result<Reply> {
        if verb == "CREATE INDEX" {
            self.table(table)?;
        }
        self.diagnostics.warn(1105, "keys of cold tables are documentation: this changes nothing");
        Ok(Reply::Done(Outcome::tag(verb)))
    }
}

/// Applies one column action; true when the columns changed.
fn change_columns(columns: &mut Vec<Column>, next_id: &mut u32, action: &AlterAction, family: Family, table: &Table) -> Result<bool> {
    let find = |columns: &[Column], name: &str| {
        columns.iter().position(|c| same(&c.name, name)).ok_or_else(|| {
            column_index(table, name, family)
                .err()
                .unwrap_or_else(|| Error::new(Kind::UnknownColumn, format!("Unknown column '{name}' in '{}'", table.name)))
        })
    };
    match action {
        AlterAction::AddColumn { column, if_not_exists, position } => {
            if columns.iter().any(|c| same(&c.name, &column.name)) {
                if *if_not_exists {
                    return Ok(false);
                }
                return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{}'", column.name)));
            }
            let mut new = new_column(*next_id, column)?;
            // Rows that are there already get the default; one that differs from row to row is settled now.
            if let Some(Default::Now | Default::Today | Default::Uuid) = &new.default {
                return Err(
                    Error::unsupported("adding a column whose default is computed").with_hint("add it without default, then UPDATE")
                );
            }
            if !new.nullable && new.default.is_none() {
                new.default = Some(Default::Value(zero_of(&new.ty)));
                check_default(&new)?;
            }
            *next_id += 1;
            place(columns, new, position.as_ref(), find)?;
        }
        AlterAction::DropColumn { name, if_exists } => {
            let Ok(index) = find(columns, name) else {
                return if *if_exists { Ok(false) } else { find(columns, name).map(|_| false) };
            };
            if columns.len() == 1 {
                return Err(Error::new(Kind::Refused, "You can't delete all columns with ALTER TABLE; use DROP TABLE instead"));
            }
            columns.remove(index);
        }
        AlterAction::RenameColumn { from, to } => {
            let index = find(columns, from)?;
            if columns.iter().enumerate().any(|(i, c)| i != index && same(&c.name, to)) {
                return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{to}'")));
            }
            columns[index].name = to.clone();
        }
        AlterAction::ModifyColumn { from, column, position } => {
            let index = find(columns, from)?;
            widens(&columns[index].ty, &column.ty)?;
            if columns[index].nullable && !column.nullable {
                return Err(Error::unsupported("making a column NOT NULL whose rows are already stored"));
            }
            let changed = Column { id: columns[index].id, ..new_column(0, column)? };
            columns.remove(index);
            match position {
                None => columns.insert(index, changed),
                Some(_) => place(columns, changed, position.as_ref(), find)?,
            }
        }
        AlterAction::SetType { name, ty } => {
            let index = find(columns, name)?;
            widens(&columns[index].ty, ty)?;
            columns[index].ty = ty.clone();
        }
        AlterAction::SetDefault { name, default } => {
            let index = find(columns, name)?;
            columns[index].default = default.clone();
            check_default(&columns[index])?;
        }
        AlterAction::SetNullable { name, nullable } => {
            let index = find(columns, name)?;
            if columns[index].nullable && !nullable {
                return Err(Error::unsupported("making a column NOT NULL whose rows are already stored"));
            }
            columns[index].nullable = *nullable;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn place(
    columns: &mut Vec<Column>,
    new: Column,
    position: Option<&ColumnPosition>,
    find: impl Fn(&[Column], &str) -> Result<usize>,
) -> Result<()> {
    match position {
        None => columns.push(new),
        Some(ColumnPosition::First) => columns.insert(0, new),
        Some(ColumnPosition::After(name)) => {
            let index = find(columns, name)?;
            columns.insert(index + 1, new);
        }
    }
    Ok(())
}

/// MySQL's implicit default of a NOT NULL column, given to the rows that are there.
fn zero_of(ty: &SqlType) -> String {
    match ty {
        SqlType::Date => "1970-01-01".into(),
        SqlType::DateTime { .. } | SqlType::Timestamp { .. } => "1970-01-01 00:00:00".into(),
        SqlType::Time { .. } => "00:00:00".into(),
        SqlType::Year => "1970".into(),
        SqlType::Json => "null".into(),
        SqlType::Uuid => "00000000-0000-0000-0000-000000000000".into(),
        SqlType::Enum { labels } => labels.first().cloned().unwrap_or_default(),
        ty if ty.is_text() || ty.is_binary() => String::new(),
        _ => "0".into(),
    }
}

/// A type may change only so that every stored value still fits: the files keep the old one.
fn widens(from: &SqlType, to: &SqlType) -> Result<()> {
    use SqlType::*;
    let rank = |ty: &SqlType| match ty {
        Int8 { .. } => Some(1),
        Int16 { .. } => Some(2),
        Int24 { .. } => Some(3),
        Int32 { .. } => Some(4),
        Int64 { .. } => Some(5),
        _ => None,
    };
    let fits = from == to
        || match (from, to) {
            (a, b) if rank(a).is_some() && rank(b).is_some() => {
                rank(a) <= rank(b) && (a.is_unsigned() == b.is_unsigned() || (a.is_unsigned() && rank(a) < rank(b)))
            }
            (Float32, Float64) => true,
            (Decimal { precision: p, scale: s }, Decimal { precision: q, scale: t }) => t == s && q >= p,
            (Char { length: a } | VarChar { length: a }, VarChar { length: b } | Char { length: b }) => b >= a,
            (Char { .. } | VarChar { .. } | Enum { .. } | Set { .. } | Json | Uuid, Text) => true,
            (Enum { labels: a }, Enum { labels: b }) => a.iter().all(|l| b.contains(l)),
            (Binary { .. } | VarBinary { .. }, Blob) => true,
            (VarBinary { length: a }, VarBinary { length: b }) => b >= a,
            (Time { fsp: a }, Time { fsp: b })
            | (DateTime { fsp: a }, DateTime { fsp: b })
            | (Timestamp { fsp: a }, Timestamp { fsp: b }) => b >= a,
            _ => false,
        };
    if fits {
        return Ok(());
    }
    Err(Error::unsupported(format!("changing {from} to {to}, which stored values may not fit,"))
        .with_hint("CREATE TABLE .. AS SELECT CAST(..) makes a table with the new type"))
}
