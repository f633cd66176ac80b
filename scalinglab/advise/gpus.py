"""GPUs by name, with the figures of their data sheets, and how many of them: "8xH100"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scalinglab.errors import DataError


@dataclass(frozen=True)
class Gpu:
    """A GPU: dense BF16 FLOP/s (1 FLOP = one multiply or add), memory in bytes and its bandwidth in bytes/s.

    source: the vendor's data sheet, and what it says. With structured sparsity vendors print twice the dense rate.
    """

    name: str
    peak: float
    bandwidth: float
    memory: float
    source: str


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("H100 SXM", 989.5e12, 3.35e12, 80e9, "NVIDIA H100 datasheet: 1,979 TFLOPS with sparsity, 3.35 TB/s"),
        Gpu("H200", 989.5e12, 4.8e12, 141e9, "NVIDIA H200 datasheet: 1,979 TFLOPS with sparsity, 4.8 TB/s"),
        Gpu("B200", 2.25e15, 7.7e12, 180e9, "NVIDIA Blackwell datasheet, HGX B200: 4.5 PFLOPS with sparsity, "
            "180 GB, 7.7 TB/s a GPU"),
        Gpu("GB200", 2.5e15, 8e12, 186e9, "NVIDIA Blackwell datasheet, GB200 NVL72: 5 PFLOPS with sparsity, "
            "186 GB, 8 TB/s a GPU"),
        Gpu("MI300X", 1307.4e12, 5.3e12, 192e9, "AMD MI300X data sheet: 1,307.4 TFLOPS dense, 192 GB, 5.3 TB/s"),
        Gpu("MI325X", 1307.4e12, 6e12, 256e9, "AMD MI325X data sheet: 1,307.4 TFLOPS dense, 256 GB, 6 TB/s"),
        Gpu("MI355X", 2.5e15, 8e12, 288e9, "AMD MI355X data sheet: 2.5 PFLOPS dense, 288 GB, 8 TB/s"),
        Gpu("A100 80GB", 312e12, 2.039e12, 80e9, "NVIDIA A100 datasheet: 312 TFLOPS dense, 2,039 GB/s (SXM)"),
        Gpu("L40S", 362.05e12, 0.864e12, 48e9, "NVIDIA L40S datasheet: 362.05 TFLOPS dense, 864 GB/s"),
        Gpu("L4", 121e12, 0.3e12, 24e9, "NVIDIA L4 datasheet: 242 TFLOPS with sparsity, 300 GB/s"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Gpus:
    """So many GPUs of one kind, as one writes them: "8xH100"."""

    gpu: Gpu
    count: int

    def __str__(self) -> str:
        return f"{self.count}x{self.gpu.name}"

    @property
    def splits(self) -> tuple[int, ...]:
        """Over how many of them one model can be split: powers of two, into which its heads divide."""
        return tuple(2**i for i in range(self.count.bit_length()))


def find_gpu(name: str) -> Gpu:
    """The GPU of that name, or the only one that begins so (case, spaces and dashes aside).

    Raises DataError listing the names.
    """
    plain = {_plain(known): gpu for known, gpu in GPUS.items()}
    found = [gpu for known, gpu in plain.items() if _plain(name) and known.startswith(_plain(name))]
    exact = plain.get(_plain(name))
    if exact is None and len(found) != 1:
        raise DataError(f"GPU {name!r}", f"one of {', '.join(GPUS)}", "choose one, such as 8xH100")
    return exact or found[0]


def read_gpus(text: str) -> Gpus:
    """``8xH100``, or the name of one GPU. Raises DataError for anything else."""
    matched = re.fullmatch(r"\s*(?:(\d{1,6})\s*[x×*]\s*)?(.+?)\s*", text)
    count = int(matched[1] or 1) if matched else 0
    if matched is None or count < 1:
        raise DataError(f"GPUs {text!r}", "a number and a name, such as 8xH100", "mend --gpus")
    return Gpus(find_gpu(matched[2]), count)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
