//! Reads the control plane's snapshot file and the entries of its log.

use ring::digest::{SHA256, digest};

use crate::directory::{Directory, Id, Placed, PolicyVersion};
use crate::postcard::{Misfit, Reader, Shape};
use crate::shapes::{COMMAND, LOG_ID, MEMBERSHIP_OF_RAFT, PART, SNAPSHOT_META};

const HEAD: &[u8] = b"DOMSNAP1";
const IMAGE: &[u8] = b"DOMSTATE";
/// The only version that is written.
const VERSION: u16 = 2;

type Read<T> = Result<T, Misfit>;

fn policy(from: &mut Reader<'_>) -> Read<PolicyVersion> {
    Ok(PolicyVersion { version: from.uint(64)?, digest: from.array()?, signature: from.array()? })
}

/// The index in a place of the log.
fn index(from: &mut Reader<'_>) -> Read<u64> {
    from.uint(64)?;
    from.uint(64)?;
    from.uint(64)
}

/// The last entry that a snapshot stands for, and what it holds put into the directory.
pub fn snapshot(bytes: &[u8], into: &mut Directory) -> Read<Option<u64>> {
    let mut from = Reader::new(bytes);
    if from.take(HEAD.len())? != HEAD {
        return Err(Misfit { at: 0, why: "no snapshot begins so".into() });
    }
    let length = usize::try_from(u32::from_le_bytes(from.array()?)).unwrap_or(usize::MAX);
    let described = from.take(length)?;
    if digest(&SHA256, described).as_ref() != from.take(32)? {
        return Err(from.misfit("the digest of the description is another"));
    }
    let mut meta = Reader::new(described);
    let last = if meta.clone().perhaps()? { Some(index(&mut skip_one(meta.clone())?)?) } else { None };
    meta.pass(&SNAPSHOT_META)?;
    meta.end()?;
    image(&mut from, bytes, into)?;
    Ok(last)
}

fn skip_one(mut from: Reader<'_>) -> Read<Reader<'_>> {
    from.byte()?;
    Ok(from)
}

fn image(from: &mut Reader<'_>, bytes: &[u8], into: &mut Directory) -> Read<()> {
    let begins = from.at();
    let body = bytes.len().checked_sub(32).filter(|end| *end > begins);
    let body = body.ok_or_else(|| from.misfit("it ends too early"))?;
    if digest(&SHA256, &bytes[begins..body]).as_ref() != &bytes[body..] {
        return Err(from.misfit("the digest of the state is another"));
    }
    if from.take(IMAGE.len())? != IMAGE {
        return Err(from.misfit("no state begins so"));
    }
    let version = u16::from_le_bytes(from.array()?);
    if version != VERSION {
        return Err(from.misfit(format!("a state of version {version}, which is not known here")));
    }
    loop {
        let length = usize::try_from(u32::from_le_bytes(from.array()?)).unwrap_or(usize::MAX);
        if length == 0 {
            break;
        }
        let at = from.at();
        part(from.take(length)?, into).map_err(|misfit| Misfit { at: at + misfit.at, ..misfit })?;
    }
    for _ in 0..u64::from_le_bytes(from.array()?) {
        let mut key = [0; 16];
        key[7..].copy_from_slice(&from.array::<9>()?);
        into.put_claimed(u128::from_be_bytes(key), from.byte()?);
    }
    for _ in 0..u64::from_le_bytes(from.array()?) {
        let (id, home): (Id, u8) = (from.array()?, from.byte()?);
        let epoch = u32::from_le_bytes(from.array()?);
        let retired = from.perhaps()?;
        into.put_changed(id, Placed { home, epoch, retired });
    }
    if from.at() == body {
        Ok(())
    } else {
        Err(from.misfit("something stands between the directory and the digest"))
    }
}

fn part(bytes: &[u8], into: &mut Directory) -> Read<()> {
    let mut whole = Reader::new(bytes);
    whole.pass(&Shape::Choice(PART))?;
    whole.end()?;
    let mut from = Reader::new(bytes);
    match named(PART, from.uint(32)?) {
        "Regions" => {
            for _ in 0..from.length(1_000)? {
                let mut region = from.clone();
                into.add_region(region.byte()?);
                from.pass(&COMMAND[0].1)?;
            }
        }
        "Policy" => into.put_policy(false, policy(&mut from)?),
        // Whatever its number: the versions before it are not in a snapshot.
        "AccessPolicies" => into.access.push(policy(&mut from)?),
        _ => {}
    }
    Ok(())
}

fn named(all: &'static [(&'static str, Shape)], tag: u64) -> &'static str {
    usize::try_from(tag).ok().and_then(|tag| all.get(tag)).map_or("", |(name, _)| name)
}

/// One entry of the log. Its commands are put into the directory if they are `committed`; it has their shape in any case.
pub fn entry(bytes: &[u8], committed: bool, into: &mut Directory) -> Read<u64> {
    let mut from = Reader::new(bytes);
    from.pass(&LOG_ID)?;
    let start = from.at();
    let mut commands = 0;
    match from.uint(32)? {
        0 => {}
        1 => {
            commands = from.length(1 << 20)? as u64;
            for _ in 0..commands {
                let mut again = from.clone();
                from.pass(&Shape::Choice(COMMAND))?;
                if committed {
                    apply(&mut again, into)?;
                }
            }
        }
        2 => from.pass(&MEMBERSHIP_OF_RAFT)?,
        other => return Err(Misfit { at: start, why: format!("the unknown kind {other} of entry") }),
    }
    from.end()?;
    Ok(commands)
}

fn apply(from: &mut Reader<'_>, into: &mut Directory) -> Read<()> {
    match named(COMMAND, from.uint(32)?) {
        "AddRegion" => into.add_region(from.byte()?),
        "ClaimIds" => {
            let region = from.byte()?;
            let count = from.length(4_096)?;
            let ids = (0..count).map(|_| from.id()).collect::<Read<Vec<Id>>>()?;
            into.claim(region, &ids);
        }
        "Retire" => {
            let id = from.id()?;
            let expected = u32::try_from(from.uint(32)?).unwrap_or(u32::MAX);
            into.retire(id, expected);
        }
        "PutPolicy" => into.put_policy(false, policy(from)?),
        "PutAccessPolicies" => into.put_policy(true, policy(from)?),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_named_with_its_byte() {
        // Term 1, node 1, index 7, commands, one of them, which nobody knows.
        let bytes = [1, 1, 7, 1, 1, 99];
        let misfit = entry(&bytes, true, &mut Directory::default()).expect_err("is unknown");
        assert_eq!(misfit.at, 5);
        assert!(misfit.why.contains("99"), "{misfit:?}");
        assert_eq!(entry(&[1, 1, 7, 0], true, &mut Directory::default()), Ok(0), "the control");
    }

    #[test]
    fn a_snapshot_cut_short_anywhere_is_refused() {
        let mut whole = HEAD.to_vec();
        let meta = [0, 0, 0, 0, 0];
        whole.extend(5_u32.to_le_bytes());
        whole.extend(meta);
        whole.extend(digest(&SHA256, &meta).as_ref());
        let begins = whole.len();
        whole.extend(IMAGE);
        whole.extend(VERSION.to_le_bytes());
        whole.extend([0; 4 + 8 + 8]);
        let sum = digest(&SHA256, &whole[begins..]);
        whole.extend(sum.as_ref());
        assert_eq!(snapshot(&whole, &mut Directory::default()), Ok(None), "the control");
        for length in 0..whole.len() {
            assert!(snapshot(&whole[..length], &mut Directory::default()).is_err(), "{length}");
        }
    }
}
