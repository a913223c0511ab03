use proptest::prelude::*;

use super::*;
use crate::domain::FieldFault;

/// What was read, in one form for each meaning.
fn read(text: &str) -> String {
    let restriction = |restriction: &Restriction| {
        let values = restriction.values.iter().map(|value| value.text.as_str()).collect::<Vec<_>>().join("|");
        format!("{} {:?} {values}", restriction.path.join("/"), restriction.comparator)
    };
    match parse_filter(text) {
        Ok(all) => all.iter().map(restriction).collect::<Vec<_>>().join("; "),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn restrictions_are_joined_by_and() {
    for (text, meaning) in [
        ("state=INVITED", "state Equals INVITED"),
        ("  state  =\tINVITED\n", "state Equals INVITED"),
        ("state = INVITED AND email = ada@example.com", "state Equals INVITED; email Equals ada@example.com"),
        ("(state = INVITED AND (a = b)) AND c = d", "state Equals INVITED; a Equals b; c Equals d"),
        ("a < 1 AND a <= 2 AND a > 3 AND a >= 4", "a Less 1; a LessOrEqual 2; a Greater 3; a GreaterOrEqual 4"),
        ("deliveries.state:FAILED", "deliveries/state Has FAILED"),
        ("create_time >= 2026-11-01T00:00:00+01:00", "create_time GreaterOrEqual 2026-11-01T00:00:00+01:00"),
        (
            "inviter = services/k8s/system:serviceaccount:ops/gateway",
            "inviter Equals services/k8s/system:serviceaccount:ops/gateway",
        ),
        (r#"annotations.ticket="OPS 7 \"\\\"""#, r#"annotations/ticket Equals OPS 7 "\""#),
        (r#"annotations."example.com/ticket" = "*""#, "annotations/example.com/ticket Equals *"),
        (r#"annotations.cost-center = """#, "annotations/cost-center Equals "),
        // as it is written, the sign for a negation begins a value
        ("a = -1", "a Equals -1"),
        // keywords are in capitals, and end
        ("order = android AND nothing = ORDER", "order Equals android; nothing Equals ORDER"),
    ] {
        assert_eq!(read(text), meaning, "{text}");
    }
}

#[test]
fn or_joins_values_of_one_field_and_binds_closer_than_and() {
    for text in [
        "a = 1 AND s = X OR s = Y AND b = 2",
        "a = 1 AND (s = X OR s = Y) AND b = 2",
        "a = 1 AND s = (X OR Y) AND b = 2",
        "a = 1 AND ((s = X) OR (((s = Y)))) AND b = 2",
        "(a = 1) AND(s=X)OR(s=Y)AND(b=2)",
    ] {
        assert_eq!(read(text), "a Equals 1; s Equals X|Y; b Equals 2", "{text}");
    }
    assert_eq!(read("s:(X OR Y OR Z)"), "s Has X|Y|Z");
    let mixed = |position| format!("must not have OR, but between = or : of one field, at character {position}");
    assert_eq!(read("a = 1 OR b = 2"), mixed(7));
    assert_eq!(read("a = 1 OR a:2"), mixed(7));
    assert_eq!(read("a < 1 OR a < 2"), mixed(7));
    assert_eq!(read("(a = 1 AND b = 2) OR a = 3"), mixed(19));
    assert_eq!(read("a < (1 OR 2)"), "must have one value at character 5");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (text, fault) in [
        ("NOT state = INVITED", "must not have a negation (NOT, - or !=) at character 1"),
        ("-state = INVITED", "must not have a negation (NOT, - or !=) at character 1"),
        ("NOT(state = INVITED)", "must not have a negation (NOT, - or !=) at character 1"),
        ("a = 1 AND NOT b = 2", "must not have a negation (NOT, - or !=) at character 11"),
        ("state != INVITED", "must not have a negation (NOT, - or !=) at character 7"),
        ("email = *@example.com", "must not have a wildcard (* outside of quotes) at character 9"),
        ("email = ada*", "must not have a wildcard (* outside of quotes) at character 12"),
        ("annotations.ticket:*", "must not have a wildcard (* outside of quotes) at character 20"),
        ("annotations.*:1", "must not have a wildcard (* outside of quotes) at character 13"),
        ("*", "must not have a wildcard (* outside of quotes) at character 1"),
        ("ends(email)", "must not have a function at character 1"),
        ("create_time > ago(7d)", "must not have a function at character 15"),
        ("ada", "must not have a value without a field (field = value) at character 1"),
        ("\"ada\"", "must not have a value without a field (field = value) at character 1"),
        ("state = INVITED OR OFFERED", "must not have a value without a field (field = value) at character 20"),
        ("state = INVITED AND ada lovelace", "must not have a value without a field (field = value) at character 21"),
        ("state = INVITED order by email", "must have AND, OR or the end at character 17"),
        ("((((((((( a = 1 )))))))))", "must not have more than 8 parentheses within each other at character 9"),
    ] {
        assert_eq!(read(text), fault, "{text}");
    }
}

#[test]
fn a_fault_says_where_and_what_is_expected() {
    for (text, fault) in [
        ("", "must have a field at character 1"),
        ("  ", "must have a field at character 3"),
        ("()", "must have a field at character 2"),
        ("AND", "must have a field at character 1"),
        ("a = 1 AND", "must have a field at character 10"),
        ("a = 1 AND AND", "must have a field at character 11"),
        ("a. = 1", "must have a field at character 3"),
        (".a = 1", "must have a field at character 1"),
        ("a =", "must have a value, maybe in double quotes, at character 4"),
        ("a = AND b = 1", "must have a value at character 5"),
        ("a = 'x'", "must have a value, maybe in double quotes, at character 5"),
        ("a == 1", "must have a value, maybe in double quotes, at character 4"),
        ("a , b", "must have one of = < <= > >= : at character 3"),
        ("a = 1 and b = 2", "must have AND, OR or the end at character 7"),
        ("a = 1 b = 2", "must have AND, OR or the end at character 7"),
        ("(a = 1", "must have AND, OR or ) at character 7"),
        ("a = 1)", "must not have a ) without its ( at character 6"),
        ("a = (1 AND 2)", "must have OR or ) at character 8"),
        ("a = 1,2", "must have a blank, or quotes around the value, at character 6"),
        ("a = \"1\"2", "must have a blank, or quotes around the value, at character 8"),
        ("a = \"1", "must have the closing quote at character 7"),
        (r#"a = "\n""#, "must have \\\" or \\\\ in quotes at character 6"),
        ("é = \"\u{0}\"", "must not have a control character at character 6"),
        ("a = 1\u{0}", "must have a blank, or quotes around the value, at character 6"),
    ] {
        assert_eq!(read(text), fault, "{text:?}");
    }
    assert_eq!(read(&format!("a = {}", "x".repeat(1020))).len(), 1029);
    assert_eq!(read(&format!("a = {}", "x".repeat(1021))), "must have at most 1024 bytes");
}

#[test]
fn a_field_is_compared_as_its_table_says_and_named_once() {
    let all = parse_filter("a = (1 OR x) AND a:2").unwrap();
    let number = |text: &str| text.parse::<u8>().ok();
    let fault = all[0].parsed(Comparator::Equals, "a number", number).unwrap_err();
    assert_eq!(
        (fault.kind(), fault.to_string()),
        (FieldFault::Malformed, "must have a number at character 11".to_owned())
    );
    let fault = all[0].one_of(Comparator::Equals, "1 or 2", number).unwrap_err();
    assert_eq!(
        (fault.kind(), fault.to_string()),
        (FieldFault::UnknownValue, "must have 1 or 2 at character 11".to_owned())
    );
    let fault = all[0].one_of(Comparator::Has, "1 or 2", number).unwrap_err();
    assert_eq!(
        (fault.kind(), fault.to_string()),
        (FieldFault::Malformed, "must have the comparator : at character 3".to_owned())
    );
    let mut slot = None;
    let numbers = |restriction: &Restriction| {
        restriction.parsed(restriction.comparator, "a number", |text| text.parse::<u8>().ok())
    };
    assert_eq!(set_once(&mut slot, vec![1], &all[0]), Ok(()));
    let fault = set_once(&mut slot, numbers(&all[1]).unwrap(), &all[1]).unwrap_err();
    assert_eq!(fault.to_string(), "must not have the same field once more at character 18");
    assert_eq!(slot, Some(vec![1]));
}

/// Any restrictions, and a text of them.
fn filters() -> impl Strategy<Value = (String, String)> {
    let value = proptest::string::string_regex("[ -~äß]{0,9}").unwrap();
    let values = prop::collection::vec(value, 1..4);
    let one = ("[a-z_]{1,8}(\\.[a-z-]{1,5})?", values, prop::bool::ANY).prop_map(|(path, values, is_has)| {
        let quote = |value: &String| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let text = values.iter().map(quote).collect::<Vec<_>>().join(" OR ");
        let (sign, name) = if is_has { (":", "Has") } else { ("=", "Equals") };
        (format!("{path}{sign}({text})"), format!("{} {name} {}", path.replace('.', "/"), values.join("|")))
    });
    prop::collection::vec(one, 1..5).prop_map(|all| {
        let (texts, meanings): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        (texts.join(" AND "), meanings.join("; "))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read((text, meaning) in filters()) {
        prop_assert_eq!(read(&text), meaning);
    }

    /// Neither a panic nor a text too long, wherever a good filter is cut or changed.
    #[test]
    fn any_text_is_read_or_refused(
        text in prop_oneof![
            any::<String>(),
            "[a-c.:=<>!()\"'\\\\* *-]{0,40}",
            "((a|state|\\.|:|=|<=|!=|\\(|\\)|\"|\\\\| |AND|OR|NOT|-|\\*|x|\u{0}|é)){0,24}",
            (filters(), any::<prop::sample::Index>(), any::<char>()).prop_map(|((text, _), place, c)| {
                let mut chars = text.chars().collect::<Vec<_>>();
                let place = place.index(chars.len());
                chars[place] = c;
                chars.into_iter().collect()
            }),
        ],
    ) {
        if let Err(fault) = parse_filter(&text) {
            prop_assert!(fault.to_string().len() <= 100, "{}", fault);
            let position = fault.to_string().rsplit(' ').next().and_then(|last| last.parse::<usize>().ok());
            let end = text.chars().count() + 1;
            prop_assert!(position.is_none_or(|position| (1..=end).contains(&position)), "{} in {:?}", fault, text);
        }
    }
}
