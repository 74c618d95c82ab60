//! Count: what is too much together with all that the same address and the same caller asked for lately.

use std::sync::Arc;

use http::request::Parts;
use rates::{ClientAddress, FORGET_EVERY, Rates, Standing};

use crate::known::Caller;

/// Counts a request of an address, before anything is done for it: also who guesses keys is slowed so.
///
/// # Errors
/// It is one too many.
pub(crate) fn address(rates: &Rates, head: &Parts) -> Result<(), Standing> {
    match head.extensions.get::<ClientAddress>() {
        Some(from) => rates.address(from.0, head.uri.path()),
        None => Ok(()),
    }
}

/// Counts a request of a caller, if the caller is known.
///
/// # Errors
/// It is one too many.
pub(crate) fn caller(rates: &Rates, caller: Option<Caller>) -> Result<Option<Standing>, Standing> {
    caller.and_then(|caller| caller.counted).map_or(Ok(None), |counted| rates.caller(counted))
}

/// Forgets from time to time whoever has asked for nothing lately.
pub async fn forget(rates: Arc<Rates>) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    loop {
        tick.tick().await;
        rates.forget();
    }
}
