//! Fields that a request must have.
//!
//! Whoever answers a request decides what is wrong with it, and first whether its sender may ask at all.
//! Where it is refused as malformed and a required field is missing, that is the reason to tell.

use caxton_core::error::Class;

use crate::ApiError;

/// The same refusal, which names all required fields that are missing.
pub(crate) fn told(error: ApiError, fields: &[(&'static str, bool)]) -> ApiError {
    let missing = || fields.iter().filter(|(_, is_missing)| *is_missing);
    let Some((first, _)) = missing().next() else {
        return error;
    };
    if error.code.class() != Class::Invalid {
        return error;
    }
    let detail = match missing().count() {
        1 => format!("`{first}` is missing"),
        _ => {
            let names: Vec<String> = missing().map(|(name, _)| format!("`{name}`")).collect();
            format!("{} are missing", names.join(", "))
        }
    };
    let told = missing().map(|(name, _)| ((*name).to_owned(), "is missing".to_owned()));
    ApiError {
        detail,
        fields: told.collect(),
        ..error
    }
}
