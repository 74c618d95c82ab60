//! What a newcomer is shown when a cluster is ready.

use std::fmt::Write as _;

use residency_policy::Role;

use super::cluster_json::Cluster;
use super::layout::Home;

/// A number of things, in words that fit it.
pub fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// Where everything is reached.
pub fn endpoints(cluster: &Cluster) -> String {
    let mut text = String::new();
    let mut row = |name: &str, url: &str, what: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<8} {url:<28} {what}");
    };
    row("router", &cluster.router.url, "any patient, from anywhere that the rules allow");
    for region in &cluster.regions {
        row(
            region.name.as_str(),
            &region.url,
            &format!("{}, whose patients live here", region.jurisdiction.name()),
        );
    }
    let _ = write!(text, "  trust    {}", cluster.ca_cert.display());
    text
}

/// The keys: each of them the first time, and afterwards where they are.
pub fn credentials(cluster: &Cluster, home: &Home, show: bool) -> String {
    if !show {
        return format!("API keys and sign-ins are in {} (mode 0600)\n", home.cluster_json().display());
    }
    let mut text = String::from("API keys, shown this once and kept in cluster.json (mode 0600):\n");
    for c in &cluster.credentials {
        let _ = writeln!(text, "  {:<15} {:<22} {}", c.role.as_str(), c.org_name, c.api_key);
    }
    text.push_str("Sign-ins, for POST /v1/auth/login:\n");
    for c in &cluster.credentials {
        if let Some(login) = c.user.as_ref().and_then(|user| user.login.as_ref()) {
            let _ = writeln!(text, "  {:<38} {}  {}", login.name, login.password, c.org);
        }
    }
    text
}

/// Commands to try.
pub fn what_next(cluster: &Cluster, home: &Home, in_background: bool) -> String {
    let Some(region) = cluster.regions.last() else { return String::new() };
    let (ca, router) = (cluster.ca_cert.display(), &cluster.router.url);
    let (code, name) = (region.jurisdiction, &region.name);
    let file = home.cluster_json();
    let pick = format!(
        "python3 -c 'import json;print([c[\"api_key\"] for c in json.load(open(\"{}\"))[\"credentials\"] if c[\"role\"]==\"{}\"][0])'",
        file.display(),
        Role::Provider.as_str(),
    );
    let stop = if in_background { "./dev down" } else { "Ctrl-C" };
    format!(
        "Try next:\n  \
         KEY=$({pick})\n  \
         curl --cacert {ca} -H \"Authorization: Bearer $KEY\" -H 'Purpose-Of-Use: TREAT' '{router}/v1/patients?home={code}&limit=3'\n  \
         open {}/docs   the API, to read and to try\n  \
         ./dev status         what runs, and how well\n  \
         ./dev logs {name} -f     what the {} node says\n  \
         {stop:<20} stops everything; the data stays\n",
        region.url,
        region.jurisdiction.name(),
    )
}
