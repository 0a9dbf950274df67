//! `--display text`: the text screen drawn in the terminal.

use super::UserEvent;
use super::cp437::character;
use anyhow::Context;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Color, Print, ResetColor, SetBackgroundColor, SetForegroundColor};
use crossterm::terminal::{self, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue};
use dev::keys::Key;
use std::io::{Stdout, Write, stdout};
use std::sync::mpsc::{Receiver, sync_channel};

/// Key events that may wait for the machine.
const MOST_EVENTS: usize = 1024;

/// A character of the guest's screen with its colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The code in code page 437.
    pub(crate) code: u8,
    /// Foreground: red, green, blue.
    pub(crate) ink: [u8; 3],
    /// Background.
    pub(crate) paper: [u8; 3],
}

/// A text screen as it is to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) cols: usize,
    pub(crate) cells: Vec<Cell>,
    /// Column and row.
    pub(crate) cursor: Option<(usize, usize)>,
}

/// The terminal while it shows a guest.
pub(crate) struct TextDisplay {
    out: Stdout,
    events: Receiver<Event>,
    shown: Option<Page>,
    escaped: bool,
}

impl TextDisplay {
    /// Takes the terminal over.
    pub(crate) fn open() -> anyhow::Result<TextDisplay> {
        let context = "the terminal cannot show a screen; --headless does without";
        terminal::enable_raw_mode().context(context)?;
        let mut out = stdout();
        let (send, events) = sync_channel(MOST_EVENTS);
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        let display = TextDisplay { out: stdout(), events, shown: None, escaped: false };
        execute!(out, EnterAlternateScreen).context(context)?;
        Ok(display)
    }

    /// Draws what has changed since the last time.
    pub(crate) fn show(&mut self, page: Page) -> std::io::Result<()> {
        if self.shown.as_ref() == Some(&page) {
            return Ok(());
        }
        let same_shape = self.shown.as_ref().is_some_and(|s| s.cols == page.cols);
        if !same_shape {
            queue!(self.out, ResetColor, terminal::Clear(ClearType::All))?;
            self.shown = None;
        }
        let (width, height) = terminal::size()?;
        queue!(self.out, cursor::Hide)?;
        for row in 0..(page.cells.len() / page.cols.max(1)).min(height.into()) {
            self.draw_row(&page, row, width.into())?;
        }
        if let Some((col, row)) = page.cursor.filter(|&(c, r)| c < width.into() && r < height.into()) {
            queue!(self.out, cursor::MoveTo(col as u16, row as u16), cursor::Show)?;
        }
        self.shown = Some(page);
        self.out.flush()
    }

    fn draw_row(&mut self, page: &Page, row: usize, width: usize) -> std::io::Result<()> {
        let cells = &page.cells[row * page.cols..(row + 1) * page.cols];
        let old = self.shown.as_ref().and_then(|s| s.cells.get(row * page.cols..(row + 1) * page.cols));
        if old == Some(cells) {
            return Ok(());
        }
        queue!(self.out, cursor::MoveTo(0, row as u16))?;
        for run in cells[..page.cols.min(width)].chunk_by(|a, b| (a.ink, a.paper) == (b.ink, b.paper)) {
            let text: String = run.iter().map(|c| character(c.code)).collect();
            let (ink, paper) = (colour(run[0].ink), colour(run[0].paper));
            queue!(self.out, SetForegroundColor(ink), SetBackgroundColor(paper), Print(text))?;
        }
        queue!(self.out, ResetColor)
    }

    /// Says in the first row what is going on where there is no text to show.
    pub(crate) fn say(&mut self, what: &str) -> std::io::Result<()> {
        self.shown = None;
        queue!(self.out, ResetColor, terminal::Clear(ClearType::All), cursor::MoveTo(0, 0), Print(what))?;
        self.out.flush()
    }

