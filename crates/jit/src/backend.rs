//! Cranelift, in one place: settings, functions, machine code.

use cranelift_codegen::FinalizedRelocTarget;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, ExternalName, Function, Signature};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

/// How much the compiler tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effort {
    /// Quick code, quickly: instructions stay where they were written, which regions rely on ([`crate::raised`]).
    None,
    /// Good code, for the engine's own routines.
    Speed,
}

/// Host addresses that compiled code calls or jumps to.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Addresses {
    /// The dispatcher in compiled code.
    pub(crate) dispatch: u64,
    /// `callout.rs`.
    pub(crate) callout: u64,
    /// [`crate::attempt::attempt`].
    pub(crate) attempt: u64,
    /// [`crate::attempt::attempt_flags`].
    pub(crate) attempt_flags: u64,
    /// [`crate::whole::whole`].
    pub(crate) whole: u64,
    /// `engine::settle_flags`.
    pub(crate) settle: u64,
    /// [`crate::access::fine_signature`].
    pub(crate) fine: u64,
    /// [`crate::across::across`] or [`crate::tagged::missed`], by PreserveAll.
    pub(crate) across: u64,
    /// [`crate::across::store_across`] or [`crate::tagged::store_missed`], by PreserveAll.
    pub(crate) store_across: u64,
    /// `engine::bring_x87_in`, by PreserveAll.
    pub(crate) x87_in: u64,
    /// `engine::x87_function`.
    pub(crate) x87_function: u64,
}

/// Why code could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// There is no back end for this host.
    #[error("no compiler for this host: {0}")]
    Host(String),
    /// The compiler refused a function: an error of this crate.
    #[error("the compiler refused a region: {0}")]
    Refused(String),
}

/// Cranelift for this host, at two levels of effort.
pub(crate) struct Backend {
    quick: OwnedTargetIsa,
    good: OwnedTargetIsa,
    context: cranelift_codegen::Context,
    builder: FunctionBuilderContext,
}

fn target(level: &str) -> Result<OwnedTargetIsa, BackendError> {
    let mut b = settings::builder();
    let checked = if cfg!(debug_assertions) { "true" } else { "false" };
    let wanted = [
        ("opt_level", level),
        ("enable_verifier", checked),
        ("unwind_info", "false"),
        // tail calls need them
        ("preserve_frame_pointers", "true"),
        ("is_pic", "false"),
        ("enable_probestack", "false"),
        ("enable_heap_access_spectre_mitigation", "false"),
        ("enable_table_access_spectre_mitigation", "false"),
    ];
    for (name, value) in wanted {
        b.set(name, value).map_err(|e| BackendError::Host(e.to_string()))?;
    }
    // Cranelift has more back ends, but no test of this crate was ever run on those hosts, one of which is big-endian
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err(BackendError::Host(format!("it was never tried on {}", std::env::consts::ARCH)));
    }
    let host = cranelift_native::builder().map_err(|e| BackendError::Host(e.to_owned()))?;
    host.finish(settings::Flags::new(b)).map_err(|e| BackendError::Host(e.to_string()))
}

/// A signature of 64-bit arguments without results.
pub(crate) fn signature(convention: CallConv, arguments: usize) -> Signature {
    let mut s = Signature::new(convention);
    s.params.extend(std::iter::repeat_n(AbiParam::new(I64), arguments));
    s
}

impl Backend {
    pub(crate) fn new() -> Result<Backend, BackendError> {
        Ok(Backend {
            quick: target("none")?,
            good: target("speed")?,
            context: cranelift_codegen::Context::new(),
            builder: FunctionBuilderContext::new(),
        })
    }

    /// The convention of Rust's `extern "C"`.
    pub(crate) fn host_convention(&self) -> CallConv {
        self.quick.default_call_conv()
    }

    /// Compiles what `build` writes; returns the machine code, which is position-independent.
    pub(crate) fn compile(
        &mut self,
        signature: Signature,
        effort: Effort,
        build: impl FnOnce(&mut FunctionBuilder<'_>),
    ) -> Result<Vec<u8>, BackendError> {
        self.write(signature, effort, build);
        self.translate(effort, &[])
    }

    /// As [`Backend::compile`]; `build` gives the code of routines, which follows the function's. Calls of them are
    /// those of functions with their numbers.
    pub(crate) fn compile_with_routines(
        &mut self,
        signature: Signature,
        effort: Effort,
        build: impl FnOnce(&mut FunctionBuilder<'_>) -> Vec<Vec<u8>>,
    ) -> Result<Vec<u8>, BackendError> {
        let routines = self.write(signature, effort, build);
        self.translate(effort, &routines)
    }

    /// Has `build` write a function.
    pub(crate) fn write<T>(
        &mut self,
        signature: Signature,
        effort: Effort,
        build: impl FnOnce(&mut FunctionBuilder<'_>) -> T,
    ) -> T {
        self.context.clear();
        self.context.func = Function::with_name_signature(Default::default(), signature);
        let mut b = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        let given = build(&mut b);
        let target = if effort == Effort::None { &self.quick } else { &self.good };
        b.finalize(target.frontend_config());
        given
    }

    /// What was written, as text.
    pub(crate) fn text(&self) -> String {
        self.context.func.display().to_string()
    }

    /// Compiles what was written, and appends its routines.
    pub(crate) fn translate(
        &mut self,
        effort: Effort,
        routines: &[Vec<u8>],
    ) -> Result<Vec<u8>, BackendError> {
        let target = if effort == Effort::None { &self.quick } else { &self.good };
        match self.context.compile(&**target, &mut ControlPlane::default()) {
            Ok(_) => self.linked(routines).ok_or_else(|| BackendError::Refused("relocations".to_owned())),
            Err(e) => {
                let why = cranelift_codegen::print_errors::pretty_error(e.func, e.inner);
                // what was begun is of no use to the next function
                self.builder = FunctionBuilderContext::new();
                Err(BackendError::Refused(why))
            }
        }
    }

    /// The code with its routines behind it, and calls of them with their distances.
    fn linked(&self, routines: &[Vec<u8>]) -> Option<Vec<u8>> {
        let code = self.context.compiled_code()?;
        let mut bytes = code.code_buffer().to_vec();
        let mut starts = Vec::with_capacity(routines.len());
        for r in routines {
            starts.push(bytes.len());
            bytes.extend_from_slice(r);
        }
        let names = self.context.func.params.user_named_funcs();
        for r in code.buffer.relocs() {
            let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = r.target else { return None };
            let start = *starts.get(names.get(name)?.index as usize)?;
            if r.kind != Reloc::X86CallPCRel4 {
                return None;
            }
            let at = r.offset as usize;
            let distance = i32::try_from(start as i64 - at as i64 + r.addend).ok()?;
            bytes.get_mut(at..at + 4)?.copy_from_slice(&distance.to_le_bytes());
        }
        Some(bytes)
    }
}
