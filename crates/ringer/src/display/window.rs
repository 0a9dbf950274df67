//! `--display window`: text and graphics in a window of the desktop, with keyboard and mouse.
//!
//! Keys go to the guest by their place on the keyboard, whatever the host's layout says. The *host key* is the
//! user's own: alone it takes or releases the mouse, with another key it asks something of Ringer.

use super::UserEvent;
use super::window_keys::key;
use dev::keys::Key;
use dev::vga::Frame;
use softbuffer::{Context, Surface};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::{
    DeviceEvent, DeviceId, ElementState, KeyEvent, MouseButton, MouseScrollDelta, WindowEvent,
};
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::keyboard::{KeyCode, PhysicalKey};
use winit::platform::pump_events::{EventLoopExtPumpEvents, PumpStatus};
use winit::window::{CursorGrabMode, Fullscreen, Window, WindowId};

/// The picture before the guest has shown one.
const FIRST_SIZE: (usize, usize) = (720, 400);
/// Pixels of a touchpad that count as one step of the wheel.
const WHEEL_STEP: f64 = 40.0;

type Canvas = Surface<Rc<Window>, Rc<Window>>;

/// The window while it shows a guest.
pub(crate) struct WindowDisplay {
    events: EventLoop<()>,
    state: Shown,
}

/// What the event loop works on.
struct Shown {
    window: Option<(Rc<Window>, Canvas)>,
    /// Why there is no window.
    failed: Option<String>,
    frame: Frame,
    /// Window pixels for one of the guest's, as the user last asked for.
    scale: u32,
    grabbed: bool,
    host: HostKey,
    /// Keys that the guest takes for pressed.
    pressed: Vec<Key>,
    /// Mouse buttons that are down, as the guest's mouse has them.
    buttons: u8,
    /// Parts of a mouse count, of a step of the wheel.
    rest: (f64, f64, f64),
    out: Vec<UserEvent>,
}

/// The user's own key.
struct HostKey {
    key: Key,
    down: bool,
    /// Another key came while it was down.
    used: bool,
}

impl WindowDisplay {
    /// Opens a window.
    pub(crate) fn open(host: Key) -> anyhow::Result<WindowDisplay> {
        // the library's own words name its source
        let Ok(events) = EventLoop::new() else {
            anyhow::bail!(
                "no window can be opened: no desktop answers at DISPLAY or WAYLAND_DISPLAY; --headless does without"
            );
        };
        let (width, height) = FIRST_SIZE;
        let state = Shown {
            window: None,
            failed: None,
            frame: Frame { width, height, pixels: vec![0; width * height] },
            scale: 1,
            grabbed: false,
            host: HostKey { key: host, down: false, used: false },
            pressed: Vec::new(),
            buttons: 0,
            rest: (0.0, 0.0, 0.0),
            out: Vec::new(),
        };
        let mut display = WindowDisplay { events, state };
        display.pump();
        match display.state.failed.take() {
            Some(why) => anyhow::bail!("no window can be opened: {why}; --headless does without"),
            None => Ok(display),
        }
    }

    fn pump(&mut self) {
        let status = self.events.pump_app_events(Some(Duration::ZERO), &mut self.state);
        if matches!(status, PumpStatus::Exit(_)) {
            self.state.out.push(UserEvent::Quit);
        }
    }

    /// What the user did since the last call.
    pub(crate) fn events(&mut self) -> Vec<UserEvent> {
        self.pump();
        std::mem::take(&mut self.state.out)
    }

    /// Shows a picture.
    pub(crate) fn show(&mut self, frame: Frame) {
        let resized = (frame.width, frame.height) != (self.state.frame.width, self.state.frame.height);
        self.state.frame = frame;
        if resized {
            self.state.fit();
        }
        self.state.redraw();
    }
}

impl ApplicationHandler for Shown {
    fn resumed(&mut self, on: &ActiveEventLoop) {
        if self.window.is_none()
            && let Err(e) = self.create(on)
        {
            self.failed = Some(e.to_string());
        }
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.out.push(UserEvent::Quit),
            WindowEvent::RedrawRequested => self.draw(),
            WindowEvent::Resized(_) => self.redraw(),
            WindowEvent::Focused(false) => self.unfocused(),
            // keys that were pressed elsewhere are not the guest's
            WindowEvent::KeyboardInput { event, is_synthetic: false, .. } => self.typed(&event),
            WindowEvent::MouseInput { state, button, .. } => {
                self.clicked(button, state == ElementState::Pressed)
            }
            WindowEvent::MouseWheel { delta, .. } => self.turned(delta),
            _ => {}
        }
    }

    fn device_event(&mut self, _: &ActiveEventLoop, _: DeviceId, event: DeviceEvent) {
        if let DeviceEvent::MouseMotion { delta: (x, y) } = event
            && self.grabbed
        {
            self.rest.0 += x;
            self.rest.1 += y;
            let (dx, dy) = (self.rest.0.trunc(), self.rest.1.trunc());
            self.rest.0 -= dx;
            self.rest.1 -= dy;
            if (dx, dy) != (0.0, 0.0) {
                // windows count downwards, the mouse upwards
                self.mouse(dx as i32, -(dy as i32), 0);
            }
        }
    }
}

