//! KVM's word on a witness: both of its states, those of CPL 0 as well.

use crate::host_witness::Answer;
use classify::Witness;
use classify::witness::WitnessError;

/// Who has answered, and what of each state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// KVM's emulator, or the processor by KVM.
    pub who: &'static str,
    /// The first state's, and the second's where there is one.
    pub answers: Vec<Answer>,
}

/// Asks KVM of a witness; within, why there is none.
///
/// # Errors
/// It is no witness.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn ask(witness: &Witness) -> Result<Result<Said, String>, WitnessError> {
    witness.states().map(|_| Err("the host is no x86-64 Linux".to_owned()))
}

/// Asks KVM of a witness; within, why there is none.
///
/// # Errors
/// It is no witness.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub fn ask(witness: &Witness) -> Result<Result<Said, String>, WitnessError> {
    let (mut world, states) = witness.states()?;
    let said = crate::kvm::Kvm::new().map(|mut kvm| {
        let who = kvm.who();
        let answer = |(choice, level, x)| answer(&mut kvm, &mut world, &choice, level, x);
        Said { who, answers: states.into_iter().map(answer).collect() }
    });
    Ok(said)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn answer(
    kvm: &mut crate::kvm::Kvm,
    world: &mut classify::world::World,
    choice: &classify::axes::Choice,
    level: classify::world::Level,
    x: Option<classify::relocation::Relocation>,
) -> Answer {
    use crate::kvm::Outcome;
    let (posed, outcome) = kvm.ask(world, choice, level, x);
    let model = posed.run.trap.map_or(Outcome::Completes, Outcome::Traps);
    match outcome {
        Outcome::Silent(why) => Answer::Unasked(why),
        _ if outcome != model => Answer::Differs { model: model.to_string(), host: outcome.to_string() },
        _ => match kvm.compare(&posed) {
            Some(Err(what)) => Answer::Differs {
                model: model.to_string(),
                host: format!("{outcome} and leaves other {what}"),
            },
            _ => Answer::Agrees(outcome.to_string()),
        },
    }
}
