//! Writes the OpenAPI 3.1 document of the REST door from the same descriptors.

use prost_reflect::DescriptorPool;
use serde_json::{Value, json};

use crate::model::Contract;

pub fn document(_contract: &Contract, _pool: &DescriptorPool, version: &str) -> Value {
    json!({"openapi": "3.1.0", "info": {"title": "Caxton", "version": version}})
}
