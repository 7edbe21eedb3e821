//! `flashgate config`.

use super::{ConfigArgs, Failure};
use crate::config::load;

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let loaded = args.load()?;
    for warning in &loaded.warnings {
        eprintln!("flashgate: {warning}");
    }
    print!("{}", load::print(&loaded.config)?);
    Ok(())
}
