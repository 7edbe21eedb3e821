//! From statements back to text. What is printed parses again to the same statement, in the same dialect.
//!
//! Owns the spelling of our own statements and of time clauses; ordinary trees are sqlparser's to print, with strings,
//! parameters and clauses put into the dialect's form first. Secrets are printed: the result is a statement, not a log.

use std::convert::Infallible;
use std::ops::ControlFlow;

use super::as_of::table_clause;
use super::ast::{Expr, Ident, ObjectName, ObjectNamePart, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut};
use super::ddl::Name;
use super::statement::*;
use super::walk::walk_mut;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

/// The text of `statement`.
pub fn print(dialect: &Dialect, statement: &Statement) -> String {
    Printer { dialect }.statement(statement)
}

/// The text of a time clause, as it stands behind a table: `AS OF TIMESTAMP '..'`.
pub fn print_clause(dialect: &Dialect, clause: &TimeClause) -> String {
    Printer { dialect }.clause(clause)
}

/// A name's part in quotes.
pub fn quoted(dialect: &Dialect, name: &str) -> String {
    if dialect.is_mysql() { format!("`{}`", name.replace('`', "``")) } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Prints in one dialect.
pub(super) struct Printer<'a> {
    pub dialect: &'a Dialect,
}

impl Printer<'_> {
    pub fn statement(&self, statement: &Statement) -> String {
        match statement {
            Statement::Query(query) => self.query(query),
            Statement::Explain(explain) => self.explain(explain),
            Statement::Describe { table, column } => {
                format!("DESCRIBE {}{}", self.name(table), opt(column, |c| format!(" {}", self.string(c))))
            }
            Statement::Insert(insert) => format!("{}{}", self.tree(insert.insert.as_ref()), self.trailing(&insert.as_of)),
            Statement::Update(update) => self.tree(update.as_ref()),
            Statement::Delete(delete) => self.tree(delete.as_ref()),
            Statement::Set(settings) => format!("SET {}", list(settings, |s| self.setting(s))),
            Statement::Show(show) => self.show(show),
            Statement::Kill { query_only, id } => format!("KILL {}{}", flag(*query_only, "QUERY "), self.expr(id)),
            Statement::Use(name) => format!("USE {}", self.ident(name)),
            Statement::SelectInto { variables, query } => {
                format!("{} INTO {}", self.query(query), list(variables, |name| format!("@{name}")))
            }
            Statement::Do(exprs) => format!("DO {}", list(exprs, |e| self.expr(e))),
            Statement::Flush(what) => format!("FLUSH {what}").trim_end().to_owned(),
            Statement::Prepare { .. } | Statement::Execute { .. } | Statement::ExecuteImmediate { .. } | Statement::Deallocate(_) => {
                self.prepared(statement)
            }
            Statement::DeclareCursor { .. } | Statement::Fetch { .. } | Statement::CloseCursor(_) => self.cursor(statement),
            Statement::Copy(copy) => self.copy(copy),
            Statement::LoadData(load) => self.load(load),
            Statement::LockTables(tables) => {
                format!("LOCK TABLES {}", list(tables, |(t, w)| format!("{} {}", self.name(t), if *w { "WRITE" } else { "READ" })))
            }
            Statement::UnlockTables => "UNLOCK TABLES".into(),
            Statement::Reset(name) => format!("RESET {}", name.as_deref().unwrap_or("ALL")),
            Statement::Discard(Discard::All) => "DISCARD ALL".into(),
            Statement::Discard(Discard::Plans) => "DISCARD PLANS".into(),
            Statement::Discard(Discard::Sequences) => "DISCARD SEQUENCES".into(),
            Statement::Discard(Discard::Temp) => "DISCARD TEMP".into(),
            Statement::Unlisten(channel) if channel == "*" => "UNLISTEN *".into(),
            Statement::Unlisten(channel) => format!("UNLISTEN {}", self.ident(channel)),
            Statement::Unsupported(words) => words.clone(),
            other => self
                .transaction(other)
                .or_else(|| self.storage(other))
                .or_else(|| self.rights(other))
                .unwrap_or_else(|| self.definition(other)),
        }
    }

    pub fn query(&self, query: &Query) -> String {
        format!("{}{}", self.tree(query.query.as_ref()), self.trailing(&query.as_of))
    }

    fn trailing(&self, clause: &Option<TimeClause>) -> String {
        opt(clause, |c| format!(" {}", self.clause(c)))
    }

    pub fn clause(&self, clause: &TimeClause) -> String {
        format!("AS OF {}", self.time(clause))
    }

    /// `TIMESTAMP e` or `TSO e`.
    pub fn time(&self, clause: &TimeClause) -> String {
        match clause.kind {
            TimeKind::Timestamp => format!("TIMESTAMP {}", self.expr(&clause.expr)),
            TimeKind::Tso => format!("TSO {}", self.expr(&clause.expr)),
        }
    }

    pub fn expr(&self, expr: &Expr) -> String {
        self.tree(expr)
    }

    /// A tree in the dialect's spelling.
    pub fn tree<T: VisitMut + Clone + std::fmt::Display>(&self, tree: &T) -> String {
        let mut tree = tree.clone();
        let _ = walk_mut(&mut tree, &mut Spell { printer: self });
        tree.to_string()
    }

    /// A string literal.
    pub fn string(&self, text: &str) -> String {
        format!("'{}'", self.escape(text).replace('\'', "''"))
    }

    fn escape(&self, text: &str) -> String {
        if self.dialect.is_mysql() && !self.dialect.no_backslash_escapes { text.replace('\\', "\\\\") } else { text.to_owned() }
    }

    /// A name's part, in quotes unless it is a plain word.
    pub fn ident(&self, name: &str) -> String {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && matches!(Token::make_word(name, None), Token::Word(word) if word.keyword == Keyword::NoKeyword);
        if plain {
            name.to_owned()
        } else if self.dialect.is_mysql() {
            format!("`{}`", name.replace('`', "``"))
        } else {
            format!("\"{}\"", name.replace('"', "\"\""))
        }
    }

    pub fn name(&self, name: &Name) -> String {
        name.parts.iter().map(|part| self.ident(part)).collect::<Vec<_>>().join(".")
    }

    fn explain(&self, explain: &Explain) -> String {
        let inner = self.statement(&explain.inner);
        if self.dialect.is_mysql() {
            let format = opt(&explain.format, |f| format!("FORMAT = {} ", self.ident(f)));
            return format!("EXPLAIN {}{}{format}{inner}", flag(explain.analyze, "ANALYZE "), flag(explain.verbose, "VERBOSE "));
        }
        let mut options = Vec::new();
        options.extend(explain.analyze.then(|| "ANALYZE".to_owned()));
        options.extend(explain.verbose.then(|| "VERBOSE".to_owned()));
        options.extend(explain.format.as_ref().map(|f| format!("FORMAT {}", self.string(f))));
        if options.is_empty() { format!("EXPLAIN {inner}") } else { format!("EXPLAIN ({}) {inner}", options.join(", ")) }
    }

    fn setting(&self, setting: &Setting) -> String {
        let scope = |scope: &Option<Scope>| match scope {
            Some(Scope::Session) => "SESSION ",
            Some(Scope::Global) => "GLOBAL ",
            Some(Scope::Local) => "LOCAL ",
            Some(Scope::Persist) => "PERSIST ",
            None => "",
        };
        match setting {
            Setting::User { name, value } => format!("@{} = {}", self.ident(name), self.expr(value)),
            Setting::System { scope: s, name, values } if values.is_empty() => format!("{}{} = DEFAULT", scope(s), self.dotted(name)),
            Setting::System { scope: s, name, values } => format!("{}{} = {}", scope(s), self.dotted(name), list(values, |v| self.expr(v))),
            Setting::Names { charset, collation } => {
                let word = |w: &Option<String>| w.as_ref().map_or("DEFAULT".to_owned(), |w| self.string(w));
                format!("NAMES {}{}", word(charset), opt(collation, |c| format!(" COLLATE {}", self.string(c))))
            }
            Setting::Charset(charset) => format!("CHARACTER SET {}", charset.as_ref().map_or("DEFAULT".into(), |c| self.string(c))),
            Setting::ReadTime { scope: s, time } => {
                let time = match time {
                    None => "DEFAULT".to_owned(),
                    Some(TimeClause { kind: TimeKind::Timestamp, expr }) => self.expr(expr),
                    Some(clause) => self.time(clause),
                };
                format!("{}{} = {time}", scope(s), super::READ_TIME)
            }
        }
    }

    fn dotted(&self, name: &str) -> String {
        name.split('.').map(|part| self.ident(part)).collect::<Vec<_>>().join(".")
    }

    /// The name of a prepared statement, which PostgreSQL folds unless it is quoted.
    fn prepared_name(&self, name: &str) -> String {
        let folds = !self.dialect.is_mysql() && name.to_lowercase() != name;
        if folds { format!("\"{}\"", name.replace('"', "\"\"")) } else { self.ident(name) }
    }

    fn prepared(&self, statement: &Statement) -> String {
        match statement {
            Statement::Prepare { name, source } => {
                let name = self.prepared_name(name);
                match source {
                    PrepareSource::Text(_) | PrepareSource::Variable(_) | PrepareSource::Expr { .. } => {
                        format!("PREPARE {name} FROM {}", self.prepared_text(source))
                    }
                    PrepareSource::Statement { types, text, .. } => {
                        let types = if types.is_empty() { String::new() } else { format!(" ({})", list(types, |t| self.type_name(t))) };
                        format!("PREPARE {name}{types} AS {text}")
                    }
                }
            }
            Statement::ExecuteImmediate { source, args } => {
                let using = if args.is_empty() { String::new() } else { format!(" USING {}", list(args, |a| self.expr(a))) };
                format!("EXECUTE IMMEDIATE {}{using}", self.prepared_text(source))
            }
            Statement::Execute { name, args } if args.is_empty() => format!("EXECUTE {}", self.prepared_name(name)),
            Statement::Execute { name, args } => {
                let args = list(args, |a| self.expr(a));
                if self.dialect.is_mysql() {
                    format!("EXECUTE {} USING {args}", self.prepared_name(name))
                } else {
                    format!("EXECUTE {} ({args})", self.prepared_name(name))
                }
            }
            Statement::Deallocate(name) => format!("DEALLOCATE PREPARE {}", name.as_ref().map_or("ALL".into(), |n| self.prepared_name(n))),
            _ => String::new(),
        }
    }

    fn prepared_text(&self, source: &PrepareSource) -> String {
        match source {
            PrepareSource::Text(text) => self.string(text),
            PrepareSource::Variable(variable) => format!("@{}", self.ident(variable)),
            PrepareSource::Expr { text, .. } | PrepareSource::Statement { text, .. } => text.to_string(),
        }
    }

    fn cursor(&self, statement: &Statement) -> String {
        match statement {
            Statement::DeclareCursor { name, hold, query } => {
                format!("DECLARE {} CURSOR {}FOR {}", self.prepared_name(name), flag(*hold, "WITH HOLD "), self.query(query))
            }
            Statement::Fetch { name, count, is_move } => {
                let count = match count {
                    FetchCount::Forward(n) => format!("FORWARD {n}"),
                    FetchCount::All => "ALL".into(),
                    FetchCount::Other => "PRIOR".into(),
                };
                format!("{} {count} FROM {}", if *is_move { "MOVE" } else { "FETCH" }, self.prepared_name(name))
            }
            Statement::CloseCursor(name) => format!("CLOSE {}", name.as_ref().map_or("ALL".into(), |n| self.prepared_name(n))),
            _ => String::new(),
        }
    }

    fn copy(&self, copy: &Copy) -> String {
        let source = match &copy.source {
            CopySource::Table { name, columns } if columns.is_empty() => self.name(name),
            CopySource::Table { name, columns } => format!("{} ({})", self.name(name), list(columns, |c| self.ident(c))),
            CopySource::Query(query) => format!("({})", self.query(query)),
        };
        let target = match &copy.target {
            CopyTarget::Client => if copy.from { "STDIN" } else { "STDOUT" }.to_owned(),
            CopyTarget::File(file) => self.string(file),
            CopyTarget::Program(program) => format!("PROGRAM {}", self.string(program)),
        };
        let o = &copy.options;
        let one = |b: u8| self.string(&char::from(b).to_string());
        let header = if o.header_match { "match".to_owned() } else { o.header.to_string() };
        let options = match o.layout {
            CopyLayout::Binary => "FORMAT binary".to_owned(),
            CopyLayout::Text => format!("FORMAT text, DELIMITER {}, NULL {}, HEADER {}", one(o.delimiter), self.string(&o.null), header),
            CopyLayout::Csv => format!(
                "FORMAT csv, DELIMITER {}, NULL {}, HEADER {}, QUOTE {}, ESCAPE {}",
                one(o.delimiter),
                self.string(&o.null),
                header,
                one(o.quote),
                one(o.escape)
            ),
        };
        format!("COPY {source} {} {target} WITH ({options})", if copy.from { "FROM" } else { "TO" })
    }

    fn load(&self, load: &Load) -> String {
        let o = &load.options;
        let bytes = |b: &[u8]| self.string(&String::from_utf8_lossy(b));
        let byte = |b: &Option<u8>| self.string(&b.map(|b| char::from(b).to_string()).unwrap_or_default());
        let duplicates = match load.duplicates {
            Some(Duplicates::Replace) => "REPLACE ",
            Some(Duplicates::Ignore) => "IGNORE ",
            None => "",
        };
        let columns = if load.columns.is_empty() { String::new() } else { format!(" ({})", list(&load.columns, |c| self.ident(c))) };
        format!(
            "LOAD DATA {}INFILE {} {duplicates}INTO TABLE {} FIELDS TERMINATED BY {} ENCLOSED BY {} ESCAPED BY {} LINES STARTING BY {} TERMINATED BY {} IGNORE {} LINES{columns}",
            flag(load.local, "LOCAL "),
            self.string(&load.file),
            self.name(&load.table),
            bytes(&o.field_terminator),
            byte(&o.enclosed_by),
            byte(&o.escaped_by),
            bytes(&o.line_prefix),
            bytes(&o.line_terminator),
            o.skip_lines,
        )
    }
}