    /// What the user typed since the last call.
    pub(crate) fn events(&mut self) -> Vec<UserEvent> {
        let mut out = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => self.typed(key, &mut out),
                Event::Paste(text) => {
                    text.chars().for_each(|c| strokes(KeyCode::Char(c), KeyModifiers::NONE, &mut out));
                }
                Event::Resize(..) => self.shown = None,
                _ => {}
            }
        }
        out
    }

    /// Ctrl-a is the way out: Ctrl-a x ends, Ctrl-a Ctrl-a is Ctrl-a, Ctrl-a d is Ctrl-Alt-Delete.
    fn typed(&mut self, key: KeyEvent, out: &mut Vec<UserEvent>) {
        let ctrl_a = key.code == KeyCode::Char('a') && key.modifiers == KeyModifiers::CONTROL;
        match (std::mem::take(&mut self.escaped), key.code) {
            (true, KeyCode::Char('x' | 'X')) => out.push(UserEvent::Quit),
            (true, KeyCode::Char('d' | 'D')) => {
                out.extend(super::ctrl_alt_delete());
            }
            (false, _) if ctrl_a => self.escaped = true,
            _ => strokes(key.code, key.modifiers, out),
        }
    }
}

impl Drop for TextDisplay {
    fn drop(&mut self) {
        // nothing better can be done where even this fails
        let _ = execute!(self.out, ResetColor, cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

fn colour([r, g, b]: [u8; 3]) -> Color {
    Color::Rgb { r, g, b }
}

/// The keys that type what a terminal reports, modifiers first, and their release.
fn strokes(code: KeyCode, modifiers: KeyModifiers, out: &mut Vec<UserEvent>) {
    let Some((key, shifted)) = key_of(code) else { return };
    let held = [
        (modifiers.contains(KeyModifiers::CONTROL), "ctrl"),
        (modifiers.contains(KeyModifiers::ALT), "alt"),
        (shifted || modifiers.contains(KeyModifiers::SHIFT) && !matches!(code, KeyCode::Char(_)), "shift"),
    ];
    let held = held.iter().filter(|(on, _)| *on).filter_map(|(_, name)| Key::from_qcode(name));
    let keys: Vec<Key> = held.chain([key]).collect();
    out.extend(keys.iter().map(|&k| UserEvent::Key(k, true)));
    out.extend(keys.iter().rev().map(|&k| UserEvent::Key(k, false)));
}

fn key_of(code: KeyCode) -> Option<(Key, bool)> {
    let name = match code {
        KeyCode::Char(c) => return Key::for_char(c),
        KeyCode::F(n) => return Key::from_qcode(&format!("f{n}")).map(|k| (k, false)),
        KeyCode::BackTab => return Key::from_qcode("tab").map(|k| (k, true)),
        KeyCode::Enter => "ret",
        KeyCode::Backspace => "backspace",
        KeyCode::Tab => "tab",
        KeyCode::Esc => "esc",
        KeyCode::Left => "left",
        KeyCode::Right => "right",
        KeyCode::Up => "up",
        KeyCode::Down => "down",
        KeyCode::Home => "home",
        KeyCode::End => "end",
        KeyCode::PageUp => "pgup",
        KeyCode::PageDown => "pgdn",
        KeyCode::Insert => "insert",
        KeyCode::Delete => "delete",
        _ => return None,
    };
    Key::from_qcode(name).map(|k| (k, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: KeyCode, modifiers: KeyModifiers) -> Vec<String> {
        let mut out = Vec::new();
        strokes(code, modifiers, &mut out);
        let name = |e: &UserEvent| match e {
            UserEvent::Key(k, true) => format!("+{}", k.name()),
            UserEvent::Key(k, false) => format!("-{}", k.name()),
            other => format!("{other:?}"),
        };
        out.iter().map(name).collect()
    }

    #[test]
    fn modifiers_are_held_around_the_key() {
        assert_eq!(names(KeyCode::Char('c'), KeyModifiers::CONTROL), ["+ctrl", "+c", "-c", "-ctrl"]);
        assert_eq!(names(KeyCode::Char('A'), KeyModifiers::SHIFT), ["+shift", "+a", "-a", "-shift"]);
        assert_eq!(names(KeyCode::F(12), KeyModifiers::NONE), ["+f12", "-f12"]);
        assert_eq!(names(KeyCode::Left, KeyModifiers::SHIFT), ["+shift", "+left", "-left", "-shift"]);
    }
}
