//! `flashgate demo`: serve, with sample data; `--tour` runs a story against them through both protocols.
//!
//! - `data`, `rows`, `history`: the sample data and how they came about
//! - `tour`: starts a server, tells the story, stops the server
//! - `story`: the story; `wires`: its two clients; `answer`: what they got, printed and checked
//!
//! The tour's client drivers come with the cargo feature `demo-tour`, which is on by default.

#[cfg(feature = "demo-tour")]
mod answer;
mod data;
mod history;
mod rows;
#[cfg(feature = "demo-tour")]
mod story;
#[cfg(test)]
mod tests;
#[cfg(feature = "demo-tour")]
mod tour;
#[cfg(feature = "demo-tour")]
mod wires;

use std::sync::Arc;

use clap::Args;

use super::serve::serve;
use super::{ConfigArgs, Failure, runtime};
use crate::node::Node;

use history::build_history;

#[derive(Args, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Run the story through both protocols, print it and exit
    #[arg(long)]
    pub tour: bool,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    if args.tour {
        return tour(&args.config);
    }
    let config = args.config.load_and_log()?;
    runtime()?.block_on(serve(&args.config, config, async |node: &Arc<Node>| Ok(build_history(node).await?)))
}

#[cfg(feature = "demo-tour")]
fn tour(config: &ConfigArgs) -> Result<(), Failure> {
    tour::run(config)
}

#[cfg(not(feature = "demo-tour"))]
fn tour(_: &ConfigArgs) -> Result<(), Failure> {
    Err(Failure::Usage("this flashgate was built without the tour: build it with the cargo feature demo-tour".to_owned()))
}
