//! Connects to a host that has several addresses, some of which may be dead.
//!
//! `TcpStream::connect` tries them one after another, and one that swallows packets keeps it for two minutes. Here each
//! has its share of the time (RFC 8305).

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

/// How long an address is waited for before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The addresses of a host that may still answer.
#[derive(Debug)]
pub struct Addresses(VecDeque<SocketAddr>);

impl Addresses {
    /// Looks them up. The families take turns: often all addresses of one of them are dead.
    pub async fn of(host: &str, port: u16) -> io::Result<Self> {
        Ok(lookup_host((host, port)).await?.collect())
    }

    /// The one that is tried first.
    pub fn first(&self) -> Option<SocketAddr> {
        self.0.front().copied()
    }

    /// Connects to the first that answers. It and those that refused are not tried again by the next call.
    pub async fn connect(&mut self, limit: Duration) -> io::Result<TcpStream> {
        let connected = timeout(limit, self.race(limit)).await;
        connected.unwrap_or_else(|_| {
            self.0.clear();
            Err(ErrorKind::TimedOut.into())
        })
    }

    /// All of them, and in front the one that answers first. In their order where none does.
    pub async fn by_answer(mut self, limit: Duration) -> Vec<SocketAddr> {
        let mut all = Vec::from(self.0.clone());
        if all.len() > 1
            && let Ok(first) = self.connect(limit).await.and_then(|stream| stream.peer_addr())
        {
            all.sort_by_key(|address| *address != first);
        }
        all
    }

    async fn race(&mut self, limit: Duration) -> io::Result<TcpStream> {
        // the last one needs some time, too
        let shares = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        let head_start = HEAD_START.min(limit / shares);
        let mut untried = self.0.clone();
        let mut tried = FuturesUnordered::new();
        let mut error = ErrorKind::NotFound.into();
        loop {
            tried.extend(untried.pop_front().map(async |address| (address, TcpStream::connect(address).await)));
            tokio::select! {
                answer = tried.next() => {
                    let Some((address, outcome)) = answer else { return Err(error) };
                    self.0.retain(|other| *other != address);
                    match outcome {
                        Ok(stream) => return Ok(stream),
                        Err(refused) => error = refused,
                    }
                }
                () = sleep(head_start), if !untried.is_empty() => {}
            }
        }
    }
}

impl FromIterator<SocketAddr> for Addresses {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        let mut left = addresses.into_iter().collect::<VecDeque<_>>();
        let mut turns = VecDeque::with_capacity(left.len());
        while let Some(next) = left.pop_front() {
            turns.push_back(next);
            if let Some(other) = left.iter().position(|address| address.is_ipv4() != next.is_ipv4()) {
                turns.extend(left.remove(other));
            }
        }
        Self(turns)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Listens, and its queue of one place is taken: what else arrives is swallowed.
    struct Swallowing {
        address: SocketAddr,
        _listener: TcpListener,
        _guest: TcpStream,
    }

    impl Swallowing {
        async fn new() -> Self {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(at("127.0.0.1:0")).unwrap();
            let listener = socket.listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            let guest = TcpStream::connect(address).await.unwrap();
            Self { address, _listener: listener, _guest: guest }
        }
    }

    /// Nobody else gets the port, and nobody listens on it.
    fn refusing() -> (SocketAddr, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(at("127.0.0.1:0")).unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    #[tokio::test]
    async fn an_address_that_answers_is_found_behind_dead_ones() {
        let (swallowing, other, (refusing, _held)) = (Swallowing::new().await, Swallowing::new().await, refusing());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        for dead in [
            vec![],
            vec![refusing],
            vec![swallowing.address],
            vec![swallowing.address, refusing],
            vec![swallowing.address, other.address, refusing],
        ] {
            let mut addresses = dead.iter().copied().chain([good]).collect::<Addresses>();
            let stream = addresses.connect(LIMIT).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good, "behind {dead:?}");
            // what did not answer yet may do so later; what refused has had its turn
            assert_eq!(addresses.0.len(), dead.iter().filter(|dead| **dead != refusing).count(), "behind {dead:?}");
        }
    }

    /// The control: it is swallowed, and one address after another would have taken the limit.
    #[tokio::test]
    async fn dead_addresses_alone_are_given_up_in_time() {
        let swallowing = Swallowing::new().await;
        let soon = Duration::from_millis(300);
        let begin = Instant::now();
        let mut addresses = [swallowing.address].into_iter().collect::<Addresses>();
        assert_eq!(addresses.connect(soon).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= soon);
        assert_eq!(addresses.0.len(), 0, "a further call has nothing to try");
        assert_eq!(addresses.connect(soon).await.unwrap_err().kind(), ErrorKind::NotFound);

        let (refusing, _held) = refusing();
        let mut addresses = [refusing, refusing].into_iter().collect::<Addresses>();
        assert_eq!(addresses.connect(LIMIT).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn with_little_time_every_address_has_its_turn() {
        let mut swallowing = Vec::new();
        for _ in 0..9 {
            swallowing.push(Swallowing::new().await);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let mut addresses = swallowing.iter().map(|one| one.address).chain([good]).collect::<Addresses>();
        // nine times 250 ms would be longer
        let stream = addresses.connect(Duration::from_millis(2200)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn the_address_that_answers_comes_first() {
        let (swallowing, other) = (Swallowing::new().await, Swallowing::new().await);
        let (a, b) = (swallowing.address, other.address);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let order =
            async |addresses: &[SocketAddr]| addresses.iter().copied().collect::<Addresses>().by_answer(LIMIT).await;
        assert_eq!(order(&[a, good, b]).await, [good, a, b]);
        assert_eq!(order(&[good]).await, [good]);
        // nobody is asked where there is no choice
        assert_eq!(order(&[a]).await, [a]);
        let (refusing, _held) = refusing();
        assert_eq!(order(&[refusing, refusing]).await, [refusing, refusing]);
    }

    #[test]
    fn the_families_take_turns() {
        let [one, two, three] = ["[::1]:1", "[::2]:1", "[::3]:1"].map(at);
        let [four, five] = ["127.0.0.1:1", "127.0.0.2:1"].map(at);
        let order = |addresses: &[SocketAddr]| addresses.iter().copied().collect::<Addresses>().0;
        assert_eq!(order(&[one, two, three, four, five]), [one, four, two, five, three]);
        assert_eq!(order(&[four, five, one]), [four, one, five]);
        assert_eq!(order(&[four, five]), [four, five]);
        assert_eq!(order(&[]), []);
    }

    #[tokio::test]
    async fn a_host_is_a_name_or_an_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1"] {
            assert!(Addresses::of(host, port).await.unwrap().connect(LIMIT).await.is_ok(), "{host}");
        }
        assert!(Addresses::of("no-such-host.invalid", port).await.is_err());
    }
}
