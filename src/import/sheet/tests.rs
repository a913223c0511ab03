//! With files as spreadsheets write them; those of `samples` are made by `samples.py`.

use std::fs;
use std::path::PathBuf;

use super::*;

fn sheet(name: &str, bytes: &[u8]) -> Result<Sheet, Fault> {
    let path = std::env::temp_dir().join(format!("invitations-sheet-{name}-{}.csv", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let sheet = Sheet::open(&path, None);
    fs::remove_file(&path).unwrap();
    sheet
}

/// Each good row's line and address.
fn people(sheet: &Sheet) -> Vec<(u64, String)> {
    let all = ForAllRows::default();
    let mut rows = sheet.rows().unwrap();
    let mut people = Vec::new();
    while let Some(row) = rows.next(&all).unwrap() {
        people.extend(row.ok().map(|row| (row.line, row.email.typed().to_owned())));
    }
    people
}

#[test]
fn every_sample_reads_the_same() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/import/sheet/samples");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let sheet = Sheet::open(&path, None).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        let checked = sheet.check(&ForAllRows::default()).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        let emails = people(&sheet).into_iter().map(|(_, email)| email).collect::<Vec<_>>();
        let expected = ["anna@example.com", "otto@b\u{fc}cher.example", "o'neil+x@example.com"];
        assert_eq!(emails, expected, "{}", path.display());
        assert_eq!((checked.good, checked.bad, checked.duplicates), (3, 0, 0), "{}", path.display());
        count += 1;
    }
    assert!(count >= 10, "the samples are there");
}

#[test]
fn an_address_is_the_same_in_any_case_and_spelling() {
    let text = "email\nAnna@B\u{fc}cher.example\nx\nanna@xn--bcher-kva.example\nAnna <ANNA@B\u{dc}CHER.example>\nb@x.example\n";
    let sheet = sheet("same", text.as_bytes()).unwrap();
    let checked = sheet.check(&ForAllRows::default()).unwrap();
    assert_eq!((checked.good, checked.duplicates, checked.bad), (2, 2, 1));
    let mut rows = sheet.rows().unwrap();
    let mut earlier = Vec::new();
    while let Some(row) = rows.next(&ForAllRows::default()).unwrap() {
        earlier.extend(row.ok().map(|row| checked.earlier(&row)));
    }
    assert_eq!(earlier, [None, Some(2), Some(2), None]);
}

#[test]
fn the_first_bad_rows_are_told_and_all_are_counted() {
    let text = format!("email\n{}b@example.com\n", "nobody\n".repeat(50));
    let checked = sheet("bad", text.as_bytes()).unwrap().check(&ForAllRows::default()).unwrap();
    assert_eq!((checked.bad, checked.bad_rows.len(), checked.good), (50, TOLD, 1));
    assert_eq!(checked.bad_rows.iter().map(|bad| bad.line).collect::<Vec<_>>(), (2..22).collect::<Vec<_>>());
}

#[test]
fn the_digest_is_of_all_bytes() {
    let digest = |bytes: &[u8]| sheet("digest", bytes).unwrap().check(&ForAllRows::default()).unwrap().digest;
    let bytes = b"email\na@example.com\n\n";
    assert_eq!(digest(bytes), <[u8; 32]>::from(Sha256::digest(bytes)));
}

#[test]
fn what_is_no_file_of_people_is_refused_as_a_whole() {
    let fault = |bytes: &[u8]| {
        let sheet = sheet("none", bytes).unwrap();
        sheet.check(&ForAllRows::default()).err().unwrap().to_string()
    };
    assert_eq!(fault(b""), "the file is empty");
    assert_eq!(fault(b"\n\n;;\n"), "the file is empty");
    assert!(fault(b"email\nM\xfcller@example.com\n").starts_with("line 2: is not UTF-8"));
    assert!(fault(b"PK\x03\x04").contains("workbook"));
    assert!(Sheet::open(&std::env::temp_dir(), None).err().unwrap().to_string().contains("read twice"));
}

#[test]
fn a_change_meanwhile_is_seen() {
    let path = std::env::temp_dir().join(format!("invitations-sheet-changed-{}.csv", std::process::id()));
    fs::write(&path, "email\na@example.com\n").unwrap();
    let sheet = Sheet::open(&path, None).unwrap();
    assert!(!sheet.has_changed().unwrap());
    fs::write(&path, "email\nb@example.com\nc@example.com\n").unwrap();
    assert!(sheet.has_changed().unwrap());
    fs::remove_file(&path).unwrap();
}

/// The texts of the rows are not kept, only the digests of their addresses.
#[test]
fn memory_is_bounded_by_the_number_of_addresses() {
    let count = 20_000_usize;
    let line = |nth: usize| format!("{nth}@example.com,{}\n", "x".repeat(200));
    let text = std::iter::once("email,notes\n".to_owned()).chain((0..count).map(line)).collect::<String>();
    let sheet = sheet("large", text.as_bytes()).unwrap();
    drop(text);
    let mut good = 0;
    let used = allocation_counter::measure(|| good = sheet.check(&ForAllRows::default()).unwrap().good);
    assert_eq!(good, count as u64);
    // a table that has just grown stands beside the one before
    assert!(used.bytes_max < 100 * count as u64 + 2_000_000, "{}", used.bytes_max);
}
