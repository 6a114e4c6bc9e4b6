//! `start`: starts containers, or one that we stay attached to.

use crate::attach::session::check_terminal;
use crate::engine::container;
use crate::engine::reply::ContainerDetails;
use crate::failure::Failure;
use crate::flags::container::StartFlags;
use crate::request::create::Streams;
use crate::request::detach_keys;

use super::run::{self, Attachment};
use super::{Context, for_each};

/// Runs the command.
pub(super) async fn start(context: &Context, flags: StartFlags) -> Result<u8, Failure> {
    if !flags.attach && !flags.interactive {
        let start = |name: String| async move { run::start(&context.engine, &name).await.map(|()| Some(name)) };
        return for_each(&flags.targets.containers, start).await;
    }
    let [name] = &flags.targets.containers[..] else {
        return Err(Failure::Invalid("you cannot start and attach multiple containers at once".to_owned()));
    };
    let detach_keys = detach_keys::parse(flags.detach_keys.as_deref())?;
    let engine = &context.engine;
    let details: ContainerDetails = engine.get(container(name, "/json")?).send().await?.json().await?;
    let streams = Streams { stdin: flags.interactive && details.config.open_stdin, stdout: true, stderr: true };
    check_terminal(streams.stdin, details.config.tty)?;
    let attachment = Attachment {
        id: details.id,
        streams,
        tty: details.config.tty,
        detach_keys,
        typed_keys: flags.detach_keys,
        until: if details.host_config.auto_remove { "removed" } else { "next-exit" },
        pass_signals: !details.config.tty,
    };
    attachment.start_and_follow(engine).await
}
