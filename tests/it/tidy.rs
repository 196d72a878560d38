//! Rules about the code itself: who may import whom (read out of `src/ARCHITECTURE.md`), the shape of files, and
//! what must never be tracked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let table = ImportTable::read();
    let mut wrong = Vec::new();
    for file in source_files() {
        let Some(module) = module_of(&file) else { continue };
        let Some(allowed) = table.allowed.get(&module) else {
            wrong.push(format!("{}: `{module}` has no row in src/ARCHITECTURE.md", shown(&file)));
            continue;
        };
        for (line, imported) in imports(&read(&file)) {
            if imported != module && table.allowed.contains_key(&imported) && !allowed.contains(&imported) {
                wrong.push(format!("{}:{line}: `{module}` must not import `{imported}`", shown(&file)));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn lib_lists_the_modules_in_the_order_of_the_table() {
    let table = ImportTable::read();
    let listed = modules_of_lib();
    let expected: Vec<&String> = table.order.iter().filter(|module| listed.contains(module)).collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "lib.rs and src/ARCHITECTURE.md name the same order");
    for module in &listed {
        assert!(table.order.contains(module), "`{module}` of lib.rs has no row in src/ARCHITECTURE.md");
    }
}

#[test]
fn a_row_of_the_table_names_only_rows_above_it() {
    let table = ImportTable::read();
    let mut above = BTreeSet::new();
    for module in &table.order {
        for imported in &table.allowed[module] {
            assert!(above.contains(imported), "`{module}` may import `{imported}`, which is not above it");
        }
        above.insert(module.clone());
    }
}

#[test]
fn every_source_file_says_why_it_exists_and_stays_readable() {
    let mut wrong = Vec::new();
    for file in source_files().into_iter().chain(rust_files(&root().join("tests"))) {
        let text = read(&file);
        // A test module in a file of its own belongs to the file above it; it still says what it claims.
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not open with `//!`", shown(&file)));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{}: {lines} lines, more than {MOST_LINES}", shown(&file)));
        }
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if NAMES_WITHOUT_MEANING.contains(&name) {
            wrong.push(format!("{}: `{name}` says nothing about what is in it", shown(&file)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_the_command_line_prints() {
    let mut wrong = Vec::new();
    for file in source_files() {
        if matches!(module_of(&file).as_deref(), Some("cli") | None) {
            continue;
        }
        for (at, line) in read(&file).lines().enumerate() {
            if ["println!", "eprintln!", "print!(", "eprint!("].iter().any(|call| code_of(line).contains(call)) {
                wrong.push(format!("{}:{}: prints", shown(&file), at + 1));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn unsafe_code_is_forbidden_for_the_whole_package() {
    let manifest: toml::Value = toml::from_str(&read(&root().join("Cargo.toml"))).unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for file in source_files() {
        assert!(!read(&file).contains("allow(unsafe_code"), "{} lifts the ban on unsafe code", shown(&file));
    }
}

#[test]
fn one_crypto_library_is_in_the_build() {
    // The lock file also names what other platforms or unused features would need; `tree` says what is built.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{lib}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = String::from_utf8(output.stdout).unwrap();
    for banned in ["ring", "openssl", "native_tls"] {
        assert!(!built.lines().any(|name| name == banned), "`{banned}` is in the build; aws-lc-rs is the one library");
    }
    assert!(built.lines().any(|name| name == "aws_lc_rs"), "this test would see aws-lc-rs:\n{built}");
}

#[test]
fn the_top_level_holds_only_what_a_newcomer_expects() {
    let allowed: BTreeSet<&str> = TOP_LEVEL.into();
    let found: BTreeSet<String> =
        tracked().iter().filter_map(|path| path.split('/').next()).map(str::to_owned).collect();
    let surprising: Vec<_> = found.iter().filter(|name| !allowed.contains(name.as_str())).collect();
    assert!(surprising.is_empty(), "not expected at the top level: {surprising:?}");
}

#[test]
fn nothing_tracked_is_private_to_a_machine() {
    let mut wrong = Vec::new();
    for path in tracked() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (at, line) in text.lines().enumerate() {
            if is_private_key(line) {
                wrong.push(format!("{path}:{}: a private key", at + 1));
            }
            if let Some(folder) = machine_path(line) {
                wrong.push(format!("{path}:{}: names a folder of one machine, `{folder}`", at + 1));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn npm_packages_are_locked_without_an_address() {
    let lock: serde_json::Value = serde_json::from_str(&read(&root().join("tests/package-lock.json"))).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package.get("resolved").is_none(), "{name} names the registry it came from");
        assert!(package.get("integrity").is_some(), "{name} has no checksum");
    }
}

/// The rules above look at a tree that keeps them, so this looks at lines that break them.
#[test]
fn the_rules_see_what_they_look_for() {
    let text = "use crate::a::{B, c::D};\n// crate::comment::x\nuse crate::{\n    e::{F, G},\n    h,\n};\nfn f() -> crate::i::J {}\n";
    let found: Vec<(usize, String)> = imports(text);
    let expected = [(1, "a"), (3, "e"), (3, "h"), (7, "i")].map(|(line, name)| (line, name.to_owned()));
    assert_eq!(found, expected);
    let folder = ["/ho", "me/someone/x"].concat();
    assert!(machine_path(&format!("path = \"{folder}\"")).is_some());
    assert!(machine_path(&format!("https://a.example{folder}")).is_none(), "a path of a URL is no folder");
    assert!(is_private_key(&["-----BEGIN EC ", "PRIVATE KEY-----"].concat()));
    assert!(!is_private_key("-----BEGIN CERTIFICATE-----"));
    let mut table = ImportTable { order: vec!["a".to_owned(), "b".to_owned()], allowed: BTreeMap::new() };
    assert_eq!(table.resolve("every module above except b"), BTreeSet::from(["a".to_owned()]));
    assert_eq!(table.resolve("a, b").len(), 2);
    table.order.clear();
    assert!(table.resolve("nothing").is_empty());
}

/// The table of `src/ARCHITECTURE.md`: `| module | may import |`.
struct ImportTable {
    order: Vec<String>,
    allowed: BTreeMap<String, BTreeSet<String>>,
}

impl ImportTable {
    fn read() -> Self {
        let text = read(&root().join("src/ARCHITECTURE.md"));
        let mut table = Self { order: Vec::new(), allowed: BTreeMap::new() };
        let rows = text.lines().skip_while(|line| cells(line) != ["module", "may import"]).skip(2);
        for row in rows.take_while(|line| line.starts_with('|')) {
            let [module, may_import] = cells(row)[..] else { panic!("not two cells: {row}") };
            let allowed = table.resolve(may_import);
            table.order.push(module.to_owned());
            table.allowed.insert(module.to_owned(), allowed);
        }
        assert!(table.order.len() > 10, "the import table of src/ARCHITECTURE.md was not found");
        table
    }

    /// `nothing`, a list of names, or `every module above`, possibly `except` a list.
    fn resolve(&self, may_import: &str) -> BTreeSet<String> {
        let names = |list: &str| -> BTreeSet<String> {
            list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        if may_import == "nothing" {
            return BTreeSet::new();
        }
        let Some(rest) = may_import.strip_prefix("every module above") else { return names(may_import) };
        let except = names(rest.trim().strip_prefix("except").unwrap_or_default());
        self.order.iter().filter(|module| !except.contains(*module)).cloned().collect()
    }
}

fn cells(row: &str) -> Vec<&str> {
    let row = row.trim();
    let Some(inner) = row.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else { return Vec::new() };
    inner.split('|').map(|cell| cell.trim().trim_matches('`')).collect()
}

/// The modules named after `crate::` in code, with their line. Text matching, so a macro could slip by; good enough,
/// because private children keep deep paths from compiling anyway.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: String = text.lines().flat_map(|line| [code_of(line), "\n"]).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].lines().count();
        let after = &code[at + "crate::".len()..];
        let names = after.strip_prefix('{').map_or_else(|| vec![after], top_level_items);
        let names = names.into_iter().map(|name| first_name(name.trim())).filter(|name| !name.is_empty());
        found.extend(names.map(|name| (line, name)));
    }
    found
}

/// `a::{b, c}, d}` -> `a::{b, c}`, `d`.
fn top_level_items(list: &str) -> Vec<&str> {
    let (mut depth, mut from, mut items) = (0usize, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The line without its comment; links in doc comments are no imports.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn modules_of_lib() -> Vec<String> {
    let text = read(&root().join("src/lib.rs"));
    let declared = text.lines().map(code_of).filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?.strip_suffix(';')
    });
    declared.map(str::to_owned).collect()
}

/// `src/access/gate.rs` -> `access`; `lib.rs` and `main.rs` belong to no module.
fn module_of(file: &Path) -> Option<String> {
    let below = file.strip_prefix(root().join("src")).ok()?;
    let first = Path::new(below.components().next()?.as_os_str()).file_stem()?.to_str()?;
    (!matches!(first, "lib" | "main")).then(|| first.to_owned())
}

fn source_files() -> Vec<PathBuf> {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 10, "src was not found");
    files
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let hidden =
            path.file_name().is_some_and(|name| name == "node_modules" || name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn tracked() -> Vec<String> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "these rules are about a git checkout");
    let files: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(!files.is_empty());
    files
}

/// A PEM private key begins here: at the start of a line or string, whatever its kind.
fn is_private_key(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '"', '\\']);
    line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY")
}

/// Folders that exist on one machine only. Spelled in two halves, so that this file does not contain them.
fn machine_path(line: &str) -> Option<String> {
    let folders = [["/ro", "ot/"], ["/ho", "me/"], ["/wo", "rk/"], ["/Us", "ers/"]].map(|halves| halves.concat());
    folders.into_iter().find(|folder| {
        line.match_indices(folder.as_str()).any(|(at, _)| {
            // A path of a URL is no folder.
            !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || "-_.$})".contains(before))
        })
    })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

const MOST_LINES: usize = 500;

const NAMES_WITHOUT_MEANING: [&str; 6] = ["mod", "utils", "util", "helpers", "common", "misc"];

const TOP_LEVEL: [&str; 17] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "certs",
    "config",
    "src",
    "tests",
];
