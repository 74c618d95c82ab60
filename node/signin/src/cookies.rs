//! How tokens are given to a browser: where no script can read them.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use node_access::Refused;

use crate::NotSignedIn;

/// What every cookie of ours says. `Path=/` is what its prefix asks for.
const ALWAYS: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// Sets a cookie for so many seconds.
pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: &str, seconds: i64) -> Result<(), Refused> {
    let line = format!("{name}={value}; Max-Age={seconds}; {ALWAYS}");
    let mut line = HeaderValue::from_str(&line).map_err(|_| Refused::internal("signin: a cookie"))?;
    line.set_sensitive(true);
    headers.append(SET_COOKIE, line);
    Ok(())
}

/// Sets a cookie that a browser brings along when another site's page sends it back here.
pub(crate) fn set_for_the_way_back(
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    seconds: i64,
) -> Result<(), Refused> {
    keep(headers, &for_long(name, value, seconds))
}

/// The line that sets a cookie for so many seconds which comes along also when another site's page sends the browser here.
pub(crate) fn for_long(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// The line that takes a cookie away.
pub(crate) fn gone(name: &str) -> String {
    format!("{name}=; Max-Age=0; {ALWAYS}")
}

/// A refusal that sets cookies. What is put on its answer otherwise is left out when it is written.
pub(crate) fn refused(because: NotSignedIn, lines: impl IntoIterator<Item = String>) -> Refused {
    lines.into_iter().fold(because.into(), |refused: Refused, line| match HeaderValue::from_str(&line) {
        Ok(line) => refused.header(SET_COOKIE, line),
        Err(_) => refused,
    })
}

/// Adds such a line.
pub(crate) fn keep(headers: &mut HeaderMap, line: &str) -> Result<(), Refused> {
    let mut line = HeaderValue::from_str(line).map_err(|_| Refused::internal("signin: a cookie"))?;
    line.set_sensitive(true);
    headers.append(SET_COOKIE, line);
    Ok(())
}

/// Takes a cookie away.
pub(crate) fn clear(headers: &mut HeaderMap, name: &str) -> Result<(), Refused> {
    set(headers, name, "", 0)
}
