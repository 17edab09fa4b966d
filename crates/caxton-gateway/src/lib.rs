//! The doors: REST, SSE, gRPC and probes over App.
