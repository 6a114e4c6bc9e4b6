//! Parser directives: `# name=value` at the very top.

use super::Problem;

/// What the directives say.
pub(super) struct Directives {
    pub(super) escape: char,
}

/// What the front ends are called whose Dockerfiles are the ones that are understood here: Docker's, released or not yet,
/// wherever somebody keeps a copy of them.
const FRONT_ENDS: [&str; 2] = ["dockerfile", "dockerfile-upstream"];

/// Reads the directives; problems come with their line.
pub(super) fn read(text: &str) -> Result<Directives, (usize, Problem)> {
    let mut directives = Directives { escape: '\\' };
    let mut seen: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, value)) = directive(line) else { break };
        let name = name.to_ascii_lowercase();
        let wrong = |reason| (index + 1, Problem::Directive { name: name.clone(), value: value.to_owned(), reason });
        if seen.contains(&name) {
            return Err(wrong("it was given before: leave one of them away"));
        }
        match name.as_str() {
            "escape" => {
                directives.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    _ => return Err(wrong("write a backslash or a backtick")),
                }
            }
            "syntax" => {
                if !is_known_front_end(value) {
                    return Err(wrong("berth understands Dockerfiles itself, and no other front end's files"));
                }
            }
            // It selects lint rules, of which there are none here.
            "check" => {}
            // The first comment that is no directive ends them.
            _ => break,
        }
        seen.push(name);
    }
    Ok(directives)
}

fn is_known_front_end(value: &str) -> bool {
    let reference = value.split(['@', ' ']).next().unwrap_or_default();
    // A registry's port isn't a tag.
    let last = reference.rsplit_once('/').map(|(_, last)| last);
    last.is_some_and(|last| FRONT_ENDS.contains(&last.split(':').next().unwrap_or(last)))
}

fn directive(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_word && !value.is_empty()).then_some((name, value))
}
