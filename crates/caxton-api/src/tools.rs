//! Tools, their calls and what a tenant permits: the trait [`ToolsApi`] and its doors, generated from service
//! `caxton.v1.Tools`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::rest::{Door, Input};
use crate::{ApiError, CallContext, grpc, rest};

include!(concat!(env!("OUT_DIR"), "/tools.rs"));
