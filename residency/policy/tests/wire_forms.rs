//! The vocabulary reads back from every format it travels in.

use std::fmt::Debug;

use residency_policy::{Epoch, Home, Jurisdiction, Label, PatientId, Placement, PlacementState, Region};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Field<T> {
    value: T,
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let field = Field { value };
    let json = serde_json::to_string(&field).expect("JSON");
    assert_eq!(serde_json::from_str::<Field<T>>(&json).expect("JSON"), field);
    let tree = serde_json::to_value(&field).expect("JSON");
    assert_eq!(serde_json::from_value::<Field<T>>(tree).expect("JSON"), field);
    let text = toml::to_string(&field).expect("TOML");
    assert_eq!(toml::from_str::<Field<T>>(&text).expect("TOML"), field);
    let bytes = postcard::to_allocvec(&field).expect("postcard");
    assert_eq!(postcard::from_bytes::<Field<T>>(&bytes).expect("postcard"), field);
}

#[test]
fn jurisdictions_labels_and_placements_survive_json_toml_and_postcard() {
    for jurisdiction in Jurisdiction::all() {
        reads_back(jurisdiction);
        reads_back(Home(Region(jurisdiction)));
        reads_back(Region(jurisdiction).name());
        reads_back(Placement {
            patient: PatientId::from_bytes([9; 16]),
            home: Home(Region(jurisdiction)),
            epoch: Epoch::FIRST,
            state: PlacementState::Active,
        });
    }
    reads_back("a".repeat(63).parse::<Label>().expect("a label"));
}

#[test]
fn what_is_none_of_them_is_refused_in_every_format() {
    assert!(serde_json::from_str::<Jurisdiction>("\"US-ZZ\"").is_err());
    assert!(toml::from_str::<Field<Jurisdiction>>("value = 'TX'").is_err());
    assert!(postcard::from_bytes::<Jurisdiction>(&[57]).is_err());
    assert!(postcard::from_bytes::<Jurisdiction>(&[56]).is_ok(), "the control: the last one there is");
    assert!(serde_json::from_str::<Label>("\"Ana Garcia\"").is_err());
    assert!(toml::from_str::<Field<Label>>("value = ''").is_err());
    let name = postcard::to_allocvec("Ana").expect("postcard");
    assert!(postcard::from_bytes::<Label>(&name).is_err());
}
