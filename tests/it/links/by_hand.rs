//! Links as people use them at a terminal.

use std::path::Path;
use std::process::Command;

use tests::cluster::{domicile, folder, run};
use tests::faults::processes_naming;
use tests::namespaces::{available, show};

use super::over_links;

fn link(home: &Path, words: &[&str]) -> anyhow::Result<String> {
    let home = home.display().to_string();
    run(&[&["dev", "link"], words, &["--home", &home]].concat())
}

#[tokio::test]
async fn links_are_cut_spoilt_and_healed_while_the_cluster_runs() {
    let Some((cluster, _turn)) = over_links("`domicile dev link`").await else { return };
    let home = cluster.home();
    let whole = show(cluster).expect("is shown");
    let line = |said: &str, from: &str, to: &str| {
        let is_it = |l: &&str| l.split_whitespace().take(2).eq([from, to]);
        let found = said.lines().find(is_it);
        found.unwrap_or_else(|| panic!("{from} {to} is not in {said}")).to_owned()
    };
    let said = link(home, &["cut", "tx", "ny", "--one-way"]).expect("is cut");
    assert!(line(&said, "tx", "ny").contains("cut") && line(&said, "ny", "tx").contains("19 ms"), "{said}");
    let said = link(home, &["set", "ca", "--loss", "2.5", "--delay", "80ms"]).expect("is changed");
    for (from, to) in [("ca", "tx"), ("tx", "ca"), ("ca", "router"), ("router", "ca")] {
        assert!(line(&said, from, to).contains("80 ms, 2.5 % lost"), "{said}");
    }
    link(home, &["heal"]).expect("heals");
    let shapes = |rows: Vec<links::fabric::Row>| rows.into_iter().map(|r| r.shape).collect::<Vec<_>>();
    assert_eq!(shapes(show(cluster).expect("is shown")), shapes(whole));

    let refused = link(home, &["cut", "wa"]).expect_err("there is no such side").to_string();
    assert!(refused.contains("ca, ny, tx, router"), "{refused}");
    let refused = link(home, &["set", "tx", "--delay", "2min"]).expect_err("too long").to_string();
    assert!(refused.contains("at most 60 s"), "{refused}");
}

#[test]
fn who_may_not_make_namespaces_is_told_so_and_nothing_is_started() {
    if !available("that links are refused without the right to make them") {
        return;
    }
    let home = folder("links-refused").expect("a folder").join("home");
    // Root without its rights: what a container mostly gives.
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(domicile().expect("is built"))
        .args(["dev", "up", "--wan", "us", "--home"])
        .arg(&home)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("CAP_NET_ADMIN") && said.contains("run it as root"), "{said}");
    assert!(!home.exists(), "nothing was made");
    assert_eq!(processes_naming(&home.display().to_string()), []);
    let _ = std::fs::remove_dir_all(home.parent().expect("a folder"));

    let none = link(Path::new("/nowhere"), &[]).expect_err("no cluster runs there").to_string();
    assert!(none.contains("./dev up --wan us"), "{none}");
}
