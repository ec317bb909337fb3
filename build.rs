//! Sets what linking a Node addon needs on each platform.

fn main() {
    napi_build::setup();
}
