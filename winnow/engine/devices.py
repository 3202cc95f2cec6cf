"""CUDA devices for worker processes: one for each worker, dealt in turn, so that every device is used.

A worker sees its own device alone, through CUDA_VISIBLE_DEVICES, so that whatever runs in it computes there, the user's
own code included.
"""

import os

VISIBLE = "CUDA_VISIBLE_DEVICES"  # CUDA reads it when a process first uses a device
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # where it is not set, PyTorch refuses cuBLAS in its deterministic mode


def devices() -> list[str]:
    """The devices that this process may use, as CUDA_VISIBLE_DEVICES names them; none without CUDA."""
    import torch  # here, so that what starts no worker need not load it

    if not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    listed = os.environ.get(VISIBLE)
    names = [str(number) for number in range(count)] if listed is None else [one.strip() for one in listed.split(",")]
    return names[:count]  # CUDA takes no name after the first that it does not know


def deal_devices(jobs: int, cores: int) -> list[str | None]:
    """The device of each worker, or None without CUDA: a worker a core, and no fewer workers than devices.

    Args:
        jobs: that there are; more workers would have nothing to do.
        cores: of the machine.
    """
    names = devices()
    count = min(jobs, max(cores, len(names)))
    return [names[worker % len(names)] if names else None for worker in range(count)]


def keep_to(device: str | None) -> None:
    """Let this process see one device; all that there are where it is None. Before anything here uses CUDA."""
    if device is not None:
        os.environ[VISIBLE] = device
        os.environ.setdefault(WORKSPACE, ":4096:8")
