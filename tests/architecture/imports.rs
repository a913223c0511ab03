//! Which file needs which: what a file names of another one, by import or by path. A re-export is no need of its own, it
//! stands for the file that defines the item; so a `mod.rs` may show what its children offer, and they may use what it
//! defines, as long as it does not use them itself.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

type Path = Vec<String>;

/// What one file names.
#[derive(Debug, Default)]
struct File {
    imports: Vec<Import>,
    /// Outside of imports; a plain name is a path of one.
    paths: BTreeSet<Path>,
}

#[derive(Debug)]
struct Import {
    path: Path,
    name: String,
    is_reexport: bool,
}

/// The files of a crate, by their place among its modules: `app/mod.rs` is `[app]`.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<Path, File>);

impl Files {
    pub fn add(&mut self, module: &str, code: &str) {
        let mut file = File::default();
        file.read(&code.parse::<TokenStream>().unwrap().into_iter().collect::<Vec<_>>());
        let place = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        self.0.insert(place, file);
    }

    /// Files that need each other: the first, whom it needs, and so on, until the first again.
    pub fn circle(&self) -> Option<Vec<String>> {
        let needs = self.0.keys().map(|place| (place, self.needs(place))).collect::<BTreeMap<_, _>>();
        let mut done = BTreeSet::new();
        let found = self.0.keys().find_map(|start| walk(start, &needs, &mut Vec::new(), &mut done));
        found.map(|circle| circle.iter().map(|place| place.join("::")).collect())
    }

    fn needs(&self, place: &Path) -> BTreeSet<&Path> {
        let file = &self.0[place];
        let is_named = |name: &String| file.paths.iter().any(|path| path[0] == *name);
        let imports = file.imports.iter().filter(|import| !import.is_reexport || is_named(&import.name));
        let paths = imports.map(|import| &import.path).chain(file.paths.iter().filter(|path| path.len() > 1));
        paths.filter_map(|path| self.definition(place, path)).filter(|other| *other != place).collect()
    }

    /// The file that defines what a path means at a place; `None`: another crate, or a module as such.
    fn definition(&self, place: &[String], path: &[String]) -> Option<&Path> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "invitations" => self.item(Path::new(), rest),
            "self" => self.item(place.to_vec(), rest),
            "super" => {
                let parent = &place[..place.len().checked_sub(1)?];
                let goes_on = rest.first()? == "super";
                if goes_on { self.definition(parent, rest) } else { self.item(parent.to_vec(), rest) }
            }
            name if self.has_child(place, name) => self.item(place.to_vec(), path),
            name => {
                let is_it = |import: &&Import| import.name == name && import.path[0] != name;
                let import = self.0.get(place)?.imports.iter().find(is_it)?;
                self.definition(place, &[&import.path[..], rest].concat())
            }
        }
    }

    /// Goes down from a place as far as there are modules.
    fn item(&self, mut place: Path, path: &[String]) -> Option<&Path> {
        let (name, rest) = path.split_first()?;
        if self.has_child(&place, name) {
            place.push(name.clone());
            return self.item(place, rest);
        }
        let (place, file) = self.0.get_key_value(&place)?;
        match file.imports.iter().find(|import| import.name == *name) {
            Some(import) => self.definition(place, &[&import.path[..], rest].concat()),
            None => Some(place),
        }
    }

    fn has_child(&self, place: &[String], name: &str) -> bool {
        self.0.contains_key(&[place, &[name.to_owned()]].concat())
    }
}

/// Goes on along what is needed; `done` are those that lead into no circle.
fn walk<'a>(
    place: &'a Path,
    needs: &BTreeMap<&'a Path, BTreeSet<&'a Path>>,
    way: &mut Vec<&'a Path>,
    done: &mut BTreeSet<&'a Path>,
) -> Option<Vec<&'a Path>> {
    if let Some(start) = way.iter().position(|passed| *passed == place) {
        return Some([&way[start..], &[place]].concat());
    }
    if done.contains(place) {
        return None;
    }
    way.push(place);
    let found = needs[place].iter().find_map(|next| walk(next, needs, way, done));
    way.pop();
    done.insert(place);
    found
}

