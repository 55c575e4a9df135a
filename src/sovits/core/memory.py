"""When a device runs out of memory: telling that from other errors, and giving back what is held but not used."""

from __future__ import annotations

#: What errors of torch say that are of no class of their own. A GPU's libraries run out of memory too, and cuDNN finds
#: no way to compute a convolution when no way gets the memory it needs.
_WORDS = (
    "out of memory",
    "alloc_failed",
    "allocation_failed",
    "unable to find an engine",
    "unable to find a valid cudnn algorithm",
    "can't allocate memory",
    "not enough memory",
)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or numpy says that there is too little memory, on a GPU or in this machine."""
    if isinstance(error, MemoryError):
        return True
    # torch.OutOfMemoryError is a RuntimeError and says "out of memory".
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def give_back_memory() -> None:
    """Return what torch keeps of GPUs for later use. Call it where the error is over: until then it holds tensors."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
