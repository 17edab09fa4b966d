//! The platform admin key: made when a data folder is set up, kept in its `admin.key`.

use crate::failure::Outcome;
use crate::folder::Folder;
use caxton_core::key::{ID_BYTES, KeyText, Kind, SECRET_BYTES};
use caxton_engine::port::Entropy;

/// The key of a folder.
pub struct AdminKey {
    text: String,
    new: bool,
}

impl AdminKey {
    /// The folder's key; a folder without one gets one.
    pub fn of(folder: &Folder, entropy: &dyn Entropy) -> Outcome<Self> {
        if let Some(text) = folder.key()? {
            if folder.exposed().contains(&folder.key_path()) {
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
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    entropy.fill(&mut id);
    entropy.fill(&mut secret);
    KeyText::new(Kind::Adm, &id, &secret).expose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_engine::port::SeededEntropy;

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
