//! `top`: shows the processes of a container.

use crate::engine::container;
use crate::engine::reply::Top;
use crate::failure::Failure;
use crate::flags::container::TopFlags;
use crate::render::format::align;

use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn top(context: &Context, flags: TopFlags) -> Result<u8, Failure> {
    let Some((name, options)) = flags.container_and_options.split_first() else {
        return Err(Failure::Invalid("'berth top' requires a container".to_owned()));
    };
    let options = (!options.is_empty()).then(|| options.join(" "));
    let request = context.engine.get(container(name, "/top")?).query_some("ps_args", options);
    let top: Top = request.send().await?.json().await?;
    let lines = std::iter::once(&top.titles).chain(&top.processes).map(|line| line.join("\t") + "\n");
    print(&align(&lines.collect::<String>()))?;
    Ok(DONE)
}
