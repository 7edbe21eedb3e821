//! EXPLAIN of queries and changes, DESCRIBE.

use super::Reply;
use super::call::Call;
use super::changes::select_items;
use super::result_set::{json, number, reply, text};
use super::state::Session;

use crate::engine::{ExplainLine, explain_lines};
use crate::error::{Error, Kind, Result};
use crate::sql::{Explain, Query, Statement};
use crate::types::{ColumnInfo, Family, SqlType};

impl Session {
    pub(super) async fn explain(&mut self, explain: &Explain, call: &Call) -> Result<Reply> {
        let as_json = self.explain_format(explain)?;
        if let Statement::Execute { name, args } = explain.inner.as_ref() {
            let parsed = self.prepared.require(name)?.clone();
            let params = Box::pin(self.arguments(&parsed, name, args, call)).await?;
            let inner = Call { text: parsed.text.clone(), params: params.into(), guard: call.guard.clone() };
            let explain = Explain { inner: Box::new(parsed.statement), ..explain.clone() };
            return Box::pin(self.explain(&explain, &inner)).await;
        }
        let query = match explain.inner.as_ref() {
            Statement::Query(query) => query.clone(),
            Statement::Insert(insert) => match &insert.insert.source {
                Some(source) => Query { query: source.clone(), as_of: insert.as_of.clone() },
                None => return Err(Error::unsupported("EXPLAIN of this INSERT")),
            },
            Statement::Update(update) => rewrite_select(update.selection.clone(), vec![update.table.clone()]),
            Statement::Delete(delete) => match &delete.from {
                crate::sql::ast::FromTable::WithFromKeyword(from) | crate::sql::ast::FromTable::WithoutKeyword(from) => {
                    rewrite_select(delete.selection.clone(), from.clone())
                }
            },
            other => return Err(Error::unsupported(format!("EXPLAIN {}", other.verb()))),
        };
        let read = self.read_time().await?;
        let query = self.substitute(&query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &call.params);
        let engine = self.node.engine.clone();
        let work = async {
            let planned = engine.plan(&environment, &query).await?;
            explain_lines(&environment, &planned, explain.analyze, explain.verbose).await
        };
        let lines: Vec<ExplainLine> = call.guard.run(work).await?;
        if as_json {
            return reply("EXPLAIN", vec![json(self.json_column(), document(&lines))]);
        }
        match self.family() {
            Family::MySql => reply(
                "EXPLAIN",
                vec![
                    number("id", (1..=lines.len() as u64).map(Some)),
                    text("item", lines.iter().map(|l| Some(l.kind))),
                    text("detail", lines.iter().map(|l| Some(l.text.clone()))),
                ],
            ),
            Family::Postgres => reply("EXPLAIN", vec![text("QUERY PLAN", lines.iter().map(|l| Some(format!("{}: {}", l.kind, l.text))))]),
        }
    }

    /// Is the answer to be JSON? Other formats than lines and JSON are errors.
    fn explain_format(&self, explain: &Explain) -> Result<bool> {
        let Some(format) = explain.format.as_deref() else { return Ok(false) };
        let (lines, message) = match self.family() {
            Family::MySql => (&["traditional", "tree"][..], format!("Unknown EXPLAIN format name: '{format}'")),
            Family::Postgres => (&["text"][..], format!("unrecognized value for EXPLAIN option \"format\": \"{}\"", format.to_lowercase())),
        };
        if format.eq_ignore_ascii_case("json") {
            return Ok(true);
        }
        let known = lines.iter().any(|name| format.eq_ignore_ascii_case(name));
        if known { Ok(false) } else { Err(Error::new(Kind::ExplainFormat, message)) }
    }

    /// The column of an EXPLAIN as JSON: a type that PostgreSQL's drivers parse, a text without limit to MySQL's.
    fn json_column(&self) -> ColumnInfo {
        match self.family() {
            Family::MySql => ColumnInfo::new("EXPLAIN", SqlType::Text),
            Family::Postgres => ColumnInfo::new("QUERY PLAN", SqlType::Json),
        }
    }