impl Shown {
    fn create(&mut self, on: &ActiveEventLoop) -> anyhow::Result<()> {
        let attributes = Window::default_attributes().with_title("Ringer").with_inner_size(self.size());
        let window = Rc::new(on.create_window(attributes)?);
        let context = Context::new(window.clone()).map_err(|e| anyhow::anyhow!("{e}"))?;
        let canvas = Surface::new(&context, window.clone()).map_err(|e| anyhow::anyhow!("{e}"))?;
        self.window = Some((window, canvas));
        self.entitle();
        Ok(())
    }

    /// The window's size for the picture at the scale.
    fn size(&self) -> PhysicalSize<u32> {
        PhysicalSize::new(self.frame.width as u32 * self.scale, self.frame.height as u32 * self.scale)
    }

    /// Gives the window the picture's size.
    fn fit(&self) {
        if let Some((window, _)) = &self.window
            && window.fullscreen().is_none()
            && !window.is_maximized()
        {
            // where the desktop decides sizes, the picture is scaled
            let _ = window.request_inner_size(self.size());
        }
    }

    fn redraw(&self) {
        if let Some((window, _)) = &self.window {
            window.request_redraw();
        }
    }

    fn draw(&mut self) {
        let Some((window, canvas)) = &mut self.window else { return };
        let size = window.inner_size();
        let (Some(width), Some(height)) = (NonZeroU32::new(size.width), NonZeroU32::new(size.height)) else {
            return;
        };
        // a window that is going away cannot be drawn, and need not be
        if canvas.resize(width, height).is_ok()
            && let Ok(mut buffer) = canvas.buffer_mut()
        {
            scale(&self.frame, &mut buffer, size.width as usize, size.height as usize);
            let _ = buffer.present();
        }
    }

    fn entitle(&self) {
        let Some((window, _)) = &self.window else { return };
        let host = self.host.key.name();
        let what = if self.grabbed { "releases the mouse" } else { "or a click takes the mouse" };
        window.set_title(&format!("Ringer - {host} {what}"));
    }

    fn grab(&mut self, on: bool) {
        let Some((window, _)) = &self.window else { return };
        let mode = if on { CursorGrabMode::Locked } else { CursorGrabMode::None };
        let taken = window.set_cursor_grab(mode).or_else(|_| {
            // X11 confines instead of locking
            window.set_cursor_grab(if on { CursorGrabMode::Confined } else { CursorGrabMode::None })
        });
        self.grabbed = on && taken.is_ok();
        window.set_cursor_visible(!self.grabbed);
        self.entitle();
    }

    /// Nothing stays pressed that the window does not see released.
    fn unfocused(&mut self) {
        let released = std::mem::take(&mut self.pressed);
        self.out.extend(released.into_iter().map(|k| UserEvent::Key(k, false)));
        if std::mem::take(&mut self.buttons) != 0 {
            self.mouse(0, 0, 0);
        }
        self.host.down = false;
        self.grab(false);
    }

    fn typed(&mut self, event: &KeyEvent) {
        let PhysicalKey::Code(code) = event.physical_key else { return };
        let down = event.state == ElementState::Pressed;
        let Some(key) = key(code) else { return };
        if key == self.host.key {
            return self.host_key(down);
        }
        match (self.host.down, down) {
            (true, true) => {
                self.host.used = true;
                if !event.repeat {
                    self.ask(code);
                }
            }
            // of a key that was pressed before the host key, or with it
            (true, false) if !self.pressed.contains(&key) => {}
            _ => self.stroke(key, down),
        }
    }

    fn stroke(&mut self, key: Key, down: bool) {
        self.pressed.retain(|&k| k != key);
        if down {
            self.pressed.push(key);
        }
        self.out.push(UserEvent::Key(key, down));
    }

