//! The allocator: memory, shadow policy, traces.
