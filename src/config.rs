//! The checked configuration: what is left of the settings once each is in range and they agree.
//!
//! Nothing after this sees an unchecked value. A refusal names the setting, what is wrong and what
//! to write instead, and ends the program with code 2.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use ringway_protocol::limits::{SHARDS_MAX, TOKEN_BYTES_MAX};
use ringway_protocol::options::{FullPolicy, QueueOptions};
use ringway_shards::machine::linux::ReceiveMode;
use ringway_shards::path::queue::{Quota, Quotas};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::units::{ShardCount, ShardPorts, Span};

/// Everything that `ringway serve` runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the plane listens.
    pub listen: SocketAddr,
    /// Where the first shard's own port is, if shards have any.
    pub shard_listen: Option<SocketAddr>,
    /// How many shards; `None` for one on each allowed physical core.
    pub shards: Option<usize>,
    /// The CPUs asked for; empty for every allowed one.
    pub cpus: Vec<usize>,
    /// The host that clients are told for the shards.
    pub advertise: Option<String>,
    /// What clients must give; empty for nothing.
    pub token: Vec<u8>,
    pub auto_declare: bool,
    pub spin: Span,
    pub drain: Duration,
    pub strict_drain: bool,
    pub connections_max: usize,
    /// Messages that one connection may put a second; 0 for any number.
    pub connection_puts_max: u32,
    /// What queues of a prefix may hold together.
    pub quotas: Vec<Quota>,
    pub greeting_timeout: Span,
    pub frame_timeout: Span,
    pub heartbeat: Span,
    /// What a queue has that is declared without options.
    pub queue: QueueOptions,
    pub port_file: Option<PathBuf>,
    pub accept_known_bad_kernel: bool,
    /// A way of receiving to be used instead of the best one that works.
    pub receive: Option<ReceiveMode>,
    pub log: log::LevelFilter,
}

impl Config {
    /// Checks every setting, and how they relate.
    pub fn check(settings: &Settings) -> Result<Self, Failure> {
        let listen = listen(settings)?;
        Ok(Self {
            listen,
            shard_listen: shard_listen(listen, settings.shard_ports)?,
            shards: shards(settings.shards)?,
            cpus: settings.cpus.0.clone(),
            advertise: advertise(&settings.advertise)?,
            token: token(settings)?,
            auto_declare: settings.auto_declare,
            spin: within("spin", settings.spin, Span::of_ns(0), Span::of_ms(100))?,
            drain: within("drain", settings.drain, Span::of_ns(0), Span::of_ms(24 * 3_600_000))?.0,
            strict_drain: settings.strict_drain,
            connections_max: connections_max(settings.connections_max)?,
            connection_puts_max: settings.connection_puts_max,
            quotas: quotas(settings)?,
            greeting_timeout: timeout("greeting_timeout", settings.greeting_timeout)?,
            frame_timeout: timeout("frame_timeout", settings.frame_timeout)?,
            heartbeat: timeout("heartbeat", settings.heartbeat)?,
            queue: queue(settings)?,
            port_file: settings.port_file.clone(),
            accept_known_bad_kernel: settings.accept_known_bad_kernel,
            receive: receive(&settings.receive)?,
            log: log_level(&settings.log)?,
        })
    }
}

fn listen(settings: &Settings) -> Result<SocketAddr, Failure> {
    let text = &settings.listen;
    let address = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    let address = address.ok_or_else(|| {
        Failure::usage(
            format!("listen: '{text}' is no address with a port"),
            "write one like 127.0.0.1:7311, [::1]:7311 or localhost:0",
        )
    })?;
    if !address.ip().is_loopback() && !settings.insecure {
        return Err(Failure::usage(
            format!("listen: {address} can be reached from other hosts, and nothing is encrypted"),
            "listen on 127.0.0.1, or accept that with --insecure",
        ));
    }
    Ok(address)
}

