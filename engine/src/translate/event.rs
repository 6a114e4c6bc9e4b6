//! Events in Docker's words, and which of them a client wants.

use std::collections::BTreeMap;

use cnm::api::EventKind;
use images::Reference;

use crate::events::{Event, ObjectKind};
use crate::filters::{FilterError, Filters};
use crate::wire::event::{ActorView, EventView, OldView};

/// An event as a client reads it. Docker left the old words out in API 1.52, and clients that ask for no version, which is
/// the newest, end at the first event without them.
pub(crate) fn view(event: &Event) -> EventView<'_> {
    let has_old_words = matches!(event.subject, ObjectKind::Container | ObjectKind::Image);
    let nanoseconds = event.at.as_nanosecond();
    EventView {
        old: has_old_words.then(|| OldView {
            status: &event.action,
            id: &event.id,
            from: match event.subject {
                ObjectKind::Container => event.attributes.get("image").map(String::as_str),
                _ => None,
            },
        }),
        subject: event.subject.as_str(),
        action: &event.action,
        actor: ActorView { id: &event.id, attributes: &event.attributes },
        scope: "local",
        time: event.at.as_second(),
        // Good until the year 2262, as in Go.
        time_nanoseconds: i64::try_from(nanoseconds).unwrap_or(i64::MAX),
    }
}

/// What netd tells, where Docker has a word for it.
pub(crate) fn of_netd(event: &cnm::api::Event) -> Option<Event> {
    let action = match event.what {
        EventKind::NetworkCreated => "create",
        EventKind::NetworkRemoved => "destroy",
        EventKind::EndpointConnected => "connect",
        EventKind::EndpointDisconnected => "disconnect",
        EventKind::SandboxCreated
        | EventKind::SandboxChanged
        | EventKind::SandboxRemoved
        | EventKind::FirewallRepaired
        | EventKind::Warning
        | EventKind::Gap
        | EventKind::Unknown => return None,
    };
    let attributes = [("name", &event.network_name), ("type", &event.driver), ("container", &event.sandbox)];
    let attributes: BTreeMap<String, String> =
        attributes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect();
    Some(Event {
        at: event.at,
        subject: ObjectKind::Network,
        action: action.to_owned(),
        id: event.network.clone()?,
        attributes,
    })
}

/// The filters of `docker events`, ready to match.
#[derive(Debug)]
pub(crate) struct Selection(Filters);

impl Selection {
    /// Understands the filters, or refuses them. Kinds of objects that there are none of can be asked for in vain.
    pub(crate) fn new(filters: Filters) -> Result<Self, FilterError> {
        const KNOWN: [&str; 14] = [
            "config",
            "container",
            "daemon",
            "event",
            "image",
            "label",
            "network",
            "node",
            "plugin",
            "scope",
            "secret",
            "service",
            "type",
            "volume",
        ];
        Ok(Self(filters.only(&KNOWN)?))
    }

    /// Whether an event is wanted.
    pub(crate) fn takes(&self, event: &Event) -> bool {
        let Self(filters) = self;
        let label = |key: &str| event.attributes.get(key).map(String::as_str);
        let of_kind = |name: &str| !filters.has(name);
        filters.allows("type", event.subject.as_str())
            && filters.allows("scope", "local")
            && self.takes_action(&event.action)
            && (!filters.has("label") || event.subject != ObjectKind::Daemon && filters.allows_labels(label))
            && self.takes_actor("container", ObjectKind::Container, event)
            && self.takes_actor("network", ObjectKind::Network, event)
            && self.takes_actor("volume", ObjectKind::Volume, event)
            && self.takes_actor("daemon", ObjectKind::Daemon, event)
            && self.takes_image(event)
            && ["config", "node", "plugin", "secret", "service"].into_iter().all(of_kind)
    }

    /// `exec_start` also stands for `exec_start: sh -c …`.
    fn takes_action(&self, action: &str) -> bool {
        let kind = action.split(':').next().unwrap_or(action);
        self.0.allows("event", action) || self.0.allows("event", kind)
    }

    /// An object is named by its id, by the beginning of it, or by its name.
    fn takes_actor(&self, filter: &str, subject: ObjectKind, event: &Event) -> bool {
        if !self.0.has(filter) {
            return true;
        }
        let name = event.attributes.get("name").map_or("", String::as_str);
        event.subject == subject && (self.0.allows_prefix(filter, &event.id) || self.0.allows(filter, name))
            || event.subject == ObjectKind::Network
                && subject == ObjectKind::Container
                && event.attributes.get("container").is_some_and(|id| self.0.allows_prefix(filter, id))
    }

