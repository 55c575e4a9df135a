"""The samplers by the names that configs use; ``ddpm`` is the reference that runs every step."""

from sovits.nets.diffusion.samplers.ddpm import ddpm
from sovits.nets.diffusion.samplers.grid import ddim, pndm
from sovits.nets.diffusion.samplers.multistep import dpm_solver, dpm_solver_pp, unipc
from sovits.nets.diffusion.samplers.protocol import Denoise, Sampler, Tick

SAMPLERS: dict[str, Sampler] = {
    "ddpm": ddpm,
    "ddim": ddim,
    "pndm": pndm,
    "dpm-solver": dpm_solver,
    "dpm-solver++": dpm_solver_pp,
    "unipc": unipc,
}

__all__ = ["SAMPLERS", "Denoise", "Sampler", "Tick"]
