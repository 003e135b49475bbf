"""From noise to maps of latents, step by step, with the schedulers of `diffusers`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganvas.models.diffusion_config import TRAINING_STEPS, LatentDiffusionConfig, Sampler

Predictor = Callable[[Tensor, Tensor], Tensor]
"""Maps with noise (N, C, h, w) and their time () -> what the network predicts, of that shape."""

# The paper's code has these ends for the maps of its first stages.
_BETAS = {"beta_start": 0.00085, "beta_end": 0.012}


_HIGHEST = 80.0
"""sigma_t / alpha_t that is as good as pure noise (Karras et al. 2022, table 1)."""


def noising(config: LatentDiffusionConfig) -> Any:
    """The `DDPMScheduler` that adds noise in training."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**_forward_process(config), clip_sample=False)


def scheduler_for(config: LatentDiffusionConfig, sampler: Sampler) -> Any:
    """The scheduler of `diffusers` that draws; all three add no noise of their own.

    All begin at pure noise, the time 999 ("trailing", Lin et al. 2024), and end at the prediction
    of the picture. Latents are not bounded as pixels are, so that nothing is clipped.

    DDIM is the first order of DPM-Solver++ (Lu et al. 2022, section 4.1), as which it is right for
    every number of steps; the `DDIMScheduler` misses the times of its steps where their number does
    not divide 1000.

    Heun goes by sigma_t / alpha_t, which is over 20,000 where the cosine schedule ends. In even
    times its first step would lead from there to 12, and make much of the smallest error; so it
    takes the times of its authors (Karras et al. 2022, eq. 5), and begins no higher than they do.
    """
    from diffusers import DPMSolverMultistepScheduler, HeunDiscreteScheduler

    common = {**_forward_process(config), "timestep_spacing": "trailing"}
    if sampler == "heun":
        heun = HeunDiscreteScheduler(**common, use_karras_sigmas=True)
        heun.register_to_config(sigma_max=min(_HIGHEST, float(heun.sigmas.max())))
        return heun
    return DPMSolverMultistepScheduler(**common, solver_order=1 if sampler == "ddim" else 2)


def _forward_process(config: LatentDiffusionConfig) -> dict[str, Any]:
    """What every scheduler has to know of q(z_t | z_0), and of what the network predicts."""
    return {
        "num_train_timesteps": TRAINING_STEPS,
        "beta_schedule": config.schedule,
        "prediction_type": "v_prediction" if config.prediction == "v" else "epsilon",
        **_BETAS,
    }


def draw(
    scheduler: Any, predict: Predictor, noise: Tensor, steps: int, advance: Callable[[int], None]
) -> Tensor:
    """Maps of latents (N, C, h, w) from standard normal noise of that shape.

    Args:
        scheduler: As `scheduler_for` makes it, for this call alone: it remembers the last steps.
        predict: The network, with its caption and its guidance.
        noise: z_T.
        steps: From there to z_0.
        advance: Called with the pictures that were finished since the last call, a picture being
            finished by its share of the steps.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    maps, finished = noise * float(scheduler.init_noise_sigma), 0
    for i, time in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(maps, time)
        maps = scheduler.step(predict(scaled, time), time, maps).prev_sample
        now = len(noise) * (i + 1) // len(scheduler.timesteps)
        advance(now - finished)
        finished = now
    return maps.to(torch.float32)
