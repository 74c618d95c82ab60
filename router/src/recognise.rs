//! Recognise: whose key or session a request shows, and who only a home can tell.

use http::request::Parts;

use crate::identify::Identified;
use crate::known::{Caller, Known, at_home, shown};
use crate::life_of_a_request::{CATCH_UP, Edge};

impl<K: Known> Edge<K> {
    /// Who asks, if anybody can be told here; and what for, without the patient where only the home can tell who asks.
    pub(crate) async fn recognise(&self, about: Identified, head: &Parts) -> (Identified, Option<Caller>) {
        let mut caller = self.caller(head);
        if caller.is_none() && about.names_a_patient() && self.arrives(head).await {
            caller = self.caller(head);
        }
        if caller.is_none()
            && about.names_a_patient()
            && let Some(own) = at_home(&head.headers)
        {
            return (about.of_whomever(), Some(own));
        }
        (about, caller)
    }

    /// Whose key or session is shown, if it is a valid one.
    fn caller(&self, head: &Parts) -> Option<Caller> {
        self.known.authenticate(shown(&head.headers)?, self.clock.now())
    }

    /// Waits for a session that began a moment ago, of which this view has not heard. Says whether it came.
    async fn arrives(&self, head: &Parts) -> bool {
        match shown(&head.headers) {
            Some(token) => self.known.arrives(token, self.clock.now(), CATCH_UP).await,
            None => false,
        }
    }
}
