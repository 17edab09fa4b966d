//! The way out of the server: the one [`caxton_engine::port::Http`] adapter. Which addresses may be
//! reached is decided in `caxton_core::egress`; this crate obeys.

pub mod http;
