//! `invitations dev` and `token` as a script drives them: lines of standard output, files of a folder, signals.

mod process;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::{config, pb};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use self::process::{Dev, folder, output, text};
use self::steps::Steps;
use crate::support::{reason, retry_after};

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_steps_lead_to_access_and_kill_9_on_the_way_loses_nothing() {
    let dir = folder("steps");
    let dev = Dev::start(&dir, &[]);
    assert!(dev.lines[0].starts_with("database postgres://"), "{}", dev.lines[0]);
    let steps = Steps(dev.lines.clone());

    let create = steps.call("CreateInvitation", "").await;
    assert_eq!((create.address.as_str(), create.field("/parent")), (dev.said("ready"), "organizations/acme"));
    let email = create.field("/invitation/email");
    let invitation = dev.person(&create.token).await.invite("acme", email).await.unwrap();
    let account = steps.call("CreateAccount", "").await;
    let username = account.field("/account_id");
    dev.person(&account.token).await.create_account(username).await.unwrap();
    let code = steps.run(&format!("{}\necho \"$CODE\"", steps.line("CODE="))).await;

    dev.kill_everything();
    let dev = Dev::start(&dir, &[]);
    let (owner, anna) = (dev.person(&create.token).await, dev.person(&account.token).await);
    let request = steps.call("RequestAccess", &format!("CODE={code}")).await;
    assert_eq!(request.token, account.token);
    assert_eq!(anna.request_access(request.field("/code")).await.unwrap().name, invitation.name);
    let told = steps.run(steps.line("requests access")).await;
    assert!(told.contains(username) && told.contains(email) && !told.contains("<html"), "{told}");
    let offer = steps.call("OfferMembership", "").await;
    assert_eq!((offer.field("/username"), offer.field("/email")), (username, email));
    owner.offer("acme", username, email, offer.field("/role")).await.unwrap();
    let invited = steps.run(steps.line("email \"^Hello")).await;
    assert!(invited.contains("Contributor"), "{invited}");

    let answer = format!("grpcurl() {{ echo '  \"name\": \"{}\",'; }}", invitation.name);
    let name = steps.line("NAME=$(");
    assert!(name.contains(r#"'{"parent":"accounts/me"}'"#) && name.contains("/ListAccountInvitations "), "{name}");
    let name = steps.run(&format!("{answer}\n{name}\necho \"$NAME\"")).await;
    let accept = steps.call("AcceptInvitation", &format!("NAME={name}")).await;
    assert_eq!(accept.token, account.token);
    anna.accept(accept.field("/name")).await.unwrap();
    let member = steps.call("GetMember", "").await;
    assert_eq!(member.field("/name"), format!("organizations/acme/members/{username}"));
    assert_eq!(owner.member("acme", username).await.unwrap().role(), pb::Role::Contributor);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_everything_and_fresh_starts_over() {
    const OLGA: [&str; 4] = ["--subject", "olga", "--email", "olga@acme.example"];
    let dir = folder("interrupt");
    let mut dev = Dev::start(&dir, &[]);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let second = output("dev", &dir, &["--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another `invitations dev` runs on"), "{second:?}");
    let owner = dev.somebody(&OLGA).await;
    let invitation = owner.invite("acme", "anna@example.com").await.unwrap();
    #[cfg(target_os = "linux")]
    let group = dev.postgres_group();

    assert_eq!(dev.end_by("INT"), Some(0));
    assert!(!dev.database_answers() && !dir.join("postgres/postmaster.pid").exists());
    #[cfg(target_os = "linux")]
    assert_eq!(process::living(&group), [""; 0], "what watched over the database has ended before it");

    let mut dev = Dev::start(&dir, &[]);
    let again = dev.person(&owner.token).await;
    assert_eq!(again.get(&invitation.name).await.unwrap().email, "anna@example.com");
    assert_eq!(dev.end_by("TERM"), Some(0));

    let dev = Dev::start(&dir, &["--fresh"]);
    let stale = dev.person(&owner.token).await.get(&invitation.name).await;
    assert_eq!(reason(stale), "TOKEN_INVALID", "the dev issuer has a new key");
    let owner = dev.somebody(&OLGA).await;
    assert_eq!(owner.get(&invitation.name).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fs::read_dir(dir.join("mailbox")).unwrap().count(), 0);
}

/// The limits of production are there, so that a client's author meets each of them before production does.
#[tokio::test(flavor = "multi_thread")]
async fn no_limit_is_lifted_and_what_differs_from_the_defaults_is_printed() {
    let dev = Dev::start_in(&folder("limits"), &[], &[("INVITATIONS_WRONG_CODES_LIMIT", "7")]);
    let printed = dev.lines.iter().flat_map(|lines| lines.lines()).filter_map(|line| {
        let (key, values) = line.strip_prefix("#   ")?.split_once(" = ")?;
        let (value, default) = values.split_once(" instead of ")?;
        Some((key.to_owned(), (value.to_owned(), default.to_owned())))
    });
    let printed = printed.collect::<BTreeMap<_, _>>();
    let defaults = config::defaults().into_iter().collect::<BTreeMap<_, _>>();
    for (key, (value, default)) in &printed {
        assert_eq!(Some(default), defaults.get(key), "{key}");
        assert_ne!(value, default, "{key}");
    }
    let limits = defaults.iter().filter(|(key, _)| key.ends_with("_limit")).collect::<Vec<_>>();
    assert_eq!(limits.len(), 14);
    for (key, default) in limits {
        let value = printed.get(key).map_or(default, |(value, _)| value).parse::<u32>().unwrap();
        let wanted = if key == "wrong_codes_limit" { 7 } else { 100 * default.parse::<u32>().unwrap() };
        assert_eq!(value, wanted, "{key}");
    }
    assert_eq!(printed["log_level"].0, "trace", "the environment's own");
    assert!(!printed.contains_key("resend_interval_seconds"), "{printed:?}");

    let owner = dev.somebody(&["--subject", "olga", "--email", "olga@acme.example"]).await;
    let invitation = owner.invite("acme", "anna@example.com").await.unwrap();
    let again = owner.resend(&invitation.name, false).await;
    let wait = retry_after(&again).expect("waiting helps");
    assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(reason(again), "RESENT_TOO_SOON");
    for n in 1..=7 {
        let code =
            InvitationCode::derive(&CodeKey::new("other".into(), vec![n; 32]).unwrap(), InvitationId(Uuid::nil()), 1);
        assert_eq!(reason(owner.request_access(&code.reveal()).await), "CODE_NOT_FOUND");
    }
    let code =
        InvitationCode::derive(&CodeKey::new("other".into(), vec![9; 32]).unwrap(), InvitationId(Uuid::nil()), 1);
    assert_eq!(reason(owner.request_access(&code.reveal()).await), "TOO_MANY_WRONG_CODES", "the printed limit holds");
}

#[test]
fn the_demo_works_again_on_the_data_of_the_last_one() {
    let dir = folder("demo");
    // the second one where other machines may reach it, which only `--expose` allows
    for flags in [["--demo", "--listen=127.0.0.1:0"].as_slice(), &["--demo", "--listen=0.0.0.0:0", "--expose"]] {
        let demo = output("dev", &dir, flags);
        assert_eq!(demo.status.code(), Some(0), "{demo:?}");
        let lines = text(&demo.stdout).lines().collect::<Vec<_>>();
        for start in ["database postgres://", "ready ", "1. ", "2. ", "3. ", "4. ", "5. ", "6. ", "7. "] {
            assert_eq!(lines.iter().filter(|line| line.starts_with(start)).count(), 1, "{start}");
        }
        assert_eq!(lines.iter().filter(|line| line.starts_with("email to ")).count(), 5);
        assert!(lines.last().unwrap().ends_with(" has access"), "{lines:?}");
    }

    let emails = fs::read_dir(dir.join("mailbox")).unwrap();
    let mut emails = emails.map(|email| email.unwrap().path()).collect::<Vec<_>>();
    emails.sort();
    assert!(emails.iter().all(|path| path.extension().is_some_and(|end| end == "eml")), "{emails:?}");
    let subject = |path: &PathBuf| {
        let email = fs::read_to_string(path).unwrap();
        email.lines().find_map(|line| line.strip_prefix("Subject: ").map(str::to_owned)).unwrap()
    };
    let subjects = emails.iter().map(subject).collect::<Vec<_>>();
    assert_eq!(subjects.len(), 10);
    // the last two of each five come at once
    for five in subjects.chunks(5) {
        assert_eq!(five[0], "Acme (acme) invites you to IPMHub");
        assert!(five[1].contains("requests access"), "{five:?}");
        assert_eq!(five[2], "Acme (acme) invites you to become a member");
    }
}

#[test]
fn what_dev_must_not_do_is_refused_before_anything_is_made() {
    let dir = folder("refused");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:50051"] {
        let refused = output("dev", &dir, &["--listen", address]);
        assert_eq!(refused.status.code(), Some(1), "{address}");
        assert!(text(&refused.stderr).contains("--expose"), "{refused:?}");
        assert!(refused.stdout.is_empty() && !dir.exists(), "{refused:?}");
    }

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = output("dev", &dir, &["--listen", &taken.local_addr().unwrap().to_string()]);
    assert!(text(&refused.stderr).contains("choose another --listen"), "{refused:?}");
    assert!(!dir.join("postgres").exists(), "{refused:?}");

    let shared = folder("shared");
    fs::create_dir_all(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let refused = output("dev", &shared, &[]);
    assert!(text(&refused.stderr).contains("all users of this machine share it"), "{refused:?}");
    assert_eq!(fs::metadata(&shared).unwrap().permissions().mode() & 0o7777, 0o1777);
}

/// The claims of what `token` prints, which is a token alone on one line.
fn claims(dir: &Path, flags: &[&str]) -> Value {
    let token = output("token", dir, flags);
    assert!(token.status.success(), "{token:?}");
    let token = text(&token.stdout).strip_suffix('\n').unwrap();
    assert!(!token.contains(char::is_whitespace), "{token}");
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn a_token_says_of_people_and_services_what_was_asked_for() {
    let dir = folder("token");
    let anna = claims(&dir, &["--subject", "anna", "--email", "anna@example.com"]);
    assert_eq!(
        (&anna["sub"], &anna["email"], &anna["email_verified"]),
        (&json!("anna"), &json!("anna@example.com"), &json!(true))
    );
    assert_eq!(anna["exp"].as_i64().unwrap() - anna["iat"].as_i64().unwrap(), 12 * 60 * 60);
    let unverified = claims(&dir, &["--subject", "anna", "--email", "anna@example.com", "--unverified"]);
    assert_eq!(unverified["email_verified"], json!(false));
    let entra = claims(&dir, &["--subject", "anna", "--email", "anna@example.com", "--provider", "entra"]);
    assert_eq!((&entra["oid"], &entra["xms_edov"]), (&json!("anna"), &json!(true)));
    assert_ne!(entra["iss"], anna["iss"]);
    let both = ["--service", "gateway", "--scope", "invitations.read", "accounts.read"];
    let each = ["--service", "gateway", "--scope", "invitations.read", "--scope", "accounts.read"];
    for flags in [&both[..], &each[..]] {
        let service = claims(&dir, flags);
        assert_eq!((&service["sub"], &service["scope"]), (&json!("gateway"), &json!("invitations.read accounts.read")));
    }
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);

    for wrong in [
        &[][..],
        &["--service", "gateway"],
        &["--service", "gateway", "--scope", "everything"],
        &["--service", "gateway", "--scope", "invitations.read", "--subject", "anna"],
        &["--subject", "anna", "--unverified"],
        &["--subject", "anna", "--email", "anna@example.com", "--provider", "other"],
    ] {
        let refused = output("token", &dir, wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
}
