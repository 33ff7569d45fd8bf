//! The same world on the host, for `--verify`.

use std::error::Error;

use wgru::{Engine, StepInput};

use crate::world::{ACTIONS, length, spawn};

/// The tolerance for positions. Devices round sums and functions differently, a few 1e-7 a step, and the policy does
/// not drive agents apart that are so near. A larger difference means a different loop.
const ALLOWED: f32 = 1e-3;

/// Runs all steps on `engine`, and compares `places`, `[N, 4]`, and `lives`, `[N, 2]`, with the results. Returns the
/// largest difference of positions.
pub fn replay(engine: &Engine, steps: usize, places: &[f32], lives: &[u32]) -> Result<f32, Box<dyn Error>> {
    let agents = lives.len() / 2;
    let mut own: Vec<[f32; 4]> = (0..agents).map(|agent| spawn(agent as u32, 0)).collect();
    let mut own_lives = vec![[0u32; 2]; agents];
    let (mut session, mut begun) = (engine.session(agents)?, vec![0; agents]);
    let mut output = session.output()?;
    for _ in 0..steps {
        let observe = |&[x, y, to_x, to_y]: &[f32; 4]| [to_x - x, to_y - y, x, y];
        let x: Vec<f32> = own.iter().flat_map(observe).collect();
        session.step_into(StepInput::new(&x).resets(&begun), &mut output)?;
        let actions = output.out.as_deref().unwrap_or_default().chunks_exact(ACTIONS);
        for (agent, (((place, life), action), begun)) in
            own.iter_mut().zip(&mut own_lives).zip(actions).zip(&mut begun).enumerate()
        {
            (place[0], place[1]) = (place[0] + 0.125 * action[0], place[1] + 0.125 * action[1]);
            life[0] += 1;
            *begun = u32::from(life[0] >= length(agent as u32, life[1]));
            if *begun != 0 {
                *life = [0, life[1] + 1];
                *place = spawn(agent as u32, life[1]);
            }
        }
    }
    if own_lives.concat() != lives {
        return Err("episodes differ from those of the CPU path".into());
    }
    let worst = own.concat().iter().zip(places).map(|(own, other)| (own - other).abs()).fold(0.0, f32::max);
    if worst.is_nan() || worst > ALLOWED {
        return Err(
            format!("a place differs by {worst:e} from that of the CPU path, allowed {ALLOWED:e}").into()
        );
    }
    Ok(worst)
}
