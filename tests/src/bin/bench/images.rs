//! Figures about images: from a local registry and from an archive, beside podman and beside plain tools.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use berth_tests::{Host, registry, world::look};

use super::{Figure, median, milliseconds, peak_resident_mib, resident_mib, run, time};

const LAYERS: usize = 6;
const ROUNDS: usize = 3;
const NAME: &str = "127.0.0.1:5000/bench/image:1";

/// An image made of the files of Debian's packages, as many as make up `megabytes`: in a registry on the host's port 5000, and
/// as an archive of `docker save`.
struct Made {
    archive: PathBuf,
    /// Of the layers' blobs at the registry.
    urls: PathBuf,
    /// For clients that keep what they bring.
    directory: PathBuf,
}

fn make(host: &Host, megabytes: usize) -> Made {
    let directory = host.directory().join("bench");
    let script = format!(
        r#"set -eu
        mkdir -p {dir}/archive && cd {dir}/archive
        dpkg-query -W -f '${{Installed-Size}} ${{binary:Package}}\n' | sort -k2 > ../packages
        awk -v layers={LAYERS} -v each=$(({megabytes} * 1000 / {LAYERS})) '
            $1 < each {{ layer = int(size / each); size += $1; if (layer < layers) print $2 > "../layer" layer }}' ../packages
        for layer in $(seq 0 {last}); do
            xargs dpkg -L < ../layer$layer | sort -u | while read -r file; do
                [ -f "$file" ] && [ ! -L "$file" ] && [ -r "$file" ] && echo "$file"
            done > ../files || true
            tar -cf $layer.tar --no-recursion -T ../files 2> /dev/null
        done
        ids=$(sha256sum $(seq -f %g.tar 0 {last}) | sed 's/\(.*\)  .*/"sha256:\1"/' | paste -sd,)
        printf '{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[%s]}}}}' "$ids" > config.json
        layers=$(seq -f '"%g.tar"' 0 {last} | paste -sd,)
        printf '[{{"Config":"config.json","RepoTags":["{NAME}"],"Layers":[%s]}}]' "$layers" > manifest.json
        tar -cf ../image.tar *"#,
        dir = directory.display(),
        last = LAYERS - 1,
    );
    look(&script).ok();
    registry::start(host, 5000, "", "");
    let archive = directory.join("image.tar");
    host.sh(&format!("skopeo copy -q --dest-tls-verify=false docker-archive:{} docker://{NAME}", archive.display()))
        .ok();
    let urls = directory.join("urls");
    host.sh(&format!(
        "skopeo inspect --raw --tls-verify=false docker://{NAME} | \
         jq -r '.layers[] | \"http://127.0.0.1:5000/v2/bench/image/blobs/\" + .digest' > {}",
        urls.display()
    ))
    .ok();
    Made { archive, urls, directory }
}

/// The median time of a script on the host, in seconds, and that of what cleans up after it apart.
pub(crate) fn seconds(host: &Host, script: &str, clean_up: &str) -> f64 {
    let mut samples = Vec::new();
    // The first round fills caches.
    for round in 0..=ROUNDS {
        let start = Instant::now();
        host.sh(script).ok();
        let elapsed = start.elapsed().as_secs_f64();
        host.sh(clean_up).ok();
        if round > 0 {
            samples.push(elapsed);
        }
    }
    median(samples)
}

/// Starts that must fall into pulls as a whole, and how many are tried for that.
const STARTS: usize = 40;
const TRIES: usize = 1000;

/// How long `run --rm` takes, in milliseconds: the median of it alone, and all of those during pulls.
fn starts_beside_pulls(host: &Host) -> (f64, Vec<f64>) {
    let start = || run(host, "berth", &["run", "--rm", "busybox", "true"]);
    let alone = time(|_| start(), |_| ());
    let (pulls, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let beside = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                pulls.store(true, Ordering::SeqCst);
                run(host, "berth", &["pull", "-q", NAME]);
                pulls.store(false, Ordering::SeqCst);
                run(host, "berth", &["rmi", NAME]);
            }
        });
        let mut samples = Vec::new();
        for _ in 0..TRIES {
            let begun = pulls.load(Ordering::SeqCst);
            let beginning = Instant::now();
            start();
            if begun && pulls.load(Ordering::SeqCst) {
                samples.push(milliseconds(beginning.elapsed()));
            }
            if samples.len() == STARTS {
                break;
            }
        }
        is_over.store(true, Ordering::SeqCst);
        samples
    });
    (alone, beside)
}

/// Measures with an image of this size.
pub(crate) fn measure(host: &Host, megabytes: usize) -> Vec<Figure> {
    let Made { archive, urls, directory } = make(host, megabytes);
    let (archive, urls, directory) = (archive.display(), urls.display(), directory.display());
    let berth = berth_tests::world::binary("berth");
    let berth = berth.display();
    let podman = format!("podman --root {directory}/root --runroot {directory}/run --storage-driver overlay");
    let by_podman =
        |command: &str| seconds(host, &format!("{podman} {command}"), &format!("{podman} rmi --force {NAME}"));
    let by_berth = |command: &str| seconds(host, &format!("{berth} {command}"), &format!("{berth} rmi {NAME}"));
    let unpack = r#"mkdir -p $0/$$ && curl -s --noproxy "*" $1 | zcat | tar -x -C $0/$$"#;
    let by_tools = seconds(
        host,
        &format!("xargs -P 2 -n 1 sh -c '{unpack}' {directory}/plain < {urls}"),
        &format!("rm -rf {directory}/plain"),
    );
    let berthd = host.processes("berthd").first().copied().unwrap_or_default();
    let idle = resident_mib(berthd);
    // Writing 5 begins a new peak (proc_pid_clear_refs(5)).
    std::fs::write(format!("/proc/{berthd}/clear_refs"), "5").expect("proc");
    let pull = by_berth(&format!("pull -q {NAME}"));
    let above_idle = peak_resident_mib(berthd) - idle;
    let podman_pull = by_podman(&format!("pull -q --tls-verify=false {NAME}"));
    let load = by_berth(&format!("load -q -i {archive}"));
    let podman_load = by_podman(&format!("load -q -i {archive}"));
    let (start_alone, starts) = starts_beside_pulls(host);
    let slowest = starts.iter().copied().fold(f64::NAN, f64::max);
    let figure = |what, measured, unit, mark| Figure { what, measured, unit, mark, docker: None };
    vec![
        figure("podman pull, 6 layers", podman_pull, "s", None),
        figure("curl | zcat | tar -x, two at a time", by_tools, "s", None),
        figure("berth pull: 0.6 of podman's", pull, "s", Some(0.6 * podman_pull)),
        figure("berth pull: 1.3 of plain tools'", pull, "s", Some(1.3 * by_tools)),
        figure("memory: berthd above idle, pulling", above_idle, "MiB", Some(60.0)),
        figure("berth run alone", start_alone, "ms", None),
        figure("berth run during a pull: 1.3 of alone", median(starts) / start_alone, "x", Some(1.3)),
        figure("the slowest run during a pull", slowest, "ms", None),
        figure("podman load", podman_load, "s", None),
        figure("berth load: 0.6 of podman's", load, "s", Some(0.6 * podman_load)),
    ]
}
