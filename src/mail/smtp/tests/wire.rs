//! Against servers that this file plays line by line.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;

use super::*;

type Client = BufStream<TcpStream>;

/// Accepts one connection after another, says hello with these offers, and plays the rest; each time with the number of
/// the connection.
async fn server<F>(offers: &'static str, play: impl Fn(usize, Client) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 1.. {
            let mut client = BufStream::new(listener.accept().await.unwrap().0);
            say(&mut client, b"220 played\r\n").await.unwrap();
            lines(&mut client, 1).await.unwrap();
            say(&mut client, offers.as_bytes()).await.unwrap();
            tokio::spawn(play(number, client));
        }
    });
    addr
}

const PIPELINING: &str = "250-played\r\n250 pipelining\r\n";
const NOTHING: &str = "250 played\r\n";

async fn say(client: &mut Client, replies: &[u8]) -> io::Result<()> {
    client.write_all(replies).await?;
    client.flush().await
}

async fn lines(client: &mut Client, count: usize) -> io::Result<String> {
    let mut text = String::new();
    for _ in 0..count {
        client.read_line(&mut text).await?;
    }
    Ok(text)
}

/// Takes commands and message, and answers the commands only when all three are there.
async fn take_at_once(client: &mut Client, taken: &[u8]) -> io::Result<()> {
    let envelope = lines(client, 3).await?;
    assert_eq!(envelope, "MAIL FROM:<no-reply@hub.example>\r\nRCPT TO:<anna1@example.com>\r\nDATA\r\n");
    say(client, b"250 ok\r\n250 ok\r\n354 go on\r\n").await?;
    while lines(client, 1).await? != ".\r\n" {}
    say(client, taken).await
}

#[tokio::test]
async fn a_server_that_takes_commands_together_gets_them_in_one_write() {
    let at_once = |_, mut client: Client| async move {
        loop {
            take_at_once(&mut client, b"250 taken\r\n").await?;
        }
    };
    let (server_of_all, mut session) = (plain(server(PIPELINING, at_once).await), Session::default());
    for _ in 0..2 {
        assert_eq!(session.send(&server_of_all, &letter(1)).await.unwrap().smtp_code(), 250);
    }
    // control: where they are not offered together, each command waits for the answer to the one before
    let soon = Timeouts { command: Duration::from_millis(300), ..Timeouts::default() };
    let one_by_one = plain_with(server(NOTHING, at_once).await, soon);
    let failure = Session::default().send(&one_by_one, &letter(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer: Answer::Timeout, .. }), "{failure:?}");
}

#[tokio::test]
async fn behind_a_refused_recipient_nothing_is_sent_as_a_message() {
    for (replies, goodbye) in [("550 who?\r\n354 go on\r\n", ""), ("550 who?\r\n554 no\r\n", "QUIT\r\n")] {
        let (hear, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let addr = server(PIPELINING, move |_, mut client| {
            let hear = hear.clone();
            async move {
                lines(&mut client, 3).await?;
                say(&mut client, format!("250 ok\r\n{replies}").as_bytes()).await?;
                let mut rest = String::new();
                // a QUIT without an answer ends with its time
                client.read_to_string(&mut rest).await?;
                hear.send(rest).unwrap();
                Ok(())
            }
        })
        .await;
        let timeouts = Timeouts { quit: Duration::from_millis(100), ..Timeouts::default() };
        let refusing = plain_with(addr, timeouts);
        let failure = Session::default().send(&refusing, &letter(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused(answer) if answer.smtp_code() == 550), "{failure:?}");
        assert_eq!(heard.recv().await.unwrap(), goodbye, "{replies}");
    }
}

#[tokio::test]
async fn whatever_stands_behind_the_code_of_a_reply_it_is_read() {
    let long = [b"250 ".as_slice(), &vec![b'x'; 20_000], b"\r\n"].concat();
    let many = [b"250-one\r\n".repeat(500).as_slice(), b"250 last\r\n"].concat();
    let endless = [b"250 ".as_slice(), &vec![b'x'; 70_000]].concat();
    let replies: [(&[u8], Option<u16>); 17] = [
        (b"250\r\n", Some(250)),
        (b"250 \xfcbernommen\r\n", Some(250)),
        // GBK, Shift_JIS, UTF-16, nothing that is text
        (b"250 \xd3\xca\xbc\xfe\xd2\xd1\xbd\xd3\xca\xd5\r\n", Some(250)),
        (b"250-\x83\x81\x81[\x83\x8b\r\n250 \x97\xb9\x89\xf0\r\n", Some(250)),
        (b"250 \xff\xfeO\0K\0\r\n", Some(250)),
        (b"250\xa0ok\r\n", Some(250)),
        (b"250-one\r\n250-two\r\n250 three\r\n", Some(250)),
        (b"250-\r\n250\r\n", Some(250)),
        (b"251\n", Some(251)),
        (b"250\tok\n", Some(250)),
        (&long, Some(250)),
        (&many, Some(250)),
        // control: what is no reply or the reply to something else is none
        (b"+50 ok\r\n", None),
        (b"650 ok\r\n", None),
        (b"2500 ok\r\n", None),
        (b"354 go on\r\n", None),
        (&endless, None),
    ];
    for (reply, code) in replies {
        let reply = reply.to_vec();
        let play = move |_, mut client: Client| {
            let reply = reply.clone();
            async move {
                take_at_once(&mut client, &reply).await?;
                // it waits for the client to leave
                client.read_to_end(&mut Vec::new()).await.map(drop)
            }
        };
        let outcome = Session::default().send(&plain(server(PIPELINING, play).await), &letter(1)).await;
        match code {
            Some(code) => assert_eq!(outcome.unwrap().smtp_code(), code),
            None => assert!(matches!(outcome, Err(Failure::Delayed(Answer::Connection))), "{outcome:?}"),
        }
    }
}

/// Whoever sends the email again because of the missing line end sends a second copy.
#[tokio::test]
async fn a_code_counts_also_where_the_connection_ends_behind_it() {
    for (reply, code) in [
        ("250", Some(250)),
        ("250 ok", Some(250)),
        ("250-queued\r\n", Some(250)),
        ("250-queued\r\n250-as", Some(250)),
        ("250-queued\r\n25", Some(250)),
        ("550 no", Some(550)),
        ("25", None),
        ("", None),
    ] {
        let play = move |_, mut client: Client| async move { take_at_once(&mut client, reply.as_bytes()).await };
        let outcome = Session::default().send(&plain(server(PIPELINING, play).await), &letter(1)).await;
        match (outcome, code) {
            (Ok(answer) | Err(Failure::Refused(answer)), Some(code)) => {
                assert_eq!(answer.smtp_code(), code, "{reply:?}");
            }
            (Err(Failure::Delayed(Answer::Connection)), None) => {}
            (outcome, _) => panic!("{reply:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_is_nobodys() {
    let play = |number, mut client: Client| async move {
        let taken: &[u8] = if number == 1 { b"250 taken\r\n250 and more\r\n" } else { b"252 taken\r\n" };
        loop {
            take_at_once(&mut client, taken).await?;
        }
    };
    let (server, mut session) = (plain(server(PIPELINING, play).await), Session::default());
    for code in [250, 252] {
        assert_eq!(session.send(&server, &letter(1)).await.unwrap().smtp_code(), code);
    }
}
