//! Revisions are unsigned, SQLite's integers are not.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// A number that SQLite keeps as a signed one.
#[derive(Clone, Copy)]
pub(super) struct Unsigned(pub(super) u64);

impl ToSql for Unsigned {
    /// A number past SQLite's range is as good as the greatest: only a client's question can name one.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Unsigned {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Unsigned> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Unsigned).map_err(|_| FromSqlError::OutOfRange(number))
    }
}
