//! What is read as bytes has the same line ends in every checkout, also where Git is told to write CRLF: another checksum of
//! a migration would be refused, and an email has its lines from its template.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDERS: [&str; 2] = ["migrations", "src/mail/templates"];

/// All files below a folder, by their place in the repository.
fn files(folder: &Path, place: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder.join(place)).unwrap() {
        let place = place.join(entry.unwrap().file_name());
        if folder.join(&place).is_dir() { files(folder, &place, found) } else { found.push(place) }
    }
}

/// Whether Git did that in a folder; it sees nothing of the machine's settings.
fn git(folder: &Path, arguments: &[&str]) -> bool {
    let mut git = Command::new("git");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_ATTR_SOURCE"] {
        git.env_remove(variable);
    }
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.args(["-c", "core.autocrlf=true", "-c", "core.safecrlf=false"]);
    git.current_dir(folder).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// The files as a checkout has them that writes CRLF wherever it may.
fn checked_out(name: &str, attributes: Option<&[u8]>, files: &[(PathBuf, Vec<u8>)]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    assert!(git(&folder, &["init", "--quiet"]));
    if let Some(attributes) = attributes {
        fs::write(folder.join(".gitattributes"), attributes).unwrap();
    }
    for (place, text) in files {
        let path = folder.join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert!(git(&folder, &["add", "--all"]));
    for (place, _) in files {
        fs::remove_file(folder.join(place)).unwrap();
    }
    assert!(git(&folder, &["checkout-index", "--all", "--force"]));
    files.iter().map(|(place, _)| fs::read(folder.join(place)).unwrap()).collect()
}

#[test]
fn every_checkout_has_the_same_migrations_and_templates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = Vec::new();
    for folder in FOLDERS {
        files(root, Path::new(folder), &mut places);
    }
    assert!(places.len() > 80, "the files are there");
    let files =
        places.into_iter().map(|place| (place.clone(), fs::read(root.join(place)).unwrap())).collect::<Vec<_>>();
    for (place, text) in &files {
        assert!(!text.contains(&b'\r'), "{}", place.display());
    }
    if !git(root, &["--version"]) {
        return;
    }
    let attributes = fs::read(root.join(".gitattributes")).unwrap();
    let kept = checked_out("with-attributes", Some(&attributes), &files);
    for ((place, text), kept) in files.iter().zip(&kept) {
        assert!(text == kept, "{}", place.display());
    }
    // the control: without the attributes each of them has another checksum
    let changed = checked_out("without-attributes", None, &files);
    assert!(files.iter().zip(&changed).all(|((_, text), changed)| text != changed));
}
