//! EXPLAIN: the plan, and for each cold table its read time and its files.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, collect, displayable};

use super::environment::Environment;
use super::federated::{self, HotScan};
use super::query::Planned;
use crate::error::Result;
use crate::time::Tso;

/// One line of EXPLAIN: a heading and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainLine {
    /// `table`, `read time`, `files`, `horizon`, `upstream`, `plan`.
    pub kind: &'static str,
    /// The text.
    pub text: String,
}

/// The lines for `planned`; with `analyze` the query runs and the plan shows its metrics.
pub async fn explain_lines(environment: &Environment<'_>, planned: &Planned, analyze: bool, verbose: bool) -> Result<Vec<ExplainLine>> {
    let (mut physical, stop) = planned.physical().await?;
    if analyze {
        stop.begin();
        let context = planned.state.task_ctx();
        let failed = |e| super::translate(e, environment.dialect.family);
        physical = federated::fetch_hot_rows(physical, &context).await.map_err(failed)?;
        collect(Arc::clone(&physical), context).await.map_err(failed)?;
    }
    let mut lines = Vec::new();
    let zone_name =
        environment.zone.iana_name().map_or_else(|| environment.zone.to_offset(environment.now.timestamp()).to_string(), str::to_owned);
    for (read, report) in &planned.reports {
        let report = report.lock().clone();
        lines.push(line("table", report.table.clone()));
        lines.push(line(
            "read time",
            format!("{} {zone_name} (TSO {}, from {})", report.at.display_in(&environment.zone), report.at, read.origin.words()),
        ));
        lines.push(line(
            "files",
            format!(
                "{} of {} visible files kept, {} rows, {} bytes; {} versions in all",
                report.visible - report.pruned,
                report.visible,
                report.rows,
                report.bytes,
                report.versions
            ),
        ));
        if report.pruned > 0 {
            lines.push(line(
                "pruned",
                format!("{} files: their ranges of {} hold no matching row", report.pruned, report.pruned_by.join(", ")),
            ));
        }
        let horizon = if report.horizon == Tso::MIN {
            "none: all history is kept".to_owned()
        } else {
            format!("{} {zone_name} (TSO {})", report.horizon.display_in(&environment.zone), report.horizon)
        };
        lines.push(line("horizon", horizon));
    }
    for plan in federated::scans(&physical) {
        if let Some(scan) = plan.downcast_ref::<HotScan>() {
            lines.push(line("table", format!("{} (hot)", scan.table())));
            lines.push(line("upstream", scan.sent_query()));
        }
    }
    if verbose {
        for text in planned.plan.display_indent_schema().to_string().lines() {
            lines.push(line("logical plan", text.to_owned()));
        }
    }
    lines.extend(plan_lines(&physical, analyze));
    Ok(lines)
}

fn plan_lines(physical: &Arc<dyn ExecutionPlan>, analyze: bool) -> Vec<ExplainLine> {
    let text = if analyze {
        datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(physical.as_ref()).indent(false).to_string()
    } else {
        displayable(physical.as_ref()).indent(false).to_string()
    };
    text.lines().map(|l| line("plan", l.to_owned())).collect()
}

fn line(kind: &'static str, text: String) -> ExplainLine {
    ExplainLine { kind, text }
}
