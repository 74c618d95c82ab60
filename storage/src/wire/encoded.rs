//! A parameter as it travels.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::Shape;

/// A parameter that was encoded when its owner still had it.
#[derive(Debug)]
pub(crate) struct Encoded(Option<Bytes>);

impl Encoded {
    /// The parameters of a statement; `None` when they are not what it takes.
    pub(crate) fn all(shape: &Shape, params: &[&(dyn ToSql + Sync)]) -> Option<Vec<Self>> {
        if params.len() != shape.params.len() {
            return None;
        }
        let mut bytes = BytesMut::with_capacity(32 * params.len());
        let one =
            |(param, ty): (&&(dyn ToSql + Sync), &Type)| match param.to_sql_checked(ty, &mut bytes).ok()? {
                IsNull::Yes => Some(Self(None)),
                IsNull::No => Some(Self(Some(bytes.split().freeze()))),
            };
        params.iter().zip(shape.params.iter()).map(one).collect()
    }
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
