//! The time at which a statement reads.

use super::Open;
use crate::engine::{ReadTime, TimeOrigin};
use crate::error::Result;
use crate::session::named_tables::named_tables;
use crate::session::state::Session;
use crate::sql::Query;
use crate::time::Tso;

impl Session {
    /// Where a statement without clauses reads, by the order of precedence: transaction, session, now.
    pub(in crate::session) async fn read_time(&mut self) -> Result<ReadTime> {
        self.read_time_opening(true).await
    }

    /// The same for a query; one that reads no table opens no transaction, so that a session without autocommit is
    /// idle until it really reads.
    pub(in crate::session) async fn read_time_of(&mut self, query: &Query) -> Result<ReadTime> {
        let opens = !named_tables(query).is_empty();
        self.read_time_opening(opens).await
    }

    async fn read_time_opening(&mut self, opens: bool) -> Result<ReadTime> {
        let open = self.transactions.open();
        if let Some(open) = open.filter(|open| open.as_of) {
            return Ok(ReadTime { at: open.transaction.read_time, origin: TimeOrigin::Transaction });
        }
        if let Some(at) = self.settings.read_time {
            return Ok(ReadTime { at, origin: TimeOrigin::Session });
        }
        if let Some(open) = open {
            let origin = if open.implicit { TimeOrigin::Now } else { TimeOrigin::Snapshot };
            return Ok(ReadTime { at: open.transaction.read_time, origin });
        }
        let at = self.snapshot_time(opens).await?;
        let implicit = self.transactions.implicit;
        if opens && (implicit || !self.settings.autocommit()) {
            let read_only = self.settings.default_read_only();
            self.transactions.set_open(Open { implicit, read_only, ..Open::new(self.node.engine.cold.clone(), at) });
            let origin = if implicit { TimeOrigin::Now } else { TimeOrigin::Snapshot };
            return Ok(ReadTime { at, origin });
        }
        let origin = if self.upstream.snapshot_time == Some(at) { TimeOrigin::Snapshot } else { TimeOrigin::Now };
        Ok(ReadTime { at, origin })
    }

    /// Now; or, in a transaction of the upstream that reads at one time, the moment of its first read of a cold table.
    async fn snapshot_time(&mut self, reads: bool) -> Result<Tso> {
        let repeats = reads && self.upstream.in_transaction() && self.settings.reads_repeatably();
        if let Some(at) = self.upstream.snapshot_time.filter(|_| repeats) {
            return Ok(at);
        }
        let at = self.node.gms.read_now().await?;
        if repeats {
            self.upstream.snapshot_time = Some(at);
        }
        Ok(at)
    }

    /// Later statements see what was committed until now: after DDL inside an open PostgreSQL transaction, and before a further
    /// run of a statement whose snapshot is older than a table.
    pub(in crate::session) async fn renew_snapshot(&mut self) -> Result<()> {
        if let Some(open) = self.transactions.open()
            && !open.transaction.is_dirty()
            && !open.as_of
        {
            let (implicit, read_only) = (open.implicit, open.read_only);
            let at = self.node.gms.read_now().await?;
            self.transactions.set_open(Open { implicit, read_only, ..Open::new(self.node.engine.cold.clone(), at) });
        }
        Ok(())
    }
}