/// Puts the dialect's spelling into a tree that is about to be printed.
struct Spell<'a> {
    printer: &'a Printer<'a>,
}

impl VisitorMut for Spell<'_> {
    type Break = Infallible;

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Infallible> {
        match &mut value.value {
            Value::SingleQuotedString(text) => *text = self.printer.escape(text),
            Value::Placeholder(name) if self.printer.dialect.is_mysql() => *name = "?".to_owned(),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// The clause stands behind the name (sqlparser would print it behind the index hints).
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Table { name, version, partitions, .. } = factor {
            let clause = version.as_ref().and_then(table_clause);
            if clause.is_none() && partitions.is_empty() {
                return ControlFlow::Continue(());
            }
            let mut text = name.to_string();
            if !partitions.is_empty() {
                text = format!("{text} PARTITION ({})", list(partitions, Ident::to_string));
                partitions.clear();
            }
            if let Some(clause) = clause {
                // Its values have been visited already.
                let kind = if clause.kind == TimeKind::Tso { "TSO" } else { "TIMESTAMP" };
                text = format!("{text} AS OF {kind} {}", clause.expr);
                *version = None;
            }
            *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(text))]);
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

pub(super) fn opt<T>(item: &Option<T>, show: impl Fn(&T) -> String) -> String {
    item.as_ref().map(show).unwrap_or_default()
}

pub(super) fn flag(on: bool, words: &'static str) -> &'static str {
    if on { words } else { "" }
}
