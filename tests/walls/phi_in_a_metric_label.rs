//! A metric's label is of a type that encodes itself.
use tests::walls::{prometheus_client::encoding::EncodeLabelValue, storage::Phi};

fn label(_value: &impl EncodeLabelValue) {}

pub fn count(region: &'static str, name: &Phi<String>) {
    #[cfg(not(wall))]
    {
        let _ = name;
        label(&region);
    }
    #[cfg(wall)]
    { label(&region); label(name) } //~ E0277
}
