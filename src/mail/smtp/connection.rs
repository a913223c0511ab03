//! One connection to the mail server: an email at a time.

use super::dialogue::{Class, Dialogue, Reply, with_dots};
use super::letter::Letter;
use super::timeouts::Timeouts;
use crate::domain::{Answer, SmtpStep};

/// A connection that is ready for MAIL.
pub(super) struct Connection {
    pub dialogue: Dialogue,
    /// Whether the server takes several commands in one write.
    pub pipelining: bool,
    pub timeouts: Timeouts,
}

/// The answer that an email was not taken with.
pub(super) enum Stop {
    /// At MAIL, before anything was said about the email.
    Sender(Answer),
    Email(Answer),
}

impl Connection {
    /// Hands one email over; the server's reply to the message.
    ///
    /// The connection comes back only with that: after an error or a timeout nobody knows which answer belongs to what.
    pub async fn deliver(mut self, letter: &Letter) -> Result<(Self, Answer), Stop> {
        let [mail, recipient, data] = letter.envelope();
        if self.pipelining {
            let all = [mail.as_str(), &recipient, &data].concat();
            self.dialogue.say(self.timeouts.command, all.as_bytes()).await.map_err(Stop::Sender)?;
        }
        self.step(SmtpStep::Mail, &mail, Class::Done).await.map_err(Stop::Sender)?;
        let taken = match self.step(SmtpStep::Rcpt, &recipient, Class::Done).await {
            Ok(_) => self.message(&data, letter).await,
            Err(answer) => {
                let is_answered = self.pipelining && matches!(answer, Answer::Smtp(_));
                if is_answered && self.step(SmtpStep::Data, &data, Class::More).await.is_ok() {
                    // the server waits for a message, and a goodbye would be one
                    return Err(Stop::Email(answer));
                }
                Err(answer)
            }
        };
        match taken {
            Ok(answer) => Ok((self, answer)),
            Err(answer) => {
                // after a refusal the server still listens; a goodbye keeps our name good
                if matches!(answer, Answer::Smtp(_)) {
                    self.quit().await;
                }
                Err(Stop::Email(answer))
            }
        }
    }

    async fn message(&mut self, data: &str, letter: &Letter) -> Result<Answer, Answer> {
        let end_of_data = self.timeouts.end_of_data;
        self.step(SmtpStep::Data, data, Class::More).await?;
        self.dialogue.say(end_of_data, &with_dots(&letter.message)).await?;
        Ok(self.dialogue.expect(end_of_data, SmtpStep::Data, Class::Done).await?.answer(SmtpStep::Data))
    }

    /// A command of the envelope and its answer; only the answer where all of them are under way.
    async fn step(&mut self, step: SmtpStep, line: &str, wanted: Class) -> Result<Reply, Answer> {
        if self.pipelining {
            self.dialogue.expect(self.timeouts.command, step, wanted).await
        } else {
            self.dialogue.ask(self.timeouts.command, step, line, wanted).await
        }
    }

    pub async fn quit(mut self) {
        // the emails are settled: whether the server says goodbye changes nothing
        drop(self.dialogue.ask(self.timeouts.quit, SmtpStep::Data, "QUIT\r\n", Class::Done).await);
    }
}
