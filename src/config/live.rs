//! A value that is replaced while others use it: whoever has taken it keeps what it took.

use std::sync::Arc;

use parking_lot::RwLock;

/// The value of now.
#[derive(Debug)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    pub fn new(value: T) -> Live<T> {
        Live(RwLock::new(Arc::new(value)))
    }

    /// As it is now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read())
    }

    /// From now on it is this.
    pub fn set(&self, value: T) {
        *self.0.write() = Arc::new(value);
    }
}
