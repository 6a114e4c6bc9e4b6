//! Which devices the processes of a cgroup may use: rules in v1's own notation, or an eBPF program on v2.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use crate::spec::{Device, DeviceKind, DeviceRule};
use crate::{ContainerSpec, Error, Result};

/// One rule; later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessRule {
    pub(crate) allow: bool,
    kind: Option<DeviceKind>,
    major: Option<u32>,
    minor: Option<u32>,
    access: String,
}

impl AccessRule {
    fn allow(kind: DeviceKind, major: impl Into<Option<u32>>, minor: impl Into<Option<u32>>, access: &str) -> Self {
        Self { allow: true, kind: Some(kind), major: major.into(), minor: minor.into(), access: access.to_owned() }
    }
}

impl From<&DeviceRule> for AccessRule {
    fn from(rule: &DeviceRule) -> Self {
        let DeviceRule { allow, kind, major, minor, access } = rule.clone();
        Self { allow, kind, major, minor, access }
    }
}

impl From<&Device> for AccessRule {
    fn from(device: &Device) -> Self {
        Self::allow(device.kind, device.major, device.minor, &device.access)
    }
}

/// As the v1 files `devices.allow` and `devices.deny` take it.
impl fmt::Display for AccessRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            None => "a",
            Some(DeviceKind::Block) => "b",
            Some(DeviceKind::Character) => "c",
        };
        let number = |value: Option<u32>| value.map_or_else(|| "*".to_owned(), |value| value.to_string());
        write!(formatter, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// What a container may use: Docker's default rules, its own devices, then what it asks for. `None` is everything.
pub(crate) fn allowed_devices(spec: &ContainerSpec) -> Option<Vec<AccessRule>> {
    use DeviceKind::{Block, Character};
    if spec.privileged {
        return None;
    }
    let mut rules = vec![
        // Making a node is harmless, as using it is checked again.
        AccessRule::allow(Character, None, None, "m"),
        AccessRule::allow(Block, None, None, "m"),
    ];
    // null, zero, full, random, urandom; tty, console, ptmx; pseudo-terminals.
    rules.extend(
        [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)]
            .map(|(major, minor)| AccessRule::allow(Character, major, minor, "rwm")),
    );
    rules.push(AccessRule::allow(Character, 136, None, "rwm"));
    rules.extend(spec.devices.iter().map(AccessRule::from));
    rules.extend(spec.resources.device_rules.iter().map(AccessRule::from));
    Some(rules)
}

/// One eBPF instruction, as `struct bpf_insn` lays it out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbf;
const MOVE_IMMEDIATE: u8 = 0xb7;
const AND_IMMEDIATE: u8 = 0x57;
const SHIFT_RIGHT_IMMEDIATE: u8 = 0x77;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const JUMP_IF_REGISTERS_DIFFER: u8 = 0x5d;
const EXIT: u8 = 0x95;

const fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | destination, offset, immediate }
}

