//! Calls of agents from outside: the trait [`ExternalAgentRouterApi`] and its doors, generated from
//! service `caxton.v1.ExternalAgentRouter`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::rest::{Door, Input};
use crate::{ApiError, CallContext, grpc, rest};

include!(concat!(env!("OUT_DIR"), "/external_agent_router.rs"));
