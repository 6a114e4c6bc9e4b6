//! Registries that don't let everybody in: own certificates, passwords, token servers, and where passwords are kept.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use berth_tests::{Host, Outcome, World, registry, world::binary};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::token_server::{IDENTITY, ISSUER, SERVICE, TokenServer};

/// A host with its daemons, an image `busybox`, and a directory for a person's configuration.
struct Place {
    host: Host,
    config: PathBuf,
    _world: World,
}

impl Place {
    fn new() -> Self {
        let mut world = World::new();
        let mut host = world.host();
        let certificates = host.directory().join("certs.d");
        host.berthd_flag(format!("--certificates-dir={}", certificates.display())).start();
        let config = host.directory().join("config");
        fs::create_dir(&config).expect("a directory");
        Self { host, config, _world: world }
    }

    /// A client with that person's configuration.
    fn client(&self, program: &str) -> Command {
        let mut command = match program {
            "docker" => self.host.docker_command(),
            _ => self.host.command(&binary(program).to_string_lossy()),
        };
        let path = format!("{}:{}", self.config.display(), std::env::var("PATH").unwrap_or_default());
        command.env("DOCKER_CONFIG", &self.config).env("PATH", path).stdin(Stdio::null());
        command
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Outcome {
        Outcome::of(self.client(program).args(arguments))
    }

    /// Logs in with a password on standard input.
    fn log_in(&self, program: &str, password: &str, server: &str) -> Outcome {
        let file = self.config.join("password");
        fs::write(&file, password).expect("a file");
        let mut command = self.client(program);
        command.stdin(fs::File::open(file).expect("a file"));
        Outcome::of(command.args(["login", "-u", "ann", "--password-stdin", server]))
    }

    fn kept(&self) -> Value {
        let text = fs::read_to_string(self.config.join("config.json")).expect("the configuration");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// An authority's certificate, and one of its with its key for each of an address and a client, all in `dir`.
fn certificates(dir: &Path, address: &str) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    fs::write(dir.join("ca.crt"), authority.pem()).expect("a file");
    for (name, usage, of) in [
        ("server", ExtendedKeyUsagePurpose::ServerAuth, address),
        ("client", ExtendedKeyUsagePurpose::ClientAuth, "client"),
    ] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![of.to_owned()]).expect("a name");
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        fs::write(dir.join(format!("{name}.cert")), certificate.pem()).expect("a file");
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    }
}

#[test]
fn own_certificates_and_passwords() {
    let place = Place::new();
    let address = place.host.address();
    let dir = place.host.directory().join("registry-5443");
    fs::create_dir(&dir).expect("a directory");
    certificates(&dir, &address);
    fs::write(dir.join("htpasswd"), registry::HTPASSWD).expect("a file");
    registry::start(
        &place.host,
        5443,
        ", tls: {certificate: DIR/server.cert, key: DIR/server.key}",
        "auth: {htpasswd: {realm: tests, path: DIR/htpasswd}}\n",
    );
    let server = format!("{address}:5443");
    let name = format!("{server}/team/app:1");
    place.ask("docker", &["tag", "busybox", &name]).ok();
    let said = place.ask("docker", &["push", &name]).fails_with(1);
    // This host itself needs no certificate. What it says over TLS is told, not that it says nothing without.
    let here = place.ask("docker", &["pull", "127.0.0.1:5443/none:1"]).fails_with(1);
    assert!(here.contains("pull access denied for 127.0.0.1:5443/none"), "{here}");
    let authority = place.host.directory().join("certs.d").join(&server).join("ca.crt");
    let hint = format!("has a certificate that can't be trusted: put its authority's into {}", authority.display());
    assert!(said.contains(&hint), "{said}");
    fs::create_dir_all(authority.parent().expect("a directory")).expect("a directory");
    fs::copy(dir.join("ca.crt"), &authority).expect("a file");
    let file = place.config.join("config.json");
    fs::write(&file, r#"{"HttpHeaders": {"X-Mine": "kept"}}"#).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    for program in ["docker", "berth"] {
        let said = place.ask(program, &["push", &name]).fails_with(1);
        assert!(said.ends_with("no basic auth credentials"), "{program}: {said}");
        let said = place.ask(program, &["pull", &name]).fails_with(1);
        assert!(
            said.contains(&format!("pull access denied for {server}/team/app, repository does not exist")),
            "{said}"
        );
        let said = place.log_in(program, "wrong", &server).fails_with(1);
        assert!(said.contains("unauthorized: incorrect username or password"), "{program}: {said}");
        let said = place.log_in(program, "secret\n", &server).ok();
        assert!(said.contains("Login Succeeded"), "{program}: {said}");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600, "{program}");
        let expected =
            json!({"HttpHeaders": {"X-Mine": "kept"}, "auths": {server.as_str(): {"auth": "YW5uOnNlY3JldA=="}}});
        assert_eq!(place.kept(), expected, "{program}");
        // What one client keeps, the other uses.
        for other in ["docker", "berth"] {
            place.ask(other, &["push", "-q", &name]).ok();
            place.ask(other, &["pull", "-q", &name]).ok();
            assert!(place.ask(other, &["login", &server]).ok().contains("Login Succeeded"), "with what is kept");
        }
        let said = place.ask(program, &["logout", &server]).ok();
        assert_eq!(said, format!("Removing login credentials for {server}"));
        assert_eq!(place.kept()["auths"], json!({}), "{program}");
    }
    let certs = format!("--cert-dir {}", authority.parent().expect("a directory").display());
    place.host.sh(&format!("skopeo inspect {certs} --creds ann:secret docker://{name}")).ok();
}

