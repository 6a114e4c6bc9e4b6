//! `login` and `logout`: has a registry check a password, keeps it, and forgets it.

use docker_credential::DockerCredential;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::credentials::{self, Secret};
use crate::engine::EngineError;
use crate::engine::reply::LoggedIn;
use crate::failure::Failure;
use crate::flags::registry::{LoginFlags, LogoutFlags};
use crate::terminal::{self, NoEcho};

use super::{Context, DONE, print, print_error};

/// HTTP 401.
const UNAUTHORIZED: u16 = 401;

/// Runs `login`.
pub(super) async fn login(context: &Context, flags: LoginFlags) -> Result<u8, Failure> {
    let key = credentials::key(flags.server.as_deref().unwrap_or_default());
    if flags.password_stdin && flags.username.is_none() {
        return Err(Failure::Invalid("the --password-stdin option requires --username to be set".to_owned()));
    }
    let is_asked_for_nobody = flags.username.is_none() && flags.password.is_none();
    if is_asked_for_nobody && let Some(known) = credentials::get(&key).await? {
        match again(context, &key, known).await {
            Err(Failure::Engine(EngineError::Refused { status: UNAUTHORIZED, .. })) => {
                print_error("Stored credentials invalid or expired");
            }
            outcome => return outcome,
        }
    }
    let (username, password) = who(flags).await?;
    let answer = ask(context, json!({ "username": username, "password": password, "serveraddress": key })).await?;
    let secret = match answer.identity_token.as_str() {
        "" => Secret::Password(password),
        token => Secret::IdentityToken(token.to_owned()),
    };
    if let Some(file) = credentials::keep(&key, &username, &secret).await? {
        print_error(&format!(
            "WARNING! Your credentials are stored unencrypted in '{}'. A credential helper keeps them better.",
            file.display()
        ));
    }
    done(&answer)
}

/// Logs in with what is kept.
async fn again(context: &Context, key: &str, known: DockerCredential) -> Result<u8, Failure> {
    print_error("Authenticating with existing credentials...");
    let answer = match known {
        DockerCredential::UsernamePassword(username, password) => {
            json!({ "username": username, "password": password, "serveraddress": key })
        }
        DockerCredential::IdentityToken(token) => json!({ "identitytoken": token, "serveraddress": key }),
    };
    done(&ask(context, answer).await?)
}

async fn ask(context: &Context, auth: Value) -> Result<LoggedIn, Failure> {
    Ok(context.engine.post("/auth").json(&auth).send().await?.json().await?)
}

fn done(answer: &LoggedIn) -> Result<u8, Failure> {
    print(&format!("{}\n", answer.status))?;
    Ok(DONE)
}

/// Who logs in, by flags and by what a person types.
async fn who(flags: LoginFlags) -> Result<(String, String), Failure> {
    if flags.password.is_some() {
        print_error("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    let is_complete = flags.username.is_some() && (flags.password.is_some() || flags.password_stdin);
    if !is_complete && !terminal::is_stdin_terminal() {
        return Err(Failure::Invalid("cannot perform an interactive login from a non TTY device".to_owned()));
    }
    let username = match flags.username {
        Some(username) => username,
        None => prompt("Username: ")?,
    };
    let password = match flags.password {
        Some(password) => password,
        None if flags.password_stdin => from_stdin()?,
        None => prompt_secretly("Password: ").await?,
    };
    match (username.is_empty(), password.is_empty()) {
        (true, _) => Err(Failure::Invalid("username is empty".to_owned())),
        (_, true) => Err(Failure::Invalid("password is empty".to_owned())),
        _ => Ok((username, password)),
    }
}

fn prompt(question: &str) -> Result<String, Failure> {
    print(question)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(reading)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The same for what nobody is to see. Whoever thinks better of it gets a terminal back that shows what is typed.
async fn prompt_secretly(question: &'static str) -> Result<String, Failure> {
    let silence = NoEcho::enter().map_err(reading)?;
    let (typed, answer) = oneshot::channel();
    // A thread of its own: the program can end while it still waits for a line.
    std::thread::spawn(move || typed.send(prompt(question)));
    let answer = tokio::select! {
        answer = answer => answer.unwrap_or_else(|_| Err(Failure::Invalid("nothing was typed".to_owned()))),
        _ = tokio::signal::ctrl_c() => Err(Failure::Invalid("the login was interrupted".to_owned())),
    };
    drop(silence);
    print("\n")?;
    answer
}

fn from_stdin() -> Result<String, Failure> {
    let text = std::io::read_to_string(std::io::stdin()).map_err(reading)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn reading(source: std::io::Error) -> Failure {
    Failure::Io { doing: "read standard input".to_owned(), source }
}

/// Runs `logout`.
pub(super) async fn logout(flags: LogoutFlags) -> Result<u8, Failure> {
    let key = credentials::key(flags.server.as_deref().unwrap_or_default());
    let was_there = credentials::forget(&key).await?;
    print(&match was_there {
        true => format!("Removing login credentials for {key}\n"),
        false => format!("Not logged in to {key}\n"),
    })?;
    Ok(DONE)
}
