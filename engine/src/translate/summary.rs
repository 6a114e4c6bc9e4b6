//! One line of `docker ps`.

use jiff::Timestamp;

use crate::container::health::{Health, HealthStatus};
use crate::container::{Container, Phase, Usage};
use crate::translate::{endpoints, inspect};
use crate::version::ApiVersion;
use crate::volume;
use crate::wire::summary::{HealthView, HostConfigView, NetworkSettingsView, SummaryView};

/// Since this version a list says how containers are.
const WITH_HEALTH: ApiVersion = ApiVersion::new(1, 52);

/// A container in a list.
pub(crate) fn container(
    container: &Container,
    volumes: &volume::Registry,
    usage: Option<Usage>,
    now: Timestamp,
    version: ApiVersion,
) -> SummaryView {
    SummaryView {
        id: container.id.to_string(),
        names: vec![format!("/{}", container.name)],
        image: container.image.reference.clone(),
        image_id: container.image.id.to_string(),
        command: command(&container.spec.process.args),
        created: container.created.as_second(),
        ports: endpoints::ports(container),
        size_rw: usage.map(|usage| usage.written_bytes),
        size_root_fs: usage.map(|usage| usage.total_bytes),
        labels: container.spec.labels.clone(),
        state: container.state.phase.as_str(),
        status: status(container, now),
        health: (version >= WITH_HEALTH).then(|| health_view(container)),
        host_config: HostConfigView { network_mode: container.asked.host.text("NetworkMode").to_owned() },
        network_settings: NetworkSettingsView { networks: endpoints::networks_in_list(container) },
        mounts: container.spec.mounts.iter().filter_map(|mount| inspect::mount_point(mount, volumes)).collect(),
    }
}

/// The command line; words with spaces are quoted, the program isn't.
fn command(args: &[String]) -> String {
    let mut words = args.iter();
    let mut line = words.next().cloned().unwrap_or_default();
    for word in words {
        line.push(' ');
        match word.contains(' ') {
            true => line.push_str(&format!("'{word}'")),
            false => line.push_str(word),
        }
    }
    line
}

/// `Up 3 minutes`, `Exited (0) 2 hours ago`, `Created`.
fn status(container: &Container, now: Timestamp) -> String {
    let state = &container.state;
    let since = |at: Option<Timestamp>| ago(at.map_or(0, |at| now.duration_since(at).as_secs()));
    match state.phase {
        Phase::Created => "Created".to_owned(),
        Phase::Running { .. } => format!("Up {}{}", since(state.started_at), health(container)),
        Phase::Paused { .. } => format!("Up {} (Paused)", since(state.started_at)),
        Phase::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished_at)),
        Phase::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished_at)),
        Phase::Removing | Phase::Removed => "Removal In Progress".to_owned(),
    }
}

fn health(container: &Container) -> &'static str {
    match checked(container).map(|health| health.status) {
        Some(HealthStatus::Starting) => " (health: starting)",
        Some(HealthStatus::Healthy) => " (healthy)",
        Some(HealthStatus::Unhealthy) => " (unhealthy)",
        None => "",
    }
}

fn health_view(container: &Container) -> HealthView {
    match checked(container) {
        Some(health) => HealthView { status: health.status.as_str(), failing_streak: health.failing_streak },
        None => HealthView { status: "none", failing_streak: 0 },
    }
}

/// The results of a container that runs and has checks.
fn checked(container: &Container) -> Option<&Health> {
    let is_checked = container.spec.health.is_some() && container.state.phase.is_alive();
    container.state.health.as_ref().filter(|_| is_checked)
}

/// A duration in the words that Docker's clients show.
fn ago(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            (-3, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (15 * 86_400, "2 weeks"),
            (90 * 86_400, "3 months"),
            (3 * 365 * 86_400, "3 years"),
        ];
        for (seconds, text) in table {
            assert_eq!(ago(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn command_lines() {
        let line = |words: &[&str]| command(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["sh", "-c", "echo hi"]), "sh -c 'echo hi'");
        assert_eq!(line(&["true"]), "true");
        assert_eq!(line(&[]), "");
    }
}
