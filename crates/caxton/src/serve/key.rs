//! The platform admin key: made when a data folder is set up, kept in its `admin.key`.

use crate::failure::Outcome;
use crate::folder::Folder;
use caxton_engine::port::Entropy;

/// Random bits of the public id: enough that two keys of one server never meet.
const ID_BYTES: usize = 8;
/// Random bits of the secret.
const SECRET_BYTES: usize = 32;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The key of a folder.
pub struct AdminKey {
    text: String,
    new: bool,
}

impl AdminKey {
    /// The folder's key; a folder without one gets one.
    pub fn of(folder: &Folder, entropy: &dyn Entropy) -> Outcome<Self> {
        if let Some(text) = folder.key()? {
            if folder.key_is_exposed() {
                tracing::warn!("admin.key can be read by others than its owner: chmod 600 it");
            }
            return Ok(Self { text, new: false });
        }
        let text = generate(entropy);
        folder.keep_key(&text)?;
        Ok(Self { text, new: true })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The key, if this start made it: then it is shown, once.
    pub fn made_now(&self) -> Option<&str> {
        self.new.then_some(self.text.as_str())
    }
}

/// `cx_adm_<public id>_<secret>`.
fn generate(entropy: &dyn Entropy) -> String {
    let mut id = [0; ID_BYTES];
    let mut secret = [0; SECRET_BYTES];
    entropy.fill(&mut id);
    entropy.fill(&mut secret);
    format!("cx_adm_{}_{}", base62(&id), base62(&secret))
}

/// The bytes as one number in base 62, always as many digits as the largest such number has, so that
/// a key's length tells nothing of its secret.
fn base62(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    // log 256 / log 62 = 1.3437 digits a byte.
    let digits = (bytes.len() * 13_437).div_ceil(10_000);
    let mut text: Vec<u8> = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0_usize;
        for byte in &mut number {
            let value = rest * 256 + usize::from(*byte);
            // Below 256, because `rest` is below 62.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        text.push(ALPHABET.get(rest).copied().unwrap_or(b'0'));
    }
    text.reverse();
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_engine::port::SeededEntropy;

    #[test]
    fn base62_is_positional_and_of_fixed_length() {
        assert_eq!(base62(&[0]), "00");
        assert_eq!(base62(&[61]), "0z");
        assert_eq!(base62(&[62]), "10");
        assert_eq!(base62(&[255]), "47");
        assert_eq!(base62(&[0; 32]).len(), 43);
        // 2^256 - 1 in base 62, computed independently: 43 digits, none lost.
        assert_eq!(base62(&[255; 32]).len(), 43);
        assert_ne!(base62(&[255; 32]).as_bytes().first(), Some(&b'0'));
        assert_ne!(base62(&[1, 0]), base62(&[0, 1]));
    }

    #[test]
    fn keys_have_the_documented_form_and_differ() {
        let entropy = SeededEntropy::new(7);
        let (one, two) = (generate(&entropy), generate(&entropy));
        assert_ne!(one, two);
        let parts: Vec<&str> = one.split('_').collect();
        assert_eq!(parts.len(), 4, "{one}");
        assert_eq!((parts[0], parts[1]), ("cx", "adm"));
        assert!(
            parts[2..]
                .iter()
                .all(|part| part.chars().all(|c| c.is_ascii_alphanumeric()))
        );
        assert_eq!((parts[2].len(), parts[3].len()), (11, 43));
    }
}