    fn host_key(&mut self, down: bool) {
        if down && !self.host.down {
            self.host.used = false;
        }
        let alone = !down && self.host.down && !self.host.used;
        self.host.down = down;
        if alone {
            self.grab(!self.grabbed);
        }
    }

    /// What a key asks for that is pressed with the host key.
    fn ask(&mut self, code: KeyCode) {
        match code {
            KeyCode::KeyF => self.fullscreen(),
            KeyCode::KeyQ => self.out.push(UserEvent::Quit),
            KeyCode::KeyP => self.out.push(UserEvent::PowerButton),
            KeyCode::KeyD | KeyCode::Delete => self.out.extend(super::ctrl_alt_delete()),
            KeyCode::Digit1 => self.zoom(1),
            KeyCode::Digit2 => self.zoom(2),
            KeyCode::Digit3 => self.zoom(3),
            KeyCode::Digit4 => self.zoom(4),
            _ => {}
        }
    }

    fn zoom(&mut self, scale: u32) {
        self.scale = scale;
        self.fit();
    }

    fn fullscreen(&self) {
        if let Some((window, _)) = &self.window {
            let now = window.fullscreen().is_some();
            window.set_fullscreen((!now).then_some(Fullscreen::Borderless(None)));
        }
    }

    fn clicked(&mut self, button: MouseButton, down: bool) {
        if !self.grabbed {
            // the click that takes the mouse is not the guest's
            if down && button == MouseButton::Left {
                self.grab(true);
            }
            return;
        }
        let bit = match button {
            MouseButton::Left => 1,
            MouseButton::Right => 2,
            MouseButton::Middle => 4,
            MouseButton::Back => 8,
            MouseButton::Forward => 16,
            MouseButton::Other(_) => return,
        };
        self.buttons = if down { self.buttons | bit } else { self.buttons & !bit };
        self.mouse(0, 0, 0);
    }

    fn turned(&mut self, delta: MouseScrollDelta) {
        if !self.grabbed {
            return;
        }
        self.rest.2 += match delta {
            MouseScrollDelta::LineDelta(_, y) => f64::from(y),
            MouseScrollDelta::PixelDelta(p) => p.y / WHEEL_STEP,
        };
        let steps = self.rest.2.trunc();
        self.rest.2 -= steps;
        if steps != 0.0 {
            // away from the user is negative for the guest
            self.mouse(0, 0, -(steps as i32));
        }
    }

    fn mouse(&mut self, dx: i32, dy: i32, dz: i32) {
        self.out.push(UserEvent::Mouse { dx, dy, dz, buttons: self.buttons });
    }
}

/// Draws a picture as large as it goes with its proportions, black around it; by whole factors where it fits.
fn scale(frame: &Frame, to: &mut [u32], width: usize, height: usize) {
    to.fill(0);
    if frame.width == 0 || frame.height == 0 || frame.pixels.len() < frame.width * frame.height {
        return;
    }
    let whole = (width / frame.width).min(height / frame.height);
    let (w, h) = match whole {
        0 if width * frame.height < height * frame.width => (width, frame.height * width / frame.width),
        0 => (frame.width * height / frame.height, height),
        n => (frame.width * n, frame.height * n),
    };
    let (left, top) = ((width - w) / 2, (height - h) / 2);
    for y in 0..h {
        let from = &frame.pixels[y * frame.height / h * frame.width..][..frame.width];
        let line = &mut to[(top + y) * width + left..][..w];
        line.iter_mut().enumerate().for_each(|(x, pixel)| *pixel = from[x * frame.width / w]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(width: usize, height: usize) -> Vec<u32> {
        let frame = Frame { width: 2, height: 2, pixels: vec![1, 2, 3, 4] };
        let mut out = vec![9; width * height];
        scale(&frame, &mut out, width, height);
        out
    }

    #[test]
    fn pictures_keep_their_proportions() {
        assert_eq!(scaled(2, 2), [1, 2, 3, 4]);
        assert_eq!(scaled(4, 4), [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
        assert_eq!(scaled(4, 2), [0, 1, 2, 0, 0, 3, 4, 0]);
        assert_eq!(scaled(1, 1), [1]);
        assert_eq!(scaled(3, 1), [0, 1, 0]);
        assert!(scaled(0, 5).is_empty());
    }

    #[test]
    fn a_picture_without_pixels_is_black() {
        let mut out = vec![9; 4];
        scale(&Frame { width: 640, height: 480, pixels: Vec::new() }, &mut out, 2, 2);
        assert_eq!(out, [0; 4]);
    }
}
