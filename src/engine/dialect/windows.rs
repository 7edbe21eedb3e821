//! `WINDOW w AS (..)`: every window that a function names is written out at the function, so that the engine sees no names.
//! The engine itself takes `OVER (w ORDER BY id)` for a window without what `w` says.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use crate::error::{Error, Kind, Result};
use crate::sql::walk::walk_mut;
use crate::types::{Family, fold};

/// Writes out the windows of the selects of a query that are not queries of their own.
pub(super) fn write_out(query: &mut Query, family: Family) -> Result<()> {
    let mut writer = Writer { windows: Vec::new(), family, depth: 0 };
    if let SetExpr::Select(select) = query.body.as_mut() {
        writer.select(select)?;
        // The order of the whole query knows the windows of its select.
        return query.order_by.as_mut().map_or(Ok(()), |order| writer.tree(order));
    }
    of_body(&mut query.body, family)
}

fn of_body(body: &mut SetExpr, family: Family) -> Result<()> {
    match body {
        SetExpr::Select(select) => Writer { windows: Vec::new(), family, depth: 0 }.select(select),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left, family)?;
            of_body(right, family)
        }
        _ => Ok(()),
    }
}

struct Writer {
    /// Windows by their folded names, written out.
    windows: Vec<(String, WindowSpec)>,
    family: Family,
    /// How many subqueries lie around: windows are not known there.
    depth: usize,
}

impl Writer {
    fn select(&mut self, select: &mut Select) -> Result<()> {
        self.define(std::mem::take(&mut select.named_window))?;
        for item in &mut select.projection {
            self.tree(item)?;
        }
        // DISTINCT ON (..) is the only other place for a window function; elsewhere the engine refuses it.
        select.distinct.as_mut().map_or(Ok(()), |distinct| self.tree(distinct))
    }

    fn tree(&mut self, tree: &mut impl VisitMut) -> Result<()> {
        match walk_mut(tree, self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }

    fn define(&mut self, definitions: Vec<NamedWindowDefinition>) -> Result<()> {
        let mut open: Vec<(String, NamedWindowExpr)> = Vec::new();
        for NamedWindowDefinition(name, window) in definitions {
            let name = fold(&name.value);
            if open.iter().any(|(other, _)| *other == name) {
                return Err(self.twice(&name));
            }
            open.push((name, window));
        }
        // A window may name those before it, in MySQL those after it too.
        while !open.is_empty() {
            let known = |name: &Ident| !open.iter().any(|(other, _)| *other == fold(&name.value));
            let ready = |window: &NamedWindowExpr| match window {
                NamedWindowExpr::NamedWindow(base) => known(base),
                NamedWindowExpr::WindowSpec(spec) => spec.window_name.as_ref().is_none_or(known),
            };
            let next = match self.family {
                Family::Postgres => 0,
                Family::MySql => open.iter().position(|(_, window)| ready(window)).unwrap_or(0),
            };
            let (name, window) = open.remove(next);
            let window = match window {
                NamedWindowExpr::NamedWindow(base) => self.known(&base)?.clone(),
                NamedWindowExpr::WindowSpec(spec) => self.written_out(spec, Some(&name))?,
            };
            self.windows.push((name, window));
        }
        Ok(())
    }

    fn known(&self, name: &Ident) -> Result<&WindowSpec> {
        let folded = fold(&name.value);
        self.windows.iter().find(|(other, _)| *other == folded).map(|(_, window)| window).ok_or_else(|| {
            Error::new(
                Kind::UnknownWindow,
                match self.family {
                    Family::MySql => format!("Window name '{}' is not defined.", name.value),
                    Family::Postgres => format!("window \"{}\" does not exist", name.value),
                },
            )
        })
    }

    /// A window with what the one that it begins with says. `own`: its name in a WINDOW clause.
    fn written_out(&self, mut spec: WindowSpec, own: Option<&str>) -> Result<WindowSpec> {
        let Some(name) = spec.window_name.take() else { return Ok(spec) };
        let base = self.known(&name)?;
        let name = &name.value;
        let error = |kind, mysql: String, postgres: String| Error::new(kind, if self.family == Family::MySql { mysql } else { postgres });
        if !spec.partition_by.is_empty() {
            return Err(error(
                Kind::WindowPartition,
                "A window which depends on another cannot define partitioning.".to_owned(),
                format!("cannot override PARTITION BY clause of window \"{name}\""),
            ));
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            return Err(error(
                Kind::WindowOrder,
                format!("Window '{}' cannot inherit '{name}' since both contain an ORDER BY clause.", own.unwrap_or("<unnamed window>")),
                format!("cannot override ORDER BY clause of window \"{name}\""),
            ));
        }
        if base.window_frame.is_some() {
            let error = error(
                Kind::WindowFrame,
                format!("Window '{name}' has a frame definition, so cannot be referenced by another window."),
                format!("cannot copy window \"{name}\" because it has a frame clause"),
            );
            let bare = own.is_none() && spec.order_by.is_empty() && spec.window_frame.is_none();
            return Err(if bare { error.with_hint("Omit the parentheses in this OVER clause.") } else { error });
        }
        spec.partition_by = base.partition_by.clone();
        if spec.order_by.is_empty() {
            spec.order_by = base.order_by.clone();
        }
        Ok(spec)
    }

    fn twice(&self, name: &str) -> Error {
        Error::new(
            Kind::WindowTwice,
            match self.family {
                Family::MySql => format!("Window '{name}' is defined twice."),
                Family::Postgres => format!("window \"{name}\" is already defined"),
            },
        )
    }

    fn over(&self, over: &mut WindowType) -> Result<()> {
        let written = match over {
            WindowType::NamedWindow(name) => self.known(name)?.clone(),
            WindowType::WindowSpec(spec) if spec.window_name.is_some() => self.written_out(spec.clone(), None)?,
            WindowType::WindowSpec(_) => return Ok(()),
        };
        *over = WindowType::WindowSpec(written);
        Ok(())
    }
}

impl VisitorMut for Writer {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some(over) = &mut function.over
            && let Err(error) = self.over(over)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}
