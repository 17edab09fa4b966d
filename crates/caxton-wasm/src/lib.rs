//! wasmtime as a behavior: WIT bindings, fuel and memory limits, compilation in a child process, the compiled-code cache.
