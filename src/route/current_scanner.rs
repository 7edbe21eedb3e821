//! The scanner of the moment: made anew when the catalog has changed.

use std::sync::Arc;

use parking_lot::RwLock;

use super::Scanner;
use crate::gms::{Catalog, Gms};

/// Has the scanner that knows the cold tables of now.
pub struct CurrentScanner {
    gms: Arc<Gms>,
    current: RwLock<(Arc<Catalog>, Arc<Scanner>)>,
}

impl CurrentScanner {
    /// A watch over what `gms` knows.
    pub fn new(gms: Arc<Gms>) -> CurrentScanner {
        let catalog = gms.catalog();
        let scanner = Arc::new(scanner_of(&catalog));
        CurrentScanner { gms, current: RwLock::new((catalog, scanner)) }
    }

    /// The scanner for the catalog as of now.
    pub fn scanner(&self) -> Arc<Scanner> {
        let catalog = self.gms.catalog();
        {
            let current = self.current.read();
            if Arc::ptr_eq(&current.0, &catalog) {
                return Arc::clone(&current.1);
            }
        }
        let scanner = Arc::new(scanner_of(&catalog));
        *self.current.write() = (catalog, Arc::clone(&scanner));
        scanner
    }
}

/// A connection's own view of the watch: it asks for the scanner only when the catalog has changed, since what all share and
/// count, all wait for.
pub struct ScannerHandle {
    watch: Arc<CurrentScanner>,
    scanner: Arc<Scanner>,
    version: u64,
}

impl ScannerHandle {
    pub fn new(watch: Arc<CurrentScanner>) -> ScannerHandle {
        // The version first: a change in between is seen at the next look.
        let version = watch.gms.catalog_version();
        ScannerHandle { scanner: watch.scanner(), version, watch }
    }

    /// The scanner for the catalog as of now.
    pub fn scanner(&mut self) -> &Scanner {
        let version = self.watch.gms.catalog_version();
        if version != self.version {
            self.scanner = self.watch.scanner();
            self.version = version;
        }
        &self.scanner
    }
}

fn scanner_of(catalog: &Catalog) -> Scanner {
    let tables = catalog.all_tables().map(|table| table.name.as_str());
    let views = catalog.all_views().map(|view| view.name.as_str());
    Scanner::new(tables.chain(views))
}
