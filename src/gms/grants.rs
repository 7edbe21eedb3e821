//! Rights over cold tables and file storages. Kept in memory whole, for they are asked for by every statement.

use std::collections::BTreeSet;

use super::Gms;
use super::queries::{self, GRANTS};
use crate::error::Result;

/// One right of one user. The texts are the session's; only equality matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The upstream that knows the user: `mysql` or `postgres`.
    pub protocol: String,
    /// The account or role, or PUBLIC.
    pub grantee: String,
    /// In upper case.
    pub privilege: String,
    /// Folded; `*`: all; empty: file storages.
    pub database: String,
    /// Folded; `*`: all of the database; empty: file storages.
    pub table: String,
}

/// Everything that is granted.
#[derive(Debug, Clone, Default)]
pub struct Grants(BTreeSet<Grant>);

impl Grants {
    /// Is exactly this granted?
    pub fn has(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// What one grantee has.
    pub fn of<'a>(&'a self, protocol: &'a str, grantee: &'a str) -> impl Iterator<Item = &'a Grant> {
        let first = Grant { protocol: protocol.to_owned(), grantee: grantee.to_owned(), ..Grant::default() };
        self.0.range(first..).take_while(move |grant| grant.protocol == protocol && grant.grantee == grantee)
    }

    /// All of them, by protocol and grantee.
    pub fn all(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Grants {
        Grants(grants.into_iter().collect())
    }
}

impl Gms {
    /// Grants all of these; gives how many were not granted before.
    pub async fn grant(&self, grants: Vec<Grant>) -> Result<usize> {
        self.change_grants(grants, false).await
    }

    /// Takes all of these away; gives how many there were.
    pub async fn revoke(&self, grants: Vec<Grant>) -> Result<usize> {
        self.change_grants(grants, true).await
    }

    async fn change_grants(&self, grants: Vec<Grant>, revoke: bool) -> Result<usize> {
        self.inner
            .exclusive(move |inner| async move {
                let before = inner.catalog();
                let changed: BTreeSet<Grant> = grants.into_iter().filter(|grant| before.grants().has(grant) == revoke).collect();
                if changed.is_empty() {
                    return Ok(0);
                }
                let mut tx = inner.db.begin().await?;
                for grant in &changed {
                    if revoke {
                        queries::grants::remove(&mut tx, grant).await?;
                    } else {
                        queries::grants::put(&mut tx, grant).await?;
                    }
                }
                let doubt = inner.make_durable(tx, &[GRANTS]).await?;
                let mut all = before.grants().0.clone();
                let count = changed.len();
                if revoke {
                    all.retain(|grant| !changed.contains(grant))
                } else {
                    all.extend(changed)
                }
                inner.change_catalog(|catalog| catalog.put_grants(Grants(all)));
                doubt.settled();
                Ok(count)
            })
            .await
    }
}
