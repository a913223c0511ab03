//! Where caught emails are kept: one file each, in the order of arrival, and a list in memory for tests.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// One email as it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// The sender of the envelope; empty for `<>`.
    pub sender: String,
    /// The recipients of the envelope, in the order of RCPT.
    pub recipients: Vec<String>,
    /// The message as it was sent, with CRLF, without the dots that SMTP adds.
    pub message: Vec<u8>,
}

/// The emails of one mailbox.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// The number of the next file. Locked while that is written: files appear in the order of their numbers.
    next: Mutex<u64>,
    received: watch::Sender<Vec<Arc<Received>>>,
}

impl Store {
    /// Opens `folder`, or creates it, and goes on behind the files that are there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            last = last.max(number(&entry?.file_name().to_string_lossy()).unwrap_or(0));
        }
        Ok(Self { folder: folder.to_owned(), next: Mutex::new(last + 1), received: watch::Sender::default() })
    }

    /// The list of what came in since the start.
    pub fn received(&self) -> watch::Receiver<Vec<Arc<Received>>> {
        self.received.subscribe()
    }

    /// Keeps an email. When this returns, its file is there, and complete.
    pub fn put(&self, email: Arc<Received>) -> io::Result<()> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let incoming = self.folder.join(".incoming");
        fs::write(&incoming, with_envelope(&email))?;
        fs::rename(&incoming, self.folder.join(format!("{:08}.eml", *next)))?;
        *next += 1;
        self.received.send_modify(|received| received.push(email));
        Ok(())
    }
}

/// Without addresses and content: an email carries a code.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({} recipients, {} bytes)", self.recipients.len(), self.message.len())
    }
}

/// The number in a file's name.
fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".eml")?.parse().ok()
}

/// The message with its envelope as first lines. Addresses have no line ends: the session refuses those.
fn with_envelope(email: &Received) -> Vec<u8> {
    let mut file = format!("Return-Path: <{}>\r\n", email.sender).into_bytes();
    for recipient in &email.recipients {
        file.extend_from_slice(format!("X-Envelope-To: {recipient}\r\n").as_bytes());
    }
    file.extend_from_slice(&email.message);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_on_from_the_highest_and_begin_with_the_envelope() {
        let folder = std::env::temp_dir().join(format!("mailbox-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("00000009.eml"), "").unwrap();
        fs::write(folder.join("notes.txt"), "").unwrap();
        let email = Arc::new(Received {
            sender: "noreply@ipmhub.example".into(),
            recipients: vec!["anna@example.org".into(), "bo@example.org".into()],
            message: b"Subject: hi\r\n\r\nhi\r\n".to_vec(),
        });
        let store = Store::open(&folder).unwrap();
        store.put(Arc::clone(&email)).unwrap();
        store.put(Arc::clone(&email)).unwrap();
        let file = fs::read_to_string(folder.join("00000011.eml"));
        let count = fs::read_dir(&folder).unwrap().count();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            file.unwrap(),
            "Return-Path: <noreply@ipmhub.example>\r\nX-Envelope-To: anna@example.org\r\n\
             X-Envelope-To: bo@example.org\r\nSubject: hi\r\n\r\nhi\r\n"
        );
        assert_eq!(count, 4, "two old files, two new ones, nothing half written");
        assert_eq!(store.received().borrow().as_slice(), [Arc::clone(&email), email]);
    }
}
