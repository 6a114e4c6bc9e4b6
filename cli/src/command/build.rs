//! `build`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::build::context::Context as BuildContext;
use crate::build::secret;
use crate::credentials;
use crate::engine::Request;
use crate::engine::reply::BuildLine;
use crate::failure::Failure;
use crate::flags::CgroupFlags;
use crate::flags::build::BuildFlags;
use crate::request::create::{bytes, memory_swap};
use crate::request::{pairs, ulimit};
use crate::terminal;

use super::{Context, DONE, print};

const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Runs `build`.
pub(super) async fn build(context: &Context, flags: BuildFlags) -> Result<u8, Failure> {
    let is_quiet = flags.quiet || flags.progress == "quiet";
    let shows_bar = match flags.progress.as_str() {
        "auto" => terminal::is_stderr_terminal(),
        "tty" => true,
        "plain" | "quiet" => false,
        other => return Err(Failure::Invalid(format!("invalid progress mode {other}: auto, tty, plain or quiet"))),
    };
    let bar = if shows_bar && !is_quiet { sending() } else { ProgressBar::hidden() };
    let build_context = BuildContext::find(&flags.context, flags.file.as_deref())?;
    let request = context
        .engine
        .post("/build")
        .query_some("dockerfile", build_context.dockerfile.clone())
        .query_some("berth-dockerfile-name", build_context.dockerfile_name.clone())
        .query_some("q", is_quiet.then_some("1"))
        .header_some("X-Registry-Config", credentials::header_of_all().await?)
        .header_some("X-Berth-Build-Secrets", secret::header(&flags.secret)?);
    let request = limits(what(request, &flags)?, &flags)?;
    let progress = bar.clone();
    let reply = request.stream(build_context.into_stream(move |bytes| progress.inc(bytes))).send().await;
    bar.finish_and_clear();
    let mut lines = reply?.lines::<BuildLine>();
    let mut id = None;
    while let Some(line) = lines.next().await? {
        if let Some(failure) = line.error_detail {
            let status = u8::try_from(failure.code).ok().filter(|code| *code != 0);
            return Err(match status {
                Some(status) => Failure::Step { message: failure.message, status },
                None => Failure::Invalid(failure.message),
            });
        }
        id = line.aux.map(|built| built.id).or(id);
        print(&line.stream.unwrap_or_default())?;
    }
    if let Some(path) = &flags.iidfile {
        let doing = || format!("write {}", path.display());
        std::fs::write(path, id.unwrap_or_default()).map_err(|source| Failure::Io { doing: doing(), source })?;
    }
    Ok(DONE)
}

/// What is to be built.
fn what<'a>(mut request: Request<'a>, flags: &BuildFlags) -> Result<Request<'a>, Failure> {
    for tag in &flags.tag {
        request = request.query("t", tag);
    }
    flags.label.iter().try_for_each(|label| pairs::check_label("--label", label))?;
    let mut args: Vec<(&str, String)> = Vec::new();
    for pair in &flags.build_arg {
        match pair.split_once('=') {
            Some((name, value)) => args.push((name, value.to_owned())),
            // A name that we have no value of has none in the build either.
            None => args.extend(std::env::var(pair).ok().map(|value| (pair.as_str(), value))),
        }
    }
    let epoch = std::env::var(SOURCE_DATE_EPOCH)
        .ok()
        .filter(|text| !text.is_empty() && args.iter().all(|(name, _)| *name != SOURCE_DATE_EPOCH));
    args.extend(epoch.map(|value| (SOURCE_DATE_EPOCH, value)));
    let args: serde_json::Map<_, _> = args.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Ok(request
        .query_some("target", flags.target.as_ref())
        .query("buildargs", serde_json::Value::from(args))
        .query("labels", serde_json::json!(pairs::sorted_map(&flags.label)))
        .query_some("nocache", flags.no_cache.then_some("1"))
        .query_some("pull", flags.pull.then_some("1"))
        .query("cachefrom", serde_json::json!(flags.cache_from))
        .query_some("platform", flags.platform.as_ref()))
}

/// What its steps may use.
fn limits<'a>(mut request: Request<'a>, flags: &BuildFlags) -> Result<Request<'a>, Failure> {
    let CgroupFlags { memory, memory_swap: swap, cpu_shares, cpu_period, cpu_quota, cpuset_cpus, cpuset_mems } =
        &flags.limits;
    let ulimits = flags.ulimit.iter().map(|text| ulimit::parse(text)).collect::<Result<Vec<_>, _>>()?;
    for host in &flags.add_host {
        request = request.query("extrahosts", host);
    }
    Ok(request
        .query_some("networkmode", flags.network.as_ref())
        .query_some("memory", bytes("-m, --memory", memory.as_deref())?)
        .query_some("memswap", memory_swap(swap.as_deref())?)
        .query_some("shmsize", bytes("--shm-size", flags.shm_size.as_deref())?)
        .query_some("cpushares", *cpu_shares)
        .query_some("cpuperiod", *cpu_period)
        .query_some("cpuquota", *cpu_quota)
        .query_some("cpusetcpus", cpuset_cpus.as_ref())
        .query_some("cpusetmems", cpuset_mems.as_ref())
        .query_some("cgroupparent", flags.cgroup_parent.as_ref())
        .query("ulimits", serde_json::json!(ulimits))
        .query("securityopt", serde_json::json!(flags.security_opt)))
}

fn sending() -> ProgressBar {
    let style =
        ProgressStyle::with_template("sending the context {bytes} {bytes_per_sec}").expect("the template is right");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}
