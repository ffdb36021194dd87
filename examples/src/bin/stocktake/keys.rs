//! What opens a vault: key files and passphrases.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use stocktake::format::{KeyFile, KeyProvider, Passphrase};
use stocktake::{Entropy, Error};

use crate::args::KeyArgs;
use crate::exit::Result;

const PASSPHRASE_VARIABLE: &str = "STOCKTAKE_PASSPHRASE";
/// Bytes of a key file that is made here.
const NEW_KEY_BYTES: usize = 64;

impl KeyArgs {
    /// What was given to open a vault with; `None` when nothing was.
    pub(crate) fn provider(&self) -> Result<Option<Box<dyn KeyProvider>>> {
        if let Some(path) = &self.key_file {
            let bytes = fs::read(path).map_err(Error::local("read the key file", path))?;
            let key = KeyFile::new(&bytes).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
            return Ok(Some(Box::new(key)));
        }
        if let Some(path) = &self.passphrase_file {
            let text = fs::read(path).map_err(Error::local("read the passphrase file", path))?;
            return Ok(Some(Box::new(passphrase(first_line(&text), &path.display().to_string())?)));
        }
        match std::env::var_os(PASSPHRASE_VARIABLE) {
            Some(text) => Ok(Some(Box::new(passphrase(text.as_encoded_bytes(), PASSPHRASE_VARIABLE)?))),
            None => Ok(None),
        }
    }

    /// Makes the key file if it is named and not there yet. What is there is left as it is.
    pub(crate) fn create_key_file(&self, entropy: &dyn Entropy) -> Result<bool> {
        match &self.key_file {
            Some(path) if !path.exists() => create(path, entropy).map(|()| true),
            _ => Ok(false),
        }
    }
}

fn passphrase(text: &[u8], from: &str) -> Result<Passphrase> {
    if text.is_empty() {
        return Err(Error::invalid(format!("the passphrase of {from} is empty")).into());
    }
    Ok(Passphrase::new(text))
}

fn first_line(text: &[u8]) -> &[u8] {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Writes random bytes to a file that only its owner can read.
fn create(path: &Path, entropy: &dyn Entropy) -> Result<()> {
    let mut bytes = [0; NEW_KEY_BYTES];
    entropy.fill(&mut bytes);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(Error::local("create the key file", path))?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(Error::local("write the key file", path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_first_line_without_its_end() {
        assert_eq!(first_line(b"open sesame\r\nrest"), b"open sesame");
        assert_eq!(first_line(b" spaces count "), b" spaces count ");
        assert_eq!(first_line(b""), b"");
    }
}
