# The checks of scripts/test-systemd, inside of its machine.
. /given/settings
cd /given
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
right=0 wrong=0

check() {
    if eval "$2" >/tmp/said 2>&1; then
        right=$((right + 1))
        echo "units: right: $1"
    else
        wrong=$((wrong + 1))
        echo "units: WRONG: $1: $2"
        tail -20 /tmp/said
        systemctl status --no-pager -n 8 netd.service berthd.service netd.socket berthd.socket
    fi
}

# An emulated processor is slow: that isn't what is tried here.
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\nDefaultTimeoutStartSec=900\n' >/etc/systemd/system.conf.d/slow.conf
systemctl daemon-reload

# A neighbour on one wire.
ip link set lo up
ip netns add outside
ip link add vm type veth peer name out netns outside
ip address add 10.99.0.1/24 dev vm
ip link set vm up
ip -n outside address add 10.99.0.2/24 dev out
ip -n outside link set out up
ip -n outside link set lo up

echo
check "it is installed" "bash scripts/install --built /given/bin"
cp /bin/busybox image/
check "an image is built" "timeout 240 berth build -t friendlyname image"
run="timeout 120 berth run -d"
check "a container has a page" "$run --name friendly -p 4000:80 friendlyname"
check "one has a connection" "$run --name echo -p 5000:5000 friendlyname nc -ll -p 5000 -e cat"
check "one has the API's socket" "$run --name agent -v /run/berth/berth.sock:/run/api.sock friendlyname sleep 100000"
containers="friendly echo agent"

here() { curl -s -m 10 "http://127.0.0.1:$1" | grep -q Hello; }
outside() { ip netns exec outside curl -s -m 10 "http://10.99.0.1:$1" | grep -q Hello; }
page() {
    for _ in 1 2 3; do
        here "${1:-4000}" && outside "${1:-4000}" && return 0
        sleep 0.5
    done
    return 1
}

declare -A pid namespace
for name in $containers; do
    pid[$name]=$(berth inspect -f '{{.State.Pid}}' $name)
    namespace[$name]=$(stat -L -c %i "/proc/${pid[$name]}/ns/net")
done
inode=$(stat -c %i /run/berth/berth.sock)
keeper() { pgrep -f 'netd-keeper namespaces'; }
main() { systemctl show -p MainPID --value "$1"; }
signal() {
    local process
    process=$(main "$2.service")
    [ "${process:-0}" -le 1 ] || kill "-$1" "$process"
}

# One connection lives through all of it.
mkfifo /tmp/to
ip netns exec outside busybox nc 10.99.0.1 5000 </tmp/to >/tmp/from 2>&1 &
exec 7>/tmp/to
words=0
echoed() {
    words=$((words + 1))
    echo "word $words" >&7
    for _ in $(seq 50); do
        grep -qx "word $words" /tmp/from && return 0
        sleep 0.1
    done
    return 1
}

# The namespaces that netd knows are those that the processes are in.
same() {
    local name key
    for name in $containers; do
        key=$(timeout 60 berth inspect -f '{{.NetworkSettings.SandboxKey}}' $name)
        [ "$(stat -L -c %i "$key")" = "${namespace[$name]}" ] || return 1
        [ "$(berth inspect -f '{{.State.Pid}}' $name)" = "${pid[$name]}" ] || return 1
    done
}
units() {
    systemctl is-active netd.service berthd.service netd.socket berthd.socket || return 1
    [ "$(pgrep -x netd | wc -l)" = 1 ] && [ "$(pgrep -x berthd | wc -l)" = 1 ] &&
        grep -q netd.service "/proc/$(main netd.service)/cgroup"
}
whole() {
    local name said
    for name in $containers; do
        said=$(curl -s -m 20 --unix-socket /run/berth/netd.sock "http://x/v1/sandboxes/$(berth inspect -f '{{.Id}}' $name)/check")
        [ "$said" = '{"missing":[],"different":[],"superfluous":[],"not_held":[]}' ] || { echo "$name: $said"; return 1; }
    done
}
# A netd that a request starts takes longer under emulation than a client waits: it may ask again.
answers() {
    for _ in 1 2 3 4; do
        timeout 120 berth net ls && return 0
    done
    return 1
}
all() {
    answers && timeout 120 berth ps | grep friendly && units && page && timeout 60 berth exec friendly true &&
        same && echoed && whole &&
        timeout 60 curl -s --unix-socket "/proc/${pid[agent]}/root/run/api.sock" http://x/_ping | grep OK &&
        [ "$inode" = "$(stat -c %i /run/berth/berth.sock)" ] && [ "$(keeper | wc -l)" = 1 ]
}
check "all of it, to begin with" all

