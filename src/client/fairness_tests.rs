//! Several connectors on one account, in simulated time: how much of the account's limits they use together, and how evenly.
//!
//! Each is a whole client that believes to be alone and wants all there is. The account is the sandbox with its published
//! limits, in the strict reading: any second, and refused requests count. `just fairness` prints the tables, over more seeds
//! than a run of the tests has.

use std::cell::RefCell;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::*;
use crate::sandbox::{Options, Quirks, Sandbox, WRITE_KEY};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Calls that each client has waiting at any time.
const LANES: usize = 30;

/// Some way off: requests and answers take 5 to 15 ms each, drawn anew.
struct Distant {
    sandbox: InProcess,
    random: Mutex<Random>,
}

impl Distant {
    async fn way(&self) {
        let drawn = lock(&self.random).unit();
        sleep(Duration::from_millis(5) + Duration::from_millis(10).mul_f64(drawn)).await;
    }
}

impl Transport for Distant {
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Result<HttpResponse, TransportError>> {
        async move {
            self.way().await;
            let answer = self.sandbox.exchange(request).await;
            self.way().await;
            answer
        }
        .boxed()
    }
}

/// When which clients are there, and what the account is like.
#[derive(Debug, Clone, Copy)]
struct Scene {
    clients: usize,
    /// How long after each other they start.
    apart: Duration,
    /// The last of them asks once a second and no more.
    idler: bool,
    retry_after: Option<u32>,
    latency: Duration,
    minutes: usize,
    seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
struct Shared {
    /// Good answers, as a part of what the account gives; from the second minute on.
    used: f64,
    /// The least that one got in a minute, as a part of its fair share; from the first whole minute on that all had been
    /// there for a minute. For an idler, of what it asked for.
    lowest: f64,
    /// Jain's index, where it was lowest.
    jain: f64,
    throttled: f64,
    turned_away: f64,
    /// After the others had ended: seconds until the first had all.
    alone: u64,
    most_at_once: u32,
}

/// One client's good answers, by second.
type Answered = RefCell<Vec<u32>>;

/// When a client asks.
#[derive(Debug, Clone, Copy)]
struct Presence {
    from: Instant,
    until: Instant,
    /// Not before then, but as soon as it has so much in five seconds.
    or_has: (Instant, f64),
    idles: bool,
}

async fn drive(client: &Client, answered: &Answered, start: Instant, presence: Presence) {
    tokio::time::sleep_until(presence.from).await;
    let call = Call {
        method: Method::Get,
        path: "/ping".to_owned(),
        query: Vec::new(),
        body: None,
        repeat: Repeat::Harmless,
        kind: "ping",
        hides_path: false,
    };
    let has_all = || {
        let now = start.elapsed().as_secs() as usize;
        let five: u32 = answered.borrow()[now - 5..now].iter().sum();
        Instant::now() > presence.or_has.0 + 6 * SECOND && f64::from(five) >= presence.or_has.1
    };
    let lane = async || {
        while Instant::now() < presence.until && (Instant::now() < presence.or_has.0 || !has_all()) {
            assert!(matches!(client.ask(&call).await, Ok(Reply::Done(_))));
            if let Some(count) = answered.borrow_mut().get_mut(start.elapsed().as_secs() as usize) {
                *count += 1;
            }
            if presence.idles {
                sleep(SECOND).await;
            }
        }
    };
    join_all((0..if presence.idles { 1 } else { LANES }).map(|_| lane())).await;
}

async fn share(scene: Scene) -> Shared {
    let Scene { clients, apart, idler, retry_after, latency, minutes, seed } = scene;
    let quirks = Quirks { retry_after, ..Quirks::default() };
    let sandbox = Sandbox::new(Options { latency, jitter: latency / 4, seed, quirks, ..Options::default() });
    let (end, tail) = (MINUTE * minutes as u32, 3 * MINUTE);
    let seconds = (end + tail).as_secs() as usize;
    let all: Vec<(Client, Answered)> = (0..clients)
        .map(|at| {
            let seed = seed * 1_000 + at as u64;
            let sandbox = InProcess::new(sandbox.clone(), WRITE_KEY);
            let distant = Distant { sandbox, random: Mutex::new(Random::new(seed ^ 0xd157)) };
            let policy = Policy { seed, ..Policy::default() };
            (Client::new(Arc::new(distant), policy), RefCell::new(vec![0; seconds]))
        })
        .collect();
    let start = Instant::now();
    let first_observed = async {
        tokio::time::sleep_until(start + end).await;
        sandbox.observed()
    };
    let runs = join_all(all.iter().enumerate().map(|(at, (client, answered))| {
        let until = start + if at == 0 { end + tail } else { end };
        let or_has = (start + end, 0.95 * 5.0 * most(scene));
        drive(
            client,
            answered,
            start,
            Presence { from: start + apart * at as u32, until, or_has, idles: idler && at + 1 == clients },
        )
    }));
    let (observed, _) = futures_util::join!(first_observed, runs);

    let answered: Vec<Vec<u32>> = all.iter().map(|(_, answered)| answered.borrow().clone()).collect();
    let within = |client: &[u32], minute: usize| f64::from(client[minute * 60..minute * 60 + 60].iter().sum::<u32>());
    let full = most(scene) * 60.0;
    let idlers = usize::from(idler);
    let busy = clients - idlers;
    let settled = 1 + (apart * (clients as u32 - 1)).as_secs().div_ceil(60) as usize;
    let (mut total, mut lowest, mut jain) = (0.0, f64::MAX, f64::MAX);
    for minute in 1..minutes {
        let shares: Vec<f64> = answered.iter().map(|client| within(client, minute)).collect();
        total += shares.iter().sum::<f64>();
        if minute < settled {
            continue;
        }
        let (busy_shares, idle_shares) = shares.split_at(busy);
        let idle: f64 = idle_shares.iter().sum();
        let fair = (full - idle) / busy as f64;
        lowest = busy_shares.iter().map(|share| share / fair).fold(lowest, f64::min);
        // Once a second, and the time that the answer takes.
        let wanted = 60.0 / (1.0 + 1.25 * latency.as_secs_f64() + 0.03);
        lowest = idle_shares.iter().map(|share| share / wanted).fold(lowest, f64::min);
        let squares: f64 = busy_shares.iter().map(|share| share * share).sum();
        jain = jain.min(busy_shares.iter().sum::<f64>().powi(2) / (busy as f64 * squares));
    }
    let first = &answered[0][end.as_secs() as usize..];
    let alone = first.windows(5).position(|five| f64::from(five.iter().sum::<u32>()) >= 0.95 * 5.0 * most(scene));
    Shared {
        used: total / full / (minutes - 1) as f64,
        lowest,
        jain,
        throttled: 1_000.0 * observed.given_429 as f64 / observed.requests as f64,
        turned_away: 1_000.0 * observed.given_503 as f64 / observed.requests as f64,
        alone: alone.map_or(u64::MAX, |seconds| seconds as u64),
        most_at_once: observed.most_in_flight,
    }
}

/// What the account gives in a second.
fn most(scene: Scene) -> f64 {
    // As long as a request is under way, its connection is taken.
    40_f64.min(20.0 / (1.125 * scene.latency.as_secs_f64() + 0.02))
}

/// The worst of several runs, and the mean use.
fn worst(runs: &[Shared]) -> (Shared, f64) {
    let fold = |of: fn(&Shared) -> f64, pick: fn(f64, f64) -> f64| runs.iter().map(of).reduce(pick).unwrap();
    let worst = Shared {
        used: fold(|run| run.used, f64::min),
        lowest: fold(|run| run.lowest, f64::min),
        jain: fold(|run| run.jain, f64::min),
        throttled: fold(|run| run.throttled, f64::max),
        turned_away: fold(|run| run.turned_away, f64::max),
        alone: runs.iter().map(|run| run.alone).max().unwrap(),
        most_at_once: runs.iter().map(|run| run.most_at_once).max().unwrap(),
    };
    (worst, runs.iter().map(|run| run.used).sum::<f64>() / runs.len() as f64)
}

/// Seeds to be tried: one, or as many as `FAIRNESS_SEEDS` says.
fn seeds() -> std::ops::RangeInclusive<u64> {
    1..=std::env::var("FAIRNESS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1)
}

/// Runs a table of scenes and prints it.
async fn table(title: &str, rows: &[(&str, Scene)], latencies: &[u64]) -> Vec<(Scene, Shared)> {
    let mut text = format!(
        "\n{title}\n{:>10}  {:<22}{:>8}{:>8}{:>9}{:>7}{:>11}{:>11}{:>14}\n",
        "connectors", "start", "used", "least", "lowest", "Jain", "429/1,000", "503/1,000", "alone after s"
    );
    let mut all = Vec::new();
    for (name, scene) in rows {
        let mut runs = Vec::new();
        for seed in seeds() {
            for latency in latencies {
                runs.push(share(Scene { seed, latency: Duration::from_millis(*latency), ..*scene }).await);
            }
        }
        let (worst, mean) = worst(&runs);
        text += &format!(
            "{:>10}  {name:<22}{:>7.1}%{:>7.1}%{:>8.0}%{:>7.2}{:>11.1}{:>11.1}{:>14}\n",
            scene.clients,
            100.0 * mean,
            100.0 * worst.used,
            100.0 * worst.lowest,
            worst.jain,
            worst.throttled,
            worst.turned_away,
            worst.alone
        );
        all.push((*scene, worst));
    }
    // Shown with --nocapture.
    println!("{text}");
    all
}

const SCENE: Scene =
    Scene { clients: 1, apart: Duration::ZERO, idler: false, retry_after: None, latency: Duration::ZERO, minutes: 5, seed: 0 };

/// Whether all scenes are to be run, or those that say most.
fn thorough() -> bool {
    *seeds().end() > 1
}

fn scenes(retry_after: Option<u32>) -> Vec<(&'static str, Scene)> {
    let mut rows = Vec::new();
    for clients in [2, 4, 8] {
        let scene = Scene { clients, retry_after, ..SCENE };
        if !thorough() {
            match clients {
                2 => rows.push(("7 s apart", Scene { apart: 7 * SECOND, ..scene })),
                4 => rows.push(("7 s apart, one idles", Scene { apart: 7 * SECOND, idler: true, ..scene })),
                _ => rows.push(("together", scene)),
            }
            continue;
        }
        rows.push(("together", scene));
        rows.push(("7 s apart", Scene { apart: 7 * SECOND, ..scene }));
        rows.push(("7 s apart, one idles", Scene { apart: 7 * SECOND, idler: true, ..scene }));
    }
    rows
}

async fn rate(title: &str, retry_after: Option<u32>) {
    let latencies: &[u64] = if thorough() { &[20, 100, 300] } else { &[100] };
    for (scene, shared) in table(title, &scenes(retry_after), latencies).await {
        let told = format!("{scene:?}: {shared:?}");
        assert!(shared.used >= 0.9, "{told}");
        assert!(shared.lowest >= 0.4, "{told}");
        // Most of them in the first seconds, while eight find out that they are not alone.
        assert!(shared.throttled <= 40.0, "{told}");
        assert!(shared.alone <= 150, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn connectors_share_the_rate() {
    rate("40 requests a second, 429 without Retry-After", None).await;
}

#[tokio::test(start_paused = true)]
async fn connectors_share_the_rate_where_each_429_costs_a_second() {
    rate("40 requests a second, 429 with Retry-After: 1", Some(1)).await;
}

#[tokio::test(start_paused = true)]
async fn connectors_share_the_connections() {
    let rows: Vec<(&str, Scene)> = [2, 4, 8]
        .into_iter()
        .flat_map(|clients| {
            let scene = Scene { clients, ..SCENE };
            [("together", scene), ("7 s apart", Scene { apart: 7 * SECOND, ..scene })]
        })
        .collect();
    let latencies: &[u64] = if thorough() { &[600, 1_000, 2_000] } else { &[1_000] };
    for (scene, shared) in table("20 connections, at latencies at which they are what is scarce", &rows, latencies).await {
        let told = format!("{scene:?}: {shared:?}");
        assert!(shared.used >= 0.9, "{told}");
        // Where eight share twenty connections, one connection all the time is 0.4.
        assert!(shared.lowest >= 0.35, "{told}");
    }
}
