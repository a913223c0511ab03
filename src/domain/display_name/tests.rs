use super::*;

fn is_taken(text: &str) -> bool {
    DisplayName::read(text).is_ok_and(|name| name.check_domains([].iter()).is_ok())
}

#[test]
fn names_of_people_and_companies_pass() {
    for good in [
        "Acme Inc.",
        "Müller & Söhne GmbH & Co. KG",
        "J. R. Smith",
        "A.B.C",
        "株式会社",
        "O'Brien",
        "Team 1.5",
        ".NET Foundation",
        "The (.NET) People",
        "Col·legi de Metges",
        "コカ・コーラ",
        "re:publica",
        "C++ / Rust",
        "J. de Vries",
        "Studio 54",
        "Expo 2026",
        "Polka dot design",
        "Dot Com Ltd",
        "שלום בע\"מ",
        "Łódź",
        "Q&A: Data",
        "Foo… Bar",
    ] {
        assert!(is_taken(good), "{good}: {:?}", DisplayName::read(good));
    }
}

#[test]
fn a_dot_without_a_top_level_domain_is_no_link() {
    for good in [
        "Node.js Foundation",
        "node.js",
        "Vue.js Amsterdam",
        "three.js",
        "1234567 B.C. Ltd.",
        "9123-4567 Québec inc.",
        "E.ON SE",
        "J.P.Morgan Chase",
        "St.Gallen",
        "Dr.Oetker",
        "S.p.A.",
        "d.o.o.",
        "Sp.z o.o.",
        "e.V.",
        "Ph.D.s",
        "U.S.A.",
        "v2.beta",
        "Ｊ．フロント リテイリング株式会社",
        "ООО.Рога и копыта",
        "г.Томск",
        "Μ.Ελλάς",
        "d3.js and friends",
        "Team.Alpha",
    ] {
        assert!(is_taken(good), "{good}: {:?}", DisplayName::read(good));
    }
    for bad in [
        "Socket.io",
        "Toys.R.Us",
        "evil.сом",
        "evil.СОМ",
        "evil.cοm",
        "ᴇᴠɪʟ.ɴᴇᴛ",
        "evil.ⅽom",
        "магазин.москва",
        "店.ポイント",
        "evil.भारत",
        "evil.xn--p1ai",
        "node.js.org",
        "x.yz",
        "e.vil",
        "Booking.com B.V.",
        "evil.com-login",
        "evil.localhost",
        "EVIL.Example",
    ] {
        assert!(!is_taken(bad), "{bad}");
    }
}

#[test]
fn a_capital_behind_a_dot_and_a_blank_begins_a_word_of_its_own() {
    for good in [
        "Dr. Dev Patel",
        "Peter J. Link",
        "Mr. Click",
        "Acme Inc. Online",
        "ACME INC. ONLINE",
        "Acme Co. App Team",
        "Acme e.V. (Info)",
        "Acme Inc., Online",
        "Acme · Online",
        "Ruby • Dev Berlin",
        "Ruby ・ Dev",
        "St. Info e.V.",
        "Design // Berlin",
        "A \\\\ B",
    ] {
        assert!(is_taken(good), "{good}: {:?}", DisplayName::read(good));
    }
    for bad in [
        "evil. com",
        "Evil. com",
        "evil. online",
        "Evil . Com",
        "EVIL . COM",
        "Evil .Com",
        "Evil (.) Com",
        "Evil [.] Com",
        "Evil.[Com]",
        "evil。 Com",
        "Evil·Com",
        "evil • com",
        "Evil ·Com",
        "Evil DOT Com",
        "Mr. Click evil. com",
        "Design //berlin",
        "http: //evil",
        "http:// Evil",
    ] {
        assert!(!is_taken(bad), "{bad}");
    }
}

