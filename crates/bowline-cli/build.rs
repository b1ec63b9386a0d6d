//! How the program is linked: smaller in memory, the same in what it does.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // Where the pinned compiler links with the linker that it brings along; others do not know all of these.
    if (target("ARCH"), target("OS"), target("ENV")) == ("x86_64".into(), "linux".into(), "gnu".into()) {
        // Functions that came out equal are one: nothing here compares their addresses.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        // Relocations in some 10 KB instead of 600, all of which is read at each start (glibc since 2.36).
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
