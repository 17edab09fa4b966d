//! page checksums: to come in the next slice

use crate::options::Options;
use caxton_engine::port::StoreError;

pub(crate) fn register(_options: &Options) -> Result<(), StoreError> {
    Ok(())
}