fn shard_listen(listen: SocketAddr, ports: ShardPorts) -> Result<Option<SocketAddr>, Failure> {
    let port = match (ports, listen.port()) {
        (ShardPorts::None, _) => return Ok(None),
        (ShardPorts::From(port), plane) if port != 0 && port == plane => {
            return Err(Failure::usage(
                format!("shard_ports: {port} is the port of the plane"),
                "choose another one, 0 for any, next or none",
            ));
        }
        (ShardPorts::From(port), _) => port,
        (ShardPorts::Next, 0) => 0,
        (ShardPorts::Next, plane) => plane.checked_add(1).ok_or_else(|| {
            Failure::usage(
                "shard_ports: there is no port after 65535",
                "listen on a smaller port, or give --shard-ports 0",
            )
        })?,
    };
    Ok(Some(SocketAddr::new(listen.ip(), port)))
}

fn shards(count: ShardCount) -> Result<Option<usize>, Failure> {
    match count {
        ShardCount::Auto => Ok(None),
        ShardCount::Exactly(count) if (1..=SHARDS_MAX as u64).contains(&count) => {
            Ok(Some(count as usize))
        }
        ShardCount::Exactly(count) => Err(Failure::usage(
            format!("shards: {count} is out of range"),
            format!("write 1 to {SHARDS_MAX}, or auto"),
        )),
    }
}

/// The longest host that still fits an address of the greeting: 255 bytes with `:65535`.
const ADVERTISE_BYTES_MAX: usize = 255 - 6;

fn advertise(host: &str) -> Result<Option<String>, Failure> {
    let odd = |byte: u8| byte.is_ascii_whitespace() || !byte.is_ascii_graphic();
    if host.len() > ADVERTISE_BYTES_MAX || host.bytes().any(odd) {
        return Err(Failure::usage(
            "advertise: this is no host",
            format!("write a host name or address of at most {ADVERTISE_BYTES_MAX} bytes"),
        ));
    }
    Ok((!host.is_empty()).then(|| host.to_owned()))
}

fn token(settings: &Settings) -> Result<Vec<u8>, Failure> {
    let token = match (&settings.token, &settings.token_file) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage("token and token_file are both given", "give one of them"));
        }
        (Some(token), None) => token.clone(),
        (None, Some(path)) => first_line(path)?,
        (None, None) => return Ok(Vec::new()),
    };
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(Failure::usage(
            format!("token: {} bytes are out of range", token.len()),
            format!("give 1 to {TOKEN_BYTES_MAX} bytes, or no token at all"),
        ));
    }
    Ok(token.into_bytes())
}

fn first_line(path: &PathBuf) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(
            format!("token_file: cannot read {}: {error}", path.display()),
            "give the path of a readable file whose first line is the token",
        )
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn connections_max(count: u64) -> Result<usize, Failure> {
    // The kernel numbers descriptors with 31 bits; what a host really allows is the doctor's part.
    match usize::try_from(count) {
        Ok(count) if (1..=1 << 30).contains(&count) => Ok(count),
        _ => Err(Failure::usage(
            format!("connections_max: {count} is out of range"),
            "write 1 to 1073741824",
        )),
    }
}

fn quotas(settings: &Settings) -> Result<Vec<Quota>, Failure> {
    let quotas = settings.quota.0.clone();
    Quotas::new(&quotas, 1).map_err(|rejection| {
        Failure::usage(
            format!("quota: {}", rejection.sentence),
            "write up to 32 of them, each like orders/=100000,1GiB",
        )
    })?;
    Ok(quotas)
}

/// Times that a peer gets: none so short that a healthy one fails, none longer than an hour.
fn timeout(name: &str, span: Span) -> Result<Span, Failure> {
    within(name, span, Span::of_ms(10), Span::of_ms(3_600_000))
}

fn within(name: &str, span: Span, least: Span, most: Span) -> Result<Span, Failure> {
    if (least..=most).contains(&span) {
        return Ok(span);
    }
    Err(Failure::usage(
        format!("{name}: {span} is out of range"),
        format!("write {least} to {most}"),
    ))
}

