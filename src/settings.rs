//! Every setting of `ringway serve` with its default, and where it comes from.
//!
//! Flags go before variables of the environment, those before the file, and the file before the
//! defaults: each source is a table, the later ones are laid over the earlier, and the result is
//! read once into [`Settings`]. Nothing is checked here but names and forms; see [`crate::config`].

use std::path::{Path, PathBuf};

use ringway_protocol::options::QueueOptions;
use ringway_shards::limits;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::failure::Failure;
use crate::flags::Flags;
use crate::units::{CpuList, QuotaList, ShardCount, ShardPorts, Size, Span};

/// The effective settings; a field's name is its key in the file.
#[derive(Clone, Serialize, Deserialize, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub listen: String,
    pub insecure: bool,
    pub shards: ShardCount,
    pub cpus: CpuList,
    pub shard_ports: ShardPorts,
    pub advertise: String,
    #[serde(skip_serializing)]
    pub token: Option<String>,
    pub token_file: Option<PathBuf>,
    pub auto_declare: bool,
    pub spin: Span,
    pub drain: Span,
    pub strict_drain: bool,
    pub connections_max: u64,
    pub connection_puts_max: u32,
    pub quota: QuotaList,
    pub greeting_timeout: Span,
    pub frame_timeout: Span,
    pub heartbeat: Span,
    pub queue_messages_max: u64,
    pub queue_bytes_max: Size,
    pub queue_lease: Span,
    pub queue_wait_max: Span,
    pub queue_deliveries_max: u32,
    pub queue_when_full: String,
    pub port_file: Option<PathBuf>,
    pub accept_known_bad_kernel: bool,
    pub receive: String,
    pub log: String,
}

impl Default for Settings {
    fn default() -> Self {
        let queue = QueueOptions::default();
        Self {
            listen: "127.0.0.1:7311".to_owned(),
            insecure: false,
            shards: ShardCount::Auto,
            cpus: CpuList::default(),
            shard_ports: ShardPorts::Next,
            advertise: String::new(),
            token: None,
            token_file: None,
            auto_declare: false,
            spin: Span::of_ns(limits::SPIN_NS_DEFAULT),
            drain: Span::of_ms(limits::DRAIN_MS),
            strict_drain: false,
            connections_max: limits::CONNECTIONS_MAX as u64,
            connection_puts_max: 0,
            quota: QuotaList::default(),
            greeting_timeout: Span::of_ms(limits::GREETING_MS),
            frame_timeout: Span::of_ms(limits::FRAME_MS),
            heartbeat: Span::of_ms(limits::HEARTBEAT_MS),
            queue_messages_max: queue.messages_max,
            queue_bytes_max: Size(queue.bytes_max),
            queue_lease: Span::of_ms(queue.lease_ms.into()),
            queue_wait_max: Span::of_ms(queue.wait_max_ms.into()),
            queue_deliveries_max: queue.deliveries_max,
            queue_when_full: queue.full_policy.as_str().to_owned(),
            port_file: None,
            accept_known_bad_kernel: false,
            receive: "auto".to_owned(),
            log: "warn".to_owned(),
        }
    }
}

impl Settings {
    /// Lays flags and environment over the file, and both over the defaults.
    pub fn read(flags: &Flags) -> Result<Self, Failure> {
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => Table::new(),
        };
        Self::merge(file, flags)
    }

    fn merge(mut table: Table, flags: &Flags) -> Result<Self, Failure> {
        let said = Table::try_from(flags)
            .map_err(|error| Failure::usage(error, "give a smaller number or a valid path"))?;
        // A token from the command line replaces a token file from the file, and the other way.
        if said.contains_key("token") || said.contains_key("token_file") {
            table.remove("token");
            table.remove("token_file");
        }
        table.extend(said);
        table.try_into().map_err(|error: toml::de::Error| {
            Failure::usage(
                format!("the configuration is wrong: {}", one_line(error.message())),
                "see `ringway serve --print-config` for the names and forms",
            )
        })
    }

    /// The settings as the configuration file that would set them; the token is never shown.
    pub fn to_toml(&self) -> String {
        let mut text = toml::to_string(self).expect("settings are plain values");
        if self.token.is_some() {
            text.push_str("# token is set, and not shown\n");
        }
        text
    }
}

fn read_file(path: &Path) -> Result<Table, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(
            format!("cannot read the configuration file {shown}: {error}"),
            "give the path of a readable TOML file to --config",
        )
    })?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Failure::usage(
            format!("{shown}, line {line} is not TOML: {}", one_line(error.message())),
            "write one `name = value` a line",
        )
    })
}