#[test]
fn some_want_a_certificate_of_ours() {
    let place = Place::new();
    let address = place.host.address();
    let dir = place.host.directory().join("registry-5443");
    fs::create_dir(&dir).expect("a directory");
    certificates(&dir, &address);
    let tls = ", tls: {certificate: DIR/server.cert, key: DIR/server.key, clientcas: [DIR/ca.crt]}";
    registry::start(&place.host, 5443, tls, "");
    let name = format!("{address}:5443/app:1");
    let shown = place.host.directory().join("certs.d").join(format!("{address}:5443"));
    fs::create_dir_all(&shown).expect("a directory");
    let copy = |file: &str| fs::copy(dir.join(file), shown.join(file)).expect("a file");
    copy("ca.crt");
    place.ask("docker", &["tag", "busybox", &name]).ok();
    let said = place.ask("docker", &["push", &name]).fails_with(1);
    assert!(said.contains(&format!("can't talk to https://{address}:5443")), "{said}");
    copy("client.cert");
    let said = place.ask("docker", &["push", &name]).fails_with(1);
    assert!(said.contains("client.cert is there without ") && said.contains("client.key:"), "{said}");
    copy("client.key");
    place.ask("docker", &["push", "-q", &name]).ok();
    place.ask("berth", &["pull", "-q", &name]).ok();
}

#[test]
fn a_token_server_decides() {
    let place = Place::new();
    let tokens = TokenServer::new();
    let dir = place.host.directory().join("registry-5000");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("tokens.crt"), tokens.certificate()).expect("a file");
    tokens.serve(place.host.listen(5001));
    registry::start(
        &place.host,
        5000,
        "",
        &format!(
            "auth: {{token: {{realm: \"http://127.0.0.1:5001/token\", service: {SERVICE}, issuer: {ISSUER}, \
             rootcertbundle: DIR/tokens.crt}}}}\n"
        ),
    );
    let server = "127.0.0.1:5000";
    for (program, repository) in [("docker", "open/first"), ("berth", "closed/second")] {
        let name = format!("{server}/{repository}:1");
        place.ask(program, &["tag", "busybox", &name]).ok();
        let said = place.ask(program, &["push", &name]).fails_with(1);
        assert!(said.ends_with("unauthorized: authentication required"), "{program}: {said}");
        place.log_in(program, "wrong", server).fails_with(1);
        assert!(place.log_in(program, "secret", server).ok().contains("Login Succeeded"));
        assert_eq!(place.kept()["auths"][server]["identitytoken"], IDENTITY, "no password is kept: {program}");
        let said = place.ask(program, &["push", &name]).ok();
        let outcome = if program == "docker" { ": Pushed" } else { ": Mounted from open/first" };
        assert!(said.contains(outcome), "{program}: {said}");
        place.ask(program, &["rmi", &name]).ok();
        assert!(place.ask(program, &["pull", &name]).ok().contains("Status: Downloaded newer image"));
        place.ask(program, &["logout", server]).ok();
        place.ask(program, &["rmi", &name]).ok();
    }
    // Nobody may pull what is open, and not the rest.
    place.ask("berth", &["pull", "-q", &format!("{server}/open/first:1")]).ok();
    let said = place.ask("docker", &["pull", &format!("{server}/closed/second:1")]).fails_with(1);
    assert!(said.contains(&format!("pull access denied for {server}/closed/second")), "{said}");
}

