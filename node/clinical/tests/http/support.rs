//! A node's router on a throw-away region, and a caller.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use node_access::policies::{InForce, Policies};
use node_access::{
    Admission, Changes, Credential, Directory, Here, Jurisdictions, Limits, Loaded, Metrics, Parts, Readiness,
    Via,
};
use node_signin::{Desk, Federated, Hashing, Issuer, Passkeys, SealingKeys};
use rates::{ClientAddress, Quotas, Rates};
use residency_control::machine::apply;
use residency_control::signin::SignInChange;
use residency_control::{Command, Outcome};
use residency_policy::{
    Entropy as _, Epoch, Home, Ingress, Jurisdiction, KeyId, KeyScopes, OrgId, PatientId, Placement,
    PlacementState, ProviderId, Region, Role, Ruleset,
};
use residency_tokens::Verifier;
use serde_json::{Value, json};
use storage::testing::{PostgresServer, TestEntropy, TestRegion};
use tower::ServiceExt as _;

use crate::book::Book;
use crate::calendars::licence;

pub(crate) fn jurisdiction(code: &str) -> Jurisdiction {
    code.parse().expect("a jurisdiction")
}

pub(crate) fn random<T: From<[u8; 16]>>() -> T {
    let mut bytes = [0; 16];
    TestEntropy::default().fill(&mut bytes);
    T::from(bytes)
}

/// The policies that come with the product, loaded once for all worlds.
fn policies() -> Arc<InForce> {
    static SHIPPED: OnceLock<Arc<InForce>> = OnceLock::new();
    let loaded = || Loaded::shipped().expect("the shipped policies load");
    Arc::clone(SHIPPED.get_or_init(|| Arc::new(InForce { version: None, loaded: loaded() })))
}

/// The cluster that tokens are good for.
pub(crate) const CLUSTER: &str = "domicile:test";

/// The clinician of the visits.
pub(crate) const NPI: &str = "1234567893";

/// Where browsers reach it.
pub(crate) const ORIGIN: &str = "https://clinic.example";

/// A desk whose signing key the others know.
fn desk(here: &Here, book: &Book) -> Desk {
    let dir = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::open(CLUSTER.to_owned(), here.region, dir.path()).expect("opens");
    let now = here.clock.now().as_second();
    for key in issuer.tend(now, &TestEntropy::default()).expect("a key") {
        let add = Command::SignIn(SignInChange::AddSigningKey(key));
        assert_eq!(apply(&mut book.state.lock().expect("a lock"), add), Outcome::Done);
    }
    Desk {
        directory: Arc::clone(&here.directory),
        changes: Arc::clone(&here.changes),
        clock: Arc::clone(&here.clock),
        entropy: Arc::clone(&here.entropy),
        hashing: Hashing::new(2),
        issuer: Arc::new(issuer),
        keys: SealingKeys::new(&[(1, [7; 32])]),
        federated: Federated::new(
            vec![ORIGIN.to_owned()],
            rustls::RootCertStore::empty(),
            vec!["127.0.0.1".to_owned()],
        ),
        passkeys: Passkeys::new("clinic.example", &[ORIGIN.to_owned()]).expect("a relying party"),
    }
}

/// One region's node.
pub(crate) struct World {
    pub(crate) region: TestRegion,
    pub(crate) book: Arc<Book>,
    pub(crate) router: Router,
    pub(crate) here: Here,
    pub(crate) desk: Arc<Desk>,
    pub(crate) org: OrgId,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Checks the status, and shows the body when it is another one.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Checks that it is a certain problem.
    #[track_caller]
    pub(crate) fn problem(self, slug: &str) -> Value {
        let json = self.json();
        assert_eq!(json["type"], format!("/problems/{slug}"), "{json}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["request_id"], self.header("x-request-id"));
        json
    }
}

/// A request on its way.
pub(crate) struct Ask<'w> {
    world: &'w World,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    from: Option<IpAddr>,
    via: Option<Ingress>,
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(there, _)| there != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// From this address, as the socket has it.
    pub(crate) fn from(mut self, address: &str) -> Self {
        self.from = Some(address.parse().expect("an address"));
        self
    }

