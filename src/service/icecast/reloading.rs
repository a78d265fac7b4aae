//! The operator's command that has an adopted Icecast read its configuration again.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long the command may take: a service manager answers within a second.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// The most of what it says that is shown.
const MOST_SAID_BYTES: usize = 256;

/// Runs the command, which is the operator's own and runs as the node; says what went wrong.
pub(super) async fn run(command: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let mut running = Command::new(program);
    running
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let told = |why: String| format!("reload_command of [icecast] ({}): {why}", command.join(" "));
    match timeout(COMMAND_LIMIT, running.output()).await {
        Err(_) => Err(told(format!("did not end within {COMMAND_LIMIT:?}"))),
        Ok(Err(error)) => Err(told(format!("cannot be run: {error}"))),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            let said = &said[..said.floor_char_boundary(MOST_SAID_BYTES)];
            Err(told(format!("{}: {said}", output.status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        command.split(' ').map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_command_that_fails_is_named_with_its_words() {
        assert_eq!(run(&words("true")).await, Ok(()));
        let failed = run(&words("ls /no/such/file")).await.unwrap_err();
        assert!(
            failed.contains("(ls /no/such/file): exit status: 2: ls:"),
            "{failed}"
        );
        let missing = run(&words("no-such-program")).await.unwrap_err();
        assert!(missing.contains("cannot be run"), "{missing}");
    }
}
