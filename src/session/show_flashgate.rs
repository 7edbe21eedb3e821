//! SHOW FLASHGATE: about this server, whoever else answers on the connection.

use super::Reply;
use super::result_set::{number, reply, text};
use super::state::Session;
use crate::error::{Error, Result};
use crate::sql::Topic;

impl Session {
    pub(super) fn show_flashgate(&self, topic: Topic) -> Result<Reply> {
        match topic {
            Topic::Status => self.show_status(),
            Topic::Sessions => self.show_sessions(),
            Topic::Config => {
                let lines = crate::config::load::shown(&self.node.config()).map_err(|e| Error::internal(e.to_string()))?;
                reply(
                    "SHOW",
                    vec![
                        text("KEY", lines.iter().map(|line| Some(line.path))),
                        text("VALUE", lines.iter().map(|line| Some(line.value.clone()))),
                        text("MEANING", lines.iter().map(|line| Some(line.doc))),
                    ],
                )
            }
            Topic::Version => reply("SHOW", vec![text("VERSION", [Some(env!("CARGO_PKG_VERSION"))])]),
        }
    }

    fn show_status(&self) -> Result<Reply> {
        let node = &self.node;
        let catalog = node.gms.catalog();
        let upstream = |upstream: &crate::config::Upstream| if upstream.is_set() { upstream.address.clone() } else { "none".to_owned() };
        let lines = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("uptime_seconds", node.started.elapsed().as_secs().to_string()),
            ("clients", node.sessions.clients().len().to_string()),
            ("upstream_mysql", upstream(&node.config().upstream.mysql)),
            ("upstream_postgres", upstream(&node.config().upstream.postgres)),
            ("databases", catalog.databases().count().to_string()),
            ("cold_tables", catalog.all_tables().count().to_string()),
            ("file_storages", catalog.storages().count().to_string()),
        ];
        reply("SHOW", vec![text("NAME", lines.iter().map(|l| Some(l.0))), text("VALUE", lines.iter().map(|l| Some(l.1.clone())))])
    }

    /// Every client, in front of an upstream or not.
    fn show_sessions(&self) -> Result<Reply> {
        let clients = self.node.sessions.clients();
        reply(
            "SHOW",
            vec![
                number("ID", clients.iter().map(|c| Some(u64::from(c.id)))),
                text("PROTOCOL", clients.iter().map(|c| Some(c.protocol.label()))),
                text("ROUTE", clients.iter().map(|c| Some(if c.relayed { "upstream" } else { "local" }))),
                text("USER", clients.iter().map(|c| Some(c.user.clone()))),
                text("PEER", clients.iter().map(|c| Some(c.peer.clone()))),
                number("CONNECTED_SECONDS", clients.iter().map(|c| Some(c.seconds))),
                text("RUNNING", clients.iter().map(|c| c.running.clone())),
            ],
        )
    }
}
