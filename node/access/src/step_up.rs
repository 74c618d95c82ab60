//! Where one factor is enough until an organisation has an administrator with two, so that the first one can begin.

use residency_policy::{OrgId, Problem, Role, UserId};

use crate::{Act, Here, OpenCall, step_up_required};

impl<A: Act> OpenCall<A> {
    /// Whether the caller showed two factors, or one, where no administrator of their organisation has a second one, here or
    /// at an identity provider that says when it was shown. From
    /// then on one factor, which whoever steals a key could give, is not enough. Refused with `step-up-required`.
    pub fn sure_enough(&self) -> Result<(), Problem> {
        if self.caller.assurance < 2 && has_a_sure_administrator(&self.here, self.caller.org) {
            return Err(step_up_required());
        }
        Ok(())
    }
}

fn has_a_sure_administrator(here: &Here, org: OrgId) -> bool {
    let directory = &here.directory;
    let signins = directory.signins();
    let first = (org, UserId::from_bytes([0; 16]));
    let accounts = signins.accounts().iter_from(&first).take_while(|((of, _), _)| *of == org);
    let mut sure = accounts.filter(|((_, user), account)| {
        signins.asks_for_more(account) || signins.federation().has_second_factor(org, *user)
    });
    sure.any(|((_, user), _)| directory.user(*user).is_some_and(|user| user.may_be(org, Role::OrgAdmin)))
}
