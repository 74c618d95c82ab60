//! How another process looks at links and changes them: a socket of the supervisor in the cluster's home folder, one
//! JSON document in a line for the order and one for the answer.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::fabric::{Fabric, Row};
use crate::shape::Change;
use crate::{Profile, profile};

/// The socket's name in the home folder.
pub const SOCKET: &str = "links.sock";

const LINE_BYTES_MAX: u64 = 4 << 10;
const ANSWER_BYTES_MAX: u64 = 64 << 20;
const WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// What is asked of links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Only to look.
    Show {},
    /// To change the links between two sides, or all of one side. See [`Fabric::change`].
    Change {
        /// The one side.
        one: String,
        /// The other side.
        other: Option<String>,
        /// Only from the one to the other.
        one_way: bool,
        /// What changes.
        change: Change,
    },
    /// To make links as the profile has them. See [`Fabric::heal`].
    Heal {
        /// The one side.
        one: Option<String>,
        /// The other side.
        other: Option<String>,
    },
    /// To make every link as another profile has it.
    Use {
        /// Its name.
        profile: String,
    },
}

/// The links after the order, or why it was refused.
pub type Answer = Result<Vec<Row>, String>;

/// Does what an order says.
pub fn obey(fabric: &Fabric, order: &Order) -> Answer {
    match order {
        Order::Show {} => {}
        Order::Change { one, other, one_way, change } => {
            fabric.change(one, other.as_deref(), *one_way, *change)?;
        }
        Order::Heal { one, other } => fabric.heal(one.as_deref(), other.as_deref())?,
        Order::Use { profile } => fabric.be(Profile::named(profile).ok_or_else(|| {
            let names: Vec<&str> = profile::PROFILES.iter().map(|p| p.name).collect();
            format!("there is no profile `{profile}`: there are {}", names.join(", "))
        })?),
    }
    Ok(fabric.rows())
}

/// A socket's address has 107 bytes, and a home folder may be anywhere: the kernel finds it by the open folder.
fn reached_by(folder: &File) -> PathBuf {
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()).into()
}

/// Takes the place of an earlier socket in this folder, for this user alone. To be called in a runtime.
pub fn listen(folder: &Path) -> io::Result<UnixListener> {
    let folder = File::open(folder)?;
    let path = reached_by(&folder);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers orders until it is dropped.
pub async fn serve(listener: UnixListener, fabric: Arc<Fabric>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, mostly.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let fabric = Arc::clone(&fabric);
        tokio::spawn(tokio::time::timeout(WITHIN, async move {
            let (input, mut output) = stream.into_split();
            let mut line = String::new();
            tokio::io::BufReader::new(input.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
            let answer = match serde_json::from_str(&line) {
                Ok(order) => obey(&fabric, &order),
                Err(error) => Err(format!("this is no order: {error}")),
            };
            let mut bytes = serde_json::to_vec(&answer)?;
            bytes.push(b'\n');
            output.write_all(&bytes).await
        }));
    }
}

/// Gives an order to the supervisor of this home folder.
pub fn order(folder: &Path, order: &Order) -> io::Result<Answer> {
    let folder = File::open(folder)?;
    let mut stream = UnixStream::connect(reached_by(&folder))?;
    stream.set_read_timeout(Some(WITHIN))?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Side;

    fn fabric() -> Arc<Fabric> {
        let side = |name: &str| Side { name: name.into(), place: format!("US-{}", name.to_uppercase()) };
        let still = Profile::named("still").expect("is there");
        Arc::new(Fabric::new(["ca", "tx"].map(side).to_vec(), still, 1))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_order_is_done_and_a_wrong_one_is_refused_in_words() {
        let dir = tempfile::tempdir().expect("a folder");
        // Longer than a socket's address may be.
        let home = dir.path().join("long".repeat(30));
        std::fs::create_dir(&home).expect("makes");
        std::fs::write(home.join(SOCKET), "what an earlier one left").expect("writes");
        let server = tokio::spawn(serve(listen(&home).expect("listens"), fabric()));
        let ask = |order: Order| {
            let home = home.clone();
            tokio::task::spawn_blocking(move || super::order(&home, &order).expect("is answered"))
        };
        let change = Change { cut: Some(true), ..Change::default() };
        let cut = Order::Change { one: "tx".into(), other: None, one_way: true, change };
        let rows = ask(cut).await.expect("ends").expect("is done");
        assert_eq!(rows.iter().map(|r| r.shape.cut).collect::<Vec<_>>(), [false, true]);
        let refused = ask(Order::Use { profile: "mars".into() }).await.expect("ends").expect_err("no such");
        assert!(refused.contains("us, rough"), "{refused}");
        let rows = ask(Order::Use { profile: "us".into() }).await.expect("ends").expect("is done");
        assert!(rows.iter().all(|r| !r.shape.cut && r.shape.delay_us == 17_500), "{rows:?}");
        server.abort();
    }

    #[test]
    fn what_is_no_order_is_not_taken_for_one() {
        for line in ["", "{}", r#"{"order":"burn"}"#, r#"{"order":"show","x":1}"#] {
            assert!(serde_json::from_str::<Order>(line).is_err(), "{line}");
        }
    }
}
