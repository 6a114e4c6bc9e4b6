//! `system dial-stdio`: carries the engine's API over our standard streams, for clients that come by SSH.

use tokio::io::{AsyncWriteExt, copy, split, stdin, stdout};

use crate::failure::Failure;

use super::{Context, DONE};

/// Runs the command: ends when the engine has closed its side.
pub(super) async fn dial_stdio(context: &Context) -> Result<u8, Failure> {
    let (mut from_engine, mut to_engine) = split(context.engine.dial().await?);
    let ask = async {
        let mut input = stdin();
        let copied = copy(&mut input, &mut to_engine).await;
        // Half closed: what was asked last is still answered.
        let _ = to_engine.shutdown().await;
        copied
    };
    let answer = async {
        let mut output = stdout();
        copy(&mut from_engine, &mut output).await?;
        output.flush().await
    };
    tokio::pin!(ask, answer);
    let answered = tokio::select! {
        answered = &mut answer => answered,
        // That the engine no longer reads is told by how its side ends.
        _ = &mut ask => answer.await,
    };
    answered.map_err(Failure::Output)?;
    Ok(DONE)
}