#[test]
fn a_domain_is_good_for_whom_it_belongs_to() {
    let held = |emails: &[&str]| emails.iter().map(|email| EmailAddress::parse(email).unwrap()).collect::<Vec<_>>();
    let check = |name: &str, emails: &[&str]| DisplayName::read(name)?.check_domains(held(emails).iter());
    for (name, email) in [
        ("Booking.com B.V.", "anna@booking.com"),
        ("BOOKING.COM", "anna@Booking.com"),
        ("Friends of (Amazon.com), Inc.", "jeff@amazon.com"),
        ("Bücher.de Versand", "b@bücher.de"),
        ("bu\u{308}cher.de", "b@xn--bcher-kva.de"),
        ("Яндекс.рф", "a@яндекс.рф"),
        ("Acme.example", "o@acme.example"),
        ("Monday.com's friends", "o@monday.com"),
    ] {
        assert_eq!(check(name, &["other@elsewhere.example", email]), Ok(()), "{name}");
        assert!(matches!(check(name, &[]), Err(NameFault::Domain(_))), "{name}");
    }
    // of that domain, and neither above nor below it nor beside it
    for email in ["a@mail.booking.com", "a@com", "a@booking.co", "a@xbooking.com", "a@booking.com.evil.example"] {
        let email = EmailAddress::parse(email).into_iter().collect::<Vec<_>>();
        let name = DisplayName::read("Booking.com").unwrap();
        assert_eq!(name.check_domains(email.iter()), Err(NameFault::Domain("Booking.com".to_owned())));
    }
    assert!(check("Booking.com and Agoda.com", &["a@booking.com"]).is_err());
    assert!(check("Booking.com and Agoda.com", &["a@booking.com", "a@agoda.com"]).is_ok());
    // nothing but the domain, as it is written
    for bad in [
        "login.booking.com",
        "booking.com/pay",
        "booking.com:8080",
        "booking.com?x",
        "http://booking.com",
        "www.booking.com",
        "bookıng.com",
        "bóoking.com",
        "ｂooking.com",
        "booking。com",
        "booking dot com",
        "booking . com",
        "booking.com.evil.example",
        "xbooking.com",
        "(booking.com).evil.example",
        "a@booking.com",
    ] {
        assert!(check(bad, &["a@booking.com"]).is_err(), "{bad}");
    }
    assert!(check("see example.com", &["anna@example.com"]).is_err(), "it is nobody's");
}

#[test]
fn few_digits_are_no_number() {
    for good in [
        "Cohort 2024-2025",
        "Cohort 2024–2025",
        "2024-2025",
        "1234567 B.C. Ltd.",
        "9123-4567 Québec inc.",
        "12345678 Ontario Limited",
        "HRB 123456789",
        "C++ 2024-2025",
        "Google+ 2024-2025",
        "007 2024",
        "Class of 1999 2000",
        "２０２４－２０２５年度",
        "دوره ۱۴۰۳-۱۴۰۴",
        "٢٠٢٤-٢٠٢٥",
        "Expo 2026, 2027, 2028",
    ] {
        assert!(is_taken(good), "{good}: {:?}", DisplayName::read(good));
    }
    for bad in [
        "call 0301234567",
        "+49301234567",
        "Acme (+1) 800 555",
        "Acme +49 30 12345",
        "0049 30 12345",
        "Acme 0044 20 79460",
        "555 0199 00",
        "800–555–0199",
        "①②③④⑤⑥⑦",
        "𝟎𝟑𝟎𝟏𝟐𝟑𝟒",
        "٠٣٠١٢٣٤٥٦٧",
        "1.2.3.4",
    ] {
        assert!(matches!(DisplayName::read(bad), Err(NameFault::Number(_))), "{bad}: {:?}", DisplayName::read(bad));
    }
}