#[test]
fn helpers_keep_passwords() {
    let place = Place::new();
    let dir = place.host.directory().join("registry-5000");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("htpasswd"), registry::HTPASSWD).expect("a file");
    registry::start(&place.host, 5000, "", "auth: {htpasswd: {realm: tests, path: DIR/htpasswd}}\n");
    let (server, name) = ("127.0.0.1:5000", "127.0.0.1:5000/app:1");
    let vault = place.config.join("vault");
    let helper = place.config.join("docker-credential-vault");
    // One registry's password only: enough for a test. It reads what it is asked, or whoever asks meets a closed pipe.
    fs::write(
        &helper,
        format!(
            "#!/bin/sh\nasked=$(cat)\ncase $1 in\nstore) printf %s \"$asked\" > {0};;\nerase) rm -f {0};;\n\
             get) cat {0} 2>/dev/null || {{ echo credentials not found in native keychain; exit 1; }};;\nesac\n",
            vault.display()
        ),
    )
    .expect("a file");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::write(place.config.join("config.json"), r#"{"credsStore": "vault"}"#).expect("a file");
    place.ask("docker", &["tag", "busybox", name]).ok();
    for program in ["docker", "berth"] {
        assert!(place.log_in(program, "secret", server).ok().contains("Login Succeeded"));
        let kept: Value = serde_json::from_str(&fs::read_to_string(&vault).expect("the vault")).expect("JSON");
        assert_eq!(kept, json!({"ServerURL": server, "Username": "ann", "Secret": "secret"}), "{program}");
        assert!(!fs::read_to_string(place.config.join("config.json")).expect("a file").contains("YW5u"));
        for other in ["docker", "berth"] {
            place.ask(other, &["push", "-q", name]).ok();
        }
        place.ask(program, &["logout", server]).ok();
        assert!(!vault.exists(), "{program}");
        place.ask(program, &["push", name]).fails_with(1);
    }
    fs::write(&helper, "#!/bin/sh\ncat > /dev/null\necho the vault is shut; exit 1\n").expect("a file");
    let said = place.log_in("berth", "secret", server).fails_with(1);
    assert!(said.contains("docker-credential-vault store failed") && said.contains("the vault is shut"), "{said}");
}

#[test]
fn a_person_types_who_it_is() {
    let place = Place::new();
    let dir = place.host.directory().join("registry-5000");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("htpasswd"), registry::HTPASSWD).expect("a file");
    registry::start(&place.host, 5000, "", "auth: {htpasswd: {realm: tests, path: DIR/htpasswd}}\n");
    let command_line =
        format!("env DOCKER_CONFIG={} {} login 127.0.0.1:5000", place.config.display(), binary("berth").display());
    let mut terminal = place.host.terminal(&command_line);
    terminal.wait_for("Username: ").enter("ann\n").wait_for("Password: ").enter("secret\n");
    let shown = terminal.end().ok();
    assert!(shown.contains("Login Succeeded") && !shown.contains("secret"), "{shown}");
    let said = place.ask("berth", &["logout", "127.0.0.1:5000"]).ok();
    assert_eq!(said, "Removing login credentials for 127.0.0.1:5000");
    assert_eq!(place.ask("berth", &["logout", "127.0.0.1:5000"]).ok(), "Not logged in to 127.0.0.1:5000");
    let said = place.ask("berth", &["login", "127.0.0.1:5000"]).fails_with(1);
    assert!(said.contains("cannot perform an interactive login from a non TTY device"), "{said}");
    let mut terminal = place.host.terminal(&command_line);
    terminal.wait_for("Username: ").enter("ann\n").wait_for("Password: ").enter("\x03");
    assert_ne!(terminal.end().code, 0);
    fs::write(place.config.join("config.json"), "{").expect("a file");
    for arguments in [&["pull", "127.0.0.1:5000/app"][..], &["login", "-u", "ann", "-p", "secret", "127.0.0.1:5000"]] {
        let said = place.ask("berth", arguments).fails_with(1);
        assert!(said.contains("config.json isn't a JSON object, it is left as it is"), "{said}");
    }
    assert_eq!(fs::read_to_string(place.config.join("config.json")).expect("a file"), "{");
}
