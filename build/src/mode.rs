//! `--chmod`: permissions as chmod(1) takes them, in octal digits or in letters, without a umask.

use super::StepError;

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
/// The bits of one class, at the place of the last one.
const CLASS: u32 = 0o7;
/// Where the bits of user, group and others are.
const SHIFTS: [(char, u32); 3] = [('u', 6), ('g', 3), ('o', 0)];

/// What becomes of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `755`
    Exact(u32),
    /// `u=rwX,go=rX`
    Changes(Vec<Change>),
}

/// One change: `g-w`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Whose, as their letters' shifts.
    shifts: Vec<u32>,
    operator: char,
    permissions: Vec<char>,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Result<Self, StepError> {
        let wrong = || StepError::Invalid(format!("--chmod={text}: write it as in 755, u+x or u=rwX,go=rX"));
        match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => {
                let octal = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
                octal.map(Self::Exact).ok_or_else(wrong)
            }
            false => {
                let clauses = text.split(',').map(clause).collect::<Option<Vec<_>>>();
                Ok(Self::Changes(clauses.ok_or_else(wrong)?.concat()))
            }
        }
    }

    /// The permissions of what had `mode` before.
    pub(super) fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Self::Exact(exact) => *exact,
            Self::Changes(changes) => changes.iter().fold(mode, |mode, change| change.apply(mode, is_dir)),
        }
    }
}

/// `ug+rw-x`: for the same classes one change or more.
fn clause(text: &str) -> Option<Vec<Change>> {
    let (who, mut rest) = text.split_at(text.find(['+', '-', '='])?);
    let shift = |letter| SHIFTS.iter().find(|(class, _)| *class == letter).map(|(_, shift)| *shift);
    let all = || SHIFTS.iter().map(|(_, shift)| *shift).collect();
    let shifts: Vec<u32> = match who {
        "" => all(),
        _ if who.chars().any(|letter| letter != 'a' && shift(letter).is_none()) => return None,
        _ if who.contains('a') => all(),
        _ => who.chars().filter_map(shift).collect(),
    };
    let mut changes = Vec::new();
    while let Some(operator) = rest.chars().next() {
        rest = &rest[1..];
        let (permissions, behind) = rest.split_at(rest.find(['+', '-', '=']).unwrap_or(rest.len()));
        if permissions.chars().any(|letter| !"rwxXstugo".contains(letter)) {
            return None;
        }
        changes.push(Change { shifts: shifts.clone(), operator, permissions: permissions.chars().collect() });
        rest = behind;
    }
    Some(changes)
}

impl Change {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let bits = self.shifts.iter().fold(0, |bits, shift| bits | self.bits(mode, *shift, is_dir));
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => (mode & !self.all(is_dir)) | bits,
        }
    }

    /// What the letters stand for in one class.
    fn bits(&self, mode: u32, shift: u32, is_dir: bool) -> u32 {
        let of_letter = |letter: &char| match letter {
            'r' => 0o4 << shift,
            'w' => 0o2 << shift,
            'x' => 0o1 << shift,
            'X' if is_dir || mode & 0o111 != 0 => 0o1 << shift,
            's' => special(shift) & !STICKY,
            't' if shift == 0 => STICKY,
            class => {
                let from = SHIFTS.iter().find(|(name, _)| name == class).map(|(_, shift)| *shift);
                from.map_or(0, |from| (mode >> from & CLASS) << shift)
            }
        };
        self.permissions.iter().map(of_letter).fold(0, |bits, of_letter| bits | of_letter)
    }

    /// All bits of the classes, which `=` takes away first. A directory's set-id bits have to be named.
    fn all(&self, is_dir: bool) -> u32 {
        let of_class = |shift: &u32| CLASS << shift | if is_dir { special(*shift) & STICKY } else { special(*shift) };
        self.shifts.iter().map(of_class).fold(0, |bits, of_class| bits | of_class)
    }
}

/// The bit that a class has besides.
fn special(shift: u32) -> u32 {
    match shift {
        6 => SET_UID,
        3 => SET_GID,
        _ => STICKY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_chmod_has_it() {
        for (text, mode, is_dir, expected) in [
            ("755", 0o600, false, 0o755),
            ("4755", 0o600, false, 0o4755),
            ("0", 0o644, false, 0),
            ("+x", 0o644, false, 0o755),
            ("u+x", 0o644, false, 0o744),
            ("a=r", 0o777, false, 0o444),
            ("go-rwx", 0o755, false, 0o700),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("o=g-w", 0o664, false, 0o664),
            ("ug+s,+t", 0o755, false, 0o7755),
            ("u-s", 0o4755, false, 0o755),
            ("=", 0o7777, false, 0),
            ("g=", 0o2775, true, 0o2705),
            ("u+r-w+x", 0o200, false, 0o500),
        ] {
            let parsed = Mode::parse(text).unwrap();
            assert_eq!(format!("{:o}", parsed.apply(mode, is_dir)), format!("{expected:o}"), "{text} of {mode:o}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "77777", "8", "u", "u+q", "z+x", "u+x,", "0o755", "-1", "u+\u{fc}"] {
            assert!(Mode::parse(text).is_err(), "{text}");
        }
    }
}
