//! Building images, by the docker client's classic builder API and by ours.

use berth_tests::{Host, Outcome, World};

fn started() -> (World, Host) {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    (world, host)
}

/// A build context on the host, made of files and their contents.
fn context(host: &Host, name: &str, files: &[(&str, &str)]) -> String {
    let directory = host.directory().join("lib").join(name);
    for (file, content) in files {
        let path = directory.join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a context");
        std::fs::write(path, content).expect("a context");
    }
    format!("/var/lib/{name}")
}

fn docker_build(host: &Host, arguments: &[&str]) -> Outcome {
    let mut command = host.docker_command();
    command.env("DOCKER_BUILDKIT", "0").arg("build").args(arguments);
    Outcome::of(&mut command)
}

#[test]
fn a_dockerfile_becomes_an_image_once() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nENV GREETING=hello\nRUN echo $GREETING from a step > /said && rm /var/www/index.html\n\
                      COPY file /copied\nWORKDIR /made\nCMD [\"cat\", \"/said\", \"/copied\"]\n";
    let context = context(&host, "ctx", &[("Dockerfile", dockerfile), ("file", "from the context\n")]);
    let said = docker_build(&host, &["-t", "made", &context]).ok();
    assert!(said.contains("Step 1/6 : FROM busybox\n"), "{said}");
    assert!(said.contains("Step 3/6 : RUN echo $GREETING"), "{said}");
    assert!(said.contains("Successfully built ") && said.ends_with("Successfully tagged made:latest"), "{said}");
    assert_eq!(host.docker(&["run", "--rm", "made"]).ok(), "hello from a step\nfrom the context");
    assert_eq!(host.docker(&["run", "--rm", "made", "pwd"]).ok(), "/made");
    assert_eq!(host.docker(&["run", "--rm", "made", "ls", "/var/www"]).ok(), "cgi-bin");
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok();
    let again = docker_build(&host, &["-t", "made", &context]).ok();
    assert_eq!(again.matches("---> Using cache").count(), 5, "{again}");
    assert_eq!(host.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok(), id);
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
}
