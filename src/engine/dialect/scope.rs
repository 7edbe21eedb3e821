//! What the FROM of a select has: tables with their columns, and columns that joins have merged.

use datafusion::sql::sqlparser::ast::*;

use crate::types::fold;

/// Names of columns, folded.
#[derive(Clone, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    /// Are these all, under the names that the engine gives them?
    pub(super) complete: bool,
}

/// What a FROM has, in the order of `*`.
#[derive(Clone)]
pub(super) enum FromItem {
    /// A merged column and its value.
    Merged(String, Box<Expr>),
    /// A table, less its columns that are merged.
    Table { qualifier: Ident, columns: Columns, merged: Vec<String> },
}

impl FromItem {
    /// The columns that it shows.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            FromItem::Merged(name, _) => vec![name.as_str()],
            FromItem::Table { columns, merged, .. } => {
                columns.names.iter().filter(|name| !merged.contains(name)).map(String::as_str).collect()
            }
        }
    }

    /// Are all its columns known?
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, FromItem::Merged(..)) || matches!(self, FromItem::Table { columns, .. } if columns.complete)
    }

    /// The columns as items of a select list. `complete`: all items of the list are known.
    pub(super) fn listed(&self, complete: bool) -> Vec<SelectItem> {
        match self {
            // A column keeps its table's name where it can: two of one name may stand in a list then.
            FromItem::Merged(_, value) if complete && matches!(value.as_ref(), Expr::CompoundIdentifier(_)) => {
                vec![SelectItem::UnnamedExpr(value.as_ref().clone())]
            }
            FromItem::Merged(name, value) => {
                vec![SelectItem::ExprWithAlias { expr: value.as_ref().clone(), alias: Ident::with_quote('"', name) }]
            }
            FromItem::Table { qualifier, .. } if complete => {
                self.names().into_iter().map(|name| SelectItem::UnnamedExpr(qualified(qualifier, name))).collect()
            }
            FromItem::Table { qualifier, merged, .. } => {
                let without = merged.iter().map(|name| ObjectName::from(Ident::with_quote('"', name))).collect::<Vec<_>>();
                let opt_exclude = Some(without).filter(|names| !names.is_empty()).map(ExcludeSelectItem::Multiple);
                let options = WildcardAdditionalOptions { opt_exclude, ..WildcardAdditionalOptions::default() };
                let of = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(qualifier.clone()));
                vec![SelectItem::QualifiedWildcard(of, options)]
            }
        }
    }
}

/// All that a FROM has.
pub(super) type Scope = Vec<FromItem>;

fn qualified(qualifier: &Ident, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![qualifier.clone(), Ident::with_quote('"', column)])
}

/// All values that a bare name may mean.
pub(super) fn meanings(scope: &[FromItem], name: &str) -> Vec<Expr> {
    let mut found = Vec::new();
    for item in scope {
        match item {
            FromItem::Merged(merged, value) if merged == name => found.push(value.as_ref().clone()),
            FromItem::Table { qualifier, .. } => {
                found.extend(item.names().into_iter().filter(|own| *own == name).map(|_| qualified(qualifier, name)));
            }
            FromItem::Merged(..) => {}
        }
    }
    found
}

/// Takes a column out, since it is merged.
pub(super) fn hide(scope: &mut Scope, name: &str) {
    scope.retain(|item| !matches!(item, FromItem::Merged(merged, _) if merged == name));
    for item in scope {
        if let FromItem::Table { columns, merged, .. } = item
            && columns.names.iter().any(|own| own == name)
            && !merged.iter().any(|own| own == name)
        {
            merged.push(name.to_owned());
        }
    }
}

/// Columns under the names that an alias lists: `q (a, b)`.
pub(super) fn renamed(mut columns: Columns, listed: &[TableAliasColumnDef]) -> Columns {
    let all = !listed.is_empty() && listed.len() >= columns.names.len();
    for (n, column) in listed.iter().enumerate() {
        let name = fold(&column.name.value);
        match columns.names.get_mut(n) {
            Some(own) => *own = name,
            None => columns.names.push(name),
        }
    }
    columns.complete |= all && !columns.names.is_empty();
    columns
}
