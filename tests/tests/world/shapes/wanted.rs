//! The differences that are meant, each with its reason.

/// A member, and all below it, that berth serves in its own way.
#[derive(Debug)]
pub(super) struct Wanted {
    sections: &'static [&'static str],
    path: &'static str,
    #[expect(dead_code, reason = "for whoever reads the table, or what a failing test prints of it")]
    reason: &'static str,
    /// On some machines there is none.
    pub(super) depends_on_the_machine: bool,
}

impl Wanted {
    pub(super) fn is_about(&self, section: &str, path: &str) -> bool {
        let below = path.strip_prefix(self.path);
        self.sections.contains(&section) && below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

const fn wanted(sections: &'static [&'static str], path: &'static str, reason: &'static str) -> Wanted {
    Wanted { sections, path, reason, depends_on_the_machine: false }
}

const fn depends(section: &'static [&'static str], path: &'static str, reason: &'static str) -> Wanted {
    Wanted { depends_on_the_machine: true, ..wanted(section, path, reason) }
}

const ONE_PLATFORM: &str = "served by stores that keep images of several platforms; of each image here is one";
const NO_REGISTRY: &str = "an imported image comes from no repository; Docker's new store counts its own name as one";
const LAYERS: &str = "the layers are put together by overlayfs, as with Docker's graph drivers, not by a snapshotter";
const OLD_ADDRESSES: &str = "left out by Docker since 1.52; templates that people have still read them";
const EMPTY_LIST: &str = "a list without elements, where Docker has null";
const CONTAINERD: &str = "there is no containerd";

pub(super) const WANTED: &[Wanted] = &[
    wanted(&["container"], ".ImageManifestDescriptor", ONE_PLATFORM),
    wanted(&["containers"], "[].ImageManifestDescriptor", ONE_PLATFORM),
    wanted(&["image"], ".Descriptor", ONE_PLATFORM),
    wanted(&["images"], "[].Descriptor", ONE_PLATFORM),
    wanted(&["images"], "[].Manifests", ONE_PLATFORM),
    wanted(&["df"], ".Images[].Descriptor", ONE_PLATFORM),
    wanted(&["df"], ".ImageUsage.Items[].Descriptor", ONE_PLATFORM),
    wanted(&["image"], ".RepoDigests[]", NO_REGISTRY),
    wanted(&["images"], "[].RepoDigests[]", NO_REGISTRY),
    wanted(&["df"], ".Images[].RepoDigests[]", NO_REGISTRY),
    wanted(&["df"], ".ImageUsage.Items[].RepoDigests[]", NO_REGISTRY),
    wanted(&["image"], ".Config.Env", "the recorded image has variables, this one none"),
    wanted(&["container"], ".Storage", LAYERS),
    wanted(&["container"], ".GraphDriver", LAYERS),
    wanted(&["image"], ".GraphDriver", LAYERS),
    wanted(&["container"], ".NetworkSettings.Bridge", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.EndpointID", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.Gateway", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.GlobalIPv6Address", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.GlobalIPv6PrefixLen", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.HairpinMode", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.IPAddress", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.IPPrefixLen", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.IPv6Gateway", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.LinkLocalIPv6Address", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.LinkLocalIPv6PrefixLen", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.MacAddress", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.SecondaryIPAddresses", OLD_ADDRESSES),
    wanted(&["container"], ".NetworkSettings.SecondaryIPv6Addresses", OLD_ADDRESSES),
    wanted(&["build prune"], ".CachesDeleted", EMPTY_LIST),
    wanted(&["container prune"], ".ContainersDeleted", EMPTY_LIST),
    wanted(&["update"], ".Warnings", EMPTY_LIST),
    wanted(&["info"], ".CDISpecDirs[]", "devices by CDI can't be had, so nothing looks for any"),
    wanted(&["info"], ".Containerd", CONTAINERD),
    wanted(&["info"], ".Runtimes.runc.status", "what runs containers isn't a program of the OCI's kind"),
    wanted(
        &["info"],
        ".Runtimes.io.containerd.runc.v2.status",
        "what runs containers isn't a program of the OCI's kind",
    ),
    wanted(&["info"], ".Runtimes.berth", "its own name"),
    wanted(&["info"], ".DefaultAddressPools", "netd's pools are always told, Docker's only where they were configured"),
    depends(&["info"], ".Warnings[]", "what an administrator should know of this machine"),
    wanted(&["networks"], "[].IPAM.Config", "the recorded daemon had no default bridge, whose subnet this is"),
    wanted(&["networks"], "[].Options", "the recorded daemon had no default bridge, whose options these are"),
    wanted(&["version"], ".Components[].Details.NetdSocket", "where berth net finds the netd of this engine"),
    wanted(&["version"], ".Components[].Details.Module", "a member of programs in Go"),
    wanted(&["version"], ".Components[].Details.ModuleVersion", "a member of programs in Go"),
    wanted(
        &["stats"],
        ".blkio_stats.io_merged_recursive",
        "filled by no kernel of today: null, as Docker's with cgroup v2",
    ),
    wanted(
        &["stats"],
        ".blkio_stats.io_queue_recursive",
        "filled by no kernel of today: null, as Docker's with cgroup v2",
    ),
    wanted(&["stats"], ".blkio_stats.io_service_time_recursive", "filled by no kernel of today, likewise"),
    wanted(&["stats"], ".blkio_stats.io_time_recursive", "filled by no kernel of today, likewise"),
    wanted(&["stats"], ".blkio_stats.io_wait_time_recursive", "filled by no kernel of today, likewise"),
    wanted(&["stats"], ".blkio_stats.sectors_recursive", "filled by no kernel of today, likewise"),
    depends(
        &["stats"],
        ".memory_stats",
        "the kernel's own counters, which differ with its release and the cgroup's version",
    ),
    depends(&["stats"], ".cpu_stats.cpu_usage.percpu_usage", "only cgroup v1 counts by CPU"),
];
