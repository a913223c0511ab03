//! The seven steps that `dev` prints, run by a shell as they stand there.

use serde_json::Value;

use super::process::text;
use crate::support::PATIENCE;

/// The steps that `dev` printed, run by a shell as they are, but with another `grpcurl`.
pub struct Steps(pub Vec<String>);

/// What a printed call would send.
pub struct Call {
    pub token: String,
    pub address: String,
    pub body: Value,
}

impl Call {
    pub fn field(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }
}

impl Steps {
    /// The one line with these words that is no comment.
    pub fn line(&self, words: &str) -> &str {
        let lines = self.0.iter().filter(|line| !line.starts_with('#') && line.contains(words)).collect::<Vec<_>>();
        let [line] = lines[..] else { panic!("{} lines with {words}", lines.len()) };
        line
    }

    /// What the script puts out, with all that the guide defines before its steps.
    pub async fn run(&self, script: &str) -> String {
        let is_definition =
            |line: &&String| ["OWNER=", "ANNA=", "MAILBOX=", "email() "].iter().any(|start| line.starts_with(start));
        let definitions = self.0.iter().filter(is_definition).cloned().collect::<Vec<_>>();
        assert_eq!(definitions.len(), 4);
        let script = format!("{}\n{script}", definitions.join("\n"));
        let run = tokio::process::Command::new("sh").arg("-euc").arg(script).kill_on_drop(true).output();
        let run = tokio::time::timeout(PATIENCE, run).await.expect("the email comes").unwrap();
        assert!(run.status.success(), "{run:?}");
        text(&run.stdout).to_owned()
    }

    /// The call of a method, after these variables were set.
    pub async fn call(&self, method: &str, variables: &str) -> Call {
        let grpcurl = r#"grpcurl() { printf '%s\n' "$@"; }"#;
        let line = self.line(&format!("/{method}"));
        let arguments = self.run(&format!("{grpcurl}\n{variables}\n{line}")).await;
        let arguments = arguments.lines().collect::<Vec<_>>();
        let ["-plaintext", "-rpc-header", header, "-d", body, address, path] = arguments[..] else {
            panic!("{arguments:?}")
        };
        assert!(path.starts_with("ipmhub.invitations.v1."), "{path}");
        Call {
            token: header.strip_prefix("authorization: Bearer ").unwrap().to_owned(),
            address: address.to_owned(),
            body: serde_json::from_str(body).unwrap(),
        }
    }
}