impl File {
    fn read(&mut self, code: &[TokenTree]) {
        let mut at = 0;
        while at < code.len() {
            match &code[at] {
                TokenTree::Group(group) => self.read(&group.stream().into_iter().collect::<Vec<_>>()),
                TokenTree::Ident(word) if word == "use" && !is(code.get(at + 1), '<') => {
                    let end = at + code[at..].iter().position(|token| is(Some(token), ';')).unwrap();
                    let is_reexport = at > 0 && is_visibility(&code[..at]);
                    self.import(&code[at + 1..end], &[], is_reexport);
                    at = end;
                }
                // its own children are named by every file that has some
                TokenTree::Ident(word) if word == "mod" => at += 1,
                TokenTree::Ident(word) => {
                    let is_member = at > 0 && is(Some(&code[at - 1]), '.');
                    let mut path = vec![word.to_string()];
                    while let [a, b, TokenTree::Ident(next), ..] = &code[at + 1..]
                        && is(Some(a), ':')
                        && is(Some(b), ':')
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    if !is_member {
                        self.paths.insert(path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn import(&mut self, tree: &[TokenTree], prefix: &[String], is_reexport: bool) {
        let mut path = prefix.to_vec();
        let mut name = None;
        for (at, token) in tree.iter().enumerate() {
            match token {
                TokenTree::Group(group) => {
                    let group = group.stream().into_iter().collect::<Vec<_>>();
                    for entry in group.split(|token| is(Some(token), ',')).filter(|entry| !entry.is_empty()) {
                        self.import(entry, &path, is_reexport);
                    }
                    return;
                }
                TokenTree::Ident(word) if word == "as" => {
                    name = Some(tree[at + 1].to_string());
                    break;
                }
                TokenTree::Ident(word) if word == "self" && !prefix.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(mark) => assert_ne!(mark.as_char(), '*', "name what is used of {}", path.join("::")),
                TokenTree::Literal(_) => {}
            }
        }
        let name = name.unwrap_or_else(|| path.last().unwrap().clone());
        self.imports.push(Import { path, name, is_reexport });
    }
}

/// Whether `pub` or `pub(…)` stands at the end.
fn is_visibility(code: &[TokenTree]) -> bool {
    match code {
        [.., TokenTree::Ident(word)] => word == "pub",
        [.., TokenTree::Ident(word), TokenTree::Group(group)] => {
            word == "pub" && group.delimiter() == Delimiter::Parenthesis
        }
        _ => false,
    }
}

fn is(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn circle(files: &[(&str, &str)]) -> Option<String> {
    let mut all = Files::default();
    for (module, code) in files {
        all.add(module, code);
    }
    all.circle().map(|circle| circle.join(" → "))
}

#[test]
fn a_circle_is_seen_by_import_and_by_path() {
    let one = ("a::one", "use super::two::Two; pub struct One(Two);");
    for back in [
        "use super::one::One; pub struct Two;",
        "use crate::a::{three, one::{self, One as First}}; pub struct Two;",
        "use crate::a; pub struct Two(a::one::One);",
        "pub struct Two; fn f() { println!(\"{}\", crate::a::one::f()) }",
        "pub struct Two; fn f() { use super::One; }",
    ] {
        let files = [("", ""), ("a", "mod one; mod two; pub use one::One;"), one, ("a::two", back)];
        assert_eq!(circle(&files).as_deref(), Some("a::one → a::two → a::one"), "{back}");
    }
    // the control: the same without the way back
    for other in ["pub struct Two;", "use super::three::one::One; pub struct Two(std::one::One, String);"] {
        let files = [("", ""), ("a", "pub use one::One;"), one, ("a::two", other), ("a::three", "pub mod one {}")];
        assert_eq!(circle(&files), None, "{other}");
    }
}

#[test]
fn a_parent_may_show_its_children_or_be_used_by_them() {
    let child = ("a::one", "pub fn one() -> super::Error { super::Error }");
    let parent = "mod one; pub use one::one; pub struct Error;";
    assert_eq!(circle(&[("", ""), ("a", parent), child]), None);
    for both in ["fn f() { one(); }", "fn f() { one::one(); }", "use one::one as other;"] {
        let both = format!("{parent} {both}");
        assert_eq!(circle(&[("", ""), ("a", &both), child]).as_deref(), Some("a → a::one → a"), "{both}");
    }
}
