//! The recycle bin.

use super::purge::purge_outcome;
use crate::error::Result;
use crate::gms::Binned;
use crate::session::result_set::{number, reply, text};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::Name;
use crate::types::same;

impl Session {
    pub(in crate::session) async fn show_recycle_bin(&mut self) -> Result<Reply> {
        let bin = self.node.gms.recycle_bin().await?;
        let zone = self.settings.zone.clone();
        reply(
            "SHOW",
            vec![
                number("Id", bin.iter().map(|b| Some(b.id))),
                text("NAME", bin.iter().map(|b| Some(b.name.clone()))),
                text("ORIGINAL_NAME", bin.iter().map(|b| Some(b.original_name.clone()))),
                text(
                    "CREATED",
                    bin.iter().map(|b| Some(b.created.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())),
                ),
            ],
        )
    }

    pub(in crate::session) async fn flashback_table(&mut self, name: &Name, rename_to: Option<&str>) -> Result<Reply> {
        self.end_before_ddl("FLASHBACK TABLE").await?;
        let (database, bin) = self.namespace().table(&name.parts)?;
        let back = match rename_to {
            Some(new) => Some(new.to_owned()),
            None => {
                let binned = self.node.gms.recycle_bin().await?;
                let is = |b: &&Binned| same(&b.database, &database) && (same(&b.name, &bin) || same(&b.original_name, &bin));
                binned.iter().find(is).map(|b| b.original_name.clone())
            }
        };
        if let Some(back) = back {
            self.check_not_hot(&database, &back).await?;
        }
        self.node.gms.flashback_table(&database, &bin, rename_to).await?;
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("FLASHBACK TABLE")))
    }

    pub(in crate::session) async fn purge_table(&mut self, name: &Name) -> Result<Reply> {
        self.end_before_ddl("PURGE TABLE").await?;
        let (database, bin) = self.namespace().table(&name.parts)?;
        let result = self.node.gms.purge_binned(Some(&database), Some(&bin)).await?;
        self.after_purge(&result).await;
        Ok(purge_outcome("PURGE TABLE", &result))
    }

    pub(in crate::session) async fn purge_recycle_bin(&mut self) -> Result<Reply> {
        self.end_before_ddl("PURGE RECYCLEBIN").await?;
        let result = self.node.gms.purge_binned(None, None).await?;
        self.after_purge(&result).await;
        Ok(purge_outcome("PURGE RECYCLEBIN", &result))
    }
}
