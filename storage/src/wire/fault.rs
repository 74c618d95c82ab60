//! What can go wrong on a connection. Of the server's words only the SQLSTATE and a constraint's name are kept: its
//! other words may quote values.

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::ErrorResponseBody;
use tokio_postgres::error::SqlState;

/// Why an exchange did not come to what was wanted.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The server refused a statement.
    Server {
        /// Its SQLSTATE.
        code: SqlState,
        /// The constraint that it names.
        constraint: Option<String>,
    },
    /// The connection ended, or what came is not the protocol.
    Lost,
    /// A parameter is not of the statement's type. Nothing was sent.
    Misuse,
}

impl Fault {
    /// What an error message of the server comes to.
    pub(super) fn said(body: &ErrorResponseBody) -> Self {
        let (mut code, mut constraint) = (None, None);
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let text = || String::from_utf8_lossy(field.value_bytes());
            match field.type_() {
                b'C' => code = Some(SqlState::from_code(&text())),
                b'n' => constraint = Some(text().into_owned()),
                _ => {}
            }
        }
        Self::Server { code: code.unwrap_or(SqlState::INTERNAL_ERROR), constraint }
    }
}

impl From<std::io::Error> for Fault {
    fn from(_: std::io::Error) -> Self {
        Self::Lost
    }
}
