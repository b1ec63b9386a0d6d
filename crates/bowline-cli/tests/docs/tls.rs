//! The page on TLS, typed from top to bottom: its designs are written, its certificates made, its gateways started.

use crate::clock;
use crate::console::{PROGRAM, commands, compared};
use crate::pages::page;
use crate::shop::Folder;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The ports that the page names, for HTTP and HTTPS.
const WRITTEN: [u16; 2] = [8080, 8443];

/// A running gateway. Dropping it stops it.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _best_effort = self.0.kill();
        let _best_effort = self.0.wait();
    }
}

/// Starts `bowline up gate` and waits until it has printed what the page shows.
fn up(folder: &Path, api: u16, mesh: u16, expected: &str) -> Up {
    let log = folder.join("up.log");
    let file = std::fs::File::create(&log).unwrap();
    let mut up = Command::new(PROGRAM);
    up.args(["up", "gate", "--api", &format!("127.0.0.1:{api}"), "--mesh", &format!("127.0.0.1:{mesh}")]);
    up.current_dir(folder).env("NO_COLOR", "1").stdin(Stdio::null());
    up.stdout(file.try_clone().unwrap()).stderr(file);
    let up = Up(up.spawn().unwrap());
    let shows = || {
        let printed = std::fs::read_to_string(&log).unwrap();
        compared(&printed, "Ctrl-C stops everything.").and_then(|()| compared(&printed, expected))
    };
    clock::until_ok(shows).unwrap_or_else(|why| panic!("bowline up gate: {why}"));
    up
}

#[test]
fn every_command_of_the_page_on_tls_does_what_it_shows() {
    let (page, folder) = (page("docs/guide/tls.md"), Folder::new());
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
    let here = |text: &str| {
        WRITTEN.iter().zip(ports).fold(text.to_owned(), |text, (written, port)| {
            text.replace(&written.to_string(), &port.to_string())
        })
    };
    let mut running = None;
    let mut typed = 0;
    for block in page.blocks() {
        if block.info == "yaml" {
            let path = folder.path().join(block.lines[0].strip_prefix("# ").expect("where the design is"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, here(&block.lines.join("\n"))).unwrap();
        }
        if block.info != "console tls" {
            continue;
        }
        for shown in commands(&block, &here) {
            if shown.command.starts_with("bowline up") {
                // The one before has to leave its ports first.
                drop(running.take());
                running = Some(up(folder.path(), ports[2], ports[3], &shown.expected));
            } else {
                shown.check(&block, folder.path());
            }
            typed += 1;
        }
    }
    assert!(typed >= 10, "only {typed} commands: is the mark still the same?");
}
