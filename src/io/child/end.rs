//! How a child has ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The bytes of a mebibyte, in which memory is told.
const MIB: u64 = 1 << 20;

/// The end of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildEnd {
    /// How it ended.
    pub exit: ChildExit,
    /// The last line of its log, which mostly says why; also when the log's limit had hidden it.
    pub last_line: Option<String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildExit {
    /// By itself, with this exit code.
    Code(i32),
    /// By a signal, which may have been the node's.
    Signal(i32),
    /// Killed by the node, because it used more memory than it may.
    Memory {
        /// The limit.
        limit_bytes: u64,
    },
}

impl ChildExit {
    /// Whether the program says that all went well.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl From<ExitStatus> for ChildExit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            // A process that was waited for has ended in one of the two ways.
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Memory { limit_bytes } => {
                let mib = limit_bytes / MIB;
                write!(f, "used more memory than its {mib} MiB, and was killed")
            }
        }
    }
}

impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last_line {
            Some(line) => write!(f, "{}: {line}", self.exit),
            None => write!(f, "{}", self.exit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_how_and_the_last_line_why() {
        let told = |status, last_line: Option<&str>| {
            let end = ChildEnd {
                exit: ChildExit::from(ExitStatus::from_raw(status)),
                last_line: last_line.map(str::to_owned),
            };
            end.to_string()
        };
        assert_eq!(told(0, None), "ended with exit code 0");
        assert_eq!(
            told(1 << 8, Some("pipe:0: Invalid data")),
            "ended with exit code 1: pipe:0: Invalid data"
        );
        assert_eq!(told(9, None), "was ended by signal 9");
        let eaten = ChildExit::Memory {
            limit_bytes: 64 * MIB,
        };
        assert_eq!(
            eaten.to_string(),
            "used more memory than its 64 MiB, and was killed"
        );
        assert!(ChildExit::Code(0).is_success() && !eaten.is_success());
        assert!(!ChildExit::Code(1).is_success() && !ChildExit::Signal(0).is_success());
    }
}
