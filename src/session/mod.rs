//! One client: its state, and running one statement for either protocol.
//!
//! A wire opens a [`Session`] once the client is authenticated, hands it text and parameters, and encodes the
//! [`Reply`]. A session knows no packets; what differs between MySQL and PostgreSQL sessions hangs on its [`Dialect`].

mod reply;

pub use reply::{Chunk, CopyFormat, CopyIn, CopyLayout, CopyOut, CopySink, LoadData, Outcome, PostgresCopy, Reply, Rows};
