//! Lessons: questions that a run answers. Each prints its story in a second or a few.

mod paging;
mod programs;
mod recursion;
mod space;
mod theorems;
mod third;
mod vm370;
mod x86;

use std::io::{self, Write};

/// A lesson.
#[derive(Clone, Copy)]
pub struct Lesson {
    /// What a command line calls it.
    pub name: &'static str,
    /// A title.
    pub title: &'static str,
    /// What it asks.
    pub question: &'static str,
    /// The answer in short.
    pub answer: &'static str,
    /// Prints the story.
    pub run: fn(&mut dyn Write) -> io::Result<()>,
}

/// All lessons, in an order in which they may be read.
pub const LESSONS: &[Lesson] = &[
    Lesson {
        name: "definitions",
        title: "What privileged and sensitive mean",
        question: "Which instructions of the third generation machine are sensitive, and which of these do not trap?",
        answer: "Looked at in all states of a machine of two words: none on the virtualizable variant, and one on \
                 each of the others. Only a readable R is sensitive for users.",
        run: third::definitions,
    },
    Lesson {
        name: "trap-and-emulate",
        title: "A supervisor that is not one",
        question: "How does a monitor run an operating system in user mode without its noticing?",
        answer: "What is innocuous runs on the machine, with the relocation composed; what is sensitive traps, and \
                 an interpreter does it on the virtual machine. After each step the real state is f of the virtual.",
        run: third::trap_and_emulate,
    },
    Lesson {
        name: "resources",
        title: "Guests side by side",
        question: "Can a guest reach what it was not given, or keep the processor?",
        answer: "No: its relocation is composed with a bound that it cannot lift, and the timer is the monitor's.",
        run: third::resources,
    },
    Lesson {
        name: "critical",
        title: "One instruction is enough",
        question: "What goes wrong if a single sensitive instruction does not trap?",
        answer: "Random programs show it within milliseconds: the supervisor sees, or fails to change, what is real.",
        run: theorems::critical,
    },
    Lesson {
        name: "wrong-interpreter",
        title: "A test that can fail",
        question: "Would the comparison notice a monitor that is wrong?",
        answer: "Yes: an LPSW that forgets to load M is found within a few programs.",
        run: theorems::wrong_interpreter,
    },
    Lesson {
        name: "recursion",
        title: "A monitor under a monitor (theorem 2)",
        question: "Does the monitor run as a guest of itself?",
        answer: "Yes, and the guest's guest's guest cannot tell; each level costs a factor.",
        run: recursion::recursion,
    },
    Lesson {
        name: "hybrid",
        title: "The PDP-10 and its JRST 1 (theorem 3)",
        question: "What can be done where a sensitive instruction does not trap, but shows nothing to users?",
        answer: "Supervisors are interpreted, instruction by instruction, and only users run on the machine.",
        run: theorems::hybrid,
    },
    Lesson {
        name: "side-by-side",
        title: "Several machines on one",
        question: "Can an operating system, a monitor and a single user's system share a machine, as under VM/370?",
        answer: "Yes: each gets a window of memory and its turn, and the monitor among them runs a system of its own.",
        run: space::side_by_side,
    },
    Lesson {
        name: "handshake",
        title: "A guest that asks who is there (VM/370)",
        question: "Can one system run on the bare machine and make use of a monitor where there is one?",
        answer: "Yes, by an instruction that the machine gives no meaning: whoever gets an answer calls the monitor once \
                 for many traps. It gives up not to know, and nothing else.",
        run: vm370::handshake,
    },
    Lesson {
        name: "virtual-real",
        title: "Virtual = real (VM/370)",
        question: "What if a guest's addresses are the machine's own?",
        answer: "Then a channel can be given the guest's list as it is, and nothing is translated; one guest alone can \
                 have that, and it has to be trusted.",
        run: vm370::virtual_real,
    },
    Lesson {
        name: "design-space",
        title: "Process and system, type 1 and hosted",
        question: "Which kinds of virtual machines are there, and what does each cost the same program?",
        answer: "By what they offer, a system's calls or a machine; and by what is below, the machine or an operating \
                 system. The fewer instructions a monitor has to do itself, the less it costs.",
        run: space::design_space,
    },
    Lesson {
        name: "efficiency",
        title: "What a trap costs",
        question: "How much of a guest runs at the machine's own speed?",
        answer: "All that is innocuous; what is left depends on how often the guest calls its supervisor.",
        run: recursion::efficiency,
    },
    Lesson {
        name: "popf",
        title: "The POPF story",
        question: "Why could x86 of the 1990s not be virtualized by trap-and-emulate?",
        answer: "A supervisor at CPL 3 that enables interrupts by POPF does not, and is not told.",
        run: x86::popf,
    },
    Lesson {
        name: "x86",
        title: "A supervisor at CPL 3",
        question: "Which instructions give the monitor away on x86 as it is, and is it they alone?",
        answer: "Those that are sensitive and do not trap. Where they are made to trap, random programs are the same.",
        run: x86::critical,
    },
    Lesson {
        name: "shadow-paging",
        title: "Page tables that nobody walks",
        question: "How does a guest have page tables, if the processor's are the monitor's?",
        answer: "The monitor shows a page when it is missed, as the guest's tables have it, and traces stores to them.",
        run: paging::shadow,
    },
    Lesson {
        name: "paravirtual",
        title: "A guest that helps",
        question: "What if the guest may be changed?",
        answer: "It calls where an instruction would not trap, and once where it would trap many times.",
        run: paging::calls,
    },
    Lesson {
        name: "robin-irvine",
        title: "The 17 that are 18",
        question: "Which unprivileged sensitive instructions has the Pentium?",
        answer: "Robin and Irvine's paper is quoted for 17 and names 18; the definitions find more.",
        run: x86::robin_irvine,
    },
];

/// The lesson of that name.
pub fn lesson(name: &str) -> Option<&'static Lesson> {
    LESSONS.iter().find(|l| l.name == name)
}

/// Any error, as one of writing.
fn other(e: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(e)
}

/// A share in percent.
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
