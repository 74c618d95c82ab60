//! Versions of the access policies in a whole cluster: put in force everywhere at once, never half, and never on the
//! word of somebody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http::Method;
use residency_control::{Command, PolicyVersion, Signature64};
use serde_json::{Value, json};
use tests::client::Client;
use tests::cluster::{self, Cluster, Wish, turn};
use tests::faults::{wait_for, wait_until};
use tests::{clinic, operate, workspace};

use super::access_matrix::compare;

const HOME: &str = "US-TX";
const REGIONS: [&str; 3] = ["ca", "ny", "tx"];
/// From the acknowledgement until every node decides by the new set. A second is what is promised; a program that is not
/// optimised needs that much processor time on each node to read and check the policies, and all share this machine.
const APPLIED_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

/// A copy of the shipped policies, in which no provider may read a patient any more when `closed`.
pub(crate) fn policies(at: &Path, closed: bool) -> PathBuf {
    fs::create_dir_all(at).expect("a folder");
    let shipped = workspace::root().join("node/policy/policies");
    for entry in fs::read_dir(shipped).expect("the policies") {
        let path = entry.expect("a file").path();
        fs::copy(&path, at.join(path.file_name().expect("a name"))).expect("copies");
    }
    let text = "@id(\"closed-for-a-while\")\n@citation(\"a test\")\n@reason(\"not-permitted\")\n\
                forbid (principal == Role::\"provider\", action == Action::\"read\", resource is Patient);\n";
    if closed {
        fs::write(at.join("closed.cedar"), text).expect("writes");
    }
    at.to_owned()
}

struct Operator<'c> {
    cluster: &'c Cluster,
}

impl Operator<'_> {
    fn path(&self, below: &str) -> String {
        self.cluster.home().join(below).display().to_string()
    }

    fn node(&self, region: &str) -> String {
        self.path(&format!("regions/{region}/node.toml"))
    }

    /// Signs a folder with the cluster's own key.
    fn sign(&self, folder: &Path, version: u64) -> Result<String> {
        let plan: Value = serde_json::from_slice(&fs::read(self.path("plan.json"))?)?;
        self.sign_for(plan["cluster"].as_str().context("a name")?, folder, version)
    }

    fn sign_for(&self, cluster: &str, folder: &Path, version: u64) -> Result<String> {
        let (key, out) = (self.path("rules/policy.key"), self.path(&format!("signed-{version}.json")));
        let (folder, version) = (folder.display().to_string(), version.to_string());
        cluster::run(&[
            "policy",
            "sign",
            &folder,
            "--cluster",
            cluster,
            "--as",
            &version,
            "--key",
            &key,
            "--out",
            &out,
        ])?;
        Ok(out)
    }

    fn propose(&self, signed: &str) -> Result<String> {
        cluster::run(&["policy", "propose", signed, "--config", &self.node("ny")])
    }

    fn show(&self, region: &str) -> Result<String> {
        cluster::run(&["policy", "show", "--config", &self.node(region)])
    }

    /// A file with one question: whether a provider may read a patient of their own organisation, to treat.
    fn question(&self) -> Result<String> {
        let question = json!({"principal": "provider", "action": "read", "entity": "patient", "facts": {
            "organisation": "provider", "purpose": "TREAT", "relationship": "organisation", "consent": "general",
            "licence": "held", "basis": false, "category": "general", "home": HOME, "ingress": HOME,
            "service": null, "accessor": null, "day": 20_261_122, "device": "known", "assurance": 1}});
        let at = self.path("question.jsonl");
        fs::write(&at, question.to_string())?;
        Ok(at)
    }

    /// What a folder would change of the question: for a node, or for the set of the program.
    fn plans(&self, folder: &Path, region: Option<&str>) -> Result<String> {
        let (folder, question) = (folder.display().to_string(), self.question()?);
        self.asks(&["policy", "plan", &folder, "--requests", &question], region)
    }

    fn tries(&self, region: Option<&str>) -> Result<String> {
        self.asks(&["policy", "test", &self.question()?], region)
    }

    fn asks(&self, args: &[&str], region: Option<&str>) -> Result<String> {
        let node = region.map(|region| self.node(region));
        let more = node.as_deref().map(|node| ["--config", node]);
        cluster::run(&args.iter().copied().chain(more.into_iter().flatten()).collect::<Vec<_>>())
    }

    /// What decides at a node: version and digest.
    async fn decides(&self, region: &str) -> Result<Value> {
        let door = operate::door(self.cluster, region, region)?;
        Ok(door.get("/operate/access-policies").await?.expect(200)?.json())
    }
}

/// Waits until every node decides by a version, and returns the digests by which they do.
async fn everywhere(operator: &Operator<'_>, version: u64, within: Duration) -> Vec<Value> {
    let mut digests = Vec::new();
    for region in REGIONS {
        let decides = wait_for("a version to decide", within, async || {
            let decides = operator.decides(region).await.ok()?;
            (decides["version"] == version).then_some(decides)
        });
        digests.push(decides.await.expect("in time")["digest"].clone());
    }
    digests
}

async fn ready(cluster: &Cluster, region: &str) -> Value {
    let node = cluster.nobody().at(&cluster.region(region).url);
    node.get("/readyz").await.expect("an answer").json()
}

async fn status(client: &Client, path: &str) -> u16 {
    client.get(path).await.expect("an answer").status.as_u16()
}

/// Whether a read of a patient was decided by this version, as the node's log says.
fn decided(log: &str, version: u64) -> bool {
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|line| {
        line["policies"] == version && line["route"] == "/v1/patients/{id}" && line["status"].is_u64()
    })
}

