//! `ringer lab`: lessons of virtualizability theory, each a story that is run while it is told.

use clap::Args;
use isa::spec::UnknownName;
use lab::{LESSONS, Lesson};
use std::io::Write as _;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ringer lab                                 the lessons
  ringer lab popf                            one of them
  ringer lab recursion --question            what it asks, and nothing more

Exit codes: 0 told; 1 it cannot be told to the end; 2 there is no such lesson.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lab {
    /// The lesson; without one they are listed
    #[arg(value_name = "LESSON")]
    lesson: Option<String>,
    /// Print the question only
    #[arg(long, requires = "lesson")]
    question: bool,
}

/// Tells on standard output.
pub(crate) fn run(arguments: &Lab) -> anyhow::Result<ExitCode> {
    let Some(name) = &arguments.lesson else {
        let list: String = LESSONS.iter().map(|l| format!("{:20} {}\n", l.name, l.title)).collect();
        crate::tell(&list);
        return Ok(ExitCode::SUCCESS);
    };
    let Some(lesson) = LESSONS.iter().find(|l| l.name.eq_ignore_ascii_case(name)) else {
        let unknown = UnknownName::new("lesson", name, LESSONS.iter().map(|l| l.name));
        return Ok(crate::refuse(&format!("{unknown}; ringer lab lists them")));
    };
    match tell(lesson, arguments.question) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        // a reader that has gone needs no story
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn tell(lesson: &Lesson, question: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n\n{}", lesson.title, lesson.question)?;
    if question {
        return Ok(());
    }
    writeln!(out)?;
    (lesson.run)(&mut out)?;
    writeln!(out, "\nAnswer: {}", lesson.answer)
}