    /// Forwarded by the router of this ingress, as its certificate says.
    pub(crate) fn via(mut self, ingress: Ingress) -> Self {
        self.via = Some(ingress);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(there, _)| there != name);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(body.to_string().into_bytes())
    }

    pub(crate) fn raw(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", "application/json")
    }

    pub(crate) async fn send(mut self) -> Answer {
        let body = std::mem::take(&mut self.body);
        self.stream(Body::from(body)).await
    }

    /// Sends with another body than bytes that are there.
    pub(crate) async fn stream(self, body: Body) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(body).expect("a request");
        if let Some(from) = self.from {
            request.extensions_mut().insert(ClientAddress(from));
        }
        if let Some(ingress) = self.via {
            request.extensions_mut().insert(Via(ingress));
        }
        let response = self.world.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }
}

impl World {
    /// The node of Texas, with an organisation and a key for each role (`provider`, ...) in Texas and California, a
    /// key of another organisation (`stranger`), and one that works in New York only (`elsewhere`).
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::crowded(limits, &Quotas::NONE, Admission::new(256, Duration::from_mins(1))).await
    }

    /// The same, where much may be too much.
    pub(crate) async fn crowded(limits: Limits, quotas: &Quotas, admission: Admission) -> Self {
        // Another crate of the test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let region = TestRegion::new(PostgresServer::shared(), "TX").await;
        let rules = "version = 1\n[[transit]]\nhome = 'any'\ningress = 'any'\ncategory = 'any'\nmode = 'proxy'\n\
                     effective_from = 2025-01-01\ncitation = 'test'\n";
        let book = Arc::new(Book {
            placements: Mutex::default(),
            keys: Mutex::default(),
            state: Mutex::default(),
            stale: AtomicBool::new(false),
            quorum: AtomicBool::new(true),
            hangs: AtomicBool::new(false),
            steps: AtomicI64::new(i64::MAX),
            gone: tokio::sync::Notify::new(),
            back: tokio::sync::Notify::new(),
            rules: Arc::new(Ruleset::parse(rules).expect("rules")),
            index: AtomicU64::new(1),
            tokens: Verifier::new(CLUSTER),
        });
        let here = Here::new(Parts {
            region: region.region(),
            pool: region.pool.clone(),
            directory: Arc::clone(&book) as Arc<dyn Directory>,
            changes: Arc::clone(&book) as Arc<dyn Changes>,
            readiness: Arc::clone(&book) as Arc<dyn Readiness>,
            clock: Arc::clone(&region.clock) as Arc<dyn residency_policy::Clock>,
            entropy: Arc::new(TestEntropy::default()),
            limits,
            metrics: Arc::new(Metrics::default()),
            policies: Arc::new(Policies::new(Ok(policies()))),
            rates: Arc::new(Rates::new(quotas)),
            admission: Arc::new(admission),
        });
        let org = OrgId::random(&TestEntropy::default());
        let desk = Arc::new(desk(&here, &book));
        let router = node_clinical::router(here.clone(), Arc::clone(&desk));
        let world = Self { region, book, router, here, desk, org };
        let everywhere = ["US-TX", "US-CA"].map(|state| licence(state, None));
        world.clinician_known_by(NPI.parse().expect("an NPI"), everywhere.to_vec());
        for &role in Role::ALL {
            world.key(role.as_str(), org, role, &["US-TX", "US-CA"]);
        }
        world.surely("sure_admin", org, Role::OrgAdmin);
        let other = OrgId::random(&TestEntropy::default());
        world.key("stranger", other, Role::Provider, &["US-TX", "US-CA"]);
        world.key("elsewhere", org, Role::Provider, &["US-NY"]);
        world.fill(200).await;
        world
    }

    /// Who the providers of the clinic are.
    fn clinician_of_visits(&self, org: OrgId, role: Role) -> Option<ProviderId> {
        let state = self.book.state.lock().expect("a lock");
        let known = state.providers().by_npi(NPI.parse().expect("an NPI")).map(|known| known.id);
        known.filter(|_| org == self.org && role == Role::Provider)
    }

    /// Adds an API key. Whoever has it works in an organisation of a kind that may have the role.
    pub(crate) fn key(&self, text: &str, org: OrgId, role: Role, jurisdictions: &[&str]) {
        let credential = Credential {
            key: KeyId::random(&TestEntropy::default()),
            session: None,
            assurance: 1,
            second_factor: false,
            user: None,
            clinician: self.clinician_of_visits(org, role),
            org,
            org_type: role.usual_kind(),
            role: role.into(),
            jurisdictions: jurisdictions.iter().map(|code| jurisdiction(code)).collect::<Jurisdictions>(),
            scopes: KeyScopes::ALL,
        };
        self.book.keys.lock().expect("a lock").insert(text.to_owned(), credential);
    }

    /// Adds what counts as a session that was begun with a second factor.
    pub(crate) fn surely(&self, text: &str, org: OrgId, role: Role) {
        self.key(text, org, role, &["US-TX"]);
        let mut keys = self.book.keys.lock().expect("a lock");
        keys.get_mut(text).expect("a key").assurance = 2;
    }

    /// Claims ids, as the node does ahead.
    pub(crate) async fn fill(&self, many: usize) {
        let ids: Vec<_> = (0..many).map(|_| PatientId::random(&TestEntropy::default())).collect();
        for id in &ids {
            self.place(*id, "US-TX");
        }
        storage::ids::refill(&self.region.pool, &ids).await.expect("ids are added");
    }

    /// An id that the directory gave to this region and that is in its pool.
    pub(crate) async fn claimed(&self) -> PatientId {
        let client = self.region.as_superuser().await;
        let row = client.query_one("SELECT patient_id::text FROM id_pool LIMIT 1", &[]).await.expect("an id");
        row.get::<_, String>(0).parse().expect("an id")
    }

    /// Writes a line of the directory.
    pub(crate) fn place(&self, patient: PatientId, home: &str) {
        let home = Home(Region(jurisdiction(home)));
        let placement = Placement { patient, home, epoch: Epoch::FIRST, state: PlacementState::Active };
        self.book.placements.lock().expect("a lock").insert(patient, placement);
    }

    /// The access records of a patient, as `action outcome`, sorted.
    pub(crate) async fn accesses(&self, patient: &str) -> Vec<String> {
        let client = self.region.as_superuser().await;
        let sql = "SELECT action || ' ' || outcome FROM access_log WHERE patient_id::text = $1 ORDER BY 1";
        let rows = client.query(sql, &[&patient]).await.expect("rows");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// How many ids are left, in the database and in this process: those that are placed and not registered.
    pub(crate) async fn ids_left(&self) -> u64 {
        let client = self.region.as_superuser().await;
        let sql = "SELECT count(*) FROM patients";
        let registered: i64 = client.query_one(sql, &[]).await.expect("counts").get(0);
        let mut left = 0;
        while self.region.pool.take_id().await.is_ok() {
            left += 1;
        }
        assert_eq!(left + registered.cast_unsigned(), 200, "every id is registered or left");
        left
    }

    /// A request of a role, for treatment, with a fresh idempotency key where one is taken.
    pub(crate) fn ask(&self, key: &str, method: &str, path: &str) -> Ask<'_> {
        let method: Method = method.parse().expect("a method");
        let ask = Ask {
            world: self,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            from: None,
            via: None,
        };
        let ask = ask.header("authorization", &format!("Bearer {key}")).header("purpose-of-use", "TREAT");
        match ask.method {
            Method::POST => {
                let fresh = PatientId::random(&TestEntropy::default()).to_string();
                ask.header("idempotency-key", &fresh)
            }
            _ => ask,
        }
    }

    /// Registers somebody and returns the answer's body.
    pub(crate) async fn register(&self, body: &Value) -> Value {
        self.ask("provider", "POST", "/v1/patients?home=US-TX").json(body).send().await.is(201).json()
    }
}

/// The path of a patient or of an encounter that was answered.
pub(crate) fn id(body: &Value) -> String {
    body["id"].as_str().expect("an id").to_owned()
}

/// Somebody made up.
pub(crate) fn ana() -> Value {
    json!({
        "given_name": "Ana", "family_name": "O'Brien-Núñez", "birth_date": "1980-02-29", "sex": "female",
        "email": "ana.sample@example.com", "phone": "+15125550100",
        "address": {"line": ["1 SAMPLE ST", "APT 2"], "city": "Austin", "state": "TX", "postal_code": "78701"}
    })
}

/// A visit of somebody made up.
pub(crate) fn visit() -> Value {
    json!({
        "service_jurisdiction": "US-TX", "provider_npi": NPI, "reason": "cough",
        "note": "Lungs clear.\nRest.", "diagnoses": ["J06.9"]
    })
}
