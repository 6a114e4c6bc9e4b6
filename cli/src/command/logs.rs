//! `logs`: shows the logs of a container.

use futures::StreamExt;

use crate::attach::session::{Unread, Writer};
use crate::engine::container;
use crate::engine::reply::ContainerDetails;
use crate::failure::Failure;
use crate::flags::container::LogsFlags;
use crate::request::time;

use super::{Context, DONE, clock};

/// Runs the command.
pub(super) async fn logs(context: &Context, flags: LogsFlags) -> Result<u8, Failure> {
    let (now, zone) = clock();
    let time = |text: Option<&str>| {
        let parsed = text.map(|text| time::parse(text, now, &zone)).transpose();
        parsed.map(|timestamp| timestamp.map(time::to_query)).map_err(Failure::Invalid)
    };
    let (since, until) = (time(flags.since.as_deref())?, time(flags.until.as_deref())?);
    let engine = &context.engine;
    let details: ContainerDetails = engine.get(container(&flags.container, "/json")?).send().await?.json().await?;
    let reply = engine
        .get(container(&flags.container, "/logs")?)
        .query("stdout", 1)
        .query("stderr", 1)
        .query("follow", u8::from(flags.follow))
        .query("timestamps", u8::from(flags.timestamps))
        .query("details", u8::from(flags.details))
        .query("tail", flags.tail)
        .query_some("since", since)
        .query_some("until", until)
        .send()
        .await?;
    let mut chunks = reply.chunks();
    let mut writer = Writer::new(details.config.tty, Unread::Refused);
    while let Some(chunk) = chunks.next().await {
        writer.write(&chunk?).await.map_err(Failure::Output)?;
    }
    Ok(DONE)
}
