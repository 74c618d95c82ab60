//! The audit log as a stranger sees it: over HTTPS, with nothing but what is published.

mod killed;
mod published;
mod rewound;

use std::collections::BTreeMap;
use std::convert::Infallible;

use anyhow::{Context as _, Result};
use residency_tlog::{Hash, Resource, Tile, TileNodes, VerifierKey};
use tests::client::Client;

/// One region's log at one door.
struct Log {
    door: Client,
    /// What follows each path.
    query: String,
}

impl Log {
    fn at(door: Client, home: &str) -> Self {
        Self { door, query: format!("?home={home}") }
    }

    /// A file of the log; none where it has none.
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.door.get(&format!("/v1/audit/log/{path}{}", self.query)).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = answer.expect(200)?;
        Ok(Some(answer.body.to_vec()))
    }

    /// The keys that the region says to be its own and its witnesses'.
    async fn keys(&self) -> Result<Vec<VerifierKey>> {
        let text = String::from_utf8(self.get("keys").await?.context("the keys are there")?)?;
        text.lines().map(|line| Ok(VerifierKey::parse(line)?)).collect()
    }

    /// These tiles, as a client without a cache reads them.
    async fn tiles(&self, wanted: Vec<Tile>) -> Result<BTreeMap<Tile, Vec<u8>>> {
        let mut tiles = BTreeMap::new();
        for tile in wanted {
            let path = Resource::Tile(tile).to_string();
            tiles.insert(tile, self.get(&path).await?.with_context(|| format!("{path} is there"))?);
        }
        Ok(tiles)
    }
}

type Read<'t> = Box<dyn FnMut(Tile) -> Result<Vec<u8>, Infallible> + 't>;

/// Reads nodes from tiles that were fetched.
fn nodes(size: u64, tiles: &BTreeMap<Tile, Vec<u8>>) -> TileNodes<Read<'_>> {
    let read: Read<'_> = Box::new(move |tile| Ok(tiles.get(&tile).cloned().unwrap_or_default()));
    TileNodes::new(size, read)
}

/// The hash that another root would have to be taken for.
fn another(root: &Hash) -> Hash {
    let mut bytes = *root.as_bytes();
    bytes[0] ^= 1;
    Hash(bytes)
}
