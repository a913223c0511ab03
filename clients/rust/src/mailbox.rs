//! Each email that `invitations dev` sends is a file.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::fs;
use tokio::time::{Instant, sleep};

#[derive(Debug)]
pub struct Mailbox(PathBuf);

impl Mailbox {
    pub fn new(folder: &str) -> Self {
        Self(folder.into())
    }

    /// The newest email with these words, once it is there, without its HTML part.
    pub async fn email(&self, words: &str) -> io::Result<String> {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some(email) = self.newest(words).await? {
                return Ok(email);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("no email has come with: {words}")))
    }

    /// The code of the invitation to this address: seven groups of four.
    pub async fn code_to(&self, address: &str) -> io::Result<String> {
        let email = self.email(&format!("X-Envelope-To: {address}")).await?;
        let is_code = |word: &&str| word.len() == 34 && word.split('-').filter(|group| group.len() == 4).count() == 7;
        let code = email.split_whitespace().find(is_code);
        code.map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the email has no code"))
    }

    async fn newest(&self, words: &str) -> io::Result<Option<String>> {
        let mut names = Vec::new();
        let mut entries = fs::read_dir(&self.0).await?;
        while let Some(entry) = entries.next_entry().await? {
            names.extend(Some(entry.path()).filter(|path| path.extension().is_some_and(|end| end == "eml")));
        }
        // named by their order
        names.sort();
        for name in names.iter().rev() {
            let email = fs::read_to_string(name).await?;
            if email.contains(words) {
                return Ok(email.split("text/html").next().map(str::to_owned));
            }
        }
        Ok(None)
    }
}
