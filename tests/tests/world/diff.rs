//! What a container changed, as `diff` tells it.

use berth_tests::World;

#[test]
fn added_changed_deleted() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let script = "echo x >> /etc/passwd; echo new > /etc/new; rm /var/www/index.html; mkdir /deep /deep/er; \
        echo y > /deep/er/file; rm -rf /var/www/cgi-bin; mkdir /var/www/cgi-bin; touch /var/www/cgi-bin/other; \
        mkdir /home/gone; rmdir /home/gone; touch /memory/nothing; ln -s /etc/passwd /root/link; chmod 700 /tmp; \
        touch /fleeting; rm /fleeting";
    let mut create = vec!["create", "--name", "cc", "--tmpfs", "/memory", "-v", "/volume", "busybox", "sh", "-c"];
    create.push(script);
    host.docker(&create).ok();
    assert_eq!(host.docker(&["diff", "cc"]).ok(), "", "nothing has happened yet");
    host.docker(&["start", "-a", "cc"]).ok();
    let expected = "A /deep\nA /deep/er\nA /deep/er/file\nC /etc\nA /etc/new\nC /etc/passwd\nC /home\nA /memory\nC /root\n\
        A /root/link\nC /tmp\nC /var\nC /var/www\nC /var/www/cgi-bin\nD /var/www/cgi-bin/client\nA /var/www/cgi-bin/other\n\
        D /var/www/index.html\nA /volume";
    assert_eq!(host.docker(&["diff", "cc"]).ok(), expected);
    assert_eq!(host.berth(&["diff", "cc"]).ok(), expected);
    host.docker(&["run", "-d", "--name", "quiet", "busybox", "sleep", "1000"]).ok();
    assert_eq!(host.docker(&["diff", "quiet"]).ok(), "", "what it takes to run isn't a change");
    host.docker(&["exec", "quiet", "touch", "/new"]).ok();
    assert_eq!(host.berth(&["container", "diff", "quiet"]).ok(), "A /new");
    assert!(host.berth(&["diff", "nobody"]).fails_with(1).contains("No such container: nobody"));
}
