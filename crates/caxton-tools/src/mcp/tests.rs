//! Against hostile servers on this machine; the reference servers are in `tests/`.