/// A program of type `BPF_PROG_TYPE_CGROUP_DEVICE` that answers 1 where the rules allow. The kernel gives it the access
/// (`access << 16 | kind`), major and minor number (`struct bpf_cgroup_dev_ctx`).
fn program(rules: &[AccessRule]) -> Vec<Instruction> {
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE_REGISTER, 3, 2, 0, 0),
        instruction(AND_IMMEDIATE, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT_IMMEDIATE, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    // The last rule that matches counts, so it is asked first.
    for rule in rules.iter().rev() {
        let mut tests = Vec::new();
        if let Some(kind) = rule.kind {
            let number = match kind {
                DeviceKind::Block => 1,
                DeviceKind::Character => 2,
            };
            tests.push(instruction(JUMP_IF_NOT_EQUAL, 2, 0, 0, number));
        }
        let bits = rule.access.bytes().fold(0, |bits, letter| {
            bits | match letter {
                b'm' => 1,
                b'r' => 2,
                b'w' => 4,
                _ => 0,
            }
        });
        if bits != 7 {
            // All that is asked for must be in the rule: (access & bits) == access.
            tests.push(instruction(MOVE_REGISTER, 1, 3, 0, 0));
            tests.push(instruction(AND_IMMEDIATE, 1, 0, 0, bits));
            tests.push(instruction(JUMP_IF_REGISTERS_DIFFER, 1, 3, 0, 0));
        }
        for (register, number) in [(4, rule.major), (5, rule.minor)] {
            if let Some(number) = number {
                tests.push(instruction(JUMP_IF_NOT_EQUAL, register, 0, 0, number.cast_signed()));
            }
        }
        let length = tests.len();
        for (index, test) in tests.iter_mut().enumerate() {
            if matches!(test.code, JUMP_IF_NOT_EQUAL | JUMP_IF_REGISTERS_DIFFER) {
                // Past the tests that follow and the two instructions of the answer.
                test.offset = i16::try_from(length - index - 1 + 2).expect("a rule has at most seven instructions");
            }
        }
        code.extend(tests);
        code.push(instruction(MOVE_IMMEDIATE, 0, 0, 0, i32::from(rule.allow)));
        code.push(instruction(EXIT, 0, 0, 0, 0));
    }
    code.push(instruction(MOVE_IMMEDIATE, 0, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
struct AttachAttributes {
    target: RawFd,
    program: RawFd,
    attach_type: u32,
    flags: u32,
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Has the kernel ask the rules for every device that a process of this v2 cgroup opens or makes.
pub(super) fn attach_filter(cgroup: &Path, rules: &[AccessRule]) -> Result<()> {
    let code = program(rules);
    let attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(code.len()).expect("rules are far fewer than 2^32"),
        instructions: code.as_ptr().addr() as u64,
        // The kernel wants a licence; this helper-free program calls nothing that asks for the GPL.
        license: c"Apache-2.0".as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
    };
    let action = || format!("limit the devices of cgroup {}", cgroup.display());
    let loaded = bpf(BPF_PROG_LOAD, &attributes).map_err(Error::io(action()))?;
    // SAFETY: the kernel just returned this descriptor, and nobody else knows it.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let target = File::open(cgroup).map_err(Error::io(action()))?;
    let attributes = AttachAttributes {
        target: target.as_raw_fd(),
        program: loaded.as_raw_fd(),
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    bpf(BPF_PROG_ATTACH, &attributes).map(drop).map_err(Error::io(action()))
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads size_of::<T>() bytes of the attributes, which are plain data, and the instructions and
    // licence that they point to outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    RawFd::try_from(result).ok().filter(|&result| result >= 0).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on what the kernel would give it.
    fn answer(code: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_u64; 11];
        let mut next = 0_usize;
        loop {
            let Instruction { code, registers: pair, offset, immediate } = code[next];
            let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
            next += 1;
            let jump = match code {
                LOAD_WORD => {
                    registers[to] = u64::from(context[usize::try_from(offset).expect("positive") / 4]);
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                MOVE_IMMEDIATE => {
                    registers[to] = u64::try_from(immediate).expect("positive");
                    false
                }
                AND_IMMEDIATE => {
                    registers[to] &= u64::try_from(immediate).expect("positive");
                    false
                }
                SHIFT_RIGHT_IMMEDIATE => {
                    registers[to] >>= immediate;
                    false
                }
                JUMP_IF_NOT_EQUAL => registers[to] != u64::try_from(immediate).expect("positive"),
                JUMP_IF_REGISTERS_DIFFER => registers[to] != registers[from],
                EXIT => return registers[0],
                other => panic!("instruction {other:#x}"),
            };
            if jump {
                next += usize::try_from(offset).expect("forward");
            }
        }
    }

    #[test]
    fn the_program_answers_as_the_rules_say() {
        use DeviceKind::{Block, Character};
        let rules = [
            AccessRule::allow(Character, None, None, "m"),
            AccessRule::allow(Character, 1, 3, "rwm"),
            AccessRule::allow(Block, 8, None, "r"),
            AccessRule { allow: false, kind: None, major: Some(8), minor: Some(1), access: "rwm".to_owned() },
        ];
        let code = program(&rules);
        let table = [
            (2, 4, 1, 3, 1, "write to null"),
            (2, 1, 10, 200, 1, "make any character device"),
            (2, 2, 10, 200, 0, "read any character device"),
            (1, 2, 8, 0, 1, "read the disk"),
            (1, 6, 8, 0, 0, "read and write the disk"),
            (1, 2, 8, 1, 0, "read the denied partition"),
            (1, 1, 8, 0, 0, "make the disk's node"),
        ];
        for (kind, access, major, minor, expected, what) in table {
            assert_eq!(answer(&code, kind, access, major, minor), expected, "{what}");
        }
    }

    #[test]
    fn the_kernel_asks_the_program() {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = root.into_iter().find(|root| root.join("cgroup.controllers").exists());
        let Some(root) = root else {
            eprintln!("SKIPPED: no cgroup v2 hierarchy is mounted here");
            return;
        };
        assert!(nix::unistd::geteuid().is_root(), "this test makes a cgroup: run it as root (scripts/test)");
        let cgroup = root.join(format!("berth-devices-{}", std::process::id()));
        std::fs::create_dir(&cgroup).expect("made");
        let attached = attach_filter(&cgroup, &[AccessRule::allow(DeviceKind::Character, 1, 3, "rw")]);
        let script = "echo 0 > $0/cgroup.procs; true < /dev/null && ! true < /dev/zero";
        let shell = std::process::Command::new("sh").arg("-c").arg(script).arg(&cgroup).output();
        std::fs::remove_dir(&cgroup).expect("removed");
        attached.expect("attached");
        let output = shell.expect("run");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/zero"), "{output:?}");
    }
}
