//! `flashgate demo`: serve, with sample data.
//!
//! `data`, `rows` and `history` are the sample data and how they came about. examples/demo_tour tells a story about them.

mod data;
mod history;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use clap::Args;

use super::serve::serve;
use super::{ConfigArgs, Failure, runtime};
use crate::node::Node;

pub use history::{DATABASE, build_history};

#[derive(Args, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let config = args.config.load_and_log()?;
    runtime()?.block_on(serve(&args.config, config, async |node: &Arc<Node>| Ok(build_history(node).await?)))
}
