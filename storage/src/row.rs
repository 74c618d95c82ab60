//! One row of an answer.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::types::FromSql;

use crate::Error;
use crate::wire::Column;

/// One row. Reading a column that is not there, or is of another type, is an error that names the column.
pub struct Row {
    columns: Arc<[Column]>,
    bytes: Bytes,
    cells: Vec<Option<Range<usize>>>,
}

impl Row {
    /// The row that these bytes of a DataRow message are: each cell after its length, and a null has length -1.
    pub(crate) fn read(columns: Arc<[Column]>, bytes: Bytes) -> Option<Self> {
        let mut cells = Vec::with_capacity(columns.len());
        let mut at = 0;
        while at < bytes.len() {
            let from = at + 4;
            let length = i32::from_be_bytes(bytes.get(at..from)?.try_into().ok()?);
            at = from + usize::try_from(length).unwrap_or(0);
            cells.push((length >= 0).then_some(from..at));
        }
        (at == bytes.len() && cells.len() == columns.len()).then_some(Self { columns, bytes, cells })
    }

    /// The value of a column.
    pub fn get<'a, T: FromSql<'a>>(&'a self, column: &'static str) -> Result<T, Error> {
        let unreadable = Error::Row { column };
        let Some(at) = self.columns.iter().position(|known| &*known.name == column) else {
            return Err(unreadable);
        };
        let ty = &self.columns[at].ty;
        if !T::accepts(ty) {
            return Err(unreadable);
        }
        let cell = self.cells[at].clone().and_then(|range| self.bytes.get(range));
        T::from_sql_nullable(ty, cell).map_err(|_| unreadable)
    }
}

/// The only row, if there is one.
pub(crate) fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    let row = rows.pop();
    if rows.is_empty() { Ok(row) } else { Err(Error::NotOneRow) }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({} columns)", self.cells.len())
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::Type;

    use super::*;

    fn columns() -> Arc<[Column]> {
        let column = |name: &str, ty| Column { name: name.into(), ty };
        Arc::new([column("a", Type::INT4), column("b", Type::TEXT), column("c", Type::TEXT)])
    }

    fn bytes() -> Vec<u8> {
        [&4_i32.to_be_bytes()[..], &7_i32.to_be_bytes(), &(-1_i32).to_be_bytes(), &2_i32.to_be_bytes(), b"xy"]
            .concat()
    }

    #[test]
    fn a_row_gives_what_is_in_it_by_name_and_type() {
        let row = Row::read(columns(), bytes().into()).expect("a row");
        assert_eq!(row.get::<i32>("a").expect("a number"), 7);
        assert_eq!(row.get::<Option<&str>>("b").expect("a null"), None);
        assert_eq!(row.get::<&str>("c").expect("a text"), "xy");
        assert!(row.get::<&str>("b").is_err(), "a null is no text");
        assert!(row.get::<&str>("a").is_err(), "a number is no text");
        assert!(row.get::<&str>("d").is_err(), "there is no such column");
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_row() {
        let whole = bytes();
        for end in 0..whole.len() {
            assert!(Row::read(columns(), whole[..end].to_vec().into()).is_none(), "{end}");
        }
        let longer = [&whole[..], &[0, 0, 0, 0]].concat();
        assert!(Row::read(columns(), longer.into()).is_none());
    }
}