#[tokio::test]
async fn a_signed_version_decides_on_every_node_in_time_and_another_signature_nowhere() {
    let _turn = turn().await;
    let wish = Wish { name: "policies", people: 3, more: Vec::new() };
    let cluster = Cluster::start(&wish).expect("a cluster");
    let operator = Operator { cluster: &cluster };
    let doctor = cluster.client("provider", HOME);
    let somebody = clinic::somebody(HOME, 902);
    let patient = clinic::register(&doctor, HOME, &somebody).await.expect("it is registered");
    let before = operator.show("tx").expect("the node says");
    assert!(before.contains("the set that comes with the program"), "{before}");
    assert_eq!(status(&doctor, &patient.path).await, 200);

    // What does not fit is refused with its place, and nothing is written, let alone proposed.
    let folder = policies(&cluster.home().join("new"), true);
    fs::write(folder.join("wrong.cedar"), "\n\npermit (principal, action,\n  resources);\n").expect("writes");
    let error = format!("{:#}", operator.sign(&folder, 1).expect_err("it is refused"));
    assert!(error.contains("wrong.cedar:4:"), "{error}");
    assert!(!cluster.home().join("signed-1.json").exists());
    fs::remove_file(folder.join("wrong.cedar")).expect("removes");

    // What was signed for another cluster is nothing here, though the key is the same.
    let elsewhere = operator.sign_for("rehearsal", &folder, 1).expect("is signed");
    let error = format!("{:#}", operator.propose(&elsewhere).expect_err("it is refused"));
    assert!(error.contains("not signed for this by the configured policy key"), "{error}");

    // Put in force on one node, decided by on all.
    let signed = operator.sign(&folder, 1).expect("is signed");
    let told = operator.propose(&signed).expect("is put in force");
    let acknowledged = Instant::now();
    assert!(told.contains("version 1 (") && told.contains("is in force"), "{told}");
    let digests = everywhere(&operator, 1, APPLIED_WITHIN).await;
    let took = acknowledged.elapsed();
    assert!(took < APPLIED_WITHIN, "{took:?}");
    assert!(digests.iter().all(|digest| digest.is_array() && *digest == digests[0]), "{digests:?}");
    assert_eq!(status(&doctor, &patient.path).await, 403, "the decision is another");
    assert!(operator.propose(&signed).expect("again").contains("already"), "repeating it is safe");
    // The control of the matrix that is driven elsewhere: such a set is found out.
    let compared = compare(&cluster, "tx", |operation| operation.id == "read_patient").await;
    assert!(
        compared.wrong.iter().any(|w| w.starts_with("read_patient as provider for \"TREAT\"")),
        "{compared:?}"
    );

    // Planning and trying out ask what is in force there, and not what the program comes with.
    let open = policies(&cluster.home().join("open"), false);
    let [differ, one] = [operator.plans(&open, None), operator.plans(&open, Some("tx"))]
        .map(|planned| planned.expect("it is planned"));
    assert!(differ.contains("0 of 1 questions"), "the control: {differ}");
    assert!(one.contains("now: version 1 (") && one.contains("1 of 1 questions"), "{one}");
    let [shipped, here] =
        [operator.tries(None), operator.tries(Some("tx"))].map(|tried| tried.expect("it is tried"));
    assert!(shipped.contains("allow full"), "the control: {shipped}");
    assert!(here.contains("refuse not-permitted") && here.contains("closed-for-a-while"), "{here}");
    assert!(here.contains("matrix: provider patient create,read"), "{here}");

    // A version that somebody else signed: the control plane does not know the key, and every node refuses.
    let Ok(Value::Object(said)) = operator.decides("tx").await.map(|mut all| all["said"].take()) else {
        panic!("a version is in force")
    };
    let said: PolicyVersion = serde_json::from_value(Value::Object(said)).expect("a version");
    let forged = PolicyVersion { version: 2, signature: Signature64::from_bytes(&[7; 64]), ..said };
    let came =
        operate::commands(&cluster, "ca", &[Command::PutAccessPolicies(forged)]).await.expect("is taken");
    assert_eq!(came[0]["of"]["outcome"], json!("Done"), "{came:?}");
    for region in REGIONS {
        wait_until("a node to refuse", async || {
            (ready(&cluster, region).await["policies"]["ok"] == false).then_some(())
        })
        .await
        .expect("it refuses");
        let wrong = ready(&cluster, region).await["policies"]["wrong"].to_string();
        assert!(wrong.contains("not signed by"), "{wrong}");
        assert!(operator.show(region).is_err(), "the exit code says so");
    }
    let answer = doctor.ask(Method::GET, &patient.path).send().await.expect("an answer");
    assert_eq!(answer.problem(503).expect("a problem"), "policies-unproven");

    // The control: the next version, signed by the right key, is applied.
    let signed = operator.sign(&open, 3).expect("is signed");
    operator.propose(&signed).expect("is put in force");
    let digests = everywhere(&operator, 3, APPLIED_WITHIN).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert_eq!(status(&doctor, &patient.path).await, 200);
    assert_eq!(ready(&cluster, "tx").await["policies"]["ok"], true);
    // What is said is written a moment later.
    let log = wait_until("the last answer in the node's log", async || {
        let log = fs::read_to_string(&cluster.region("tx").log).ok()?;
        decided(&log, 3).then_some(log)
    });
    let log = log.await.expect("which version decided is in the log");
    assert!(decided(&log, 0) && decided(&log, 1) && !decided(&log, 2), "and of the others");
}