    /// The columns of statements whose columns do not depend on a plan.
    pub(super) async fn fixed_columns(&mut self, statement: &Statement, call: &Call) -> Result<Option<Vec<ColumnInfo>>> {
        let label = |name: &str| ColumnInfo::new(name, SqlType::VarChar { length: 1024 });
        Ok(match statement {
            Statement::Explain(explain) => Some(match self.family() {
                _ if self.explain_format(explain)? => vec![self.json_column()],
                Family::MySql => vec![ColumnInfo::new("id", SqlType::Int64 { unsigned: true }), label("item"), label("detail")],
                Family::Postgres => vec![label("QUERY PLAN")],
            }),
            Statement::Fetch { name, is_move: false, .. } => self.cursor_columns(name),
            // These are cheap and change nothing: their columns are those of their answer.
            Statement::Show(_)
            | Statement::ShowRecycleBin
            | Statement::ShowFileStorage
            | Statement::ShowFlashgate(_)
            | Statement::ShowFiles { .. }
            | Statement::ShowColdGrants(_)
            | Statement::Describe { .. } => match self.answer_of(statement, call).await? {
                Reply::Rows(rows) => Some(rows.columns.to_vec()),
                _ => None,
            },
            Statement::StandIn(crate::sql::StandIn::Show) => Some(super::upstream::STAND_IN_COLUMNS.map(label).to_vec()),
            Statement::AlterFileStorage { mode: crate::sql::Mode::Preview, .. }
            | Statement::ClearFileStorage { mode: crate::sql::Mode::Preview, .. } => Some(super::storage::plan_columns()),
            Statement::AlterTable(alter) => match alter.actions.as_slice() {
                [crate::sql::AlterAction::PurgeBefore { mode: crate::sql::Mode::Preview, .. }] => Some(super::storage::plan_columns()),
                _ => None,
            },
            Statement::OptimizeTable { .. } => Some(["Table", "Op", "Msg_type", "Msg_text"].map(label).to_vec()),
            Statement::AnalyzeTable { .. } | Statement::CheckTable { .. } if self.family() == Family::MySql => {
                Some(["Table", "Op", "Msg_type", "Msg_text"].map(label).to_vec())
            }
            _ => None,
        })
    }

    async fn answer_of(&mut self, statement: &Statement, call: &Call) -> Result<Reply> {
        match statement {
            Statement::Show(show) => self.show(show, call).await,
            Statement::ShowRecycleBin => self.show_recycle_bin().await,
            Statement::ShowFileStorage => self.show_storages().await,
            Statement::ShowFlashgate(topic) => self.show_flashgate(*topic),
            Statement::ShowFiles { table, .. } => self.show_files(table, None, call).await,
            Statement::ShowColdGrants(user) => self.show_cold_grants(user.as_ref()),
            Statement::Describe { table, column } => self.describe_table(table, column.as_deref(), call).await,
            other => Err(Error::unsupported(other.verb())),
        }
    }
}

fn rewrite_select(selection: Option<crate::sql::ast::Expr>, from: Vec<crate::sql::ast::TableWithJoins>) -> Query {
    use crate::sql::ast;
    let mut query = select_items(vec![ast::SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())], from);
    if let ast::SetExpr::Select(select) = query.body.as_mut() {
        select.selection = selection;
    }
    Query { query: Box::new(query), as_of: None }
}

/// The lines as one JSON document: `{"tables": [{"table": .., "read time": .., ..}], "plan": [..]}`; VERBOSE adds
/// `"logical plan": [..]`.
fn document(lines: &[ExplainLine]) -> String {
    let mut tables: Vec<serde_json::Value> = Vec::new();
    let mut plan = Vec::new();
    let mut logical = Vec::new();
    for line in lines {
        match (line.kind, tables.last_mut()) {
            ("plan", _) => plan.push(line.text.as_str()),
            ("logical plan", _) => logical.push(line.text.as_str()),
            ("table", _) | (_, None) => tables.push(serde_json::json!({ line.kind: line.text })),
            (kind, Some(table)) => table[kind] = line.text.as_str().into(),
        }
    }
    let mut whole = serde_json::json!({ "tables": tables, "plan": plan });
    if !logical.is_empty() {
        whole["logical plan"] = logical.into();
    }
    format!("{whole:#}")
}
