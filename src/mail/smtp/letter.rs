//! An email on the wire.

use std::fmt;

use lettre::Address;

/// One email as it goes out: exactly one recipient.
pub struct Letter {
    pub sender: Address,
    pub recipient: Address,
    /// Headers and body, with CRLF.
    pub message: Vec<u8>,
}

impl Letter {
    /// The commands before the message. Neither address holds a line end.
    pub(super) fn envelope(&self) -> [String; 3] {
        let Self { sender, recipient, .. } = self;
        [format!("MAIL FROM:<{sender}>\r\n"), format!("RCPT TO:<{recipient}>\r\n"), "DATA\r\n".to_owned()]
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({} bytes)", self.message.len())
    }
}