    /// An image filter takes the containers of the image as well. A name without a tag stands for all of them, and each name
    /// may be written in full.
    fn takes_image(&self, event: &Event) -> bool {
        if !self.0.has("image") {
            return true;
        }
        let named = |name: &str| self.0.values("image").any(|wanted| wanted == name || stands_for(wanted, name));
        let attribute = |key| event.attributes.get(key).is_some_and(|name: &String| named(name));
        match event.subject {
            ObjectKind::Image => named(&event.id) || attribute("name"),
            ObjectKind::Container => attribute("image"),
            ObjectKind::Network | ObjectKind::Volume | ObjectKind::Builder | ObjectKind::Daemon => false,
        }
    }
}

/// Whether a name that is asked for means another one.
fn stands_for(wanted: &str, name: &str) -> bool {
    let (Ok(wanted), Ok(name)) = (Reference::parse(wanted), Reference::parse(name)) else { return false };
    let is_whole = wanted.tag().is_some() || wanted.digest().is_some();
    wanted.name() == name.name() && (!is_whole || wanted == name.or_latest())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subject: ObjectKind, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        Event {
            at: "2026-11-21T10:00:00.000000001Z".parse().expect("a timestamp"),
            subject,
            action: action.to_owned(),
            id: id.to_owned(),
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn start() -> Event {
        event(ObjectKind::Container, "start", "c0ffee", &[("image", "shop:1"), ("name", "till"), ("tier", "web")])
    }

    #[test]
    fn events_are_as_clients_know_them() {
        let text = |event: &Event| serde_json::to_string(&view(event)).expect("plain values");
        let started = concat!(
            r#"{"status":"start","id":"c0ffee","from":"shop:1","#,
            r#""Type":"container","Action":"start","Actor":{"ID":"c0ffee","Attributes":"#,
            r#"{"image":"shop:1","name":"till","tier":"web"}},"scope":"local","#,
            r#""time":1795255200,"timeNano":1795255200000000001}"#
        );
        assert_eq!(text(&start()), started);
        let image = text(&event(ObjectKind::Image, "tag", "sha256:ab", &[]));
        assert!(image.starts_with(r#"{"status":"tag","id":"sha256:ab","Type":"image""#), "{image}");
        let network = text(&event(ObjectKind::Network, "create", "f00d", &[]));
        assert!(network.starts_with(r#"{"Type":"network""#), "{network}");
    }

    #[test]
    fn filters_select() {
        let exec = event(ObjectKind::Container, "exec_start: sh -c ls", "c0ffee", &[("name", "till")]);
        let image = event(ObjectKind::Image, "tag", "sha256:ab", &[("name", "shop:1")]);
        let network = event(ObjectKind::Network, "connect", "f00d", &[("name", "lan"), ("container", "c0ffee")]);
        for (filters, expected) in [
            ("{}", [true, true, true, true]),
            (r#"{"type":["container","image"]}"#, [true, true, true, false]),
            (r#"{"event":["exec_start"]}"#, [false, true, false, false]),
            (r#"{"event":["start","tag"]}"#, [true, false, true, false]),
            (r#"{"container":["till"]}"#, [true, true, false, false]),
            (r#"{"container":["c0f"]}"#, [true, true, false, true]),
            (r#"{"network":["lan"]}"#, [false, false, false, true]),
            (r#"{"image":["shop"]}"#, [true, false, true, false]),
            (r#"{"image":["shop:2"]}"#, [false, false, false, false]),
            (r#"{"image":["docker.io/library/shop:1"]}"#, [true, false, true, false]),
            (r#"{"image":["sha256:ab"]}"#, [false, false, true, false]),
            (r#"{"image":["sho"]}"#, [false, false, false, false]),
            (r#"{"label":["tier=web"]}"#, [true, false, false, false]),
            (r#"{"service":["any"]}"#, [false, false, false, false]),
            (r#"{"scope":["swarm"]}"#, [false, false, false, false]),
        ] {
            let selection = Selection::new(Filters::parse(Some(filters)).expect(filters)).expect(filters);
            let taken = [&start(), &exec, &image, &network].map(|event| selection.takes(event));
            assert_eq!(taken, expected, "{filters}");
        }
        Selection::new(Filters::parse(Some(r#"{"colour":["red"]}"#)).expect("filters")).expect_err("unknown");
    }

    #[test]
    fn netd_tells_of_networks() {
        let told = cnm::api::Event {
            revision: 7,
            at: "2026-11-21T10:00:00Z".parse().expect("a timestamp"),
            what: EventKind::EndpointConnected,
            network: Some("f00d".into()),
            network_name: Some("lan".into()),
            driver: Some("bridge".into()),
            sandbox: Some("c0ffee".into()),
            endpoint: Some("e1".into()),
            message: None,
        };
        let event = of_netd(&told).expect("Docker has a word for it");
        assert_eq!((event.subject, event.action.as_str(), event.id.as_str()), (ObjectKind::Network, "connect", "f00d"));
        assert_eq!(event.attributes["container"], "c0ffee");
        assert_eq!(of_netd(&cnm::api::Event { what: EventKind::SandboxCreated, ..told }), None);
    }
}
