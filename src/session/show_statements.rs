//! SHOW and DESCRIBE: the session's side of [`super::show`].

use super::Reply;
use super::call::Call;
use super::diagnostics::{NOTE, Notice, WARNING};
use super::result_set::batch_reply;
use super::show::{self, ShowContext, Shown, Warning};
use super::state::Session;
use crate::error::Result;
use crate::sql::{Name, Show, ShowKind};
use crate::types::Family;

impl Session {
    pub(super) async fn show(&mut self, statement: &Show, call: &Call) -> Result<Reply> {
        if let ShowKind::Setting(name) = &statement.kind
            && name.eq_ignore_ascii_case("flashback_read_time")
        {
            let value = self.settings.read_time.map(|at| at.display_in(&self.settings.zone));
            return super::result_set::reply("SHOW", vec![super::result_set::text("flashback_read_time", [value])]);
        }
        let mut snapshot = self.snapshot(false, show::needs_sizes(&statement.kind)).await?;
        if matches!(statement.kind, ShowKind::Columns { .. } | ShowKind::CreateView(_) | ShowKind::CreateTable(_)) {
            self.add_view_columns(&mut snapshot, call).await;
        }
        let warnings = self.shown_warnings();
        let context = ShowContext { snapshot: &snapshot, variables: self.settings.variables(), warnings: &warnings };
        let shown = call.guard.run(show::show(statement, &context)).await?;
        Ok(shown_reply(shown))
    }

    pub(super) async fn describe_table(&mut self, table: &Name, column: Option<&str>, call: &Call) -> Result<Reply> {
        let mut snapshot = self.snapshot(false, false).await?;
        self.add_view_columns(&mut snapshot, call).await;
        let warnings = self.shown_warnings();
        let context = ShowContext { snapshot: &snapshot, variables: self.settings.variables(), warnings: &warnings };
        Ok(shown_reply(show::describe(table, column, &context)?))
    }

    fn shown_warnings(&self) -> Vec<Warning> {
        let level = |notice: &Notice| match notice.sqlstate {
            NOTE => "Note",
            WARNING => "Warning",
            _ => "Error",
        };
        let of = |n: &Notice| Warning { level: level(n), code: n.code, message: n.message.clone() };
        if self.family() == Family::MySql { self.diagnostics.warnings().iter().map(of).collect() } else { Vec::new() }
    }
}

fn shown_reply(shown: Shown) -> Reply {
    batch_reply("SHOW", shown.columns, shown.batch)
}