#[test]
fn what_is_not_seen_is_taken_where_it_changes_what_is() {
    for good in [
        "شرکت می\u{200c}خواهم",
        "کتاب\u{200c}ها",
        "خانه\u{200c}ای",
        "ශ්\u{200d}රී ලංකා",
        "क्\u{200d}ष",
        "क्\u{200c}ष",
        "അവന്\u{200d}",
        "അവന്\u{200d} Club",
        "ര്\u{200d}",
        "ച്\u{200c}ച",
        "শ\u{9cd}\u{200d}য",
        "❤\u{fe0f} Acme",
        "Café ☕\u{fe0e}",
        "Acme ⭐\u{fe0f}",
        "1\u{fe0f}\u{20e3} Team",
        "👩\u{200d}💻 Club",
        "👩🏽\u{200d}🔬 Lab",
        "❤\u{fe0f}\u{200d}🔥",
        "👨\u{200d}👩\u{200d}👧",
        "Team \u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "Acme®\u{fe0f}",
    ] {
        assert!(is_taken(good), "{good:?}: {:?}", DisplayName::read(good));
    }
    for bad in [
        "Ac\u{200c}me",
        "Ac\u{200d}me",
        "Acme\u{200d}",
        "\u{200c}Acme",
        "دا\u{200c}ر",
        "می\u{200c}\u{200c}خواهم",
        "می\u{200c}",
        "می\u{200d}خواهم",
        "شرکت \u{200c}خواهم",
        // nothing follows that they could change
        "क्\u{200d}",
        "क्\u{200c}",
        "क्\u{200c} ष",
        "क्\u{200d}, ष",
        "क्\u{200c}x",
        "क्\u{200d}1",
        "क्\u{200d}\u{967}",
        "क्\u{200d}ක",
        "क्\u{200d}ി",
        "ශ්\u{200d}",
        "அன்\u{200c}",
        "അവന്\u{200c}",
        "അവച്\u{200d}",
        "ශ්\u{200d}\u{200d}රී",
        "Acme\u{fe0f}",
        "1\u{fe0f}",
        "❤\u{fe0f}\u{fe0f}",
        "❤\u{fe00}",
        "株\u{e0100}",
        "👩\u{200d}",
        "👩\u{200d}x",
        "x\u{200d}👩",
        "\u{1f3f4}\u{e0067}\u{e007f}",
        "می\u{200b}خواهم",
        "שלום\u{200f}",
    ] {
        assert!(matches!(DisplayName::read(bad), Err(NameFault::Hidden(_))), "{bad:?}: {:?}", DisplayName::read(bad));
    }
    // nor does it hide a link
    for bad in ["می\u{200c}خواهم.com", "❤\u{fe0f}.com", "http:\u{200d}//x"] {
        assert!(!is_taken(bad), "{bad:?}");
    }
}

#[test]
fn what_reads_as_a_link_or_hides_something_is_refused() {
    for bad in [
        "",
        " a",
        "a ",
        "a\nb",
        "a\r\nBcc: x",
        "a\0",
        "visit example.com",
        "http://x",
        "//x",
        "www.x.yz",
        "evil。com",
        "anna@example.com",
        "<b>",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\u{2028}b",
        "pay．now",
        "http：／／x",
        "mailto:anna",
        "(tel:112)",
        "\\\\server\\share",
        "evil dot com",
        "evil[.]com",
        "evil (dot) com",
        "evil . com",
        "evil·com",
        "evil٠com",
        "evil.c\u{334}om",
        "ｅｖｉｌ.ｃｏｍ",
        "www.1",
        "call +1 800 555 0199",
        "192.0.2.1",
        "=?utf-8?q?evil=2Ecom?=",
        "＜b＞",
        "anna＠example",
        "\u{3164}",
        "\u{115f}\u{1160}",
        "\u{2800}",
        "evil.\u{fe0f}com",
        "evil.\u{34f}com",
        "evil.\u{e0100}com",
        &"a".repeat(65),
    ] {
        assert!(!is_taken(bad), "{bad:?}");
    }
}

#[test]
fn the_fault_says_which_part_it_is_about() {
    for (name, part) in [
        ("Friends of http://evil today", "\"http://evil\""),
        ("Friends of evil dot com", "\"evil dot com\""),
        ("Acme, call 030 1234 5678 now", "\"030 1234 5678\""),
        ("Acme <b>", "character <"),
        ("Acme\u{202e}x", "U+202E"),
        (" Acme", "white space"),
        ("", "1 to 64"),
        ("Acme =?x", "=?"),
        ("Acme e.vil.com/x", "\"e.vil.com/x\""),
    ] {
        let fault = DisplayName::read(name).unwrap_err().to_string();
        assert!(fault.contains(part), "{name}: {fault}");
    }
    let fault = DisplayName::read("Friends of Evil.com").unwrap().check_domains([].iter()).unwrap_err().to_string();
    assert!(fault.contains("\"Evil.com\"") && fault.contains("verified"), "{fault}");
}

#[test]
fn no_fault_says_more_than_a_hundred_characters_however_long_the_name_is() {
    let long = || "ü".repeat(64);
    for fault in [
        NameFault::Empty,
        NameFault::Length,
        NameFault::OuterSpace,
        NameFault::Hidden('\u{10fffd}'),
        NameFault::Sign('<'),
        NameFault::Encoded,
        NameFault::Link(long()),
        NameFault::Domain(long()),
        NameFault::Number(long()),
        NameFault::Reserved(long()),
    ] {
        let rule = fault.to_string();
        assert!(rule.chars().count() <= 100, "{rule}");
        assert!(rule.starts_with("must ") && fault.kind() != FieldFault::Conflict, "{rule}");
    }
    assert!(NameFault::Link(long()).to_string().contains("ü…\""));
}

