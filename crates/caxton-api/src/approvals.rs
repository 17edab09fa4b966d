//! Approvals of tool calls: the trait [`ApprovalsApi`] and its doors, generated from service
//! `caxton.v1.Approvals`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::rest::{Door, Input};
use crate::{ApiError, CallContext, grpc, rest};

include!(concat!(env!("OUT_DIR"), "/approvals.rs"));
