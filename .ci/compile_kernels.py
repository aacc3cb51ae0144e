"""Compiles CUDA kernels with NVRTC, as the program does when it runs; no GPU needed.

Usage: compile_kernels.py FOLDER KERNEL.cu…   FOLDER: where pip put the NVRTC wheel.
"""

import concurrent.futures
import ctypes
import os
import pathlib
import sys

ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]
# The options that the program itself gives.
OPTIONS = pathlib.Path("cuda/options.txt").read_text().split()


def compile_one(nvrtc: ctypes.CDLL, kernel: str, architecture: str) -> tuple[bool, str]:
    program = ctypes.c_void_p()
    source = pathlib.Path(kernel).read_bytes()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, kernel.encode(), 0, None, None)
    options = [f"--gpu-architecture={architecture}", "-Icuda", *OPTIONS]
    arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    result = nvrtc.nvrtcCompileProgram(program, len(options), arguments)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(max(size.value, 1))
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return result == 0, log.value.decode(errors="replace").strip()


def main(folder: str, kernels: list[str]) -> int:
    library = next(pathlib.Path(folder).glob("nvidia/*/lib/libnvrtc.so.*[0-9]"))
    # NVRTC looks for its second half by name only: loaded beforehand, it is found.
    ctypes.CDLL(str(next(library.parent.glob("libnvrtc-builtins.so.*[0-9]"))), mode=ctypes.RTLD_GLOBAL)
    nvrtc = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    jobs = [(kernel, architecture) for kernel in kernels for architecture in ARCHITECTURES]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (kernel, architecture), (good, log) in zip(jobs, pool.map(lambda job: compile_one(nvrtc, *job), jobs)):
            if not good or log:
                print(f"{kernel} for {architecture}: {'compiled, with remarks' if good else 'failed'}\n{log}")
            failed += not good
    print(f"{len(jobs) - failed} of {len(jobs)} compiled ({', '.join(ARCHITECTURES)})")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