fn queue(settings: &Settings) -> Result<QueueOptions, Failure> {
    let policies = [FullPolicy::Reject, FullPolicy::DropOldest, FullPolicy::Hold];
    let full_policy =
        policies.into_iter().find(|policy| policy.as_str() == settings.queue_when_full);
    let full_policy = full_policy.ok_or_else(|| {
        Failure::usage(
            format!("queue_when_full: '{}' is no policy", settings.queue_when_full),
            "write reject, drop-oldest or hold",
        )
    })?;
    let options = QueueOptions {
        messages_max: settings.queue_messages_max,
        bytes_max: settings.queue_bytes_max.0,
        lease_ms: settings.queue_lease.ms(),
        wait_max_ms: settings.queue_wait_max.ms(),
        deliveries_max: settings.queue_deliveries_max,
        full_policy,
        ..QueueOptions::default()
    };
    options.check().map_err(|rejection| {
        Failure::usage(
            format!("the defaults of a queue: {}", rejection.sentence),
            "see queue_messages_max, queue_bytes_max, queue_lease and queue_wait_max",
        )
    })?;
    Ok(options)
}

fn receive(text: &str) -> Result<Option<ReceiveMode>, Failure> {
    match text {
        "auto" => Ok(None),
        "multishot" => Ok(Some(ReceiveMode::Multishot)),
        "single-shot" => Ok(Some(ReceiveMode::SingleShot)),
        "readiness" => Ok(Some(ReceiveMode::Readiness)),
        _ => Err(Failure::usage(
            format!("receive: '{text}' is no way of receiving"),
            "write auto, multishot, single-shot or readiness",
        )),
    }
}

fn log_level(text: &str) -> Result<log::LevelFilter, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(
            format!("log: '{text}' is no level"),
            "write off, error, warn, info, debug or trace",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file's text makes a configuration, or is refused with a text that names `setting`.
    fn config(file: &str) -> Result<Config, String> {
        let settings: Settings = toml::from_str(file).expect(file);
        Config::check(&settings).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn the_defaults_are_right() {
        let config = config("").expect("defaults");
        assert_eq!(config.listen.to_string(), "127.0.0.1:7311");
        assert_eq!(config.shard_listen.map(|address| address.port()), Some(7312));
        assert_eq!(config.queue, QueueOptions::default());
        assert!(config.token.is_empty() && config.shards.is_none());
    }

    #[test]
    fn shard_ports_follow_the_plane() {
        let port = |file| config(file).map(|config| config.shard_listen.map(|found| found.port()));
        assert_eq!(port("listen = '[::1]:9000'"), Ok(Some(9001)));
        assert_eq!(port("listen = '127.0.0.1:0'"), Ok(Some(0)));
        assert_eq!(port("shard_ports = 0"), Ok(Some(0)));
        assert_eq!(port("shard_ports = 'none'"), Ok(None));
    }

    #[test]
    fn every_refusal_names_its_setting() {
        for (setting, file) in [
            ("listen", "listen = 'nowhere'"),
            ("listen", "listen = '0.0.0.0:7311'"),
            ("shards", "shards = 0"),
            ("shards", "shards = 257"),
            ("shard_ports", "shard_ports = 7311"),
            ("shard_ports", "listen = '127.0.0.1:65535'"),
            ("advertise", "advertise = 'two words'"),
            ("token", "token = ''"),
            ("token_file", "token = 'a'\ntoken_file = 'b'"),
            ("token_file", "token_file = '/does/not/exist'"),
            ("spin", "spin = '1s'"),
            ("connections_max", "connections_max = 0"),
            ("quota", "quota = 'a*=1,1'"),
            ("heartbeat", "heartbeat = '1ms'"),
            ("queue_when_full", "queue_when_full = 'wait'"),
            ("messages_max", "queue_messages_max = 0"),
            ("lease", "queue_lease = '13h'"),
            ("receive", "receive = 'fast'"),
            ("log", "log = 'loud'"),
        ] {
            let failure = config(file).expect_err(file);
            assert!(failure.contains(setting) && failure.contains("code: 2"), "{file}: {failure}");
        }
    }

    #[test]
    fn other_addresses_need_a_word() {
        assert!(config("listen = '0.0.0.0:7311'\ninsecure = true").is_ok());
    }

    #[test]
    fn a_token_file_gives_its_first_line() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "open sesame\nnot this\n").expect("written");
        let config = config(&format!("token_file = '{}'", file.path().display()));
        assert_eq!(config.map(|config| config.token), Ok(b"open sesame".to_vec()));
    }
}
