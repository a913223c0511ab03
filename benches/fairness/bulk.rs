//! What a batch of 1,000 invitations takes, and what 64 callers of other organizations feel of one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::{BatchCreateInvitationsRequest, CreateInvitationRequest, Invitation};
use tonic::transport::Channel;

use crate::rig::people::authorized;
use crate::rig::{Method, People, Result, Scenario, Service, Spread};

const ROWS: usize = 1000;
const BATCHES: usize = 15;
const CALLS: u32 = 300;
const CALLERS: usize = 64;
const TIME: Duration = Duration::from_secs(10);

/// Prints both figures, each against its own quiet time in the same run. `runs` name the rows.
pub async fn measure(service: &Service, runs: &mut impl Iterator<Item = u16>) -> Result<()> {
    let mut next = || runs.next().unwrap_or_default();
    service.truncate_log()?;
    let (mut alone, mut caller) = (Vec::new(), service.callers(1).remove(0));
    let (run, batch_run) = (next(), next());
    let batches = Batches {
        connection: service.another_connection().await?,
        people: Arc::clone(&service.people),
        run: batch_run,
    };
    let mut whole = Vec::new();
    // alternately, so that the machine is the same for both
    for n in 0..BATCHES {
        for call in 0..CALLS / 15 {
            let began = Instant::now();
            caller
                .call(Scenario { method: Method::Create, spread: Spread::Many, run }, u32::try_from(n)? * CALLS + call)
                .await?;
            alone.push(began.elapsed());
        }
        let began = Instant::now();
        batches.create(n).await?;
        whole.push(began.elapsed());
    }
    let (one, batch) = (at(&mut alone, 50), at(&mut whole, 50));
    let ratio = batch.as_secs_f64() / one.as_secs_f64();
    println!(
        "a batch of {ROWS}: {batch:.1?} (slowest {:.1?}), a call {one:.2?}: ratio {ratio:.1}",
        at(&mut whole, 100)
    );

    let mut quiet = callers(service, next(), None).await?;
    let batches = Batches { run: next(), ..batches };
    let mut beside = callers(service, next(), Some(batches)).await?;
    let ratio = at(&mut beside.times, 99).as_secs_f64() / at(&mut quiet.times, 99).as_secs_f64();
    for (name, seen) in [("quiet", &mut quiet), ("beside batches", &mut beside)] {
        let (p50, p99, longest) = (at(&mut seen.times, 50), at(&mut seen.times, 99), at(&mut seen.times, 100));
        println!(
            "{CALLERS} callers, {name}: {} calls, {} failed, {} batches, p50 {p50:.1?}, p99 {p99:.1?}, longest {longest:.1?}",
            seen.times.len(),
            seen.failed,
            seen.batches
        );
    }
    println!("p99 beside batches ÷ quiet: {ratio:.2}");
    Ok(())
}

struct Batches {
    connection: Channel,
    people: Arc<People>,
    run: u16,
}

impl Batches {
    /// Of organization 0, where no other call is for.
    async fn create(&self, nth: usize) -> Result<()> {
        let row = |n| CreateInvitationRequest {
            invitation: Some(Invitation {
                email: format!("b{}-{nth}-{n}@example.com", self.run),
                ..Invitation::default()
            }),
            ..CreateInvitationRequest::default()
        };
        let message = BatchCreateInvitationsRequest {
            parent: "organizations/organization-0".to_owned(),
            requests: (0..ROWS).map(row).collect(),
            request_id: uuid::Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let mut client = InvitationServiceClient::new(self.connection.clone());
        let answer = client.batch_create_invitations(authorized(message, &self.people.owners[0])).await?.into_inner();
        let is_made = |result: &invitations::pb::batch_create_invitations_response::Result| {
            matches!(
                result.result,
                Some(invitations::pb::batch_create_invitations_response::result::Result::Invitation(_))
            )
        };
        if answer.results.iter().all(is_made) { Ok(()) } else { Err("a row was refused".into()) }
    }
}

struct Seen {
    times: Vec<Duration>,
    failed: usize,
    batches: usize,
}

async fn callers(service: &Service, run: u16, batches: Option<Batches>) -> Result<Seen> {
    service.truncate_log()?;
    let (next, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&is_over);
    let batches = batches.map(|batches| {
        tokio::spawn(async move {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                batches.create(count).await?;
                count += 1;
            }
            Result::Ok(count)
        })
    });
    let end = Instant::now() + TIME;
    let callers = service.callers(CALLERS).into_iter().map(|mut caller| {
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            let (mut times, mut failed) = (Vec::new(), 0);
            while Instant::now() < end {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let began = Instant::now();
                let outcome = caller.call(Scenario { method: Method::Create, spread: Spread::Many, run }, n).await;
                failed += usize::from(outcome.is_err());
                times.push(began.elapsed());
            }
            (times, failed)
        })
    });
    let mut seen = Seen { times: Vec::new(), failed: 0, batches: 0 };
    for caller in callers.collect::<Vec<_>>() {
        let (mut times, failed) = caller.await?;
        seen.times.append(&mut times);
        seen.failed += failed;
    }
    is_over.store(true, Ordering::Relaxed);
    if let Some(batches) = batches {
        seen.batches = batches.await??;
    }
    Ok(seen)
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