# Asks for the page again and again, from here and from outside, and counts what is lost.
cat >/tmp/ask.sh <<'ASK'
asked=0
while [ -e /tmp/asking ]; do
    asked=$((asked + 1))
    curl -s -m 10 "http://$1:4000" | grep -q Hello || echo "lost at $(date +%T)"
    sleep 0.3
done
echo "asked $asked times"
ASK
ask() {
    touch /tmp/asking
    bash /tmp/ask.sh 127.0.0.1 >/tmp/here &
    asks="$!"
    ip netns exec outside bash /tmp/ask.sh 10.99.0.1 >/tmp/outside &
    asks="$asks $!"
}
asked() {
    rm -f /tmp/asking
    wait $asks
    check "no page was lost $1" "! cat /tmp/here /tmp/outside | grep lost && grep 'asked [1-9]' /tmp/here && grep 'asked [1-9]' /tmp/outside"
}

act() {
    case $1 in
    kill-both) signal 9 netd; signal 9 berthd ;;
    kill-keeper) kill -9 $(keeper); sleep 2 ;;
    kill-*) signal 9 "${1#kill-}" ;;
    hup-*) signal HUP "${1#hup-}" ;;
    *-both) systemctl "${1%-both}" netd.service berthd.service ;;
    *) systemctl "${1%%-*}" "${1#*-}.service" ;;
    esac
}
# Not among them: SIGKILL of netd and its keeper at one moment, after which pages are served, but nobody keeps the namespaces
# until berthd has said where they are.
acts=(kill-netd kill-berthd kill-both kill-keeper restart-netd restart-berthd restart-both stop-netd stop-berthd stop-both
    start-netd start-berthd start-both hup-netd hup-berthd)
RANDOM=$seed
ask
for turn in $(seq 1 "$turns"); do
    sequence=
    for _ in 1 2 3; do
        what=${acts[RANDOM % ${#acts[@]}]}
        sequence+=" $what"
        act "$what" >/dev/null 2>&1 || true
    done
    check "turn $turn:$sequence" all
done
asked "in $turns turns (seed $seed)"
check "a new container runs" "timeout 120 berth run --rm -p 4100:80 friendlyname true"

ask
held_by=$(keeper)
check "SIGTERM to all of netd's service" "systemctl kill netd; sleep 3; all"
check "an installation over running containers" "bash scripts/install --built /given/bin && all"
# The API's socket is another one then.
check "another one, with sockets and daemons stopped" "systemctl stop netd.socket berthd.socket netd berthd && page &&
    bash scripts/install --built /given/bin && answers && units && page && same && echoed && whole"
check "who holds their namespaces is spared" "[ '$held_by' = \"\$(keeper)\" ]"
asked "over the installations"
systemctl stop netd.socket netd.service berthd.socket berthd.service
setsid netd >/dev/null 2>&1 </dev/null &
sleep 5
check "an installation beside a netd that no unit runs" "bash scripts/install --built /given/bin && answers && units && page && same"

# systemd-networkd with a file that matches every Ethernet link.
printf '[Match]\nType=ether\nName=!vm\n[Network]\nDHCP=no\nLinkLocalAddressing=no\n' >/etc/systemd/network/50-all.network
systemctl start systemd-udevd systemd-networkd
udevadm settle
sleep 5
ports() { ip -o link show master berth0 | wc -l; }
links() { networkctl --no-pager --no-legend list; }
alone() {
    [ "$(ports)" = "$1" ] && ! links | grep -E ' (bv|berth0)' | grep -v unmanaged && [ "$(links | grep -cE ' bv.* unmanaged')" = "$1" ]
}
check "networkd leaves links alone, from birth" "$run --name late -p 4001:80 friendlyname && sleep 5 && alone 4 && page && page 4001"
rm /etc/systemd/network/05-berth.network /etc/udev/rules.d/85-berth.rules
udevadm control --reload
systemctl restart systemd-networkd
sleep 5
systemctl restart netd
sleep 5
check "without the files, netd says so" "journalctl -u netd --no-pager | grep 'systemd-networkd manages' | grep 50-all.network"
back() {
    for _ in $(seq 20); do
        [ "$(ports)" = 5 ] && page && page 4002 && return 0
        sleep 1
    done
    return 1
}
check "and puts links back" "$run --name later -p 4002:80 friendlyname; back"
systemctl stop systemd-networkd.socket systemd-networkd
check "it is removed" "bash scripts/install --remove; ! ls /etc/systemd/system/netd.socket 2>/dev/null; ! pgrep -x netd"
echo "units: $right right, $wrong wrong"
