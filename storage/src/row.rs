//! One row of an answer.

use tokio_postgres::types::FromSql;

use crate::Error;

/// One row. Reading a column that is not there, or is of another type, is an error that names the column.
pub struct Row(pub(crate) tokio_postgres::Row);

impl Row {
    /// The value of a column.
    pub fn get<'a, T: FromSql<'a>>(&'a self, column: &'static str) -> Result<T, Error> {
        self.0.try_get(column).map_err(|_| Error::Row { column })
    }
}

/// The only row, if there is one.
pub(crate) fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    let row = rows.pop();
    if rows.is_empty() { Ok(row) } else { Err(Error::NotOneRow) }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({} columns)", self.0.len())
    }
}
