//! The living system: router, mailboxes, lifecycle, supervision, Host, the App use cases, and the ports they need.