fn reserved(text: &str) -> Option<String> {
    reserved_word(text, &["contoso".to_owned(), "big-cloud".to_owned(), "billing".to_owned(), "team".to_owned()])
}

#[test]
fn what_reads_as_the_operator_is_reserved() {
    for bad in [
        // the product, wherever
        "ipmhub",
        "ipmhub-security",
        "IPMHub Security Team",
        "Ipmhub Support",
        "myipmhub",
        "ipmhub2",
        "the-ipm-hub",
        "I P M H u b",
        "i.p.m.hub",
        "IPM·Hub Friends",
        "Acme at IPMhub",
        // looks like it
        "lPMHub",
        "1pmhub",
        "IРMHub",
        "Ιpmhub",
        "iprnhub",
        "IPMHUВ",
        "ＩＰＭＨｕｂ",
        "ⓘⓟⓜⓗⓤⓑ",
        "ɪᴘᴍʜᴜʙ",
        "ìpmhüb",
        "ipmhu8",
        "іpmhub",
        "𝐈𝐏𝐌𝐇𝐮𝐛",
        "🅸🅿🅼🅷🆄🅱",
        "🇮🇵🇲🇭🇺🇧",
        "ipm\u{200d}hub",
        "ipm\u{2060}hub",
        "|PMHub",
        "!pmhub",
        // claims, as words
        "admin",
        "admin2",
        "admin-contoso-2",
        "northwind-admin",
        "Northwind Administrator",
        "NorthwindAdmin",
        "AdminNorthwind",
        "4dm1n",
        "Adm!n Northwind",
        "Adm!n",
        "no-reply",
        "Northwind No Reply",
        "noreply-northwind",
        "Official Northwind",
        "a.d.m.i.n northwind",
        "аdmin northwind",
        "post-master",
        "1 Admin Northwind",
        "ADMІN x",
        // authority, alone and among itself
        "security",
        "Security",
        "Security Team",
        "The Security Team",
        "securityteam",
        "SecurityTeam",
        "support-24",
        "Support Desk",
        "it-support",
        "customer-support",
        "Billing Department",
        "Help",
        "helpdesk",
        "help-desk",
        "abuse",
        "info",
        "api",
        "root",
        "system",
        "service",
        "services",
        "webmaster",
        "Trust & Safety",
        "Ѕecurity",
        "5ecurity",
        "$ecurity",
        "Security 🔒",
        "Security 🇩🇪",
        "Security 24/7",
        "S e c u r i t y",
        "sécurity",
        "Ⓢecurity",
        "Account Verification",
        "invitations",
        "Your Account Security",
        "Abuse & Legal",
        // the deployment's own
        "contoso",
        "contoso-fans",
        "Fans of Contoso",
        "Cοntoso",
        "c0ntoso",
        "big-cloud",
        "Big Cloud Users",
        "bigcloud",
        "billing",
        "team",
        "contoso2",
    ] {
        assert!(reserved(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn companies_and_people_are_called_what_is_not_reserved() {
    for good in [
        "Northwind",
        "northwind-security",
        "Northwind Security GmbH",
        "Securitas AG",
        "Info Support B.V.",
        "info-support-bv",
        "Amy Root",
        "amy-root",
        "Root Insurance",
        "System of a Down",
        "Help Musicians UK",
        "Badminton Club",
        "badminton",
        "National Council Against Child Abuse",
        "Administration communale de Lyon",
        "Billings Bridge",
        "Support Acme",
        "acme-support",
        "Supportive Care Ltd",
        "Security Services of Ghent",
        "Trust Bank",
        "Safety First Inc.",
        "team-red",
        "Officials of Ghent",
        "Adminton",
        "Sadmin",
        "Teamwork",
        "the-hub",
        "IPM Institute",
        "Hub 24",
        "Studio 54",
        "株式会社",
        "Rootsbank",
        "Contosoft",
        "acontoso",
        "Big Cloudy Days",
        "Noreplys",
        "The Desk",
        "Online Users",
        "24/7",
        "🔒",
        "mads",
        "Олга",
        "anna",
        "security-manager",
        "Chelsea Dmin",
        "Serviceplan",
        "Apis Honey",
        "Statuspage Ltd",
        "The acme people",
    ] {
        assert_eq!(reserved(good), None, "{good:?}");
    }
    // control: without the words of the deployment
    assert_eq!(reserved_word("Fans of Contoso", &[]), None);
    assert_eq!(reserved_word("contoso-2", &[]), None);
}