/// A failure is one line, whatever the parser has to say.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn flags(line: &str) -> Flags {
        let command = Flags::augment_args(clap::Command::new("serve").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace()).expect(line);
        Flags::from_arg_matches(&matches).expect(line)
    }

    fn settings(file: &str, line: &str) -> Result<Settings, Failure> {
        Settings::merge(file.parse().expect(file), &flags(line))
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_the_defaults() {
        let file = "shards = 3\nspin = '20us'\nauto_declare = true";
        let read = settings(file, "--spin 10us --auto-declare=false").expect(file);
        assert_eq!(read.shards, ShardCount::Exactly(3));
        assert_eq!(read.spin, Span::of_ns(10_000));
        assert!(!read.auto_declare);
        assert_eq!(read.drain, Settings::default().drain);
    }

    #[test]
    fn quotas_of_several_flags_are_one_list() {
        let read = settings("quota = 'x=1,1'", "--quota a=1,1MiB --quota b/=0,5").expect("flags");
        assert_eq!(read.quota.to_string(), "a=1,1MiB b/=0,5");
        let read = settings("quota = 'x=1,1 y=2,2'", "").expect("file");
        assert_eq!(read.quota.0.len(), 2);
        assert_eq!(settings(&read.to_toml(), ""), Ok(read));
    }

    #[test]
    fn a_bare_flag_is_true() {
        assert!(settings("", "--insecure --listen 0.0.0.0:1").expect("flags").insecure);
    }

    #[test]
    fn a_token_that_is_said_replaces_a_token_file() {
        let read = settings("token_file = 'secret'", "--token word").expect("flags");
        assert_eq!((read.token.as_deref(), read.token_file), (Some("word"), None));
    }

    #[test]
    fn what_is_printed_reads_back_the_same_and_hides_the_token() {
        let read =
            settings("cpus = '0-3,8'\nqueue_bytes_max = '256MiB'", "--token word --shards 2");
        let mut read = read.expect("flags");
        let printed = read.to_toml();
        assert!(!printed.contains("word") && printed.contains("# token is set"), "{printed}");
        read.token = None;
        assert_eq!(settings(&printed, ""), Ok(read));
    }

    #[test]
    fn unknown_names_and_wrong_forms_are_refused() {
        for file in ["shard = 3", "spin = 50", "shards = 'all'", "connections_max = -1"] {
            let failure = format!("{:?}", settings(file, "").expect_err(file));
            assert!(failure.contains("the configuration is wrong"), "{failure}");
        }
    }

    #[test]
    fn every_flag_is_on_the_operator_s_page_with_its_default() {
        let page = include_str!("../docs/operating.md");
        let defaults = Table::try_from(Settings::default()).expect("plain values");
        for argument in Flags::augment_args(clap::Command::new("serve")).get_arguments() {
            let flag = argument.get_long().expect("every flag is long");
            let row = page.lines().find(|line| line.starts_with(&format!("| `--{flag}` |")));
            let row = row.unwrap_or_else(|| panic!("--{flag} is not on the page"));
            let default = match &defaults.get(argument.get_id().as_str()) {
                Some(toml::Value::String(text)) if !text.is_empty() => text.clone(),
                Some(toml::Value::String(_)) | None => continue, // the page says it in words
                Some(value) => value.to_string(),
            };
            assert!(row.contains(&format!("| `{default}` |")), "{row} does not say {default}");
        }
    }

    #[test]
    fn every_flag_has_its_variable_and_its_setting() {
        let known = Table::try_from(Settings {
            token_file: Some(PathBuf::new()),
            port_file: Some(PathBuf::new()),
            ..Settings::default()
        });
        let known = known.expect("plain values");
        let command = Flags::augment_args(clap::Command::new("serve"));
        let mut names = Vec::new();
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let flag = argument.get_long().expect("every flag is long");
            assert_eq!(flag, name.replace('_', "-"));
            let variable = argument.get_env().and_then(|name| name.to_str());
            assert_eq!(variable, Some(format!("RINGWAY_{}", name.to_uppercase()).as_str()));
            names.push(name);
        }
        // The path of the file and the token have no place in what is printed.
        for name in names.iter().filter(|name| !["config", "token"].contains(name)) {
            assert!(known.contains_key(*name), "{name} is a flag but no setting");
        }
        assert_eq!(known.len() + 2, names.len(), "a setting has no flag");
    }
}
