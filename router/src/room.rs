//! How much may be at work at once, and for whom the last of it is kept.

/// One part in so many of the room is kept.
const KEPT: usize = 8;

/// How many requests may be at work, of `most`, when one to this path is among them. The last of the room is for signing in
/// and for those who look after the process: while patients' requests fill the rest, people still get in, and a balancer
/// does not take a router that is only busy for one that is dead.
pub(crate) fn room(most: usize, path: &str) -> usize {
    if is_kept_for(path) { most } else { most - most / KEPT }
}

fn is_kept_for(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
        || path.starts_with("/v1/auth/")
        || path.starts_with("/v1/portal/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_kept_for_signing_in_and_health() {
        for path in
            ["/v1/auth/login", "/v1/auth/refresh", "/v1/portal/sign-in", "/healthz", "/readyz", "/metrics"]
        {
            assert_eq!(room(4_096, path), 4_096, "{path}");
        }
        for path in ["/v1/patients/1", "/v1/authors", "/v1/orgs", "/docs/", "/healthz/"] {
            assert_eq!(room(4_096, path), 3_584, "{path}");
        }
        assert_eq!((room(1, "/v1/orgs"), room(8, "/v1/orgs")), (1, 7), "there is always some for the others");
    }
}
