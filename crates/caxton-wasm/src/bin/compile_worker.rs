//! The compile worker as a program of its own, for this crate's tests: cargo builds a package's
//! binaries before its tests and tells them where. What is shipped is the server's binary, which has
//! the worker as a hidden subcommand.

fn main() -> std::process::ExitCode {
    caxton_wasm::compile::worker_main()
}
