//! What a statement takes and gives. The same on every connection, so it is asked for once.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_postgres::types::Type;

/// A statement. All of them are constants of the program, so mostly two that are the same are one in memory, and to
/// look at how long it is and how it ends tells it from the others: the texts are long, and this is asked for each use.
#[derive(Debug, Clone, Copy, Eq)]
pub(crate) struct Text(pub(crate) &'static str);

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes = self.0.as_bytes();
        state.write_usize(bytes.len());
        state.write(&bytes[bytes.len().saturating_sub(32)..]);
    }
}

/// One column of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: Box<str>,
    pub(crate) ty: Type,
}

/// What a statement takes and gives.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) params: Arc<[Type]>,
    pub(crate) columns: Arc<[Column]>,
}

impl Shape {
    /// That of a statement which takes and gives nothing, such as COMMIT.
    pub(crate) fn nothing() -> Self {
        Self { params: Arc::new([]), columns: Arc::new([]) }
    }
}

/// The shapes that are known.
#[derive(Debug, Default)]
pub(crate) struct Shapes(RwLock<HashMap<Text, Shape>>);

impl Shapes {
    pub(crate) fn get(&self, text: Text) -> Option<Shape> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&text).cloned()
    }

    pub(crate) fn put(&self, text: Text, shape: Shape) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(text, shape);
    }
}
