//! The key ring's file: read strictly, written so that a crash leaves the old or the new one, never half of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{KeyringError, MAX_KEYS, Master};

/// The keys in the file, oldest first; `None` when there is no file yet.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Master>>, KeyringError> {
    let text = match read_text(path) {
        Ok(Ok(text)) => text,
        Ok(Err(mode)) => return Err(KeyringError::Exposed { path: path.to_path_buf(), mode }),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KeyringError::Io { path: path.to_path_buf(), source }),
    };
    parse(&text).map(Some).map_err(|what| KeyringError::Damaged { path: path.to_path_buf(), what })
}

/// Replaces the file durably.
pub(super) fn write(path: &Path, masters: &[Master]) -> Result<(), KeyringError> {
    replace(path, masters).map_err(|source| KeyringError::Io { path: path.to_path_buf(), source })
}

/// The text, or the permission bits if they are too wide. Both come from one open file, so nothing can be swapped
/// between the check and the read.
fn read_text(path: &Path) -> io::Result<Result<Zeroizing<String>, u32>> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Ok(Err(mode));
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(Ok(text))
}

fn parse(text: &str) -> Result<Vec<Master>, &'static str> {
    let mut content: Content = serde_json::from_str(text).map_err(|_| "not a key ring")?;
    let masters = content.keys.iter().map(master).collect::<Result<Vec<_>, _>>();
    content.keys.iter_mut().for_each(|line| line.key.zeroize());
    let masters = masters?;
    if content.format != FORMAT {
        return Err("unknown format, perhaps of a newer version");
    }
    if masters.is_empty() || masters.len() > MAX_KEYS {
        return Err("wrong number of keys");
    }
    let mut ids: Vec<u8> = masters.iter().map(|master| master.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != masters.len() || ids.contains(&0) {
        return Err("key ids are not unique");
    }
    Ok(masters)
}

fn master(line: &Line) -> Result<Master, &'static str> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(&line.key).map_err(|_| "a key is not base64url")?);
    let bytes = bytes.as_slice().try_into().map_err(|_| "a key is not 32 bytes long")?;
    Ok(Master { id: line.id, bytes })
}

fn replace(path: &Path, masters: &[Master]) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let keys = masters.iter().map(|master| Line { id: master.id, key: URL_SAFE_NO_PAD.encode(master.bytes) });
    let mut content = Content { format: FORMAT, keys: keys.collect() };
    let text = serde_json::to_vec_pretty(&content).map(Zeroizing::new);
    content.keys.iter_mut().for_each(|line| line.key.zeroize());

    let temporary = path.with_extension("json.new");
    // A leftover of a crash between writing and renaming.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&text?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

/// `{"format":1,"keys":[{"id":1,"key":"<base64url of 32 bytes>"}]}`, oldest key first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    keys: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: u8,
    key: String,
}

const FORMAT: u32 = 1;
const MAX_FILE_BYTES: u64 = 64 * 1024;
