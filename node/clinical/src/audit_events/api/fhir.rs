//! Access records as FHIR R4 AuditEvents (<https://hl7.org/fhir/R4/auditevent.html>), with the codes of IHE BasicAudit
//! (<https://profiles.ihe.net/ITI/BALP/>). They are made from the views, so that nobody is shown more of them in FHIR.
//!
//! No profile of IHE is named in `meta`: those of patients ask for the server's address, which no record has.

use http::HeaderValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::view::{AnyAuditEvent, AuditEventListItem, AuditEventView};

/// The media type of FHIR's JSON.
pub(super) const MEDIA_TYPE: &str = "application/fhir+json";

const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ROLE_CLASS: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleClass";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const BASIC_AUDIT_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";

/// A page as a searchset. `link` is the header that leads to the next one.
pub(super) fn bundle(events: &[AnyAuditEvent], link: Option<&HeaderValue>) -> Value {
    let entries: Vec<Value> = events.iter().map(entry).collect();
    let next = link.and_then(|link| link.to_str().ok()?.strip_prefix('<')?.split_once('>'));
    let links: Vec<Value> = next.iter().map(|(url, _)| json!({ "relation": "next", "url": url })).collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset" });
    // FHIR has no empty lists.
    put(&mut bundle, "link", links);
    put(&mut bundle, "entry", entries);
    bundle
}

fn put(object: &mut Value, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        object[name] = Value::Array(items);
    }
}

fn entry(event: &AnyAuditEvent) -> Value {
    let (id, resource) = match event {
        AnyAuditEvent::Full(event) => (event.id, full(event)),
        AnyAuditEvent::Listed(event) => (event.id, listed(event)),
    };
    json!({ "fullUrl": urn(id), "resource": resource, "search": { "mode": "match" } })
}

/// What every event says.
fn event(id: Uuid, at: &str, action: &str, outcome: &str, purpose: &str) -> Value {
    let (kind, subtype, code) = match action {
        "create" => (rest(), Some(interaction("create")), "C"),
        "read" => (rest(), Some(interaction("read")), "R"),
        "update" => (rest(), Some(interaction("update")), "U"),
        "delete" => (rest(), Some(interaction("delete")), "D"),
        "search" | "list" => (rest(), Some(interaction("search")), "E"),
        "export" | "print" => (coding(DICOM, "110106", "Export"), None, "R"),
        "sign-in" => (coding(DICOM, "110114", "User Authentication"), None, "E"),
        _ => (coding(DICOM, "110113", "Security Alert"), None, "E"),
    };
    // A minor failure: nothing was disclosed or changed.
    let (number, description) = if outcome == "done" { ("0", None) } else { ("4", Some(outcome)) };
    let mut event = json!({
        "resourceType": "AuditEvent", "id": id, "type": kind, "action": code, "recorded": at, "outcome": number,
        "purposeOfEvent": [reason(purpose)],
    });
    put(&mut event, "subtype", subtype.into_iter().collect());
    if let Some(description) = description {
        event["outcomeDesc"] = description.into();
    }
    event
}

fn full(of: &AuditEventView) -> Value {
    let mut event = event(of.id, &of.at.to_string(), &of.action, &of.outcome, &of.purpose);
    let who = of.user_id.unwrap_or(of.key_id);
    let mut user = json!({
        "type": concept(coding(PARTICIPATION, "IRCP", "information recipient")), "role": [{ "text": of.role }],
        "who": { "identifier": { "system": "urn:ietf:rfc:3986", "value": urn(who) } },
        "altId": of.key_id, "requestor": true, "purposeOfUse": [reason(&of.purpose)],
    });
    let rules = of.rules.iter().flatten().map(|rule| Value::String(format!("urn:domicile:policy:{rule}")));
    put(&mut user, "policy", rules.collect());
    let mut client = json!({
        "type": concept(coding(DICOM, "110153", "Source Role ID")), "requestor": false,
        "who": { "identifier": { "system": "urn:ietf:rfc:3986", "value": urn(of.key_id) } },
    });
    if let Some(address) = &of.client_ip {
        // 2: an IP address.
        client["network"] = json!({ "address": address, "type": "2" });
    }
    let mut agents = vec![user, client, organisation(of.organisation_id)];
    agents.extend(of.on_behalf_of.map(|whom| {
        json!({
            "type": { "text": "on behalf of" }, "requestor": false,
            "who": { "identifier": { "system": "urn:ietf:rfc:3986", "value": urn(whom) } },
        })
    }));
    put(&mut event, "agent", agents);
    event["source"] = source(of.home.as_deref());
    let mut entities: Vec<Value> = vec![json!({
        "what": { "identifier": { "system": "urn:ietf:rfc:3986", "value": urn(of.request_id) } },
        "type": coding(BASIC_AUDIT_ENTITY, "XrequestId", "The value of X-Request-Id"),
    })];
    entities.extend(of.patient_id.map(|patient| {
        json!({
            "what": { "reference": format!("Patient/{patient}") }, "type": coding(ENTITY_TYPE, "1", "Person"),
            "role": coding(OBJECT_ROLE, "1", "Patient"),
        })
    }));
    let mut data = object(&of.entity);
    if let Some(id) = of.entity_id {
        data["what"] = json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": urn(id) } });
    }
    if let Some(mac) = &of.query_mac {
        // The question itself is in no record: it may hold a name.
        data["detail"] = json!([{ "type": "query-hmac-sha256", "valueString": mac }]);
    }
    entities.push(data);
    put(&mut event, "entity", entities);
    event
}

fn listed(of: &AuditEventListItem) -> Value {
    let mut event = event(of.id, &of.at.to_string(), &of.action, &of.outcome, &of.purpose);
    let user = json!({
        "type": concept(coding(PARTICIPATION, "IRCP", "information recipient")), "role": [{ "text": of.role }],
        "requestor": true, "purposeOfUse": [reason(&of.purpose)],
    });
    event["agent"] = json!([user, organisation(of.organisation_id)]);
    event["source"] = source(None);
    event["entity"] = json!([object(&of.entity)]);
    event
}

fn organisation(id: Uuid) -> Value {
    json!({
        "type": concept(coding(ROLE_CLASS, "PROV", "healthcare provider")), "requestor": false,
        "who": { "identifier": { "system": "urn:ietf:rfc:3986", "value": urn(id) } },
    })
}

fn object(entity: &str) -> Value {
    json!({
        "type": coding(ENTITY_TYPE, "2", "System Object"), "role": coding(OBJECT_ROLE, "4", "Domain Resource"),
        "name": entity,
    })
}

fn source(home: Option<&str>) -> Value {
    let mut source = json!({
        "observer": { "display": "Domicile" }, "type": [coding(SOURCE_TYPE, "4", "Application Server")],
    });
    if let Some(home) = home {
        source["site"] = home.into();
    }
    source
}

fn rest() -> Value {
    coding(EVENT_TYPE, "rest", "RESTful Operation")
}

fn interaction(code: &str) -> Value {
    json!({ "system": INTERACTION, "code": code, "display": code })
}

fn reason(purpose: &str) -> Value {
    json!({ "coding": [{ "system": REASON, "code": purpose }] })
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(coding: Value) -> Value {
    json!({ "coding": Value::Array(vec![coding]) })
}

fn urn(id: Uuid) -> String {
    format!("urn:uuid:{id}")
}
