//! Printing of definitions: databases, tables, columns, types, views.

use crate::types::{Default, SqlType};

use super::ddl::*;
use super::print_flashgate::mode_word;
use super::printer::{Printer, flag, list, opt};
use super::statement::Statement;

impl Printer<'_> {
    pub(super) fn definition(&self, statement: &Statement) -> String {
        let exists = |on: &bool| flag(*on, "IF EXISTS ");
        let not_exists = |on: &bool| flag(*on, "IF NOT EXISTS ");
        let kind = |schema: bool| if schema { "SCHEMA" } else { "DATABASE" };
        let names = |names: &[Name]| list(names, |n| self.name(n));
        match statement {
            Statement::Truncate { names: n } => format!("TRUNCATE TABLE {}", names(n)),
            Statement::CreateDatabase { name, schema, if_not_exists } => {
                format!("CREATE {} {}{}", kind(*schema), not_exists(if_not_exists), self.name(name))
            }
            Statement::DropDatabase { name, schema, if_exists, cascade } => {
                format!("DROP {} {}{}{}", kind(*schema), exists(if_exists), self.name(name), flag(*cascade, " CASCADE"))
            }
            Statement::CreateTable(table) => self.create_table(table),
            Statement::DropTable { names: n, if_exists } => format!("DROP TABLE {}{}", exists(if_exists), names(n)),
            Statement::AlterTable(alter) => {
                let actions = list(&alter.actions, |a| self.action(a));
                format!("ALTER TABLE {}{} {actions}", exists(&alter.if_exists), self.name(&alter.name))
            }
            Statement::RenameTable { pairs } => {
                format!("RENAME TABLE {}", list(pairs, |(a, b)| format!("{} TO {}", self.name(a), self.name(b))))
            }
            Statement::CreateView(view) => {
                let columns =
                    if view.columns.is_empty() { String::new() } else { format!(" ({})", list(&view.columns, |c| self.ident(c))) };
                let shadow = flag(view.shadow, "OR SHADOW ");
                let (replace, new) = (flag(view.or_replace, "OR REPLACE "), not_exists(&view.if_not_exists));
                format!("CREATE {replace}{shadow}VIEW {new}{}{columns} AS {}", self.name(&view.name), view.definition)
            }
            Statement::DropView { names: n, if_exists } => format!("DROP VIEW {}{}", exists(if_exists), names(n)),
            Statement::CreateIndex { table, key, if_not_exists } => {
                let name = if key.name.is_empty() { String::new() } else { format!("{} ", self.ident(&key.name)) };
                let (unique, new) = (flag(key.unique, "UNIQUE "), not_exists(if_not_exists));
                format!("CREATE {unique}INDEX {new}{name}ON {} ({})", self.name(table), list(&key.columns, |c| self.ident(c)))
            }
            Statement::DropIndex { name, table, if_exists } => {
                format!("DROP INDEX {}{}{}", exists(if_exists), self.name(name), opt(table, |t| format!(" ON {}", self.name(t))))
            }
            Statement::Comment { table, column, text } => {
                let what = match column {
                    Some(column) => format!("COLUMN {}.{}", self.name(table), self.ident(column)),
                    None => format!("TABLE {}", self.name(table)),
                };
                format!("COMMENT ON {what} IS {}", text.as_ref().map_or("NULL".into(), |t| self.string(t)))
            }
            Statement::OptimizeTable { names: n } => format!("OPTIMIZE TABLE {}", names(n)),
            Statement::CheckTable { names: n } => format!("CHECK TABLE {}", names(n)),
            Statement::AnalyzeTable { names: n } if self.dialect.is_mysql() => format!("ANALYZE TABLE {}", names(n)),
            Statement::AnalyzeTable { names: n } => format!("ANALYZE {}", names(n)).trim_end().to_owned(),
            other => other.verb().to_owned(),
        }
    }

    fn create_table(&self, table: &CreateTable) -> String {
        let mut parts: Vec<String> = table.columns.iter().map(|c| self.column(c)).collect();
        parts.extend(table.keys.iter().map(|k| self.key(k)));
        let mut text = format!(
            "CREATE {}{}TABLE {}{}",
            flag(table.shadow, "OR SHADOW "),
            flag(table.temporary, "TEMPORARY "),
            flag(table.if_not_exists, "IF NOT EXISTS "),
            self.name(&table.name)
        );
        if self.dialect.is_mysql() {
            text.push_str(&opt(&table.like, |l| format!(" LIKE {}", self.name(l))));
        } else if let Some(like) = &table.like {
            parts.push(format!("LIKE {}", self.name(like)));
        }
        if !parts.is_empty() {
            text = format!("{text} ({})", parts.join(", "));
        }
        let mut options = Vec::new();
        options.extend(table.engine.as_ref().map(|e| format!("ENGINE = {}", self.string(e))));
        options.extend(table.archive_mode.as_ref().map(|m| format!("ARCHIVE_MODE = {}", self.string(m))));
        options.extend((!table.comment.is_empty()).then(|| format!("COMMENT = {}", self.string(&table.comment))));
        if !options.is_empty() {
            text = if self.dialect.is_mysql() {
                format!("{text} {}", options.join(" "))
            } else {
                format!("{text} WITH ({})", options.join(", "))
            };
        }
        text + &opt(&table.as_query, |q| format!(" AS {}", self.query(q)))
    }

    fn column(&self, column: &ColumnDef) -> String {
        let comment = if column.comment.is_empty() { String::new() } else { format!(" COMMENT {}", self.string(&column.comment)) };
        let default = opt(&column.default, |d| match d {
            // Kept as a number: quotes would make it a text of bits.
            Default::Value(number) if matches!(column.ty, SqlType::Bit { .. }) => format!(" DEFAULT {number}"),
            d => format!(" DEFAULT {}", self.default(d)),
        });
        format!("{} {}{}{default}{comment}", self.ident(&column.name), self.type_name(&column.ty), flag(!column.nullable, " NOT NULL"))
    }

    fn default(&self, default: &Default) -> String {
        match default {
            Default::Value(text) => self.string(text),
            Default::Now => "CURRENT_TIMESTAMP".into(),
            Default::Today => "CURRENT_DATE".into(),
            Default::Uuid if self.dialect.is_mysql() => "(uuid())".into(),
            Default::Uuid => "gen_random_uuid()".into(),
        }
    }

    fn key(&self, key: &KeyDef) -> String {
        let columns = list(&key.columns, |c| self.ident(c));
        let name = if key.name.is_empty() { String::new() } else { format!("{} ", self.ident(&key.name)) };
        match (key.primary, key.unique) {
            (true, _) => format!("PRIMARY KEY ({columns})"),
            (false, true) => format!("UNIQUE KEY {name}({columns})"),
            (false, false) => format!("KEY {name}({columns})"),
        }
    }

    fn action(&self, action: &AlterAction) -> String {
        let files = |files: &[String]| list(files, |f| self.string(f));
        let position = |position: &Option<ColumnPosition>| match position {
            None => String::new(),
            Some(ColumnPosition::First) => " FIRST".to_owned(),
            Some(ColumnPosition::After(name)) => format!(" AFTER {}", self.ident(name)),
        };
        match action {
            AlterAction::Rename(name) => format!("RENAME TO {}", self.name(name)),
            AlterAction::AddColumn { column, if_not_exists, position: p } => {
                format!("ADD COLUMN {}{}{}", flag(*if_not_exists, "IF NOT EXISTS "), self.column(column), position(p))
            }
            AlterAction::DropColumn { name, if_exists } => format!("DROP COLUMN {}{}", flag(*if_exists, "IF EXISTS "), self.ident(name)),
            AlterAction::RenameColumn { from, to } => format!("RENAME COLUMN {} TO {}", self.ident(from), self.ident(to)),
            AlterAction::ModifyColumn { from, column, position: p } => {
                format!("CHANGE COLUMN {} {}{}", self.ident(from), self.column(column), position(p))
            }
            AlterAction::SetType { name, ty } => format!("ALTER COLUMN {} TYPE {}", self.ident(name), self.type_name(ty)),
            AlterAction::SetDefault { name, default: Some(default) } => {
                format!("ALTER COLUMN {} SET DEFAULT {}", self.ident(name), self.default(default))
            }
            AlterAction::SetDefault { name, default: None } => format!("ALTER COLUMN {} DROP DEFAULT", self.ident(name)),
            AlterAction::SetNullable { name, nullable } => {
                format!("ALTER COLUMN {} {} NOT NULL", self.ident(name), if *nullable { "DROP" } else { "SET" })
            }
            AlterAction::Comment(text) => format!("COMMENT = {}", self.string(text)),
            AlterAction::Engine(engine) => format!("ENGINE = {}", self.string(engine)),
            AlterAction::AddKey(key) => format!("ADD {}", self.key(key)),
            AlterAction::DropKey(name) if name == "PRIMARY" => "DROP PRIMARY KEY".into(),
            AlterAction::DropKey(name) => format!("DROP KEY {}", self.ident(name)),
            AlterAction::DropFile(f) => format!("DROP FILE {}", files(f)),
            AlterAction::AddFile(files) => format!("ADD FILE {}", list(files, |file| self.added_file(file))),
            AlterAction::PurgeBefore { time, mode } => format!("PURGE BEFORE {}{}", self.time(time), mode_word(*mode)),
        }
    }

    fn added_file(&self, file: &AddedFile) -> String {
        match file.columns.as_slice() {
            [] => self.string(&file.uri),
            columns => format!("{} ({})", self.string(&file.uri), list(columns, |column| self.ident(column))),
        }
    }

    /// A type as this room reads it back.
    pub(super) fn type_name(&self, ty: &SqlType) -> String {
        let mysql = self.dialect.is_mysql();
        match ty {
            SqlType::Bool => "BOOLEAN".into(),
            SqlType::Uuid => "UUID".into(),
            SqlType::Float32 => "FLOAT4".into(),
            SqlType::Float64 => "FLOAT8".into(),
            SqlType::Time { fsp } => format!("TIME({fsp})"),
            SqlType::DateTime { fsp } => format!("DATETIME({fsp})"),
            SqlType::Timestamp { fsp } if mysql => format!("TIMESTAMP({fsp})"),
            SqlType::Timestamp { fsp } => format!("TIMESTAMP({fsp}) WITH TIME ZONE"),
            SqlType::Enum { labels } => format!("ENUM({})", list(labels, |l| self.string(l))),
            SqlType::Set { labels } => format!("SET({})", list(labels, |l| self.string(l))),
            other => other.mysql_name().to_uppercase(),
        }
    }
}
