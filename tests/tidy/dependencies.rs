//! Rules for what the gateway depends on: where it comes from, which licences and versions it has. The policy is in
//! `deny.toml`, which cargo-deny reads, too.
//!
//! Threads: the test's; blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use gateway_tests::{run, skip};
use serde_json::Value;

use crate::ROOT;

fn toml(file: &str) -> toml::Table {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    text.parse().unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The numbers of a version or of a caret requirement, such as 1.2 or =1.2.3.
fn numbers(version: &str) -> [u64; 3] {
    let core = version.trim_start_matches(['=', '^']).split(['-', '+']).next().unwrap();
    let mut parts = core.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("{version}")));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// The packages of `Cargo.lock`.
fn locked() -> Vec<toml::Table> {
    let lock = toml("Cargo.lock");
    let packages = lock["package"].as_array().unwrap().iter().map(|package| package.as_table().unwrap().clone());
    packages.collect()
}

/// A package that a program with the gateway gets, with some feature on some system.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    license: String,
    rust_version: Option<String>,
}

/// What a command of cargo prints. `None` if cargo cannot get the manifests.
fn cargo(arguments: &[&str]) -> Option<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (status, text, error) = run(Command::new(cargo).args(arguments).arg("--locked").current_dir(ROOT));
    if !status.success() {
        skip("dependencies", &format!("cargo {arguments:?}: {error}"));
    }
    status.success().then_some(text)
}

/// The packages that the two published crates need, on any system and with any features. loom is for the models alone,
/// arbitrary for the fuzz targets.
///
/// `cargo tree` has the features of these two crates, `cargo metadata` those of the whole workspace.
fn published() -> Option<Vec<Package>> {
    let crates = ["-p", "gateway", "-p", "gateway-macros", "--all-features", "--edges", "normal,build"];
    let form = ["--target", "all", "--prune", "loom", "--prune", "arbitrary", "--prefix", "none"];
    let tree = cargo(&[&["tree"], &crates[..], &form[..]].concat())?;
    // A line is `name v1.2.3`, and more for some packages.
    let named = |line| {
        let mut words = str::split(line, ' ');
        Some((words.next()?, words.next()?.strip_prefix('v')?))
    };
    let needed: BTreeSet<(&str, &str)> = tree.lines().filter_map(named).collect();
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--all-features"])?).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap().iter().filter_map(|package| {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap());
        let license = || text(&package["license"]).unwrap_or_else(|| panic!("{name} has no licence"));
        needed.contains(&(name, version)).then(|| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: license(),
            rust_version: text(&package["rust_version"]),
        })
    });
    let packages: Vec<Package> = packages.collect();
    assert!(packages.len() > 50 && packages.len() == needed.len(), "{} of {needed:?}", packages.len());
    Some(packages)
}

#[test]
fn every_package_is_from_the_registry_and_has_a_checksum() {
    let accepted = toml("deny.toml")["sources"]["allow-registry"].as_array().unwrap().clone();
    let accepted: Vec<String> = accepted.iter().map(|index| format!("registry+{}", index.as_str().unwrap())).collect();
    let members = ["gateway", "gateway-examples", "gateway-fuzz", "gateway-macros", "gateway-tests"];
    for package in locked() {
        let name = package["name"].as_str().unwrap();
        match package.get("source").and_then(toml::Value::as_str) {
            None => assert!(members.contains(&name), "{name} has no source"),
            Some(source) => assert!(accepted.iter().any(|known| known == source), "{name} is from {source}"),
        }
        assert!(members.contains(&name) || package.contains_key("checksum"), "{name} has no checksum");
    }
}

/// Versions without known faults that a client could use, by changelogs and advisories. Where a program's lock file
/// decides, the requirement of the manifest has to exclude what is older.
#[test]
fn no_dependency_is_older_than_the_fixes_that_the_gateway_relies_on() {
    let floors = [
        ("bytes", "1.11.1"),
        // RUSTSEC-2026-0258.
        ("h2", "0.4.18"),
        // UTF-8 in targets is valid.
        ("http", "1.3.1"),
        // A Content-Length beside Transfer-Encoding is dropped, and ends the connection.
        ("hyper", "1.11.0"),
        // RUSTSEC-2026-0176 and -0177.
        ("pyo3", "0.29.0"),
        ("tokio", "1.44.2"),
    ];
    // Those that come with others, which require the fixed version.
    let indirect = [("rustls", "0.23.18"), ("slab", "0.4.11")];
    let manifest = toml("Cargo.toml");
    for (name, floor) in floors {
        let requirement = &manifest["workspace"]["dependencies"][name];
        let requirement = requirement.as_str().or_else(|| requirement["version"].as_str()).unwrap();
        assert!(numbers(requirement) >= numbers(floor), "{name} = {requirement:?} allows less than {floor}");
    }
    let packages = locked();
    for (name, floor) in floors.into_iter().chain(indirect) {
        let versions = packages.iter().filter(|package| package["name"].as_str() == Some(name));
        let versions: Vec<&str> = versions.map(|package| package["version"].as_str().unwrap()).collect();
        // The benches compare a server that still has http 0.2.
        let newest = versions.iter().copied().max_by_key(|version| numbers(version));
        let newest = newest.unwrap_or_else(|| panic!("{name} is not in Cargo.lock"));
        assert!(numbers(newest) >= numbers(floor), "{name} {newest} is older than {floor}");
    }
}

#[test]
fn every_licence_is_on_the_list_of_the_policy() {
    let Some(packages) = published() else { return };
    let policy = toml("deny.toml");
    let accepted = policy["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let accepted: Vec<&str> = accepted.collect();
    let mut used = BTreeSet::new();
    for Package { name, license, .. } in packages {
        // Older manifests have `/` for `OR`.
        let expression = spdx::Expression::parse_mode(&license, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name}: {license}: {error}"));
        let is_met = expression.evaluate(|requirement| accepted.contains(&requirement.to_string().as_str()));
        assert!(is_met, "{name} has the licence {license}, which deny.toml does not accept");
        used.extend(expression.requirements().map(|part| part.req.to_string()));
    }
    for name in accepted {
        assert!(used.contains(name), "no package has {name}, which deny.toml accepts");
    }
}

#[test]
fn every_second_version_of_a_package_has_a_reason() {
    let Some(packages) = published() else { return };
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let mut second = BTreeSet::new();
    for (name, mut versions) in versions {
        versions.sort_by_key(|version| numbers(version));
        second.extend(versions.split_last().unwrap().1.iter().map(|version| (name.to_owned(), numbers(version))));
    }
    let policy = toml("deny.toml");
    for row in policy["bans"]["skip"].as_array().unwrap() {
        let (name, version) = row["crate"].as_str().unwrap().split_once('@').unwrap();
        assert!(row["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{name} has no reason");
        let parts = version.split('.').count();
        let before = second.len();
        second.retain(|(other, found)| other != name || found[..parts] != numbers(version)[..parts]);
        assert!(second.len() < before, "there is no second version {name} {version}, which deny.toml skips");
    }
    assert!(second.is_empty(), "second versions without a row in deny.toml: {second:?}");
}

/// `clippy::incompatible_msrv` checks the code itself.
#[test]
fn no_dependency_takes_a_newer_compiler_than_the_manifest_says() {
    let Some(packages) = published() else { return };
    let manifest = toml("Cargo.toml");
    let floor = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    for Package { name, version, rust_version, .. } in packages {
        let wanted = rust_version.unwrap_or_default();
        assert!(wanted.is_empty() || numbers(&wanted) <= numbers(floor), "{name} {version} takes Rust {wanted}");
    }
}
